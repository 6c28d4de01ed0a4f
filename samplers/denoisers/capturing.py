"""CUDA graphs: a call recorded once on the device, and replayed without the host launching its kernels one by one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Any, Protocol

import torch
from torch import Tensor

#: Calls before one is captured: libraries set memory aside at the first, and compilers compile.
_WARM_UPS = 2
#: Of the device's memory, what has to be free for a capture.
_FREE_SHARE = 0.1
#: Graphs whose capture failed: the allocator may still know them, so that they have to stay.
_BROKEN: list[Any] = []
#: One capture at a time in the whole process, as CUDA wants it.
_CAPTURING = Lock()


class Recorder(Protocol):
    """What captures calls on one device. A call reads and writes the same tensors whenever it is replayed."""

    def capture(self, call: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], None]]:
        """What the call returns, and what repeats it: everything it does to tensors, and nothing else of it.

        The call is made several times. Whatever it raises is raised; the device can be used as before then.
        """
        ...

    def has_room(self) -> bool:
        """Whether there is memory enough left for one more."""
        ...

    def before_replay(self) -> None:
        """Wait, on the device alone, until the last replay's output has been read."""
        ...

    def after_replay(self) -> None:
        """The output has been read by what was launched so far."""
        ...

    def settle(self) -> None:
        """Wait until nothing that was replayed is under way, so that it can be dropped."""
        ...


class CudaRecorder:
    """CUDA graphs of one device, which share one pool of memory: no two of them are ever under way at once.

    Args:
        device: a CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool: Any = torch.cuda.graph_pool_handle()
        self._stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._read: Any = None

    def capture(self, call: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], None]]:
        with _CAPTURING, torch.cuda.device(self._device):
            here = torch.cuda.current_stream(self._device)
            self._stream.wait_stream(here)
            try:
                with torch.cuda.stream(self._stream):
                    for _ in range(_WARM_UPS):
                        call()
            finally:
                # A call that failed half way may still be writing what the next one writes.
                here.wait_stream(self._stream)
            torch.cuda.synchronize(self._device)
            # What the calls needed is free again, but for this stream alone.
            torch.cuda.empty_cache()
            graph = torch.cuda.CUDAGraph()
            # `torch.cuda.graph` leaves its own stream the current one where a capture fails.
            with torch.cuda.stream(self._stream):
                # Other threads may allocate memory meanwhile.
                graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
                try:
                    output = call()
                    graph.capture_end()
                except BaseException:
                    _BROKEN.append(graph)
                    # It says that the capture has failed.
                    with suppress(RuntimeError):
                        graph.capture_end()
                    _renew_default_generator(self._device)
                    raise
        return output, graph.replay

    def has_room(self) -> bool:
        free, total = torch.cuda.mem_get_info(self._device)
        unused = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return free + unused > _FREE_SHARE * total

    def before_replay(self) -> None:
        if self._read is not None:
            torch.cuda.current_stream(self._device).wait_event(self._read)

    def after_replay(self) -> None:
        if self._read is None:
            self._read = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._read.record(torch.cuda.current_stream(self._device))

    def settle(self) -> None:
        torch.cuda.synchronize(self._device)


def _renew_default_generator(device: torch.device) -> None:
    """Give the device's own generator a state that no capture has marked as its own.

    A capture that fails never takes its mark off, and everything random on the device would be refused from then on.
    """
    generator = torch.cuda.default_generators[torch.cuda.current_device() if device.index is None else device.index]
    generator.graphsafe_set_state(generator.clone_state())


#: Type of a device → what captures calls there.
RECORDERS: dict[str, Callable[[torch.device], Recorder]] = {"cuda": CudaRecorder}
