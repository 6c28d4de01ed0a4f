"""Runs of formats 1 and 2: read as they are, never written to, and not gone on with."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from example_run import method, sample_rows

from benchmark.protocol.method import Method
from benchmark.protocol.settings import settings_groups, settings_keys
from benchmark.store.going_on import holds_run
from benchmark.store.runs import RunStore


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "run")


FORMAT_1: dict[str, Any] = {
    "format": 1,
    "models": ["org/name"],
    "tasks": ["copy", "sort"],
    "schedulers": [
        {
            "name": "random",
            "label": "random(k=2, top_p=0.5)",
            "parameters": {"k": 2, "top_p": 0.5},
            "block_length": None,
        },
        {
            "name": "left_to_right",
            "label": "left_to_right(k=4)",
            "parameters": {"k": 4},
            "block_length": 4,
            "tasks": ["copy"],
        },
    ],
    "max_new_tokens": 32,
    "seed": 3,
}
FORMAT_2: dict[str, Any] = {
    "format": 2,
    "models": [{"name": "org/name", "revision": "files:12", "dtype": "float32"}],
    "groups": [
        {"models": ["org/name"], "tasks": ["copy", "sort"], "methods": ["random(k=2, top_p=0.5)"], "new_tokens": 32},
        {"models": ["org/name"], "tasks": ["copy"], "methods": ["left_to_right(k=4)"], "new_tokens": 32},
    ],
    "schedulers": {
        "random": {"speed_parameter": "k", "adaptive": False, "blocks_follow_k": False},
        "left_to_right": {"speed_parameter": "k", "adaptive": False, "blocks_follow_k": True},
    },
    "seed": 3,
}
NAMES = {
    1: ("org%2Fname", "random(k=2,%20top_p=0.5).jsonl", "left_to_right(k=4).jsonl"),
    2: ("org--name", "random(k=2,top_p=0.5).jsonl", "left_to_right(k=4).jsonl"),
}
KEYS = [
    ("org/name", "copy", method("random", "k", 2, top_p=0.5)),
    ("org/name", "copy", method("left_to_right", "k", 4)),
    ("org/name", "sort", method("random", "k", 2, top_p=0.5)),
]


def old_run(store: RunStore, settings: dict) -> None:
    """A run as these formats wrote it: the checksum of the samples is the last line of their file."""
    model, *names = NAMES[settings["format"]]
    for task, name in (("copy", names[0]), ("copy", names[1]), ("sort", names[0])):
        body = b"".join(json.dumps(row).encode() + b"\n" for row in sample_rows("copy", [1.0, 0.0]))
        footer = {"complete": True, "rows": 2, "sha256": hashlib.sha256(body).hexdigest()}
        path = store.directory / "samples" / model / task / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body + json.dumps({**footer, "signatures": {"grammar": "a checker"}}).encode() + b"\n")
    (store.directory / "settings.json").write_text(json.dumps(settings))


@pytest.mark.parametrize("settings", [FORMAT_1, FORMAT_2], ids=["format 1", "format 2"])
def test_a_run_of_an_earlier_version_is_read(store: RunStore, settings: dict) -> None:
    old_run(store, settings)
    before = {path: path.read_bytes() for path in store.directory.rglob("*") if path.is_file()}
    found = store.read_settings()
    groups = settings_groups(found)
    assert (found["format"], found["seeds"]) == (3, [3])
    assert settings_keys(groups) == KEYS
    assert {group.new_tokens for group in groups} == {32}
    assert found["schedulers"]["left_to_right"]["blocks_follow_k"] is True
    for key in KEYS:
        assert store.seeds_of(*key) == (3,)
        assert store.has_samples(*key, ["copy-test-0000", "copy-test-0001"], seed=3)
        assert store.find_signatures(*key, seed=3) == {"grammar": "a checker"}
    assert {path: path.read_bytes() for path in store.directory.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: content.replace(b"Ada", b"Eve", 1)])
def test_samples_of_an_earlier_version_that_are_damaged_count_as_absent(store: RunStore, damage: Any) -> None:
    old_run(store, FORMAT_2)
    path = next(store.directory.rglob("*.jsonl"))
    path.write_bytes(damage(path.read_bytes()))
    assert [store.find_samples(*key, seed=3) is None for key in KEYS].count(True) == 1


@pytest.mark.parametrize("settings", [FORMAT_1, FORMAT_2], ids=["format 1", "format 2"])
def test_a_run_of_an_earlier_version_does_not_go_on(store: RunStore, settings: dict) -> None:
    old_run(store, settings)
    wanted = store.read_settings()
    with pytest.raises(ValueError, match=r"earlier version.*--output.*--fresh"):
        holds_run(store, wanted, fresh=False)


def test_a_method_of_format_1_with_a_block_length_keeps_it(store: RunStore) -> None:
    blocks = {"schedulers": [{**entry, "block_length": 8} for entry in FORMAT_1["schedulers"]]}
    old_run(store, FORMAT_1 | blocks)
    keys = settings_keys(settings_groups(store.read_settings()))
    assert {found.block_length for _, _, found in keys} == {8}
    assert all(store.find_samples(*key, seed=3) for key in keys)
    assert isinstance(keys[0][2], Method)
