"""Ours in diffusers' `DiffusionGemmaPipeline`, in the place of its own: open positions hold noise there, no masks."""

import itertools
from typing import Any

import pytest
import torch
from diffusers import DiffusionGemmaPipeline, EntropyBoundScheduler
from scheduler_cases import FACTORIES
from support import slow_except
from tiny_gemma import CANVAS, VOCABULARY, tiny_gemma
from torch import Tensor

from samplers import ConfidenceScheduler, RenoisingScheduler, generate
from samplers.schedulers.noise import random_tokens

PROMPT = torch.tensor([[2, 7, 11, 5, 23, 9, 17, 30, 4, 8, 12]])


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_gemma()


class Processor:
    """Gives the prompt, whatever is asked."""

    eos_token_id = None

    def apply_chat_template(self, messages: Any, **options: Any) -> dict[str, Tensor]:
        return {"input_ids": PROMPT.clone()}


def decode(model: Any, scheduler: Any, seed: int = 0, **options: Any) -> Tensor:
    """The pipeline's answer."""
    pipe = DiffusionGemmaPipeline(model=model, scheduler=scheduler, processor=None)
    pipe.processor = Processor()
    pipe.set_progress_bar_config(disable=True)
    defaults = {"gen_length": CANVAS, "num_inference_steps": 6, "confidence_threshold": None}
    generator = torch.Generator().manual_seed(seed)
    sequences: Tensor = pipe("a prompt", generator=generator, output_type="seq", **(defaults | options)).sequences
    return sequences


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bound", [0.1, 3.0])
def test_its_own_sampler_decodes_what_it_decodes_in_our_loop(model: Any, seed: int, bound: float) -> None:
    scheduler = RenoisingScheduler(entropy_bound=bound, num_inference_steps=6)
    ours = generate(
        model, PROMPT, scheduler=scheduler, max_new_tokens=CANVAS, generator=torch.Generator().manual_seed(seed)
    )
    assert torch.equal(decode(model, scheduler, seed), ours.answers)


# A quota, a threshold, one that looks at drafts, and one that masks again.
@pytest.mark.parametrize(
    "name",
    slow_except(
        [label for label in FACTORIES if label.startswith(("confidence", "threshold", "verified", "remdm"))],
        [label for label in FACTORIES if label.partition("_")[0] != "wino"],
    ),
)
def test_every_method_decodes_whole_canvases(model: Any, name: str) -> None:
    answer = decode(model, FACTORIES[name](), gen_length=2 * CANVAS, num_inference_steps=12)
    assert answer.shape == (1, 2 * CANVAS)
    assert int(answer.max()) < VOCABULARY


def test_what_is_decided_stays_and_the_rest_is_fresh_noise(model: Any) -> None:
    canvases: list[Tensor] = []
    decode(
        model,
        ConfidenceScheduler(k=1),
        callback_on_step_end=lambda pipe, step, timestep, state: canvases.append(state["canvas"].clone()) or {},
    )
    assert len(canvases) == CANVAS
    for number, (before, after) in enumerate(itertools.pairwise(canvases)):
        assert int((before == after).sum()) >= number + 1
    assert not torch.equal(canvases[0], canvases[1])


def test_the_last_step_leaves_no_noise(model: Any) -> None:
    scheduler = ConfidenceScheduler(k=1)
    scheduler.set_timesteps(2, block_length=4)
    logits, canvas = torch.randn(1, 4, 9), torch.full((1, 4), 3)
    for timestep in range(2):
        output = scheduler.step(logits, timestep, canvas, mask_token_id=None)
        canvas = output.prev_sample
    # One token each step by the method; the others take what was proposed last.
    assert torch.equal(canvas, logits.argmax(dim=-1))


def test_both_samplers_see_the_same_canvas_first(model: Any) -> None:
    first: list[Tensor] = []
    for scheduler in (EntropyBoundScheduler(), RenoisingScheduler()):
        seen: list[Tensor] = []
        hook = model.register_forward_pre_hook(
            lambda module, args, kwargs, seen=seen: seen.append(kwargs["decoder_input_ids"]), with_kwargs=True
        )
        decode(model, scheduler, num_inference_steps=1)
        hook.remove()
        first.append(seen[0])
    assert torch.equal(*first)


def test_random_tokens_of_a_row_depend_on_its_own_source_alone() -> None:
    sources = [torch.Generator().manual_seed(1), None, torch.Generator().manual_seed(2)]
    together = random_tokens(50, (3, 7), sources, torch.device("cpu"))
    alone = random_tokens(50, (1, 7), torch.Generator().manual_seed(2), torch.device("cpu"))
    assert torch.equal(together[2:], alone)
    assert together[1].tolist() == [0] * 7
    assert together.unique().numel() > 5
