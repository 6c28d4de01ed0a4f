"""Shadow tokens: what they see, which models have them, and WINO in the loop."""

import types
from typing import Any

import pytest
import torch
from padded_denoiser import PaddedDenoiser
from scheduler_cases import row_generator
from shadow_denoiser import ShadowDenoiser
from torch import Tensor
from toy_denoiser import ToyDenoiser

from samplers import ConfidenceScheduler, WINOScheduler, denoiser_for, generate
from samplers.denoisers import SessionRequest, open_session
from samplers.shadows import shadow_inputs

MASK = 47
IDS = torch.tensor([[0, 5, 17, MASK, 30], [9, 8, 2, 41, MASK]])
PADDING = torch.tensor([[0, 1, 1, 1, 1], [1, 1, 1, 1, 1]])


def test_shadows_see_all_but_their_position_and_are_seen_by_themselves_alone() -> None:
    ids, mask, positions = shadow_inputs(IDS, PADDING, 2, 4, MASK)
    assert ids.tolist() == [[0, 5, 17, MASK, 30, MASK, MASK], [9, 8, 2, 41, MASK, MASK, MASK]]
    assert positions.tolist() == [[0, 0, 1, 2, 3, 1, 2], [0, 1, 2, 3, 4, 2, 3]]
    assert mask[0, 0].long().tolist() == [
        [1, 1, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 1, 0, 0],
        [0, 1, 0, 1, 1, 1, 0],
        [0, 1, 1, 0, 1, 0, 1],
    ]
    assert mask[1, 0, 5].tolist() == [True, True, False, True, True, True, False]


@pytest.mark.parametrize("padding", [None, PADDING])
def test_window_logits_do_not_notice_the_shadows(padding: Tensor | None) -> None:
    denoiser = denoiser_for(ShadowDenoiser())
    session = open_session(denoiser, SessionRequest(padding, 2, 3, mask_token_id=MASK))
    logits, shadows = session.shadow_logits(IDS, 2, 5)  # type: ignore[attr-defined]
    torch.testing.assert_close(logits, session.window_logits(IDS, 2, 5))
    assert shadows.shape == logits.shape


def test_a_shadow_predicts_what_a_mask_in_its_place_would() -> None:
    _, shadows = denoiser_for(ShadowDenoiser()).shadow_logits(IDS, None, 1, 5, MASK)  # type: ignore[attr-defined]
    for position in range(1, 5):
        masked = IDS.clone()
        masked[:, position] = MASK
        alone = ShadowDenoiser()(masked, logits_to_keep=torch.tensor([position])).logits[:, 0]
        # The toy has one layer, so nothing else has seen the token either.
        torch.testing.assert_close(shadows[:, position - 1], alone)


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
    causal = ShadowDenoiser()
    causal.attention = "prompt_first"
    for model in (ToyDenoiser(), PaddedDenoiser(), shifted, causal):
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


def test_an_encoder_of_transformers_has_shadow_tokens() -> None:
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    config = BertConfig(vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    model = BertForMaskedLM(config).eval()
    prompt = torch.tensor([[5, 6, 7], [8, 9, 10]])
    denoiser = denoiser_for(model)
    with torch.no_grad():
        logits, shadows = denoiser.shadow_logits(prompt, None, 1, 3, 39)  # type: ignore[attr-defined]
        torch.testing.assert_close(logits, model(prompt).logits[:, 1:3], rtol=1e-4, atol=1e-5)
        # Its own token is hidden from a shadow.
        other = prompt.clone()
        other[:, 2] = 3
        _, same = denoiser.shadow_logits(other, None, 1, 3, 39)  # type: ignore[attr-defined]
    assert not torch.allclose(shadows[:, 0], same[:, 0])
    output = generate(model, prompt, scheduler=WINOScheduler(threshold=0.0), max_new_tokens=5, mask_token_id=39)
    assert not (output.sequences[:, 3:] == 39).any()
