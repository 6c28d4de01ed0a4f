"""The plane of tokens per second: every kind of model has a place in it, where several were timed."""

from itertools import product
from math import isnan
from pathlib import Path

import pytest
from baseline_run import AUTOREGRESSIVE, CONFIDENCE, DIFFUSION, LARGE, SERVICE, SMALL, SPEEDS, TASKS, write_baseline_run
from example_run import default_methods, write_run
from matplotlib.figure import Figure

from benchmark.analysis.summary import summarise
from benchmark.report.plots import write_plots
from benchmark.report.speed_plot import SHARED_SECONDS, SPEED_PLOT, draw_speeds, timed_curves


def test_every_model_has_its_points_with_means_over_the_tasks(tmp_path: Path) -> None:
    found = timed_curves(summarise(write_baseline_run(tmp_path)))
    speeds: dict[str, list[float]] = {}
    for model, _, points in found:
        speeds.setdefault(model, []).extend(speed for speed, _ in points)
    assert speeds == {model: pytest.approx(wanted) for model, wanted in SPEEDS.items()}
    assert [len(points) for model, _, points in found if model == DIFFUSION] == [2, 2]


def test_it_is_drawn_the_same_bytes_every_time(tmp_path: Path) -> None:
    summary = summarise(write_baseline_run(tmp_path))
    assert SPEED_PLOT in {path.name for path in write_plots(summary, tmp_path)}
    first = (tmp_path / "plots" / SPEED_PLOT).read_bytes()
    write_plots(summary, tmp_path)
    assert (tmp_path / "plots" / SPEED_PLOT).read_bytes() == first
    assert len(first) > 5000


@pytest.mark.parametrize("shared", [False, True])
def test_seconds_that_settings_shared_are_said_to_be_shares(shared: bool, tmp_path: Path) -> None:
    store = write_baseline_run(tmp_path)
    for task, method in product(TASKS, CONFIDENCE):
        rows = [{**row, "shared": shared} for row in store.read_samples(DIFFUSION, task, method)]
        store.write_samples(DIFFUSION, task, method, rows)
    summary, figure = summarise(store), Figure()
    draw_speeds(figure, summary, timed_curves(summary))
    assert (SHARED_SECONDS in figure.axes[0].get_xlabel()) is shared


def test_what_was_timed_alone_is_compared_with_nothing(tmp_path: Path) -> None:
    store = write_baseline_run(tmp_path)
    write_plots(summarise(store), tmp_path)
    served = next(method for method in summarise(store).methods if method.name == "served")
    for task in TASKS:
        store.samples_path(SERVICE, task, served).unlink()
    for model in (SMALL, LARGE):
        for task in TASKS:
            store.samples_path(model, task, AUTOREGRESSIVE).unlink()
    summary = summarise(store)
    assert timed_curves(summary) == []
    written = {path.name for path in write_plots(summary, tmp_path)}
    assert SPEED_PLOT not in written
    assert not (tmp_path / "plots" / SPEED_PLOT).exists(), "that of an earlier report is removed"


def test_a_service_is_on_this_plane_and_not_on_that_of_tokens_per_step(tmp_path: Path) -> None:
    summary = summarise(write_baseline_run(tmp_path))
    assert any(model == SERVICE for model, _, _ in timed_curves(summary))
    served = next(method for method in summary.methods if method.name == "served")
    assert isnan(summary.means[SERVICE, served].tokens_per_step)
    assert summary.tokens_per_step_at[SERVICE, "served"] == {80: None, 75: None, 70: None}


def test_a_run_without_services_has_the_plots_that_it_had(tmp_path: Path) -> None:
    store = write_run(tmp_path, default_methods()[:2], ["waiting_line_copy"], samples=4)
    assert SPEED_PLOT not in {path.name for path in write_plots(summarise(store), tmp_path)}
