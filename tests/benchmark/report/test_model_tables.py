"""The table of models: one line each, the best of a task marked, intervals, means and speeds."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from baseline_run import CONFIDENCE, DIFFUSION, LARGE, SERVICE, SMALL, TASKS, write_baseline_run
from example_run import default_methods, write_run
from rich.console import Console

from benchmark.analysis.summary import Summary, summarise
from benchmark.report.model_tables import chosen_rows, model_tables
from benchmark.report.tables import mean_tables
from benchmark.report.writing import write_report


def text(tables: list, width: int = 100, **console: object) -> str:
    file = io.StringIO()
    screen = Console(file=file, width=width, **console)  # type: ignore[arg-type]
    for table in tables:
        screen.print(table)
    return file.getvalue()


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summarise(write_baseline_run(tmp_path_factory.mktemp("run")))


def test_every_model_and_setting_has_a_line_with_headline_and_interval(summary: Summary) -> None:
    by_task, _ = model_tables(summary)
    shown = text([by_task])
    for model in (DIFFUSION, SMALL, LARGE, SERVICE):
        assert shown.count(f"{model} ") == 1
    assert shown.count("autoregressive()") == 2
    lines = shown.splitlines()
    (served,) = (number for number, line in enumerate(lines) if "served()" in line)
    assert re.findall(r"[\d.]+\*?", lines[served].replace("served()", "")) == ["100.0*", "60.0*"]
    assert "[100, 100]" in lines[served + 1]
    point = summary.points[SERVICE, TASKS[1], next(m for m in summary.methods if m.name == "served")]
    assert f"[{point.low:.0f}, {point.high:.0f}]" in lines[served + 1]


def test_the_best_of_a_task_is_bold_and_starred_all_that_are_equal(summary: Summary) -> None:
    shown = text(model_tables(summary)[:1])
    assert shown.count("*") == 3 + shown.count("* the best")
    assert shown.count("60.0*") == 2
    in_a_terminal = text(model_tables(summary)[:1], force_terminal=True, color_system="standard")
    assert re.search(r"\x1b\[1m *100\.0\*", in_a_terminal)


def test_where_nothing_is_right_nobody_is_the_best(summary: Summary) -> None:
    points = {key: replace(point, headline=0.0) for key, point in summary.points.items()}
    shown = text(model_tables(replace(summary, points=points))[:1])
    assert "0.0 " in shown
    assert shown.count("*") == shown.count("* the best")


def test_means_have_the_speeds_that_are_known(summary: Summary) -> None:
    shown = text(model_tables(summary)[1:])
    lines = {line.split("  ")[0].strip() or line.strip(): line for line in shown.splitlines()}
    rows = [line.split() for line in shown.splitlines()]
    served = next(row for row in rows if row[:1] == ["served()"])
    assert served == ["served()", "80.0*", "-", "120.0", "0.25"]
    large = [row for row in rows if row[:1] == ["autoregressive()"]]
    assert [row[1:] for row in large] == [["50.0", "1.00", "40.0", "-"], ["75.0", "1.00", "25.0", "-"]]
    assert any("cache=dual" in name for name in lines)


def test_of_a_model_with_many_methods_the_best_has_a_line(tmp_path: Path) -> None:
    summary = summarise(write_baseline_run(tmp_path))
    more = [*summary.methods]
    assert [method for model, method in chosen_rows(summary) if model == DIFFUSION] == CONFIDENCE
    for place in range(5):
        extra = CONFIDENCE[0].of("confidence", {"k": 4 + place})
        more.append(extra)
        for task in TASKS:
            summary.points[DIFFUSION, task, extra] = summary.points[DIFFUSION, task, CONFIDENCE[1]]
    summary.methods[:] = more
    assert [method for model, method in chosen_rows(summary) if model == DIFFUSION] == CONFIDENCE[:1]


def test_models_that_all_have_schedulers_have_their_own_table(tmp_path: Path) -> None:
    store = write_run(tmp_path, default_methods()[:2], TASKS, models=("one", "two"), samples=4)
    assert model_tables(summarise(store)) == []


def test_what_is_missing_is_marked(tmp_path: Path) -> None:
    store = write_baseline_run(tmp_path)
    served = next(method for method in summarise(store).methods if method.name == "served")
    store.samples_path(SERVICE, TASKS[0], served).unlink()
    shown = text(model_tables(summarise(store)))
    assert "?" in next(line for line in shown.splitlines() if "served()" in line)


def test_a_model_without_a_curve_of_a_kind_has_no_empty_head(summary: Summary) -> None:
    by_k = next(table for table in mean_tables(summary) if "by k" in str(table.title))
    assert SERVICE not in text([by_k])
    assert DIFFUSION in text([by_k])


@pytest.mark.parametrize("width", [80, 100])
def test_nothing_is_cut_off(summary: Summary, width: int) -> None:
    shown = text(model_tables(summary), width)
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown


def test_the_report_has_them_and_its_files_say_what_is_not_known(tmp_path: Path) -> None:
    report = write_report(write_baseline_run(tmp_path).directory)
    assert any("Models by tasks" in str(getattr(part, "title", "")) for part in report.renderables())
    lines = (tmp_path / "summary.csv").read_text().splitlines()
    (row,) = (line.split(",") for line in lines if line.startswith(SERVICE) and TASKS[0] in line)
    named = dict(zip(lines[0].split(","), row, strict=True))
    assert (named["tokens_per_step"], named["num_forward_passes"]) == ("", "")
    assert (float(named["tokens_per_second"]), float(named["seconds_to_first_token"])) == (120.0, 0.25)
