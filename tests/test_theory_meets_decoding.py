"""Theory, schedulers, loop, ideal model and data agree: what is decoded is right as often as the closed forms say.

Every case decodes questions of the dataset with one token per item and compares the share of valid answers with the
exact accuracy, within four standard errors.
"""

from functools import cache
from math import sqrt

import pytest
import torch
from support import slow_except

import hub_dataset
from benchmark.ideal import ExactDenoiser, build_tokenizer, valid_answers
from benchmark.models.prompts import pad_left, tokenize_prompts
from benchmark.theory import adaptive_closed_form, closed_form, factor_rule, threshold_rule
from samplers import (
    ConfidenceScheduler,
    EntropyScheduler,
    FactorScheduler,
    LeftToRightScheduler,
    MarginScheduler,
    RandomScheduler,
    ThresholdScheduler,
    generate,
)

TIE_NOISE = 1e-4
ROWS = 400
NEW_TOKENS = {"insert_random": 1, "remove_random": -1}


@cache
def questions(task, length):
    """Rows of one length from the train split, of which there are as many as one likes."""
    if task == "latin_square":
        return hub_dataset.build_rows("puzzle_latin_square_n4", "train", ROWS)
    rows = hub_dataset.build_rows(f"waiting_line_{task}", "train", 4 * ROWS)
    return [row for row in rows if row["length"] == length]


@cache
def ideal_model(task, length, greedy):
    rows = questions(task, length)
    tokenizer = build_tokenizer(rows, item_tokens=True)
    return ExactDenoiser.from_rows(rows, tokenizer, tie_noise=TIE_NOISE if greedy else 0.0, tie_seed=3), tokenizer


def decoded_accuracy(task, length, scheduler, *, greedy, repeats=1):
    """Share of valid answers, and of how many."""
    rows = questions(task, length)
    model, tokenizer = ideal_model(task, length, greedy)
    input_ids, attention_mask = pad_left(tokenize_prompts(tokenizer, rows), tokenizer.pad_token_id)
    new_tokens = 16 if task == "latin_square" else length + NEW_TOKENS.get(task, 0)
    valid = [set(valid_answers(row["reference"])) for row in rows]
    right = 0
    for repeat in range(repeats):
        output = generate(
            model,
            input_ids,
            attention_mask=attention_mask,
            scheduler=scheduler,
            max_new_tokens=new_tokens,
            generator=torch.Generator().manual_seed(repeat),
        )
        texts = tokenizer.batch_decode(output.sequences[:, -new_tokens:], skip_special_tokens=True)
        right += sum(text in answers for text, answers in zip(texts, valid, strict=True))
    return right / (repeats * len(rows)), repeats * len(rows)


def assert_share(found, trials, expected):
    assert expected is not None
    assert abs(found - expected) <= 4 * sqrt(expected * (1 - expected) / trials) + 1e-12, (found, expected)


@pytest.mark.parametrize("task", ["shuffle", "replace_random", "insert_random", "remove_random"])
@pytest.mark.parametrize(
    ("length", "k"), slow_except([(3, 2), (4, 3)], [(3, 1), (3, 2), (4, 2), (4, 3), (5, 2), (5, 6)])
)
@pytest.mark.parametrize(("order", "scheduler"), [("random", RandomScheduler), ("left_to_right", LeftToRightScheduler)])
def test_sampling_in_an_order_blind_to_the_proposals(task, length, k, order, scheduler):
    found = decoded_accuracy(task, length, scheduler(k=k, temperature=1.0), greedy=False, repeats=3)
    assert_share(*found, closed_form(task, length, k, order=order))


@pytest.mark.parametrize("task", ["shuffle", "replace_random"])
@pytest.mark.parametrize(("length", "k"), [(3, 2), (4, 2), (5, 3)])
def test_sampling_in_confidence_order_commits_likely_draws_first(task, length, k):
    # Equal confidences go to the lowest position; by symmetry of these tasks that is as good as any.
    found = decoded_accuracy(task, length, ConfidenceScheduler(k=k, temperature=1.0), greedy=False, repeats=3)
    assert_share(*found, closed_form(task, length, k, order="confidence"))


@pytest.mark.parametrize("task", ["shuffle", "replace_random", "remove_random"])
@pytest.mark.parametrize(("length", "k"), slow_except([(4, 2)], [(3, 2), (4, 2), (5, 2), (5, 3)]))
@pytest.mark.parametrize(
    ("order", "scheduler"),
    [
        ("random", RandomScheduler),
        ("confidence", ConfidenceScheduler),
        ("entropy", EntropyScheduler),
        ("margin", MarginScheduler),
    ],
)
def test_greedy_decoding_with_ties_broken_at_random(task, length, k, order, scheduler):
    found = decoded_accuracy(task, length, scheduler(k=k), greedy=True)
    assert_share(*found, closed_form(task, length, k, order=order, greedy=True))


@pytest.mark.parametrize("task", ["shuffle", "replace_random"])
@pytest.mark.parametrize(
    ("length", "threshold"), slow_except([(4, 0.6), (4, 0.3)], [(3, 0.9), (4, 0.6), (4, 0.3), (5, 0.7)])
)
@pytest.mark.parametrize("greedy", [True, False])
def test_thresholds(task, length, threshold, greedy):
    scheduler = ThresholdScheduler(threshold=threshold, temperature=0.0 if greedy else 1.0)
    found = decoded_accuracy(task, length, scheduler, greedy=greedy)
    assert_share(*found, adaptive_closed_form(task, length, threshold_rule(threshold), greedy=greedy))


@pytest.mark.parametrize("task", ["shuffle", "replace_random"])
@pytest.mark.parametrize(
    ("length", "factor"), slow_except([(3, 0.7), (4, 1.3)], [(3, 0.7), (4, 1.3), (5, 1.9), (4, 2.2)])
)
@pytest.mark.parametrize("rule", ["theorem", "reference_code"])
def test_factors(task, length, factor, rule):
    scheduler = FactorScheduler(factor=factor, rule=rule, temperature=1.0)
    found = decoded_accuracy(task, length, scheduler, greedy=False, repeats=2)
    assert_share(*found, adaptive_closed_form(task, length, factor_rule(factor, rule=rule)))


@pytest.mark.parametrize("k", slow_except([2], [1, 2, 4]))
def test_latin_squares_from_the_left(k):
    found = decoded_accuracy("latin_square", 4, LeftToRightScheduler(k=k, temperature=1.0), greedy=False, repeats=4)
    assert_share(*found, closed_form("puzzle_latin_square_n4", 4, k, order="left_to_right"))


def test_one_valid_answer_is_found_at_any_speed():
    for task in ("copy", "reverse", "sort", "replace_index"):
        found, _ = decoded_accuracy(task, 4, RandomScheduler(k=4, temperature=1.0), greedy=False)
        assert found == 1.0
