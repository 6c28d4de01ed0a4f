"""`parallelbench publish`: what goes to the Hub, what never does, and that a second time nothing happens."""

import contextlib
import getpass
import importlib.util
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from example_run import method, run_settings, sample_rows, write_run
from loopback_hub import LoopbackHub, loopback_hub
from support import ROOT, call

from benchmark.leaderboard.files import check_private, published_files
from benchmark.leaderboard.public import PublicRun, public_names
from benchmark.store.runs import RunStore

TOKEN = "hf_adasSecretToken"
REPO = "ada/runs"
METHODS = [method("random", "k", k) for k in (1, 4, 8)]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", METHODS, ["copy", "sort"], samples=12).directory


def test_names_in_public_tell_no_path_and_no_address() -> None:
    named = {
        "ideal": "ideal",
        "reference": "reference",
        "ideal-greedy:reference": "ideal-greedy:reference",
        "owner/name": "owner/name",
        "owner/name@v2": "owner/name@v2",
        "ideal:owner/name": "ideal:owner/name",
        "models/relative": "relative",
        "unknown/origin": "origin",
        "/home/ada/models/mine": "mine",
        "./mine2": "mine2",
        "mine3/": "mine3",
        "a/b/c": "c",
        "..": "model",
        "ideal:/home/ada/other": "ideal:other",
        "ideal:models/lent": "ideal:lent",
        "ar:/srv/llm": "ar:llm",
        "ar:models/llm2": "ar:llm2",
        "api:qwen@http://10.0.0.7:8000/v1": "api:qwen",
        "api:owner/served@http://10.0.0.7:8000/v1": "api:owner/served",
        r"C:\Users\ada\models\win": "win",
        "mine.models:make(size=2)": "mine.models:make(size=2)",
        "mine.models:make(weights='runs/ada/last.pt')": "mine.models:make(weights='last.pt')",
    }
    of_the_hub = {name: "0123456789abcdef" for name in named if "owner/" in name and not name.startswith("api:")}
    of_here = dict.fromkeys(("reference", "models/relative", "ideal:models/lent", "ar:models/llm2"), "files:0123")
    models = [
        {"name": name, "revision": revision} if (revision := (of_the_hub | of_here).get(name)) else name
        for name in named
    ]
    assert public_names({"models": models}) == named
    with pytest.raises(ValueError, match="both be published as mine"):
        public_names({"models": ["/a/mine", "/b/mine"]})


def test_a_service_is_published_without_its_address(run: Path) -> None:
    store = RunStore(run)
    settings = store.read_settings()
    address = "http://ada:secret@10.0.0.7:8000/v1"
    store.write_settings({**settings, "devices": {"ideal": [address, "http://10.0.0.8/v1", "cpu"]}})
    files = published_files(run)
    assert not [path for path, content in files.items() if b"10.0.0" in content or b"secret" in content]
    entry = json.loads(next(content for path, content in files.items() if path.startswith("entries/")))
    assert entry["results"][0]["hardware"] == ["a server", "cpu"]


def test_lines_on_models_have_their_public_names(run: Path) -> None:
    lines = ["ideal:a/mine on copy: no. Not all fit.", "a/mine on sort: some. Others not.", ". on copy: none. At all."]
    store = RunStore(run)
    settings = store.read_settings()
    names = ("a/mine", "ideal:a/mine", ".")
    models = {"models": list(names), "groups": [{**group, "models": list(names)} for group in settings["groups"]]}
    store.write_settings({**settings, **models, "notices": lines})
    assert PublicRun(run).read_settings()["notices"] == [
        "ideal:mine on copy: no. Not all fit.",
        "mine on sort: some. Others not.",
        "model on copy: none. At all.",
    ]


def test_a_model_in_a_directory_is_published_without_it(tmp_path: Path) -> None:
    model = str(tmp_path / "models" / "mine")
    store = RunStore(tmp_path / "run")
    with store.lock():
        entry = {"name": model, "revision": "local-1", "sources": str(tmp_path)}
        store.write_settings(
            run_settings(METHODS, ["copy"], [model]) | {"models": [entry], "devices": {model: ["cpu"]}}
        )
        for each in METHODS:
            rows = sample_rows("copy", [1.0, 1.0, 0.0])
            failed = {"id": "x", "prediction": "", "error": "http://10.0.0.7 is silent"}
            store.write_samples(model, "copy", each, [*rows, failed])
    files = published_files(tmp_path / "run")
    assert not any(str(tmp_path).encode() in content or b"10.0.0.7" in content for content in files.values())
    assert not any("tmp" in path for path in files)
    found = json.loads(next(content for path, content in files.items() if path.startswith("entries/")))
    assert {result["model"] for result in found["results"]} == {"mine"}
    assert found["results"][0]["hardware"] == ["cpu"]


@pytest.fixture(scope="module")
def upload_of_a_directory(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What is published of a real run of a model in a directory, named by a relative path, from a telling place."""
    place = tmp_path_factory.mktemp("quokka")
    shutil.copytree(ROOT / "hub_model", place / "wombats" / "mine")
    with contextlib.chdir(place):
        models = [part for name in ("wombats/mine", "ideal:wombats/mine") for part in ("--model", name)]
        # Right answers do not all fit, which notes say with the models' names.
        asked = ["--task", "puzzle_latin_square_n4", "--task", "waiting_line_copy", "--samples", "2"]
        # A third of the width of the usual answers: notes are to name the model.
        result = call("run", *models, *asked, "--scheduler", "confidence:k=16", "--max-new-tokens", "48")
        assert result.exit_code == 0, result.output
        (run,) = Path("results").iterdir()
        assert "wombats" in (run / "settings.json").read_text()
        return published_files(run)


def test_nothing_that_is_uploaded_tells_of_the_place(upload_of_a_directory: dict[str, bytes]) -> None:
    telling = [b"quokka", b"wombats", str(Path.home()).encode() + b"/", tempfile.gettempdir().encode()]
    of_machine = [name.encode() for name in (getpass.getuser(), socket.gethostname()) if name not in ("root", "user")]
    for path, content in upload_of_a_directory.items():
        assert not [word for word in telling if word in content or word in path.encode()], path
        without_scripts = re.sub(rb"<script>.*?</script>", b"", content, flags=re.DOTALL)
        assert not [word for word in of_machine if re.search(rb"\b" + re.escape(word) + rb"\b", without_scripts)], path
    by_name = {path.rpartition("/")[2]: content for path, content in upload_of_a_directory.items()}
    assert {"README.md", "environment.json", "summary.json", "summary.csv", "report.html"} < by_name.keys()
    summary = json.loads(by_name["summary.json"])
    assert summary["models"] == ["mine", "ideal:mine"]
    page = by_name["report.html"].decode()
    assert "ideal:mine" in page
    assert json.loads(by_name["environment.json"])["devices"].keys() == {"mine", "ideal:mine"}


def test_the_entry_names_the_page_beside_it_unless_it_is_too_large(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def entry_of(files: dict[str, bytes]) -> dict[str, object]:
        found: dict[str, object] = json.loads(next(files[path] for path in files if path.startswith("entries/")))
        return found

    files = published_files(run)
    entry = entry_of(files)
    assert entry["report"] == "report.html"
    assert files[f"runs/{entry['id']}/report.html"].startswith(b"<!DOCTYPE html>")
    monkeypatch.setattr("benchmark.leaderboard.files.LARGEST_PAGE", 1000)
    small = published_files(run)
    assert entry_of(small)["report"] is None
    assert not any(path.endswith("report.html") for path in small)
    assert "report.html is left out" in call("publish", str(run), "--to", REPO, "--dry-run").output


def test_what_is_private_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(socket, "gethostname", lambda: "adas-laptop")
    for text in (TOKEN, str(Path.home() / "x"), str(tmp_path / "x"), "on adas-laptop.", "models/mine, 64"):
        with pytest.raises(ValueError, match="nothing was published") as error:
            check_private("entries/a.json", text, tmp_path, ["models/mine"])
        assert text not in str(error.value)
    check_private("entries/a.json", "nothing", tmp_path)
    check_private("samples/a.jsonl", "on adas-laptop.", tmp_path, names=False)


def test_the_entry_is_one_that_the_space_ranks(run: Path) -> None:
    spec = importlib.util.spec_from_file_location("leaderboard_for_publishing", ROOT / "hub_space" / "leaderboard.py")
    assert spec is not None
    assert spec.loader is not None
    board = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = board
    spec.loader.exec_module(board)
    files = published_files(run)
    content = next(content for path, content in files.items() if path.startswith("entries/"))
    entry = board.parse_entry(content)
    reached = entry.results[0].pb80
    assert reached.value == 8
    assert reached.low <= reached.value <= reached.high
    assert published_files(run) == files


def test_an_unfinished_run_and_a_wrong_name_are_one_line(run: Path) -> None:
    wrong = call("publish", str(run), "--to", "nobody", "--dry-run")
    assert wrong.exit_code == 2
    assert "owner/" in wrong.output
    RunStore(run).samples_path("ideal", "copy", METHODS[0]).unlink()
    result = call("publish", str(run), "--to", REPO, "--dry-run")
    assert result.exit_code == 2
    assert "1 of 6 settings are missing" in result.output


def _publish(hub: LoopbackHub, run: Path, home: Path, *more: str) -> subprocess.CompletedProcess[str]:
    code = "from benchmark.cli import main; main()"
    command = [sys.executable, "-c", code, "publish", str(run), "--to", REPO, *more]
    environment = hub.environment(home, TOKEN)
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_a_run_is_one_commit_and_a_second_time_none(run: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with loopback_hub({TOKEN: "ada"}) as hub:
        dry = _publish(hub, run, home, "--dry-run")
        assert dry.returncode == 0, dry.stderr
        assert hub.log == []
        first = _publish(hub, run, home)
        assert first.returncode == 0, first.stderr
        there = hub.files("dataset", REPO)
        assert {path: there[path] for path in there if path != ".gitattributes"} == published_files(run)
        titles = list(hub.repositories["dataset", REPO].titles.values())
        assert len(titles) == 2
        again = _publish(hub, run, home)
        assert "is there already, with the same content" in again.stdout
        assert list(hub.repositories["dataset", REPO].titles.values()) == titles
        # Another run joins it, and takes nothing away.
        other = write_run(tmp_path / "other", METHODS[:2], ["copy"], samples=6).directory
        assert _publish(hub, other, home).returncode == 0
        assert there.keys() < hub.files("dataset", REPO).keys()
        assert TOKEN not in first.stdout + first.stderr
