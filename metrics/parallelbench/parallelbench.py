"""The ParallelBench metric: scores answers to the benchmark's tasks, any mix of them in one call.

>>> import evaluate
>>> metric = evaluate.load("metrics/parallelbench")
>>> result = metric.compute(
...     predictions=['["Grace Field", "Ada Stone"]'],
...     references=['{"scorer": "list_shuffle", "input": ["Ada Stone", "Grace Field"]}'],
... )
>>> result["score"], result["score_strict"]
(100.0, 100.0)
"""

from typing import Any

import datasets
import evaluate

from .arguments import check_grammar, check_pairs
from .averages import average_percentages, average_tasks
from .domino_scorer import DOMINO_SCORERS
from .list_scorers import LIST_SCORERS
from .number_scorers import NUMBER_SCORERS
from .puzzle_scorers import PUZZLE_SCORERS
from .reading import replace_lone_surrogates
from .references import Reference, parse_reference
from .scorer import Scorer
from .text_scorers import TEXT_SCORERS, apply_grammar

SCORERS: dict[str, Scorer] = {**LIST_SCORERS, **PUZZLE_SCORERS, **DOMINO_SCORERS, **NUMBER_SCORERS, **TEXT_SCORERS}

_DESCRIPTION = """\
ParallelBench measures how much quality a diffusion language model loses when it decodes several tokens per step.
This metric scores its answers: lists of people, Latin squares, Sudoku grids, and sentences that must hold given words.
"""

_CITATION = """\
@article{parallelbench2025,
  author = {Kang, Wonjun and others},
  title = {ParallelBench: Understanding the Trade-offs of Parallel Decoding in Diffusion LLMs},
  journal = {arXiv preprint arXiv:2510.04767},
  year = {2025}
}
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions (`list` of `str`): the model's answers. Any string is legal; a lone surrogate counts as U+FFFD.
    references (`list` of `str`): the dataset's `reference` column, one JSON object per row: `scorer`, the keys
        which that scorer reads, and, if wanted, `task`, the name under which the row's averages are reported.
    per_sample (`bool`): also return `samples`, the scores of each row. Defaults to `False`.
    grammar (`list` of `bool` or `None`): one verdict per prediction, whether a grammar checker finds nothing wrong with
        it; `None` where there is no verdict. Only text is judged by it: lists and puzzles take no notice.

Returns:
    `dict`. Every average is a percentage, 0..100, over the rows that have that score.
    - `score`: lenient score.
    - `score_strict`: score of the canonical form alone, never above `score`; lists and puzzles.
    - `headline`: the number that the benchmark plots: `score` for lists and puzzles, `grammar` for text.
    - `inclusion`, `grammar`: parts of the score of text. A row without a grammar verdict has `inclusion` alone.
    - `tasks`: the same averages task by task, or by scorer where references name no task.
    - `samples`: one `dict` per row with `scorer`, `task` where there is one, and the scores as values 0..1.

    A score that no row has is left out.

Raises:
    `ValueError`: nothing to score, unequal lengths, a prediction that is not a string, a malformed reference or an
    unknown scorer. The message names the index and what was expected.

Examples:

    >>> import evaluate
    >>> metric = evaluate.load("metrics/parallelbench")
    >>> references = [
    ...     '{"scorer": "list_match", "answer": "[\\\\"Ada\\\\", \\\\"Tim\\\\"]", "task": "waiting_line_copy"}',
    ...     '{"scorer": "list_remove", "input": ["Ada", "Tim"], "task": "waiting_line_remove_random"}',
    ... ]
    >>> result = metric.compute(predictions=["Ada, Tim", '["Tim"]'], references=references, per_sample=True)
    >>> result["score"], result["score_strict"], result["headline"]
    (100.0, 50.0, 100.0)
    >>> result["tasks"]["waiting_line_copy"]
    {'score': 100.0, 'score_strict': 0.0, 'headline': 100.0}
    >>> result["samples"][1]
    {'scorer': 'list_remove', 'task': 'waiting_line_remove_random', 'score': 1.0, 'score_strict': 1.0, 'headline': 1.0}

    The grammar of a sentence is judged elsewhere; without a verdict only its words are looked at.

    >>> sentence = {"predictions": ["A lantern by the river."]}
    >>> sentence["references"] = ['{"scorer": "words_to_sentence", "words": ["river", "lantern"]}']
    >>> metric.compute(**sentence)
    {'inclusion': 100.0, 'tasks': {'words_to_sentence': {'inclusion': 100.0}}}
    >>> metric.compute(**sentence, grammar=[False])["score"]
    0.0
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class ParallelBench(evaluate.Metric):  # type: ignore[misc]
    """Scores predictions against the `reference` column of the ParallelBench dataset."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
            ),
            reference_urls=["https://arxiv.org/abs/2510.04767"],
        )

    def compute(
        self,
        *,
        predictions: Any = None,
        references: Any = None,
        per_sample: bool = False,
        grammar: Any = None,
    ) -> dict[str, Any] | None:
        """Score the predictions stored with `add` and `add_batch`, then those given here."""
        stored = self.writer is not None or self.num_process > 1
        if not stored:
            # Nothing has to be gathered, so the rows need no detour through files in a cache.
            return self._compute(predictions, references, per_sample=per_sample, grammar=grammar)
        if predictions is not None or references is not None:
            self.add_batch(predictions=predictions, references=references)
        result: dict[str, Any] | None = super().compute(per_sample=per_sample, grammar=grammar)
        return result

    def add_batch(self, *, predictions: Any = None, references: Any = None) -> None:
        """Store predictions and references for a later `compute`."""
        predictions, references = check_pairs(predictions, references)
        for index, reference in enumerate(references, start=len(self)):
            parse_reference(reference, index, SCORERS)
        # Arrow holds UTF-8 only.
        super().add_batch(
            predictions=[replace_lone_surrogates(prediction) for prediction in predictions],
            references=[replace_lone_surrogates(reference) for reference in references],
        )

    def add(self, *, prediction: Any = None, reference: Any = None) -> None:
        """Store one prediction and its reference for a later `compute`."""
        self.add_batch(predictions=[prediction], references=[reference])

    def _compute(
        self, predictions: Any, references: Any, per_sample: bool = False, grammar: Any = None
    ) -> dict[str, Any]:
        predictions, references = check_pairs(predictions, references)
        verdicts = check_grammar(grammar, len(predictions))
        rows = [parse_reference(reference, index, SCORERS) for index, reference in enumerate(references)]
        samples = [score_row(*row) for row in zip(predictions, rows, verdicts, strict=True)]
        result: dict[str, Any] = {**average_percentages(samples), "tasks": average_tasks(samples)}
        if per_sample:
            result["samples"] = samples
        return result


def score_row(prediction: str, reference: Reference, grammatical: bool | None) -> dict[str, Any]:
    """Score one prediction: its labels (`scorer`, `task`) and its scores, 0..1."""
    scorer = SCORERS[reference.scorer]
    prediction = replace_lone_surrogates(prediction)
    scores = scorer.score(prediction, **reference.values)
    if scorer.gated_by_grammar:
        scores = apply_grammar(scores, prediction, grammatical)
    else:
        scores["headline"] = scores["score"]
    labels = {"scorer": reference.scorer}
    if reference.task is not None:
        labels["task"] = reference.task
    return {**labels, **scores}
