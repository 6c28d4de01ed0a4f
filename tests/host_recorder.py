"""What stands in for CUDA graphs on a CPU: operations recorded once, and made again on the very same tensors.

Like a graph it repeats what was done to tensors and nothing that Python did around it: a number that was read from a
slice or a variable stays what it was, and what would wait for the device, or bring values from the host, is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# What a graph cannot do: results that the host waits for, sizes that hang on values, constants from the host.
_REFUSED = {
    "_local_scalar_dense",
    "nonzero",
    "lift_fresh",
    "masked_select",
    "is_nonzero",
    "equal",
    "bincount",
    "_unique2",
}


class Operations(TorchDispatchMode):
    """Operations on tensors, noted while the context lasts with the tensors that they read and wrote.

    Attributes:
        failed: whether one was refused.
    """

    def __init__(self) -> None:
        super().__init__()
        self._noted: list[tuple[Any, Any, Any, list[Tensor]]] = []
        self.failed = False

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        name = operation.overloadpacket.__name__
        if name in _REFUSED:
            self.failed = True
            raise RuntimeError(f"operation not permitted when stream is capturing: {name}")
        result = operation(*arguments, **(options or {}))
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        # A view is of memory that is still there.
        if not operation.is_view:
            self._noted.append((operation, arguments, options or {}, outputs))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        """Make them again, on the same tensors."""
        for operation, arguments, options, outputs in self._noted:
            result = operation(*arguments, **options)
            for place, value in zip(outputs, tree_leaves(result), strict=False):
                if isinstance(value, Tensor) and value.data_ptr() != place.data_ptr():
                    place.copy_(value)


class HostRecorder:
    """A `samplers.denoisers.capturing.Recorder` for the CPU.

    Args:
        device: the CPU.

    Attributes:
        captures, replays: how many there were, of all recorders.
        error: what the next capture raises half way, once.
    """

    captures = replays = 0
    error: Exception | None = None

    def __init__(self, device: torch.device) -> None:
        assert device.type == "cpu"

    def capture(self, call: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], None]]:
        call()
        error, HostRecorder.error = HostRecorder.error, None
        if error is not None:
            raise error
        with Operations() as operations:
            output = call()
        HostRecorder.captures += 1
        # A graph computes nothing while it is captured, and keeps nothing of it.
        output.fill_(float("nan"))

        def replay() -> None:
            HostRecorder.replays += 1
            operations.replay()

        return output, replay

    def has_room(self) -> bool:
        return True

    def before_replay(self) -> None:
        """All is done."""

    def after_replay(self) -> None:
        """All is done."""

    def settle(self) -> None:
        """All is done."""
