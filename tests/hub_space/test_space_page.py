"""The page of the leaderboard, started as a process of its own: from a directory, from the Hub, and with very much."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from loopback_hub import loopback_hub
from support import ROOT

pytestmark = pytest.mark.slow
SPACE = ROOT / "hub_space"
MOST_ROWS, MOST_CURVES = 200, 12
SHIPPED = next((SPACE / "entries").glob("*.json"))


@contextlib.contextmanager
def started(folder: Path, entries: str, environment: Mapping[str, str] = os.environ) -> Iterator[Any]:
    """A client of the page that shows these entries, with the page's process as `process`."""
    pytest.importorskip("gradio", reason='the page needs gradio: pip install "parallelbench[app]"')
    gradio_client = pytest.importorskip("gradio_client")
    environment = {
        **environment,
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_TEMP_DIR": str(folder),
        "LEADERBOARD_ENTRIES": entries,
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, str(SPACE / "app.py")]
    output: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen(command, cwd=folder, env=environment, **output)
    assert process.stdout is not None
    timer = threading.Timer(300, process.kill)
    timer.start()
    try:
        lines, found = [], None
        while found is None and (line := process.stdout.readline()):
            lines.append(line)
            found = re.search(r"http://127\.0\.0\.1:\d+(?=\s)", line) if "running" in line.lower() else None
        assert found is not None, "".join(lines)
        threading.Thread(target=process.stdout.read, daemon=True).start()
        client = gradio_client.Client(found[0], verbose=False)
        client.process = process
        yield client
    finally:
        timer.cancel()
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The page with the entries that ship, a broken one, and one of a later schema."""
    folder = tmp_path_factory.mktemp("page")
    entries = folder / "entries"
    shutil.copytree(SPACE / "entries", entries)
    (entries / "broken.json").write_text('{"schema": 1, "<script>alert(1)</script>')
    (entries / "later.json").write_text('{"schema": 2}')
    with started(folder, str(entries), {**os.environ, "HF_HUB_OFFLINE": "1"}) as client:
        yield client


def shown(page: Any) -> str:
    """All that the page starts with, as the JSON that a browser gets."""
    with urllib.request.urlopen(page.src + "config") as answer:
        return str(answer.read().decode())


def rows(page: Any, model: str = "", method: str = "") -> list[list[str]]:
    table, _, _ = page.predict("PB70", None, model, method, api_name="/rank")
    return list(table["data"])


def test_the_page_ranks_what_ships(page: Any) -> None:
    (shipped,) = (json.loads(path.read_bytes()) for path in (SPACE / "entries").glob("*.json"))
    found = rows(page)
    assert len(found) == len(shipped["results"])
    best = max(result["pb70"]["value"] or 0 for result in shipped["results"])
    assert found[0][0] == "1"
    assert found[0][5] == f"{best:.2f}"
    assert {row[9] for row in found} == {shipped["id"]}


def test_filters_narrow_the_table(page: Any) -> None:
    assert {row[1] for row in rows(page, model="REF")} == {"reference", "ideal:reference"}
    assert {row[1] for row in rows(page, model="IDEAL")} == {"ideal:reference"}
    assert rows(page, model="nobody") == []


def test_broken_entries_are_shown_with_their_reason(page: Any) -> None:
    found = shown(page)
    assert "Not valid, and not ranked: 2" in found
    assert "broken.json" in found
    assert "this page reads schema 1" in found
    assert all("broken" not in cell for row in rows(page) for cell in row)


def test_a_dataset_of_the_hub_is_shown_with_links_to_its_runs(tmp_path: Path) -> None:
    entry = {**json.loads(SHIPPED.read_bytes()), "report": "report.html"}
    without_page = {**entry, "id": "0" * 16, "report": None}
    with loopback_hub({"hf_ada": "ada"}) as hub:
        environment = hub.environment(tmp_path / "home", "hf_ada")
        upload = f"""
from huggingface_hub import CommitOperationAdd, HfApi
files = {{
    "entries/one.json": {json.dumps(entry).encode()!r},
    "entries/two.json": {json.dumps(without_page).encode()!r},
    "entries/broken.json": b"[]",
    "entries/later.json": b'{{"schema": 7}}',
    "runs/{entry["id"]}/summary.json": b"no entry",
}}
HfApi().create_repo("ada/runs", repo_type="dataset")
operations = [CommitOperationAdd(path, content) for path, content in files.items()]
HfApi().create_commit("ada/runs", operations, commit_message="runs", repo_type="dataset")
"""
        subprocess.run([sys.executable, "-c", upload], env=environment, check=True)
        # Everyone may read.
        environment = hub.environment(tmp_path / "other")
        with started(tmp_path, "ada/runs", environment) as page:
            found = rows(page)
            start = shown(page)
        assert not any("summary.json" in path for _, path, _ in hub.log if "/resolve/" in path)
    assert len(found) == 2 * len(entry["results"])
    where = "https://huggingface.co/datasets/ada/runs"
    assert {tuple(row[9:]) for row in found} == {
        (
            f"[{entry['id']}]({where}/tree/main/runs/{entry['id']})",
            f"[page]({where}/resolve/main/runs/{entry['id']}/report.html)",
        ),
        (f"[{'0' * 16}]({where}/tree/main/runs/{'0' * 16})", ""),
    }
    assert "Not valid, and not ranked: 2" in start


def test_a_dataset_that_is_not_there_is_said_on_the_page(tmp_path: Path) -> None:
    with loopback_hub({}) as hub, started(tmp_path, "ada/nothing", hub.environment(tmp_path / "home")) as page:
        assert rows(page) == []
        assert "cannot be read" in shown(page)


def test_very_many_entries_are_ranked_and_few_of_them_sent(tmp_path: Path) -> None:
    entries = tmp_path / "entries"
    entries.mkdir()
    made = json.loads(SHIPPED.read_bytes())
    for number in range(10_000):
        made["id"] = f"{number:016x}"
        for result in made["results"]:
            result["model"] = f"model {number}"
        (entries / f"{number}.json").write_text(json.dumps(made))
    began = time.monotonic()
    with started(tmp_path, str(entries)) as page:
        seconds = time.monotonic() - began
        begun = time.monotonic()
        table, plot, said = page.predict("PB70", None, "", "", api_name="/rank")
        answered = time.monotonic() - begun
        assert len(table["data"]) == MOST_ROWS
        assert len({row[plot["columns"].index("curve")] for row in plot["data"]}) == MOST_CURVES
        assert f"The best {MOST_ROWS} of {10_000 * len(made['results'])} are in the table" in said
        narrow, _, said = page.predict("PB70", None, "model 1234", "threshold", api_name="/rank")
        assert {row[1] for row in narrow["data"]} == {"model 1234"}
        size = len(shown(page))
        status = Path(f"/proc/{page.process.pid}/status")
        memory = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
        print(
            f"10,000 entries: {seconds:.1f} s to start, {answered:.1f} s to answer, {size / 1000:.0f} kB to a browser, "
            f"{int(memory[1]) / 1024 if memory else float('nan'):.0f} MB"
        )
        assert size < 500_000
