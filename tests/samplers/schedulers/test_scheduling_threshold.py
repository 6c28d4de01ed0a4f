"""Threshold: what reaches it is committed, and the surest where nothing does."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import Window, confident_logits, logits_of, property_test, windows

from samplers import ThresholdScheduler
from samplers.schedulers.proposals import propose
from samplers.schedulers.scores import score

MASK = 3
#: Probabilities that a softmax returns exactly: 1/2, 1/4 and 1/4 of logits 0 and -inf.
HALF = torch.tensor([0.0, 0.0, -torch.inf, 0.0])
ALL = torch.tensor([0.0, -torch.inf, -torch.inf, 0.0])


def committed(scheduler: ThresholdScheduler, logits: torch.Tensor, **arguments: Any) -> list[bool]:
    sample = torch.full(logits.shape[:2], MASK)
    return scheduler.step(logits, 0, sample, mask_token_id=MASK, **arguments).transfer_index[0].tolist()


def test_threshold_includes_equality() -> None:
    logits = torch.stack([HALF, ALL, HALF]).unsqueeze(0)
    assert committed(ThresholdScheduler(threshold=0.5), logits) == [True, True, True]
    assert committed(ThresholdScheduler(threshold=1.0), logits) == [False, True, False]


def test_strict_threshold_excludes_equality() -> None:
    logits = torch.stack([HALF, ALL, HALF]).unsqueeze(0)
    assert committed(ThresholdScheduler(threshold=0.5, strict=True), logits) == [False, True, False]
    # Nothing is above 1, so the surest goes alone.
    assert committed(ThresholdScheduler(threshold=1.0, strict=True), logits) == [False, True, False]


def test_threshold_compares_in_the_precision_of_the_scores() -> None:
    # softmax of [0, -log 9] is float32's 0.9, which lies above the double 0.9: equality is meant, not one ulp.
    logits = torch.tensor([[[0.0, -math.log(9), -torch.inf, 0.0]] * 2])
    found = score("confidence", propose(logits, mask_token_id=MASK))[0, 0].item()
    assert committed(ThresholdScheduler(threshold=found), logits) == [True, True]
    assert committed(ThresholdScheduler(threshold=found, strict=True), logits) == [True, False]


def test_surest_is_committed_where_none_is_sure_enough() -> None:
    assert committed(ThresholdScheduler(), confident_logits([0.5, 0.7, 0.6])) == [False, True, False]
    assert committed(ThresholdScheduler(), confident_logits([0.6, 0.6])) == [True, False]


def test_default_threshold_is_nine_tenths() -> None:
    assert committed(ThresholdScheduler(), confident_logits([0.91, 0.89, 0.95])) == [True, False, True]


@pytest.mark.parametrize("strict", [False, True])
def test_entropy_threshold_bounds_the_entropy_from_above(strict: bool) -> None:
    logits = torch.stack([HALF, ALL, torch.tensor([0.0, 0.0, 0.0, 0.0])]).unsqueeze(0)  # log 2, 0 and log 3 nats
    exact = -score("entropy", propose(logits, mask_token_id=MASK))[0, 0].item()
    assert exact == pytest.approx(math.log(2))
    scheduler = ThresholdScheduler(threshold=exact, score="entropy", strict=strict)
    assert committed(scheduler, logits) == [not strict, True, False]
    assert committed(ThresholdScheduler(threshold=1.05, score="entropy"), logits) == [True, True, False]
    assert committed(ThresholdScheduler(threshold=1.2, score="entropy"), logits) == [True, True, True]
    assert committed(ThresholdScheduler(threshold=0.0, score="entropy"), logits) == [False, True, False]


def test_margin_threshold_uses_the_gap() -> None:
    logits = logits_of([[[0.6, 0.4, 0.0, 0.0], [0.55, 0.25, 0.2, 0.0], [0.5, 0.5, 0.0, 0.0]]])
    assert committed(ThresholdScheduler(threshold=0.25, score="margin"), logits) == [False, True, False]
    assert committed(ThresholdScheduler(threshold=0.15, score="margin"), logits) == [True, True, False]


@property_test(40)
@given(
    window=windows(),
    threshold=st.floats(-1, 2),
    name=st.sampled_from(["confidence", "margin", "entropy", "left_to_right"]),
    strict=st.booleans(),
)
def test_rule_holds_for_every_row(window: Window, threshold: float, name: str, strict: bool) -> None:
    logits, mask = window.logits(0), window.mask_token_id
    scheduler = ThresholdScheduler(threshold=threshold, score=name, strict=strict)
    transfer_index = scheduler.step(logits, 0, window.sample, mask_token_id=mask).transfer_index
    scores = score(name, propose(logits, mask_token_id=mask))
    bound = torch.tensor(-threshold if name == "entropy" else threshold, dtype=torch.float32)
    for row in range(len(scores)):
        masked = (window.sample[row] == mask).nonzero().flatten().tolist()
        enough = [p for p in masked if (scores[row, p] > bound if strict else scores[row, p] >= bound)]
        if masked and not enough:
            enough = [max(masked, key=lambda position: (scores[row, position].item(), -position))]
        assert transfer_index[row].nonzero().flatten().tolist() == enough


def test_constructors_threshold_wins_and_none_is_taken_from_the_call() -> None:
    logits = confident_logits([0.5, 0.7, 0.8])
    assert committed(ThresholdScheduler(threshold=0.75), logits, threshold=0.1) == [False, False, True]
    assert committed(ThresholdScheduler(threshold=None), logits, threshold=0.6) == [False, True, True]
    with pytest.raises(ValueError, match="threshold=None: give a number"):
        committed(ThresholdScheduler(threshold=None), logits)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold": math.nan}, "threshold=nan should be a number"),
        ({"threshold": "0.9"}, "threshold='0.9' should be a number"),
        ({"score": "klass"}, "score='klass' should be one of confidence, margin, entropy, random, left_to_right"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ThresholdScheduler(**arguments)
