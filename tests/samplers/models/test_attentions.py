"""Attention weights: those of an eager pass, layer by layer, without a second pass and without moving a logit."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_checkpoint import TINY_CONFIGS, write_checkpoint
from torch import Tensor
from toy_denoiser import ToyDenoiser

from samplers import UnmaskingScheduler, Wants, generate, models
from samplers.denoisers import ModelDenoiser, SessionRequest, StatelessSession, open_session
from samplers.models.attentions import _grouped_attention, grouped
from samplers.models.block_routing import routing_within
from samplers.models.masks import token_positions, visible_keys
from samplers.schedulers.selection import surest

MASK, ANSWER_START = 63, 62
PROMPT = torch.tensor([[60, 60, 60, 7, 30, ANSWER_START, 1, 2], [7, 8, 9, 1, 2, 3, 4, ANSWER_START]])
REAL = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 1], [1] * 8])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("tiny")
    return {name: models.load(write_checkpoint(folder / name, config)) for name, config in TINY_CONFIGS.items()}


def eager_weights(model: Any, ids: Tensor, real: Tensor, prompt_length: int) -> Tensor:
    """(batch, layers, length, length) by transformers' own eager attention, the mean over the heads."""
    visible = visible_keys(
        model.attention,
        queries=(0, ids.shape[1]),
        keys=ids.shape[1],
        real=real.bool(),
        block_length=model.block_length,
        prompt_length=prompt_length,
    )
    assert visible is not None
    mask = torch.zeros(visible.shape).masked_fill(~visible, torch.finfo(torch.float32).min)
    config = model.model.config
    config._attn_implementation = "eager"
    try:
        places, block = token_positions(real.bool()), model.block_length or 1
        with routing_within(places, real.bool(), block):
            output = model.model(
                input_ids=ids, attention_mask=mask, position_ids=places, use_cache=False, output_attentions=True
            )
    finally:
        config._attn_implementation = "sdpa"
    return torch.stack([layer.mean(dim=1) for layer in output.attentions], dim=1)


@pytest.mark.parametrize("name", TINY_CONFIGS)
@torch.no_grad()
def test_weights_are_those_of_eager_attention_and_logits_stay(tiny: dict[str, Any], name: str) -> None:
    model = tiny[name]
    arguments: dict[str, Any] = {"attention_mask": REAL}
    if model.attention in ("prompt_first", "causal_context"):
        arguments["prompt_length"] = 6
    plain = model(PROMPT, **arguments)
    everything = range(model.num_layers)
    output = model(PROMPT, **arguments, attention_layers=everything)
    assert plain.attentions is None
    assert torch.equal(output.logits, plain.logits)
    expected = eager_weights(model, PROMPT, REAL, 6)
    assert output.attentions.shape == (2, model.num_layers, 8, 8)
    # What padding looks at is nobody's business.
    real = REAL[:, None, :, None].bool()
    torch.testing.assert_close(output.attentions * real, expected * real, rtol=1e-5, atol=1e-6)
    part = model(PROMPT, **arguments, attention_layers=(model.num_layers - 1,), attention_window=(3, 6)).attentions
    torch.testing.assert_close(part, output.attentions[:, -1:, 3:6, 3:6])


@pytest.mark.parametrize("name", TINY_CONFIGS)
@torch.no_grad()
def test_a_session_gives_them_for_the_window(tiny: dict[str, Any], name: str) -> None:
    """Three looks at two blocks; behind a KV cache a pass runs few positions, and the weights are the same."""
    model, prompt, block = tiny[name], 8, 4
    ids = torch.cat([PROMPT, torch.full((2, 8), MASK)], dim=1)
    real = torch.cat([REAL, torch.ones(2, 8, dtype=torch.long)], dim=1)
    request = SessionRequest(real, prompt, block, mask_token_id=MASK, wants=Wants(attentions=0.5))
    session, plain = open_session(ModelDenoiser(model), request), StatelessSession(ModelDenoiser(model), request)
    wanted = request.wants.layers(model.num_layers)
    for start in (8, 12):
        for column in range(start, start + 3):
            view = session.look(ids, start, start + block)
            torch.testing.assert_close(view.attentions, plain.look(ids, start, start + block).attentions)
            # What is before the open block is causal, and what is behind it is not there.
            opened = model.attention == "causal_context"
            seen, first = (start + block, start) if opened else (ids.shape[1], prompt)
            expected = eager_weights(model, ids[:, :seen], real[:, :seen], first)
            expected = expected[:, wanted, start : start + 4, start : start + 4]
            torch.testing.assert_close(view.attentions, expected, rtol=1e-4, atol=1e-6)
            ids[:, column] = column
        ids[:, start : start + block] = 5
        session.end_block(ids, start, start + block)


class Independent(UnmaskingScheduler):
    """Commits the surest token and every other that looks at it with less than a tenth of its attention."""

    wants = Wants(attentions=(-1, 0))

    def select(self, step: Any, scores: Tensor) -> Tensor:
        attentions = step.view.attentions
        assert attentions is not None
        first = surest(scores, step.masked, 1)
        looks = (attentions.mean(dim=1) * first.unsqueeze(1)).sum(dim=2)
        return first | (step.masked & (looks < 0.1))


@pytest.mark.parametrize("cfg_scale", [0.0, 1.0])
@pytest.mark.parametrize("name", ["llada", "dream", "sdar", "parallelbench"])
def test_a_scheduler_reads_them_in_the_loop(tiny: dict[str, Any], name: str, cfg_scale: float) -> None:
    model, options = tiny[name], {"max_new_tokens": 12, "block_length": 8, "cfg_scale": cfg_scale}
    together = generate(model, PROMPT, scheduler=Independent(), attention_mask=REAL, **options)
    assert together.num_forward_passes.max() < 12 * (2 if cfg_scale else 1), "the example shows nothing"
    for row, padding in enumerate((3, 0)):
        alone = generate(model, PROMPT[row : row + 1, padding:], scheduler=Independent(), **options)
        assert torch.equal(together.answers[row], alone.answers[0])
        assert together.num_forward_passes[row] == alone.num_forward_passes[0]


def test_they_take_no_pass_of_their_own(tiny: dict[str, Any]) -> None:
    model, calls = tiny["llada"], []
    hook = model.model.register_forward_hook(lambda *unused: calls.append(1))
    output = generate(model, PROMPT, scheduler=Independent(), attention_mask=REAL, max_new_tokens=8)
    hook.remove()
    assert len(calls) == output.num_forward_passes.max()
    assert all(layer.self_attn.config is model.model.config for layer in model.model.layers)


def test_a_model_that_has_none_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="ToyDenoiser has no attentions, which this scheduler needs"):
        generate(ToyDenoiser(), PROMPT % 40, scheduler=Independent(), max_new_tokens=4)


def test_a_layer_that_is_not_there_is_refused(tiny: dict[str, Any]) -> None:
    scheduler = Independent()
    scheduler.wants = Wants(attentions=(7,))
    with pytest.raises(ValueError, match=r"attentions=\(7,\) .*has 2"):
        generate(tiny["llada"], PROMPT, scheduler=scheduler, max_new_tokens=4)


def test_a_failed_pass_leaves_the_layers_as_they_were(tiny: dict[str, Any]) -> None:
    model = tiny["llada"]
    with pytest.raises(IndexError):
        model(PROMPT + 1000, attention_layers=(0,))
    assert model.model.layers[0].self_attn.config is model.model.config


def encoder(implementation: str = "eager") -> Any:
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=64, max_position_embeddings=64, **sizes)
    config._attn_implementation = implementation
    return BertForMaskedLM(config).eval()


@torch.no_grad()
def test_an_encoder_of_transformers_gives_them_in_the_pass_that_gives_the_logits() -> None:
    model, ids = encoder(), torch.cat([PROMPT, torch.full((2, 4), MASK)], dim=1)
    real = torch.cat([REAL, torch.ones(2, 4, dtype=torch.long)], dim=1)
    request = SessionRequest(real, 8, 4, mask_token_id=MASK, wants=Wants(attentions=0.5))
    session, calls = open_session(ModelDenoiser(model), request), []
    session.look(ids, 8, 12)  # before the first padded batch it is asked what padding does
    hook = model.register_forward_hook(lambda *unused: calls.append(1))
    view = session.look(ids, 8, 12)
    hook.remove()
    assert len(calls) == 1
    expected = model(ids, attention_mask=real, position_ids=token_positions(real.bool()), output_attentions=True)
    weights = torch.stack([layer.mean(dim=1) for layer in expected.attentions[1:]], dim=1)[..., 8:12, 8:12]
    torch.testing.assert_close(view.attentions, weights)
    torch.testing.assert_close(view.logits, expected.logits[:, 8:12])


def test_a_scheduler_decodes_a_padded_batch_of_an_encoder_as_its_rows_alone() -> None:
    model, options = encoder(), {"max_new_tokens": 10, "mask_token_id": MASK}
    together = generate(model, PROMPT, scheduler=Independent(), attention_mask=REAL, **options)
    assert together.num_forward_passes.max() < 10, "the example shows nothing"
    for row, padding in enumerate((3, 0)):
        alone = generate(model, PROMPT[row : row + 1, padding:], scheduler=Independent(), **options)
        assert torch.equal(together.answers[row], alone.answers[0])


@pytest.mark.parametrize(
    ("made", "wants", "reason"),
    [
        (lambda: encoder("sdpa"), Wants(attentions=0.5), "its sdpa attention forms none; load it with attn_impl"),
        (encoder, Wants(attentions=0.5, shadow_logits=True), "has no attentions.*not both in one pass"),
        (encoder, Wants(attentions=(5,)), r"attentions=\(5,\) .*has 3"),
    ],
)
def test_an_encoder_that_cannot_is_refused_in_one_line(made: Any, wants: Wants, reason: str) -> None:
    scheduler = Independent()
    scheduler.wants = wants
    with pytest.raises(ValueError, match=reason) as refused:
        generate(made(), PROMPT, scheduler=scheduler, max_new_tokens=4, mask_token_id=MASK)
    assert "\n" not in str(refused.value)


@given(
    batch=st.integers(1, 3),
    heads=st.sampled_from([(2, 2), (4, 2), (6, 1)]),
    queries=st.integers(1, 5),
    kept=st.integers(0, 4),
    masked=st.sampled_from(["no", "of all rows", "of each row"]),
)
@settings(max_examples=40, deadline=None)
def test_heads_that_share_keys_get_what_they_get_from_repeated_ones(
    batch: int, heads: tuple[int, int], queries: int, kept: int, masked: str
) -> None:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    generator = torch.Generator().manual_seed(0)
    keys, size = queries + kept, 8
    query = torch.randn(batch, heads[0], queries, size, generator=generator)
    key, value = (torch.randn(batch, heads[1], keys, size, generator=generator) for _ in range(2))
    mask = None
    if masked != "no":
        mask = torch.rand(batch if masked == "of each row" else 1, 1, queries, keys, generator=generator) < 0.6
        mask[..., 0] = True
    module = SimpleNamespace(num_key_value_groups=heads[0] // heads[1], is_causal=False)
    expected, _ = sdpa_attention_forward(module, query, key, value, mask, scaling=0.3)
    found, _ = _grouped_attention(module, query, key, value, mask, scaling=0.3)
    assert torch.allclose(found, expected, atol=1e-6)


def test_attention_of_the_config_comes_back() -> None:
    config = SimpleNamespace(_attn_implementation="sdpa")
    with grouped(config):
        assert config._attn_implementation == "samplers_grouped"
    assert config._attn_implementation == "sdpa"
    config._attn_implementation = "eager"
    with grouped(config):
        assert config._attn_implementation == "eager"
