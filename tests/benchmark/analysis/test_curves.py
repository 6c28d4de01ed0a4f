"""Which methods are one curve, and what it is called."""

from collections.abc import Iterable
from typing import Any

from example_run import default_methods, method

from benchmark.analysis.curves import Curve, group_curves
from benchmark.protocol.method import Method
from benchmark.protocol.settings import describe_scheduler


def curves(methods: Iterable[Method]) -> list[Curve]:
    methods = list(methods)
    return group_curves(methods, {found.name: describe_scheduler(found.name) for found in methods})


def names(methods: Iterable[Method]) -> list[str]:
    return [curve.name for curve in curves(methods)]


def test_the_protocol_has_nine_curves() -> None:
    found = curves(default_methods())
    assert [curve.name for curve in found] == [
        "random", "left_to_right", "confidence", "margin", "entropy", "threshold", "factor", "rcr", "remdm"
    ]  # fmt: skip
    assert [len(curve.methods) for curve in found] == [6, 6, 6, 6, 6, 6, 5, 6, 6]
    assert [curve.name for curve in found if curve.adaptive] == ["threshold", "factor"]


def test_methods_are_ordered_by_their_value() -> None:
    (curve,) = curves(method("confidence", "k", k) for k in (16, 1, 4))
    assert [curve.value(each) for each in curve.methods] == [1, 4, 16]


def test_other_parameters_make_another_curve_named_by_what_differs() -> None:
    methods: list[Any] = [
        method("threshold", "threshold", 0.9, score="confidence", strict=False),
        method("threshold", "threshold", 0.9, score="margin", strict=False),
        method("factor", "factor", 1.0),
    ]
    assert names(methods) == ["threshold(score=confidence)", "threshold(score=margin)", "factor"]


def test_parameters_of_none_are_as_good_as_absent() -> None:
    assert names([method("confidence", "k", 1, num_inference_steps=None), method("confidence", "k", 2)]) == [
        "confidence"
    ]


def test_block_length_that_follows_k_is_one_curve() -> None:
    (curve,) = curves(method("left_to_right", "k", k) for k in (1, 2, 4))
    assert (curve.name, curve.block_follows) == ("left_to_right", True)


def test_every_block_length_is_a_curve() -> None:
    found = curves(method("random", "k", k, length) for length in (8, None, 16) for k in (1, 2))
    assert [curve.name for curve in found] == ["random(block_length=8)", "random", "random(block_length=16)"]
    assert [len(curve.methods) for curve in found] == [2, 2, 2]


def test_steps_and_k_are_different_curves() -> None:
    methods = [method("rcr", "k", 2), method("rcr", "num_inference_steps", 8)]
    assert names(methods) == ["rcr(by=k)", "rcr(by=num_inference_steps)"]


def test_a_scheduler_without_parameters_is_a_curve() -> None:
    (curve,) = curves([Method("dilated")])
    assert (curve.name, curve.parameter, curve.adaptive) == ("dilated", None, False)
    assert curve.value(Method("dilated")) is None


def test_what_sets_the_speed_is_said_by_the_class() -> None:
    (by_threshold,) = curves([method("klass", "threshold", 0.9, k=1)])
    assert (by_threshold.parameter, by_threshold.adaptive) == ("threshold", True)
    (by_k,) = curves([method("klass", "k", 2)])
    assert (by_k.parameter, by_k.adaptive) == (None, False), "its quota is not what sets the speed"
