"""CUDA graphs are captured and replayed in the order that CUDA wants, on a stand-in for torch.cuda that notes it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from host_recorder import Operations
from random_checkpoint import written
from torch import Tensor

from samplers import ConfidenceScheduler, generate, models
from samplers.denoisers import capturing, graphs
from samplers.denoisers.capturing import CudaRecorder


class Device:
    """What `torch.cuda` would have done."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.stream = "default"
        self.capturing: Operations | None = None
        self.generator = Generator()

    def note(self, *words: Any) -> None:
        self.log.append(" ".join(map(str, words)))

    @contextmanager
    def on(self, stream: Any) -> Iterator[None]:
        before, self.stream = self.stream, stream
        try:
            yield
        finally:
            self.stream = before


class Generator:
    """The device's own source of noise, which a capture marks until it ends well."""

    def __init__(self) -> None:
        self.state = {"captured": False}

    def clone_state(self) -> "Generator":
        return Generator()

    def graphsafe_set_state(self, other: "Generator") -> None:
        self.state = other.state


class Stream:
    def __init__(self, device: Device, name: str) -> None:
        self._device, self._name = device, name

    def wait_stream(self, other: "Stream") -> None:
        self._device.note(self._name, "waits for", other._name)

    def wait_event(self, event: Any) -> None:
        self._device.note(self._name, "waits for what was read")


def cuda(monkeypatch: pytest.MonkeyPatch) -> Device:
    """Puts the stand-in where `torch.cuda` is."""
    device = Device()
    default = Stream(device, "default")

    class Event:
        def record(self, stream: Stream) -> None:
            device.note("read")

    class Graph:
        def capture_begin(self, pool: Any = None, capture_error_mode: str = "global") -> None:
            assert pool == "pool"
            assert capture_error_mode == "thread_local"
            assert isinstance(device.stream, Stream)
            assert device.stream is not default
            device.note("capture")
            self._marked = device.generator.state
            self._marked["captured"] = True
            self._operations = device.capturing = Operations()
            self._operations.__enter__()

        def capture_end(self) -> None:
            self._operations.__exit__(None, None, None)
            device.capturing = None
            if self._operations.failed:
                raise RuntimeError("operation failed due to a previous error during capture")
            self._marked["captured"] = False
            device.note("captured")

        def replay(self) -> None:
            device.note("replay")
            self._operations.replay()

    @contextmanager
    def on_device(where: Any) -> Iterator[None]:
        yield

    fakes: dict[str, Any] = {
        "graph_pool_handle": lambda: "pool",
        "Stream": lambda where: Stream(device, "side"),
        "Event": Event,
        "CUDAGraph": Graph,
        "current_stream": lambda where: default if device.stream == "default" else device.stream,
        "device": on_device,
        "default_generators": [device.generator],
        "current_device": lambda: 0,
        "stream": device.on,
        "synchronize": lambda where: device.note("synchronize"),
        "empty_cache": lambda: device.note("empty cache"),
        "mem_get_info": lambda where: (50, 100),
        "memory_reserved": lambda where: 10,
        "memory_allocated": lambda where: 5,
        "is_available": lambda: False,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    return device


def doubled(given: Tensor) -> Callable[[], Tensor]:
    return lambda: given * 2


def test_capture_warms_up_beside_and_replays_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    device = cuda(monkeypatch)
    recorder = CudaRecorder(torch.device("cuda"))
    given = torch.ones(3)
    output, replay = recorder.capture(doubled(given))
    steps = ["side waits for default", "default waits for side", "synchronize", "empty cache", "capture", "captured"]
    assert device.log == steps
    assert device.stream == "default"
    given.fill_(4)
    for _ in range(2):
        recorder.before_replay()
        replay()
        recorder.after_replay()
    assert output.tolist() == [8, 8, 8]
    assert device.log[len(steps) :] == ["replay", "read", "default waits for what was read", "replay", "read"]
    assert recorder.has_room()
    recorder.settle()


def test_failed_capture_raises_its_reason_and_leaves_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    device = cuda(monkeypatch)
    recorder = CudaRecorder(torch.device("cuda"))
    given = torch.ones(3)

    def waits() -> Tensor:
        # As much as a warm-up may do, and a capture may not.
        return given * given.sum().item()

    for _ in range(2):
        with pytest.raises(RuntimeError, match="not permitted when stream is capturing"):
            recorder.capture(waits)
        assert device.capturing is None
        assert device.stream == "default"
        assert not device.generator.state["captured"]
    assert recorder.capture(doubled(given))


@pytest.mark.parametrize("name", ["llada", "sdar", "llada2"])
def test_generation_by_the_recorder_for_cuda(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, name: str) -> None:
    model: Any = models.load(written(tmp_path, name))
    prompt = torch.randint(0, 60, (2, 9), generator=torch.Generator().manual_seed(0))
    options: dict[str, Any] = {"scheduler": ConfidenceScheduler(k=1), "max_new_tokens": 12, "block_length": 4}
    expected = generate(model, prompt, compile="off", **options).sequences
    device = cuda(monkeypatch)
    monkeypatch.setitem(capturing.RECORDERS, "cpu", CudaRecorder)
    for choice in ("auto", "graphs"):
        assert torch.equal(generate(model, prompt, compile=choice, **options).sequences, expected)
    assert device.log.count("replay") > 12
    graphs.drop_graphs()
    assert device.log[-1] == "synchronize"
    graphs._OF_MODELS.clear()
