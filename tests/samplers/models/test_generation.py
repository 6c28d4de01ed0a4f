"""`generate` with models of every family: blocks on the model's grid, padded batches, prompts with mask tokens."""

from pathlib import Path
from typing import Any

import pytest
import torch
from random_checkpoint import TINY_CONFIGS, write_checkpoint
from support import slow_except
from torch import Tensor

import samplers
from samplers import (
    ConfidenceScheduler,
    FactorScheduler,
    RandomScheduler,
    RCRScheduler,
    ReMDMScheduler,
    ThresholdScheduler,
    generate,
    models,
)
from samplers.denoisers import ModelDenoiser, StatelessSession
from samplers.loop.layout import grid_layout

MASK = 63
SCHEDULERS = {
    "confidence": lambda: ConfidenceScheduler(k=2),
    "random": lambda: RandomScheduler(k=1, temperature=1.0),
    "threshold": lambda: ThresholdScheduler(threshold=0.2),
    "factor": lambda: FactorScheduler(),
    "rcr": lambda: RCRScheduler(k=2, scope="sequence"),
    "remdm": lambda: ReMDMScheduler(k=1),
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("tiny")
    return {name: models.load(write_checkpoint(folder / name, config)) for name, config in TINY_CONFIGS.items()}


def prompts(lengths: list[int], seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.randint(0, 60, (length,), generator=generator) for length in lengths]
    for row in rows:
        row[-1] = 62
    return rows


def batch_of(rows: list[Tensor]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, rows))
    ids = torch.stack([torch.cat([torch.full((longest - len(row),), 60), row]) for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    return ids, mask


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(7) for _ in range(count)]


class Uncached(ModelDenoiser):
    """Runs the whole sequence at every step."""

    def session(self, request: Any) -> StatelessSession:
        return StatelessSession(self, request)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("name", slow_except(("llada", "dream", "sdar", "llada2", "a2d_llama"), TINY_CONFIGS))
def test_padded_batch_equals_its_rows_alone(tiny: dict[str, Any], name: str, scheduler: str) -> None:
    rows = prompts([9, 5, 6])
    ids, mask = batch_of(rows)
    options: dict[str, Any] = {"max_new_tokens": 11, "block_length": None if scheduler == "random" else 4}
    together = generate(
        tiny[name], ids, attention_mask=mask, scheduler=SCHEDULERS[scheduler](), generator=generators(3), **options
    )
    assert not (together.sequences[:, ids.shape[1] :] == MASK).any()
    for index, row in enumerate(rows):
        alone = generate(tiny[name], row[None], scheduler=SCHEDULERS[scheduler](), generator=generators(1), **options)
        assert together.sequences[index, ids.shape[1] :].tolist() == alone.sequences[0, len(row) :].tolist()
        assert together.num_forward_passes[index] == alone.num_forward_passes[0]


@pytest.mark.parametrize("scheduler", ["confidence", "rcr"])
@pytest.mark.parametrize(
    "name", ["sdar", "fast_dllm", "llada2", "parallelbench", "llada2_2", "nemotron_labs_diffusion"]
)
def test_kept_keys_change_no_token(tiny: dict[str, Any], name: str, scheduler: str) -> None:
    ids, mask = batch_of(prompts([9, 5, 6]))
    options: dict[str, Any] = {"attention_mask": mask, "max_new_tokens": 12, "block_length": 4}
    kept = generate(tiny[name], ids, scheduler=SCHEDULERS[scheduler](), **options)
    plain = generate(Uncached(tiny[name]), ids, scheduler=SCHEDULERS[scheduler](), **options)
    assert torch.equal(kept.sequences, plain.sequences)


@pytest.mark.parametrize("prompt", [4, 5, 7])
def test_blocks_lie_on_the_grid_of_the_model(tiny: dict[str, Any], prompt: int) -> None:
    """Decoding greedily by hand: all of a block before the next, and blocks counted from the prompt's first token."""
    model, new = tiny["sdar"], 9
    ids = prompts([prompt])[0][None]
    now = torch.cat([ids, torch.full((1, new), MASK)], dim=1)
    for start in range(prompt - prompt % 4, prompt + new, 4):
        stop = min(start + 4, prompt + new)
        while (now[:, start:stop] == MASK).any():
            logits = model(now[:, :stop]).logits[:, start:stop].clone()
            logits[..., MASK] = -torch.inf
            best, tokens = logits.softmax(dim=-1).max(dim=-1)
            place = best.masked_fill(now[:, start:stop] != MASK, -1).argmax(dim=1)
            now[0, start + place] = tokens[0, place]
    output = generate(model, ids, scheduler=ConfidenceScheduler(k=1), max_new_tokens=new)
    assert output.sequences.tolist() == now.tolist()
    assert output.num_forward_passes.tolist() == [new]


@pytest.mark.parametrize("name", TINY_CONFIGS)
def test_mask_tokens_of_a_prompt_stay(tiny: dict[str, Any], name: str) -> None:
    rows = prompts([7, 6])
    for row in rows:
        row[-2] = row[1] = MASK
    ids, mask = batch_of(rows)
    together = generate(tiny[name], ids, attention_mask=mask, scheduler=ConfidenceScheduler(k=1), max_new_tokens=6)
    assert torch.equal(together.sequences[:, :7], ids)
    alone = generate(tiny[name], rows[1][None], scheduler=ConfidenceScheduler(k=1), max_new_tokens=6)
    assert together.sequences[1, 7:].tolist() == alone.sequences[0, 6:].tolist()
    # The model sees them: with other tokens in their place it answers otherwise.
    other = rows[1].clone()
    other[-2] = 5
    logits = [tiny[name](row[None]).logits for row in (rows[1], other)]
    assert not torch.allclose(*logits)


@pytest.mark.parametrize("name", ["sdar", "fast_dllm"])
def test_prefill_guidance_and_end_tokens_keep_their_meaning_on_the_grid(tiny: dict[str, Any], name: str) -> None:
    rows = prompts([9, 6])
    ids, mask = batch_of(rows)
    prefill = torch.tensor([[MASK, 3, MASK, MASK, 4], [MASK, 3, MASK, MASK, 4]])
    options: dict[str, Any] = {"max_new_tokens": 10, "cfg_scale": 0.5, "stop_at_eos": True, "eos_token_id": [11, 12]}
    together = generate(
        tiny[name], ids, attention_mask=mask, scheduler=ConfidenceScheduler(k=2), prefill=prefill, **options
    )
    answers = together.sequences[:, 9:]
    assert answers[:, 1].tolist() == [3, 3]
    assert answers[:, 4].tolist() == [4, 4]
    for index, row in enumerate(rows):
        alone = generate(
            tiny[name], row[None], scheduler=ConfidenceScheduler(k=2), prefill=prefill[index : index + 1], **options
        )
        assert alone.sequences[0, len(row) :].tolist() == answers[index].tolist()
        assert alone.num_skipped_tokens[0] == together.num_skipped_tokens[index]


def test_trajectory_and_callback_speak_of_the_answers(tiny: dict[str, Any]) -> None:
    rows = prompts([9, 6])
    ids, mask = batch_of(rows)
    seen = []
    output = generate(
        tiny["sdar"],
        ids,
        attention_mask=mask,
        scheduler=ConfidenceScheduler(k=1),
        max_new_tokens=6,
        return_trajectory=True,
        callback_on_step_end=lambda step, timestep, state: seen.append(state["sample"]),
    )
    assert output.trajectory is not None
    assert all(state.shape == (2, 6) for state in output.trajectory)
    assert [state.tolist() for state in seen] == [state.tolist() for state in output.trajectory]
    assert torch.equal(output.trajectory[-1], output.sequences[:, 9:])
    # Row 0 has a tail of one token, row 1 of two: three and two open places in the first block.
    assert (output.trajectory[1] == MASK).sum(dim=1).tolist() == [4, 4]
    assert output.trajectory[1][:, 3:].tolist() == [[MASK] * 3] * 2


@pytest.mark.parametrize("cache", ["prefix", "dual"])
@pytest.mark.parametrize("name", ["llada", "dream", "llada_moe", "parallelbench", "sdar"])
def test_approximate_caches_decode_everything(tiny: dict[str, Any], name: str, cache: str) -> None:
    ids, mask = batch_of(prompts([9, 6]))
    output = generate(
        tiny[name],
        ids,
        attention_mask=mask,
        scheduler=ConfidenceScheduler(k=2),
        max_new_tokens=8,
        block_length=4,
        cache=cache,
    )
    assert not (output.sequences[:, 9:] == MASK).any()
    first = generate(tiny[name], ids, attention_mask=mask, scheduler=ConfidenceScheduler(k=8), max_new_tokens=8)
    # One step, one block: nothing can be stale.
    again = generate(
        tiny[name], ids, attention_mask=mask, scheduler=ConfidenceScheduler(k=8), max_new_tokens=8, cache=cache
    )
    assert torch.equal(first.sequences, again.sequences)


def test_positions_in_errors_are_those_of_the_given_sequences(tiny: dict[str, Any]) -> None:
    model = tiny["sdar"]
    weight = model.lm_head.weight.data.clone()
    try:
        model.lm_head.weight.data.fill_(torch.nan)
        with pytest.raises(ValueError, match="step 0: the scores of row 0 are not finite at position 9"):
            generate(model, prompts([9])[0][None], scheduler=ConfidenceScheduler(), max_new_tokens=4)
    finally:
        model.lm_head.weight.data.copy_(weight)


def test_stream_gives_probabilities_of_the_answers(tiny: dict[str, Any]) -> None:
    ids, mask = batch_of(prompts([9, 6]))
    for step in samplers.stream(
        tiny["sdar"], ids, attention_mask=mask, scheduler=ConfidenceScheduler(k=1), max_new_tokens=6
    ):
        assert step.probabilities.shape == (2, 6)
        assert not step.probabilities[step.committed].isnan().any()


def test_layout_moves_rows_until_their_grids_are_one() -> None:
    ids, mask = batch_of(prompts([9, 5, 2]))
    answers = torch.full((3, 6), MASK)
    layout = grid_layout(ids, mask, answers, MASK, grid=4, block_length=4)
    assert layout.start == 8
    assert layout.tails is not None
    assert layout.tails.flatten().tolist() == [1, 1, 2]
    assert layout.sequences.shape == (3, 16)
    assert torch.equal(layout.answers(layout.sequences), answers)
    assert layout.attention_mask is not None
    assert layout.attention_mask.tolist() == [[1] * 15 + [0], [0] * 4 + [1] * 11 + [0], [0] * 8 + [1] * 8]
    assert layout.sequences[1, 4:9].tolist() == ids[1, 4:].tolist()


def test_layout_of_prompts_that_fill_their_blocks_is_plain() -> None:
    ids = torch.arange(8)[None]
    layout = grid_layout(ids, None, torch.full((1, 8), MASK), MASK, grid=4, block_length=4)
    assert (layout.start, layout.tails, layout.fixed, layout.attention_mask) == (8, None, None, None)


@pytest.mark.parametrize(
    ("name", "cfg_scale"),
    # Without its prompt, a prompt-first model that is asked afresh cannot know where the answer starts.
    [("sdar", 0.0), ("sdar", 0.5), ("fast_dllm", 0.0), ("fast_dllm", 0.5), ("llada2", 0.0), ("parallelbench", 0.0)],
)
def test_callback_that_changes_a_finished_block_is_heard(tiny: dict[str, Any], name: str, cfg_scale: float) -> None:
    def change(step: int, timestep: Any, state: dict[str, Tensor]) -> dict[str, Tensor] | None:
        if step % 3:
            return None
        state["sample"][:, 0] = step % 50
        return state

    ids, mask = batch_of(prompts([9, 6]))
    options: dict[str, Any] = {"attention_mask": mask, "max_new_tokens": 12, "block_length": 4, "cfg_scale": cfg_scale}
    results = [
        generate(model, ids, scheduler=ConfidenceScheduler(k=1), callback_on_step_end=change, **options).sequences
        for model in (tiny[name], Uncached(tiny[name]))
    ]
    assert torch.equal(*results)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", TINY_CONFIGS)
def test_half_precision_decodes(tmp_path: Path, name: str, dtype: str) -> None:
    model = models.load(write_checkpoint(tmp_path, TINY_CONFIGS[name]), dtype=dtype)
    ids, mask = batch_of(prompts([9, 6]))
    output = generate(model, ids, attention_mask=mask, scheduler=ThresholdScheduler(threshold=0.2), max_new_tokens=9)
    assert not (output.sequences[:, 9:] == MASK).any()


@pytest.mark.parametrize("name", ["sdar", "llada", "llada2_2"])
def test_model_spread_by_accelerate_decodes_as_one_that_is_not(tmp_path: Path, name: str) -> None:
    folder = write_checkpoint(tmp_path, TINY_CONFIGS[name])
    ids = prompts([9])[0][None]
    sequences = [
        generate(model, ids, scheduler=ConfidenceScheduler(k=2), max_new_tokens=8).sequences
        for model in (models.load(folder), models.load(folder, device_map={"model": "cpu", "lm_head": "cpu"}))
    ]
    assert torch.equal(*sequences)


@pytest.mark.parametrize(
    "name", slow_except(["llada"], ["llada", "sdar", "llada2", "llada2_2", "nemotron_labs_diffusion"])
)
def test_compiled_model_decodes_as_one_that_is_not(tmp_path: Path, name: str) -> None:
    folder = write_checkpoint(tmp_path, TINY_CONFIGS[name])
    ids = prompts([9])[0][None]
    compiled = models.load(folder)
    compiled.compile(backend="eager")
    sequences = [
        generate(model, ids, scheduler=ConfidenceScheduler(k=4), max_new_tokens=8).sequences
        for model in (models.load(folder), compiled)
    ]
    assert torch.equal(*sequences)


def test_end_of_turn_ends_an_answer_as_the_end_of_text_does(tiny: dict[str, Any], monkeypatch: Any) -> None:
    ids = prompts([9])[0][None]
    plain = generate(tiny["llada"], ids, scheduler=ConfidenceScheduler(k=1), max_new_tokens=8)
    turn = int(plain.sequences[0, 12])
    monkeypatch.setattr(tiny["llada"], "stop_token_ids", (60, turn))
    banned = generate(tiny["llada"], ids, scheduler=ConfidenceScheduler(k=1), max_new_tokens=8, eos_handling="ban")
    assert turn not in banned.sequences[0, 9:].tolist()
