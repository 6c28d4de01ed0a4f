"""States: a record of each, whatever stands beside it in the batch, and a loop that is sent its views."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from random_checkpoint import written
from toy_denoiser import ToyDenoiser

from samplers import (
    ConfidenceScheduler,
    Decoding,
    GenerationArguments,
    Look,
    RandomScheduler,
    StateReader,
    denoiser_for,
    generate,
    models,
)
from samplers.schedulers.proposals import RECORDED, Proposal

NEW, MASK = 9, 63
FAMILIES = ("llada", "dream", "sdar", "fast_dllm", "parallelbench")


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return models.load(written(tmp_path_factory.mktemp("models"), request.param, std=0.4), dtype="float32")


@pytest.fixture(scope="module")
def prompts() -> tuple[torch.Tensor, torch.Tensor]:
    """Three of different lengths, padded on the left."""
    ids = torch.randint(0, 60, (3, 7), generator=torch.Generator().manual_seed(1))
    mask = torch.tensor([[1] * 7, [0, 0, *[1] * 5], [0, *[1] * 6]])
    return ids, mask


def reader(model: Any, prompts: tuple[torch.Tensor, torch.Tensor]) -> StateReader:
    return StateReader(model, *prompts, max_new_tokens=NEW, mask_token_id=MASK)


def states(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    answers = torch.randint(0, 60, (count, NEW), generator=generator)
    answers[torch.rand(count, NEW, generator=generator) < 0.5] = MASK
    answers[:, -1] = MASK
    return torch.randint(0, 3, (count,), generator=generator), answers


def test_a_record_is_what_a_pass_over_the_prompt_and_the_answer_alone_says(model: Any, prompts: Any) -> None:
    which, answers = states(12)
    record = reader(model, prompts).read(which, answers)
    for row, (prompt, answer) in enumerate(zip(which.tolist(), answers, strict=True)):
        ids = prompts[0][prompt][prompts[1][prompt] == 1]
        sequence = torch.cat([ids, answer])[None]
        with torch.no_grad():
            options = {"prompt_length": len(ids)} if model.attention == "prompt_first" else {}
            logits = model(sequence, **options).logits[:, len(ids) :]
        expected = Proposal(logits, MASK).record()
        masked = answer == MASK
        for name in RECORDED:
            found, wanted = getattr(record, name)[row][masked], getattr(expected, name)[0][masked]
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
            assert not getattr(record, name)[row][~masked].any()


def test_a_record_does_not_depend_on_the_states_beside_it(model: Any, prompts: Any) -> None:
    which, answers = states(12)
    made = reader(model, prompts)
    together = made.read(which, answers)
    for row in range(12):
        alone = made.read(which[row : row + 1], answers[row : row + 1])
        for name in RECORDED:
            torch.testing.assert_close(getattr(alone, name)[0], getattr(together, name)[row], rtol=1e-5, atol=1e-6)


def test_a_record_does_not_depend_on_the_padding_that_the_model_is_shown(model: Any, prompts: Any) -> None:
    which, answers = torch.tensor([1, 2]), states(2)[1]
    made = reader(model, prompts)
    shown, whole = made.read(which, answers, length=6), made.read(which, answers)
    for name in RECORDED:
        torch.testing.assert_close(getattr(shown, name), getattr(whole, name), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("block_length", [None, 4, 5])
def test_a_loop_that_is_sent_records_decodes_what_it_decodes_with_the_model(
    model: Any, prompts: Any, block_length: int | None
) -> None:
    for scheduler in (ConfidenceScheduler(k=2), RandomScheduler(k=3)):
        common = {"scheduler": scheduler, "max_new_tokens": NEW, "block_length": block_length}

        def noise() -> list[torch.Generator]:
            return [torch.Generator().manual_seed(seed) for seed in range(3)]

        expected = generate(model, prompts[0], attention_mask=prompts[1], generator=noise(), **common)
        arguments = GenerationArguments(model, prompts[0], attention_mask=prompts[1], generator=noise(), **common)
        decoding, made = Decoding(arguments), reader(model, prompts)
        looks = decoding.looks()
        steps = 0
        for event in looks:
            while isinstance(event, Look):
                assert len(event.unfinished) == 3
                rows = torch.tensor(event.unfinished).nonzero()[:, 0]
                record = made.read(torch.arange(3)[rows], event.answers[rows])
                whole = {name: torch.zeros(3, NEW, dtype=getattr(record, name).dtype) for name in RECORDED}
                for name in RECORDED:
                    whole[name][rows] = getattr(record, name)
                sent = type(record)(**whole, vocab_size=record.vocab_size)
                event = looks.send(decoding.recorded_view(event, sent))
            steps += 1
        assert torch.equal(decoding.sequences, expected.sequences)
        assert torch.equal(decoding.num_forward_passes, expected.num_forward_passes)
        assert steps >= int(expected.num_forward_passes.max())


def test_single_positions_of_a_model_that_knows_them_not_are_those_of_a_window() -> None:
    model = ToyDenoiser()
    made = StateReader(model, torch.tensor([[1, 2, 3]]), None, max_new_tokens=4, mask_token_id=47)
    answer = torch.tensor([[5, 47, 6, 47]])
    record = made.read(torch.tensor([0]), answer)
    logits = denoiser_for(model).window_logits(torch.cat([torch.tensor([[1, 2, 3]]), answer], dim=1), None, 3, 7)
    expected = Proposal(logits, 47).record()
    assert record.tokens[0, [1, 3]].tolist() == expected.tokens[0, [1, 3]].tolist()
    assert record.confidence[0, [1, 3]].tolist() == expected.confidence[0, [1, 3]].tolist()


def test_a_denoiser_with_sessions_of_its_own_is_not_read() -> None:
    own = SimpleNamespace(mask_token_id=1, block_length=None, session=lambda request: None)
    assert not StateReader.reads(own)
    assert StateReader.reads(ToyDenoiser())
    for said in ({"attention": "causal_context"}, {"attention": "full", "expert_capacity": 2}):
        model = ToyDenoiser()
        for name, value in said.items():
            setattr(model, name, value)
        assert not StateReader.reads(model)
    with pytest.raises(ValueError, match="hangs on more than tokens"):
        StateReader(own, torch.tensor([[1]]), None, max_new_tokens=4, mask_token_id=1)


def test_logits_of_single_positions_are_those_of_the_whole(tmp_path: Path) -> None:
    for family in ("llada", "dream"):
        model = models.load(written(tmp_path, family, std=0.4), dtype="float32")
        ids = torch.randint(0, 60, (4, 8), generator=torch.Generator().manual_seed(0))
        sequence, position = torch.tensor([0, 0, 1, 3]), torch.tensor([0, 7, 2, 5])
        with torch.no_grad():
            whole = model(ids).logits
            single = model(ids, logits_to_keep=torch.stack([sequence, position])).logits
        torch.testing.assert_close(single[0], whole[sequence, position])
