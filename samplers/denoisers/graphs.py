"""Which forward passes of a model are captured, and kept: those of shapes that come again, where that pays."""

from __future__ import annotations

import sys
import time
import warnings
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from .caches import KeyValueBuffer
from .capturing import RECORDERS, Recorder

#: How often a shape is seen before it is captured, at first; every graph that has to go doubles it.
_SEEN_BEFORE = 3
#: Of one model: graphs that are kept, buffers of keys that they write to, and shapes whose visits are counted.
_MOST_GRAPHS, _MOST_BUFFERS, _MOST_SHAPES = 32, 4, 512
# Parameters times tokens of a pass, such as 8 billion times 2500. Above, the device is busy for as long as the host
# takes to launch the kernels; below, it waits for the host.
_MOST_WORK = 2e13
#: Lengths of static buffers are multiples of this, so that prompts of about one length share their graphs.
_STEP = 64
#: Attention of transformers that runs without the host looking at what the device has computed.
_CAPTURED_ATTENTION = ("sdpa", "eager")

#: Packages whose modules are known to compute the same at every pass.
_OURS = ("samplers", "torch", "transformers")

Call = Callable[[Mapping[str, Tensor]], Tensor]
#: What a pass depends on but its tensors' values, and which buffer it writes to, if any.
_Place = tuple[Hashable, int | None]


@dataclass(slots=True)
class _Graph:
    """A captured pass: its inputs and output in their places, what repeats it, and the buffer that it writes to."""

    inputs: dict[str, Tensor]
    output: Tensor
    replay: Callable[[], None]
    buffer: KeyValueBuffer | None


class PassGraphs:
    """The captured forward passes of one model, as long as its weights stay where they are.

    Args:
        recorder: captures calls on the model's device.
        parameters: how many the model has.
    """

    def __init__(self, recorder: Recorder, parameters: int) -> None:
        self._recorder, self._parameters = recorder, parameters
        self._lock = RLock()
        self._graphs: OrderedDict[_Place, _Graph] = OrderedDict()
        self._seen: OrderedDict[Hashable, int] = OrderedDict()
        self._needed = _SEEN_BEFORE
        self._free: deque[tuple[tuple[int, int], KeyValueBuffer]] = deque()
        self._lent = 0
        # Filled whenever a session is collected, which may be at any time; emptied where the lock is held.
        self._returned: deque[tuple[tuple[int, int], KeyValueBuffer]] = deque()
        self._failed = False

    def __len__(self) -> int:
        """How many graphs are kept."""
        return len(self._graphs)

    def lend(self, batch: int, length: int, owner: Any) -> KeyValueBuffer | None:
        """A buffer for sequences of `length` that graphs may write to, as long as `owner` lives.

        Returns:
            None where too many are in use.
        """
        shape = batch, wide(length)
        with self._lock:
            self._take_back()
            found = next((one for one in self._free if one[0] == shape), None)
            if found is not None:
                self._free.remove(found)
                # Nothing of another generation may be seen, and what is hidden must be a number.
                self._recorder.before_replay()
                found[1].clear()
            else:
                while self._free and len(self._free) + self._lent >= _MOST_BUFFERS:
                    self._drop_graphs_of(self._free.popleft()[1])
                if self._lent >= _MOST_BUFFERS:
                    return None
                found = shape, KeyValueBuffer(shape[1])
            self._lent += 1
        weakref.finalize(owner, self._returned.append, found).atexit = False
        return found[1]

    def run(
        self,
        key: Hashable,
        inputs: Mapping[str, Tensor],
        call: Call,
        eagerly: Callable[[], Tensor],
        *,
        at_once: bool = False,
        buffer: KeyValueBuffer | None = None,
    ) -> Tensor:
        """What `call` returns for `inputs`: replayed where its shape is captured, or worth it now; else `eagerly()`.

        Args:
            key: everything that `call` depends on but the values of `inputs`.
            inputs: the tensors that change from call to call; "ids" are the tokens of the pass, (batch, queries).
            call: made with tensors in the place of `inputs`; gives the same whenever it is made again.
            eagerly: gives the same.
            at_once: whether to capture a shape when it is seen for the first time, large or small.
            buffer: what `call` writes to, from `lend`.
        """
        shapes = tuple((name, tensor.shape, tensor.dtype) for name, tensor in inputs.items())
        shape = (key, shapes)
        place = (shape, None if buffer is None else id(buffer))
        if torch.is_autocast_enabled(inputs["ids"].device.type):
            # What is captured was computed in the weights' own dtype.
            return eagerly()
        with self._lock:
            graph = self._graphs.get(place)
            if graph is None and self._is_due(shape, inputs["ids"], at_once):
                graph = self._captured(place, inputs, call, buffer)
            if graph is not None:
                self._graphs.move_to_end(place)
                return self._replayed(graph, inputs)
        try:
            return eagerly()
        except torch.OutOfMemoryError:
            if not self._graphs:
                raise
        # Outside of the handler, which holds on to the tensors of the frames that failed.
        self.drop()
        return eagerly()

    def drop(self) -> None:
        """Give all memory back that graphs hold; what is in use goes on, and captures again."""
        with self._lock:
            self._take_back()
            if self._graphs:
                self._recorder.settle()
            self._graphs.clear()
            self._free.clear()
            self._seen.clear()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _is_due(self, shape: Hashable, tokens: Tensor, at_once: bool) -> bool:
        if self._failed or torch.is_grad_enabled():
            return False
        if at_once:
            return True
        if tokens.numel() * self._parameters > _MOST_WORK:
            return False
        count = self._seen.pop(shape, 0) + 1
        self._seen[shape] = count
        if len(self._seen) > _MOST_SHAPES:
            self._seen.popitem(last=False)
        return count >= self._needed and self._recorder.has_room()

    def _captured(
        self,
        place: tuple[Hashable, int | None],
        inputs: Mapping[str, Tensor],
        call: Call,
        buffer: KeyValueBuffer | None,
    ) -> _Graph | None:
        """The graph of a call, kept from now on; None where it cannot be captured, which is said once."""
        began, compiled = time.perf_counter(), _seconds_of_compiling()
        try:
            # What is made in inference mode could not be written to outside of it.
            with torch.inference_mode(False), torch.no_grad():
                copies = {name: tensor.clone() for name, tensor in inputs.items()}
                output, replay = self._recorder.capture(lambda: call(copies))
        except Exception as error:
            # Whatever it is: launched eagerly it either works, or raises what the user is to see.
            reason = " ".join(str(error).split())[:200]
        else:
            while len(self._graphs) >= _MOST_GRAPHS:
                self._recorder.settle()
                (shape, _), _ = self._graphs.popitem(last=False)
                self._seen.pop(shape, None)
                self._needed *= 2
            graph = self._graphs[place] = _Graph(copies, output, replay, buffer)
            return graph
        finally:
            _SECONDS[0] += time.perf_counter() - began - (_seconds_of_compiling() - compiled)
        # Outside of the handler, which holds on to the tensors of the frames that failed.
        self._failed = True
        self.drop()
        warnings.warn(
            f"a forward pass could not be captured ({reason}); passes are launched one kernel after the other from "
            "now on, which gives the same and takes longer; compile='off' says so from the start",
            stacklevel=2,
        )
        return None

    def _replayed(self, graph: _Graph, inputs: Mapping[str, Tensor]) -> Tensor:
        self._recorder.before_replay()
        for name, place in graph.inputs.items():
            place.copy_(inputs[name])
        graph.replay()
        # The next replay, of any graph, writes there.
        output = graph.output.clone()
        self._recorder.after_replay()
        return output

    def _take_back(self) -> None:
        while self._returned:
            self._free.append(self._returned.popleft())
            self._lent -= 1

    def _drop_graphs_of(self, buffer: KeyValueBuffer) -> None:
        of_buffer = [key for key, graph in self._graphs.items() if graph.buffer is buffer]
        if of_buffer:
            self._recorder.settle()
        for key in of_buffer:
            del self._graphs[key]


def wide(length: int) -> int:
    """The length of the static buffer in which so many positions find room."""
    return -(-length // _STEP) * _STEP


@dataclass(frozen=True, slots=True)
class _Kept:
    """The graphs of a model, and where its weights lay when they were made."""

    marks: tuple[Any, ...]
    graphs: PassGraphs


#: What captures have taken so far.
_SECONDS = [0.0]
_OF_MODELS: WeakKeyDictionary[nn.Module, _Kept] = WeakKeyDictionary()
_OF_MODELS_LOCK = RLock()


def graphs_of(model: Any, choice: str) -> PassGraphs | None:
    """Where the passes of `model` are captured; None where they are not.

    To be asked at the beginning of each generation: what was captured of weights that lie elsewhere by now is dropped.

    Args:
        model: of `samplers.models`; others are not captured.
        choice: one of `samplers.denoisers.interface.COMPILE_CHOICES`.
    """
    if choice == "off" or not getattr(type(model), "can_be_captured", False):
        return None
    make = RECORDERS.get(model.device.type)
    marks = None if make is None else _marks(model)
    if make is None or marks is None:
        return None
    with _OF_MODELS_LOCK:
        kept = _OF_MODELS.get(model)
        if kept is None or kept.marks != marks:
            if kept is not None:
                kept.graphs.drop()
            parameters = sum(parameter.numel() for parameter in model.parameters())
            kept = _OF_MODELS[model] = _Kept(marks, PassGraphs(make(model.device), parameters))
        return kept.graphs


def drop_graphs() -> None:
    """Give the memory back that captured passes of all models hold."""
    with _OF_MODELS_LOCK:
        for kept in list(_OF_MODELS.values()):
            kept.graphs.drop()


def seconds_of_capturing() -> float:
    """How long this process has captured passes so far, in seconds; what was compiled meanwhile is not counted."""
    return _SECONDS[0]


def seconds_of_warming_up() -> float:
    """How long this process has captured passes and compiled models so far, in seconds."""
    return _SECONDS[0] + _seconds_of_compiling()


def _seconds_of_compiling() -> float:
    # Nothing has been compiled where nobody has asked for the compiler; not every version of it tells the time.
    compiler: Any = sys.modules.get("torch._dynamo.utils")
    spent: dict[str, float] = getattr(compiler, "calculate_time_spent", dict)()
    return float(spent.get("total_wall_time", 0.0))


def _marks(model: Any) -> tuple[Any, ...] | None:
    """What tells where a model's weights lie and what runs them; None where it cannot be captured."""
    if model.expert_capacity is not None or model.model.config._attn_implementation not in _CAPTURED_ATTENTION:
        return None
    device = model.device
    marks: list[Any] = []
    for module in model.modules():
        # What others hang on a module, or put in its place, may do anything, at every pass anew.
        if type(module).__module__.partition(".")[0] not in _OURS or "forward" in vars(module):
            return None
        if module.training or module._forward_hooks or module._forward_pre_hooks:
            return None
        marks.append(module._compiled_call_impl is None)
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            if tensor is None:
                continue
            # Quantised weights, and those of several devices, come with code of their own.
            if type(tensor) not in (Tensor, nn.Parameter) or tensor.device != device:
                return None
            marks.append((tensor.data_ptr(), tensor.dtype))
    return (device, model.model.config._attn_implementation, *marks)
