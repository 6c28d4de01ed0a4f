"""What a scheduler remembers about the samples it is working on."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor


class SampleState:
    """Memory that belongs to samples, row by row.

    A row whose sample does not begin with the `prev_sample` that was returned last starts afresh, so neither a second
    generation nor the next block inherits anything. The comparison happens on the device; nothing is copied to the
    host.

    Args:
        per_row: initial value of each remembered integer, kept as (batch,) long. The base classes add their own.
        per_position: initial value of each remembered number, kept as (batch, window) float32.
        per_token: names of what is remembered of every token of the vocabulary, (batch, window, vocab). The size of
            the vocabulary is unknown before the first step, so there is no initial value: `get` gives None until
            something is set, and rows that start afresh keep stale numbers, which the method has to pass over.
    """

    def __init__(
        self,
        per_row: Mapping[str, int] | None = None,
        per_position: Mapping[str, float] | None = None,
        per_token: Collection[str] = (),
    ) -> None:
        self._initial: dict[str, int] = dict(per_row or {})
        self._initial_positions: dict[str, float] = dict(per_position or {})
        self._per_token = tuple(per_token)
        self._values: dict[str, Tensor] = {}
        self._previous: Tensor | None = None

    def add(self, per_row: Mapping[str, int]) -> None:
        """Remember further integers, unless they are remembered already; called before the first step."""
        self._initial = {**per_row, **self._initial}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._values:
            known = ", ".join([*self._initial, *self._initial_positions, *self._per_token])
            raise KeyError(f"the state has no {name!r}; _new_state() defines {known}")
        return self._values[name]

    def __setitem__(self, name: str, value: Tensor) -> None:
        self._values[name] = value

    def get(self, name: str) -> Tensor | None:
        """What is remembered under `name`, None if nothing was set for the samples at hand."""
        return self._values.get(name)

    def reset(self) -> None:
        """Forget every sample."""
        self._values = {}
        self._previous = None

    def restart(self, name: str) -> None:
        """Set one remembered integer back to its initial value and keep the rest."""
        if name in self._values:
            self._values[name] = torch.full_like(self._values[name], self._initial[name])

    def follow(self, sample: Tensor) -> Tensor:
        """Prepare the memory for `sample` (batch, window); returns which rows start afresh, bool (batch,)."""
        batch, window = sample.shape
        previous = self._previous
        known = (
            previous is not None
            and previous.device == sample.device
            and previous.shape[0] == batch
            and previous.shape[1] <= window
        )
        if not known or previous is None:
            fresh = torch.ones(batch, dtype=torch.bool, device=sample.device)
            for name in self._per_token:
                self._values.pop(name, None)
            for name, initial in self._initial.items():
                self._values[name] = torch.full((batch,), initial, dtype=torch.long, device=sample.device)
            for name, start in self._initial_positions.items():
                self._values[name] = torch.full((batch, window), start, dtype=torch.float32, device=sample.device)
            return fresh
        fresh = (sample[:, : previous.shape[1]] != previous).any(dim=1)
        for name, initial in self._initial.items():
            self._values[name] = torch.where(fresh, initial, self._values[name])
        for name, start in self._initial_positions.items():
            grown = torch.nn.functional.pad(self._values[name], (0, window - previous.shape[1]), value=start)
            self._values[name] = grown.masked_fill(fresh.unsqueeze(1), start)
        for name in self._per_token:
            if name in self._values and window > previous.shape[1]:
                padding = (0, 0, 0, window - previous.shape[1])
                self._values[name] = torch.nn.functional.pad(self._values[name], padding)
        return fresh

    def returned(self, prev_sample: Tensor) -> None:
        """Note what was returned, so that the next sample can be recognised as its continuation."""
        self._previous = prev_sample.clone()
