"""The leaderboard without its page: what is a valid entry, what is said of others, and how the valid ones rank."""

import copy
import importlib.util
import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ROOT

SPACE = ROOT / "hub_space"


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("leaderboard_of_the_space", SPACE / "leaderboard.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Where its annotations are looked up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


board = _module()
SHIPPED = json.loads(next((SPACE / "entries").glob("*.json")).read_bytes())


def entry(number: int = 0, **pb80: Any) -> dict[str, Any]:
    """The entry that ships, with another id and another PB80 of its first result."""
    made = copy.deepcopy(SHIPPED)
    made["id"] = f"{number:016x}"
    if pb80:
        first = made["results"][0]
        made["results"] = [first]
        for score in (80, 75, 70):
            first[f"pb{score}"] = {"value": None, "low": None, "high": None, **pb80}
    return made


def write_entries(folder: Path, count: int) -> None:
    """As many entries, each with all results of the one that ships, and speeds that are not all the same."""
    for number in range(count):
        made = entry(number)
        for at, result in enumerate(made["results"]):
            result["model"] = f"model {number}"
            for score in (80, 75, 70):
                result[f"pb{score}"] = {"value": 1 + (number + at) % 30, "low": 1.0, "high": 31.0}
        (folder / f"{number}.json").write_text(json.dumps(made))


def parse(made: Any) -> Any:
    return board.parse_entry(json.dumps(made).encode())


def test_the_entries_that_ship_are_valid_and_ranked() -> None:
    found = board.read_entries(SPACE / "entries")
    assert found.refused == []
    lines = board.lines_of(found.entries)
    assert {line.result.model for line in lines} == {"reference", "ideal:reference"}
    for score in board.PB_SCORES:
        values = [line.reached(score).value or 0 for _, line in board.ranked(lines, score)]
        assert values == sorted(values, reverse=True)


def test_the_entry_that_ships_is_the_default_run_on_the_data_of_now() -> None:
    import hub_dataset
    from benchmark.protocol.grids import read_grid
    from benchmark.protocol.tasks import Catalogue

    grid = read_grid("quick", Catalogue())
    assert SHIPPED["questions"] == grid.samples
    assert {result["samples"] for result in SHIPPED["results"]} == {grid.samples * len(SHIPPED["tasks"])}
    task = "puzzle_latin_square_n4"
    assert SHIPPED["tasks"][task] == hub_dataset.checksum(Catalogue()[task].load(grid.samples))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"1", b"[" * 100_000, b'{"schema": NaN}'])
def test_broken_json_is_told(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|expected an object|this page reads") as error:
        board.parse_entry(content)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("schema", [2, 0, "1", None, True])
def test_another_schema_is_told(schema: Any) -> None:
    with pytest.raises(ValueError, match="this page reads schema 1"):
        parse({**entry(), "schema": schema})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("id",), "../../etc/passwd"),
        (("results",), []),
        (("results", 0, "model"), "x" * 201),
        (("results", 0, "pb80", "value"), "4"),
        (("results", 0, "pb80", "value"), -1.0),
        (("results", 0, "pb80", "low"), 1e9),
        (("results", 0, "pb80", "value"), 1e9),
        (("results", 0, "points", 0, "headline"), 101.0),
        (("results", 0, "points", 0, "headline"), float("nan")),
        (("results", 0, "points", 0, "tokens_per_step"), float("inf")),
    ],
)
def test_a_wrong_value_is_refused(path: tuple[Any, ...], value: Any) -> None:
    made = entry()
    at = made
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    with pytest.raises(ValueError, match=r"results|id"):
        parse(made)


@settings(max_examples=40, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda part: st.lists(part) | st.dictionaries(
    st.sampled_from(["schema", "results", "id", "tasks", "seeds"]) | st.text(), part)))  # fmt: skip
def test_whatever_json_is_an_entry_or_a_value_error(content: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse({"schema": 1, **content} if isinstance(content, dict) else content)


def test_what_is_too_large_is_not_read() -> None:
    with pytest.raises(ValueError, match="an entry has"):
        board.parse_entry(b" " * 1_000_001)


def test_refused_entries_are_shown_and_never_ranked(tmp_path: Path) -> None:
    for name, made in (("a", entry(1)), ("b", entry(1)), ("c", {**entry(2), "schema": 9})):
        (tmp_path / f"{name}.json").write_text(json.dumps(made))
    (tmp_path / "d.json").write_text("{")
    (tmp_path / "e.json").mkdir()
    found = board.read_entries(tmp_path)
    assert [one.id for one in found.entries] == [f"{1:016x}"]
    assert [one.name for one in found.refused] == ["b.json", "c.json", "d.json", "e.json"]
    assert {line.entry.id for line in board.lines_of(found.entries)} == {f"{1:016x}"}


def test_ranks_are_shared_and_what_is_never_reached_has_none() -> None:
    entries = [
        parse(entry(number, **reached))
        for number, reached in enumerate(
            [
                {"value": 2.0, "low": 1.0, "high": 3.0},
                {"value": 4.0, "low": 1.0, "high": 4.0},
                {"value": 4.0, "low": 2.0, "high": 4.0},
                {"value": None},
            ]
        )
    ]
    lines = board.lines_of(entries)
    found = board.ranked(lines, 80)
    assert [rank for rank, _ in found] == [1, 1, 3, None]
    assert board.ranked(lines, 80, model="no such") == []
    assert len(board.ranked(lines, 80, group=lines[0].group)) == 4
    with pytest.raises(ValueError, match="there is no PB60"):
        board.ranked(lines, 60)


def test_other_questions_are_another_group() -> None:
    other = entry(1)
    other["tasks"] = dict.fromkeys(other["tasks"], "0" * 64)
    lines = board.lines_of([parse(entry(0)), parse(other)])
    assert len({line.group for line in lines}) == len({line.group for line in board.lines_of([parse(entry(0))])}) * 2


def test_a_file_that_is_too_large_is_not_even_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.json").open("wb") as file:
        # With a hole, so that it takes no room on the disk; its bytes would take all memory.
        file.truncate(1 << 40)
    (refused,) = board.read_entries(tmp_path).refused
    assert "an entry has 1000000 at most" in refused.reason


@pytest.mark.slow
def test_ten_thousand_entries_are_read_and_ranked(tmp_path: Path) -> None:
    write_entries(tmp_path, 10_000)
    began = time.process_time()
    found = board.read_entries(tmp_path)
    lines = board.lines_of(found.entries)
    read = time.process_time()
    ranks = board.ranked(lines, 80)
    assert len(ranks) == 10_000 * len(SHIPPED["results"])
    assert (ranks[0][0], ranks[0][1].reached(80).value) == (1, 30)
    print(
        f"10,000 entries: {read - began:.1f} s to read, {time.process_time() - read:.1f} s to rank {len(ranks)} lines"
    )
