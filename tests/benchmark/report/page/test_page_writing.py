"""The page of a report as text: its numbers are those of summary.json, and answers stay text."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from example_run import method, sample_rows, write_run
from page_runs import write_decoded_run, write_page

from benchmark.store.runs import RunStore
from hub_dataset.unavailable import UnavailableError

METHODS = [
    *(method("random", "k", k) for k in (1, 4, 32)),
    *(method("threshold", "threshold", value) for value in (0.5, 1.0)),
]
NASTY = "</script><script>document.title='broken'</script> \"quotes\" & \u202e\udc80 <!-- <b>"


def page_of(store: RunStore) -> str:
    return write_page(store).read_text(encoding="utf-8")


def data_of(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, flags=re.DOTALL)
    assert found is not None
    return json.loads(found.group(1))


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return write_run(tmp_path / "run", METHODS, ["copy", "sort"])


def with_answer(store: RunStore, answer: str) -> None:
    rows = [{**row, "prediction": answer} for row in sample_rows("copy", [0.0, 1.0])]
    store.write_samples(store.read_settings()["models"][0], "copy", METHODS[0], rows)


def test_its_numbers_are_those_of_the_summary(store: RunStore) -> None:
    page = page_of(store)
    summary = json.loads((store.directory / "summary.json").read_bytes())
    table = re.search(r'<table id="headline-table">(.*?)</table>', page, flags=re.DOTALL)
    assert table is not None
    for curve in summary["curves"]:
        assert curve["curve"] in table.group(1)
        for score in ("pb80", "pb75", "pb70"):
            if curve[score] is not None:
                assert f"{curve[score]:.2f}" in table.group(1)
    for entry in summary["results"]:
        assert entry["method"] in page


def test_answers_stay_text(store: RunStore) -> None:
    with_answer(store, NASTY)
    page = page_of(store)
    assert "<script>document.title" not in page
    # The data hold it, as letters.
    assert json.dumps(NASTY)[1:-1] in json.dumps(data_of(page))


def test_nothing_comes_from_a_network(store: RunStore) -> None:
    page = re.sub("<script.*?</script>", "", page_of(store), flags=re.DOTALL)
    assert not re.search(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="(?!data:)', page)
    assert "default-src &#39;none&#39;" in page


def test_a_page_is_small_and_says_what_it_cut(store: RunStore) -> None:
    with_answer(store, "a" * 1_000_000)
    page = page_of(store)
    assert len(page) < 5_000_000
    assert '"cut":998000' in page


def test_a_run_without_samples_has_a_page_that_says_so(tmp_path: Path) -> None:
    store = write_run(tmp_path / "run", METHODS, ["copy"])
    for path in (store.directory / "samples").rglob("*.json*"):
        path.unlink()
    page = page_of(store)
    assert f"0 of {len(METHODS)} settings" in page
    assert "settings are missing" in page


def test_questions_that_cannot_be_made_here_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(task: str, samples: int | None) -> Any:
        raise UnavailableError("no grammar checker")

    monkeypatch.setattr("benchmark.protocol.questions.load_rows", unavailable)
    page = page_of(write_run(tmp_path / "run", METHODS, ["waiting_line_copy"], samples=2))
    shown = [sample for group in data_of(page)["samples"] for sample in group["shown"]]
    assert shown
    assert not any("question" in sample for sample in shown)


def test_a_closed_form_lies_beside_the_curve_without_further_parameters(tmp_path: Path) -> None:
    blocks = [method("random", "k", k, block) for block in (4, 8, None) for k in (1, 2, 4)]
    data = data_of(page_of(write_decoded_run(tmp_path / "run", blocks, ["waiting_line_shuffle"])))
    assert {data["curves"][form["curve"]]["name"] for form in data["closed_forms"]} == {"random"}
    assert {curve["block"] for curve in data["curves"] if curve["family"] == "random"} == {4, 8, None}
