"""Forward and backward pass over a group of a batch; on a GPU, its replay as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .batches import Group
from .model import ReferenceModel, masked_loss

# How much more than the first group of its shape a captured pass has room for; few groups need more.
_ROOM = 1.15
_WARM_UP = 2
# Inputs whose length differs between groups of one shape.
_VARYING = ("positions", "owners", "targets", "weights", "shares")


@dataclass(frozen=True, slots=True)
class Inputs:
    """A group on the device: the arrays of `Group`, long but for `weights`, and the share of each masked token.

    `shares` (masked,), float32, are 1 / (masked tokens of the batch), and 0 for padding.
    """

    prompts: Tensor
    prompt_lengths: Tensor
    windows: Tensor
    positions: Tensor
    owners: Tensor
    targets: Tensor
    weights: Tensor
    shares: Tensor

    def fill(self, other: Inputs) -> None:
        """Take the values of `other`, which may have fewer masked tokens and targets; the rest is padding."""
        for name in self.__slots__:
            mine, its = getattr(self, name), getattr(other, name)
            if len(mine) == len(its):
                mine.copy_(its)
            else:
                mine.zero_()
                mine[: len(its)].copy_(its)


class Passes:
    """Computes the losses of groups and adds their gradients to those of the parameters.

    Args:
        model: what is trained, on its device.
        dtype: what is computed in.
    """

    def __init__(self, model: ReferenceModel, dtype: torch.dtype) -> None:
        self.model = model
        self.dtype = dtype
        self.device = model.model.embed_tokens.weight.device
        self._loss: Callable[..., Tensor] = masked_loss

    def __call__(self, group: Group, masked_tokens: int) -> Tensor:
        """What each masked token adds to the loss of its batch, float32, (masked tokens or more,).

        Args:
            group: part of the batch.
            masked_tokens: of the whole batch; the loss is the mean over them.
        """
        return self._run(self._inputs(group, masked_tokens))

    def _inputs(self, group: Group, masked_tokens: int) -> Inputs:
        shares = torch.full((len(group.positions),), 1 / masked_tokens, device=self.device)
        of_group = {name: self.to_device(getattr(group, name)) for name in Inputs.__slots__ if name != "shares"}
        return Inputs(**of_group, shares=shares)

    def to_device(self, array: np.ndarray) -> Tensor:
        """The array on the device; integers become long."""
        tensor = torch.from_numpy(array)
        if self.device.type == "cuda":
            tensor = tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor if tensor.is_floating_point() else tensor.long()

    def _run(self, inputs: Inputs) -> Tensor:
        hidden = self.model(inputs.prompts, inputs.prompt_lengths, inputs.windows, dtype=self.dtype)
        losses = self._loss(
            hidden,
            self.model.model.embed_tokens.weight,
            inputs.positions,
            inputs.owners,
            inputs.targets,
            inputs.weights,
        )
        losses = losses * inputs.shares
        torch.autograd.backward(losses.sum())
        return losses.detach()


@dataclass(frozen=True, slots=True)
class _Captured:
    graph: torch.cuda.CUDAGraph
    inputs: Inputs
    losses: Tensor


class CapturedPasses(Passes):
    """The same with compiled layers, a CUDA graph for each shape of a group.

    Launching its kernels takes the processor as long as running them takes a GPU, and much longer when other processes
    make batches beside it. A replayed graph is one launch. Gradients must stay in place: zero them, never drop them.
    """

    def __init__(self, model: ReferenceModel, dtype: torch.dtype) -> None:
        super().__init__(model, dtype)
        for layer in model.model.layers:
            layer.compile()
        self._loss = torch.compile(masked_loss, dynamic=True)
        self._captured: dict[tuple[int, ...], _Captured] = {}

    def __call__(self, group: Group, masked_tokens: int) -> Tensor:
        inputs = self._inputs(group, masked_tokens)
        shape = (*group.prompts.shape, *group.windows.shape)
        if shape not in self._captured:
            self._captured[shape] = self._capture(inputs)
        captured = self._captured[shape]
        if len(inputs.positions) > len(captured.inputs.positions) or len(inputs.owners) > len(captured.inputs.owners):
            return self._run(inputs)
        captured.inputs.fill(inputs)
        captured.graph.replay()
        return captured.losses

    def _capture(self, inputs: Inputs) -> _Captured:
        """A graph with room for more masked tokens than `inputs` have; neither this nor a replay before `fill` adds to
        the gradients."""
        static = Inputs(*(self._static(getattr(inputs, name), name in _VARYING) for name in Inputs.__slots__))
        static.fill(inputs)
        static.shares.zero_()
        stream: Any = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                self._run(static)
        torch.cuda.current_stream(self.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Nothing of one replay is needed in the next, so that all graphs may use the same memory.
        pool = next((captured.graph.pool() for captured in self._captured.values()), None)
        with torch.cuda.graph(graph, pool=pool):
            losses = self._run(static)
        return _Captured(graph, static, losses)

    def _static(self, like: Tensor, varying: bool) -> Tensor:
        length = int(len(like) * _ROOM) if varying else len(like)
        return torch.zeros((length, *like.shape[1:]), dtype=like.dtype, device=self.device)
