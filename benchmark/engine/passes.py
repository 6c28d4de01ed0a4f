"""How many forward passes a method takes for an answer, told before anything is decoded."""

from __future__ import annotations

from typing import Any

from benchmark.protocol.method import STEPS, Method
from benchmark.protocol.operating_points import AUTOREGRESSIVE

# Enough tokens for a method that looks at the logits to take other steps when it is sure.
_TRIAL_LENGTH, _TRIAL_VOCABULARY = 16, 4


def forward_passes(method: Method, new_tokens: int) -> tuple[int, bool]:
    """Forward passes for an answer of `new_tokens` tokens, and whether it is exactly as many, or at most.

    A method whose steps hang on what the model says takes at most one step a token, or a few more if it masks tokens
    again. An autoregressive model takes at most a pass a token; what a server does is not known, and counts as nothing.
    """
    if method.is_operating_point:
        return (new_tokens if method.name == AUTOREGRESSIVE else 0), False
    length = min(method.decoded_block_length or new_tokens, new_tokens)
    whole, rest = divmod(new_tokens, length)
    passes = whole * _steps(method, length) + (_steps(method, rest) if rest else 0)
    speeds = (method.scheduler_class.speed_parameter, STEPS)
    slow = {key: value for key, value in method.arguments if key not in speeds}
    if "k" in method.parameters:
        # The slowest, which leaves most to be decided otherwise.
        slow["k"] = 1
    trial = Method.of(method.name, slow)
    if trial not in _fixed:
        _fixed[trial] = _is_fixed(trial)
    return passes, _fixed[trial]


#: Method at its slowest → whether its steps hang on nothing that a model says.
_fixed: dict[Method, bool] = {}


def _steps(method: Method, block_length: int) -> int:
    scheduler = method.build(0.0)
    scheduler.set_timesteps(block_length=block_length)
    return len(scheduler.timesteps)


def _is_fixed(method: Method) -> bool:
    """Whether it takes the steps of its schedule whether the model is sure of everything, of nothing or of some."""
    import torch

    wants = method.build(0.0).wants
    if method.scheduler_class.adaptive or wants.shadow_logits or wants.attentions:
        return False

    def steps(sureness: float) -> int:
        scheduler: Any = method.build(0.0)
        scheduler.set_timesteps(block_length=_TRIAL_LENGTH)
        mask = _TRIAL_VOCABULARY
        noise = torch.Generator().manual_seed(0)
        sample, count = torch.full((1, _TRIAL_LENGTH), mask), 0
        while (sample == mask).any() and count < 4 * _TRIAL_LENGTH:
            timestep = scheduler.timesteps[min(count, len(scheduler.timesteps) - 1)]
            # Another look every time, as a model has when it sees more tokens.
            logits = sureness * torch.rand(1, _TRIAL_LENGTH, mask + 1, generator=noise)
            sample = scheduler.step(logits, timestep, sample, mask_token_id=mask, generator=noise).prev_sample
            count += 1
        return count

    return {steps(sureness) for sureness in (0.1, 3.0, 100.0)} == {_steps(method, _TRIAL_LENGTH)}
