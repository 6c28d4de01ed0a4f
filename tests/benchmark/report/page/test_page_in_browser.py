"""The page in a real Chromium: what every control does, by mouse and keyboard, and that its console stays silent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, Opened, chromium
from page_runs import MODELS, TASKS, write_decoded_run, write_page

from benchmark.report.published import published_means

expect = pytest.importorskip("playwright.sync_api").expect
pytest.importorskip("vl_convert")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")]

Open = Callable[..., Opened]
COUNTS = {
    "tokens per step": "tokens_per_step",
    "content tokens per step": "content_tokens_per_step",
    "tokens per forward pass": "tokens_per_forward_pass",
    "forward passes": "num_forward_passes",
    "tokens per second": "tokens_per_second",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(write_decoded_run(tmp_path_factory.mktemp("pages") / "run"))


@pytest.fixture(scope="module")
def summary(path: Path) -> Any:
    return json.loads((path.parent / "summary.json").read_bytes())


@pytest.fixture
def open_page(browser: Any, path: Path) -> Iterator[Open]:
    """Opens the page of the run, or another one; each has to be silent to the end."""
    pages: list[Opened] = []

    def opened(at: Path = path, **context: Any) -> Opened:
        pages.append(Opened(browser, at, **context))
        return pages[-1]

    yield opened
    for each in pages:
        each.close()
        assert each.said == []
        assert each.asked == []


@pytest.fixture
def shown(open_page: Open) -> Opened:
    return open_page()


def numbers_of(summary: Any, name: str, task: str | None = None) -> list[tuple[float, float]]:
    """(number, headline) of every setting of a task, or of the means."""
    rows = summary["mean_over_tasks"] if task is None else [r for r in summary["results"] if r["task"] == task]
    return sorted((row[name], row["headline"]) for row in rows)


def points(shown: Opened, plot: str) -> list[tuple[float, float]]:
    return sorted((row["x"], row["headline"]) for row in shown.drawn(plot))


def methods_in(shown: Opened, plot: str, data: str = "mine") -> set[str]:
    return {row["method"] for row in shown.drawn(plot, data)}


def text(shown: Opened, selector: str) -> str:
    return shown.page.locator(selector).inner_text()


def name_of(shown: Opened, plot: str) -> str:
    """What a screen reader calls a plot."""
    return shown.page.locator(plot).get_attribute("aria-label") or ""


def test_everything_is_drawn_without_a_word_in_the_console(shown: Opened) -> None:
    shown.scroll_through()
    undrawn = "() => [...document.querySelectorAll('.plot')].filter((place) => !place.drawn).length"
    shown.page.wait_for_function(f"({undrawn})() === 0")
    # The mean, the tasks, four closed forms at most, block length × k, and the order of decoding.
    assert shown.page.locator(".plot canvas").count() >= 1 + len(TASKS) + 1 + 1 + 1


def test_all_eight_parts_and_what_was_run_are_there(shown: Opened) -> None:
    parts = ("headline", "curves", "tasks", "dependency", "blocks", "order", "samples", "warnings", "numbers")
    for part in parts:
        assert shown.page.locator(f"#{part} h2").is_visible()
        shown.page.locator(f"nav a[href='#{part}']").click()


def test_the_numbers_of_the_page_are_those_of_the_summary(shown: Opened, summary: Any) -> None:
    data = shown.page.evaluate("() => PB.data")
    columns = {name: index + 3 for index, name in enumerate(data["columns"])}
    for rows, entries in ((data["results"], summary["results"]), (data["means"], summary["mean_over_tasks"])):
        assert len(rows) == len(entries)
        for row, entry in zip(rows, entries, strict=True):
            assert data["methods"][row[2]]["name"] == entry["method"]
            assert {name: row[at] for name, at in columns.items()} == {name: entry.get(name) for name in columns}


def test_the_tables_show_these_numbers(shown: Opened, summary: Any) -> None:
    rows = shown.page.locator("#headline-table tbody tr").all_inner_texts()
    for row, curve in zip(rows, summary["curves"], strict=True):
        assert curve["curve"] in row
        for score in ("pb80", "pb75", "pb70"):
            low, high = curve["intervals"]["tokens_per_step"][score]
            assert ("–" if curve[score] is None else f"{curve[score]:.2f}") in row
            assert f"[{'–' if low is None else f'{low:.2f}'}, {'–' if high is None else f'{high:.2f}'}]" in row
    shown.page.locator("#numbers summary").first.click()
    cells = shown.page.locator("#numbers .all").first.locator("tr:has(td)").all()
    mine = [entry for entry in summary["results"] if entry["model"] == MODELS[0]]
    for cell, entry in zip(cells, mine, strict=True):
        found = cell.locator("td").all_inner_texts()
        assert found[:3] == [entry["method"], f"{entry['headline']:.1f}", f"[{entry['low']:.1f}, {entry['high']:.1f}]"]
        assert found[4:6] == [f"{entry['tokens_per_step']:.2f}", f"{entry['content_tokens_per_step']:.2f}"]


@pytest.mark.parametrize("label", COUNTS)
def test_each_x_axis_draws_its_number(shown: Opened, summary: Any, label: str) -> None:
    shown.page.get_by_label(label, exact=True).check()
    assert points(shown, "#mean-plot") == numbers_of(summary, COUNTS[label])
    for number, task in enumerate(TASKS):
        assert points(shown, f"#task-{number}") == numbers_of(summary, COUNTS[label], task)
    assert label in name_of(shown, "#mean-plot")


def test_methods_are_switched_off_in_all_plots_together(shown: Opened) -> None:
    box = shown.page.locator("#methods").get_by_label("random", exact=True)
    box.uncheck()
    for plot, data in (("#mean-plot", "mine"), ("#task-0", "mine"), ("#task-1", "mine"), ("#order-plot", "steps")):
        assert methods_in(shown, plot, data)
        assert not any(name.startswith("random") for name in methods_in(shown, plot, data))
    assert "random" not in text(shown, "#order-table")
    box.check()
    assert "random(k=1)" in methods_in(shown, "#mean-plot")


def test_none_and_all_switch_every_box(shown: Opened) -> None:
    before = text(shown, "#drawn-says")
    shown.page.locator("#methods").get_by_role("button", name="none").click()
    assert text(shown, "#drawn-says").startswith("Drawn are 0 lines with 0 points")
    expect(shown.page.locator("#mean-plot")).to_have_text("Nothing to draw.")
    shown.page.locator("#methods").get_by_role("button", name="all").click()
    assert text(shown, "#drawn-says") == before


def test_models_are_switched_off_in_all_plots_together(shown: Opened) -> None:
    shown.page.locator("#models").get_by_label(MODELS[0], exact=True).uncheck()
    for plot, data in (("#mean-plot", "mine"), ("#task-1", "mine"), ("#form-plots .plot", "measured")):
        assert {row["model name"] for row in shown.drawn(plot, data)} == {MODELS[1]}


def test_published_curves_lie_behind_ours_by_their_own_count_alone(shown: Opened) -> None:
    assert shown.page.locator("#published-says").is_hidden()
    shown.page.get_by_label("published curves").check()
    assert "2510.04767" in text(shown, "#published-says")
    shown.drawn("#mean-plot")
    known = published_means(list(TASKS), ["random", "confidence", "threshold"])
    wanted = sorted([x, y] for curve in known for x, y in curve.points)
    script = "() => document.querySelector('#mean-plot').drawn.spec.layer[0].data.values.map((p) => [p.x, p.headline])"
    assert sorted(shown.page.evaluate(script)) == wanted != []
    shown.page.get_by_label("content tokens per step", exact=True).check()
    assert "over tokens per step only" in text(shown, "#published-says")
    assert shown.drawn("#mean-plot")
    layers = shown.page.evaluate("() => document.querySelector('#mean-plot').drawn.spec.layer")
    assert "(published)" not in json.dumps(layers)


def test_a_theme_changes_paper_and_plots(open_page: Open) -> None:
    shown = open_page(color_scheme="dark")
    paper = "() => getComputedStyle(document.body).backgroundColor"
    shown.drawn("#mean-plot")
    assert shown.page.evaluate(paper) == "rgb(20, 20, 22)"
    shown.page.get_by_label("theme").select_option("light")
    shown.drawn("#mean-plot")
    assert shown.page.evaluate(paper) == "rgb(255, 255, 255)"
    config = "() => document.querySelector('#mean-plot').drawn.embedOptions.config.axis.labelColor"
    assert shown.page.evaluate(config) == "#222222"
    swatch = "() => document.querySelector('#methods .swatch path').getAttribute('stroke')"
    light = shown.page.evaluate(swatch)
    shown.page.get_by_label("theme").select_option("system")
    assert shown.page.evaluate(paper) == "rgb(20, 20, 22)"
    assert shown.page.evaluate(swatch) != light
    shown.page.emulate_media(color_scheme="light")
    shown.page.wait_for_function(f"(light) => ({swatch})() === light", arg=light)


def test_closed_forms_are_those_of_the_summary(shown: Opened, summary: Any) -> None:
    tasks = list(dict.fromkeys(form["task"] for form in summary["closed_forms"]))
    assert tasks == [TASKS[1]]
    schedulers = list(dict.fromkeys(form["scheduler"] for form in summary["closed_forms"]))
    assert shown.page.locator("#form-plots .plot").count() == len(schedulers)
    for number, name in enumerate(schedulers):
        place = f"#form-plots .plot:nth-child({number + 1})"
        wanted = [p for form in summary["closed_forms"] if form["scheduler"] == name for p in form["points"]]
        found = [[row["parameter"], row["x"], row["headline"]] for row in shown.drawn(place, "forms")]
        assert sorted(found) == sorted(wanted)
        assert {row["model name"] for row in shown.drawn(place, "measured")} == set(MODELS)


def test_the_heat_map_is_the_mean_of_the_summary_or_of_a_task(shown: Opened, summary: Any) -> None:
    def cells() -> dict[str, float]:
        return {row["method"]: row["headline"] for row in shown.drawn("#heat-plot", "cells")}

    def wanted(rows: Any, model: str) -> dict[str, float]:
        return {
            row["method"]: row["headline"] for row in rows if row["model"] == model and "confidence" in row["method"]
        }

    assert cells() == wanted(summary["mean_over_tasks"], MODELS[0])
    shown.page.locator("#heat-task").select_option(label=TASKS[1])
    of_task = [row for row in summary["results"] if row["task"] == TASKS[1]]
    assert cells() == wanted(of_task, MODELS[0])
    shown.page.locator("#heat-of").select_option(label=f"{MODELS[1]}, confidence")
    assert cells() == wanted(of_task, MODELS[1])


def test_order_shows_steps_and_correlations_of_a_model_and_task(shown: Opened, summary: Any) -> None:
    shown.page.locator("#order-model").select_option(label=MODELS[1])
    shown.page.locator("#order-task").select_option(label=TASKS[1])
    steps = [row["step"] for row in shown.drawn("#order-plot", "steps") if row["method"] == "random(k=4)"]
    assert steps == [1 + place // 4 for place in range(32)]
    row = shown.page.locator("#order-table tr", has_text="random(k=4)").inner_text()
    entry = next(
        e for e in summary["results"] if (e["model"], e["task"], e["method"]) == (MODELS[1], TASKS[1], "random(k=4)")
    )
    assert f"{entry['kendall_tau_answer']:.2f}" in row
    assert f"{entry['kendall_tau']:.2f}" in row


def test_samples_are_worst_first_and_filtered(shown: Opened) -> None:
    def heads() -> list[str]:
        return shown.page.locator("#sample-list .head").all_inner_texts()

    scores = "() => [...document.querySelectorAll('#sample-list .score')].map((score) => parseFloat(score.textContent))"
    assert shown.page.evaluate(scores) == [0.0] * 10
    for name, value in (("model", MODELS[1]), ("task", TASKS[0]), ("method", "random(k=32)")):
        shown.page.locator(f"#sample-{name}").select_option(label=value)
        assert heads()
        assert all(value in head for head in heads())
    assert text(shown, "#samples-say").startswith("10 of 10 answers")
    found = shown.page.evaluate(scores)
    assert found == sorted(found)


def test_pages_of_samples_follow_each_other(shown: Opened) -> None:
    shown.page.locator("#sample-model").select_option(label=MODELS[0])
    before, behind = shown.page.locator("#sample-before"), shown.page.locator("#sample-next")
    assert before.is_disabled()
    first = shown.page.locator("#sample-list .head").all_inner_texts()
    behind.click()
    assert shown.page.locator("#sample-list").get_attribute("start") == "11"
    assert not set(first) & set(shown.page.locator("#sample-list .head").all_inner_texts())
    before.click()
    assert shown.page.locator("#sample-list .head").all_inner_texts() == first
    shown.page.locator("#sample-method").select_option(label="random(k=1)")
    shown.page.locator("#sample-task").select_option(label=TASKS[0])
    while behind.is_enabled():
        behind.click()
    shown.page.locator("#sample-task").select_option(label=TASKS[1])
    assert shown.page.locator("#sample-list").get_attribute("start") == "1"


def test_every_control_is_reached_by_tab_and_seen(shown: Opened) -> None:
    shown.scroll_through()
    # Of radio buttons, Tab reaches the one that is on, and the arrow keys the others.
    script = """() => {
        const all = [...document.querySelectorAll("a, button, input, select, summary, [tabindex]")];
        const open = all.filter((each) => each.checkVisibility() && !each.disabled);
        const wanted = open.filter((each) => each.type !== "radio" || each.checked);
        wanted.forEach((each, index) => { each.number = index; });
        return wanted.length;
    }"""
    wanted = set(range(shown.page.evaluate(script)))
    focus = """() => {
        const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
        return [document.activeElement.number ?? null, outlineStyle, outlineWidth];
    }"""
    reached = set()
    for _ in range(2 * len(wanted)):
        shown.page.keyboard.press("Tab")
        number, *outline = shown.page.evaluate(focus)
        reached.add(number)
        if number is not None:
            assert outline == ["solid", "3px"]
    assert wanted <= reached


def test_the_skip_link_and_boxes_work_by_keys(shown: Opened) -> None:
    shown.page.keyboard.press("Tab")
    assert shown.page.locator(".skip").bounding_box()["x"] >= 0
    shown.page.keyboard.press("Enter")
    assert shown.page.evaluate("() => document.querySelector('#curves').getBoundingClientRect().top < innerHeight")
    shown.page.get_by_label("tokens per step", exact=True).focus()
    shown.page.keyboard.press("ArrowRight")
    shown.drawn("#mean-plot")
    assert "content tokens per step" in name_of(shown, "#mean-plot")
    shown.page.locator("#models").get_by_label(MODELS[0], exact=True).focus()
    shown.page.keyboard.press("Space")
    assert "1 of 2 models" in text(shown, "#drawn-says")


def test_without_scripts_the_tables_are_there(open_page: Open, summary: Any) -> None:
    shown = open_page(java_script_enabled=False)
    assert "need JavaScript" in text(shown, "main > noscript")
    assert shown.page.locator("#headline-table").is_visible()
    assert shown.page.locator("#curves, #samples, #controls").first.is_hidden()
    shown.page.locator("#numbers summary").first.click()
    assert summary["results"][0]["method"] in text(shown, "#numbers table >> nth=0")


@pytest.mark.parametrize("width", [400, 1600])
def test_nothing_is_wider_than_the_screen(open_page: Open, width: int) -> None:
    shown = open_page(viewport={"width": width, "height": 900})
    shown.scroll_through()
    for details in shown.page.locator("details > summary").all():
        details.click()
    assert shown.page.evaluate("() => document.documentElement.scrollWidth") <= width
