"""Which methods are one curve, and what it is called."""

from collections.abc import Iterable
from typing import Any

from example_run import default_methods, method

from benchmark.analysis.curves import Curve, group_curves
from benchmark.protocol.method import Method, expand
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


def test_every_cache_is_a_curve() -> None:
    found = curves(Method.of("confidence", {"k": k}, None, cache) for cache in (None, "dual") for k in (1, 2))
    assert [curve.name for curve in found] == ["confidence", "confidence(cache=dual)"]
    assert [len(curve.methods) for curve in found] == [2, 2]


def test_an_operating_point_is_a_curve_without_a_speed() -> None:
    methods = map(Method.parse, ("autoregressive", "served(temperature=0)", "served(temperature=1)"))
    found = curves(methods)
    assert [curve.name for curve in found] == ["autoregressive", "served(temperature=0)", "served(temperature=1)"]
    assert {(curve.parameter, curve.adaptive) for curve in found} == {(None, False)}


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


def test_lists_of_two_parameters_of_ours_are_a_curve_along_speed_for_each_value_of_the_other() -> None:
    found = curves(expand("confidence:k=[2,4],temperature=[0,0.5,1]", 64))
    assert [curve.name for curve in found] == [f"confidence(temperature={value})" for value in (0, 0.5, 1)]
    assert {curve.parameter for curve in found} == {"k"}


def own(*parameters: dict[str, Any], speed: str | None = None) -> list[Curve]:
    about = {"speed_parameter": speed, "adaptive": True, "blocks_follow_k": False}
    return group_curves([Method.of("my_rule:MyRule", each) for each in parameters], {"my_rule:MyRule": about})


def test_a_number_of_ones_own_is_a_curve_where_speed_is_not_swept() -> None:
    for more in ({}, {"k": 2}):
        (curve,) = own(*({"low": low, **more} for low in (0.7, 0.5, 0.6)), speed="k")
        assert (curve.name, curve.parameter, curve.adaptive) == ("my_rule:MyRule", "low", False)
        assert [curve.value(each) for each in curve.methods] == [0.5, 0.6, 0.7]


def test_two_values_are_a_curve_already_and_one_is_none() -> None:
    (curve,) = own({"low": 0.6}, {"low": 0.5}, speed="k")
    assert (curve.parameter, [curve.value(each) for each in curve.methods]) == ("low", [0.5, 0.6])
    assert [curve.parameter for curve in own({"low": 0.5}, speed="k")] == [None]


def test_of_two_numbers_the_one_with_more_values_is_along_the_curve() -> None:
    found = own(*({"low": low, "high": high} for low in (0.5, 0.6) for high in (1, 2, 3)))
    assert [(curve.name, curve.parameter) for curve in found] == [
        ("my_rule:MyRule(low=0.5)", "high"),
        ("my_rule:MyRule(low=0.6)", "high"),
    ]


def test_a_sweep_of_speed_or_two_numbers_with_as_many_values_or_words_are_no_such_curve() -> None:
    swept = own(*({"low": low, "k": k} for low in (0.5, 0.6, 0.7) for k in (1, 2)), speed="k")
    assert [curve.parameter for curve in swept] == ["k"] * 3
    assert len(own(*({"low": low, "high": high} for low in (0.5, 0.6, 0.7) for high in (1, 2, 3)))) == 9
    assert len(own({"order": "a"}, {"order": "b"}, {"order": "c"})) == 3
