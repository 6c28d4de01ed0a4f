"""A method, the one identity of what decodes an answer: a scheduler, its parameters, block length and cache."""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache, total_ordering
from itertools import product
from typing import TYPE_CHECKING, Any

from benchmark.protocol.operating_points import AUTOREGRESSIVE, OPERATING_POINTS
from benchmark.protocol.user_code import search_here

if TYPE_CHECKING:
    from samplers import UnmaskingScheduler

BLOCK_LENGTH = "block_length"
#: The approximate KV cache that a method decodes with, and the caches that there are; see `samplers.generate`.
CACHE = "cache"
CACHES = ("prefix", "dual")
#: In place of a number: 1, 2, 4 … up to the tokens that are generated.
POWERS_OF_TWO = "powers_of_two"
#: The other way to say how fast a scheduler with a quota is.
STEPS = "num_inference_steps"
# No parameter has a use for more, and tensors as long as a mistyped number would fill the memory.
_LARGEST_NUMBER = 1_000_000
_NAMED = {"true": True, "false": False, "none": None, "inf": math.inf, "-inf": -math.inf, "nan": math.nan}
_HOW_TO_WRITE = "write a name, or name:parameter=value,parameter=value"


@total_ordering
@dataclass(frozen=True, slots=True)
class Method:
    """One scheduler with its parameters, block length and cache. Methods are equal exactly if they print the same.

    Of an operating point, which has no scheduler, the name is one of `OPERATING_POINTS`.

    Attributes:
        name: short name of a scheduler, or where to import its class from (`package.module:ClassName`).
        arguments: (parameter, value), in the scheduler's own order, without those of None.
        block_length: tokens of a block; None means the default, one block as long as the answer (for schedulers whose
            blocks follow k, blocks of k).
        cache: the approximate KV cache, one of `CACHES`, which changes answers; None: what is exact is kept.
        text: how it prints, `confidence(k=2, block_length=8)`; reports show it, and it seeds the noise.
    """

    name: str = field(compare=False)
    arguments: tuple[tuple[str, Any], ...] = field(default=(), compare=False)
    block_length: int | None = field(default=None, compare=False)
    cache: str | None = field(default=None, compare=False)
    text: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        inside = ", ".join(f"{key}={_as_text(value)}" for key, value in (*self.arguments, *self.surroundings))
        object.__setattr__(self, "text", f"{self.name}({inside})")

    @classmethod
    def of(
        cls, name: str, parameters: Mapping[str, Any], block_length: int | None = None, cache: str | None = None
    ) -> Method:
        """A method from parameters in the scheduler's own order; None means the default."""
        given = tuple((key, value) for key, value in parameters.items() if value is not None)
        return cls(name, given, block_length, cache)

    @classmethod
    def parse(cls, text: str) -> Method:
        """The method that printed as `text`. No scheduler is asked whether it knows these parameters.

        Raises:
            ValueError: the text has another form, or stands for several methods.
        """
        return _parse(text)

    def __str__(self) -> str:
        return self.text

    def __lt__(self, other: Method) -> bool:
        return self._order() < other._order()

    def _order(self) -> tuple[Any, ...]:
        # Numbers by their size; values of different kinds cannot be compared with each other.
        values = [(key, (0, value, "") if _is_number(value) else (1, 0, str(value))) for key, value in self.arguments]
        return self.name, values, self.block_length or 0, self.text

    @property
    def surroundings(self) -> tuple[tuple[str, Any], ...]:
        """(name, value) of what belongs to a method and is no parameter of its scheduler, as far as it is named."""
        named = ((BLOCK_LENGTH, self.block_length), (CACHE, self.cache))
        return tuple((key, value) for key, value in named if value is not None)

    @property
    def is_operating_point(self) -> bool:
        """Whether it stands for a way to answer that has no scheduler."""
        return self.name in OPERATING_POINTS

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameter → value."""
        return dict(self.arguments)

    @property
    def scheduler_class(self) -> type[UnmaskingScheduler]:
        """The class of its scheduler; raises `ValueError` if there is none."""
        return find_class(self.name)

    def build(self, temperature: float) -> Any:
        """The scheduler; `temperature` applies unless the parameters name one."""
        made = self.scheduler_class
        try:
            return made(**{"temperature": temperature, **self.parameters})
        except TypeError:
            if "temperature" in _parameters_of(made) or any(
                kind.kind is kind.VAR_KEYWORD for kind in inspect.signature(made.__init__).parameters.values()
            ):
                raise
            raise ValueError(
                f"the constructor of {self.name} takes no temperature; give it temperature, top_p and top_k, which may "
                "be None, and pass them on to super().__init__"
            ) from None

    @property
    def decoded_block_length(self) -> int | None:
        """Tokens of a block as it is decoded; None: one block as long as the answer."""
        if self.block_length is None and self.scheduler_class.blocks_follow_k:
            return self.parameters.get("k")
        return self.block_length


@cache
def _parse(text: str) -> Method:
    name, values = read_call(text)
    if any(isinstance(value, list) for value in values.values()):
        raise ValueError(f"{text!r} stands for several methods; give one value for each parameter")
    block_length, cache = values.pop(BLOCK_LENGTH, None), values.pop(CACHE, None)
    _check_surroundings(text, block_length, cache)
    return Method.of(name, values, block_length, cache)


def expand(text: str, new_tokens: int, block_length: Any = None, *, sweep: bool = True) -> list[Method]:
    """The methods that a specification stands for where `new_tokens` tokens are generated.

    A specification is a scheduler's name with some of its parameters, `block_length` and `cache`. A value may be a
    list, or `powers_of_two`: every combination is a method. Where the parameter that sets the scheduler's speed is not
    named, its published values are taken. With several k or block lengths, a k above the block length is left out: it
    would commit a whole block, as k = block length does. A pattern such as `*` stands for all built-in schedulers that
    fit. The name of an operating point stands for it; of `served` the parameters are fields of requests.

    Args:
        text: as written.
        new_tokens: how far `powers_of_two` goes.
        block_length: one, several or `powers_of_two`, where the text names none.
        sweep: whether the parameter of speed takes its published values; else, where it is not named, its default.

    Raises:
        ValueError: unknown scheduler or parameter, or a value that the scheduler refuses.
    """
    if "*" in text and not set("(:=") & set(text):
        from samplers import built_in_scheduler_names

        names = [name for name in built_in_scheduler_names() if fnmatchcase(name, text.strip())]
        if not names:
            raise ValueError(f"no scheduler fits {text!r}; known are {', '.join(built_in_scheduler_names())}")
        return [method for name in names for method in expand(name, new_tokens, block_length, sweep=sweep)]
    name, values = read_call(text)
    if name in OPERATING_POINTS:
        return _expand_point(text, name, values)
    found = find_class(name)
    speed = found.speed_parameter
    if sweep and speed is not None and not {speed, STEPS} & values.keys():
        values[speed] = POWERS_OF_TWO if found.speed_values is None else list(found.speed_values)
    known = _parameters_of(found)
    whole = (*known, BLOCK_LENGTH, CACHE)
    for key in values:
        if key not in whole:
            raise ValueError(f"scheduler {name!r} has no parameter {key!r}; it has {', '.join(whole)}")
    values.setdefault(BLOCK_LENGTH, block_length)
    axes = {key: _values_of(values[key], new_tokens) for key in whole if key in values}
    swept = any(len(axes.get(key, ())) > 1 or values.get(key) == POWERS_OF_TWO for key in ("k", BLOCK_LENGTH))
    methods = []
    for combination in product(*axes.values()):
        parameters = dict(zip(axes, combination, strict=True))
        length, cache = parameters.pop(BLOCK_LENGTH), parameters.pop(CACHE, None)
        _check_surroundings(text, length, cache)
        _check_parameters(name, found, parameters)
        if not (swept and length is not None and (parameters.get("k") or 0) > length):
            methods.append(Method.of(name, parameters, length, cache))
    return list(dict.fromkeys(methods))


def _expand_point(text: str, name: str, values: Mapping[str, Any]) -> list[Method]:
    """The methods of an operating point; several where parameters have several values."""
    for key in values:
        if name == AUTOREGRESSIVE or key in (BLOCK_LENGTH, CACHE):
            allowed = "has no parameters" if name == AUTOREGRESSIVE else f"has no {key}; its server decides on that"
            raise ValueError(f"cannot read {text!r}: {name} {allowed}")
    axes = {key: value if isinstance(value, list) else [value] for key, value in values.items()}
    combinations = (dict(zip(axes, combination, strict=True)) for combination in product(*axes.values()))
    return list(dict.fromkeys(Method.of(name, parameters) for parameters in combinations))


def _values_of(value: Any, new_tokens: int) -> list[Any]:
    if value == POWERS_OF_TWO:
        return [2**power for power in range(new_tokens.bit_length())]
    return value if isinstance(value, list) else [value]


def _check_surroundings(text: str, length: Any, cache: Any) -> None:
    if (length is not None and not (isinstance(length, int) and 1 <= length <= _LARGEST_NUMBER)) or length is True:
        raise ValueError(f"scheduler {text!r}: {BLOCK_LENGTH}={length!r} should be a whole number of at least 1")
    if cache is not None and cache not in CACHES:
        raise ValueError(f"scheduler {text!r}: {CACHE}={cache!r} should be {' or '.join(CACHES)}, or be left out")


def _check_parameters(name: str, found: type[UnmaskingScheduler], parameters: Mapping[str, Any]) -> None:
    for key, value in parameters.items():
        if _is_number(value) and not (math.isfinite(value) and abs(value) <= _LARGEST_NUMBER):
            raise ValueError(f"scheduler {name!r}: {key}={value} should be a number of at most {_LARGEST_NUMBER}")
    try:
        found(**parameters)
    except (ValueError, TypeError) as error:
        raise ValueError(f"scheduler {name!r}: {error}") from None


def _parameters_of(found: type[UnmaskingScheduler]) -> list[str]:
    """The names of a scheduler's parameters, in its own order."""
    return [key for key in inspect.signature(found.__init__).parameters if key != "self"]


def find_class(name: str) -> type[UnmaskingScheduler]:
    """The scheduler class called `name`; that of a user is looked for in the current directory, too.

    Raises:
        ValueError: there is none.
    """
    from benchmark.protocol.questions import suggestion
    from samplers import scheduler_class, scheduler_names

    if name in OPERATING_POINTS:
        raise ValueError(f"{name} is no scheduler; it is how models called ar:NAME or api:NAME are run")
    if ":" not in name and not _is_known(name):
        names = scheduler_names()
        hint = suggestion(name, list(names)) or f"; known are {', '.join(names)}"
        raise ValueError(f"unknown scheduler {name!r}{hint}")
    if ":" in name:
        search_here(name)
    try:
        return scheduler_class(name)
    except TypeError as error:
        raise ValueError(str(error)) from None


def _is_known(name: str) -> bool:
    """Whether a scheduler has this short name; that of installed packages is slow to find out, so it comes last."""
    from samplers import built_in_scheduler_names, scheduler_names

    return name in built_in_scheduler_names() or name in scheduler_names()


def read_call(text: str, what: str = "scheduler") -> tuple[str, dict[str, Any]]:
    """Name and values of `name`, `name:key=value,…` or `name(key=value, …)`; a value may be a list of values.

    The name is that of a scheduler, or `package.module:ClassName`. Values are what Python reads in them, with `true`,
    `false` and `none` in any case; whatever else stands there is text, which need not be quoted. `what` is what errors
    call it.

    Raises:
        ValueError: the text has another form.
    """
    # The name, and the first parameter's if there is one.
    head = text.partition("=")[0]
    if "(" in head:
        name, _, rest = text.partition("(")
        inside, closing = rest.rstrip()[:-1], rest.rstrip()[-1:]
    else:
        name, _, last = head.rpartition(":")
        inside, closing = text[len(name) + 1 :], ")"
        if "=" not in text:
            is_class = last.strip() and ":" not in name and not _is_known(name.strip().replace("-", "_"))
            name, inside = (text, "") if is_class else (name, inside)
    parts = [part.strip() for part in name.split(":")]
    if len(parts) == 1:
        parts = [parts[0].replace("-", "_")]
    words = [word for part in parts for word in part.split(".")]
    if closing != ")" or len(parts) > 2 or not all(word.isidentifier() for word in words):
        raise ValueError(f"cannot read {what} {text!r}; {_HOW_TO_WRITE}")
    return ":".join(parts), _read_values(inside, text, what)


def _read_values(inside: str, text: str, what: str = "scheduler") -> dict[str, Any]:
    source = f"_({inside})"
    try:
        call = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        call = None
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)) or call.args:
        raise ValueError(f"cannot read {inside.strip()!r} in {what} {text!r}; {_HOW_TO_WRITE}")
    values: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg in values:
            raise ValueError(f"{what} {text!r} gives {keyword.arg or '**'!r} twice; give each parameter once")
        values[keyword.arg] = _value(keyword.value, source)
        if values[keyword.arg] == []:
            raise ValueError(f"{what} {text!r} gives {keyword.arg!r} an empty list; give at least one value")
    return values


def _value(node: ast.expr, source: str) -> Any:
    """What a value means: a list of values, a number, text, a tuple of these, or one of `_NAMED`."""
    if isinstance(node, ast.List):
        return [_value(entry, source) for entry in node.elts]
    with suppress(ValueError, TypeError, RecursionError, MemoryError):
        value = ast.literal_eval(node)
        if value is None or isinstance(value, bool | int | float | str | tuple):
            return value
    text = ast.get_source_segment(source, node) or ""
    return _NAMED.get(text.lower(), text)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_text(value: Any) -> str:
    """A value so that `_value` reads it again: numbers as short as they can be, text bare where that is read as it."""
    if isinstance(value, str):
        return value if _reads_as_itself(value) else repr(value)
    if isinstance(value, float):
        return f"{value or 0.0:g}" if float(f"{value:g}") == value else repr(value)
    return repr(value)


@cache
def _reads_as_itself(text: str) -> bool:
    # Line feeds and their like read as nothing between two tokens, but a method is one line.
    if not text.isprintable():
        return False
    try:
        return _read_values(f"_={text}", text) == {"_": text}
    except ValueError:
        return False
