"""A request to a service that meets every kind of trouble: made again where that may help, else one line of why."""

import asyncio
import random
import time
import traceback
from collections.abc import Iterator
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback_service import MODEL, LoopbackService, Trouble, loopback_service

from benchmark.models.asking import Asker, Patience, Reply, Unanswered, _message_of, _seconds_to_wait

openai = pytest.importorskip("openai")
KEY = "sk-loopback-0123456789"
FIELDS = {"model": MODEL, "messages": [{"role": "user", "content": "How are things?"}], "max_tokens": 20}
QUICK = Patience(first_wait=0.01)
ONCE = Patience(attempts=1)


@pytest.fixture(scope="module")
def running() -> Iterator[LoopbackService]:
    with loopback_service(key=KEY) as server:
        yield server


@pytest.fixture
def server(running: LoopbackService) -> LoopbackService:
    """One that has met nobody."""
    running.requests.clear()
    running.times.clear()
    running.trouble.clear()
    running.always = None
    return running


def ask(
    server: LoopbackService,
    patience: Patience = QUICK,
    *,
    times: int = 1,
    timeout: float = 5.0,
    states: bool = False,
    key: str = KEY,
    url: str | None = None,
    **fields: Any,
) -> Reply:
    """The answer to a request that is made so many times at once; the first one's."""

    async def run() -> Reply:
        async with openai.AsyncOpenAI(base_url=url or server.url, api_key=key, max_retries=0, timeout=None) as client:
            asker = Asker(client, key=key, timeout=timeout, streams_states=states, patience=patience)
            replies = await asyncio.gather(*(asker.ask({**FIELDS, **fields}, 20) for _ in range(times)))
        return replies[0]

    return asyncio.run(run())


def test_an_answer_has_its_text_the_servers_count_and_two_times(server: LoopbackService) -> None:
    server.slow = 0.02
    reply = ask(server)
    server.slow = 0.0
    assert (reply.text, reply.tokens, reply.hidden_tokens, reply.pieces) == ("all is well", 3, 0, 3)
    assert 0.02 <= reply.seconds_to_first <= reply.seconds_to_last - 0.03
    (body,) = server.requests
    assert body == {**FIELDS, "stream": True, "stream_options": {"include_usage": True}}


def test_an_answer_of_nothing_is_an_answer(server: LoopbackService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "answer", lambda body: "")
    reply = ask(server)
    assert (reply.text, reply.tokens, reply.pieces) == ("", 0, 0)
    assert reply.seconds_to_first == reply.seconds_to_last > 0


def test_states_take_each_others_place_and_are_counted(server: LoopbackService) -> None:
    reply = ask(server, states=True, diffusing=True)
    assert (reply.text, reply.pieces) == ("all is well", 3)


def test_a_server_without_counts_is_not_asked_again(server: LoopbackService) -> None:
    server.always = "no counts"
    reply = ask(server)
    assert (reply.text, reply.tokens, reply.pieces, len(server.requests)) == ("all is well", None, 3, 1)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (429, "HTTP 429: trouble number 429"),
        (500, "HTTP 500: trouble number 500"),
        (503, "HTTP 503"),
        ("cut", "connection failed"),
        ("cut quietly", "cut off"),
        ("half json", "not JSON"),
        ("html", "no choice"),
        ("no choice", "no choice"),
        ("null choice", "no choice"),
        ("error in the stream", "broke off: the engine died"),
    ],
)
def test_what_may_pass_is_asked_again(server: LoopbackService, trouble: Trouble, reason: str) -> None:
    server.trouble = [trouble, trouble]
    assert ask(server).text == "all is well"
    assert len(server.requests) == 3
    server.trouble = [trouble]
    with pytest.raises(Unanswered, match=reason):
        ask(server, ONCE)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (400, "HTTP 400: trouble number 400"),
        (413, "HTTP 413"),
        (422, "HTTP 422"),
        ("filter", "content_filter"),
        ("endless", "does not end"),
        ("endless thought", "does not end"),
    ],
)
def test_what_will_not_pass_is_asked_once(server: LoopbackService, trouble: Trouble, reason: str) -> None:
    server.always = trouble
    with pytest.raises(Unanswered, match=reason):
        ask(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize("trouble", ["silence", "pings"])
def test_silence_is_given_up_and_asked_again_whatever_is_said_to_keep_awake(
    server: LoopbackService, trouble: Trouble
) -> None:
    server.trouble = [trouble]
    started = time.monotonic()
    assert ask(server, timeout=0.3).text == "all is well"
    assert time.monotonic() - started < 5
    server.always = trouble
    with pytest.raises(Unanswered, match=r"nothing came for 0\.2 seconds"):
        ask(server, ONCE, timeout=0.2)


def test_an_answer_may_take_longer_than_the_silence_that_is_borne(
    server: LoopbackService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "slow", 0.2)
    assert ask(server, ONCE, timeout=0.4).seconds_to_last > 0.5


def test_a_server_that_asks_to_wait_is_obeyed_by_all_requests(server: LoopbackService) -> None:
    server.trouble = [(429, "0.5")]
    ask(server)
    assert server.times[1] - server.times[0] >= 0.45
    server.requests.clear()
    server.times.clear()
    server.trouble = [(503, "0.5")]
    ask(server, times=3)
    assert sum(moment < server.times[0] + 0.45 for moment in server.times) <= 3
    assert len(server.times) == 4


def test_a_server_that_asks_to_wait_for_too_long_is_not_waited_for(server: LoopbackService) -> None:
    server.always = (429, "3600")
    started = time.monotonic()
    with pytest.raises(Unanswered, match="HTTP 429: come back later") as failure:
        ask(server)
    assert failure.value.wait == 3600
    assert time.monotonic() - started < 5


def test_waits_double_up_to_the_longest_and_the_request_is_made_so_often_and_not_more(
    server: LoopbackService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.0)
    server.always = 500
    with pytest.raises(Unanswered):
        ask(server, Patience(attempts=5, first_wait=0.04, longest_wait=0.15))
    waits = [after - before for before, after in zip(server.times, server.times[1:], strict=False)]
    assert len(server.times) == 5
    for wait, wanted in zip(waits, (0.04, 0.08, 0.15, 0.15), strict=True):
        assert wanted <= wait < wanted + 0.5


def test_a_wrong_key_would_meet_every_request_and_is_named_nowhere(server: LoopbackService) -> None:
    wrong = "sk-wrong-999999999999"
    with pytest.raises(Unanswered, match=r"HTTP 401: Incorrect API key provided: .key.\.") as failure:
        ask(server, key=wrong)
    assert failure.value.for_all
    assert len(server.requests) == 1
    assert wrong not in "".join(traceback.format_exception(failure.value))


def test_an_unknown_model_and_an_unknown_path_would_meet_every_request(server: LoopbackService) -> None:
    for change in ({"model": "huge"}, {"url": server.url.removesuffix("/v1") + "/nowhere"}):
        with pytest.raises(Unanswered, match="HTTP 404") as failure:
            ask(server, **change)  # type: ignore[arg-type]
        assert failure.value.for_all


def test_nobody_there_is_asked_again() -> None:
    with loopback_service() as gone:
        pass
    with pytest.raises(Unanswered, match="connection failed") as failure:
        ask(gone, Patience(attempts=2, first_wait=0.01))
    assert failure.value.again


@pytest.mark.parametrize("value", ["", "soon", "inf", "nan", "Wed, 99 Foo 2026"])
def test_a_wait_that_cannot_be_read_is_none(value: str) -> None:
    assert _seconds_to_wait({"retry-after": value}) is None


def test_a_wait_is_a_number_of_seconds_or_a_date() -> None:
    assert _seconds_to_wait({}) is None
    assert _seconds_to_wait({"retry-after": "2.5"}) == 2.5
    assert _seconds_to_wait({"retry-after": "-3"}) == 0
    assert _seconds_to_wait({"retry-after": "1", "retry-after-ms": "250"}) == 0.25
    assert _seconds_to_wait({"retry-after": "1", "retry-after-ms": "soon"}) == 1
    assert 50 < (_seconds_to_wait({"retry-after": formatdate(time.time() + 60, usegmt=True)}) or 0) <= 60
    assert _seconds_to_wait({"retry-after": formatdate(0, usegmt=True)}) == 0


@given(st.text(max_size=40))
def test_whatever_a_server_says_of_waiting_is_no_error(value: str) -> None:
    seconds = _seconds_to_wait({"retry-after": value})
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("404 page not found", "page not found"),
        ("404: no such model", "no such model"),
        ("4040 tokens are too many", "4040 tokens are too many"),
        ("model 404 not found", "model 404 not found"),
        ("Error code: 404", ""),
        (None, ""),
    ],
)
def test_a_status_is_said_once(said: str | None, left: str) -> None:
    # Without a body the client has words of its own.
    assert _message_of(404, SimpleNamespace(body=said, message="Error code: 404")) == left
