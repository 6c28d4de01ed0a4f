"""Runs of format 1: read as they are, converted where they go on, refused where their noise was another."""

import json
from pathlib import Path

import pytest
from example_run import method, sample_rows

from benchmark.protocol.method import Method
from benchmark.protocol.settings import settings_groups, settings_keys
from benchmark.store.runs import RunStore


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "run")


OLD = {
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
    "seed": 0,
}


def old_run(store: RunStore, settings: dict) -> dict[tuple[str, str, Method], bytes]:
    """A run as format 1 wrote it; the bytes of its samples by what they are now called."""
    rows = sample_rows("copy", [1.0, 0.0])
    written = {}
    for model, task, found, name in (
        ("org/name", "copy", method("random", "k", 2, top_p=0.5), "random(k=2,%20top_p=0.5)"),
        ("org/name", "sort", method("random", "k", 2, top_p=0.5), "random(k=2,%20top_p=0.5)"),
        ("org/name", "copy", method("left_to_right", "k", 4), "left_to_right(k=4)"),
    ):
        store.write_samples(model, task, found, rows)
        path = store.samples_path(model, task, found)
        old = store.directory / "samples" / "org%2Fname" / task / f"{name}.jsonl"
        old.parent.mkdir(parents=True, exist_ok=True)
        path.replace(old)
        written[model, task, found] = old.read_bytes()
    (store.directory / "settings.json").write_text(json.dumps(settings))
    return written


def test_a_run_of_format_1_is_read(store: RunStore) -> None:
    written = old_run(store, OLD)
    before = {path: path.read_bytes() for path in store.directory.rglob("*") if path.is_file()}
    settings = store.read_settings()
    groups = settings_groups(settings)
    assert settings["format"] == 2
    assert set(settings_keys(groups)) == set(written)
    assert {group.new_tokens for group in groups} == {32}
    assert settings["schedulers"]["left_to_right"]["blocks_follow_k"] is True
    assert all(store.has_samples(*key, ["copy-test-0000", "copy-test-0001"]) for key in written)
    assert {path: path.read_bytes() for path in store.directory.rglob("*") if path.is_file()} == before


def test_a_run_of_format_1_is_converted_to_go_on(store: RunStore) -> None:
    written = old_run(store, OLD)
    settings = store.read_settings()
    with store.lock():
        store.convert()
        store.convert()
    again = RunStore(store.directory)
    assert json.loads((store.directory / "settings.json").read_text()) == again.read_settings() == settings
    assert {key: again.samples_path(*key).read_bytes() for key in written} == written
    assert not [path for path in store.directory.rglob("*.jsonl") if "%" in str(path)]


def test_a_run_of_format_1_with_block_lengths_is_reported_and_does_not_go_on(store: RunStore) -> None:
    blocks = {"schedulers": [{**entry, "block_length": 8} for entry in OLD["schedulers"]]}
    written = old_run(store, OLD | blocks)
    keys = settings_keys(settings_groups(store.read_settings()))
    assert {found.block_length for _, _, found in keys} == {8}
    assert len([key for key in keys if store.find_samples(*key)]) == len(written) == 3
    with pytest.raises(ValueError, match=r"noise did not depend on the block length.*--output"):
        store.convert()
