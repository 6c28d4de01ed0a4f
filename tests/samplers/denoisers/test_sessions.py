"""The KV cache: exact sessions give what a model without memory gives, approximate ones what is recorded."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_checkpoint import TINY_CONFIGS, write_checkpoint
from recorded_logits import TOLERANCE, cases_of, sample_of
from torch import Tensor

from samplers import models
from samplers.denoisers import ModelDenoiser, SessionRequest, StatelessSession, open_session
from samplers.denoisers.sessions import CachedSession
from samplers.models.masks import visible_keys

MASK, ANSWER_START = 63, 62
EXACT = (
    *("sdar", "fast_dllm", "llada2", "parallelbench", "dream_reasoner", "sdar_moe", "stable_diffcoder", "a2d_qwen3"),
    *("llada2_2", "nemotron_labs_diffusion"),
)
FULL = ("llada", "dream", "llada_moe", "illada", "rnd1", "a2d_qwen2", "a2d_llama")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("tiny")
    return {name: models.load(write_checkpoint(folder / name, TINY_CONFIGS[name])) for name in (*EXACT, *FULL)}


def sequences(paddings: list[int], prompt: int, new: int, seed: int) -> tuple[Tensor, Tensor | None]:
    """A batch whose answers are all masks, and its attention mask."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 60, (len(paddings), prompt + new), generator=generator)
    ids[:, prompt:] = MASK
    if prompt:
        ids[:, prompt - 1] = ANSWER_START
    mask = torch.ones_like(ids)
    for row, padding in enumerate(paddings):
        mask[row, :padding] = 0
    return ids, mask if any(paddings) else None


def steps(
    session: Any, ids: Tensor, prompt: int, block: int, *, revise: bool = False, per_block: int = 3
) -> Iterator[tuple[Tensor, int, int, Tensor]]:
    """Drive a session as `generate` does, with random commits; yields its logits and what they were asked of."""
    ids, length = ids.clone(), ids.shape[1]
    generator = torch.Generator().manual_seed(1)
    for block_start in range(prompt, length, block):
        start, stop = prompt if revise else block_start, min(block_start + block, length)
        for _ in range(per_block):
            yield session.look(ids, start, stop).logits, start, stop, ids.clone()
            column = int(torch.randint(start, stop, (1,), generator=generator))
            ids[:, column] = torch.randint(0, 60, (len(ids),), generator=generator)
        ids[:, block_start:stop] = torch.randint(0, 60, (len(ids), stop - block_start), generator=generator)
        session.end_block(ids, start, stop)


@pytest.mark.parametrize("name", EXACT)
@given(
    paddings=st.lists(st.integers(0, 4), min_size=1, max_size=3),
    prompt=st.integers(5, 9),
    new=st.integers(1, 10),
    block=st.sampled_from([1, 2, 3, 4, 8]),
    revise=st.booleans(),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_exact_session_gives_the_logits_of_a_model_without_memory(
    tiny: dict[str, Any], name: str, paddings: list[int], prompt: int, new: int, block: int, revise: bool
) -> None:
    model = tiny[name]
    ids, mask = sequences(paddings, prompt, new, seed=0)
    session = open_session(ModelDenoiser(model), SessionRequest(mask, prompt, block, revises_blocks=revise))
    assert isinstance(session, CachedSession)
    plain = StatelessSession(ModelDenoiser(model), SessionRequest(mask, prompt, block))
    with torch.no_grad():
        for logits, start, stop, now in steps(session, ids, prompt, block, revise=revise):
            assert torch.allclose(logits, plain.look(now, start, stop).logits, atol=TOLERANCE)


@pytest.mark.parametrize("name", [*EXACT, *FULL])
@pytest.mark.parametrize("cache", [None, "prefix", "dual"])
def test_padded_batch_equals_its_rows_alone(tiny: dict[str, Any], name: str, cache: str | None) -> None:
    model, prompt, block = tiny[name], 18, 4
    if cache == "dual" and name == "llada2_2":
        pytest.skip("parts of its blocks are refused")
    # What is approximate depends on where the blocks lie: `generate` puts them on one grid for all rows.
    paddings = [0, 8, 16] if cache and model.attention == "block_causal" else [0, 3, 9]
    ids, mask = sequences(paddings, prompt, 8, seed=2)
    with torch.no_grad():
        session = open_session(ModelDenoiser(model), SessionRequest(mask, prompt, block, cache=cache))
        batch = list(steps(session, ids, prompt, block))
        for row, padding in enumerate(paddings):
            alone = open_session(ModelDenoiser(model), SessionRequest(None, prompt - padding, block, cache=cache))
            before = prompt
            for logits, start, stop, now in batch:
                mine = now[row : row + 1, padding:]
                if start != before:
                    alone.end_block(mine, before - padding, start - padding)
                before = start
                expected = alone.look(mine, start - padding, stop - padding).logits
                assert torch.allclose(logits[row], expected[0], atol=TOLERANCE)


class CountingModel:
    """Passes everything on, and notes how many positions each call ran."""

    def __init__(self, model: Any) -> None:
        self.model, self.lengths = model, []

    def __call__(self, input_ids: Tensor, **arguments: Any) -> Any:
        self.lengths.append(input_ids.shape[1])
        return self.model(input_ids, **arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)


@pytest.mark.parametrize(
    ("name", "cache", "lengths"),
    [
        # Eight prompt tokens, two blocks of four, three steps each.
        ("sdar", None, [12, 4, 4, 8, 4, 4]),
        ("sdar", "dual", [12, 4, 4, 8, 4, 4]),
        ("llada2", None, [12, 4, 4, 8, 4, 4]),
        ("llada2_2", None, [12, 4, 4, 8, 4, 4]),
        ("nemotron_labs_diffusion", None, [12, 4, 4, 8, 4, 4]),
        ("fast_dllm", None, [16, 8, 8, 8, 8, 8]),
        ("fast_dllm", "dual", [16, 4, 4, 8, 5, 5]),
        ("parallelbench", None, [16, 8, 8, 8, 8, 8]),
        ("parallelbench", "prefix", [16, 8, 8, 8, 4, 4]),
        ("parallelbench", "dual", [16, 4, 4, 8, 4, 4]),
        ("llada", "prefix", [16, 8, 8, 16, 4, 4]),
        ("llada", "dual", [16, 4, 4, 16, 4, 4]),
        # A shifted model needs the row before the block as well.
        ("dream", "prefix", [16, 9, 9, 16, 5, 5]),
        ("dream", "dual", [16, 5, 5, 16, 5, 5]),
    ],
)
def test_a_step_runs_only_what_may_have_changed(
    tiny: dict[str, Any], name: str, cache: str | None, lengths: list[int]
) -> None:
    model = CountingModel(tiny[name])
    ids, _ = sequences([0], 8, 8, seed=0)
    with torch.no_grad():
        list(steps(CachedSession(model, SessionRequest(None, 8, 4, cache=cache)), ids, 8, 4))
    assert model.lengths == lengths


def test_blocks_that_are_revised_are_not_kept(tiny: dict[str, Any]) -> None:
    model = CountingModel(tiny["sdar"])
    ids, _ = sequences([0], 8, 8, seed=0)
    with torch.no_grad():
        list(steps(CachedSession(model, SessionRequest(None, 8, 4, revises_blocks=True)), ids, 8, 4, revise=True))
    assert model.lengths == [12, 4, 4, 8, 8, 8]


@pytest.mark.parametrize("cache", ["prefix", "dual"])
@pytest.mark.parametrize("name", FULL)
def test_first_step_of_a_block_is_exact_and_later_ones_are_close(tiny: dict[str, Any], name: str, cache: str) -> None:
    model = tiny[name]
    ids, _ = sequences([0], 8, 8, seed=0)
    plain = StatelessSession(ModelDenoiser(model), SessionRequest(None, 8, 4))
    session = open_session(ModelDenoiser(model), SessionRequest(None, 8, 4, cache=cache))
    errors = []
    with torch.no_grad():
        for logits, start, stop, now in steps(session, ids, 8, 4):
            errors.append(float((logits - plain.look(now, start, stop).logits).abs().max()))
    assert errors[0] < TOLERANCE
    assert errors[3] < TOLERANCE
    # Keys that went stale must show, or nothing was kept.
    assert max(errors[1:3] + errors[4:]) > TOLERANCE


@pytest.mark.parametrize("cache", ["prefix", "dual"])
def test_approximate_caches_walk_through_the_recorded_cases(cache: str) -> None:
    folder = sample_of("llada_a")
    model = models.load(folder)
    cases = {case.kind: case for case in cases_of(folder) if case.name.startswith("cache_0.")}
    full, later = cases["cache_full"], cases[f"cache_{cache}"]
    start = later.facts["start"]
    stop = later.facts.get("end", 16)
    session = CachedSession(model, SessionRequest(None, start, stop - start, cache=cache))
    now = full.ids.clone()
    with torch.no_grad():
        first = session.look(now, start, stop).logits
        assert torch.allclose(first, full.tensors["logits"][:, start:stop], atol=TOLERANCE)
        now[:, start : start + later.ids.shape[1]] = later.ids
        second = session.look(now, start, stop).logits
    assert torch.allclose(second, later.tensors["logits"][:, : stop - start], atol=TOLERANCE)


def test_full_attention_keeps_nothing_unless_asked(tiny: dict[str, Any]) -> None:
    assert isinstance(open_session(ModelDenoiser(tiny["llada"]), SessionRequest(None, 8, 4)), StatelessSession)


def test_unknown_cache_is_refused(tiny: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cache is 'triple'; it should be None, 'prefix' or 'dual'"):
        open_session(ModelDenoiser(tiny["llada"]), SessionRequest(None, 8, 4, cache="triple"))


def test_model_of_others_keeps_no_keys() -> None:
    with pytest.raises(ValueError, match="cache='dual': ModelDenoiser has no KV cache"):
        open_session(ModelDenoiser(lambda input_ids: None), SessionRequest(None, 8, 4, cache="dual"))


@pytest.mark.parametrize("attention", ["full", "block_causal", "prompt_first"])
@given(
    length=st.integers(1, 9),
    paddings=st.lists(st.integers(0, 3), min_size=1, max_size=2),
    block=st.integers(1, 4),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_visible_keys_follow_the_definition(
    attention: Any, length: int, paddings: list[int], block: int, data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, length - 1))
    last = data.draw(st.integers(first + 1, length))
    prompt = data.draw(st.integers(0, length))
    real = None
    if any(paddings):
        real = torch.tensor([[index >= padding for index in range(length)] for padding in paddings])
    mask = visible_keys(
        attention,
        queries=(first, last),
        keys=length,
        real=real,
        block_length=block,
        prompt_length=data.draw(st.sampled_from([prompt, torch.tensor([prompt])])),
    )
    for row, padding in enumerate(paddings if any(paddings) else [0]):
        for query in range(max(first, padding), last):
            for key in range(length):
                sees = key >= padding
                if attention == "block_causal":
                    sees = sees and (query - padding) // block >= (key - padding) // block
                if attention == "prompt_first":
                    sees = sees and (query >= prompt or key < prompt)
                found = (
                    True if mask is None else bool(mask.expand(len(paddings), -1, -1, -1)[row, 0, query - first, key])
                )
                assert found == sees
