"""Adapters: what a model is called with, and which rows of its logits belong to a window."""

import types
from typing import Any

import pytest
import torch
from padded_denoiser import PaddedDenoiser
from scheduler_cases import constant_model
from torch import Tensor
from toy_denoiser import ToyDenoiser

from samplers import ConfidenceScheduler, Denoiser, RCRScheduler, denoiser_for, generate
from samplers.denoisers import ModelDenoiser, SessionRequest, StatelessSession

IDS = torch.tensor([[3, 1, 4, 1, 5, 9], [2, 6, 5, 3, 5, 8]])
PADDED = torch.tensor([[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]])


def numbered(input_ids: Tensor) -> Tensor:
    """Logits that say which row of the model's output they are, (batch, length, 2)."""
    return torch.arange(input_ids.shape[1]).view(1, -1, 1).expand(len(input_ids), -1, 2).float()


def with_config(model: Any, **config: Any) -> Any:
    model.config = types.SimpleNamespace(**config)
    return model


def test_aligned_model_gives_the_rows_of_the_window() -> None:
    logits = denoiser_for(constant_model(numbered)).window_logits(IDS, None, 2, 5)
    assert logits[:, :, 0].tolist() == [[2, 3, 4]] * 2


@pytest.mark.parametrize(("start", "rows"), [(2, [1, 2, 3]), (0, [0, 0, 1, 2, 3])])
def test_shifted_family_gives_the_row_before(start: int, rows: list[int]) -> None:
    model = with_config(constant_model(numbered), model_type="Dream")
    assert denoiser_for(model).window_logits(IDS, None, start, 5)[:, :, 0].tolist() == [[float(r) for r in rows]] * 2


@pytest.mark.parametrize("shift", [0, 1])
def test_logits_to_keep_asks_for_the_rows_of_the_window_alone(shift: int) -> None:
    model = PaddedDenoiser()
    if shift:
        with_config(model, model_type="Dream")
    logits = denoiser_for(model).window_logits(IDS, None, 2, 5)
    assert [list(call) for call in model.calls] == [["logits_to_keep"]]
    assert model.calls[0]["logits_to_keep"].tolist() == [2 - shift, 3 - shift, 4 - shift]
    assert torch.equal(logits, model(IDS).logits[:, 2 - shift : 5 - shift])


def test_logits_to_keep_is_not_passed_to_a_model_that_does_not_name_it() -> None:
    # The toy takes any keyword argument, and would ignore this one.
    assert denoiser_for(ToyDenoiser()).window_logits(IDS, None, 2, 5).shape == (2, 3, 48)


def test_padded_batch_gets_mask_and_positions_that_count_real_tokens() -> None:
    model = PaddedDenoiser()
    denoiser_for(model).window_logits(IDS, PADDED, 4, 6)
    assert torch.equal(model.calls[-1]["attention_mask"], PADDED)
    assert model.calls[-1]["position_ids"].tolist() == [[0, 0, 0, 1, 2, 3], [0, 1, 2, 3, 4, 5]]


def test_model_that_names_no_positions_gets_the_mask_alone() -> None:
    seen: list[Tensor] = []

    def model(input_ids: Tensor, attention_mask: Tensor) -> Any:
        seen.append(attention_mask)
        return types.SimpleNamespace(logits=torch.nn.functional.one_hot(input_ids, 10).float())

    denoiser_for(model).window_logits(IDS, PADDED, 4, 6)
    assert torch.equal(seen[-1], PADDED)
    denoiser_for(model).window_logits(IDS, None, 4, 6)
    assert torch.equal(seen[-1], torch.ones_like(IDS))


def test_padded_batch_needs_a_model_that_takes_the_mask() -> None:
    with pytest.raises(ValueError, match="the batch is padded, but function takes no attention_mask"):
        denoiser_for(constant_model(numbered)).window_logits(IDS, PADDED, 4, 6)


@pytest.mark.parametrize("returned", [(torch.zeros(2, 6, 3),), {"logits": torch.zeros(2, 6, 3)}, None])
def test_output_without_logits_is_a_type_error(returned: Any) -> None:
    with pytest.raises(TypeError, match=f"function returned {type(returned).__name__}, which has no tensor .logits"):
        denoiser_for(lambda input_ids: returned).window_logits(IDS, None, 4, 6)


@pytest.mark.parametrize("family", ["sdar", "sdar_moe", "llada2_moe", "Fast_dLLM_Qwen", "nemotron_labs_diffusion"])
def test_family_that_leaves_its_mask_to_the_caller_is_refused(family: str) -> None:
    kind = "causal-context" if family.startswith("nemotron") else "block-causal"
    with pytest.raises(
        ValueError, match=f"model_type '{family}' needs {kind} attention, .* load it with samplers.models.load"
    ):
        denoiser_for(with_config(constant_model(numbered), model_type=family))


def test_architecture_decides_where_a_model_type_is_shared() -> None:
    shared = {"model_type": "Dream", "architectures": ["DreamForCausalLM"]}
    with pytest.raises(ValueError, match="the code of DreamReasoner leaves to the caller"):
        denoiser_for(with_config(constant_model(numbered), **shared))

    class StableDiffcoderForCausalLM:
        config = types.SimpleNamespace(model_type="llama")

        def __call__(self, input_ids: Tensor) -> Any:
            raise AssertionError

    # A class says its architecture where the config does not.
    with pytest.raises(ValueError, match="the code of Stable-DiffCoder leaves"):
        denoiser_for(StableDiffcoderForCausalLM())


def test_kind_of_a_raw_a2d_model_is_in_its_name() -> None:
    def model(name: str) -> Any:
        return with_config(constant_model(numbered), model_type="a2d-qwen3", _name_or_path=name)

    assert isinstance(denoiser_for(model("dllm-hub/Qwen3-0.6B-diffusion-mdlm-v0.1")), ModelDenoiser)
    with pytest.raises(ValueError, match="needs block-causal attention"):
        denoiser_for(model("dllm-hub/Qwen3-0.6B-diffusion-bd3lm-v0.1"))
    with pytest.raises(ValueError, match="nothing says whether this A2D model"):
        denoiser_for(model("my-model"))


@pytest.mark.parametrize(("family", "shift"), [("llada", 0), ("bert", 0), (None, 0), ("rnd1", 1), ("Dream", 1)])
def test_shift_of_a_raw_model_is_its_family_s(family: str | None, shift: int) -> None:
    denoiser = denoiser_for(with_config(constant_model(numbered), model_type=family))
    assert isinstance(denoiser, ModelDenoiser)
    assert denoiser.shift == shift


def test_attributes_come_from_the_model_then_its_config() -> None:
    model = with_config(constant_model(numbered), mask_token_id=7, block_length=4)
    assert (denoiser_for(model).mask_token_id, denoiser_for(model).block_length) == (7, 4)
    model.mask_token_id = 0
    assert denoiser_for(model).mask_token_id == 0
    assert denoiser_for(constant_model(numbered)).mask_token_id is None
    assert denoiser_for(constant_model(numbered, mask_token_id="7", block_length=True)).mask_token_id is None


def test_denoiser_is_taken_as_it_is() -> None:
    class Own:
        mask_token_id = 3
        block_length = None

        def window_logits(self, input_ids: Tensor, attention_mask: Any, start: int, stop: int) -> Tensor:
            return numbered(input_ids)[:, start:stop]

    own = Own()
    assert isinstance(own, Denoiser)
    assert denoiser_for(own) is own
    assert not isinstance(ToyDenoiser(), Denoiser)


class RecordingDenoiser(ModelDenoiser):
    """Opens sessions that note what they are told."""

    def session(self, request: SessionRequest) -> StatelessSession:
        self.request, self.ended = request, []
        session = StatelessSession(self, request)
        session.end_block = lambda sequences, start, stop: self.ended.append((start, stop))  # type: ignore[method-assign]
        return session


def test_a_session_learns_of_the_request_and_of_every_finished_block() -> None:
    denoiser = RecordingDenoiser(PaddedDenoiser())
    mask = torch.tensor([[0, 1, 1], [1, 1, 1]])
    scheduler = ConfidenceScheduler(k=2)
    generate(denoiser, IDS[:, :3], scheduler=scheduler, max_new_tokens=5, block_length=2, attention_mask=mask)
    assert denoiser.ended == [(3, 5), (5, 7), (7, 8)]
    request = denoiser.request
    assert (request.prompt_length, request.block_length, request.revises_blocks, request.cache) == (3, 2, False, None)
    assert request.attention_mask is not None
    assert request.attention_mask.tolist() == [[0] + [1] * 7, [1] * 8]


def test_a_session_is_told_when_finished_blocks_may_change() -> None:
    denoiser = RecordingDenoiser(ToyDenoiser())
    generate(denoiser, IDS, scheduler=RCRScheduler(k=2, scope="sequence"), max_new_tokens=4, block_length=2)
    assert denoiser.request.revises_blocks


def test_an_approximate_cache_needs_a_denoiser_that_has_one() -> None:
    with pytest.raises(ValueError, match="cache='prefix': ModelDenoiser has no KV cache"):
        generate(ToyDenoiser(), IDS, scheduler=ConfidenceScheduler(), max_new_tokens=2, cache="prefix")
