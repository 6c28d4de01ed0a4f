"""Bounds and closed forms of parallel decoding: how much the ideal model loses when it decodes several items at once.

X is the prompt, Y = (y₁ … yₙ) the answer, decoded in T steps that commit disjoint sets S₁ … S_T. A factorised step
draws every token of S_t from its own conditional given X and S_<t; *ideal* means that those conditionals are the
data's. The setting is that of ParallelBench (arXiv 2510.04767), sections 3 and 4; each function says whether its
formula is from there or our own derivation. Items are decoded here, not tokens; positions count from 0; errors are in
bits.

**What bounds what.** `conditional_total_correlation` (one step) and `kl_bound` (T steps) bound the KL divergence from
the data, and the ideal model reaches them. They are not a ceiling on accuracy: a model that always gives the same valid
answer has a large KL and is always right, in one step. What they do say is that the ideal *sampler* is valid with
probability at least `validity_bound` = 2^(−L_T), with equality for shuffle when all orders are valid.

**Why the ideal model is sampled and a real one is greedy.** Greedy decoding depends on which of several equally likely
tokens comes first. The exact conditionals are full of such ties: with ties to the lowest index, all positions of a
shuffle ask for the same item, and accuracy is 0 for every k ≥ 2, which says nothing about parallel decoding. Drawn at
temperature 1, the ideal model follows the data, its KL is L_T, and the formulas hold as they stand. A real model has no
exact ties, and greedy decoding is the published protocol. To compare with the greedy forms, give the exact logits a
tiny seeded noise per row and position, which breaks ties at random.

**Which form needs which.**

| form | tokens | positions |
|---|---|---|
| `kl_bound`, `validity_bound` | sampled | any sets fixed beforehand or drawn at random |
| `shuffle_accuracy` | sampled, or greedy with ties at random: the same | any order |
| `shuffle_must_differ_accuracy`, `replace_random_accuracy` | either, by `greedy` | any order blind to the proposals |
| `insert_random_one_step_accuracy`, `remove_random_one_step_accuracy` | sampled | one step |
| `remove_random_greedy_accuracy` | greedy | any order |
| `latin_square_one_step_accuracy` | sampled, or greedy with ties at random | one step |
| `latin_square_left_to_right_accuracy` | either, by `greedy` | left to right |
| `…_adaptive_accuracy`, `…_threshold_accuracy`, `…_factor_accuracy` | either, by `greedy` | surest proposals first |

"Blind to the proposals" covers random, left to right, and the margin and entropy orders of these symmetric tasks. The
confidence order is not blind: it ranks what was drawn, and commits likely draws first.

`closed_form` and `mean_closed_form` pick the form by the name of a task; `valid_probability` and
`random_order_valid_probability` enumerate any finite `AnswerDistribution`.
"""

from benchmark.theory.adaptive import (
    CommitRule,
    factor_rule,
    replace_random_adaptive_accuracy,
    replace_random_factor_accuracy,
    replace_random_threshold_accuracy,
    shuffle_adaptive_accuracy,
    shuffle_factor_accuracy,
    shuffle_threshold_accuracy,
    threshold_rule,
    top_k_rule,
)
from benchmark.theory.bounds import (
    best_kl_bound,
    conditional_total_correlation,
    copy_total_correlation,
    entropy,
    expected_kl_bound,
    insert_random_total_correlation,
    kl_bound,
    latin_square_total_correlation,
    remove_random_total_correlation,
    replace_random_total_correlation,
    shuffle_kl_bound,
    shuffle_total_correlation,
    validity_bound,
)
from benchmark.theory.checks import step_sizes
from benchmark.theory.distributions import (
    AnswerDistribution,
    copy_distribution,
    insert_random_distribution,
    latin_square_distribution,
    remove_random_distribution,
    replace_random_distribution,
    shuffle_distribution,
)
from benchmark.theory.enumeration import left_to_right_sets, random_order_valid_probability, valid_probability
from benchmark.theory.fixed_order import (
    copy_accuracy,
    insert_random_one_step_accuracy,
    latin_square_left_to_right_accuracy,
    latin_square_one_step_accuracy,
    remove_random_greedy_accuracy,
    remove_random_one_step_accuracy,
    replace_random_accuracy,
    shuffle_accuracy,
    shuffle_must_differ_accuracy,
)
from benchmark.theory.tasks import adaptive_closed_form, answer_items, closed_form, mean_closed_form

__all__ = [
    "AnswerDistribution",
    "CommitRule",
    "adaptive_closed_form",
    "answer_items",
    "best_kl_bound",
    "closed_form",
    "conditional_total_correlation",
    "copy_accuracy",
    "copy_distribution",
    "copy_total_correlation",
    "entropy",
    "expected_kl_bound",
    "factor_rule",
    "insert_random_distribution",
    "insert_random_one_step_accuracy",
    "insert_random_total_correlation",
    "kl_bound",
    "latin_square_distribution",
    "latin_square_left_to_right_accuracy",
    "latin_square_one_step_accuracy",
    "latin_square_total_correlation",
    "left_to_right_sets",
    "mean_closed_form",
    "random_order_valid_probability",
    "remove_random_distribution",
    "remove_random_greedy_accuracy",
    "remove_random_one_step_accuracy",
    "remove_random_total_correlation",
    "replace_random_accuracy",
    "replace_random_adaptive_accuracy",
    "replace_random_distribution",
    "replace_random_factor_accuracy",
    "replace_random_threshold_accuracy",
    "replace_random_total_correlation",
    "shuffle_accuracy",
    "shuffle_adaptive_accuracy",
    "shuffle_distribution",
    "shuffle_factor_accuracy",
    "shuffle_kl_bound",
    "shuffle_must_differ_accuracy",
    "shuffle_threshold_accuracy",
    "shuffle_total_correlation",
    "step_sizes",
    "threshold_rule",
    "top_k_rule",
    "valid_probability",
    "validity_bound",
]
