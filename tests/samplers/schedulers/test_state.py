"""The memory of a sample: what it keeps, and when a row starts afresh."""

import pytest
import torch

from samplers.schedulers.state import SampleState

MASK = 9


def state_after(sample: torch.Tensor) -> SampleState:
    """A state that has seen `sample`, with 5 remembered for every row and 0.5 for every position."""
    state = SampleState({"count": 0}, {"confidence": torch.inf})
    assert state.follow(torch.full_like(sample, MASK)).all()
    state["count"] = torch.full((len(sample),), 5)
    state["confidence"] = torch.full(sample.shape, 0.5)
    state.returned(sample)
    return state


def test_first_sample_is_fresh_in_every_row() -> None:
    state = SampleState({"count": 3}, {"confidence": 2.0})
    assert state.follow(torch.zeros(2, 4, dtype=torch.long)).tolist() == [True, True]
    assert state["count"].tolist() == [3, 3]
    assert state["confidence"].tolist() == [[2.0] * 4] * 2


def test_rows_that_go_on_keep_their_memory_and_others_lose_it() -> None:
    sample = torch.tensor([[1, 2], [3, MASK], [4, 5]])
    state = state_after(sample)
    changed = sample.clone()
    changed[1, 0] = 7
    assert state.follow(changed).tolist() == [False, True, False]
    assert state["count"].tolist() == [5, 0, 5]
    assert state["confidence"].tolist() == [[0.5, 0.5], [torch.inf, torch.inf], [0.5, 0.5]]


def test_grown_window_keeps_what_it_knew() -> None:
    state = state_after(torch.tensor([[1, 2], [3, 4]]))
    assert state.follow(torch.tensor([[1, 2, MASK], [3, 0, MASK]])).tolist() == [False, True]
    assert state["confidence"].tolist() == [[0.5, 0.5, torch.inf], [torch.inf] * 3]


def test_shorter_window_or_other_batch_is_fresh() -> None:
    for other in (torch.tensor([[1]]), torch.tensor([[1, 2], [1, 2]])):
        state = state_after(torch.tensor([[1, 2]]))
        assert state.follow(other).all()
        assert (state["count"] == 0).all()
        assert state["confidence"].shape == other.shape


def test_returned_sample_is_not_aliased() -> None:
    sample = torch.tensor([[1, 2]])
    state = state_after(sample)
    sample[0, 0] = 8  # a loop that writes into the tensor it was given
    assert state.follow(sample).tolist() == [True]


def test_reset_forgets_everything_and_restart_one_number() -> None:
    sample = torch.tensor([[1, 2]])
    state = state_after(sample)
    state.restart("count")
    assert state.follow(sample).tolist() == [False]
    assert state["count"].tolist() == [0]
    assert state["confidence"].tolist() == [[0.5, 0.5]]
    state.reset()
    state.restart("count")
    assert state.follow(sample).tolist() == [True]
    assert state["confidence"].tolist() == [[torch.inf, torch.inf]]


def test_what_is_remembered_of_tokens_lasts_as_long_as_the_samples_do() -> None:
    sample = torch.tensor([[1, MASK], [2, MASK]])
    state = SampleState({"count": 0}, per_token=["credit"])
    state.follow(sample)
    assert state.get("credit") is None
    state["credit"] = torch.ones(2, 2, 5)
    state.returned(sample)
    grown = torch.cat([sample, torch.full((2, 1), MASK)], dim=1)
    assert state.follow(grown).tolist() == [False, False]
    assert state["credit"].shape == (2, 3, 5)
    assert state["credit"][:, 2].abs().sum() == 0
    state.returned(grown)
    # A row that starts afresh says so; its numbers are stale until the method sets them.
    assert state.follow(torch.tensor([[1, MASK, MASK], [3, 3, 3]])).tolist() == [False, True]
    assert state.get("credit") is not None
    assert state.follow(torch.zeros(3, 2, dtype=torch.long)).all()
    assert state.get("credit") is None


def test_what_is_added_is_remembered_beside_what_was_declared() -> None:
    state = SampleState({"count": 3})
    state.add({"step_index": 0, "count": 7})
    state.follow(torch.zeros(1, 2, dtype=torch.long))
    assert (state["count"].item(), state["step_index"].item()) == (3, 0)


def test_a_name_that_was_not_declared_is_refused_with_those_that_were() -> None:
    state = SampleState({"count": 3}, {"confidence": 2.0}, ["credit"])
    with pytest.raises(KeyError, match=r"'counts'; .* count, confidence, credit"):
        state["counts"]
