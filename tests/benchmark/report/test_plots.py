"""The plots: which files, the same bytes every time, and what is drawn in them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
from example_run import method, write_run
from support import slow_except

from benchmark.analysis.summary import summarise
from benchmark.report.plots import plot_path, write_plots
from benchmark.report.published import published_curves, published_means

SMALL = [
    *(method("random", "k", k) for k in (1, 4, 32)),
    *(method("threshold", "threshold", value) for value in (0.5, 1.0)),
]


def is_png(path: Path) -> bool:
    content = path.read_bytes()
    return content.startswith(b"\x89PNG\r\n\x1a\n") and content.endswith(b"IEND\xaeB`\x82")


@pytest.fixture
def drawn_axes(monkeypatch):
    """Every figure's axes as they are when it is saved: file by file the texts, the lines and the limits."""
    from matplotlib.figure import Figure

    figures: list[dict] = []
    save = Figure.savefig

    def record(self, *args, **kwargs):
        figures.append(
            {
                "heights": [axes.get_ylabel() for axes in self.axes],
                "counts": [axes.get_xlabel() for axes in self.axes] + [self.get_supxlabel()],
                "captions": [said for text in self.texts if "published" in (said := text.get_text())],
                "titles": [axes.get_title(loc="left") for axes in self.axes],
                "lines": [line for axes in self.axes for line in axes.get_lines()],
                "texts": [text.get_text() for axes in self.axes for text in axes.texts],
                "legend": [text.get_text() for legend in self.legends for text in legend.get_texts()],
                "legend_edges": [
                    legend.get_window_extent(self.canvas.get_renderer()).x1 / self.bbox.x1 for legend in self.legends
                ],
                "legend_bottoms": [legend.get_window_extent(self.canvas.get_renderer()).y0 for legend in self.legends],
                "ticks": [tick.get_text() for tick in self.axes[0].get_xticklabels()],
            }
        )
        return save(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", record)
    return figures


def test_each_task_the_mean_and_the_overview_are_written(tmp_path: Path) -> None:
    store = write_run(tmp_path, SMALL, ["copy", "sort"])
    written = write_plots(summarise(store), tmp_path)
    assert [path.name for path in written] == ["copy.png", "sort.png", "mean.png", "mean.passes.png", "overview.png"]
    assert sorted((tmp_path / "plots").iterdir()) == sorted(written), "no temporary file is left"
    assert all(map(is_png, written))


def test_the_same_summary_gives_the_same_bytes_under_any_configuration(tmp_path: Path) -> None:
    summary = summarise(write_run(tmp_path, SMALL, ["copy"]))
    first = [path.read_bytes() for path in write_plots(summary, tmp_path / "a")]
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.dpi": 300}):
        second = [path.read_bytes() for path in write_plots(summary, tmp_path / "b")]
        assert mpl.rcParams["font.size"] == 20, "the caller's configuration is given back"
    assert first == second
    assert not any(b"Software" in content or b"tIME" in content for content in first)


def test_a_curve_has_the_points_of_its_methods(tmp_path: Path, drawn_axes) -> None:
    store = write_run(tmp_path, SMALL, ["copy", "sort"])
    summary = summarise(store)
    write_plots(summary, tmp_path)
    line = drawn_axes[1]["lines"][0]
    points = [summary.points["ideal", "sort", method("random", "k", k)] for k in (1, 4, 32)]
    assert list(line.get_xdata()) == [point.tokens_per_step for point in points]
    assert list(line.get_ydata()) == [point.headline for point in points]
    assert drawn_axes[1]["titles"] == ["sort"]
    assert drawn_axes[1]["legend"] == ["random", "threshold"]
    assert drawn_axes[1]["ticks"] == ["1", "2", "4", "8", "16", "32"]
    assert drawn_axes[1]["texts"] == ["1.0", "0.5"], "the ends of the adaptive curve, slow and fast"
    assert drawn_axes[4]["titles"] == ["copy", "sort"]


def test_the_axis_names_what_is_drawn(tmp_path: Path, drawn_axes) -> None:
    store = write_run(tmp_path, SMALL, ["copy", "text_writing_summarize"])
    for entry in SMALL:
        rows = store.read_samples("ideal", "text_writing_summarize", entry)
        for row in rows:
            row["scores"]["grammar"] = row["scores"]["headline"]
        store.write_samples("ideal", "text_writing_summarize", entry, rows)
    write_plots(summarise(store), tmp_path)
    assert [figure["heights"] for figure in drawn_axes[:3]] == [["headline (%)"], ["grammar (%)"], ["headline (%)"]]


def test_the_axis_says_what_it_counts_and_has_it(tmp_path: Path, drawn_axes) -> None:
    store = write_run(tmp_path, SMALL, ["copy", "sort"])
    for task in ("copy", "sort"):
        for entry in SMALL:
            rows = store.read_samples("ideal", task, entry)
            store.write_samples("ideal", task, entry, [{**row, "num_answer_tokens": 12} for row in rows])
    summary = summarise(store)
    written = [path.name for path in write_plots(summary, tmp_path)]
    for file, says, count in (
        ("mean.png", "tokens per step, padding included", "tokens_per_step"),
        ("mean.content.png", "content tokens per step, padding left out", "content_tokens_per_step"),
        ("mean.passes.png", "forward passes", "num_forward_passes"),
    ):
        figure = drawn_axes[written.index(file)]
        assert figure["counts"][0].startswith(says)
        wanted = [getattr(summary.means["ideal", method("random", "k", k)], count) for k in (1, 4, 32)]
        assert list(figure["lines"][0].get_xdata()) == sorted(wanted)
        marks = {(line.get_xdata()[0], line.get_ydata()[0]) for line in figure["lines"] if line.get_marker() == "|"}
        reached = [at for (_, _, of), at in summary.largest_at.items() if of == count]
        assert marks == {(speed, score) for at in reached for score, speed in at.items() if speed is not None}
        assert bool(marks) == (count != "num_forward_passes")
    assert drawn_axes[written.index("overview.png")]["counts"][-1].startswith("tokens per step, padding included")


def test_published_curves_stand_behind_with_their_source(tmp_path: Path, drawn_axes) -> None:
    tasks = ["waiting_line_copy", "waiting_line_sort"]
    summary = summarise(write_run(tmp_path, SMALL, tasks))
    names = [path.name for path in write_plots(summary, tmp_path)]
    assert not any(figure["captions"] for figure in drawn_axes)
    drawn_axes.clear()
    assert [path.name for path in write_plots(summary, tmp_path, published=True)] == names
    for file, curves in (
        ("waiting_line_sort.png", published_curves(tasks[1:], ["random", "threshold"])),
        ("mean.png", published_means(tasks, ["random", "threshold"])),
    ):
        figure = drawn_axes[names.index(file)]
        grey = [line for line in figure["lines"] if line.get_color() == "#A6A6A6"]
        assert {tuple(map(tuple, line.get_xydata().tolist())) for line in grey} == {curve.points for curve in curves}
        assert max(line.get_zorder() for line in grey) < 3, "behind what was measured"
        (caption,) = figure["captions"]
        assert re.search(r"arXiv 2510\.04767.*± 0\.5 points.*data of 2025", caption)
        models = dict.fromkeys(curve.model for curve in curves)
        assert [name.replace("\n", " ") for name in figure["legend"][2:]] == [f"published: {name}" for name in models]
        assert max(figure["legend_edges"]) <= 1
    # They have tokens per step alone, and other scales than forward passes.
    assert not drawn_axes[names.index("mean.passes.png")]["captions"]


def test_what_was_never_published_has_nothing_behind_it(tmp_path: Path, drawn_axes) -> None:
    write_plots(summarise(write_run(tmp_path, SMALL, ["mine"])), tmp_path, published=True)
    assert not any(figure["captions"] for figure in drawn_axes)


def test_the_mean_marks_where_each_method_reaches_the_scores(tmp_path: Path, drawn_axes) -> None:
    summary = summarise(write_run(tmp_path, SMALL, ["copy", "sort"]))
    write_plots(summary, tmp_path)
    mean = drawn_axes[2]
    marks = {(line.get_xdata()[0], line.get_ydata()[0]) for line in mean["lines"] if line.get_marker() == "|"}
    speeds = summary.tokens_per_step_at
    assert marks == {(speed, score) for at in speeds.values() for score, speed in at.items() if speed is not None}
    assert {"PB80", "PB75", "PB70"} <= set(mean["texts"])
    assert mean["legend"][0].startswith("random\n")


def test_models_differ_by_line_style_and_methods_by_colour(tmp_path: Path, drawn_axes) -> None:
    summary = summarise(write_run(tmp_path, SMALL, ["copy"], ("ideal", "org/other")))
    write_plots(summary, tmp_path)
    curves = [line for line in drawn_axes[0]["lines"] if len(line.get_xdata()) > 1]
    assert len({(line.get_color(), line.get_linestyle()) for line in curves}) == 4
    assert len({line.get_color() for line in curves}) == 2
    assert drawn_axes[0]["legend"] == ["random", "threshold", "ideal", "org/other"]


def test_eight_models_with_long_names_are_told_apart_and_none_is_cut(tmp_path: Path, drawn_axes) -> None:
    names = tuple(f"ideal:laboratory/Masked-Diffusion-{number}B-Instruct" for number in range(8))
    write_plots(summarise(write_run(tmp_path, SMALL, ["copy"], names)), tmp_path)
    curves = [line for line in drawn_axes[0]["lines"] if len(line.get_xdata()) > 1]
    assert len({(line.get_color(), str(line._dash_pattern)) for line in curves}) == 16
    assert max(edge for figure in drawn_axes for edge in figure["legend_edges"]) <= 1


def test_tasks_called_like_a_plot_of_ours_do_not_overwrite_it() -> None:
    assert len({plot_path("mean"), plot_path("overview"), "mean.png", "overview.png"}) == 4
    assert plot_path("a/b") == "a--b.png"


def test_strange_names_are_drawn_as_they_are(tmp_path: Path) -> None:
    settings = [method("random", "k", 1, note="$x^" + "_" * 70), method("threshold", "threshold", 0.5)]
    store = write_run(tmp_path, settings, ["mean", "$\\frac{$"], ("_model", "$m$"))
    assert all(map(is_png, write_plots(summarise(store), tmp_path)))


def test_one_setting_is_a_plot_and_none_is_none(tmp_path: Path) -> None:
    store = write_run(tmp_path, [method("random", "k", 1)], ["copy", "sort"])
    store.samples_path("ideal", "sort", "random(k=1)").unlink()
    assert [path.name for path in write_plots(summarise(store), tmp_path)] == ["copy.png", "overview.png"]
    store.samples_path("ideal", "copy", "random(k=1)").unlink()
    (tmp_path / "plots" / "mine.png").touch()
    assert write_plots(summarise(store), tmp_path) == []
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["mine.png"], (
        "what was drawn before is out of date"
    )


@pytest.mark.parametrize(
    "variable",
    slow_except(
        ["module://a.backend_inline", "rc"],
        ["module://matplotlib_inline.backend_inline", "module://a.backend_inline", "nonsense", "tkagg", "rc", "bytes"],
    ),
)
def test_no_setting_of_the_users_decides_whether_and_what_is_drawn(variable: str, tmp_path: Path) -> None:
    store = write_run(tmp_path / "run", [method("random", "k", 1)], ["copy"])
    (drawn,) = (path for path in write_plots(summarise(store), tmp_path / "here") if path.name == "copy.png")
    environment = {**os.environ, "MPLBACKEND": variable}
    if variable in ("rc", "bytes"):
        del environment["MPLBACKEND"]
        (tmp_path / "matplotlibrc").write_bytes(
            b"backend: nonsense\ntext.usetex: True\nsavefig.bbox: tight\nlines.linewidth: 9"
            if variable == "rc"
            else b"\xff\0"
        )
    code = "import sys; from benchmark.cli import main; main(['report', 'run'])"
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "plots" / "copy.png").read_bytes() == drawn.read_bytes()
    assert "random(k=1)" in done.stdout


def test_importing_the_report_loads_neither_matplotlib_nor_rich() -> None:
    code = (
        "import sys, benchmark.report.writing; "
        "sys.exit(any(name in sys.modules for name in ('matplotlib', 'rich', 'torch')))"
    )
    root = Path(__file__).resolve().parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_a_thin_line_marks_the_best_score_that_is_left(tmp_path: Path, drawn_axes) -> None:
    store = write_run(tmp_path, SMALL, ["copy", "sort"], models=("one", "other"))
    store.write_settings({**store.read_settings(), "best_scores": {"other": {"copy": 60.0}}})
    write_plots(summarise(store), tmp_path)
    copy, sort, mean, _, overview = drawn_axes

    def thin_lines(figure: dict) -> list[float]:
        return [line.get_ydata()[0] for line in figure["lines"] if line.get_linewidth() == 0.6]

    assert [thin_lines(figure) for figure in (copy, sort, mean, overview)] == [[60.0], [], [80.0], [60.0]]
    assert copy["texts"].count("the rest does not fit") == 1
    assert "the rest does not fit" not in sort["texts"] + overview["texts"]


def test_the_legend_of_many_curves_is_not_cut(tmp_path: Path, drawn_axes) -> None:
    methods = [method(name, "k", 1, 2**power) for name in ("random", "margin", "entropy") for power in range(10)]
    write_plots(summarise(write_run(tmp_path, methods, ["copy"], samples=2)), tmp_path)
    mean = drawn_axes[1]
    assert len(mean["legend"]) == 30
    assert min(mean["legend_bottoms"]) >= 0
