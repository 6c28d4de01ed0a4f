"""Samples in a real Chromium: the player, and answers, names and runs that are not as one would have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, Opened, chromium
from example_run import method
from page_runs import METHODS, MODELS, TASKS, decoded_rows, replace_samples, write_decoded_run, write_page

from benchmark.models.interface import failed_sample
from benchmark.store.runs import RunStore

expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")]

NASTY = [
    "<script>document.title = 'broken'</script>",
    "</script><img src=x onerror=\"document.title = 'broken'\">",
    "<!-- <script> ]]> \"double\" 'single' & &lt; \\u003c {{ numbers }} {% raw %}",
    "\u202eright to left\u202c and \u2066isolated\u2069 \u200fשלום",
    "half a letter \udc80 and a \x00 and a \x1b[31m",
    "${document.title = 'broken'} `` \\",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return write_decoded_run(tmp_path / "run", METHODS[:3], samples=2)


@pytest.fixture
def open_run(browser: Any) -> Iterator[Callable[[RunStore], Opened]]:
    """Opens the page of a run, which has to be silent to the end."""
    pages: list[Opened] = []

    def opened(store: RunStore) -> Opened:
        pages.append(Opened(browser, write_page(store)))
        return pages[-1]

    yield opened
    for each in pages:
        each.scroll_through()
        assert each.page.title().startswith("ParallelBench")
        each.close()
        assert each.said == []
        assert each.asked == []


def first_setting(shown: Opened) -> Any:
    """The samples of the setting that `replace_samples` changes; the worst is the first."""
    for name, value in (("model", 0), ("task", 0), ("method", 0)):
        shown.page.locator(f"#sample-{name}").select_option(value=str(value))
    return shown.page.locator("#sample-list > li")


def whole(text: str) -> str:
    """What the browser makes of a text: half a letter of two is the replacement character when it is read back."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@pytest.mark.parametrize("answer", NASTY)
def test_what_a_model_says_stays_text(store: RunStore, open_run: Callable[[RunStore], Opened], answer: str) -> None:
    replace_samples(store, prediction=answer, tokens=[answer, "b"])
    shown = open_run(store)
    sample = first_setting(shown).first
    script = "(place) => place.textContent"
    assert whole(sample.locator("pre").first.evaluate(script)) == whole(answer)
    assert whole(sample.locator(".token").first.evaluate(script)) == whole(answer.strip(" "))
    assert shown.page.locator("main img, main script").count() == 0


def test_a_megabyte_of_text_is_cut_and_said(store: RunStore, open_run: Callable[[RunStore], Opened]) -> None:
    replace_samples(store, prediction="a" * 1_000_000, tokens=["b" * 1_000_000, "<|end|>"])
    shown = open_run(store)
    expect(first_setting(shown).first.locator("pre").first).to_contain_text("998000 more letters")
    assert shown.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("name", [*NASTY[:4], "a\udc80b", "a/b:c?d*e", "constructor", "__proto__", "x.y[0]"])
def test_models_and_tasks_have_any_name(tmp_path: Path, open_run: Callable[[RunStore], Opened], name: str) -> None:
    store = write_decoded_run(tmp_path / "run", METHODS[:3], [name, "copy"], [name, "other"], samples=2)
    shown = open_run(store)
    shown.scroll_through()
    for place in ("#models bdi", "#task-plots figcaption", "#sample-task option:nth-child(2)"):
        assert whole(shown.page.locator(place).first.evaluate("(place) => place.textContent")) == whole(name)
    # No file holds half a letter: there it stands as Python writes it.
    written = name.encode("utf-8", "backslashreplace").decode()
    assert shown.page.locator("#headline-table tbody th").first.evaluate("(place) => place.textContent") == written
    # What is made of text when it is opened is as safe.
    shown.page.locator("#numbers summary").first.click()
    assert shown.page.locator("#numbers tbody th").first.evaluate("(place) => place.textContent").strip() == written
    shown.page.locator("#models input").first.uncheck()
    assert {row["model name"] for row in shown.drawn("#mean-plot")} == {"other"}


@pytest.mark.parametrize("name", ["ideal", NASTY[1]])
def test_a_point_tells_its_numbers_under_the_mouse(
    tmp_path: Path, open_run: Callable[[RunStore], Opened], name: str
) -> None:
    shown = open_run(write_decoded_run(tmp_path / "run", METHODS[1:3], TASKS[:1], [name], samples=3))
    point = shown.drawn("#mean-plot")[0]
    script = """(point) => {
        const { view } = document.querySelector("#mean-plot").drawn;
        const { left, top } = document.querySelector("#mean-plot canvas").getBoundingClientRect();
        const [x, y] = view.origin(), padding = view.padding();
        const across = view.scale("x")(point.x), down = view.scale("y")(point.headline);
        return [left + padding.left + x + across, top + padding.top + y + down];
    }"""
    shown.page.mouse.move(*shown.page.evaluate(script, point))
    tooltip = shown.page.locator("#vg-tooltip-element")
    for told in (name, point["method"], str(point["headline"]), point["tokens per step"], point["95 % interval"]):
        expect(tooltip).to_contain_text(told)


def test_the_player_goes_through_the_steps_by_keys(store: RunStore, open_run: Callable[[RunStore], Opened]) -> None:
    replace_samples(store)
    shown = open_run(store)
    sample = first_setting(shown).first
    player, says, slider = sample.locator(".player"), sample.locator(".says"), sample.locator("input[type=range]")
    expect(says).to_have_text("step 4 of 4: 8 committed, 0 still open")
    player.focus()
    for key, wanted, masked in (
        ("ArrowLeft", "step 3 of 4: 8 committed, 8 still open", 8),
        ("Home", "before step 1: 32 open", 32),
        ("ArrowLeft", "before step 1: 32 open", 32),
        ("ArrowRight", "step 1 of 4: 8 committed, 24 still open", 24),
        ("End", "step 4 of 4: 8 committed, 0 still open", 0),
        ("ArrowRight", "step 4 of 4: 8 committed, 0 still open", 0),
    ):
        shown.page.keyboard.press(key)
        expect(says).to_have_text(wanted)
        assert sample.locator(".token.masked").count() == masked
        assert slider.get_attribute("aria-valuetext") == wanted
    assert sample.locator(".token.fresh").count() == 8
    slider.focus()
    shown.page.keyboard.press("ArrowLeft")
    expect(says).to_have_text("step 3 of 4: 8 committed, 8 still open")
    slider.fill("0")
    expect(says).to_have_text("before step 1: 32 open")


def test_the_player_plays_to_the_end_and_stops(store: RunStore, open_run: Callable[[RunStore], Opened]) -> None:
    replace_samples(store)
    shown = open_run(store)
    sample = first_setting(shown).first
    button, says = sample.locator(".player button"), sample.locator(".says")
    sample.locator(".player").focus()
    shown.page.keyboard.press("Space")
    expect(button).to_have_text("Stop")
    expect(says).to_have_text("before step 1: 32 open")
    expect(says).to_contain_text("step 4 of 4")
    expect(button).to_have_text("Play")
    button.click()
    button.click()
    expect(button).to_have_text("Play")
    before = says.inner_text()
    shown.page.wait_for_timeout(900)
    assert says.inner_text() == before != "step 4 of 4: 8 committed, 0 still open"


def test_drafts_and_positions_that_were_never_committed_are_told(
    store: RunStore, open_run: Callable[[RunStore], Opened]
) -> None:
    # Three rounds of four forward passes each; nothing stayed of the second, and one position kept its first noise.
    steps = [0, *[1] * 15, *[3] * 16]
    replace_samples(store, commit_steps=steps, num_rounds=3, num_forward_passes=12)
    sample = first_setting(open_run(store)).first
    expect(sample.locator(".says")).to_have_text("step 3 of 3: 16 committed, 0 still open")
    expect(sample.locator(".player")).to_contain_text("3 steps took 12 forward passes, drafts included")
    assert sample.locator(".token").first.get_attribute("title") == "position 1, never committed"
    sample.locator("input[type=range]").fill("0")
    expect(sample.locator(".says")).to_have_text("before step 1: 31 open")
    assert sample.locator(".token").first.inner_text() == '["'
    sample.locator("input[type=range]").fill("1")
    expect(sample.locator(".says")).to_have_text("step 1 of 3: 15 committed, 16 still open")


def test_a_failed_request_says_why(store: RunStore, open_run: Callable[[RunStore], Opened]) -> None:
    rows = [failed_sample({"id": "a", "length": 3}, "<b>timed out</b>")]
    store.write_samples(MODELS[0], TASKS[0], METHODS[0], rows)
    sample = first_setting(open_run(store)).first
    expect(sample).to_contain_text("failed")
    expect(sample.locator("pre")).to_have_text("<b>timed out</b>")


def test_what_failed_and_what_cannot_fit_is_among_the_warnings(
    tmp_path: Path, open_run: Callable[[RunStore], Opened]
) -> None:
    notices = ["<b>ideal</b>: right answers of 3 questions do not fit into 32 tokens"]
    store = write_decoded_run(tmp_path / "run", METHODS[:2], TASKS[:1], MODELS[:1], samples=2, notices=notices)
    rows = [decoded_rows(TASKS[0], [1.0], [4])[0], failed_sample({"id": "b", "length": 3}, "timed out")]
    store.write_samples(MODELS[0], TASKS[0], METHODS[0], rows)
    warnings = open_run(store).page.locator("#warnings")
    expect(warnings).to_contain_text("1 of 2 questions could not be answered")
    expect(warnings).to_contain_text(notices[0])


def test_a_run_half_done_says_what_is_missing(store: RunStore, open_run: Callable[[RunStore], Opened]) -> None:
    store.samples_path(MODELS[1], TASKS[1], METHODS[0]).unlink()
    shown = open_run(store)
    expect(shown.page.locator("header")).to_contain_text("11 of 12 settings are done")
    expect(shown.page.locator("#headline-table")).to_contain_text("?")
    shown.page.locator("#warnings summary").click()
    expect(shown.page.locator("#warnings")).to_contain_text(f"{MODELS[1]} · {TASKS[1]} · {METHODS[0]}")
    assert len(shown.drawn("#mean-plot")) == 5


def test_a_run_without_samples_opens(store: RunStore, open_run: Callable[[RunStore], Opened]) -> None:
    for path in (store.directory / "samples").rglob("*.json*"):
        path.unlink()
    shown = open_run(store)
    expect(shown.page.locator("header")).to_contain_text("0 of 12 settings are done")
    expect(shown.page.locator("#samples-say")).to_have_text("0 of 0 answers are in this page.")
    expect(shown.page.locator("#drawn-says")).to_contain_text("no mean until")


def test_answers_without_content_have_no_place_on_a_logarithm(
    tmp_path: Path, open_run: Callable[[RunStore], Opened]
) -> None:
    store = write_decoded_run(tmp_path / "run", METHODS[:2], TASKS[:1], MODELS[:1], samples=2)
    replace_samples(store, num_answer_tokens=0, tokens=["<|end|>"])
    shown = open_run(store)
    shown.page.get_by_label("content tokens per step", exact=True).check()
    expect(shown.page.locator("#drawn-says")).to_contain_text("they are at 0: 1.")
    assert len(shown.drawn("#mean-plot")) == 1


def test_without_the_plotting_library_samples_and_tables_are_there(
    store: RunStore, open_run: Callable[[RunStore], Opened], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.report.page.writing.plotting_script", lambda: None)
    shown = open_run(store)
    expect(shown.page.locator("main")).to_contain_text("vl-convert-python was not installed")
    assert shown.page.locator("#controls").is_hidden()
    assert shown.page.locator("#order-table").is_visible()
    assert shown.page.locator("#sample-list > li").count() > 0


def test_many_models_share_no_colour_and_symbol(tmp_path: Path, open_run: Callable[[RunStore], Opened]) -> None:
    models = [f"model {number}" for number in range(20)]
    methods = [method("random", "k", k) for k in (1, 4)]
    shown = open_run(write_decoded_run(tmp_path / "run", methods, TASKS[1:], models, samples=2))
    shown.drawn("#form-plots .plot", "measured")
    script = """() => { const layers = document.querySelector("#form-plots .plot").drawn.spec.layer;
        const encoding = layers[layers.length - 1].encoding;
        return encoding.color.scale.range.map((colour, index) => colour + encoding.shape.scale.range[index]); }"""
    found = shown.page.evaluate(script)
    assert len(set(found)) == len(found) == 20
