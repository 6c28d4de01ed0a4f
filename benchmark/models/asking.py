"""One request to a service: its stream read to the end, and made again where that may help."""

from __future__ import annotations

import asyncio
import email.utils
import json
import random
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

# Errors of which the same request may get an answer a little later.
_PASSING = (408, 409, 425, 429)
# Errors that every other request would meet as well: the key is wrong, or the address, or the model's name. (What is
# forbidden, 403, may be so because of what was asked.)
_SAME_FOR_ALL = (401, 404)
_LONGEST_REASON = 300
# No token has more letters; a stream that is longer than that ignores how many tokens it was asked for.
_LETTERS_PER_TOKEN, _LETTERS = 200, 10_000
_STATES_PER_TOKEN, _STATES = 10, 1_000
_KEYS = re.compile(r"\b(?:sk|key)[-_][A-Za-z0-9_*-]{6,}")


class Work(NamedTuple):
    """What an answer took of a diffusion model.

    `generated_tokens` are those that were decoded, with all that follows the answer's end; `steps` is how often it
    waited for the model, and `forward_passes` counts the states of it that went through.
    """

    generated_tokens: int
    steps: int
    forward_passes: int


class Reply(NamedTuple):
    """What a service answered.

    `tokens` is the server's count, None where it gave none, and `hidden_tokens` those of them that are no part of the
    text. `pieces` is how many parts the text came in, or how many states. Seconds count from the request. `work` is
    what a server of a diffusion model says of the decoding, as `parallelbench serve` does.
    """

    text: str
    tokens: int | None
    hidden_tokens: int
    pieces: int
    seconds_to_first: float
    seconds_to_last: float
    work: Work | None = None


class Unanswered(Exception):
    """A request that got no answer.

    Attributes:
        reason: one line that names no key.
        again: whether the same request may be answered later.
        for_all: whether every other request of the run would meet the same.
        wait: seconds that the server asked to wait, None where it did not say.
    """

    def __init__(self, reason: str, *, again: bool = True, for_all: bool = False, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.again, self.for_all, self.wait = reason, again, for_all, wait


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a request is made, and what is waited in between; seconds.

    Attributes:
        attempts: how often at most.
        first_wait: before the second attempt; each further wait is twice as long, less up to a quarter at random.
        longest_wait: of these.
        longest_asked: what a server may ask to wait (`Retry-After`); a request is given up where it asks for more.
    """

    attempts: int = 8
    first_wait: float = 0.5
    longest_wait: float = 30.0
    longest_asked: float = 900.0


class Asker:
    """Makes requests with one client; when a server asks to wait, all requests wait.

    Args:
        client: an `openai.AsyncOpenAI` without retries of its own, which end with the first byte of an answer.
        key: what must not stand in any reason.
        timeout: seconds of silence after which a request is given up.
        streams_states: whether each piece of a stream is the whole answer.
        patience: how often a request is made.
    """

    def __init__(
        self, client: Any, *, key: str | None, timeout: float, streams_states: bool, patience: Patience
    ) -> None:
        self._client = client
        # Found now: the client imports it then, which should not count as waiting for a first token.
        self._completions = client.chat.completions
        self._key = key
        self._timeout = timeout
        self._streams_states = streams_states
        self._patience = patience
        self._not_before = 0.0

    async def ask(self, fields: Mapping[str, Any], max_new_tokens: int) -> Reply:
        """The answer to a request.

        Args:
            fields: of the request, without what asks for a stream.
            max_new_tokens: what it asks for; a stream that goes on far beyond is given up.

        Raises:
            Unanswered: there is none, however often the request was made.
        """
        patience = self._patience
        for attempt in range(1, patience.attempts + 1):
            while (left := self._not_before - time.monotonic()) > 0:
                await asyncio.sleep(left)
            try:
                return await self._ask_once(fields, max_new_tokens)
            except Unanswered as failure:
                too_long = failure.wait is not None and failure.wait > patience.longest_asked
                if not failure.again or too_long or attempt == patience.attempts:
                    raise
                wait = min(patience.first_wait * 2 ** (attempt - 1), patience.longest_wait)
                wait *= 1 - random.random() / 4
                if failure.wait is not None:
                    wait = failure.wait
                    self._not_before = max(self._not_before, time.monotonic() + wait)
            await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    async def models(self) -> list[str]:
        """Names of the models that a server says it has; none where it does not say.

        Raises:
            Unanswered: it cannot be reached, or takes the key for a wrong one.
        """
        import openai

        names: list[str] = []
        try:
            async with asyncio.timeout(self._timeout):
                page = await self._client.models.list()
                names = [str(getattr(model, "id", "")) for model in getattr(page, "data", None) or []]
        except (openai.APIError, TimeoutError) as error:
            failure = self._failure(error)
            # A server need not have such a list, and a key need not be good for it.
            if not isinstance(error, openai.APIStatusError) or error.status_code == 401:
                raise failure from None
        except ValueError:
            pass
        return names

    async def _ask_once(self, fields: Mapping[str, Any], max_new_tokens: int) -> Reply:
        import openai

        broken: tuple[type[Exception], ...] = (openai.APIError, TimeoutError, *_transport_errors())
        loop, started = asyncio.get_running_loop(), time.perf_counter()
        reading = _Reading(self._streams_states, max_new_tokens)
        try:
            async with asyncio.timeout(self._timeout) as silence:
                stream = await self._completions.create(
                    model=fields["model"],
                    messages=fields["messages"],
                    stream=True,
                    stream_options={"include_usage": True},
                    extra_body={key: value for key, value in fields.items() if key not in ("model", "messages")},
                )
                async with stream:
                    async for chunk in stream:
                        if reading.add(chunk, time.perf_counter() - started):
                            silence.reschedule(loop.time() + self._timeout)
        except broken as error:
            raise self._failure(error) from None
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise Unanswered("the server sent something that is not JSON") from None
        except Unanswered as failure:
            raise Unanswered(self._clean(failure.reason), again=failure.again) from None
        return reading.reply(time.perf_counter() - started)

    def _failure(self, error: Exception) -> Unanswered:
        """What an error of the client means."""
        import openai

        if isinstance(error, TimeoutError | openai.APITimeoutError):
            return Unanswered(f"nothing came for {self._timeout:g} seconds")
        if isinstance(error, openai.APIStatusError):
            status = error.status_code
            return Unanswered(
                self._clean(": ".join(filter(None, (f"HTTP {status}", _message_of(status, error))))),
                again=status in _PASSING or status >= 500,
                for_all=status in _SAME_FOR_ALL,
                wait=_seconds_to_wait(error.response.headers),
            )
        if isinstance(error, (openai.APIConnectionError, *_transport_errors())):
            causes = _causes(error)
            innermost = str(causes[-1]) or type(causes[-1]).__name__
            if any("CERTIFICATE_VERIFY_FAILED" in str(cause) for cause in causes):
                reason = f"its certificate is not trusted ({innermost})"
                return Unanswered(self._clean(reason), again=False, for_all=True)
            return Unanswered(self._clean(f"the connection failed ({innermost})"))
        # What a server says in the middle of a stream.
        return Unanswered(self._clean(f"the server broke off: {_message(error)}"))

    def _clean(self, reason: str) -> str:
        """One line of a reason, with no key in it."""
        if self._key:
            reason = reason.replace(self._key, "[key]")
        reason = " ".join(_KEYS.sub("[key]", reason).split())
        return reason if len(reason) <= _LONGEST_REASON else f"{reason[: _LONGEST_REASON - 1]}…"


class _Reading:
    """A stream of chunks, put together."""

    def __init__(self, streams_states: bool, max_new_tokens: int) -> None:
        self._streams_states = streams_states
        self._most_letters = _LETTERS_PER_TOKEN * max_new_tokens + _LETTERS
        self._most_states = _STATES_PER_TOKEN * max_new_tokens + _STATES
        self._parts: list[str] = []
        self._letters = self._pieces = self._hidden = 0
        self._tokens: int | None = None
        self._work: Work | None = None
        self._finish: str | None = None
        self._has_choice = False
        self._first: float | None = None
        self._last = 0.0

    def add(self, chunk: Any, seconds: float) -> bool:
        """Take a chunk that came so many seconds after the request; returns whether the answer went on with it.

        Raises:
            Unanswered: the answer is longer than any that was asked for.
        """
        self._count(getattr(chunk, "usage", None))
        choices = getattr(chunk, "choices", None)
        choice = choices[0] if isinstance(choices, list) and choices else None
        delta = getattr(choice, "delta", None)
        if delta is None and choice is None:
            return False
        self._has_choice = True
        self._finish = getattr(choice, "finish_reason", None) or self._finish
        text, thought = getattr(delta, "content", None), getattr(delta, "reasoning_content", None)
        went_on = False
        if isinstance(thought, str) and thought:
            self._letters += len(thought)
            went_on = True
        if isinstance(text, str) and text:
            self._first = seconds if self._first is None else self._first
            self._last = seconds
            self._pieces += 1
            self._letters += 0 if self._streams_states else len(text)
            if self._streams_states:
                self._parts.clear()
            self._parts.append(text)
            went_on = True
        if self._letters > self._most_letters or (self._streams_states and self._pieces > self._most_states):
            raise Unanswered("the answer does not end", again=False)
        return went_on

    def reply(self, seconds: float) -> Reply:
        """What was said, so many seconds after the request.

        Raises:
            Unanswered: the stream held no answer, or not all of it.
        """
        if not self._has_choice:
            raise Unanswered("the server sent no choice")
        if self._finish is None:
            raise Unanswered("the answer was cut off")
        if self._finish == "content_filter":
            raise Unanswered("the service held the answer back (content_filter)", again=False)
        first, last = (seconds, seconds) if self._first is None else (self._first, self._last)
        return Reply("".join(self._parts), self._tokens, self._hidden, self._pieces, first, last, self._work)

    def _count(self, usage: Any) -> None:
        tokens = getattr(usage, "completion_tokens", None)
        if isinstance(tokens, int) and tokens >= 0:
            self._tokens = tokens
            hidden = getattr(getattr(usage, "completion_tokens_details", None), "reasoning_tokens", None)
            self._hidden = hidden if isinstance(hidden, int) and 0 <= hidden <= tokens else 0
        given = (getattr(usage, name, None) for name in Work._fields)
        counts = [count for count in given if type(count) is int and count >= 1]
        if len(counts) == len(Work._fields):
            self._work = Work(*counts)


def _transport_errors() -> tuple[type[Exception], ...]:
    """What earlier clients let through where a connection breaks in the middle of a stream."""
    libraries = (sys.modules.get(name) for name in ("httpx", "httpx2"))
    return tuple(library.TransportError for library in libraries if library is not None)


def _causes(error: BaseException) -> list[BaseException]:
    """An error, what it was raised for, and so on."""
    found = [error]
    while (cause := found[-1].__cause__ or found[-1].__context__) is not None and cause not in found:
        found.append(cause)
    return found


def _message(error: Any) -> str:
    """What a server says of an error, in any of the forms that servers have for it."""
    body = error.body
    for key in ("message", "error", "detail"):
        if isinstance(body, Mapping) and body.get(key):
            body = body[key]
    if isinstance(body, Mapping | list):
        return json.dumps(body)
    return str(body) if body else str(getattr(error, "message", "")) or type(error).__name__


def _message_of(status: int, error: Any) -> str:
    """What a server says, without the status where it begins with that; empty where the client speaks in its place."""
    return re.sub(rf"^(Error code: )?{status}\b[\s:-]*", "", _message(error))


def _seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """What `Retry-After` says, a number of seconds or a date; None where there is nothing that can be read.

    Some services say it in milliseconds as well, in a header of its own, which goes before the rounded seconds.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        # Not NaN either.
        if seconds < float("inf"):
            return max(0.0, seconds)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None
