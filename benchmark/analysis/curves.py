"""The curves of a report: methods that differ only in the speed that was asked for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from benchmark.protocol.method import BLOCK_LENGTH, STEPS, Method


@dataclass(frozen=True, slots=True)
class Curve:
    """Methods of one scheduler along one parameter, in the order of that parameter.

    Attributes:
        name: the scheduler's, with the other parameters in brackets where a run has several curves of it.
        scheduler: its name.
        parameter: what sets the speed; None where the methods name no such parameter.
        adaptive: whether a step commits what the method is sure of, so that the curve exists between points.
        methods: what lies on it.
        fixed: (parameter, value) of what is the same along the curve, the block length among them where it is named.
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

    Two methods lie on one curve when they have the same scheduler, parameter of speed and block length, and equal
    values of every other parameter.

    Args:
        methods: of a run.
        schedulers: name → what `describe_scheduler` says of it.
    """
    groups: dict[tuple[str, str | None, tuple[tuple[str, Any], ...]], list[Method]] = {}
    for method in methods:
        rest = method.parameters
        named = (schedulers[method.name]["speed_parameter"], STEPS)
        parameter = next((key for key in named if isinstance(rest.get(key), int | float)), None)
        rest.pop(parameter or "", None)
        blocks = [] if method.block_length is None else [(BLOCK_LENGTH, method.block_length)]
        groups.setdefault((method.name, parameter, (*sorted(rest.items()), *blocks)), []).append(method)
    curves = []
    for (name, parameter, fixed), members in groups.items():
        about = schedulers[name]
        curve = Curve(name, name, parameter, about["adaptive"] and parameter == about["speed_parameter"], (), fixed)
        ordered = tuple(sorted(members, key=lambda method: curve.value(method) or 0.0))
        curves.append(replace(curve, methods=ordered, block_follows=about["blocks_follow_k"] and parameter == "k"))
    return [replace(curve, name=_distinct_name(curve, curves)) for curve in curves]


def _distinct_name(curve: Curve, curves: list[Curve]) -> str:
    """The scheduler, followed by just those fixed parameters that tell the curve from its namesakes."""
    mine = {"by": curve.parameter, **dict(curve.fixed)}
    others = [{"by": other.parameter, **dict(other.fixed)} for other in curves if other.scheduler == curve.scheduler]
    telling = [key for key in mine if any(key not in other or other[key] != mine[key] for other in others)]
    inside = ", ".join(f"{key}={mine[key]}" for key in telling)
    return f"{curve.scheduler}({inside})" if inside else curve.scheduler
