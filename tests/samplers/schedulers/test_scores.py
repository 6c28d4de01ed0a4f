"""The scores against plain-Python statements of what they are."""

import math

import pytest
import torch
from hypothesis import given
from scheduler_cases import Window, logits_of, property_test, row_generator, windows

from samplers.schedulers.proposals import propose
from samplers.schedulers.scores import SCORES, score


@property_test(25)
@given(window=windows())
def test_scores_are_what_their_formulas_say(window: Window) -> None:
    logits, mask = window.logits(0).double(), window.mask_token_id
    proposal = propose(logits, mask_token_id=mask)
    found = {name: score(name, proposal).tolist() for name in ("confidence", "margin", "entropy", "left_to_right")}
    for row, positions in enumerate(logits.tolist()):
        for position, values in enumerate(positions):
            weights = [math.exp(value) for token, value in enumerate(values) if token != mask]
            p = sorted((weight / sum(weights) for weight in weights), reverse=True)
            assert found["confidence"][row][position] == pytest.approx(p[0], abs=1e-12)
            assert found["margin"][row][position] == pytest.approx(p[0] - (p[1] if len(p) > 1 else 0), abs=1e-12)
            assert found["entropy"][row][position] == pytest.approx(sum(x * math.log(x) for x in p), abs=1e-9)
            assert found["left_to_right"][row][position] == -position


def test_entropy_is_never_positive_and_zero_where_one_token_is_certain() -> None:
    logits = logits_of([[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]])
    negative_entropy = score("entropy", propose(logits, mask_token_id=2))
    assert negative_entropy[0, 0] == 0
    assert negative_entropy[0, 1].item() == pytest.approx(-math.log(2))


def test_entropy_stands_extreme_logits() -> None:
    logits = torch.tensor([[[1e30, -1e30, 0.0], [-1e30, -1e30, 0.0], [3.0, -torch.inf, 0.0]]])
    negative_entropy = score("entropy", propose(logits, mask_token_id=2))
    assert negative_entropy[0].tolist() == [0, pytest.approx(-math.log(2)), 0]


def test_margin_of_a_single_token_is_one() -> None:
    assert score("margin", propose(torch.zeros(1, 2, 1), mask_token_id=1)).tolist() == [[1, 1]]
    assert score("margin", propose(torch.zeros(1, 2, 2), mask_token_id=1)).tolist() == [[1, 1]]


def test_random_comes_from_the_generator_and_lies_in_the_unit_interval() -> None:
    proposal = propose(torch.zeros(50, 40, 3), mask_token_id=2)
    first, second = (score("random", proposal, row_generator(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, score("random", proposal, row_generator(6)))
    assert 0 <= first.min() < 0.01
    assert 0.99 < first.max() < 1
    assert first.mean().item() == pytest.approx(0.5, abs=0.02)


def test_unknown_score_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'sharpness'.*confidence, margin"):
        score("sharpness", propose(torch.zeros(1, 1, 2), mask_token_id=1))


@pytest.mark.parametrize("name", SCORES)
def test_every_score_has_the_shape_of_the_window(name: str) -> None:
    assert score(name, propose(torch.zeros(3, 4, 5), mask_token_id=0)).shape == (3, 4)
