"""Drafts in the loop: looked at all at once, counted apart from rounds, split where memory ends."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from random_checkpoint import TINY_CONFIGS, write_checkpoint
from torch import Tensor
from toy_denoiser import ToyDenoiser

from samplers import (
    ConfidenceScheduler,
    SessionRequest,
    VerifiedScheduler,
    Wants,
    denoiser_for,
    generate,
    models,
    stream,
)
from samplers.denoisers import open_session

TOY = ToyDenoiser()
MASK = TOY.mask_token_id
PROMPT = torch.tensor([[5, 17, 30], [8, 2, 41], [1, 2, 3]])


def verified(**parameters: Any) -> VerifiedScheduler:
    return VerifiedScheduler(**{"threshold": None, "accept": 0, "drafts": 4, **parameters})


class Counting:
    """Passes everything on, and notes how many rows each forward pass had; it may run out of memory."""

    def __init__(self, most: int | None = None, error: Callable[[], BaseException] = torch.OutOfMemoryError) -> None:
        self.mask_token_id, self.most, self.error = MASK, most, error
        self.rows: list[int] = []

    def __call__(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Any:
        if self.most is not None and len(input_ids) > self.most:
            raise self.error()
        self.rows.append(len(input_ids))
        return TOY(input_ids)


def test_a_round_is_one_forward_pass_over_all_states() -> None:
    model = Counting()
    steps = list(stream(model, PROMPT, scheduler=verified(), max_new_tokens=10))
    assert len(model.rows) == len(steps)
    assert model.rows[0] == 3, "nothing is drafted before the first look"
    for step, rows in zip(steps[:-1], model.rows[1:], strict=True):
        assert rows == 3 + step.output.num_drafts.sum()
    last = steps[-1]
    assert last.num_forward_passes.sum() <= sum(model.rows)
    assert (last.num_rounds < 10).all(), "some draft was taken"
    assert (last.num_forward_passes > last.num_rounds).all()


def test_rounds_and_forward_passes_are_one_without_drafts() -> None:
    output = generate(TOY, PROMPT, scheduler=ConfidenceScheduler(k=2), max_new_tokens=10)
    assert output.num_rounds.tolist() == output.num_forward_passes.tolist() == [5, 5, 5]
    guided = generate(TOY, PROMPT, scheduler=ConfidenceScheduler(k=2), max_new_tokens=10, cfg_scale=1.0)
    assert (guided.num_rounds.tolist(), guided.num_forward_passes.tolist()) == ([5, 5, 5], [10, 10, 10])


def test_guidance_takes_two_forward_passes_a_state() -> None:
    plain = generate(TOY, PROMPT, scheduler=ConfidenceScheduler(k=1), max_new_tokens=8, cfg_scale=0.7)
    output = generate(TOY, PROMPT, scheduler=verified(place="same"), max_new_tokens=8, cfg_scale=0.7)
    assert torch.equal(output.sequences, plain.sequences)
    assert (output.num_forward_passes % 2 == 0).all()
    assert (output.num_forward_passes > 2 * output.num_rounds).all()


def full() -> RuntimeError:
    return RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 byte")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError, full])
def test_a_round_that_does_not_fit_is_run_in_parts(error: Callable[[], BaseException]) -> None:
    whole = generate(Counting(), PROMPT, scheduler=verified(drafts=8), max_new_tokens=10)
    model = Counting(most=5, error=error)
    output = generate(model, PROMPT, scheduler=verified(drafts=8), max_new_tokens=10)
    assert torch.equal(output.sequences, whole.sequences)
    assert torch.equal(output.num_rounds, whole.num_rounds)
    assert torch.equal(output.num_forward_passes, whole.num_forward_passes)
    assert max(model.rows) <= 5


def test_what_does_not_fit_without_drafts_is_not_tried_in_smaller_parts() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        generate(Counting(most=2), PROMPT, scheduler=verified(), max_new_tokens=4)


def test_another_error_is_not_taken_for_full_memory() -> None:
    class Broken(RuntimeError):
        pass

    with pytest.raises(Broken):
        generate(Counting(most=3, error=Broken), PROMPT, scheduler=verified(), max_new_tokens=8)


class LookingSession:
    """The least that a session may have."""

    def __init__(self, only_logits: bool) -> None:
        if only_logits:
            self.window_logits = self._logits
        else:
            self.look = lambda *window: __import__("samplers").ModelView(self._logits(*window))

    def _logits(self, sequences: Tensor, start: int, stop: int) -> Tensor:
        assert len(sequences) == len(PROMPT), "it knows its rows by their number"
        return TOY(sequences).logits[:, start:stop]

    def end_block(self, sequences: Tensor, start: int, stop: int) -> None: ...

    def forget(self) -> None: ...


@pytest.mark.parametrize("only_logits", [True, False])
def test_a_session_that_looks_at_one_state_at_a_time_gives_the_same(only_logits: bool) -> None:
    denoiser = SimpleNamespace(
        mask_token_id=MASK, block_length=None, session=lambda request: LookingSession(only_logits)
    )
    for options in ({}, {"cfg_scale": 0.5}):
        found = generate(denoiser, PROMPT, scheduler=verified(), max_new_tokens=9, block_length=4, **options)
        expected = generate(TOY, PROMPT, scheduler=verified(), max_new_tokens=9, block_length=4, **options)
        assert torch.equal(found.sequences, expected.sequences)
        assert torch.equal(found.num_forward_passes, expected.num_forward_passes)


def test_a_callback_that_changes_tokens_lets_the_drafts_of_that_row_go() -> None:
    model, drafted = Counting(), 0

    def change(number: int, timestep: Any, now: dict[str, Tensor]) -> dict[str, Tensor] | None:
        if number != 1:
            return None
        sample = now["sample"].clone()
        sample[0, 0] = 7
        return {"sample": sample}

    options = {"scheduler": verified(), "max_new_tokens": 10}
    for step in stream(model, PROMPT, **options, callback_on_step_end=change):
        if step.number == 1:
            drafted = int(step.output.num_drafts[1:].sum())
            assert step.output.num_drafts[0] > 0
    assert step.sample[0, 0] == 7
    assert model.rows[2:4] == [3, drafted], "the present states, and the drafts of the other two rows"
    assert torch.equal(step.sample[1:], generate(TOY, PROMPT, **options).answers[1:])
    assert not (step.sample == MASK).any()


def test_a_row_that_was_filled_up_looks_at_its_present_state_alone() -> None:
    # Once an end token is there everything behind it is filled: that row's drafts are of another text.
    scheduler = verified(drafts=6)
    for end in range(MASK):
        options = {"eos_token_id": end, "eos_handling": "fill", "max_new_tokens": 10}
        batch = generate(TOY, PROMPT, scheduler=scheduler, **options)
        for row in range(3):
            alone = generate(TOY, PROMPT[row : row + 1], scheduler=scheduler, **options)
            assert torch.equal(alone.sequences[0], batch.sequences[row])
            assert alone.num_forward_passes[0] == batch.num_forward_passes[row]


def test_banned_end_tokens_are_banned_in_every_state() -> None:
    # The most frequent token of the answers, so that the ban bites.
    free = generate(TOY, PROMPT, scheduler=ConfidenceScheduler(k=1), max_new_tokens=10)
    banned = int(free.answers.flatten().mode().values)
    options = {"eos_token_id": banned, "eos_handling": "ban", "max_new_tokens": 10}
    expected = generate(TOY, PROMPT, scheduler=ConfidenceScheduler(k=1), **options)
    found = generate(TOY, PROMPT, scheduler=verified(place="same"), **options)
    assert torch.equal(found.sequences, expected.sequences)
    assert not (found.answers == banned).any()


def test_drafts_do_not_go_with_shadow_tokens_or_attentions() -> None:
    for other in ({"shadow_logits": True}, {"attentions": 0.5}):
        with pytest.raises(ValueError, match="drafts=3"):
            Wants(drafts=3, **other)


# -- kept keys ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("tiny")
    names = ("sdar", "fast_dllm", "parallelbench", "llada", "dream")
    return {name: models.load(write_checkpoint(folder / name, TINY_CONFIGS[name])) for name in names}


@pytest.mark.parametrize(
    ("name", "cache"),
    [
        ("sdar", None),
        ("sdar", "dual"),
        ("fast_dllm", None),
        ("parallelbench", None),
        ("llada", None),
        ("llada", "prefix"),
        ("llada", "dual"),
        ("dream", "dual"),
    ],
)
def test_states_are_seen_as_they_are_one_by_one(tiny: dict[str, Any], name: str, cache: str | None) -> None:
    model, prompt, block = tiny[name], 8, 4
    ids = torch.randint(0, 60, (3, prompt + 2 * block), generator=torch.Generator().manual_seed(0))
    ids[:, prompt:] = model.mask_token_id
    mask = torch.ones_like(ids)
    mask[1, :4] = 0
    session: Any = open_session(denoiser_for(model), SessionRequest(mask, prompt, block, cache=cache))
    generator = torch.Generator().manual_seed(1)
    rows = torch.tensor([0, 1, 2, 0, 0, 2])
    with torch.no_grad():
        for start in (prompt, prompt + block):
            stop = start + block
            for _ in range(2):
                session.look(ids, start, stop)
                states = ids[rows].clone()
                states[3:, start + 1 : stop] = torch.randint(0, 60, (3, block - 1), generator=generator)
                found = session.look_at_states(states, rows, start, stop).logits
                assert found.shape[:2] == (6, block)
                for state in range(6):
                    one = ids.clone()
                    one[rows[state]] = states[state]
                    expected = session.look(one, start, stop).logits[rows[state]]
                    assert torch.allclose(found[state], expected, atol=1e-4)
            ids[:, start:stop] = torch.randint(0, 60, (3, block), generator=generator)
            session.end_block(ids, start, stop)


@pytest.mark.parametrize("name", ["sdar", "parallelbench", "llada", "dream"])
def test_generation_is_lossless_on_models_with_kept_keys(tiny: dict[str, Any], name: str) -> None:
    prompts = torch.randint(0, 60, (2, 7), generator=torch.Generator().manual_seed(3))
    options = {"max_new_tokens": 12, "block_length": 4}
    one = generate(tiny[name], prompts, scheduler=ConfidenceScheduler(k=1), **options)
    scheduler = verified(place="same", drafts=3)
    assert torch.equal(generate(tiny[name], prompts, scheduler=scheduler, **options).sequences, one.sequences)
