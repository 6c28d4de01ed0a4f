"""Families of settings: what differs only in the speed that was asked for is one curve of a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# The parameter that sets the speed is the first of these that a setting has. An adaptive method decides at every step
# how many tokens it commits; a top-k method commits as many as it was told.
ADAPTIVE_PARAMETERS = ("threshold", "factor", "entropy_bound")
TOP_K_PARAMETERS = ("k", "num_inference_steps")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a scheduler: its label, the value of the family's parameter, its block length and its tasks.

    `value` is None where the settings name no parameter of speed, `block_length` where one block holds the answer,
    `tasks` where the setting is run on every task (k = 64 has no meaning where 32 tokens are generated).
    """

    label: str
    value: float | None
    block_length: int | None
    tasks: frozenset[str] | None = None

    def runs_on(self, task: str) -> bool:
        """Whether the run has this setting on `task`."""
        return self.tasks is None or task in self.tasks


@dataclass(frozen=True, slots=True)
class Family:
    """Settings of one scheduler along one parameter, in the order of that parameter.

    `name` is the scheduler's, with the other parameters in brackets where the run has several families of it.
    `parameter` is None where the settings name no parameter of speed.
    """

    name: str
    scheduler: str
    parameter: str | None
    settings: tuple[Setting, ...]
    fixed: tuple[tuple[str, Any], ...]

    @property
    def adaptive(self) -> bool:
        """Whether the method commits as many tokens as it is sure of, so that its curve exists between points."""
        return self.parameter in ADAPTIVE_PARAMETERS


def swept_parameter(parameters: Mapping[str, Any]) -> str | None:
    """The parameter that sets the speed, or None where `parameters` names none."""
    for name in (*ADAPTIVE_PARAMETERS, *TOP_K_PARAMETERS):
        value = parameters.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return name
    return None


def group_families(schedulers: Sequence[Mapping[str, Any]]) -> list[Family]:
    """The families among a run's schedulers, in the order in which each first appears.

    Two settings are of one family when they have the same `name`, the same parameter of speed, and equal values of
    every other parameter. The block length may follow that parameter (left to right decodes blocks of k tokens) or
    stay the same; where one value of the parameter was run with several block lengths, each is a family.

    Args:
        schedulers: as in a run's settings: `name`, `label`, `parameters`, `block_length`, and `tasks` where the
            setting is not run on all.
    """
    groups: dict[tuple[str, str | None, tuple[tuple[str, Any], ...]], list[Setting]] = {}
    for entry in schedulers:
        parameters = {key: value for key, value in entry.get("parameters", {}).items() if value is not None}
        swept = swept_parameter(parameters)
        value = None if swept is None else float(parameters.pop(swept))
        fixed = tuple((key, _hashable(parameters[key])) for key in sorted(parameters))
        tasks = entry.get("tasks")
        setting = Setting(entry["label"], value, entry.get("block_length"), None if tasks is None else frozenset(tasks))
        groups.setdefault((entry["name"], swept, fixed), []).append(setting)

    families = []
    for (name, swept, fixed), settings in groups.items():
        for extra, members in _split_by_block_length(settings):
            ordered = sorted(members, key=lambda setting: -1.0 if setting.value is None else setting.value)
            families.append(Family(name, name, swept, tuple(ordered), (*fixed, *extra)))
    return _with_distinct_names(families)


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else repr(value)


def _split_by_block_length(settings: list[Setting]) -> list[tuple[tuple[tuple[str, Any], ...], list[Setting]]]:
    values = [setting.value for setting in settings]
    if len(set(values)) == len(values):
        return [((), settings)]
    lengths = list(dict.fromkeys(setting.block_length for setting in settings))
    return [
        (
            (("block_length", "all" if length is None else length),),
            [setting for setting in settings if setting.block_length == length],
        )
        for length in lengths
    ]


def _with_distinct_names(families: list[Family]) -> list[Family]:
    """Families named by scheduler, followed by just those fixed parameters that tell them from their namesakes."""
    named = []
    for family in families:
        namesakes = [other for other in families if other.scheduler == family.scheduler]
        mine = {"by": family.parameter, **dict(family.fixed)}
        others = [{"by": other.parameter, **dict(other.fixed)} for other in namesakes]
        telling = [key for key in mine if any(key not in other or other[key] != mine[key] for other in others)]
        inside = ", ".join(f"{key}={mine[key]}" for key in telling)
        name = f"{family.scheduler}({inside})" if inside else family.scheduler
        named.append(Family(name, family.scheduler, family.parameter, family.settings, family.fixed))
    return named
