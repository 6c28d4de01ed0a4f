"""What a run is made of: groups that come back from JSON, the keys they stand for, and the name of a directory."""

import json
from dataclasses import replace
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.protocol.method import Method, expand
from benchmark.protocol.settings import Group, RunSettings, group_methods, settings_groups, settings_keys

TASK = "waiting_line_copy"


def group(*specifications: str, block_length: int | None = None, **changes: Any) -> Group:
    methods = tuple(found for text in specifications for found in expand(text, 32, block_length))
    return replace(Group(("ideal",), (TASK,), methods), **changes)


def run_settings(*groups: Group, **changes: Any) -> RunSettings:
    base = RunSettings(
        groups=groups or (group("entropy"),), samples=None, seeds=(0,), temperature=None, checksums={TASK: "0" * 64}
    )
    return replace(base, **changes)


def test_settings_come_back_from_json() -> None:
    groups = (group("*", new_tokens=32), group("left_to_right", "confidence:k=2", models=("other",), block_length=8))
    plain = run_settings(*groups, temperature=0.5).as_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert tuple(settings_groups(plain)) == groups
    about = dict(plain["schedulers"]["threshold"])
    assert "samplers.schedulers.scheduling_threshold" in about.pop("source")
    assert about == {"speed_parameter": "threshold", "adaptive": True, "blocks_follow_k": False}


def test_keys_stand_once_in_the_order_of_models_tasks_and_methods() -> None:
    fast, slow = Method.parse("random(k=8)"), Method.parse("random(k=1)")
    groups = [Group(("a",), ("x", "y"), (slow, fast)), Group(("b", "a"), ("x",), (fast,))]
    assert settings_keys(groups) == [
        ("a", "x", slow),
        ("a", "x", fast),
        ("a", "y", slow),
        ("a", "y", fast),
        ("b", "x", fast),
    ]
    settings = run_settings(*groups)
    assert (settings.models, settings.tasks, settings.methods) == (["a", "b"], ["x", "y"], [slow, fast])
    assert settings.methods_of("b", "x") == [fast]
    assert settings.methods_of("b", "y") == []


def test_tasks_of_the_same_methods_are_one_group() -> None:
    fast, slow = Method.parse("random(k=8)"), Method.parse("random(k=1)")
    found = group_methods(["m"], {"x": [slow], "y": [slow, fast], "z": [slow]}, 32)
    assert found == [Group(("m",), ("x", "z"), (slow,), 32), Group(("m",), ("y",), (slow, fast), 32)]


def test_new_tokens_are_the_group_s_or_what_task_and_model_need() -> None:
    rows = [{"max_new_tokens": 32}, {"max_new_tokens": 32}]
    model, longer = (SimpleNamespace(name="ideal", answer_length=length) for length in (None, 64))
    assert run_settings().new_tokens(model, TASK, rows) == 32
    assert run_settings().new_tokens(longer, TASK, rows) == 64
    assert run_settings(group("entropy", new_tokens=40)).new_tokens(longer, TASK, rows) == 40


def test_the_same_settings_have_the_same_directory() -> None:
    assert run_settings().directory_name == run_settings().directory_name


@pytest.mark.parametrize(
    "changes",
    [
        {"checksums": {TASK: "1" * 64}},
        {"model_records": {"ideal": {"revision": "files:0123", "weights": "12", "source": {"my_model": "34"}}}},
    ],
    ids=str,
)
def test_what_may_have_changed_since_does_not_change_the_directory(changes: dict[str, Any]) -> None:
    asked = run_settings(model_records={"ideal": {}})
    assert replace(asked, **changes).directory_name == asked.directory_name


@pytest.mark.parametrize(
    "changes",
    [
        {"groups": (group("entropy", models=("other",)),)},
        {"groups": (group("entropy", tasks=("waiting_line_sort",)),)},
        {"groups": (group("entropy", block_length=8),)},
        {"groups": (group("margin"),)},
        {"groups": (group("entropy", new_tokens=32),)},
        {"samples": 100},
        {"seeds": (1,)},
        {"seeds": (-1,)},
        {"seeds": (0, 1)},
        {"model_records": {"ideal": {"dtype": "float16"}}},
        {"model_records": {"ideal": {"revision": "0123abcd"}}},
        {"temperature": 0.0},
    ],
    ids=str,
)
def test_other_settings_have_another_directory(changes: dict[str, Any]) -> None:
    assert run_settings(**changes).directory_name != run_settings().directory_name


def test_the_directory_is_one_readable_name() -> None:
    name = run_settings(group("entropy", models=("org/Some model", "../../etc")), seeds=(7,)).directory_name
    assert PurePath(name).name == name
    assert name.startswith("org-Some-model")
    assert "-1tasks-6methods-seed7-" in name
    assert len(run_settings(group("entropy", models=("m" * 500,))).directory_name) < 150
