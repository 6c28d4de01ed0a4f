"""Shadow tokens: what they see, which models have them, and WINO in the loop."""

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from padded_denoiser import PaddedDenoiser
from random_checkpoint import TINY_CONFIGS, write_checkpoint
from scheduler_cases import row_generator
from shadow_denoiser import ShadowDenoiser
from torch import Tensor
from toy_denoiser import ToyDenoiser

from samplers import ConfidenceScheduler, ModelView, Wants, WINOScheduler, denoiser_for, generate, models
from samplers.denoisers import ModelDenoiser, SessionRequest, StatelessSession, open_session
from samplers.denoisers.shadows import with_shadows
from samplers.models.masks import token_positions

MASK = 47
WANTS = Wants(shadow_logits=True)
IDS = torch.tensor([[0, 5, 17, MASK, 30], [9, 8, 2, 41, MASK]])
PADDING = torch.tensor([[0, 1, 1, 1, 1], [1, 1, 1, 1, 1]])


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[[str], Any]:
    return lambda name: models.load(write_checkpoint(tmp_path / name, TINY_CONFIGS[name]))


def shadow_view(model: Any, ids: Tensor, start: int, stop: int, padding: Tensor | None = None) -> ModelView:
    """What a session of one look at `model` says, shadow tokens included."""
    request = SessionRequest(padding, start, stop - start, mask_token_id=MASK, wants=WANTS)
    with torch.no_grad():
        return open_session(denoiser_for(model), request).look(ids, start, stop)


def test_shadows_see_all_but_their_position_and_are_seen_by_themselves_alone() -> None:
    real = PADDING.bool()
    ids, positions, mask = with_shadows(
        IDS, token_positions(real), real[:, None, None].expand(-1, 1, 5, -1), (2, 4), keys=5, mask_token_id=MASK
    )
    assert ids.tolist() == [[0, 5, 17, MASK, 30, MASK, MASK], [9, 8, 2, 41, MASK, MASK, MASK]]
    assert positions.tolist() == [[0, 0, 1, 2, 3, 1, 2], [0, 1, 2, 3, 4, 2, 3]]
    assert mask[0, 0].long().tolist() == [
        [0, 1, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 1, 0, 0],
        [0, 1, 0, 1, 1, 1, 0],
        [0, 1, 1, 0, 1, 0, 1],
    ]
    assert mask[1, 0, 5].tolist() == [True, True, False, True, True, True, False]


def test_behind_a_cache_the_queries_are_the_last_positions_alone() -> None:
    _, positions, mask = with_shadows(
        IDS[:, 3:], torch.arange(3, 5)[None], None, (3, 5), keys=5, mask_token_id=MASK, first=3
    )
    assert positions.tolist() == [[3, 4, 3, 4]]
    assert mask[0, 0].long().tolist() == [
        [1, 1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1, 0, 0],
        [1, 1, 1, 0, 1, 1, 0],
        [1, 1, 1, 1, 0, 0, 1],
    ]


@pytest.mark.parametrize("padding", [None, PADDING])
def test_logits_of_the_window_do_not_notice_the_shadows(padding: Tensor | None) -> None:
    view = shadow_view(ShadowDenoiser(), IDS, 2, 5, padding)
    torch.testing.assert_close(view.logits, denoiser_for(ShadowDenoiser()).window_logits(IDS, padding, 2, 5))
    assert view.shadow_logits is not None
    assert view.shadow_logits.shape == (2, 3, 48)


def test_a_shadow_predicts_what_a_mask_in_its_place_would() -> None:
    shadows = shadow_view(ShadowDenoiser(), IDS, 1, 5).shadow_logits
    assert shadows is not None
    for position in range(1, 5):
        masked = IDS.clone()
        masked[:, position] = MASK
        alone = ShadowDenoiser()(masked, logits_to_keep=torch.tensor([position])).logits[:, 0]
        # The toy has one layer, so nothing else has seen the token either.
        torch.testing.assert_close(shadows[:, position - 1], alone)


@pytest.mark.parametrize("cache", [None, "prefix", "dual"])
@pytest.mark.parametrize("name", ["llada", "parallelbench", "sdar", "llada2", "nemotron_labs_diffusion"])
def test_a_kv_cache_changes_no_shadow_and_keeps_none(tiny: Callable[[str], Any], name: str, cache: str | None) -> None:
    """Two looks at each block: with the cache, and afresh; the first in a block is exact for the approximate ones."""
    model, prompt, block, new = tiny(name), 8, 4, 8
    ids = torch.randint(0, 60, (2, prompt + new), generator=row_generator(0))
    padding = torch.ones_like(ids)
    padding[1, :4] = 0
    request = SessionRequest(padding, prompt, block, cache=cache, mask_token_id=63, wants=WANTS)
    session = open_session(ModelDenoiser(model), request)
    ids[:, prompt:] = 63
    ids[:, prompt - 1] = 62
    with torch.no_grad():
        for start in range(prompt, prompt + new, block):
            for look in range(2):
                view = session.look(ids, start, start + block)
                plain = StatelessSession(ModelDenoiser(model), request).look(ids, start, start + block)
                if cache is None or look == 0:
                    for found, expected in zip(view.__getstate__()[:2], plain.__getstate__()[:2], strict=True):
                        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
                ids[:, start + look] = torch.tensor([7, 9])
            ids[:, start : start + block] = 5
            session.end_block(ids, start, start + block)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_wino_decodes_a_padded_batch_as_its_rows_alone(temperature: float) -> None:
    prompts = [[5, 17, 30, 8], [2], [41, 7, 7, 19, 33, 1]]

    def decode(rows: list[int]) -> Any:
        longest = max(len(prompts[row]) for row in rows)
        ids = torch.tensor([[MASK] * (longest - len(prompts[row])) + prompts[row] for row in rows])
        real = torch.tensor([[0] * (longest - len(prompts[row])) + [1] * len(prompts[row]) for row in rows])
        return generate(
            ShadowDenoiser(sharpness=3.0),
            ids,
            attention_mask=real,
            scheduler=WINOScheduler(threshold=0.2, remask_threshold=0.9, temperature=temperature),
            max_new_tokens=16,
            block_length=12,
            generator=[row_generator(row) for row in rows],
            return_trajectory=True,
        )

    together = decode([0, 1, 2])
    remasked = 0
    for row in range(3):
        alone = decode([row])
        assert torch.equal(together.sequences[row, -16:], alone.sequences[0, -16:])
        assert together.num_forward_passes[row] == alone.num_forward_passes[0]
        states = torch.stack([state[0] for state in alone.trajectory])
        remasked += int(((states[:-1] != MASK) & (states[1:] == MASK)).sum())
    assert remasked > 0, "the example takes nothing back, so it shows nothing"


def test_models_without_shadow_tokens_are_refused() -> None:
    prompt = torch.tensor([[5, 17, 30]])
    shifted = ShadowDenoiser()
    shifted.shift = 1
    for model in (ToyDenoiser(), PaddedDenoiser(), shifted):
        with pytest.raises(
            ValueError, match=f"{type(model).__name__} has no shadow tokens, which this scheduler needs"
        ):
            generate(model, prompt, scheduler=WINOScheduler(), max_new_tokens=4)
    generate(ToyDenoiser(), prompt, scheduler=ConfidenceScheduler(), max_new_tokens=1)


def test_a_denoiser_or_session_of_ones_own_without_shadows_is_refused() -> None:
    class Bare:
        mask_token_id, block_length = MASK, None

        def window_logits(self, input_ids: Tensor, attention_mask: Any, start: int, stop: int) -> Tensor:
            raise AssertionError("not reached")

    class Kept(Bare):
        def session(self, request: SessionRequest) -> Any:
            return types.SimpleNamespace(window_logits=None, end_block=None)

    for denoiser in (Bare(), Kept()):
        with pytest.raises(ValueError, match="has no shadow tokens, which this scheduler needs"):
            generate(denoiser, torch.tensor([[5]]), scheduler=WINOScheduler(), max_new_tokens=2)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_an_encoder_of_transformers_has_shadow_tokens(implementation: str) -> None:
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    config = BertConfig(vocab_size=48, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    config._attn_implementation = implementation
    model = BertForMaskedLM(config).eval()
    prompt = torch.tensor([[5, 6, 7], [8, 9, 10]])
    view = shadow_view(model, prompt, 1, 3)
    with torch.no_grad():
        torch.testing.assert_close(view.logits, model(prompt).logits[:, 1:3], rtol=1e-4, atol=1e-6)
    # Its own token is hidden from a shadow.
    other = prompt.clone()
    other[:, 2] = 3
    same = shadow_view(model, other, 1, 3).shadow_logits
    assert view.shadow_logits is not None
    assert not torch.allclose(view.shadow_logits[:, 0], same[:, 0])
    output = generate(model, prompt, scheduler=WINOScheduler(threshold=0.0), max_new_tokens=5, mask_token_id=MASK)
    assert not (output.sequences[:, 3:] == MASK).any()


@pytest.mark.parametrize("name", ["parallelbench", "sdar", "nemotron_labs_diffusion"])
@pytest.mark.parametrize("cfg_scale", [0.0, 1.0])
def test_wino_decodes_with_a_prompt_that_is_kept(tiny: Callable[[str], Any], name: str, cfg_scale: float) -> None:
    """The shipped model is of the first kind."""

    class Uncached(ModelDenoiser):
        def session(self, request: SessionRequest) -> StatelessSession:
            return StatelessSession(self, request)

    model = tiny(name)
    prompt = torch.tensor([[60, 60, 5, 17, 30, 62], [7, 8, 9, 1, 2, 62]])
    options: dict[str, Any] = {
        "attention_mask": torch.tensor([[0, 0, 1, 1, 1, 1], [1] * 6]),
        "max_new_tokens": 12,
        "block_length": 8,
        "cfg_scale": cfg_scale,
    }
    kept = generate(model, prompt, scheduler=WINOScheduler(threshold=0.0), **options)
    plain = generate(Uncached(model), prompt, scheduler=WINOScheduler(threshold=0.0), **options)
    assert torch.equal(kept.sequences, plain.sequences)
    assert torch.equal(kept.num_forward_passes, plain.num_forward_passes)
    assert not (kept.answers == 63).any()
