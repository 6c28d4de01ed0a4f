"""The loop: blocks, counting forward passes, trajectories, and what it refuses."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import FACTORIES, constant_model, every_scheduler, property_test, row_generator
from torch import Tensor
from toy_denoiser import ToyDenoiser

from samplers import (
    ConfidenceScheduler,
    FactorScheduler,
    LeftToRightScheduler,
    RandomScheduler,
    ReMDMScheduler,
    ThresholdScheduler,
    generate,
)
from samplers.schedulers.scheduling_utils import Step, UnmaskingScheduler

MASK = 47
TOY = ToyDenoiser()
PROMPT = torch.tensor([[5, 17, 30], [8, 2, 41]])


@every_scheduler
@property_test(5)
@given(
    prompt_length=st.integers(0, 4),
    max_new_tokens=st.integers(1, 9),
    block_length=st.one_of(st.none(), st.integers(1, 12)),
    temperature=st.sampled_from([0.0, 1.0]),
)
def test_everything_is_decoded_and_the_prompt_stays(
    name: str, prompt_length: int, max_new_tokens: int, block_length: int | None, temperature: float
) -> None:
    prompt = torch.randint(0, 48, (2, prompt_length), generator=row_generator(prompt_length))
    prompt[:, 1:2] = MASK
    output = generate(
        TOY,
        prompt,
        scheduler=FACTORIES[name](temperature=temperature),
        max_new_tokens=max_new_tokens,
        block_length=block_length,
        generator=row_generator(1),
        return_trajectory=True,
    )
    assert torch.equal(output.sequences[:, :prompt_length], prompt)
    answers = output.sequences[:, prompt_length:]
    assert answers.shape == (2, max_new_tokens)
    assert not (answers == MASK).any()
    assert torch.equal(output.trajectory[-1], answers)
    assert len(output.trajectory) >= output.num_rounds.max() >= 1


@pytest.mark.parametrize(("block_length", "passes"), [(4, 2 + 2 + 1), (3, 2 + 2 + 2 + 1), (1, 10), (20, 5), (None, 5)])
def test_blocks_are_decoded_from_the_left_and_the_last_may_be_shorter(block_length: int | None, passes: int) -> None:
    scheduler = ConfidenceScheduler(k=2)
    output = generate(
        TOY, PROMPT, scheduler=scheduler, max_new_tokens=10, block_length=block_length, return_trajectory=True
    )
    assert output.num_forward_passes.tolist() == [passes, passes]
    assert len(output.trajectory) == passes
    width = min(block_length or 10, 10)
    for state in output.trajectory:
        block = (state != MASK).any(dim=0).nonzero().max().item() // width
        assert (state[:, : block * width] != MASK).all(), "a block begins before the one to its left is finished"


def test_block_length_of_the_model_is_the_default() -> None:
    model = ToyDenoiser()
    model.block_length = 2
    for given_length, expected in ((None, [[0, 1], [0, 1, 2, 3]]), (4, [[0, 1, 2, 3]])):
        output = generate(
            model,
            PROMPT,
            scheduler=ConfidenceScheduler(k=4),
            max_new_tokens=4,
            block_length=given_length,
            return_trajectory=True,
        )
        assert [(state[0] != MASK).nonzero().flatten().tolist() for state in output.trajectory] == expected


@pytest.mark.parametrize("block_length", [1, 2, 3, 8])
@pytest.mark.parametrize(("remask_steps", "remask_tokens"), [(1, 1), (3, 2), (6, 9)])
def test_revisions_cost_their_passes_in_blocks_of_any_length(
    block_length: int, remask_steps: int, remask_tokens: int
) -> None:
    scheduler = ReMDMScheduler(num_inference_steps=1, remask_steps=remask_steps, remask_tokens=remask_tokens)
    output = generate(TOY, PROMPT, scheduler=scheduler, max_new_tokens=8, block_length=block_length)
    blocks = -(-8 // block_length)
    assert output.num_forward_passes.tolist() == [blocks * (1 + remask_steps)] * 2


def row_by_row_confidence(input_ids: Tensor) -> Tensor:
    """Logits of six words, very sure where the first prompt token is 1 and unsure elsewhere."""
    logits = torch.zeros(*input_ids.shape, 6)
    logits[..., 2] = torch.where(input_ids[:, :1] == 1, 20.0, 0.1)
    return logits


def test_each_row_counts_the_passes_it_needed() -> None:
    output = generate(
        constant_model(row_by_row_confidence, mask_token_id=5),
        torch.tensor([[0, 3], [1, 3], [0, 4]]),
        scheduler=ThresholdScheduler(threshold=0.9),
        max_new_tokens=6,
        block_length=3,
        return_trajectory=True,
    )
    assert output.num_forward_passes.tolist() == [6, 2, 6]
    assert output.num_forward_passes.dtype == torch.long
    # The row that is done with its block waits for the others, unchanged.
    finished = [(state[1] != 5).sum().item() for state in output.trajectory]
    assert finished == [3, 3, 3, 6, 6, 6]


def test_trajectory_is_kept_only_if_asked_for_and_holds_copies() -> None:
    assert generate(TOY, PROMPT, scheduler=ConfidenceScheduler(), max_new_tokens=2).trajectory is None
    states = generate(
        TOY, PROMPT, scheduler=LeftToRightScheduler(), max_new_tokens=3, return_trajectory=True
    ).trajectory
    assert [(state == MASK).sum(dim=1).tolist() for state in states] == [[2, 2], [1, 1], [0, 0]]


def test_generation_does_not_change_its_input_or_track_gradients() -> None:
    prompt = PROMPT.clone()
    output = generate(TOY, prompt, scheduler=ConfidenceScheduler(), max_new_tokens=4)
    assert torch.equal(prompt, PROMPT)
    assert output.sequences.dtype == torch.long
    weight = torch.nn.Parameter(torch.zeros(6))
    model = constant_model(lambda input_ids: weight.expand(*input_ids.shape, 6), mask_token_id=5)
    assert generate(model, PROMPT % 5, scheduler=ConfidenceScheduler(), max_new_tokens=2).sequences.shape == (2, 5)


def test_empty_batch_and_empty_prompt() -> None:
    nobody = generate(TOY, torch.zeros(0, 3, dtype=torch.long), scheduler=ConfidenceScheduler(), max_new_tokens=2)
    assert nobody.sequences.shape == (0, 5)
    unprompted = generate(TOY, torch.zeros(2, 0, dtype=torch.long), scheduler=ConfidenceScheduler(), max_new_tokens=2)
    assert unprompted.num_forward_passes.tolist() == [2, 2]


def test_mask_token_of_the_call_wins_over_the_models() -> None:
    model = constant_model(row_by_row_confidence, mask_token_id=2)
    output = generate(model, torch.tensor([[1, 2]]), scheduler=ConfidenceScheduler(), max_new_tokens=2, mask_token_id=5)
    assert output.sequences.tolist() == [[1, 2, 2, 2]]


@every_scheduler
def test_scheduler_used_before_gives_what_a_new_one_gives(name: str) -> None:
    used = FACTORIES[name]()
    arguments: dict[str, Any] = {"max_new_tokens": 6, "block_length": 4}
    generate(TOY, PROMPT, scheduler=used, max_new_tokens=5, generator=row_generator(0))
    again = generate(TOY, PROMPT, scheduler=used, generator=row_generator(1), **arguments)
    new = generate(TOY, PROMPT, scheduler=FACTORIES[name](), generator=row_generator(1), **arguments)
    assert torch.equal(again.sequences, new.sequences)
    assert torch.equal(again.num_forward_passes, new.num_forward_passes)


@every_scheduler
@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_broken_logits_raise_and_name_row_and_position(name: str, broken: float) -> None:
    def logits(input_ids: Tensor) -> Tensor:
        values = torch.zeros(*input_ids.shape, 6)
        values[1, 3, 2] = broken
        return values

    with pytest.raises(ValueError, match=r"step 0: the scores of row 1 are not finite at position 3 "):
        generate(
            constant_model(logits, mask_token_id=5),
            torch.zeros(3, 2, dtype=torch.long),
            scheduler=FACTORIES[name](),
            max_new_tokens=4,
            generator=row_generator(0),
        )


def test_position_without_possible_token_raises_and_one_impossible_token_does_not() -> None:
    def logits_with(value: Any) -> Any:
        logits = torch.zeros(6)
        logits[:value] = -torch.inf
        return constant_model(lambda input_ids: logits.expand(*input_ids.shape, 6), mask_token_id=5)

    prompt = torch.zeros(1, 2, dtype=torch.long)
    for scheduler in (ConfidenceScheduler(), FactorScheduler(), RandomScheduler(temperature=1.0)):
        output = generate(logits_with(4), prompt, scheduler=scheduler, max_new_tokens=3)
        assert output.sequences.tolist() == [[0, 0, 4, 4, 4]]
        with pytest.raises(ValueError, match=r"row 0 are not finite at position 2 .*nothing but -inf"):
            generate(logits_with(5), prompt, scheduler=scheduler, max_new_tokens=3)


def test_broken_logits_of_a_finished_row_or_of_the_prompt_do_no_harm() -> None:
    def logits(input_ids: Tensor) -> Tensor:
        values = row_by_row_confidence(input_ids)
        values[input_ids != 5] = torch.nan
        return values

    output = generate(
        constant_model(logits, mask_token_id=5),
        torch.tensor([[0, 3], [1, 3]]),
        scheduler=ThresholdScheduler(),
        max_new_tokens=3,
    )
    assert output.num_forward_passes.tolist() == [3, 1]


class NeverCommits(UnmaskingScheduler):
    """A scheduler that breaks the rule of progress."""

    def select(self, step: Step, scores: Tensor) -> Tensor:
        return torch.zeros_like(step.masked)


def test_scheduler_that_never_commits_is_stopped() -> None:
    with pytest.raises(ValueError, match=r"NeverCommits changed nothing in \d+ steps, .* rows \[0, 1\]"):
        generate(TOY, PROMPT, scheduler=NeverCommits(), max_new_tokens=4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_ids": torch.zeros(3, dtype=torch.long)}, r"input_ids has shape \(3,\)"),
        ({"input_ids": torch.zeros(2, 3)}, r"dtype torch.float32; it should be \(batch, prompt\), long"),
        ({"input_ids": torch.zeros(2, 3, dtype=torch.int32)}, r"dtype torch.int32; it should be"),
        ({"max_new_tokens": 0}, "max_new_tokens=0 should be a whole number of at least 1"),
        ({"max_new_tokens": 2.5}, r"max_new_tokens=2\.5 should be a whole number of at least 1"),
        ({"max_new_tokens": None}, "max_new_tokens=None should be a whole number of at least 1"),
        ({"block_length": 0}, "block_length=0 should be a whole number of at least 1"),
        ({"block_length": -4}, "block_length=-4 should be a whole number of at least 1"),
        ({"attention_mask": torch.ones(2, 2)}, r"attention_mask has shape \(2, 2\); it should be .*\(2, 3\)"),
        ({"attention_mask": torch.tensor([[1, 1, 0], [1, 1, 1]])}, "prompts are padded on the left"),
        ({"attention_mask": torch.tensor([[1, 0, 1], [1, 1, 1]])}, "prompts are padded on the left"),
        ({"attention_mask": torch.tensor([[0, 0, 0], [1, 1, 1]])}, "prompts are padded on the left"),
        ({"generator": []}, "got 0 generators for a batch of 2 rows; give one per row"),
        ({"generator": [None] * 3}, "got 3 generators for a batch of 2 rows; give one per row"),
        ({"mask_token_id": None}, "mask_token_id is not known: .* pass mask_token_id="),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    model = constant_model(row_by_row_confidence)
    defaults: dict[str, Any] = {"input_ids": PROMPT, "scheduler": ConfidenceScheduler(), "mask_token_id": 5}
    with pytest.raises(ValueError, match=message):
        generate(model, **(defaults | arguments))


def test_input_that_is_no_tensor_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="input_ids is a list; it should be a tensor"):
        generate(TOY, [[1, 2]], scheduler=ConfidenceScheduler())


def test_padded_batch_needs_a_model_that_takes_the_mask() -> None:
    with pytest.raises(ValueError, match="the batch is padded, but function takes no attention_mask"):
        generate(
            constant_model(row_by_row_confidence, mask_token_id=5),
            torch.zeros(2, 3, dtype=torch.long),
            scheduler=ConfidenceScheduler(),
            attention_mask=torch.tensor([[0, 1, 1], [1, 1, 1]]),
        )


def test_model_without_logits_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"has no tensor \.logits"):
        generate(lambda input_ids: (input_ids,), PROMPT, scheduler=ConfidenceScheduler(), mask_token_id=5)


def test_logits_of_the_wrong_length_are_refused() -> None:
    model = constant_model(lambda input_ids: torch.zeros(len(input_ids), 2, 6), mask_token_id=5)
    with pytest.raises(ValueError, match="returned logits of shape"):
        generate(model, PROMPT % 5, scheduler=ConfidenceScheduler(), max_new_tokens=4)
