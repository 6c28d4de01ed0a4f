"""The rows that a run asks about: which tasks a pattern names, and which rows are taken."""

import pytest

import hub_dataset
from benchmark.protocol.questions import load_rows, resolve_tasks


def test_no_pattern_means_the_default_suite() -> None:
    assert resolve_tasks([]) == hub_dataset.default_task_names()
    assert len(resolve_tasks([])) == 12


def test_every_config_can_be_named() -> None:
    for name in hub_dataset.config_names():
        assert resolve_tasks([name]) == [name]


@pytest.mark.parametrize("alias", ["waiting_line/copy", "waiting-line-copy", "waiting_line/copy*"])
def test_slashes_and_dashes_are_underscores(alias: str) -> None:
    assert resolve_tasks([alias]) == ["waiting_line_copy"]


def test_a_pattern_names_all_that_fit_in_the_order_of_the_configs() -> None:
    found = resolve_tasks(["puzzle_*"])
    assert found == [name for name in hub_dataset.config_names() if name.startswith("puzzle_")]
    assert len(found) >= 2
    assert resolve_tasks(["*"]) == hub_dataset.config_names()


def test_a_group_names_its_tasks() -> None:
    assert resolve_tasks(["puzzle", "waiting-line"]) == [*resolve_tasks(["puzzle_*"]), *resolve_tasks([])[:10]]
    groups = hub_dataset.task_groups()
    assert [name for group in groups.values() for name in group] == hub_dataset.config_names()


def test_tasks_keep_the_order_of_the_patterns_and_stand_there_once() -> None:
    patterns = ["waiting_line_sort", "waiting_line_*", "waiting_line/sort"]
    found = resolve_tasks(patterns)
    assert found[0] == "waiting_line_sort"
    assert sorted(found) == sorted(set(resolve_tasks(["waiting_line_*"])))
    assert len(found) == len(set(found))


@pytest.mark.parametrize("pattern", ["", "nothing", "Waiting_Line_Copy", "waiting_line_copy2*", "waiting line copy"])
def test_a_pattern_that_fits_nothing_is_named(pattern: str) -> None:
    with pytest.raises(ValueError, match="unknown task") as error:
        resolve_tasks(["waiting_line_copy", pattern])
    assert repr(pattern) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_misspelt_task_gets_a_suggestion() -> None:
    with pytest.raises(ValueError, match=r"did you mean .*\bwaiting_line_copy\b"):
        resolve_tasks(["waiting_line_cpy"])


def test_samples_are_the_first_rows_of_the_test_split() -> None:
    rows = hub_dataset.build_rows("waiting_line_copy", "test")
    assert load_rows("waiting_line_copy", None) == rows
    assert load_rows("waiting_line_copy", 5) == rows[:5]


def test_more_samples_than_there_are_rows_means_all() -> None:
    rows = load_rows("puzzle_sudoku_n4_12", None)
    assert len(rows) == 108
    assert load_rows("puzzle_sudoku_n4_12", 1_000_000) == rows
