"""End tokens: by default they are tokens like all others; each option does what it says and counts what it skips."""

import types
from typing import Any

import pytest
import torch
from scheduler_cases import FACTORIES, constant_model, every_scheduler, logits_of, row_generator
from torch import Tensor
from toy_denoiser import ToyDenoiser

from samplers import (
    ConfidenceScheduler,
    EntropyScheduler,
    LeftToRightScheduler,
    MarginScheduler,
    ThresholdScheduler,
    generate,
)
from samplers.schedulers.discounts import DiscountedProposal
from samplers.schedulers.proposals import propose

MASK, END, TURN = 5, 4, 3
PROMPT = torch.tensor([[0, 4], [1, 4]])


def scripted(*answers: list[int], confidence: float = 0.9, **attributes: Any) -> Any:
    """A model that is sure of one answer, chosen by the first token of the prompt."""
    table = torch.tensor(answers)
    length = table.shape[1]

    def logits(input_ids: Tensor) -> Tensor:
        words = torch.zeros(*input_ids.shape, 6)
        wanted = torch.nn.functional.one_hot(table[input_ids[:, 0]], 6).double()
        wanted = wanted * confidence + (1 - wanted) * (1 - confidence) / 5
        words[:, -length:] = logits_of(wanted)
        return words

    return constant_model(logits, **({"mask_token_id": MASK, "eos_token_id": END} | attributes))


TWO_ANSWERS = ([0, 1, END, 2, 0, 1, 2, 0], [0, 1, 2, 0, 1, 2, 0, END])


def decode(model: Any = None, **arguments: Any) -> Any:
    defaults = {"scheduler": LeftToRightScheduler(), "max_new_tokens": 8, "block_length": 2}
    return generate(model or scripted(*TWO_ANSWERS), PROMPT, **(defaults | arguments))


def test_end_tokens_are_decoded_like_all_others_by_default() -> None:
    output = decode()
    assert output.sequences[:, 2:].tolist() == list(map(list, TWO_ANSWERS))
    assert output.num_forward_passes.tolist() == [8, 8]
    assert output.num_skipped_tokens.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("block_length", "answer", "passes", "skipped"),
    [(2, [0, 1, END, 2] + [END] * 4, 4, 4), (3, [0, 1] + [END] * 6, 3, 5), (8, list(TWO_ANSWERS[0]), 8, 0)],
)
def test_row_stops_after_the_block_with_its_end_token(
    block_length: int, answer: list[int], passes: int, skipped: int
) -> None:
    output = decode(stop_at_eos=True, block_length=block_length)
    assert output.sequences[0, 2:].tolist() == answer
    assert output.sequences[1, 2:].tolist() == TWO_ANSWERS[1]
    assert output.num_forward_passes.tolist() == [passes, 8]
    assert output.num_skipped_tokens.tolist() == [skipped, 0]


def test_when_all_rows_have_stopped_the_model_is_not_asked_again() -> None:
    calls: list[int] = []
    inner = scripted(*[[0, END, 0, 0, 0, 0, 0, 0]] * 2)

    def model(input_ids: Tensor) -> Any:
        calls.append(1)
        return inner(input_ids)

    output = decode(model, stop_at_eos=True, mask_token_id=MASK, eos_token_id=END)
    assert len(calls) == 2
    assert output.sequences[:, 2:].tolist() == [[0] + [END] * 7] * 2
    assert output.num_skipped_tokens.tolist() == [6, 6]


@every_scheduler
def test_stopping_batch_equals_its_rows_alone(name: str) -> None:
    toy = ToyDenoiser(sharpness=3.0)
    prompts = torch.tensor([[5, 17, 30], [8, 2, 41], [40, 1, 1]])

    def run(rows: list[int], **arguments: Any) -> Any:
        return generate(
            toy,
            prompts[rows],
            scheduler=FACTORIES[name](temperature=1.0),
            max_new_tokens=9,
            block_length=3,
            eos_token_id=list(range(6)),
            generator=[row_generator(row) for row in rows],
            **arguments,
        )

    for arguments in ({"stop_at_eos": True}, {"eos_handling": "fill"}, {"eos_handling": "discount"}):
        together = run([0, 1, 2], **arguments)
        for row in range(3):
            alone = run([row], **arguments)
            assert torch.equal(together.sequences[row], alone.sequences[0])
            assert together.num_forward_passes[row] == alone.num_forward_passes[0]
            assert together.num_skipped_tokens[row] == alone.num_skipped_tokens[0]
        assert not (together.sequences == 47).any()


def test_given_tokens_behind_the_end_stay() -> None:
    prefill = torch.full((2, 8), MASK)
    prefill[0, 6] = 2
    output = decode(stop_at_eos=True, prefill=prefill)
    assert output.sequences[0, 2:].tolist() == [0, 1, END, 2, END, END, 2, END]
    assert output.num_skipped_tokens.tolist() == [3, 0]


def test_banned_end_tokens_are_never_proposed() -> None:
    output = decode(eos_handling="ban", eos_token_id=[END, TURN])
    answers = output.sequences[:, 2:]
    assert not ((answers == END) | (answers == TURN)).any()
    rest = torch.tensor(TWO_ANSWERS) != END
    assert torch.equal(answers[rest], torch.tensor(TWO_ANSWERS)[rest])
    # The prompts hold end tokens, and keep them.
    assert torch.equal(output.sequences[:, :2], PROMPT)
    assert output.num_skipped_tokens.tolist() == [0, 0]


def test_ban_that_leaves_no_token_is_an_error() -> None:
    with pytest.raises(ValueError, match="row 0 are not finite at position 2"):
        decode(eos_handling="ban", eos_token_id=[0, 1, 2, 3, 4])


def test_fill_takes_all_masks_behind_the_first_end_token_at_once() -> None:
    states = decode(eos_handling="fill", return_trajectory=True).trajectory
    assert states[1][0].tolist() == [0, 1] + [MASK] * 6
    assert states[2][0].tolist() == [0, 1] + [END] * 6
    output = decode(eos_handling="fill")
    assert output.num_forward_passes.tolist() == [3, 8]
    assert output.num_skipped_tokens.tolist() == [5, 0]


def test_fill_leaves_what_lies_before_the_end_token_to_be_decoded() -> None:
    # The surest position of all is the end token in the middle of the only block.
    def logits(input_ids: Tensor) -> Tensor:
        words = torch.zeros(*input_ids.shape, 6)
        words[:, :, 1] = 2.0
        words[:, 6, END] = 9.0
        return words

    output = decode(
        constant_model(logits, mask_token_id=MASK, eos_token_id=END),
        scheduler=ConfidenceScheduler(),
        block_length=8,
        eos_handling="fill",
        return_trajectory=True,
    )
    assert output.trajectory[0][0].tolist() == [MASK] * 4 + [END] * 4
    assert output.sequences[0, 2:].tolist() == [1] * 4 + [END] * 4
    assert output.num_forward_passes.tolist() == [5, 5]
    assert output.num_skipped_tokens.tolist() == [3, 3]


def test_filled_tokens_of_several_end_tokens_are_the_first_named() -> None:
    output = decode(eos_handling="fill", eos_token_id=[TURN, END])
    assert output.sequences[0, 2:].tolist() == [0, 1, END] + [TURN] * 5


def uneven(input_ids: Tensor) -> Tensor:
    """Word 1 everywhere with a probability of 0.6, and the end token at the last two positions with 0.8."""
    answer = torch.full((8, 6), 0.1)
    answer[:, 1] = 0.6
    answer[6:] = 0.05
    answer[6:, END] = 0.8
    answer[:, MASK] = 0
    logits = torch.zeros(*input_ids.shape, 6)
    logits[:, -8:] = logits_of(answer)
    return logits


UNEVEN = constant_model(uneven, mask_token_id=MASK, eos_token_id=END)


def order_of(output: Any) -> list[int]:
    """Number of the step that committed each position of row 0."""
    return [next(n for n, state in enumerate(output.trajectory) if state[0, i] != MASK) for i in range(8)]


@pytest.mark.parametrize("scheduler", [ConfidenceScheduler, MarginScheduler, EntropyScheduler])
def test_discounted_end_tokens_come_later_and_stay_end_tokens(scheduler: Any) -> None:
    def run(**arguments: Any) -> Any:
        return decode(UNEVEN, scheduler=scheduler(), block_length=8, return_trajectory=True, **arguments)

    plain = run()
    assert order_of(plain)[6:] == [0, 1]
    for discount in (0.4, 0.0, (0.4, 1.0), (0.0, 0.0)):
        output = run(eos_handling="discount", eos_discount=discount)
        if discount == (0.4, 1.0):
            # From 0.4 at the start the factor grows until 0.8 of it passes 0.6, if anything is left by then.
            assert 0 < order_of(output)[6] < 8
        else:
            assert order_of(output)[6:] == [6, 7]
        assert torch.equal(output.sequences, plain.sequences)
    assert order_of(run(eos_handling="discount", eos_discount=1.0)) == order_of(plain)


def test_discount_grows_with_the_share_that_is_decoded() -> None:
    # 0.8 (0.4 + 0.6 s) exceeds 0.6 where the share s does 7/12: when five of eight are committed.
    output = decode(
        UNEVEN, scheduler=ConfidenceScheduler(), block_length=8, eos_handling="discount", return_trajectory=True
    )
    assert order_of(output) == [0, 1, 2, 3, 4, 7, 5, 6]


def test_discount_counts_against_a_threshold() -> None:
    plain = decode(UNEVEN, scheduler=ThresholdScheduler(threshold=0.7), block_length=8, return_trajectory=True)
    assert order_of(plain)[6:] == [0, 0]
    output = decode(
        UNEVEN,
        scheduler=ThresholdScheduler(threshold=0.55),
        block_length=8,
        eos_handling="discount",
        eos_discount=0.5,
        return_trajectory=True,
    )
    assert order_of(output) == [0] * 6 + [1, 2]


def test_orders_that_ignore_the_confidence_ignore_its_discount() -> None:
    for name in ("left_to_right", "random"):
        runs = [
            decode(UNEVEN, scheduler=FACTORIES[name](), generator=row_generator(0), **arguments)
            for arguments in ({}, {"eos_handling": "discount", "eos_discount": 0.1})
        ]
        assert torch.equal(runs[0].sequences, runs[1].sequences)


def test_step_still_reports_the_models_own_probability() -> None:
    sample = torch.full((1, 8), MASK)
    logits = uneven(sample)
    for factor in (0.25, torch.tensor([0.25])):
        output = ConfidenceScheduler().step(logits, 0, sample, mask_token_id=MASK, token_discounts={END: factor})
        torch.testing.assert_close(output.sampled_probs[0, 6:], torch.tensor([0.8, 0.8]))
        assert output.transfer_index[0].tolist() == [True] + [False] * 7
        assert not output.invalid.any()


def test_discounted_proposal() -> None:
    logits = uneven(torch.full((1, 8), MASK))
    proposal = propose(logits, mask_token_id=MASK)
    less = DiscountedProposal(proposal, {END: 0.5})
    changed = proposal.tokens == END
    assert changed.sum() == 2
    for value, expected in (
        (less.confidence, proposal.confidence * 0.5),
        (less.margin(), proposal.margin() * 0.5),
        (less.negative_entropy(), proposal.negative_entropy() + torch.tensor(0.5).log()),
    ):
        torch.testing.assert_close(value[changed], expected[changed])
    assert torch.equal(less.margin()[~changed], proposal.margin()[~changed])
    assert DiscountedProposal(proposal, {END: 0.0}).negative_entropy().isfinite().all()


def test_end_token_comes_from_the_model_its_config_or_the_call() -> None:
    for attributes in (
        {"eos_token_id": END},
        {"eos_token_id": None, "config": types.SimpleNamespace(eos_token_id=[END, TURN])},
    ):
        assert decode(scripted(*TWO_ANSWERS, **attributes), stop_at_eos=True).num_skipped_tokens.tolist() == [4, 0]
    assert decode(stop_at_eos=True, eos_token_id=1).num_skipped_tokens.tolist() == [6, 6]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stop_at_eos": True, "model": "nameless"}, "stop_at_eos=True, but neither .* pass eos_token_id="),
        ({"eos_handling": "ban", "model": "nameless"}, "eos_handling='ban', but neither .* pass eos_token_id="),
        ({"eos_handling": "skip"}, "eos_handling='skip' should be one of ban, discount, fill"),
        ({"eos_handling": "discount", "eos_discount": 1.5}, r"eos_discount=1\.5 should be in \[0, 1\]"),
        ({"eos_handling": "discount", "eos_discount": (0.1, -1)}, r"eos_discount=-1 should be in \[0, 1\]"),
        ({"eos_discount": (0.1, 0.2, 0.3)}, r"eos_discount=\(0\.1, 0\.2, 0\.3\) should be"),
        ({"stop_at_eos": 1}, "stop_at_eos=1 should be True or False"),
        ({"stop_at_eos": True, "eos_token_id": [1.5]}, r"eos_token_id=\[1\.5\] should be the id of an end token"),
        ({"stop_at_eos": True, "eos_token_id": []}, "pass eos_token_id="),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    model = scripted(*TWO_ANSWERS)
    if arguments.pop("model", None):
        model = scripted(*TWO_ANSWERS, eos_token_id=None)
    with pytest.raises(ValueError, match=message):
        decode(model, **arguments)
