"""The Fréchet profile against a plain-Python statement of it, and beside the factor rule."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import Window, confident_logits, property_test, windows

from samplers import FactorScheduler, FrechetScheduler
from samplers.schedulers.proposals import propose


def count_by_profile(surest_first: list[float], delta: float) -> int:
    """The largest n with the doubts of the first n and that of the n-th once more below 1 - delta, at least 1."""
    fitting = [
        n for n, c in enumerate(surest_first, start=1) if sum(1 - d for d in surest_first[:n]) + 1 - c < 1 - delta
    ]
    return max(fitting, default=1)


@property_test(60)
@given(window=windows(max_batch=3), delta=st.floats(0, 0.99))
def test_rule_commits_what_its_statement_says(window: Window, delta: float) -> None:
    logits, mask = window.logits(0).double(), window.mask_token_id
    transfer_index = FrechetScheduler(delta=delta).step(logits, 0, window.sample, mask_token_id=mask).transfer_index
    scores = propose(logits, mask_token_id=mask).confidence.tolist()
    for row, tokens in enumerate(window.sample.tolist()):
        masked = [position for position, token in enumerate(tokens) if token == mask]
        order = sorted(masked, key=lambda position: (-scores[row][position], position))
        count = count_by_profile([scores[row][position] for position in order], delta) if order else 0
        assert transfer_index[row].nonzero().flatten().tolist() == sorted(order[:count])


def committed(scheduler: Any, confidences: list[float]) -> list[bool]:
    sample = torch.full((1, len(confidences)), 3)
    found: list[bool] = (
        scheduler.step(confident_logits(confidences).double(), 0, sample, mask_token_id=3).transfer_index[0].tolist()
    )
    return found


@pytest.mark.parametrize(
    ("delta", "confidences", "expected"),
    [
        # 0.1 + 0.1, 0.1 + 0.2 + 0.2 and 0.1 + 0.2 + 0.3 + 0.3 against 0.75: two of three fit.
        (0.25, [0.7, 0.9, 0.8], [False, True, True]),
        (0.05, [0.7, 0.9, 0.8], [True, True, True]),
        (0.6, [0.7, 0.9, 0.8], [False, True, False]),
        # Nothing fits, and the surest is committed all the same.
        (0.25, [0.45, 0.5], [False, True]),
        # Where many are sure the last may be doubtful: 0.01 + 0.01 + 0.35 + 0.35.
        (0.25, [0.99, 0.65, 0.99], [True, True, True]),
    ],
)
def test_profiles_by_hand(delta: float, confidences: list[float], expected: list[bool]) -> None:
    assert committed(FrechetScheduler(delta=delta), confidences) == expected


def test_bound_itself_does_not_fit() -> None:
    half = torch.tensor([[[0.0, 0.0, -torch.inf, -torch.inf]] * 2])  # 1/2 + 1/2 = 1 - 0
    sample = torch.full((1, 2), 3)
    assert FrechetScheduler(delta=0).step(half, 0, sample, mask_token_id=3).transfer_index.tolist() == [[True, False]]


@property_test(40)
@given(confidences=st.lists(st.floats(0.34, 0.999), min_size=1, max_size=8), delta=st.floats(0, 0.9))
def test_it_commits_at_least_what_the_factor_rule_does(confidences: list[float], delta: float) -> None:
    profile = committed(FrechetScheduler(delta=delta), confidences)
    factor = committed(FactorScheduler(factor=1 - delta), confidences)
    assert all(ours or not theirs for ours, theirs in zip(profile, factor, strict=True))


def test_equally_sure_tokens_are_as_many_as_by_the_factor_rule() -> None:
    for confidence in (0.97, 0.9, 0.75, 0.5):
        for delta in (0.02, 0.24, 0.31):
            same = [confidence] * 12
            assert committed(FrechetScheduler(delta=delta), same) == committed(FactorScheduler(factor=1 - delta), same)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"delta": 1}, r"delta=1 should be in \[0, 1\)"),
        ({"delta": -0.1}, r"delta=-0\.1 should be in \[0, 1\)"),
        ({"delta": None}, r"delta=None should be in \[0, 1\)"),
        ({"score": "probability"}, "score='probability' should be one of confidence"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrechetScheduler(**arguments)
