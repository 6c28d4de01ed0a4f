"""Colours and markers: one for each method, the same in every plot."""

from example_run import default_methods, method

from benchmark.analysis.curves import group_curves
from benchmark.protocol.method import Method
from benchmark.protocol.settings import describe_scheduler
from benchmark.report.plot_styles import STYLES, style_of


def test_every_scheduler_keeps_its_own_style() -> None:
    methods = [*default_methods(), Method("autoregressive"), Method("served")]
    curves = group_curves(methods, {found.name: describe_scheduler(found.name) for found in methods})
    assert {curve.name: style_of(curve, curves) for curve in curves} == STYLES
    assert len({colour for colour, _ in STYLES.values()}) == len({marker for _, marker in STYLES.values()}) == 11
    assert style_of(curves[3], [curves[3]]) == STYLES["margin"], "whatever else is in the run"


def test_second_curves_and_unknown_schedulers_get_styles_of_their_own() -> None:
    about = {"speed_parameter": "threshold", "adaptive": True, "blocks_follow_k": False}
    methods = [
        method("threshold", "threshold", 0.9, score="confidence"),
        method("threshold", "threshold", 0.9, score="margin"),
        method("mine", "k", 1),
    ]
    curves = group_curves(methods, {"threshold": about, "mine": about})
    styles = [style_of(curve, curves) for curve in curves]
    assert styles[0] == STYLES["threshold"]
    assert len(set(styles)) == 3


def test_the_curves_of_the_comparison_with_llms_have_markers_of_their_own() -> None:
    cached = [Method.of("confidence", {"k": 1}, None, cache) for cache in (None, "prefix", "dual")]
    methods = [*cached, Method("autoregressive"), Method("served")]
    curves = group_curves(methods, {found.name: describe_scheduler(found.name) for found in methods})
    assert len({style_of(curve, curves)[1] for curve in curves}) == len(curves) == 5


def test_a_block_length_is_a_shade_of_its_method() -> None:
    methods = [method(name, "k", 1, length) for name in ("random", "margin", "mine") for length in (2, None, 8)]
    about = {"speed_parameter": "k", "adaptive": False, "blocks_follow_k": False}
    curves = group_curves(methods, dict.fromkeys(("random", "margin", "mine"), about))
    styles = [style_of(curve, curves) for curve in curves]
    assert len(set(styles)) == 9
    assert styles[1] == STYLES["random"], "one block is the longest, and keeps the method's own colour"
    assert {marker for _, marker in styles[:3]} == {STYLES["random"][1]}
    darkness = [sum(int(colour[place : place + 2], 16) for place in (1, 3, 5)) for colour, _ in styles]
    for two, whole, eight in (darkness[:3], darkness[3:6], darkness[6:]):
        assert two > eight > whole
