"""The tables as plain text: nothing cut off, nothing left out, at the widths in which people read them."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from example_run import TASKS, default_methods, method, run_settings, sample_rows, write_run
from rich.console import Console

from benchmark.analysis.summary import summarise
from benchmark.report.tables import (
    comparison_tables,
    mean_tables,
    missing_line,
    notes,
    task_statistics_tables,
    task_tables,
    text_tables,
)


def text(tables: list, width: int = 100) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width)
    for table in tables:
        console.print(table)
    return file.getvalue()


@pytest.fixture(scope="module")
def default_summary(tmp_path_factory):
    store = write_run(tmp_path_factory.mktemp("run"), default_methods(), TASKS, samples=4)
    return summarise(store)


def everything(summary) -> list:
    return [*task_tables(summary), *comparison_tables(summary), *task_statistics_tables(summary), *mean_tables(summary)]


@pytest.mark.parametrize("width", [80, 100, 200])
def test_a_default_run_fits_and_loses_nothing(default_summary, width: int) -> None:
    shown = text(everything(default_summary), width)
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    assert "\x1b" not in shown, "no colours in a file"
    tables = text(task_tables(default_summary), width)
    for each in default_summary.methods:
        assert tables.count(f" {each} ") == len(TASKS)
    for task in TASKS:
        assert re.search(rf"^ ?{task} *$", tables, re.MULTILINE)


def test_rows_stand_in_the_order_of_the_settings(default_summary) -> None:
    lines = [line.strip().split("  ")[0] for line in text(task_tables(default_summary)).splitlines()]
    start = lines.index(TASKS[1])
    assert lines[start + 1 : start + 54] == list(map(str, default_summary.methods))
    assert [line for line in lines if line in TASKS] == TASKS


def test_a_row_has_score_interval_strict_speed_passes_and_count(tmp_path: Path) -> None:
    summary = summarise(write_run(tmp_path, [method("random", "k", 4)], ["copy"]))
    assert re.search(
        r"random\(k=4\) +100\.0 +\[100\.0, 100\.0\] +100\.0 +4\.00 +8\.0 +20 *\n", text(task_tables(summary))
    )


def text_run(directory: Path, *versions: str):
    """A run of a task of text and one of lists, whose settings were judged by these versions of a checker."""
    entries = [method("random", "k", 2**place) for place in range(len(versions))]
    store = write_run(directory, entries, ["copy", "text_writing_summarize"])
    for entry, version in zip(entries, versions, strict=True):
        rows = sample_rows("text_writing_summarize", [1.0, 0.0], strict=False)
        for row in rows:
            row["scores"] |= {"grammar": row["scores"]["score"], "rouge_l": 0.25, "parses": 1.0, "score": 0.125}
        store.write_samples("ideal", "text_writing_summarize", entry, rows, {"grammar": f"Checker {version}"})
    return summarise(store)


@pytest.mark.parametrize("width", [80, 200])
def test_scores_of_text_have_a_table_with_a_column_for_each(tmp_path: Path, width: int) -> None:
    shown = text(text_tables(text_run(tmp_path, "1", "1")), width)
    assert max(map(len, shown.splitlines())) <= width
    assert re.search(r"random\(k=1\) +12\.5 +50\.0 +100\.0 +25\.0 *\n", shown)
    assert "copy" not in shown
    assert "BLEU" not in shown.replace("of BLEU", "")


def test_what_text_is_judged_by_is_said_and_whether_it_changed(tmp_path: Path) -> None:
    same, changed = text_run(tmp_path / "same", "1", "1"), text_run(tmp_path / "changed", "1", "2")
    assert "grammar: Checker 1" in notes(same)
    assert not [line for line in notes(same) if "cannot be compared" in line]
    assert "grammar: Checker 1; Checker 2" in notes(changed)
    assert "Not all methods have grammar from the same source: these numbers cannot be compared." in notes(changed)
    assert "the grammar of text" in " ".join(text(task_tables(same)).split())


def test_lists_have_no_table_of_text(default_summary) -> None:
    assert text_tables(default_summary) == []
    assert "grammar" not in text(task_tables(default_summary))


def test_several_models_stand_side_by_side_where_two_of_them_have_a_score(tmp_path: Path) -> None:
    settings = [method("random", "k", 4), method("random", "k", 8), method("threshold", "threshold", 0.9)]
    store = write_run(tmp_path, settings, ["copy", "sort"], ("ideal", "org/one", "org/two"))
    store.samples_path("org/one", "copy", method("random", "k", 4)).unlink()
    for model in ("org/one", "org/two"):
        store.samples_path(model, "sort", method("random", "k", 8)).unlink()
    summary = summarise(store)
    shown = text(comparison_tables(summary))
    assert re.search(r"task, method +ideal +org/one +org/two", shown)
    assert re.search(r"  random\(k=4\) +100\.0 +\? +100\.0", shown)
    assert shown.count("random(k=8)") == 1, "of sort the ideal model alone has it"
    speeds = [summary.points[model, "sort", settings[2]].tokens_per_step for model in summary.models]
    for speed in speeds:
        assert f"@{speed:5.2f}" in shown


def test_a_single_model_is_compared_with_nothing(default_summary) -> None:
    assert comparison_tables(default_summary) == []


def test_long_and_bracketed_names_are_shown_whole(tmp_path: Path) -> None:
    long = method("a_method_" + "x" * 60, "k", 4, note="[bold]y[/bold] [/] \\")
    task, model = "[red]task[/red]", "org/model[0]\\"
    summary = summarise(write_run(tmp_path, [long], [task], (model,)))
    shown = text(task_tables(summary), 80)
    joined = re.sub(r"[\s\d.,\[\]-]", "", shown)
    for name in (task, model, str(long)):
        assert re.sub(r"[\s\d.,\[\]-]", "", name) in joined


def test_every_method_has_a_row_with_its_scores(default_summary) -> None:
    by_k, by_threshold, by_factor = (text([table]) for table in mean_tables(default_summary))
    assert re.search(r"method +PB80 +PB75 +PB70 +k=1 +k=2 +k=4 +k=8 +k=16 +k=32", by_k)
    assert len(re.findall(r"^ \w+ +(?:\d+\.\d+|-) ", by_k, re.MULTILINE)) == 7
    assert re.search(r"PB70 +0\.5 +0\.6 +0\.7 +0\.8 +0\.9 +1\.0", by_threshold)
    assert re.search(r"PB70 +0\.7 +1\.0 +1\.3 +1\.6 +1\.9", by_factor)
    assert re.search(r"tokens/step +\d+\.\d\d ", by_threshold)
    for table, curve in ((by_threshold, "threshold"), (by_k, "rcr")):
        for speed in default_summary.tokens_per_step_at["ideal", curve].values():
            assert ("-" if speed is None else f"{speed:.2f}") in table
    ends = default_summary.pb_intervals["ideal", "threshold", "tokens_per_step"]
    spans = [f"{low or 0:.1f}–{high:.1f}" for low, high in ends.values()]
    assert re.search(" +".join(["interval", *map(re.escape, spans)]), by_threshold)


def test_many_settings_go_into_several_tables(tmp_path: Path) -> None:
    settings = [method("threshold", "threshold", value / 20) for value in range(1, 20)]
    shown = text(mean_tables(summarise(write_run(tmp_path, settings, ["copy"], samples=2))))
    assert "…" not in shown
    for value in range(1, 20):
        assert f" {value / 20}" in shown


def test_settings_that_a_method_does_not_have_are_dashes(tmp_path: Path) -> None:
    schedulers = [method("random", "k", 1), method("margin", "k", 2)]
    shown = text(mean_tables(summarise(write_run(tmp_path, schedulers, ["copy"]))))
    assert re.search(r"random .* 100\.0 +- *\n", shown)
    assert re.search(r"margin .* - +100\.0 *\n", shown)


def test_every_model_has_its_section(tmp_path: Path) -> None:
    summary = summarise(write_run(tmp_path, [method("random", "k", 1)], ["copy"], ("ideal", "org/other")))
    for tables in (task_tables(summary), task_statistics_tables(summary), mean_tables(summary)):
        shown = text(tables)
        assert shown.index("ideal") < shown.index("org/other")


def test_a_model_without_samples_has_no_table(tmp_path: Path) -> None:
    store = write_run(tmp_path, [method("random", "k", 1)], ["copy"])
    store.write_settings(run_settings([method("random", "k", 1)], ["copy"], ["ideal", "other"]))
    summary = summarise(store)
    assert len(task_tables(summary)) == 1
    assert missing_line(summary) == "1 of 2 settings missing: the run is not finished."
    assert "?" in text(mean_tables(summary))


def test_nothing_on_disk_gives_no_table_but_the_line(tmp_path: Path) -> None:
    store = write_run(tmp_path, [method("random", "k", 1)], ["copy"])
    store.samples_path("ideal", "copy", method("random", "k", 1)).unlink()
    summary = summarise(store)
    assert everything(summary) == []
    assert notes(summary) == []
    assert missing_line(summary) == "1 of 1 setting missing: the run is not finished."


def test_a_finished_run_has_no_line_about_missing_settings(default_summary) -> None:
    assert missing_line(default_summary) is None
    lines = notes(default_summary)
    assert len(lines) == 2
    assert lines[0].startswith("Oracle (threshold")


def test_orders_that_settings_share_are_said_where_a_model_is_greedy(tmp_path: Path) -> None:
    summary = summarise(write_run(tmp_path, [method("random", "k", k) for k in (1, 2)], ["copy"]))
    greedy = replace(summary, models=["org/model"])
    shared = "one order for each seed, question and block"
    assert [line for line in notes(greedy) if shared in line]
    for other in (
        summary,
        replace(greedy, methods=summary.methods[:1]),
        replace(greedy, settings={**summary.settings, "temperature": 0.5}),
    ):
        assert not [line for line in notes(other) if shared in line]
    assert [line for line in notes(replace(summary, settings={**summary.settings, "temperature": 0})) if shared in line]


def test_order_preference_has_a_table_where_it_was_measured(tmp_path: Path) -> None:
    schedulers = [method("confidence", "k", 2, length) for length in (2, 8)]
    tables = task_statistics_tables(summarise(write_run(tmp_path, schedulers, ["copy"])))
    assert [str(table.title).split(":")[0] for table in tables] == ["Parallelizability", "Order preference"]


def test_settings_that_only_some_tasks_have_are_no_column_of_the_mean(tmp_path: Path) -> None:
    short, long = (method("random", "k", k) for k in (1, 64))
    summary = summarise(write_run(tmp_path, {"copy": [short], "sudoku": [short, long]}, ["copy", "sudoku"]))
    assert missing_line(summary) is None
    assert "k=64" not in text(mean_tables(summary))
    assert text(task_tables(summary)).count("random(k=64)") == 1
    store = write_run(tmp_path / "only", {"copy": [short], "sudoku": [long]}, ["copy", "sudoku"])
    assert text(mean_tables(summarise(store))) == ""
