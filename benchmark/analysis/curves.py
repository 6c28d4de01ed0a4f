"""The curves of a report: methods that differ only in the speed that was asked for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from benchmark.protocol.method import STEPS, Method


@dataclass(frozen=True, slots=True)
class Curve:
    """Methods of one scheduler along one parameter, in the order of that parameter.

    Attributes:
        name: the scheduler's, with the other parameters in brackets where a run has several curves of it.
        scheduler: its name.
        parameter: what sets the speed, or what the user sweeps in its place; None where the methods name neither.
        adaptive: whether a step commits what the method is sure of, so that the curve exists between points.
        methods: what lies on it.
        fixed: (parameter, value) of what is the same along the curve, block length and cache among them where they are
            named.
        block_follows: whether blocks are as long as `parameter` says, where no block length is named.
    """

    name: str
    scheduler: str
    parameter: str | None
    adaptive: bool
    methods: tuple[Method, ...]
    fixed: tuple[tuple[str, Any], ...]
    block_follows: bool = False

    def value(self, method: Method) -> float | None:
        """What the parameter of speed is set to; None where there is none."""
        return None if self.parameter is None else float(method.parameters[self.parameter])


def group_curves(methods: Iterable[Method], schedulers: Mapping[str, Mapping[str, Any]]) -> list[Curve]:
    """The curves of these methods, in the order in which each first appears.

    Two methods lie on one curve when they have the same scheduler, parameter of speed, block length and cache, and
    equal values of every other parameter. Where a class of the user's own is run with one value of its parameter of
    speed, or names none, the number that is run with the most values, at least two, takes its place.

    Args:
        methods: of a run.
        schedulers: name → what `describe_scheduler` says of it.
    """
    methods = list(methods)
    swept = _swept(methods, schedulers)
    groups: dict[tuple[str, str | None, tuple[tuple[str, Any], ...]], list[Method]] = {}
    for method in methods:
        rest = method.parameters
        named = (swept.get(method.name), schedulers[method.name]["speed_parameter"], STEPS)
        parameter = next((key for key in named if key and isinstance(rest.get(key), int | float)), None)
        rest.pop(parameter or "", None)
        groups.setdefault((method.name, parameter, (*sorted(rest.items()), *method.surroundings)), []).append(method)
    curves = []
    for (name, parameter, fixed), members in groups.items():
        about = schedulers[name]
        curve = Curve(name, name, parameter, about["adaptive"] and parameter == about["speed_parameter"], (), fixed)
        ordered = tuple(sorted(members, key=lambda method: curve.value(method) or 0.0))
        curves.append(replace(curve, methods=ordered, block_follows=about["blocks_follow_k"] and parameter == "k"))
    return [replace(curve, name=_distinct_name(curve, curves)) for curve in curves]


def _swept(methods: Iterable[Method], schedulers: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The user's scheduler → the number, not of speed, that has the most values; none where speed has several, or two
    numbers have as many."""
    values: dict[str, dict[str, set[float]]] = {}
    for method in methods:
        for key, value in method.parameters.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                values.setdefault(method.name, {}).setdefault(key, set()).add(float(value))
    found = {}
    for name, of_scheduler in values.items():
        speed = (schedulers[name]["speed_parameter"], STEPS)
        most = max(map(len, of_scheduler.values()))
        widest = [key for key, given in of_scheduler.items() if len(given) == most > 1]
        if ":" in name and len(widest) == 1 and all(len(of_scheduler.get(key, ())) < 2 for key in speed):
            found[name] = widest[0]
    return found


def _distinct_name(curve: Curve, curves: list[Curve]) -> str:
    """The scheduler, followed by just those fixed parameters that tell the curve from its namesakes."""
    mine = {"by": curve.parameter, **dict(curve.fixed)}
    others = [{"by": other.parameter, **dict(other.fixed)} for other in curves if other.scheduler == curve.scheduler]
    telling = [key for key in mine if any(key not in other or other[key] != mine[key] for other in others)]
    inside = ", ".join(f"{key}={mine[key]}" for key in telling)
    return f"{curve.scheduler}({inside})" if inside else curve.scheduler
