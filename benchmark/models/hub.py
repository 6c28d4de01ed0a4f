"""A model with weights, from a directory or from the Hub, loaded when its first task begins."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from benchmark.protocol.questions import Row
from benchmark.protocol.settings import LOCAL_REVISION

if TYPE_CHECKING:
    from hub_dataset.fit import CountTokens
    from samplers.models.family import Family

from .interface import ModelOptions, TaskModel
from .memory import automatic_batch_size, empty_caches, is_out_of_memory
from .quantization import check_quantization, quantization_config

#: Names under which configs keep the longest sequence that a model was made for.
CONTEXT_KEYS = ("max_position_embeddings", "max_sequence_length", "n_positions")
VOCABULARY_KEYS = ("embedding_size", "vocab_size")
_DTYPES = ("float32", "bfloat16", "float16")
# Bytes of weights up to which operations are too small to be shared among cores.
_SMALL = 100_000_000
# What stands at either end of a file tells two checkpoints apart, and costs little in one of many gigabytes.
_FINGERPRINT_ENDS = 1 << 20


class HubModel:
    """Any model that `samplers.models.load` loads, greedy unless the user says otherwise.

    Making one reads its config and resolves its revision, so that a wrong name is refused at once. `check_task` refuses
    what cannot be built, as far as the config and the weight files that are here tell. Weights are loaded when the
    first task needs them.

    Args:
        source: a directory, `owner/name` on the Hub, or `owner/name@revision`.
        options: dtype, device, revision, compilation and what the chat template is told.
        name: how results name it, if not as `source`.
        answer_length: tokens that an answer takes at least, unless its config has a key of that name.

    Raises:
        ValueError: there is no such model, it has no tokenizer or no chat template, or the device does not exist.
    """

    default_temperature = 0.0
    has_weights = True

    def __init__(
        self, source: str, options: ModelOptions, *, name: str | None = None, answer_length: int | None = None
    ) -> None:
        from samplers.models import find

        self.name = name or source
        self.options = options
        location, revision = _split_revision(source)
        self._source = find(location, revision if revision is not None else options.revision)
        config = self._source.read_json("config.json")
        if config is None:
            raise ValueError(f"{source!r} has no config.json, so it holds no model")
        self._config: dict[str, Any] = config
        self.device = options.of_workers or find_device(options.device)
        self.dtype = _dtype(options.dtype, config, self.device)
        check_quantization(options.quantization, self.device)
        self.answer_length: int | None = config.get("answer_length", answer_length)
        if not isinstance(self.answer_length, int | None) or (self.answer_length or 1) < 1:
            raise ValueError(f"{source}/config.json: answer_length is {self.answer_length!r}; it should be a count")
        self._loading = Lock()
        self._model: Any = None
        self._checked = False

    @cached_property
    def tokenizer(self) -> Any:
        """Its tokenizer, padding on the left.

        Raises:
            ValueError: it has none, or none with a chat template and an end token.
        """
        from benchmark.models.prompts import check_tokenizer
        from samplers.models import load_tokenizer

        tokenizer = load_tokenizer(self._source.name, revision=self._source.revision)
        check_tokenizer(tokenizer, self.name, chats=self.options.chats)
        return tokenizer

    @cached_property
    def chat_options(self) -> dict[str, Any]:
        """What its chat template is told: what the user says, and for the rest what a published checkpoint needs.

        Raises:
            ValueError: the template does not know what the user says.
        """
        from benchmark.models.prompts import check_chat_options, template_knows
        from samplers.models import families

        checkpoints = [checkpoint for family in families() for checkpoint in family.checkpoints]
        needed = next((known.chat_options for known in checkpoints if known.name == self._source.name), ())
        if self.options.chat_options:
            check_chat_options(self.tokenizer, self.options.chat_options, self.name)
        defaults = {option: value for option, value in needed if template_knows(self.tokenizer, option)}
        return {**defaults, **self.options.chat_options}

    @cached_property
    def concurrent(self) -> bool:
        """A small model on a CPU: its tensors are too small for an operation to use several cores."""
        sizes = [path.stat().st_size for path in self._source.directory.glob("*.safetensors")]
        # Of a model of the Hub there may be nothing here yet, which says nothing about its size.
        return self.device == "cpu" and 0 < sum(sizes) <= _SMALL

    @cached_property
    def compiled(self) -> bool:
        """Whether its forward pass is compiled: as the user says, else on one GPU, if all tokens see each other.

        Where keys are kept compiling gains nothing, and over several GPUs little.
        """
        if self.options.compile is not None:
            return self.options.compile
        return self.device.startswith("cuda") and self._attention == "full" and _has_compiler()

    @property
    def draws(self) -> bool:
        """Whether a seed draws what open positions hold, as in families with an adapter of their own."""
        return self._family is not None and self._family.adapter is not None

    @property
    def _attention(self) -> str | None:
        """Of a network of the library's own, which keys its queries see."""
        return None if self._family is None else self._family.attention

    @cached_property
    def _family(self) -> Family | None:
        from samplers.models.configuration import CheckpointConfig
        from samplers.models.registry import family_of

        return family_of(CheckpointConfig(self._config, "config.json"))

    @property
    def on_the_hub(self) -> bool:
        """Whether it comes from the Hub, and so has revisions."""
        return self._source.revision is not None

    def record(self) -> dict[str, Any]:
        """Where the weights come from, at which commit or with which fingerprint, and the dtype."""
        revision = self._source.revision if self.on_the_hub else self._fingerprint
        entry: dict[str, Any] = {"revision": revision, "dtype": self.dtype}
        if self.answer_length is not None:
            entry["answer_length"] = self.answer_length
        if self.compiled:
            entry["compiled"] = True
        if self.options.quantization is not None:
            entry["quantization"] = self.options.quantization
        if self.chat_options:
            entry["chat_options"] = self.chat_options
        return entry

    def check_task(self, rows: Sequence[Row], max_new_tokens: int) -> None:
        """Refuse prompts that do not fit into the context, and weights that cannot be built."""
        from benchmark.models.prompts import check_lengths, tokenize_prompts

        self._check_files()
        prompts = tokenize_prompts(self.tokenizer, rows, self.chat_options)
        check_lengths(prompts, max_new_tokens, self._number(VOCABULARY_KEYS), self._number(CONTEXT_KEYS))

    @property
    def context_length(self) -> int | None:
        """Tokens that prompt and answer may take together, as its config says; None where it does not."""
        return self._number(CONTEXT_KEYS)

    def token_counter(self) -> CountTokens:
        """Counts as its tokenizer does, without special tokens."""
        from hub_dataset.fit import counter_of

        return counter_of(self.tokenizer)

    def for_task(self, rows: Sequence[Row], max_new_tokens: int, seed: int = 0) -> TaskModel:
        """The model itself, loaded by the first call."""
        with self._loading:
            if self._model is None:
                self._model = self._load()
        stops = getattr(self._model, "stop_token_ids", None) or ()
        tokens = tuple(dict.fromkeys([self.tokenizer.eos_token_id, *stops]))
        return TaskModel(self._model, self.tokenizer, self._input_device(), tokens, self.chat_options)

    def batch_size(self, prepared: TaskModel, prompt_length: int, max_new_tokens: int) -> int:
        """As many rows as the free memory holds."""
        return automatic_batch_size(prepared, prompt_length=prompt_length, max_new_tokens=max_new_tokens)

    def device_name(self) -> str:
        """The device's name."""
        import torch

        if self.device == "auto":
            return ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())) or "cpu"
        if torch.device(self.device).type == "cuda":
            return torch.cuda.get_device_name(torch.device(self.device))
        return self.device

    def release(self) -> None:
        """Drop the weights."""
        self._model = None
        empty_caches()

    def _number(self, keys: Sequence[str]) -> int | None:
        """What the config says under the first of these keys that it has."""
        return next((self._config[key] for key in keys if isinstance(self._config.get(key), int)), None)

    @cached_property
    def _fingerprint(self) -> str:
        """A hash of the weights and what belongs to them: sizes, and both ends of every file."""
        digest = hashlib.sha256()
        for path in sorted(self._source.directory.iterdir()):
            if path.suffix in (".json", ".safetensors", ".bin", ".jinja", ".model", ".txt") and path.is_file():
                size = path.stat().st_size
                digest.update(f"{path.name} {size}\n".encode())
                with path.open("rb") as file:
                    digest.update(file.read(_FINGERPRINT_ENDS))
                    file.seek(max(_FINGERPRINT_ENDS, size - _FINGERPRINT_ENDS))
                    digest.update(file.read(_FINGERPRINT_ENDS))
        return f"{LOCAL_REVISION}{digest.hexdigest()[:16]}"

    def _check_files(self) -> None:
        """Refuse before anything is decoded what could not be loaded afterwards, perhaps hours later."""
        from samplers.models import check

        if not self._checked:
            check(self._source)
            self._checked = True

    def _build(self) -> Any:
        """The model by `samplers.models`, on its device."""
        from samplers.models import load

        where: dict[str, Any] = {"device_map": "auto"} if self.device == "auto" else {"device": self.device}
        if self.options.quantization is not None:
            where["quantization_config"] = quantization_config(self.options.quantization)
        model = load(self._source.name, revision=self._source.revision, dtype=self.dtype, **where)
        if getattr(model, "mask_token_id", None) is None:
            raise ValueError(f"{self.name} names no mask token, neither in its config nor in its tokenizer")
        return self._compile(model) if self.compiled else model

    def _load(self) -> Any:
        try:
            return self._build()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside of the handler, which holds on to the tensors of the frames that failed.
        self.release()
        raise ValueError(
            f"{self.name} does not fit into the memory of {self.device_name()} in {self.dtype}; "
            "try --dtype bfloat16, another --device, or --device auto for several GPUs"
        )

    def _compile(self, model: Any) -> Any:
        """The model with its forward pass compiled, which is tried at once: it fails where there is no compiler."""
        import torch

        model.compile(dynamic=True)
        try:
            with torch.no_grad():
                # Of two rows, since a batch of one is compiled for itself alone.
                model(torch.full((2, 8), model.mask_token_id, device=getattr(model, "device", None)))
        except Exception as error:
            # Compilers raise what they like; what they say is the last thing a user can act on.
            first = next(iter(str(error).splitlines()), "")
            raise ValueError(
                f"--compile: torch cannot compile {self.name} here ({first}); --no-compile goes without"
            ) from error
        return model

    def _input_device(self) -> Any:
        device = getattr(self._model, "device", None)
        return "cpu" if device is None else device


def _split_revision(source: str) -> tuple[str, str | None]:
    """`owner/name@revision` in two, unless it is a directory of that very name."""
    if "@" not in source or Path(source).expanduser().is_dir():
        return source, None
    location, _, revision = source.rpartition("@")
    if not location or not revision:
        raise ValueError(f"cannot read model {source!r}; write owner/name@revision")
    return location, revision


def find_device(wanted: str | None) -> str:
    """The device of this name, or the default; raises `ValueError` if torch has none here."""
    import torch

    if wanted is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "auto":
        return wanted
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise ValueError(f"torch knows no device {wanted!r}; try cpu, cuda, cuda:1 or auto") from None
    count = torch.cuda.device_count() if device.type == "cuda" else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        raise ValueError(f"there is no device {wanted!r}; torch sees {count} GPUs here")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError("there is no device 'mps' here")
    return str(device)


def _has_compiler() -> bool:
    """Whether what torch.compile needs for a GPU is here, as far as can be told without one."""
    names = (os.environ.get("CC"), "cc", "gcc", "clang")
    return find_spec("triton") is not None and any(shutil.which(name) for name in names if name)


def _dtype(wanted: str | None, config: dict[str, Any], device: str) -> str:
    if wanted is not None:
        return wanted
    if device == "cpu":
        # CPUs compute in it, and most of them slowly in anything else.
        return "float32"
    own = str(config.get("dtype", config.get("torch_dtype"))).removeprefix("torch.")
    return own if own in _DTYPES else "bfloat16"
