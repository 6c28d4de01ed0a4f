"""What a run is made of: how schedulers are written, the protocol's sweeps, and the name of a run's directory."""

import json
import sys
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.protocol.settings import (
    FACTORS,
    THRESHOLDS,
    RunSettings,
    SchedulerSetting,
    parse_schedulers,
    parse_specification,
)
from samplers import protocol_scheduler_names, scheduler_class, scheduler_names

TOKENS = {"line": 32, "puzzle": 64}
TOP_K = [name for name in protocol_scheduler_names() if name not in ("threshold", "factor")]


def labels(*specifications: str, tokens: dict[str, int] | None = None, block_length: int | None = None) -> list[str]:
    return [setting.label for setting in parse_schedulers(specifications, tokens or {"line": 32}, block_length)]


def run_settings(**changes: Any) -> RunSettings:
    base = RunSettings(
        models=("ideal",),
        tasks=("waiting_line_copy",),
        schedulers=parse_schedulers(["entropy"], {"waiting_line_copy": 32}, None),
        samples=None,
        seed=0,
        temperature=None,
        max_new_tokens=None,
        checksums={"waiting_line_copy": "0" * 64},
    )
    return replace(base, **changes)


# -- how a scheduler is written ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "confidence:k=4,top_p=0.5",
        "confidence(k=4, top_p=0.5)",
        "confidence(top_p=0.50, k=4)",
        " confidence : k = 4 , top_p = .5 , ",
        "confidence:k=4,top_p=5e-1,top_k=none",
    ],
)
def test_every_notation_says_the_same(text: str) -> None:
    name, parameters = parse_specification(text)
    assert name == "confidence"
    assert list(parameters.items()) == [("k", 4), ("top_p", 0.5)]


@pytest.mark.parametrize("text", ["left_to_right", "left-to-right", "left_to_right:", "left_to_right()"])
def test_a_name_alone_has_no_parameters(text: str) -> None:
    assert parse_specification(text) == ("left_to_right", {})


def test_values_have_the_type_that_they_look_like() -> None:
    _, parameters = parse_specification("threshold:threshold=1,score='margin',strict=True,temperature=0")
    assert parameters == {"threshold": 1, "score": "margin", "strict": True, "temperature": 0}
    assert parameters["strict"] is True
    assert isinstance(parameters["temperature"], int)


@given(k=st.integers(1, 1000), top_p=st.floats(0.001, 1), brackets=st.booleans())
@settings(deadline=None)
def test_a_written_setting_is_read_back(k: int, top_p: float, brackets: bool) -> None:
    inside = f"k={k},top_p={top_p!r}"
    text = f"margin({inside})" if brackets else f"margin:{inside}"
    assert parse_specification(text) == ("margin", {"k": k, "top_p": top_p})


@given(k=st.integers(1, 1000), top_p=st.floats(0.001, 1))
@settings(deadline=None)
def test_a_label_says_the_setting_again(k: int, top_p: float) -> None:
    setting = SchedulerSetting("margin", {"k": k, "top_p": top_p})
    assert parse_specification(setting.label) == ("margin", setting.parameters)


@pytest.mark.parametrize(
    ("text", "named", "right"),
    [
        ("", "''", "name:parameter=value"),
        ("confidence k=4", "'confidence k=4'", "name:parameter=value"),
        ("confidence(k=4", "'confidence(k=4'", "name:parameter=value"),
        ("confidence:k=4)x", "'4)x'", "whole number"),
        ("nothing", "'nothing'", "left_to_right"),
        ("No-Thing:k=4", "'No-Thing'", "left_to_right"),
        ("entropy:4", "'4'", "parameter=value"),
        ("entropy:k=", "'k='", "parameter=value"),
        ("entropy:=4", "'=4'", "parameter=value"),
        ("entropy:k=4,k=4", "'k'", "twice"),
        ("entropy:quota=4", "'quota'", "num_inference_steps"),
        ("entropy:threshold=0.9", "'threshold'", "num_inference_steps"),
        ("entropy:k=0", "k=0", "at least 1"),
        ("entropy:k=1.5", "k=1.5", "whole number"),
        ("entropy:k=four", "k='four'", "whole number"),
        ("entropy:k=4,num_inference_steps=8", "num_inference_steps=8", "give one"),
        ("entropy:temperature=-1", "temperature=-1", "at least 0"),
        ("entropy:k=99999999999", "k=99999999999", "at most 1000000"),
        ("entropy:k=1e999", "k=inf", "at most 1000000"),
        ("threshold:threshold=nan", "threshold=nan", "a number"),
        ("threshold:threshold=inf", "threshold=inf", "at most 1000000"),
        ("threshold:threshold=-inf", "threshold=-inf", "at most 1000000"),
        ("threshold:score=luck", "score='luck'", "margin"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_would_be_right(text: str, named: str, right: str) -> None:
    with pytest.raises(ValueError, match=r"\S") as error:
        parse_specification(text)
    message = str(error.value)
    assert named in message
    assert right in message
    assert "\n" not in message


# -- the protocol's sweeps -----------------------------------------------------------------------------------------


def test_nothing_written_means_the_nine_methods_with_the_protocols_values() -> None:
    settings = parse_schedulers([], TOKENS, None)
    by_name: dict[str, list[SchedulerSetting]] = {}
    for setting in settings:
        by_name.setdefault(setting.name, []).append(setting)
    assert list(by_name) == protocol_scheduler_names()
    for name in TOP_K:
        assert [setting.parameters for setting in by_name[name]] == [{"k": 2**power} for power in range(7)]
    assert [setting.parameters for setting in by_name["threshold"]] == [{"threshold": value} for value in THRESHOLDS]
    assert [setting.parameters for setting in by_name["factor"]] == [{"factor": value} for value in FACTORS]


def test_quotas_go_up_to_the_tokens_of_each_task() -> None:
    settings = parse_schedulers(["entropy"], {"a": 32, "b": 64, "c": 80, "d": 1}, None)
    assert {setting.parameters["k"]: setting.tasks for setting in settings} == {
        1: None,
        **dict.fromkeys((2, 4, 8, 16, 32), ("a", "b", "c")),
        64: ("b", "c"),
    }


def test_one_block_holds_the_answer_but_left_to_right_has_blocks_of_k() -> None:
    for setting in parse_schedulers([], TOKENS, None):
        assert setting.block_length == (setting.parameters["k"] if setting.name == "left_to_right" else None)


def test_a_block_length_is_that_of_every_setting() -> None:
    settings = parse_schedulers([], TOKENS, 8)
    assert {setting.block_length for setting in settings} == {8}


def test_left_to_right_with_a_quota_has_blocks_of_it() -> None:
    (setting,) = parse_schedulers(["left_to_right:k=4"], TOKENS, None)
    assert setting.block_length == 4
    (setting,) = parse_schedulers(["left_to_right:num_inference_steps=4"], TOKENS, None)
    assert setting.block_length is None


def test_naming_the_parameter_of_speed_gives_one_setting() -> None:
    assert labels("entropy:k=4") == ["entropy(k=4)"]
    assert labels("entropy:num_inference_steps=8") == ["entropy(num_inference_steps=8)"]
    assert labels("threshold:threshold=0.85") == ["threshold(threshold=0.85)"]
    assert labels("factor(factor=2)") == ["factor(factor=2)"]


@pytest.mark.parametrize("name", sorted(set(scheduler_names()) - set(protocol_scheduler_names())))
def test_a_method_beyond_the_protocol_has_settings_that_can_be_built(name: str) -> None:
    settings = parse_schedulers([name], {"line": 32}, None)
    assert len({setting.label for setting in settings}) == len(settings) >= 1
    for setting in settings:
        assert type(setting.build(temperature=0.0)) is scheduler_class(name)
        assert parse_specification(setting.label) == (name, setting.parameters)


@pytest.mark.parametrize("name", ["threshold", "klass", "wino", "quota_threshold", "editing"])
def test_a_method_with_a_threshold_is_swept_by_it_and_not_by_its_quota(name: str) -> None:
    settings = parse_schedulers([name], TOKENS, None)
    assert len({setting.parameters["threshold"] for setting in settings}) == len(settings) > 4
    assert all(set(setting.parameters) == {"threshold"} for setting in settings)


def test_a_method_without_a_parameter_of_speed_has_one_setting() -> None:
    assert labels("dilated") == ["dilated()"]
    assert labels("eb") == [f"eb(entropy_bound={bound})" for bound in (0.001, 0.01, 0.1, 0.6)]
    assert labels("saber", tokens={"line": 4}) == ["saber(k=1)", "saber(k=2)", "saber(k=4)"]


# -- a scheduler of one's own -----------------------------------------------------------------------------------------

OWN = """
from samplers import ConfidenceScheduler


class OwnScheduler(ConfidenceScheduler):
    pass


not_a_scheduler = 3
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_methods.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    yield "own_methods"
    sys.modules.pop("own_methods", None)


@pytest.mark.parametrize("parameters", ["(k=4, top_p=0.5)", ":k=4,top_p=0.5", " : top_p=0.5, k=4"])
def test_a_class_is_named_by_where_it_is(own_module: str, parameters: str) -> None:
    name, found = parse_specification(f"{own_module}:OwnScheduler{parameters}")
    assert name == "own_methods:OwnScheduler"
    assert list(found.items()) == [("k", 4), ("top_p", 0.5)]
    (setting,) = parse_schedulers([f"{own_module}:OwnScheduler{parameters}"], TOKENS, None)
    assert setting.label == "own_methods:OwnScheduler(k=4, top_p=0.5)"
    assert parse_specification(setting.label) == (name, found)
    scheduler = setting.build(temperature=1.0)
    assert (type(scheduler).__name__, scheduler.config.k) == ("OwnScheduler", 4)


def test_a_class_alone_has_the_sweep_of_its_parameter(own_module: str) -> None:
    assert labels(f"{own_module}:OwnScheduler", tokens={"line": 2}) == [
        "own_methods:OwnScheduler(k=1)",
        "own_methods:OwnScheduler(k=2)",
    ]


@pytest.mark.parametrize(
    ("text", "named", "right"),
    [
        ("no_such_module:Own", "no_such_module:Own", "No module named"),
        ("own_methods:Missing(k=4)", "own_methods:Missing", "no attribute 'Missing'"),
        ("own_methods:not_a_scheduler", "own_methods:not_a_scheduler", "derived from UnmaskingScheduler"),
        ("own_methods:OwnScheduler(quota=4)", "'quota'", "num_inference_steps"),
        ("entropy:OwnScheduler", "'OwnScheduler'", "parameter=value"),
    ],
)
def test_a_class_that_cannot_be_used_is_named(own_module: str, text: str, named: str, right: str) -> None:
    with pytest.raises(ValueError, match=r"\S") as error:
        parse_specification(text)
    assert named in str(error.value)
    assert right in str(error.value)


def test_other_parameters_are_kept_through_the_sweep() -> None:
    assert labels("threshold:score=margin")[:2] == [
        "threshold(threshold=0.5, score=margin)",
        "threshold(threshold=0.6, score=margin)",
    ]
    assert labels("random:temperature=0.5", tokens={"line": 4}) == [
        f"random(k={k}, temperature=0.5)" for k in (1, 2, 4)
    ]


def test_a_setting_stands_there_once_and_the_first_wins() -> None:
    assert labels("entropy:k=4", "entropy(k=4)", "entropy:k=8", "entropy", tokens={"line": 8}) == [
        "entropy(k=4)",
        "entropy(k=8)",
        "entropy(k=1)",
        "entropy(k=2)",
    ]
    assert labels("entropy:k=4,top_p=0.5", "entropy:top_p=0.5,k=4") == ["entropy(k=4, top_p=0.5)"]


def test_labels_are_different_for_different_settings() -> None:
    settings = parse_schedulers(
        ["threshold:threshold=0.3", "threshold:threshold=0.30000000001", "threshold:threshold=0.1"], TOKENS, None
    )
    assert len({setting.label for setting in settings}) == 3


def test_every_setting_of_the_protocol_can_be_built() -> None:
    for setting in parse_schedulers([], TOKENS, None):
        scheduler = setting.build(temperature=1.0)
        assert scheduler.config.temperature == 1.0
        for name, value in setting.parameters.items():
            assert scheduler.config[name] == value


def test_a_settings_own_temperature_wins() -> None:
    (setting,) = parse_schedulers(["entropy:k=4,temperature=0"], TOKENS, None)
    assert setting.build(temperature=1.0).config.temperature == 0


# -- the directory of a run ----------------------------------------------------------------------------------------


def test_settings_come_back_from_json() -> None:
    plain = run_settings(schedulers=parse_schedulers([], TOKENS, None), temperature=0.5).as_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_the_same_settings_have_the_same_directory() -> None:
    assert run_settings().directory_name == run_settings().directory_name


@pytest.mark.parametrize(
    "changes",
    [
        {"models": ("other",)},
        {"tasks": ("waiting_line_sort",)},
        {"schedulers": parse_schedulers(["entropy"], {"waiting_line_copy": 32}, 8)},
        {"schedulers": parse_schedulers(["margin"], {"waiting_line_copy": 32}, None)},
        {"samples": 100},
        {"seed": 1},
        {"seed": -1},
        {"temperature": 0.0},
        {"max_new_tokens": 32},
        {"checksums": {"waiting_line_copy": "1" * 64}},
    ],
    ids=str,
)
def test_other_settings_have_another_directory(changes: dict[str, Any]) -> None:
    assert run_settings(**changes).directory_name != run_settings().directory_name


def test_the_directory_is_one_readable_name() -> None:
    name = run_settings(models=("org/Some model", "../../etc"), seed=7).directory_name
    assert PurePath(name).name == name
    assert name.startswith("org-Some-model")
    assert "-1tasks-6settings-seed7-" in name
    assert len(run_settings(models=("m" * 500,)).directory_name) < 150
