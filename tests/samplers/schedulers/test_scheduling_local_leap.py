"""LocalLeap: lower thresholds near sure tokens, and nowhere else."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import Window, confident_logits, property_test, windows

from samplers import LocalLeapScheduler, ThresholdScheduler
from samplers.schedulers.proposals import propose


@property_test(60)
@given(
    window=windows(max_batch=3),
    threshold=st.floats(0.3, 0.95),
    near=st.floats(0.1, 0.95),
    radius=st.integers(0, 12),
)
def test_rule_commits_what_its_statement_says(window: Window, threshold: float, near: float, radius: int) -> None:
    logits, mask = window.logits(0).double(), window.mask_token_id
    scheduler = LocalLeapScheduler(threshold=threshold, near_threshold=near, radius=radius)
    transfer_index = scheduler.step(logits, 0, window.sample, mask_token_id=mask).transfer_index
    scores = propose(logits, mask_token_id=mask).confidence.tolist()
    for row, tokens in enumerate(window.sample.tolist()):
        masked = [position for position, token in enumerate(tokens) if token == mask]
        anchors = [position for position in masked if scores[row][position] >= threshold]
        chosen = set(anchors)
        chosen |= {p for p in masked if scores[row][p] >= near and any(abs(p - anchor) <= radius for anchor in anchors)}
        chosen |= set(sorted(masked, key=lambda p: (-scores[row][p], p))[:1])
        assert transfer_index[row].nonzero().flatten().tolist() == sorted(chosen)


def committed(scheduler: Any, confidences: list[float], sample: torch.Tensor | None = None) -> list[int]:
    sample = torch.full((1, len(confidences)), 3) if sample is None else sample
    output = scheduler.step(confident_logits(confidences).double(), 0, sample, mask_token_id=3)
    found: list[int] = output.transfer_index[0].nonzero().flatten().tolist()
    return found


def test_four_to_either_side_of_an_anchor() -> None:
    near = [0.8] * 12
    assert committed(LocalLeapScheduler(), [*near[:5], 0.95, *near[:6]]) == list(range(1, 10))
    assert committed(LocalLeapScheduler(radius=1), [*near[:5], 0.95, *near[:6]]) == [4, 5, 6]
    assert committed(LocalLeapScheduler(), [0.8, 0.85, 0.8]) == [1], "without an anchor the surest goes alone"


def test_a_token_in_place_is_no_anchor() -> None:
    sample = torch.tensor([[1, 3, 3]])
    assert committed(LocalLeapScheduler(), [0.99, 0.8, 0.7], sample) == [1]


def test_radius_nothing_is_the_threshold_rule() -> None:
    for confidences in ([0.95, 0.8, 0.91], [0.5, 0.6]):
        found = committed(LocalLeapScheduler(radius=0), confidences)
        assert found == committed(ThresholdScheduler(threshold=0.9), confidences)


def test_bounds_are_reached_by_what_equals_them() -> None:
    half = torch.zeros(1, 3, 4)
    half[..., 2:] = -torch.inf
    sample = torch.full((1, 3), 3)
    for bounds, count in (((0.5, 0.9), 3), ((0.501, 0.5), 1)):
        scheduler = LocalLeapScheduler(threshold=bounds[0], near_threshold=bounds[1])
        assert scheduler.step(half, 0, sample, mask_token_id=3).transfer_index.sum() == count


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold": 2}, r"threshold=2 should be in \[0, 1\]"),
        ({"near_threshold": -1}, r"near_threshold=-1 should be in \[0, 1\]"),
        ({"radius": -1}, "radius=-1 should be a whole number of at least 0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LocalLeapScheduler(**arguments)
