"""Schedulers, windows and logits that the tests of the sampler library share."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial, wraps
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from torch import Tensor

from samplers import (
    DAPDScheduler,
    DAWNScheduler,
    ModelView,
    UnmaskingScheduler,
    Wants,
    WINOScheduler,
    built_in_scheduler_names,
    scheduler_class,
)
from samplers.schedulers.views import PROPOSAL_ALONE


def property_test(examples: int) -> settings:
    """Settings of a property test: repeatable, and patient with a busy machine."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


class ShadowedWINOScheduler(WINOScheduler):
    """WINO with the window's own logits as shadows where a test gives none, so that tests need not know about them."""

    wants = Wants()

    def step(self, model_output: Tensor, timestep: Any, sample: Tensor, **arguments: Any) -> Any:
        return super().step(model_output, timestep, sample, **{"shadow_output": model_output, **arguments})


def nearness(sample: Tensor, layers: int = 2) -> Tensor:
    """Attention weights (batch, layers, window, window) that fall with the distance; each row sums to less than 1."""
    place = torch.arange(sample.shape[1], device=sample.device)
    weights = (-(place[:, None] - place).abs().float()).exp()
    weights = 0.9 * weights / weights.sum(dim=1, keepdim=True)
    return weights.expand(len(sample), layers, -1, -1)


# Pipelines of diffusers read in the signature what they may hand over.
@wraps(UnmaskingScheduler.step, assigned=())
def _step_with_attentions(self: Any, model_output: Any, timestep: Any, sample: Tensor, **arguments: Any) -> Any:
    if arguments.get("mask_token_id") is None:
        # It is called again with one.
        return UnmaskingScheduler.step(self, model_output, timestep, sample, **arguments)
    view = model_output if isinstance(model_output, ModelView) else ModelView(model_output)
    if view.attentions is None:
        view = replace(view, attentions=nearness(sample))
    return UnmaskingScheduler.step(self, view, timestep, sample, **arguments)


class AttendedDAPDScheduler(DAPDScheduler):
    """DAPD with attentions that fall with the distance where a test gives none."""

    _reads = PROPOSAL_ALONE
    wants = UnmaskingScheduler.wants
    step = _step_with_attentions


class AttendedDAWNScheduler(DAWNScheduler):
    """DAWN with such attentions."""

    _reads = PROPOSAL_ALONE
    wants = UnmaskingScheduler.wants
    step = _step_with_attentions


#: In place of classes that need more than logits.
_SUPPLIED = {"wino": ShadowedWINOScheduler, "dapd": AttendedDAPDScheduler, "dawn": AttendedDAWNScheduler}

#: Label → a scheduler's short name, and arguments with which the small windows here bring out what it does.
_CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("random", {"k": 2}),
    "left_to_right": ("left_to_right", {"k": 3}),
    "confidence_steps": ("confidence", {"num_inference_steps": 3}),
    "confidence_linear_time": ("confidence", {"num_inference_steps": 4, "schedule": "linear_time"}),
    "margin": ("margin", {"k": 2}),
    "entropy": ("entropy", {"num_inference_steps": 4}),
    "entropy_big_k": ("entropy", {"k": 99}),
    "threshold": ("threshold", {"threshold": 0.4}),
    "threshold_strict_margin": ("threshold", {"threshold": 0.2, "strict": True, "score": "margin"}),
    "threshold_entropy": ("threshold", {"threshold": 1.0, "score": "entropy"}),
    "threshold_random": ("threshold", {"threshold": 0.5, "score": "random"}),
    "factor_reference_code": ("factor", {"factor": 1.5, "rule": "reference_code"}),
    "rcr": ("rcr", {"num_inference_steps": 3}),
    "rcr_k_sequence": ("rcr", {"k": 2, "scope": "sequence"}),
    "remdm": ("remdm", {"num_inference_steps": 3, "remask_steps": 2, "remask_tokens": 2}),
    "remdm_k": ("remdm", {"k": 1, "remask_at": 0.5}),
    "confidence_cosine": ("confidence", {"num_inference_steps": 4, "schedule": "cosine"}),
    "rcr_cosine": ("rcr", {"num_inference_steps": 4, "schedule": "cosine"}),
    "rcr_linear_time": ("rcr", {"num_inference_steps": 4, "schedule": "linear_time"}),
    "remdm_cosine": ("remdm", {"num_inference_steps": 4, "schedule": "cosine"}),
    "remdm_cap": ("remdm", {"num_inference_steps": 5, "variant": "cap", "eta": 0.3}),
    "remdm_rescale": ("remdm", {"num_inference_steps": 7, "variant": "rescale", "eta": 0.4}),
    "remdm_conf": ("remdm", {"num_inference_steps": 5, "variant": "conf"}),
    "remdm_loop": ("remdm", {"num_inference_steps": 6, "variant": "loop", "eta": 0.3}),
    "quota_threshold": ("quota_threshold", {"threshold": 0.5, "num_inference_steps": 4}),
    "editing": ("editing", {"threshold": 0.5, "editing_threshold": 0.3, "max_post_steps": 3, "k": 2}),
    "editing_all": ("editing", {"editing_threshold": 0.0, "num_inference_steps": 3}),
    "eb": ("eb", {"entropy_bound": 0.5}),
    "eb_by_margin": ("eb", {"entropy_bound": 1.5, "order": "margin"}),
    "klass": ("klass", {"threshold": 0.3, "kl_threshold": 1.0}),
    "klass_steps": ("klass", {"threshold": 0.3, "kl_threshold": 9.0, "history": 1, "num_inference_steps": 4}),
    "position_calibrated": ("position_calibrated", {"k": 2, "frequencies": [5, 0, 1]}),
    "dilated_skipping": ("dilated", {"base": 3, "skip_below": 0.5}),
    "slow_fast": ("slow_fast", {"threshold": 0.5}),
    "slow_fast_unstable": ("slow_fast", {"slow_steps": 2, "stability_window": 3, "threshold": 0.3}),
    "saber_k": ("saber", {"k": 5}),
    "wino_doubting": ("wino", {"threshold": 0.3, "remask_threshold": 1.0}),
    "credit": ("credit", {"threshold": 0.5}),
    "prophet": ("prophet", {"num_inference_steps": 4, "late_gap": 0.5}),
    "frechet_by_margin": ("frechet", {"delta": 0.02, "score": "margin"}),
    "local_leap_wide": ("local_leap", {"threshold": 0.5, "near_threshold": 0.3, "radius": 1}),
    "lopa_low": ("lopa", {"threshold": 0.5, "branches": 3}),
    "dapd_direct": ("dapd", {"mode": "direct", "tau_max": 1.0}),
    "dawn_low": ("dawn", {"threshold": 0.6, "induced_threshold": 0.3, "low_threshold": 0.2, "sink_threshold": 1.0}),
}


def _factories() -> dict[str, Callable[..., Any]]:
    """Label → what builds the scheduler with any further arguments: the cases, and every class that has none."""
    cases = {name: (name, dict[str, Any]()) for name in built_in_scheduler_names()} | _CASES
    classes = {name: scheduler_class(name) for name in built_in_scheduler_names()} | _SUPPLIED
    return {label: partial(classes[name], **arguments) for label, (name, arguments) in cases.items()}


#: At least one scheduler of every class and rule, built with any further arguments.
FACTORIES = _factories()
#: Steps of linear_time may commit nothing, a step of ReMDM may mask again all that it has just committed, and its
#: variants draw how much they commit.
MAY_PAUSE = ("confidence_linear_time", "rcr_linear_time", *(name for name in FACTORIES if name.startswith("remdm")))

every_scheduler = pytest.mark.parametrize("name", FACTORIES)


def row_generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True)
class Window:
    """A partly masked window (batch, window) and the logits that a model would give for it, step by step."""

    sample: Tensor
    vocab_size: int
    mask_token_id: int
    seed: int

    def logits(self, step: int, rows: Sequence[int] | None = None) -> Tensor:
        """Random logits of the rows at a step, which do not depend on each other; the mask's own is the highest."""
        numbers = range(len(self.sample)) if rows is None else rows
        values = torch.stack(
            [
                2
                * torch.randn(self.sample.shape[1], self.vocab_size, generator=row_generator(self.seed + 97 * n + step))
                for n in numbers
            ]
        )
        if self.mask_token_id < self.vocab_size:
            values[..., self.mask_token_id] = 50.0
        return values


ALL_MASKED = Window(torch.full((3, 6), 4), vocab_size=5, mask_token_id=4, seed=1)


@st.composite
def windows(draw: Any, max_batch: int = 4, max_window: int = 9, all_masked: bool = False) -> Window:
    """Windows of all shapes; the mask token may have any id, the first outside the vocabulary too."""
    batch, length = draw(st.integers(1, max_batch)), draw(st.integers(1, max_window))
    vocab_size = draw(st.integers(2, 8))
    mask_token_id = draw(st.integers(0, vocab_size))
    seed = draw(st.integers(0, 10_000))
    words = torch.tensor([token for token in range(vocab_size) if token != mask_token_id])
    sample = words[torch.randint(len(words), (batch, length), generator=row_generator(seed))]
    masked = torch.ones(batch, length, dtype=torch.bool)
    if not all_masked:
        masked = torch.tensor(
            draw(st.lists(st.lists(st.booleans(), min_size=length, max_size=length), min_size=batch, max_size=batch))
        )
    return Window(sample.masked_fill(masked, mask_token_id), vocab_size, mask_token_id, seed)


def walk(
    scheduler: Any, window: Window, rows: Sequence[int] | None = None, generators: Any = None, first_step: int = 0
) -> list[Any]:
    """Step until no row goes on; the output of every step. Finished rows draw no noise from a list of generators."""
    sample = window.sample if rows is None else window.sample[list(rows)]
    outputs: list[Any] = []
    # Twice the window and a few is more than any of the schedulers here takes, revisions included.
    for step in range(first_step, first_step + 2 * window.sample.shape[1] + 20):
        going_on = (sample == window.mask_token_id).any(dim=1)
        if outputs and outputs[-1].unsettled is not None:
            going_on = going_on | outputs[-1].unsettled
        unfinished = going_on.tolist()
        if not any(unfinished):
            return outputs
        noise = generators
        if isinstance(generators, list):
            noise = [source if left else None for source, left in zip(generators, unfinished, strict=True)]
        output = scheduler.step(
            window.logits(step, rows), step, sample, mask_token_id=window.mask_token_id, generator=noise
        )
        outputs.append(output)
        sample = output.prev_sample
    raise AssertionError(f"not finished after {len(outputs)} steps: {sample.tolist()}")


def logits_of(probabilities: Any) -> Tensor:
    """Logits whose softmax is `probabilities`, (..., vocab)."""
    return torch.as_tensor(probabilities, dtype=torch.float64).log().float()


def confident_logits(confidences: list[float], vocab_size: int = 4) -> Tensor:
    """Logits (1, window, vocab) whose likeliest token is 1, with these probabilities; the rest is spread evenly.

    The last token is meant as the mask and gets no probability.
    """
    rows = []
    for confidence in confidences:
        rest = (1 - confidence) / (vocab_size - 2)
        rows.append([confidence if token == 1 else rest for token in range(vocab_size - 1)] + [0.0])
    return logits_of([rows])


def constant_model(logits_of_position: Callable[[Tensor], Tensor], **attributes: Any) -> Any:
    """A model that is a plain function of its input ids, with attributes such as `mask_token_id`."""

    def model(input_ids: Tensor) -> Any:
        return types.SimpleNamespace(logits=logits_of_position(input_ids))

    for name, value in attributes.items():
        setattr(model, name, value)
    return model
