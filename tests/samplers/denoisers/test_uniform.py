"""DiffusionGemma: every scheduler runs on it, and its own gives what transformers' `generate` gives, token by token."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from scheduler_cases import FACTORIES
from support import slow_except
from tiny_gemma import CANVAS, VOCABULARY, tiny_gemma
from torch import Tensor

from samplers import ConfidenceScheduler, LoPAScheduler, RenoisingScheduler, WINOScheduler, generate, models
from samplers.schedulers.proposals import uniform
from samplers.schedulers.vocabulary import draw, padded_length

PROMPT = torch.tensor([[2, 7, 11, 5, 23, 9, 17, 30, 4, 8, 12]])


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_gemma()


def precise_gemma(canvas: int) -> Any:
    """In float64: a method that changes every token at every look makes much of the rounding of other shapes."""
    made = tiny_gemma(canvas=canvas).double()
    # The fused product of all experts knows no double precision.
    made.set_experts_implementation("eager")
    return made


@pytest.fixture(scope="module")
def precise() -> Any:
    return precise_gemma(CANVAS)


@contextmanager
def our_noise(generator: torch.Generator, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """While this is open, transformers draws from `generator`, in the order in which our loop draws.

    It draws fresh noise after the last step of a canvas too, and where nothing is open, which nobody reads.
    """
    from transformers.models.diffusion_gemma import generation_diffusion_gemma as theirs

    before: list[Tensor] = []

    def randint(low: int, high: int, size: Any, device: Any) -> Tensor:
        return torch.Tensor.random_(torch.empty(size, dtype=torch.long), low, high, generator=generator)

    def multinomial(weights: Tensor, num_samples: int) -> Tensor:
        noise = uniform((1, len(weights)), generator, weights.device)
        padded = torch.nn.functional.pad(weights, (0, padded_length(weights.shape[1]) - weights.shape[1]))
        return draw(padded[None], noise)[0, :, None]

    sampler, mixin = theirs.EntropyBoundSampler, theirs.DiffusionGemmaGenerationMixin
    renoise, prepare = sampler.renoise_canvas, mixin._prepare_denoiser_inputs

    def renoise_open(self: Any, canvas: Tensor, step: Any) -> Tensor:
        before[:] = [generator.get_state()]
        return canvas if bool(self.accepted_token_mask.all()) else renoise(self, canvas, step)

    def prepare_next(self: Any, **arguments: Any) -> Any:
        if before:
            generator.set_state(before[0])
        return prepare(self, **arguments)

    class Torch:
        """torch, but for two sources of noise."""

        def __getattr__(self, name: str) -> Any:
            return {"randint": randint, "multinomial": multinomial}.get(name) or getattr(torch, name)

    with monkeypatch.context() as patch:
        patch.setattr(theirs, "torch", Torch())
        patch.setattr(sampler, "renoise_canvas", renoise_open)
        patch.setattr(mixin, "_prepare_denoiser_inputs", prepare_next)
        yield


def theirs(
    model: Any, ids: Tensor, seed: int, monkeypatch: pytest.MonkeyPatch, eos_token_id: int | None = None, **options: Any
) -> tuple[Tensor, int]:
    """Answer and looks of transformers' own sampler, one row."""
    looks: list[int] = []
    hook = model.model.decoder.register_forward_hook(lambda *arguments: looks.append(1))
    try:
        with our_noise(torch.Generator().manual_seed(seed), monkeypatch):
            sequences = model.generate(ids, eos_token_id=eos_token_id, **options).sequences
    finally:
        hook.remove()
    return sequences[:, ids.shape[1] :], len(looks)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("bound", [0.1, 2.0, 8.0])
def test_its_own_sampler_gives_transformers_tokens(
    model: Any, seed: int, bound: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.diffusion_gemma.generation_diffusion_gemma import EntropyBoundSamplerConfig

    options = {"max_denoising_steps": 7, "sampler_config": EntropyBoundSamplerConfig(entropy_bound=bound)}
    expected, looks = theirs(model, PROMPT, seed, monkeypatch, max_new_tokens=3 * CANVAS, **options)
    output = generate(
        model,
        PROMPT,
        scheduler=RenoisingScheduler(entropy_bound=bound, num_inference_steps=7),
        max_new_tokens=3 * CANVAS,
        generator=[torch.Generator().manual_seed(seed)],
    )
    assert output.answers.tolist() == expected.tolist()
    assert output.num_forward_passes.tolist() == [looks]


@pytest.mark.parametrize(("stability", "confidence"), [(1, 3.0), (2, 3.3), (0, 2.2)])
def test_it_stops_early_where_transformers_does(
    stability: int, confidence: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Few tokens, which stay the same now and then.
    model, steps, early = tiny_gemma(canvas=2), 9, 0
    for seed in range(4):
        ends = {"stability_threshold": stability, "confidence_threshold": confidence}
        expected, looks = theirs(model, PROMPT, seed, monkeypatch, max_new_tokens=6, max_denoising_steps=steps, **ends)
        output = generate(
            model,
            PROMPT,
            scheduler=RenoisingScheduler(num_inference_steps=steps, **ends),
            max_new_tokens=6,
            generator=[torch.Generator().manual_seed(seed)],
        )
        assert output.answers.tolist() == expected.tolist()
        assert output.num_forward_passes.tolist() == [looks]
        early += looks < 3 * steps
    assert early


def test_an_end_token_ends_the_row_with_its_canvas(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"max_new_tokens": 3 * CANVAS, "max_denoising_steps": 5}
    whole, looks = theirs(model, PROMPT, 1, monkeypatch, **options)
    assert looks == 15
    end = int(whole[0, CANVAS + 2])
    assert end not in whole[0, :CANVAS]
    expected, looks = theirs(model, PROMPT, 1, monkeypatch, eos_token_id=end, **options)
    assert looks == 10
    output = generate(
        model,
        PROMPT,
        scheduler=RenoisingScheduler(num_inference_steps=5),
        max_new_tokens=3 * CANVAS,
        eos_token_id=end,
        stop_at_eos=True,
        generator=[torch.Generator().manual_seed(1)],
    )
    until = expected[0].tolist().index(end) + 1
    assert output.answers[0, :until].tolist() == expected[0, :until].tolist()
    assert output.num_forward_passes.tolist() == [looks]


def test_given_tokens_are_seen_and_stay(model: Any) -> None:
    prefill = torch.full((1, CANVAS), VOCABULARY)
    prefill[0, 2] = 9
    seen: list[Tensor] = []
    hook = model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["decoder_input_ids"]), with_kwargs=True
    )
    try:
        for scheduler in (RenoisingScheduler(num_inference_steps=3), ConfidenceScheduler(k=2)):
            output = generate(model, PROMPT, scheduler=scheduler, max_new_tokens=CANVAS, prefill=prefill)
            assert output.answers[0, 2] == 9
    finally:
        hook.remove()
    assert all(int(canvas[0, 2]) == 9 for canvas in seen)


def test_a_padded_batch_gives_what_transformers_gives_each_row_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The sliding layer sees 8 tokens, and rows end at different steps.
    precise = precise_gemma(2)
    prompts = [PROMPT[0].tolist(), [2, 9, 4], [2, *range(3, 17)]]
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(row)) + row for row in prompts])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in prompts])
    ends = {"stability_threshold": 1, "confidence_threshold": 3.2}
    output = generate(
        precise,
        ids,
        attention_mask=mask,
        scheduler=RenoisingScheduler(num_inference_steps=8, **ends),
        max_new_tokens=6,
        generator=[torch.Generator().manual_seed(seed) for seed in (3, 4, 8)],
    )
    passes = []
    for row, prompt in enumerate(prompts):
        expected, looks = theirs(
            precise,
            torch.tensor([prompt]),
            (3, 4, 8)[row],
            monkeypatch,
            max_new_tokens=6,
            max_denoising_steps=8,
            **ends,
        )
        assert output.answers[row].tolist() == expected[0].tolist()
        passes.append(looks)
    assert output.num_forward_passes.tolist() == passes
    assert len(set(passes)) > 1


# A quota, a threshold, one that looks at drafts, and one that masks again.
@pytest.mark.parametrize(
    "name",
    slow_except(
        [label for label in FACTORIES if label.startswith(("confidence", "threshold", "verified", "remdm"))],
        [label for label in FACTORIES if label.partition("_")[0] != "wino"],
    ),
)
def test_every_method_runs_on_it_and_a_row_is_the_row_alone(precise: Any, name: str) -> None:
    ids = torch.cat([torch.nn.functional.pad(PROMPT, (2, 0)), torch.arange(3, 16)[None]])
    mask = torch.tensor([[0, 0] + [1] * 11, [1] * 13])

    def answers(rows: slice, start: int) -> Tensor:
        sources = [torch.Generator().manual_seed(row) for row in range(2)][rows]
        options: dict[str, Any] = {"scheduler": FACTORIES[name](), "max_new_tokens": 9, "generator": sources}
        if not start:
            options["attention_mask"] = mask[rows]
        output = generate(precise, ids[rows, start:], **options)
        assert (output.answers < VOCABULARY).all()
        return output.answers

    together = answers(slice(0, 2), 0)
    assert torch.equal(together[:1], answers(slice(0, 1), 2))
    assert torch.equal(together[1:], answers(slice(1, 2), 0))


def test_drafts_are_dropped_because_each_look_draws_noise(precise: Any) -> None:
    output = generate(precise, PROMPT, scheduler=LoPAScheduler(branches=3), max_new_tokens=9)
    assert torch.equal(output.num_rounds, output.num_forward_passes)


def test_an_open_position_holds_fresh_noise_at_each_look_and_the_model_is_told_what_it_said(model: Any) -> None:
    calls: list[dict[str, Any]] = []
    hook = model.register_forward_pre_hook(lambda module, args, kwargs: calls.append(kwargs), with_kwargs=True)
    try:
        generate(model, PROMPT, scheduler=ConfidenceScheduler(k=2), max_new_tokens=2 * CANVAS)
    finally:
        hook.remove()
    assert len(calls) == 6
    canvases = [call["decoder_input_ids"] for call in calls]
    assert all(int(canvas.max()) < VOCABULARY for canvas in canvases)
    assert not torch.equal(canvases[0], canvases[1])
    # Told nothing at the first look of a canvas, and then its own logits.
    assert [call["self_conditioning_logits"] is None for call in calls] == [True, False, False] * 2
    # The context has grown since: the second canvas's is what it was.
    with torch.no_grad():
        assert torch.equal(calls[4]["self_conditioning_logits"], model(**calls[3]).logits)


def test_raw_and_loaded_model_decode_the_same(model: Any, tmp_path: Any) -> None:
    model.save_pretrained(tmp_path)
    models.check(models.find(tmp_path))
    loaded = models.load(tmp_path)
    assert (loaded.mask_token_id, loaded.block_length, loaded.vocab_size) == (VOCABULARY, CANVAS, VOCABULARY)
    assert (loaded.attention, loaded.eos_token_id, loaded.dtype) == ("causal_context", 1, torch.float32)
    runs = [
        generate(
            one,
            PROMPT,
            scheduler=ConfidenceScheduler(k=2),
            max_new_tokens=8,
            generator=torch.Generator().manual_seed(3),
        ).answers
        for one in (model, loaded)
    ]
    assert torch.equal(*runs)


def test_what_it_does_not_have_is_refused_by_name(model: Any) -> None:
    options: dict[str, Any] = {"max_new_tokens": 4}
    with pytest.raises(ValueError, match="cannot encode an open position"):
        generate(model, PROMPT, scheduler=ConfidenceScheduler(), cfg_scale=1.0, **options)
    with pytest.raises(ValueError, match="has no KV cache"):
        generate(model, PROMPT, scheduler=ConfidenceScheduler(), cache="dual", **options)
    with pytest.raises(ValueError, match="has no shadow tokens"):
        generate(model, PROMPT, scheduler=WINOScheduler(), **options)


def test_a_callback_that_changes_tokens_is_heeded(model: Any) -> None:
    def change(step: int, timestep: Any, state: dict[str, Tensor]) -> Any:
        if step == 2:  # the first canvas is finished: another token there moves the second
            return {"sample": state["sample"].index_fill(1, torch.tensor([0]), 5)}
        return None

    plain, changed = (
        generate(
            model,
            PROMPT,
            scheduler=ConfidenceScheduler(k=2),
            max_new_tokens=2 * CANVAS,
            generator=torch.Generator().manual_seed(0),
            callback_on_step_end=callback,
        ).answers
        for callback in (None, change)
    )
    assert changed[0, 0] == 5
    assert torch.equal(plain[:, 1:CANVAS], changed[:, 1:CANVAS])
    assert not torch.equal(plain[:, CANVAS:], changed[:, CANVAS:])
