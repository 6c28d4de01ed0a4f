"""KLASS: what is sure and stable goes at once, and the quota where nothing is."""

from typing import Any

import pytest
import torch
from scheduler_cases import Window, confident_logits, logits_of, walk

from samplers import ConfidenceScheduler, KLASSScheduler

MASK = 3
HALF = torch.tensor([0.0, 0.0, -torch.inf, 0.0])


def decode(scheduler: KLASSScheduler, steps: list[Any]) -> list[list[int]]:
    """Positions committed at each step."""
    sample = torch.full((1, steps[0].shape[1]), MASK)
    found = []
    for logits in steps:
        output = scheduler.step(logits, 0, sample, mask_token_id=MASK)
        found.append(output.transfer_index[0].nonzero().flatten().tolist())
        sample = output.prev_sample
    return found


def test_stable_tokens_wait_for_their_history_and_then_go_together() -> None:
    same = confident_logits([0.7, 0.95, 0.94, 0.93, 0.5])
    # The first step has nothing to compare with; the second and the third are the two stable ones.
    assert decode(KLASSScheduler(), [same, same, same]) == [[1], [2], [3]]
    assert decode(KLASSScheduler(threshold=0.6), [same, same, same]) == [[1], [2], [0, 3]]
    assert decode(KLASSScheduler(threshold=0.6, history=1), [same, same]) == [[1], [0, 2, 3]]


def test_a_change_starts_the_history_again() -> None:
    same, other = confident_logits([0.95, 0.94, 0.93, 0.92]), confident_logits([0.95, 0.94, 0.99, 0.92])
    # Position 2 changes in the third step; position 3 never does.
    assert decode(KLASSScheduler(), [same, same, other]) == [[0], [1], [3]]
    assert decode(KLASSScheduler(kl_threshold=0.2), [same, same, other]) == [[0], [1], [2, 3]]


def test_divergence_is_that_of_the_present_from_the_previous() -> None:
    before, after = [0.5, 0.3, 0.2, 0.0], [0.9, 0.05, 0.05, 0.0]
    p, q = torch.tensor(after[:3], dtype=torch.float64), torch.tensor(before[:3], dtype=torch.float64)
    forward = float((p * (p / q).log()).sum())
    backward = float((q * (q / p).log()).sum())
    assert abs(forward - backward) > 0.05
    for bound, stable in ((forward * 1.001, True), (forward * 0.999, False)):
        scheduler = KLASSScheduler(threshold=0.4, kl_threshold=bound, history=1)
        found = decode(scheduler, [logits_of([[before] * 4]), logits_of([[after] * 4])])
        assert found == [[0], [1, 2, 3] if stable else [1]]


def test_confidence_that_equals_the_threshold_is_left_out() -> None:
    logits = HALF.expand(1, 4, 4)
    assert decode(KLASSScheduler(threshold=0.5, history=1), [logits, logits]) == [[0], [1]]
    assert decode(KLASSScheduler(threshold=0.499, history=1), [logits, logits]) == [[0], [1, 2, 3]]


def test_without_stability_it_is_confidence_order() -> None:
    window = Window(torch.full((3, 7), MASK), 4, MASK, seed=5)
    unstable = walk(KLASSScheduler(k=2, kl_threshold=1e-9), window)
    plain = walk(ConfidenceScheduler(k=2), window)
    assert [output.prev_sample.tolist() for output in unstable] == [output.prev_sample.tolist() for output in plain]


def test_history_begins_with_the_sample() -> None:
    same = confident_logits([0.95, 0.94, 0.93, 0.92])
    scheduler = KLASSScheduler()
    first = decode(scheduler, [same, same, same])
    assert first == [[0], [1], [2, 3]]
    assert decode(scheduler, [same, same, same]) == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold": 1.5}, r"threshold=1\.5 should be in \[0, 1\]"),
        ({"kl_threshold": 0}, "kl_threshold=0 should be a number above 0"),
        ({"history": 0}, "history=0 should be a whole number of at least 1"),
        ({"k": 1, "num_inference_steps": 1}, "k=1 and num_inference_steps=1 both say"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KLASSScheduler(**arguments)
