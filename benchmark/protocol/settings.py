"""What one run is made of: models, tasks, scheduler settings, and the protocol that fills in what nobody said."""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

# The protocol of the ParallelBench paper (arXiv 2510.04767): powers of two where there is a quota, these for the rest.
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
FACTORS = (0.7, 1.0, 1.3, 1.6, 1.9)
# Beyond the protocol: the values that the methods' own papers report.
ENTROPY_BOUNDS = (0.001, 0.01, 0.1, 0.6)
LOW_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
_SWEPT = {
    "threshold": ("threshold", THRESHOLDS),
    "factor": ("factor", FACTORS),
    "eb": ("entropy_bound", ENTROPY_BOUNDS),
    "klass": ("threshold", LOW_THRESHOLDS),
    "wino": ("threshold", LOW_THRESHOLDS),
    "hierarchy": ("threshold", LOW_THRESHOLDS),
    "slow_fast": ("threshold", LOW_THRESHOLDS),
    "credit": ("threshold", LOW_THRESHOLDS),
    "quota_threshold": ("threshold", LOW_THRESHOLDS),
    "editing": ("threshold", LOW_THRESHOLDS),
}
# No parameter has a use for more, and tensors as long as a mistyped number would fill the memory.
_LARGEST_PARAMETER = 1_000_000
_PARAMETERS = r"\s*(?::(?P<colon>.*)|\((?P<brackets>.*)\))?\s*"
_SPECIFICATION = re.compile(r"\s*(?P<name>[\w.]+):(?P<class>[A-Za-z_]\w*)(?!\s*=)" + _PARAMETERS, flags=re.DOTALL)
_SHORT_SPECIFICATION = re.compile(r"\s*(?P<name>[\w-]+)(?P<class>)" + _PARAMETERS, flags=re.DOTALL)


@dataclass(frozen=True, slots=True)
class SchedulerSetting:
    """One scheduler with its parameters, and the tasks it is run on (None: all).

    `block_length` None means one block as long as the answer.
    """

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    block_length: int | None = None
    tasks: tuple[str, ...] | None = None

    @property
    def label(self) -> str:
        """How reports name it, `confidence(k=4)`; different settings have different labels."""
        inside = ", ".join(f"{key}={_as_text(value)}" for key, value in self.parameters.items())
        return f"{self.name}({inside})"

    def build(self, temperature: float) -> Any:
        """The scheduler; `temperature` applies unless the parameters name one."""
        from samplers import scheduler_class

        return scheduler_class(self.name)(**{"temperature": temperature, **self.parameters})

    def as_dict(self) -> dict[str, Any]:
        """The setting as it is written to a run's settings."""
        entry: dict[str, Any] = {
            "name": self.name,
            "label": self.label,
            "parameters": self.parameters,
            "block_length": self.block_length,
        }
        return entry if self.tasks is None else {**entry, "tasks": list(self.tasks)}


def default_new_tokens(model: Any, rows: Sequence[dict[str, Any]]) -> int:
    """Tokens that a model generates for these rows where the user names no number: as many as the rows' task has in the
    protocol, or as the model's answers take at least, whichever is more."""
    protocol: int = max(row["max_new_tokens"] for row in rows)
    return max(model.answer_length or 0, protocol)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Everything that decides the numbers of a run.

    `checksums` holds task → SHA-256 of its rows; `model_records` has name → what tells a model from others of its name.
    """

    models: tuple[str, ...]
    tasks: tuple[str, ...]
    schedulers: tuple[SchedulerSetting, ...]
    samples: int | None
    seed: int
    temperature: float | None
    max_new_tokens: int | None
    checksums: dict[str, str]
    model_records: dict[str, dict[str, Any]] = field(default_factory=dict)

    def new_tokens(self, model: Any, rows: Sequence[dict[str, Any]]) -> int:
        """Tokens that a model generates for these rows: what the user says, else what the task and the model need."""
        return self.max_new_tokens or default_new_tokens(model, rows)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON, without what may differ between two sittings of the same run."""
        import hub_dataset

        return {
            "models": [self._model_entry(name) for name in self.models],
            "tasks": list(self.tasks),
            "schedulers": [setting.as_dict() for setting in self.schedulers],
            "samples": self.samples,
            "seed": self.seed,
            "temperature": self.temperature,
            "max_new_tokens": self.max_new_tokens,
            "data": {"version": hub_dataset.DATA_VERSION, "checksums": self.checksums},
            "parallelbench": package_version(),
        }

    def _model_entry(self, name: str) -> str | dict[str, Any]:
        record = self.model_records.get(name)
        return {"name": name, **record} if record else name

    @property
    def directory_name(self) -> str:
        """A name that two runs share exactly if their settings are the same."""
        text = json.dumps(self.as_dict(), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:10]
        models = re.sub(r"[^A-Za-z0-9.-]+", "-", "+".join(self.models)).strip("-.")[:60]
        return f"{models}-{len(self.tasks)}tasks-{len(self.schedulers)}settings-seed{self.seed}-{digest}"


def package_version() -> str:
    """The version of the installed distribution."""
    from importlib.metadata import version

    return version("parallelbench")


def parse_schedulers(
    specifications: Sequence[str], token_counts: dict[str, int], block_length: int | None
) -> tuple[SchedulerSetting, ...]:
    """Settings for what a user wrote, or the whole protocol where nothing was written.

    A specification is a name (`confidence`), or a name with parameters (`confidence:k=4`, `"confidence(k=4)"`). One
    that does not name the parameter of speed (`k`, `threshold`, `factor`) stands for the protocol's values of it. The
    name may be where to import a class from (`package.module:ClassName`); the whole protocol is its nine methods.

    Args:
        specifications: as written.
        token_counts: task → new tokens; quotas go up to the number of tokens of each task.
        block_length: for all settings; None follows the protocol: one block, but blocks of k for left to right.

    Raises:
        ValueError: unknown scheduler or parameter, or a value the scheduler refuses.
    """
    from samplers import protocol_scheduler_names

    settings: list[SchedulerSetting] = []
    for specification in specifications or protocol_scheduler_names():
        name, parameters = parse_specification(specification)
        for setting in _sweep(name, parameters, token_counts, block_length):
            if setting.label not in [other.label for other in settings]:
                settings.append(setting)
    return tuple(settings)


def parse_specification(text: str) -> tuple[str, dict[str, Any]]:
    """Name and parameters of `name`, `name:key=value,…` or `name(key=value, …)`.

    The name is a short one, or `package.module:ClassName`, which is looked for in the current directory too. The
    parameters come in the order of the scheduler's own, whatever the order in which they were written.

    Raises:
        ValueError: the text has another form, or the scheduler or a parameter of it is unknown or refused.
    """
    from samplers import scheduler_names

    match = _SPECIFICATION.fullmatch(text)
    if match is not None and match["class"] and match["name"] in scheduler_names():
        match = None
    match = match or _SHORT_SPECIFICATION.fullmatch(text)
    if match is None:
        raise ValueError(f"cannot read scheduler {text!r}; write a name, or name:parameter=value,parameter=value")
    written = match["name"]
    if match["class"]:
        name = f"{written}:{match['class']}"
        _import_from_here(name)
    else:
        name = written.replace("-", "_")
        if name not in scheduler_names():
            raise ValueError(f"unknown scheduler {written!r}; known are {', '.join(scheduler_names())}")
    inside = match["colon"] or match["brackets"] or ""
    parameters: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in inside.split(","))):
        key, equals, value = part.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise ValueError(f"cannot read {part!r} in scheduler {text!r}; write parameter=value")
        if key.strip() in parameters:
            raise ValueError(f"scheduler {text!r} gives {key.strip()!r} twice")
        parameters[key.strip()] = _as_value(value.strip())
    return name, _checked(name, parameters) if parameters else parameters


def _import_from_here(location: str) -> None:
    """Import `module:Class`, from the current directory too; `ValueError` if that cannot be done."""
    import os
    import sys

    from samplers import scheduler_class

    # An installed command does not look where it is called from.
    if os.getcwd() not in sys.path:  # noqa: PTH109
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        scheduler_class(location)
    except TypeError as error:
        raise ValueError(str(error)) from None


def _checked(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters in the order of the scheduler's own; `ValueError` if one is unknown or refused."""
    from samplers import scheduler_class

    found, known = scheduler_class(name), _parameters_of(name)
    for key in parameters:
        if key not in known:
            raise ValueError(f"scheduler {name!r} has no parameter {key!r}; it has {', '.join(known)}")
        value = parameters[key]
        if isinstance(value, int | float) and not (math.isfinite(value) and abs(value) <= _LARGEST_PARAMETER):
            raise ValueError(f"scheduler {name!r}: {key}={value} should be a number of at most {_LARGEST_PARAMETER}")
    try:
        found(**parameters)
    except (ValueError, TypeError) as error:
        raise ValueError(f"scheduler {name!r}: {error}") from None
    # None says what saying nothing says.
    return {key: parameters[key] for key in known if parameters.get(key) is not None}


def _parameters_of(name: str) -> list[str]:
    """The names of a scheduler's parameters, in its own order."""
    import inspect

    from samplers import scheduler_class

    return [key for key in inspect.signature(scheduler_class(name).__init__).parameters if key != "self"]


def _sweep(
    name: str, parameters: dict[str, Any], token_counts: dict[str, int], block_length: int | None
) -> list[SchedulerSetting]:
    """One setting, or one for each of the protocol's values of the parameter that sets the speed."""
    swept, values = _SWEPT.get(name) or ("k" if "k" in _parameters_of(name) else None, ())
    if swept is None:
        return [SchedulerSetting(name, parameters, block_length)]
    if swept in parameters or "num_inference_steps" in parameters:
        quota = parameters.get("k")
        own_blocks = quota if name == "left_to_right" and block_length is None else block_length
        return [SchedulerSetting(name, parameters, own_blocks)]
    if swept != "k":
        return [SchedulerSetting(name, {swept: value, **parameters}, block_length) for value in values]
    settings = []
    quota = 1
    while quota <= max(token_counts.values()):
        tasks = tuple(task for task, tokens in token_counts.items() if tokens >= quota)
        own_blocks = quota if name == "left_to_right" and block_length is None else block_length
        restricted = None if len(tasks) == len(token_counts) else tasks
        settings.append(SchedulerSetting(name, {"k": quota, **parameters}, own_blocks, restricted))
        quota *= 2
    return settings


def _as_value(text: str) -> Any:
    """A number, true, false, none, or the text itself."""
    named = {"true": True, "false": False, "none": None}
    if text.lower() in named:
        return named[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip("\"'")


def _as_text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
