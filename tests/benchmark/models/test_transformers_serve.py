"""A real server, `transformers serve` with a tiny model, asked as a service: it answers as the model here does."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import call
from tiny_models import save_llama

from benchmark.protocol.method import Method
from benchmark.store.runs import RunStore

pytest.importorskip("openai")
pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("elsewhere", "without_report")]

TASKS = ("waiting_line_copy", "puzzle_sudoku_n4_12")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def url(llama: Path) -> Iterator[str]:
    """The address of the server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(llama)]
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    log = llama / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen([*command, *options], stdout=output, stderr=subprocess.STDOUT)
        try:
            for _ in range(600):
                assert process.poll() is None, log.read_text()
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                        break
                except OSError:
                    time.sleep(0.2)
            else:
                pytest.fail(f"the server did not start: {log.read_text()}")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(30)


def facts(sample: dict[str, Any]) -> list[Any]:
    """What is the same wherever an answer comes from; a server streams no half letter, where an answer is cut there."""
    keys = ("id", "num_tokens", "num_forward_passes", "tokens_per_step", "scores")
    return [sample["prediction"].rstrip("\ufffd"), *(sample[key] for key in keys)]


def test_a_served_model_gives_the_answers_that_it_gives_in_process(llama: Path, url: str) -> None:
    tasks = [part for task in TASKS for part in ("--task", task)]
    arguments = [*tasks, "--samples", "6", "--max-new-tokens", "30", "--allow-unanswerable", "--output", "run"]
    models = ["--model", f"api:{llama}", "--model", f"ar:{llama}", "--base-url", url, "--concurrency", "3"]
    result = call("run", *models, "--scheduler", "autoregressive", *arguments)
    assert result.exit_code == 0, result.output
    store, method = RunStore("run"), Method.parse("autoregressive")
    ended = set()
    for task in TASKS:
        served, here = (store.read_samples(f"{kind}:{llama}", task, method) for kind in ("api", "ar"))
        assert [facts(sample) for sample in served] == [facts(sample) for sample in here]
        ended |= {sample["num_tokens"] < 30 for sample in here}
        assert all(0 < sample["seconds_to_first_token"] <= sample["seconds_to_last_token"] for sample in served)
    assert ended == {True, False}


def test_a_server_of_another_model_says_so(url: str) -> None:
    arguments = ["--task", TASKS[0], "--samples", "1", "--max-new-tokens", "4", "--output", "run"]
    result = call("run", "--model", f"api:huge@{url}", *arguments)
    assert "Server is pinned to" in result.output
