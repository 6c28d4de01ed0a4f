"""How many forward passes a method takes for an answer, told before anything is decoded."""

from __future__ import annotations

from typing import Any

from benchmark.protocol.method import STEPS, Method

# Enough tokens, and few enough at a time, that a method which looks at the logits takes other steps when it is sure.
_TRIAL_LENGTH, _TRIAL_VOCABULARY = 16, 4


def forward_passes(method: Method, new_tokens: int) -> tuple[int, bool]:
    """Forward passes for an answer of `new_tokens` tokens, and whether it is exactly as many, or at most.

    A method whose steps hang on what the model says takes at most one step a token, or a few more if it masks tokens
    again.
    """
    length = min(method.decoded_block_length or new_tokens, new_tokens)
    whole, rest = divmod(new_tokens, length)
    passes = whole * _steps(method, length) + (_steps(method, rest) if rest else 0)
    others = [item for item in method.arguments if item[0] not in (method.scheduler_class.speed_parameter, STEPS)]
    key = method.name, tuple(others)
    if key not in _fixed:
        _fixed[key] = _is_fixed(method)
    return passes, _fixed[key]


#: Scheduler and parameters other than that of speed → whether its steps hang on nothing that a model says.
_fixed: dict[Any, bool] = {}


def _steps(method: Method, block_length: int) -> int:
    scheduler = method.build(0.0)
    scheduler.set_timesteps(block_length=block_length)
    return len(scheduler.timesteps)


def _is_fixed(method: Method) -> bool:
    """Whether it decodes in as many steps when the model is sure of everything as when it is of nothing."""
    import torch

    if method.scheduler_class.adaptive or method.scheduler_class.needs_shadows:
        return False

    def steps(sureness: float) -> int:
        scheduler: Any = method.build(0.0)
        scheduler.set_timesteps(block_length=_TRIAL_LENGTH)
        mask = _TRIAL_VOCABULARY
        logits = torch.zeros(1, _TRIAL_LENGTH, _TRIAL_VOCABULARY + 1)
        logits[..., 0] = sureness * torch.linspace(0.5, 1, _TRIAL_LENGTH)
        sample, count = torch.full((1, _TRIAL_LENGTH), mask), 0
        while (sample == mask).any() and count < 4 * _TRIAL_LENGTH:
            timestep = scheduler.timesteps[min(count, len(scheduler.timesteps) - 1)]
            generator = torch.Generator().manual_seed(0)
            sample = scheduler.step(logits, timestep, sample, mask_token_id=mask, generator=generator).prev_sample
            count += 1
        return count

    return steps(0.1) == steps(40.0) == _steps(method, _TRIAL_LENGTH)
