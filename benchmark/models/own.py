"""A model of the user's own: what a factory named `package.module:factory` returns, or an object in Python."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from benchmark.protocol.questions import Row

from .interface import ModelOptions, TaskModel

if TYPE_CHECKING:
    from benchmark.protocol.method import Method
    from hub_dataset.fit import CountTokens

# What stands at either end of a tensor tells two trainings apart, and costs little in one of a gigabyte.
_WEIGHTS_ENDS = 4096
_DIGITS = 12
#: Name and options → a model that is in use: a factory may take its time, and the ideal model asks for the same one.
_alive: WeakValueDictionary[str, OwnModel] = WeakValueDictionary()


def runs_user_code(model: Any, methods: Iterable[Method]) -> bool:
    """Whether a model, or one of the methods that it is run with, is code of the user's own, as its errors are then."""
    return isinstance(model, OwnModel) or any(":" in method.name for method in methods)


class OwnModel:
    """A model and a tokenizer that somebody made, greedy unless the user says otherwise.

    The model is what `samplers.generate` drives: anything that gives logits, or a `Denoiser`. It stays where it was
    put, unless the user names a device or a dtype. The mask token is the model's, else the tokenizer's.

    Args:
        name: how results name it.
        make: gives model and tokenizer, when they are first needed.
        options: device, dtype, and what the chat template is told.
        factory: what `make` calls, whose source is part of what tells this model from others; None if nothing.

    Raises:
        ValueError: what was made is no model and tokenizer, or they lack what a run needs.
    """

    default_temperature = 0.0
    # Nobody knows, before it is made, whether it is a `Denoiser` that draws something.
    draws = True
    has_weights = True
    # Nobody knows whether a model of somebody's own may be called from several threads.
    concurrent = False

    def __init__(
        self,
        name: str,
        make: Callable[[], Any],
        options: ModelOptions | None = None,
        *,
        factory: Callable[..., Any] | None = None,
    ) -> None:
        self.name = name
        self.options = options or ModelOptions()
        self._make = make
        self._factory = factory

    @cached_property
    def _made(self) -> tuple[Any, Any]:
        from benchmark.models.prompts import check_tokenizer

        made = self._make()
        if not (isinstance(made, tuple | list) and len(made) == 2):
            raise ValueError(f"{self.name} returned {type(made).__name__}; it should return a model and a tokenizer")
        model, tokenizer = made
        if not callable(getattr(tokenizer, "apply_chat_template", None)):
            raise ValueError(
                f"{self.name} returned as tokenizer {type(tokenizer).__name__}; it should be one of transformers"
            )
        check_tokenizer(tokenizer, self.name, chats=self.options.chats)
        if not callable(model) and not any(hasattr(model, name) for name in ("window_logits", "session")):
            raise ValueError(
                f"{self.name} returned as model {type(model).__name__}; it should give logits when it is called, or be "
                "a Denoiser"
            )
        model = self._placed(model)
        if hasattr(model, "eval"):
            model.eval()
        return model, tokenizer

    def _placed(self, model: Any) -> Any:
        """The model on the device and in the dtype that the user names."""
        import torch

        from benchmark.models.hub import find_device

        device, dtype = self.options.device, self.options.dtype
        if self.options.compile:
            raise ValueError(f"--compile: {self.name} is made by code of your own; compile it there")
        if self.options.quantization is not None:
            raise ValueError(f"--quantization: {self.name} is made by code of your own; quantise it there")
        if device is None and dtype is None:
            return model
        if not isinstance(model, torch.nn.Module) or device == "auto":
            raise ValueError(f"--device, --dtype: {self.name} is made by code of your own; set them there")
        wanted_dtype = None if dtype is None else getattr(torch, dtype)
        return model.to(device=None if device is None else find_device(device), dtype=wanted_dtype)

    @cached_property
    def _bare(self) -> Any:
        from samplers.models.unwrapping import unwrapped

        return unwrapped(self._made[0])

    @property
    def tokenizer(self) -> Any:
        """The tokenizer that was made."""
        return self._made[1]

    @cached_property
    def chat_options(self) -> dict[str, Any]:
        """What the chat template is told; raises `ValueError` if it does not know that."""
        from benchmark.models.prompts import check_chat_options

        if self.options.chat_options:
            check_chat_options(self.tokenizer, self.options.chat_options, self.name)
        return dict(self.options.chat_options)

    @property
    def answer_length(self) -> int | None:
        """Tokens that its answers take at least, as the model or its config says."""
        return self._number(("answer_length",))

    @cached_property
    def mask_token_id(self) -> int:
        """The model's mask token, else the tokenizer's.

        Raises:
            ValueError: neither names one.
        """
        from samplers import denoiser_for

        model, tokenizer = self._made
        for holder in (denoiser_for(model), tokenizer):
            found = getattr(holder, "mask_token_id", None)
            if found is not None:
                return int(found)
        raise ValueError(f"{self.name} names no mask token, neither as mask_token_id of the model nor in its tokenizer")

    def record(self) -> dict[str, Any]:
        """Hashes of the source, by module, and of the weights; the first call makes the model."""
        from benchmark.protocol.user_code import sources

        modules = list(self._modules())
        classes = [*type(self._bare).__mro__, *(type(part) for module in modules for part in module.modules())]
        entry: dict[str, Any] = {}
        if found := sources(*([self._factory] if self._factory is not None else []), *dict.fromkeys(classes)):
            entry["source"] = found
        if modules:
            entry["weights"] = _fingerprint(modules)
        if self.answer_length is not None:
            entry["answer_length"] = self.answer_length
        if self.chat_options:
            entry["chat_options"] = self.chat_options
        return entry

    def check_task(self, rows: Sequence[Row], max_new_tokens: int) -> None:
        """Refuse prompts that do not fit into the context, tokens that it does not know, and a model without a mask."""
        from benchmark.models.hub import CONTEXT_KEYS, VOCABULARY_KEYS
        from benchmark.models.prompts import check_lengths, tokenize_prompts

        self.mask_token_id  # noqa: B018 - raises where there is none
        prompts = tokenize_prompts(self.tokenizer, rows, self.chat_options)
        check_lengths(prompts, max_new_tokens, self._number(VOCABULARY_KEYS), self._number(CONTEXT_KEYS))

    @property
    def context_length(self) -> int | None:
        """Tokens that prompt and answer may take together, as the model or its config says; None where none does."""
        from benchmark.models.hub import CONTEXT_KEYS

        return self._number(CONTEXT_KEYS)

    def token_counter(self) -> CountTokens:
        """Counts as its tokenizer does, without special tokens."""
        from hub_dataset.fit import counter_of

        return counter_of(self.tokenizer)

    def for_task(self, rows: Sequence[Row], max_new_tokens: int, seed: int = 0) -> TaskModel:
        """The model itself."""
        model, tokenizer = self._made
        stops = getattr(model, "stop_token_ids", None) or ()
        tokens = tuple(dict.fromkeys([tokenizer.eos_token_id, *stops]))
        return TaskModel(model, tokenizer, self._device(), tokens, self.chat_options, self.mask_token_id)

    def batch_size(self, prepared: TaskModel, prompt_length: int, max_new_tokens: int) -> int:
        """As many rows as the free memory holds; one at a time where the model takes no attention mask."""
        from .memory import automatic_batch_size

        if not self._takes_padding():
            return 1
        return automatic_batch_size(prepared, prompt_length=prompt_length, max_new_tokens=max_new_tokens)

    def device_name(self) -> str:
        """The device's name."""
        import torch

        device = torch.device(self._device())
        return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)

    def release(self) -> None:
        """Nothing: whoever made it may go on with it, and it would have to be made anew."""

    def _modules(self) -> Iterator[Any]:
        """The torch modules that the model is, or that an object which is none keeps as its attributes."""
        import torch

        for part in (self._bare, *vars(self._bare).values()) if hasattr(self._bare, "__dict__") else ():
            if isinstance(part, torch.nn.Module):
                yield part
                if part is self._bare:
                    return

    def _number(self, names: Sequence[str]) -> int | None:
        """What the model or its config says under the first of these names that it has."""
        from samplers.denoisers.adapters import model_attribute

        found = (model_attribute(self._made[0], name) for name in names)
        return next((number for number in found if number is not None), None)

    def _device(self) -> Any:
        device = getattr(self._bare, "device", None)
        if device is not None:
            return device
        parameters = (parameter for module in self._modules() for parameter in module.parameters())
        first = next(parameters, None)
        return "cpu" if first is None else first.device

    def _takes_padding(self) -> bool:
        if any(hasattr(self._bare, name) for name in ("window_logits", "session")):
            return True
        parameters = inspect.signature(getattr(self._bare, "forward", self._bare)).parameters
        return "attention_mask" in parameters or any(
            parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
        )


def is_own(name: str) -> bool:
    """Whether a model's name is that of a factory, `package.module:factory`, with options or without."""
    head = name.partition("(")[0].partition("=")[0]
    return ":" in head and "/" not in head


def load_own(name: str, options: ModelOptions) -> OwnModel:
    """The model of a factory; it is called when the model is first needed.

    Args:
        name: `package.module:factory`, with options as in `package.module:factory(size=2)`.
        options: of models with weights.

    Raises:
        ValueError: there is no such factory, or it does not take these options.
    """
    from importlib import import_module

    from benchmark.protocol.method import read_call
    from benchmark.protocol.user_code import search_here

    key = f"{name} {options}"
    if (there := _alive.get(key)) is not None:
        return there
    location, values = read_call(name, "model")
    search_here(location)
    module_name, _, attribute = location.partition(":")
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise ValueError(f"cannot import model {name}: {error}") from error
    factory = getattr(module, attribute, None)
    if not callable(factory):
        what = "there is none" if factory is None else f"it is {type(factory).__name__}"
        raise ValueError(f"model {name}: {module_name} should have a function {attribute!r}; {what}")
    try:
        inspect.signature(factory).bind(**values)
    except TypeError as error:
        raise ValueError(f"model {name}: {error}; its factory is {attribute}{inspect.signature(factory)}") from None
    model = OwnModel(name, lambda: factory(**values), options, factory=factory)
    _alive[key] = model
    return model


def _fingerprint(modules: Sequence[Any]) -> str:
    """A hash of the weights: names, shapes and dtypes, and both ends of every tensor."""
    import torch

    digest = hashlib.sha256()
    for module in modules:
        for name, tensor in sorted(module.state_dict().items()):
            if not isinstance(tensor, torch.Tensor):
                continue
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
            values = tensor.detach().flatten()
            ends = torch.cat([values[:_WEIGHTS_ENDS], values[_WEIGHTS_ENDS:][-_WEIGHTS_ENDS:]])
            digest.update(ends.cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:_DIGITS]
