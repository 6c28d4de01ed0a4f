"""Models by name, from a Hub on loopback, through the real client: revisions, mistakes, and a download cut short."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback_hub import LoopbackHub, Refusal, Repository, loopback_hub
from random_checkpoint import TINY_CONFIGS, write_checkpoint
from support import ROOT

LOAD = """
import json, sys
from samplers import models
for name, revision in json.loads(sys.argv[1]):
    try:
        model = models.load(name, revision=revision)
        print(model.revision, model.config.block_size, sum(float(p.double().sum()) for p in model.parameters()))
    except ValueError as error:
        print("ValueError:", error)
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("hub") / "sdar", TINY_CONFIGS["sdar"], shards=2)


@pytest.fixture
def hub(checkpoint: Path) -> Iterator[LoopbackHub]:
    with loopback_hub({}) as running:
        repository = running.repositories["model", "ada/tiny-sdar"] = Repository("model", "ada/tiny-sdar", None)
        files = {path.name: path.read_bytes() for path in checkpoint.iterdir()}
        repository.commit(files | {"modeling_sdar.py": b"raise SystemExit"}, "first")
        repository.refs["v1"] = repository.refs["main"]
        config = files["config.json"].replace(b'"block_size": 4', b'"block_size": 8')
        repository.commit(files | {"config.json": config}, "second")
        yield running


def load(hub: LoopbackHub, home: Path, *calls: tuple[str, str | None], before: str = "", **variables: str) -> list[str]:
    """What loading by name and revision prints, one line per call; `before` is run first."""
    result = subprocess.run(
        [sys.executable, "-c", before + LOAD, json.dumps(calls)],
        cwd=ROOT,
        env=hub.environment(home) | variables,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.mark.slow
def test_model_by_name_is_pinned_to_its_commit(hub: LoopbackHub, tmp_path: Path) -> None:
    repository = hub.repositories["model", "ada/tiny-sdar"]
    newest, tagged = (line.split() for line in load(hub, tmp_path, ("ada/tiny-sdar", None), ("ada/tiny-sdar", "v1")))
    assert newest[:2] == [repository.refs["main"], "8"]
    assert tagged[:2] == [repository.refs["v1"], "4"]
    assert newest[2] == tagged[2]
    # Nobody's code is even fetched.
    assert hub.log
    assert not any(path.endswith(".py") for _, path, _ in hub.log)
    # From now on the cache will do.
    offline = load(hub, tmp_path, ("ada/tiny-sdar", "v1"), ("ada/other", None), HF_HUB_OFFLINE="1")
    assert offline[0].split() == tagged
    assert offline[1].startswith("ValueError: 'ada/other' is neither a directory nor in the Hub's cache, and http")


@pytest.mark.slow
def test_wrong_names_are_one_line_each(hub: LoopbackHub, tmp_path: Path) -> None:
    for name, content in (
        ("ada/empty", {}),
        ("ada/no-weights", {"config.json": json.dumps(TINY_CONFIGS["sdar"]).encode()}),
    ):
        repository = hub.repositories["model", name] = Repository("model", name, None)
        repository.commit({"README.md": b"# nothing yet", **content}, "first")
    expected = {
        ("ada/nothing", None): "there is no model 'ada/nothing': no directory of this name, and no repository",
        ("nothing", None): "there is no model 'nothing'",
        ("ada/tiny sdar!", None): "there is no model 'ada/tiny sdar!'",
        ("ada/tiny-sdar", "v9"): "has no revision 'v9'",
        ("ada/empty", None): "'ada/empty' has no config.json, so it holds no model",
        ("ada/no-weights", None): "'ada/no-weights' has no model.safetensors, neither in its repository nor",
    }
    printed = load(hub, tmp_path, *expected)
    assert len(printed) == len(expected)
    for line, message in zip(printed, expected.values(), strict=True):
        assert line.startswith("ValueError:")
        assert message in line


@pytest.mark.slow
def test_hub_that_cannot_be_reached_is_one_line(hub: LoopbackHub, tmp_path: Path) -> None:
    (printed,) = load(hub, tmp_path, ("ada/tiny-sdar", None), HF_ENDPOINT="http://127.0.0.1:9")
    assert printed.startswith("ValueError: 'ada/tiny-sdar' is neither a directory nor in the Hub's cache")
    assert printed.endswith("http://127.0.0.1:9 cannot be reached")


@pytest.mark.slow
def test_what_the_hub_refuses_is_one_line_with_its_reason(hub: LoopbackHub, tmp_path: Path) -> None:
    expected = {
        "ada/gated": (Refusal(403, "GatedRepo", "ask for access"), "is gated: accept its terms there"),
        "ada/private": (Refusal(401, "RepoNotFound", "log in"), "there is no model 'ada/private'"),
        "ada/expired": (
            Refusal(401, "", "Invalid credentials in Authorization header"),
            "does not accept the token (401): log in again",
        ),
        "ada/banned": (
            Refusal(403, "", "Access to this resource is disabled."),
            "cannot be read (403): Access to this",
        ),
        "ada/broken": (
            Refusal(500, "", "try later"),
            "'ada/broken' on " + hub.url + " cannot be read (500): try later",
        ),
    }
    hub.refusals |= {name: refusal for name, (refusal, _) in expected.items()}
    printed = load(hub, tmp_path, *((name, None) for name in expected), HF_TOKEN="hf_secret")
    assert len(printed) == len(expected)
    for line, (_, message) in zip(printed, expected.values(), strict=True):
        assert line.startswith("ValueError:")
        assert message in line
        assert "hf_secret" not in line


@pytest.mark.slow
def test_download_without_room_for_it_is_one_line(hub: LoopbackHub, tmp_path: Path) -> None:
    # A limit on the size of files fails where a full disk does: in the middle of writing one.
    size = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
    (printed,) = load(hub, tmp_path, ("ada/tiny-sdar", None), before=size)
    assert printed == (
        f"ValueError: 'ada/tiny-sdar' cannot be written into the Hub's cache, {tmp_path / 'hub'}: File too large"
    )


@pytest.mark.slow
def test_part_of_a_model_is_not_taken_for_all_of_it_where_there_is_no_hub(hub: LoopbackHub, tmp_path: Path) -> None:
    (newest,) = load(hub, tmp_path, ("ada/tiny-sdar", None))
    (snapshot,) = (tmp_path / "hub").glob("models--ada--tiny-sdar/snapshots/*")
    (snapshot / "model-00001-of-00002.safetensors").unlink()
    (printed,) = load(hub, tmp_path, ("ada/tiny-sdar", None), HF_HUB_OFFLINE="1")
    assert printed.startswith("ValueError: 'ada/tiny-sdar' is only in part in the Hub's cache, and http")
    assert load(hub, tmp_path, ("ada/tiny-sdar", None)) == [newest]


@pytest.mark.slow
def test_interrupted_download_goes_on_where_it_stopped(hub: LoopbackHub, tmp_path: Path) -> None:
    # The client writes ten megabytes at a time; what had arrived of the next ten is lost.
    folder = write_checkpoint(tmp_path / "sdar", TINY_CONFIGS["sdar"] | {"vocab_size": 100_000})
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.repositories["model", "ada/large"] = Repository("model", "ada/large", None)
    hub.repositories["model", "ada/large"].commit(files, "first")
    hub.cut_after["model.safetensors"] = 15_000_000
    (printed,) = load(hub, tmp_path / "home", ("ada/large", None))
    assert printed.split()[1] == "4"
    asked = [wanted for path, wanted in hub.ranges if path == "model.safetensors"]
    assert asked == ["", f"bytes={10 * 2**20}-"]
