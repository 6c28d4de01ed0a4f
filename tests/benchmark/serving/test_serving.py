"""The server on real sockets: what it answers, what it refuses, and what it withstands."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from serving_models import POISON
from support import call

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("httpx")
import httpx

from benchmark.models.own import load_own
from benchmark.protocol.method import Method, expand
from benchmark.serving.app import LARGEST_BODY
from benchmark.serving.server import KEY, ServeOptions, make_server

METHOD = "confidence:k=2,block_length=4"
NEW = 16


def method_of(text: str) -> Method:
    return expand(text, 1, sweep=False)[0]


@dataclass
class Served:
    """A server that is there."""

    url: str
    server: Any
    notices: list[str]

    def ask(self, text: str = "Hello", timeout: float = 60, **fields: Any) -> Any:
        return httpx.post(f"{self.url}/chat/completions", json=body(text, **fields), timeout=timeout)

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(self.url.removesuffix("/v1") + "/health").json()
        return found

    def until(self, what: Any) -> None:
        """Wait until something is so."""
        for _ in range(400):
            if what(self.health()):
                return
            time.sleep(0.02)
        raise AssertionError(self.health())


def body(text: str = "Hello", **fields: Any) -> dict[str, Any]:
    return {"model": "toy", "messages": [{"role": "user", "content": text}], "max_tokens": NEW, **fields}


@contextmanager
def serving(model: str = "serving_models:toy", **options: Any) -> Iterator[Served]:
    there, found = threading.Event(), {}

    def ready(url: str, line: str) -> None:
        found["url"] = url
        there.set()

    notices: list[str] = []
    wanted = {"method": method_of(METHOD), "name": "toy", "port": 0, "batch_size": 8, "grace": 10.0, **options}
    server = make_server(ServeOptions(model=model, **wanted), ready, notices.append)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert there.wait(20)
        yield Served(found["url"], server, notices)
    finally:
        server.stop()
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as found:
        yield found


def events(response: Any) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_an_answer_has_a_text_and_what_it_took(served: Served) -> None:
    found = served.ask().json()
    choice = found["choices"][0]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["content"]
    usage = found["usage"]
    assert (usage["completion_tokens"], usage["steps"], usage["tokens_per_step"]) == (NEW, NEW / 2, 2.0)
    assert (usage["generated_tokens"], usage["forward_passes"]) == (NEW, NEW / 2)
    assert usage["total_tokens"] == usage["prompt_tokens"] + NEW
    assert served.ask().json()["choices"] == found["choices"]


def test_blocks_are_streamed_as_they_are_finished(served: Served) -> None:
    whole = served.ask().json()["choices"][0]["message"]["content"]
    asked = body(stream=True, stream_options={"include_usage": True})
    with httpx.stream("POST", f"{served.url}/chat/completions", json=asked) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        *pieces, last = events(response)
    texts = [piece["choices"][0]["delta"].get("content") for piece in pieces]
    assert "".join(text or "" for text in texts) == whole
    assert 3 <= len([text for text in texts if text]) <= 4
    assert pieces[-1]["choices"][0]["finish_reason"] == "length"
    assert last["usage"]["completion_tokens"] == NEW


def test_a_stop_text_ends_an_answer_and_its_decoding(served: Served) -> None:
    whole = served.ask().json()
    text = whole["choices"][0]["message"]["content"]
    stop = text[4:6]
    found = served.ask(stop=["never", stop]).json()
    assert found["choices"][0]["message"]["content"] == text[: text.index(stop)]
    assert found["choices"][0]["finish_reason"] == "stop"
    assert found["usage"]["steps"] < whole["usage"]["steps"]
    with httpx.stream("POST", f"{served.url}/chat/completions", json=body(stop=stop, stream=True)) as response:
        streamed = events(response)
    assert "".join(event["choices"][0]["delta"].get("content", "") for event in streamed) == text[: text.index(stop)]


def test_a_seed_decides_what_is_drawn(served: Served) -> None:
    drawn = [served.ask(temperature=1.5, seed=seed).json()["choices"] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("fields", "status", "line"),
    [
        ({"model": "other"}, 404, "there is no model 'other' here; the server has toy"),
        ({"messages": []}, 400, "messages=[]: list should have at least 1 item after validation, not 0"),
        ({"messages": "Hello"}, 400, 'messages="Hello": input should be a valid list'),
        ({"max_tokens": 0}, 400, "max_tokens=0: input should be greater than or equal to 1"),
        ({"max_tokens": 5000}, 400, "max_tokens=5000 is above 4096, the most here"),
        ({"max_tokens": 128}, 400, "and max_tokens=128 do not fit into the model's context of 128 tokens"),
        ({"temperature": -1}, 400, "temperature=-1: input should be greater than or equal to 0"),
        ({"temperature": "hot"}, 400, 'temperature="hot": input should be a valid number'),
        ({"n": 2}, 400, "n=2 is not done here; leave it out"),
        ({"top_p": 0.9}, 400, "top_p=0.9 is not done here; leave it out"),
        ({"logprobs": True}, 400, "logprobs=true is not done here; leave it out"),
        ({"tools": [{"type": "function"}]}, 400, 'tools=[{"type": "function"}] is not done here; leave it out'),
        ({"thinking": {"budget": 3}}, 400, 'thinking={"budget": 3} is not known here; leave it out'),
        ({"stop": ["a"] * 17}, 400, "list should have at most 16 items after validation, not 17"),
        ({"chat_template_kwargs": {"enable_thinking": False}}, 400, "does not know enable_thinking"),
    ],
)
def test_what_is_not_done_is_one_line(served: Served, fields: dict[str, Any], status: int, line: str) -> None:
    answer = served.ask(**fields)
    assert answer.status_code == status
    message = answer.json()["error"]["message"]
    assert line in message
    assert "\n" not in message


def test_what_asks_for_nothing_is_taken(served: Served) -> None:
    fields = {"n": 1, "top_p": 1, "presence_penalty": 0, "tools": None, "user": "me", "stop": None, "logprobs": False}
    assert served.ask(**fields).status_code == 200
    parts = [{"role": "user", "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]}]
    assert served.ask(messages=parts).json()["choices"] == served.ask().json()["choices"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1]", b"[" * 100_000, b"null"])
def test_a_body_that_is_no_request_is_one_line(served: Served, content: bytes) -> None:
    answer = httpx.post(f"{served.url}/chat/completions", content=content)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("the body is")


def test_a_body_that_is_too_long_is_refused_and_its_sender_hears_it(served: Served) -> None:
    for content in (b"x" * 10_000_000, json.dumps(body("x" * 10_000_000)).encode()):
        answer = httpx.post(f"{served.url}/chat/completions", content=content)
        assert answer.status_code == 413
        assert answer.json()["error"]["message"] == f"the body is longer than {LARGEST_BODY} bytes"

    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 100_000

    assert httpx.post(f"{served.url}/chat/completions", content=chunks()).status_code == 413


def test_other_addresses_are_refused_in_the_same_form(served: Served) -> None:
    assert httpx.get(f"{served.url}/nothing").json()["error"]["message"] == "GET /v1/nothing: Not Found"
    assert httpx.get(f"{served.url}/chat/completions").status_code == 405


def test_models_and_health(served: Served) -> None:
    (model,) = httpx.get(f"{served.url}/models").json()["data"]
    assert (model["id"], model["method"]) == ("toy", "confidence(k=2, block_length=4)")
    assert httpx.get(f"{served.url}/models/toy").json() == model
    assert httpx.get(f"{served.url}/models/other").status_code == 404
    assert served.health() == {"status": "ok", "rows": 0, "waiting": 0}


@pytest.mark.slow
def test_two_hundred_clients_at_once_all_have_their_answer(served: Served) -> None:
    texts = [f"question {number % 20}" for number in range(200)]
    with ThreadPoolExecutor(200) as clients:
        answers = list(clients.map(served.ask, texts))
    assert {answer.status_code for answer in answers} == {200}
    found: dict[str, set[str]] = {}
    for text, answer in zip(texts, answers, strict=True):
        found.setdefault(text, set()).add(answer.json()["choices"][0]["message"]["content"])
    # What an answer is does not hang on what stands beside it.
    assert all(len(same) == 1 for same in found.values())
    assert served.health() == {"status": "ok", "rows": 0, "waiting": 0}


def test_requests_that_come_later_join_between_blocks() -> None:
    with serving("serving_models:toy(delay=0.03)") as slow, ThreadPoolExecutor(3) as clients:
        first = clients.submit(slow.ask, max_tokens=64)
        slow.until(lambda health: health["rows"] == 1)
        others = [clients.submit(slow.ask, f"{number}", max_tokens=8) for number in range(2)]
        for other in others:
            assert other.result().status_code == 200
        # Those that came later are done before what was under way when they came.
        assert not first.done()
        assert first.result().json()["usage"]["completion_tokens"] == 64


def test_whoever_hangs_up_frees_the_row() -> None:
    with serving("serving_models:toy(delay=0.03)", batch_size=1) as slow:
        with httpx.stream("POST", f"{slow.url}/chat/completions", json=body(stream=True, max_tokens=100)) as response:
            # Lines that nobody keeps would end the stream at once.
            lines = response.iter_lines()
            next(lines)
            assert slow.health()["rows"] == 1
        slow.until(lambda health: health["rows"] == 0)
        # So does one that waits for a whole answer, and one that has no row yet.
        with ThreadPoolExecutor(2) as clients:
            waiting = [clients.submit(slow.ask, timeout=0.3, max_tokens=100) for _ in range(2)]
            assert all(isinstance(one.exception(), httpx.ReadTimeout) for one in waiting)
        slow.until(lambda health: health["rows"] == health["waiting"] == 0)
        assert slow.ask().status_code == 200


@pytest.mark.slow
def test_a_queue_that_is_full_says_when_to_come_back() -> None:
    with serving("serving_models:toy(delay=0.05)", batch_size=1, queue=1) as slow, ThreadPoolExecutor(2) as clients:
        first = clients.submit(slow.ask, max_tokens=100)
        slow.until(lambda health: health["rows"] == 1)
        second = clients.submit(slow.ask, max_tokens=100)
        slow.until(lambda health: health["waiting"] == 1)
        refused = slow.ask()
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.json()["error"]["message"] == "1 requests wait already; come back later"
        assert first.result().status_code == second.result().status_code == 200


def test_a_batch_that_does_not_fit_is_halved_and_all_are_answered() -> None:
    with serving("serving_models:toy(delay=0.02, most=2)") as small:
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(small.ask, [f"{number}" for number in range(8)]))
        assert {answer.status_code for answer in answers} == {200}
        assert small.notices
        assert all("did not fit into memory" in notice for notice in small.notices)


def test_what_does_not_fit_alone_is_told_so() -> None:
    with serving("serving_models:toy(most=0)") as none:
        for stream in (False, True):
            answer = none.ask(stream=stream)
            assert answer.status_code == 413
            assert answer.json()["error"]["message"].startswith("the memory is too small for a prompt of")


def test_a_model_that_fails_does_not_take_the_server_along(served: Served) -> None:
    answer = served.ask(POISON)
    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == "the model failed: ZeroDivisionError"
    assert served.ask().status_code == 200


def test_a_key_of_the_environment_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "sk-of-the-server")
    with serving() as locked:
        assert locked.health()["status"] == "ok"
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer ü".encode()}):
            for answer in (
                httpx.get(f"{locked.url}/models", headers=headers),
                httpx.post(f"{locked.url}/chat/completions", json=body(), headers=headers),
            ):
                assert answer.status_code == 401
                assert "sk-of-the-server" not in answer.text
        right = {"Authorization": "Bearer sk-of-the-server"}
        assert httpx.post(f"{locked.url}/chat/completions", json=body(), headers=right).status_code == 200


def test_what_others_can_reach_takes_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY, raising=False)
    result = call("serve", "--model", "reference", "--host", "0.0.0.0", "--port", "0")
    assert result.exit_code == 2
    assert f"it takes a key; set {KEY} in the environment" in result.output


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--model", "ideal"], "ideal is a table of right answers"),
        (["--model", "ar:gpt2"], "ar:gpt2 is no diffusion model"),
        (["--model", "reference", "--scheduler", "confidence:k=[1,2]"], "stands for 2 methods; name one"),
        (["--model", "reference", "--scheduler", "served"], "served"),
    ],
)
def test_what_cannot_be_served_is_one_line(arguments: list[str], line: str) -> None:
    result = call("serve", *arguments)
    assert result.exit_code == 2
    assert line in result.output


@contextmanager
def process(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command as a process of its own, and its address."""
    command = [str(Path(sys.executable).with_name("parallelbench")), "serve"]
    tests = str(Path(__file__).resolve().parents[2])
    model = ["--model", "serving_models:toy(delay=0.05)", "--name", "toy"]
    done = subprocess.Popen(
        [*command, *model, "--port", "0", "--batch-size", "2", *options],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": tests, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert done.stdout is not None
        yield done, done.stdout.readline().split(" at ")[1].split(",")[0]
    finally:
        done.kill()
        done.wait(10)


@pytest.mark.slow
def test_sigterm_ends_what_is_under_way_and_refuses_the_rest() -> None:
    with process("--scheduler", METHOD) as (server, url), ThreadPoolExecutor(5) as clients:
        there = Served(url, None, [])
        under_way = [clients.submit(there.ask, max_tokens=60) for _ in range(2)]
        there.until(lambda health: health["rows"] == 2)
        waiting = [clients.submit(there.ask, max_tokens=60) for _ in range(3)]
        there.until(lambda health: health["waiting"] == 3)
        server.send_signal(signal.SIGTERM)
        for one in waiting:
            assert one.result(20).status_code == 503
            assert one.result().json()["error"]["message"] == "the server is stopping"
        assert [one.result(20).json()["usage"]["completion_tokens"] for one in under_way] == [60, 60]
        assert server.wait(20) in (0, -signal.SIGTERM)


@pytest.mark.slow
def test_what_takes_longer_than_the_grace_is_given_up() -> None:
    with process("--scheduler", "confidence:k=1", "--grace", "1") as (server, url), ThreadPoolExecutor(2) as clients:
        there = Served(url, None, [])
        asked = [clients.submit(there.ask, max_tokens=100, stream=stream) for stream in (False, True)]
        there.until(lambda health: health["rows"] + health["waiting"] == 2)
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        assert [one.result(20).status_code for one in asked] == [503, 503]
        server.wait(20)
        assert time.monotonic() - began < 5


@pytest.mark.slow
def test_ctrl_c_ends_it_without_a_traceback() -> None:
    with process() as (server, url):
        # A connection that says nothing keeps nobody waiting.
        silent = socket.create_connection(("127.0.0.1", int(url.split(":")[2].split("/")[0])))
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0
        silent.close()


def test_a_model_of_ones_own_is_made_once() -> None:
    model = load_own("serving_models:toy", ServeOptions("x", method_of(METHOD)).for_model)
    assert model.context_length == 128
