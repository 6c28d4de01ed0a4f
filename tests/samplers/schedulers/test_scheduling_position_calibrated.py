"""PC-Sampler: position and token frequency against the formula, and how frequencies are given."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import Window, confident_logits, property_test, windows

from samplers import ConfidenceScheduler, PositionCalibratedScheduler

MASK = 3


def order(scheduler: Any, logits: torch.Tensor) -> list[int]:
    """Positions in the order in which they are committed."""
    sample = torch.full(logits.shape[:2], MASK)
    found = []
    for _ in range(logits.shape[1]):
        output = scheduler.step(logits, 0, sample, mask_token_id=MASK)
        found += output.transfer_index[0].nonzero().flatten().tolist()
        sample = output.prev_sample
    return found


@property_test(40)
@given(
    window=windows(all_masked=True),
    decay=st.sampled_from([0.0, 0.25, 2.0]),
    clip=st.sampled_from([0.5, 10.0]),
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(any),
)
def test_commits_the_highest_score_of_the_formula(window: Window, decay: float, clip: float, counts: list[int]) -> None:
    logits = window.logits(0)
    scheduler = PositionCalibratedScheduler(position_decay=decay, clip=clip, frequencies=counts)
    output = scheduler.step(logits, 0, window.sample, mask_token_id=window.mask_token_id)
    rarest = min(count for count in counts if count)
    for row in range(len(window.sample)):
        scores = []
        for position, (token, p) in enumerate(
            zip(output.sampled_tokens[row].tolist(), output.sampled_probs[row].tolist(), strict=True)
        ):
            q = ((counts[token] if token < len(counts) else 0) or rarest) / sum(counts)
            scores.append(math.exp(-decay * position) * min(-p * math.log(q), clip))
        (chosen,) = output.transfer_index[row].nonzero().flatten().tolist()
        assert scores[chosen] == pytest.approx(max(scores), rel=1e-5, abs=1e-9)


def test_uniform_frequencies_without_decay_are_confidence_order() -> None:
    logits = confident_logits([0.5, 0.9, 0.6, 0.8])
    assert order(PositionCalibratedScheduler(position_decay=0), logits) == order(ConfidenceScheduler(), logits)
    assert order(PositionCalibratedScheduler(position_decay=50), logits) == [0, 1, 2, 3]
    # exp(-0.25) < 0.8 / 0.9, so the sure token must not stand too far right.
    assert order(PositionCalibratedScheduler(), confident_logits([0.8, 0.4, 0.9, 0.99])) == [0, 2, 3, 1]


def test_clip_makes_ties_that_go_to_the_left() -> None:
    logits = confident_logits([0.6, 0.9])
    frequencies = [1.0, 1.0, 1.0]
    assert order(PositionCalibratedScheduler(position_decay=0, frequencies=frequencies), logits) == [1, 0]
    assert order(PositionCalibratedScheduler(position_decay=0, frequencies=frequencies, clip=0.1), logits) == [0, 1]


def test_frequencies_from_a_file_are_those_of_a_list(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[5, 0, 2]")
    (tmp_path / "object.json").write_text(json.dumps({"0": 5, "2": 2}))
    expected = PositionCalibratedScheduler(frequencies=[5, 0, 2])._surprise
    assert expected.tolist() == pytest.approx([-math.log(5 / 7), -math.log(2 / 7), -math.log(2 / 7), -math.log(2 / 7)])
    for name in ("list.json", "object.json"):
        scheduler = PositionCalibratedScheduler(frequencies=str(tmp_path / name))
        assert torch.equal(scheduler._surprise, expected)
        loaded = PositionCalibratedScheduler.from_config(scheduler.config)
        assert torch.equal(loaded._surprise, expected)


def test_frequencies_are_saved_with_the_config(tmp_path: Path) -> None:
    PositionCalibratedScheduler(frequencies=[5, 0, 2]).save_pretrained(tmp_path)
    assert PositionCalibratedScheduler.from_pretrained(tmp_path)._surprise.shape == (4,)


@pytest.mark.parametrize("frequencies", [[0, 0], [1, -1], [], [float("nan")], [[1, 2]]])
def test_frequencies_that_are_none_are_refused(frequencies: Any) -> None:
    with pytest.raises(ValueError, match=r"frequencies .*not all 0"):
        PositionCalibratedScheduler(frequencies=frequencies)


@pytest.mark.parametrize("content", [None, "[1, 2", '"text"', '{"a": 1}'])
def test_file_that_cannot_be_read_is_named(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "counts.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=r"counts\.json' .*counts by token id"):
        PositionCalibratedScheduler(frequencies=str(path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"position_decay": -1}, "position_decay=-1 should be a number of at least 0"),
        ({"clip": 0}, "clip=0 should be a number above 0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PositionCalibratedScheduler(**arguments)
