"""A model behind a server: any that speaks the chat-completions protocol, through the `openai` client."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmark.protocol.method import Method
from benchmark.protocol.operating_points import AUTOREGRESSIVE, OPERATING_POINTS, SERVICE
from benchmark.protocol.questions import Row

from .in_flight import in_flight
from .interface import Answered, AnswerOptions, ModelOptions, Sample, failed_sample, new_sample
from .services import Service, service_at

if TYPE_CHECKING:
    from .asking import Asker, Patience, Reply, Unanswered

#: Tokens that an answer may take at most where nobody says (arXiv 2510.04767).
ANSWER_LENGTH = 1024
# So many questions without an answer, and for one reason, and not one with: no other question will do better.
_ENOUGH_REFUSALS = 5
# A server that is there says so soon.
_SECONDS_TO_BE_THERE = 20.0


class ServiceModel:
    """A model of a server, asked many questions at once, greedy unless the user says otherwise.

    Args:
        name: the model's, as the server knows it; with `@URL` its server's address, in the place of
            `options.base_url`.
        options: address, requests in flight, seconds of silence, and what chat templates are told.

    Raises:
        ValueError: there is no address, or none of a server; its key is not in the environment; or `openai` is not
            installed.
    """

    has_weights = True
    # As many requests as are wanted are in flight already.
    concurrent = False
    answer_length: int | None = ANSWER_LENGTH

    def __init__(self, name: str, options: ModelOptions) -> None:
        self.name = f"{SERVICE}{name}"
        self.options = options
        model, _, address = name.rpartition("@")
        has_address = address.startswith(("http://", "https://"))
        self._model = model if has_address else name
        url = address if has_address else options.base_url
        if not self._model:
            raise ValueError(f"{self.name} names no model; write {SERVICE}NAME or {SERVICE}NAME@URL")
        if url is None:
            raise ValueError(f"{self.name} has no server; give --base-url URL, or write {SERVICE}NAME@URL")
        self.url, self.service = _server(url)
        if options.chat_options and not self.service.has_templates:
            raise ValueError(f"--chat-option: {self.service.host} tells its chat templates nothing")
        if find_spec("openai") is None:
            raise ValueError(f"{self.name} takes the package openai: pip install 'parallelbench[api]'")
        self._key()
        #: How often a request is made; None means the default.
        self.patience: Patience | None = None
        self._is_there = False

    def record(self) -> dict[str, Any]:
        """The server's host, and what chat templates are told; the address may be another tomorrow."""
        entry: dict[str, Any] = {"service": urlsplit(self.url).hostname}
        if self.options.chat_options:
            entry["chat_options"] = dict(self.options.chat_options)
        return entry

    def check_task(self, rows: Sequence[Row], max_new_tokens: int) -> None:
        """Refuse a server that is not there, or that takes the key for a wrong one; it is asked once."""
        from .asking import Unanswered

        if self._is_there:
            return
        try:
            self._models()
        except Unanswered as failure:
            raise self._refusal(failure) from None
        self._is_there = True

    def token_counter(self) -> None:
        """None: how many tokens an answer takes there is the server's business."""

    def device_name(self) -> str:
        """The server's address."""
        return self.url

    def release(self) -> None:
        """Nothing is kept."""

    def answers(
        self, questions: Sequence[Row], methods: Sequence[Method], options: AnswerOptions
    ) -> Iterator[Answered]:
        """Each answer as it comes; a question that gets none is a sample with an `error`.

        Raises:
            ValueError: a method has a scheduler, the service cannot do what is asked for, or it refuses whatever it is
                asked.
        """
        from .asking import Unanswered

        self._check_methods(methods, options)
        items = ((question, method) for method in methods for question in questions)
        refused: Counter[str] = Counter()
        any_answer = uncounted = False
        before = time.monotonic()

        async def work(asker: Asker, item: tuple[Row, Method]) -> tuple[Row, Method, Reply | Unanswered]:
            question, method = item
            fields = self._fields(question, method, options)
            try:
                result: Reply | Unanswered = await asker.ask(fields, options.max_new_tokens)
            except Unanswered as failure:
                result = failure
            self._log(question, method, fields, result)
            return question, method, result

        concurrency = self.options.concurrency
        for question, method, result in in_flight(
            items, work, self._asker, concurrency=concurrency, check_stop=options.check_stop
        ):
            now = time.monotonic()
            if isinstance(result, Unanswered):
                if result.for_all and not any_answer:
                    raise self._refusal(result)
                refused[result.reason] += 1
                sample = failed_sample(question, result.reason)
            else:
                any_answer = True
                if result.tokens is None and not uncounted:
                    uncounted = True
                    options.notice(f"{self.name}: the server counts no tokens; parts of its stream are counted instead")
                sample = self._sample(question, method, result)
            yield Answered(method, [sample], now - before)
            before = now
            if not any_answer and max(refused.values(), default=0) >= _ENOUGH_REFUSALS:
                reason, count = refused.most_common(1)[0]
                raise ValueError(f"{self.url} answers nothing; {count} questions failed: {reason}")

    def _check_methods(self, methods: Sequence[Method], options: AnswerOptions) -> None:
        for method in methods:
            if method.name not in OPERATING_POINTS:
                raise ValueError(f"{self.name} is not run with {method}; a service has no scheduler")
            temperature = method.parameters.get("temperature", options.temperature)
            most = self.service.highest_temperature
            if most is not None and temperature is not None and temperature > most:
                raise ValueError(f"{self.service.host} takes temperatures up to {most:g}; {temperature:g} is above")

    def _fields(self, question: Row, method: Method, options: AnswerOptions) -> dict[str, Any]:
        """What a request says, without what asks for a stream."""
        temperature = 0.0 if options.temperature is None else options.temperature
        fields: dict[str, Any] = {
            "model": self._model,
            "messages": question["messages"],
            self.service.limit: options.max_new_tokens,
            "temperature": temperature,
            **self.service.fields,
        }
        if temperature > 0:
            fields["seed"] = options.seed
        if self.options.chat_options:
            fields["chat_template_kwargs"] = dict(self.options.chat_options)
        return {**fields, **method.parameters}

    def _sample(self, question: Row, method: Method, reply: Reply) -> Sample:
        # An answer that says nothing is still one token, that of its end.
        tokens = max(1, reply.pieces if reply.tokens is None else reply.tokens)
        generated, rounds = tokens, None
        passes = tokens if method.name == AUTOREGRESSIVE else None
        if self.service.streams_states:
            passes = max(1, reply.pieces)
        if reply.work is not None:
            generated, rounds, passes = reply.work
        sample = new_sample(
            question,
            reply.text,
            num_tokens=generated,
            num_forward_passes=passes,
            num_answer_tokens=tokens - reply.hidden_tokens,
            num_rounds=rounds,
        )
        sample["seconds_to_first_token"] = round(reply.seconds_to_first, 6)
        sample["seconds_to_last_token"] = round(reply.seconds_to_last, 6)
        return sample

    def _log(self, question: Row, method: Method, fields: Mapping[str, Any], result: Reply | Unanswered) -> None:
        """Add a request and its answer to the log, if there is one. Headers, which hold the key, are not in it."""
        if self.options.request_log is None:
            return
        outcome = result._asdict() if isinstance(result, tuple) else {"error": result.reason}
        entry = {"id": question["id"], "method": str(method), "url": self.url, "request": fields, "reply": outcome}
        with self.options.request_log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")

    @asynccontextmanager
    async def _asker(self, timeout: float | None = None) -> AsyncIterator[Asker]:
        """A client in the running loop. The key is in it and in nothing else of ours."""
        import openai

        from .asking import Asker, Patience

        key = self._key()
        async with openai.AsyncOpenAI(base_url=self.url, api_key=key or "none", max_retries=0, timeout=None) as client:
            if self.service.host != "api.openai.com":
                # Which the client reads from the environment for any server.
                client.organization = client.project = None
            yield Asker(
                client,
                key=key,
                timeout=timeout or self.options.timeout,
                streams_states=self.service.streams_states,
                patience=self.patience or Patience(),
            )

    def _models(self) -> list[str]:
        """Names of the models that the server says it has."""

        async def work(asker: Asker, item: None) -> list[str]:
            return await asker.models()

        def tool() -> Any:
            return self._asker(min(self.options.timeout, _SECONDS_TO_BE_THERE))

        (names,) = in_flight([None], work, tool, concurrency=1)
        return names

    def _key(self) -> str | None:
        """The server's key from the environment; None where there is none, and none is needed.

        Raises:
            ValueError: it is not there, or cannot be one.
        """
        variable = self.service.key
        key = os.environ.get(variable, "").strip()
        if not key and self.service.needs_key:
            raise ValueError(f"{self.service.host} takes a key; set {variable} in the environment")
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise ValueError(f"{variable} holds letters that no key has")
        return key or None

    def _refusal(self, failure: Unanswered) -> ValueError:
        """What every request would meet, with what helps."""
        from .asking import Unanswered

        line = f"{self.name} at {self.url}: {failure.reason}"
        if failure.reason.startswith("HTTP 401"):
            return ValueError(f"{line}; its key is read from {self.service.key}")
        if failure.reason.startswith("HTTP 404"):
            try:
                names = self._models()
            except Unanswered:
                names = []
            # Some servers say it themselves, ours too.
            if names and self._model not in names and not all(name in failure.reason for name in names[:5]):
                shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
                return ValueError(f"{line}; the server has {shown}")
            if not urlsplit(self.url).path:
                return ValueError(f"{line}; most servers want /v1 at the end of their address")
        return ValueError(line)


def _server(url: str) -> tuple[str, Service]:
    """A server's address without a slash at its end, and its record.

    Raises:
        ValueError: it is no address of a server, or it holds a key or a password.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise ValueError("cannot read the address of a server; write http://HOST:PORT/v1, or https://HOST/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(f"the address of {host} should end with its path; keys are read from the environment")
    service = service_at(host)
    if service.needs_key and parts.scheme != "https":
        raise ValueError(f"{host} takes a key, which goes over https only; write https://{host}{parts.path}")
    return url.rstrip("/"), service
