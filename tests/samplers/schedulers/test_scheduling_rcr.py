"""RCR: how many are masked after every step, which, and what its two scopes remember."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import Window, confident_logits, property_test, walk, windows

from samplers import RCRScheduler

MASK = 3


def quota(masks: int, arguments: dict[str, int]) -> list[int]:
    if "k" in arguments:
        k = arguments["k"]
        return [k] * (masks // k) + ([masks % k] if masks % k else [])
    steps = arguments["num_inference_steps"]
    return [masks // steps + (step < masks % steps) for step in range(steps)]


@property_test(40)
@given(
    window=windows(),
    arguments=st.one_of(
        st.fixed_dictionaries({"k": st.integers(1, 5)}),
        st.fixed_dictionaries({"num_inference_steps": st.integers(1, 7)}),
    ),
    scope=st.sampled_from(["window", "sequence"]),
)
def test_what_is_due_later_is_masked_after_every_step(window: Window, arguments: dict[str, int], scope: str) -> None:
    outputs = walk(RCRScheduler(scope=scope, **arguments), window)
    for row in range(len(window.sample)):
        quotas = quota(int((window.sample[row] == window.mask_token_id).sum()), arguments)
        for step, output in enumerate(outputs):
            assert (output.prev_sample[row] == window.mask_token_id).sum() == sum(quotas[step + 1 :])


@property_test(40)
@given(window=windows(max_batch=2, max_window=7), steps=st.integers(1, 5))
def test_the_least_sure_of_all_that_were_committed_are_masked_again(window: Window, steps: int) -> None:
    mask = window.mask_token_id
    rows = [list(row) for row in window.sample.tolist()]
    remembered: list[dict[int, float]] = [{} for _ in rows]
    masks = [row.count(mask) for row in rows]
    for step, output in enumerate(walk(RCRScheduler(num_inference_steps=steps), window)):
        tokens, probabilities = output.sampled_tokens.tolist(), output.sampled_probs.tolist()
        for number, row in enumerate(rows):
            for position, token in enumerate(row):
                if token == mask:
                    row[position] = tokens[number][position]
                    remembered[number][position] = probabilities[number][position]
            due_later = sum(quota(masks[number], {"num_inference_steps": steps})[step + 1 :])
            least_sure = sorted(remembered[number], key=lambda p: (remembered[number][p], p))
            for position in least_sure[:due_later]:
                row[position] = mask
                del remembered[number][position]
        assert output.prev_sample.tolist() == rows


def test_a_token_of_an_earlier_step_may_be_masked_again() -> None:
    scheduler = RCRScheduler(num_inference_steps=3)
    sample = torch.full((1, 3), MASK)
    first = scheduler.step(confident_logits([0.6, 0.5, 0.4]), 0, sample, mask_token_id=MASK)
    assert first.prev_sample.tolist() == [[1, MASK, MASK]]
    assert first.transfer_index.tolist() == [[True, False, False]]
    assert not first.remask_index.any()
    second = scheduler.step(confident_logits([0.9, 0.8, 0.7]), 1, first.prev_sample, mask_token_id=MASK)
    assert second.prev_sample.tolist() == [[MASK, 1, 1]]
    assert second.transfer_index.tolist() == [[False, True, True]]
    assert second.remask_index.tolist() == second.editing_transfer_index.tolist() == [[True, False, False]]
    third = scheduler.step(confident_logits([0.9, 0.8, 0.7]), 2, second.prev_sample, mask_token_id=MASK)
    assert third.prev_sample.tolist() == [[1, 1, 1]]


def test_tokens_it_did_not_commit_are_never_masked() -> None:
    scheduler = RCRScheduler(num_inference_steps=2)
    sample = torch.tensor([[2, MASK, 0, MASK]])
    output = scheduler.step(confident_logits([0.4, 0.9, 0.4, 0.8]), 0, sample, mask_token_id=MASK)
    assert output.prev_sample.tolist() == [[2, 1, 0, MASK]]


def two_blocks(scope: str) -> list[list[list[int]]]:
    """States of the sequence while two blocks of two are decoded; the second block is much surer than the first."""
    scheduler, states = RCRScheduler(num_inference_steps=2, scope=scope), []
    sequence = torch.full((1, 4), MASK)
    for stop in (2, 4):
        start = 0 if scope == "sequence" else stop - 2
        scheduler.start_block()
        for _ in range(2):
            logits = confident_logits([0.5, 0.4, 0.9, 0.8])[:, start:stop]
            window = sequence[:, start:stop]
            sequence = sequence.clone()
            sequence[:, start:stop] = scheduler.step(logits, 0, window, mask_token_id=MASK).prev_sample
            states.append(sequence[0].tolist())
    return states


def test_sequence_scope_revises_earlier_blocks_and_window_scope_does_not() -> None:
    assert two_blocks("window") == [[1, 3, 3, 3], [1, 1, 3, 3], [1, 1, 1, 3], [1, 1, 1, 1]]
    assert two_blocks("sequence") == [[1, 3, 3, 3], [1, 1, 3, 3], [1, 3, 1, 1], [1, 1, 1, 1]]


def test_unknown_scope_is_refused() -> None:
    with pytest.raises(ValueError, match=r"scope='block' .*window, sequence"):
        RCRScheduler(scope="block")


@pytest.mark.parametrize("arguments", [{"k": 0}, {"num_inference_steps": 0}, {"k": 1, "num_inference_steps": 1}])
def test_bad_quotas_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        RCRScheduler(**arguments)
