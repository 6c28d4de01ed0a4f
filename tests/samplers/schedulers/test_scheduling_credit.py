"""CreditDecoding: credit against plain Python, and what it changes."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import Window, confident_logits, property_test, row_generator, windows

from samplers import CreditScheduler, ThresholdScheduler

MASK = 3


@property_test(30)
@given(window=windows(all_masked=True), weight=st.sampled_from([0.7, 3.0]), decay=st.sampled_from([0.0, 0.8, 1.0]))
def test_probabilities_are_those_of_logits_with_credit(window: Window, weight: float, decay: float) -> None:
    scheduler = CreditScheduler(weight=weight, decay=decay, threshold=2.0)
    sample, mask = window.sample, window.mask_token_id
    credit: dict[tuple[int, int, int], float] = {}
    for step in range(3):
        logits = window.logits(step).double()
        if mask < window.vocab_size:
            logits[..., mask] = -torch.inf
        output = scheduler.step(logits, 0, sample, mask_token_id=mask)
        credit = {key: value * decay for key, value in credit.items()}
        likeliest = logits.softmax(dim=-1).max(dim=-1)
        fused = logits.clone()
        for row, tokens in enumerate(sample.tolist()):
            for place, token in enumerate(tokens):
                if token == mask:
                    key = (row, place, int(likeliest.indices[row, place]))
                    credit[key] = credit.get(key, 0.0) + float(likeliest.values[row, place]) ** 0.2
        for (row, place, token), value in credit.items():
            fused[row, place, token] += weight * torch.tensor(1 + value, dtype=torch.float64).log()
        expected = fused.softmax(dim=-1).max(dim=-1)
        open_places = sample == mask
        torch.testing.assert_close(output.sampled_probs[open_places], expected.values[open_places])
        assert torch.equal(output.sampled_tokens[open_places], expected.indices[open_places])
        sample = output.prev_sample


def test_a_token_that_keeps_being_preferred_reaches_the_threshold() -> None:
    logits = confident_logits([0.8, 0.75, 0.7, 0.65])
    plain, credited = ThresholdScheduler(threshold=0.8), CreditScheduler(threshold=0.8)
    counts = []
    for scheduler in (plain, credited):
        sample, count = torch.full((1, 4), MASK), 0
        while (sample == MASK).any():
            sample = scheduler.step(logits, 0, sample, mask_token_id=MASK).prev_sample
            count += 1
        counts.append(count)
    assert counts == [4, 3]


def test_no_weight_is_the_threshold_rule() -> None:
    window = Window(torch.full((3, 7), MASK), 4, MASK, seed=5)
    sample = window.sample
    one, other = CreditScheduler(weight=0.0, threshold=0.5), ThresholdScheduler(threshold=0.5)
    for step in range(5):
        expected = other.step(window.logits(step), 0, sample, mask_token_id=MASK).prev_sample
        sample = one.step(window.logits(step), 0, sample, mask_token_id=MASK).prev_sample
        assert torch.equal(sample, expected)


def test_threshold_includes_equality_unless_it_is_strict() -> None:
    # Two equal tokens: the first is preferred, so the credit lifts it; with weight 0 it stays at exactly a half.
    half = torch.tensor([0.0, 0.0, -torch.inf, 0.0]).expand(1, 3, 4)
    sample = torch.full((1, 3), MASK)
    for strict, count in ((False, 3), (True, 1)):
        scheduler = CreditScheduler(weight=0.0, threshold=0.5, strict=strict)
        assert scheduler.step(half, 0, sample, mask_token_id=MASK).transfer_index.sum() == count


def test_credit_belongs_to_the_sample() -> None:
    window = Window(torch.full((2, 5), MASK), 4, MASK, seed=1)
    fresh = CreditScheduler(threshold=2.0).step(window.logits(1), 0, window.sample, mask_token_id=MASK)
    used = CreditScheduler(threshold=2.0)
    used.step(window.logits(0), 0, window.sample, mask_token_id=MASK, generator=row_generator(0))
    again = used.step(window.logits(1), 0, window.sample, mask_token_id=MASK)
    assert torch.equal(again.sampled_probs, fresh.sampled_probs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight": -1}, "weight=-1 should be a finite number of at least 0"),
        ({"decay": 1.2}, r"decay=1\.2 should be in \[0, 1\]"),
        ({"power": float("inf")}, "power=inf should be a finite number of at least 0"),
        ({"strict": 1}, "strict=1 should be True or False"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CreditScheduler(**arguments)
