"""The addresses of the server: chat completions, the list of models, and whether it is well."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from benchmark.engine.requests import Request as Asked
from benchmark.serving.decoding import DecodingThread, Progress, Refused
from benchmark.serving.prompts import Prompts
from benchmark.serving.requests import ChatRequest, read_request

# Bytes of a body that are read, and of one that is too long, thrown away so that its sender hears why.
LARGEST_BODY = 4 << 20
_LARGEST_DISCARDED = 64 << 20
_KINDS = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}


def build_app(
    name: str, prompts: Prompts, decoding: DecodingThread, *, facts: dict[str, Any], key: str | None
) -> FastAPI:
    """The application.

    Args:
        name: of the model.
        prompts, decoding: read and answer requests.
        facts: what the list of models says beside the name.
        key: that requests must bring; None: none.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    started = int(time.time())
    # A tokenizer serves one thread at a time.
    reading = ThreadPoolExecutor(1, thread_name_prefix="reading")

    @app.exception_handler(Refused)
    async def refuse(request: Request, refused: Refused) -> Response:
        return _refusal(str(refused), refused.status)

    @app.exception_handler(HTTPException)
    async def refuse_address(request: Request, error: HTTPException) -> Response:
        return _refusal(f"{request.method} {request.url.path}: {error.detail}", error.status_code)

    @app.get("/health")
    async def health() -> Response:
        rows, waiting = decoding.load
        status = 200 if decoding.is_alive else 503
        return JSONResponse({"status": "ok" if status == 200 else "stopping", "rows": rows, "waiting": waiting}, status)

    @app.get("/v1/models")
    async def models(request: Request) -> Response:
        _check_key(request, key)
        return JSONResponse({"object": "list", "data": [_model(name, started, facts)]})

    @app.get("/v1/models/{wanted:path}")
    async def model(request: Request, wanted: str) -> Response:
        _check_key(request, key)
        if wanted != name:
            raise Refused(f"there is no model {wanted!r} here; the server has {name}", 404)
        return JSONResponse(_model(name, started, facts))

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        _check_key(request, key)
        asked = read_request(await _body(request))
        loop = asyncio.get_running_loop()
        row = await loop.run_in_executor(reading, prompts.read, asked)
        answer = Answer(name, asked, row)
        decoding.submit(row, answer.tell)
        handed_on = False
        try:
            # What goes wrong before the first block is done is an answer of its own, with its own status.
            first = await answer.next(request)
            if first.error is not None:
                raise Refused(first.error, first.status)
            if asked.stream:
                handed_on = True
                return StreamingResponse(
                    answer.events(request, first), media_type="text/event-stream", headers={"Cache-Control": "no-cache"}
                )
            while not first.is_over:
                first = await answer.next(request)
            if first.error is not None:
                raise Refused(first.error, first.status)
            return JSONResponse(answer.whole(first))
        finally:
            # Whoever hung up frees the row; of an answer that has ended it means nothing.
            row.abandoned = not handed_on

    return app


class Answer:
    """One answer on its way from the decoding thread to a client."""

    def __init__(self, name: str, asked: ChatRequest, row: Asked) -> None:
        self._name, self._asked, self._row = name, asked, row
        self._loop = asyncio.get_running_loop()
        self._progress: asyncio.Queue[Progress] = asyncio.Queue()
        self._id, self._created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())

    def tell(self, progress: Progress) -> None:
        """Called by the decoding thread."""
        try:
            self._loop.call_soon_threadsafe(self._progress.put_nowait, progress)
        except RuntimeError:
            # The server's loop has ended, and nobody listens.
            self._row.abandoned = True

    async def next(self, request: Request) -> Progress:
        """What the thread tells next.

        Raises:
            Refused: the client has hung up, so that nobody will read this.
        """
        if not self._progress.empty():
            return self._progress.get_nowait()
        told = asyncio.ensure_future(self._progress.get())
        gone = asyncio.ensure_future(_hung_up(request))
        try:
            await asyncio.wait({told, gone}, return_when=asyncio.FIRST_COMPLETED)
            if told.done():
                return told.result()
            raise Refused("the client hung up", 499)
        finally:
            told.cancel()
            gone.cancel()

    async def events(self, request: Request, progress: Progress) -> AsyncIterator[str]:
        """The answer as server-sent events, a piece for each block that brings text."""
        try:
            yield self._event({"role": "assistant", "content": ""})
            sent = ""
            while True:
                # Text that was sent stays as it is, whatever a tokenizer makes of the tokens that follow.
                piece = progress.text[len(sent) :] if progress.text.startswith(sent) else ""
                if piece:
                    sent += piece
                    yield self._event({"content": piece})
                if progress.is_over:
                    break
                progress = await self.next(request)
            if progress.error is not None:
                yield _data({"error": _error(progress.error, progress.status)})
                return
            yield self._event({}, finish=progress.reason)
            if self._asked.stream_options.include_usage:
                yield _data({**self._chunk(), "choices": [], "usage": self._usage(progress)})
            yield "data: [DONE]\n\n"
        except Refused:
            return
        finally:
            self._row.abandoned = True

    def whole(self, progress: Progress) -> dict[str, Any]:
        """The answer as one body."""
        message = {"role": "assistant", "content": progress.text}
        return {
            "id": self._id,
            "object": "chat.completion",
            "created": self._created,
            "model": self._name,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": progress.reason}],
            "usage": self._usage(progress),
        }

    def _usage(self, progress: Progress) -> dict[str, Any]:
        """Tokens as everybody counts them, and what an answer took of a diffusion model."""
        prompt = len(self._row.prompt)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": progress.tokens,
            "total_tokens": prompt + progress.tokens,
            "generated_tokens": progress.decoded,
            "forward_passes": progress.passes,
            "steps": progress.steps,
            "tokens_per_step": round(progress.decoded / progress.steps, 4) if progress.steps else None,
        }

    def _chunk(self) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._name,
        }

    def _event(self, delta: dict[str, Any], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _data({**self._chunk(), "choices": [choice]})


async def _hung_up(request: Request) -> None:
    """Ends when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _body(request: Request) -> bytes:
    """The body, unless it is too long; what is too long is read to its end and thrown away, within reason.

    Raises:
        Refused: it is too long.
    """
    told = request.headers.get("content-length", "")
    too_long = Refused(f"the body is longer than {LARGEST_BODY} bytes", 413)
    if told.isdecimal() and int(told) > _LARGEST_DISCARDED:
        raise too_long
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= LARGEST_BODY:
            parts.append(part)
        else:
            parts.clear()
        if size > _LARGEST_DISCARDED:
            break
    if size > LARGEST_BODY:
        raise too_long
    return b"".join(parts)


def _check_key(request: Request, key: str | None) -> None:
    if key is None:
        return
    given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if not hmac.compare_digest(given.encode(), key.encode()):
        raise Refused("the key is wrong, or there is none; send it as Authorization: Bearer KEY", 401)


def _model(name: str, started: int, facts: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": started, "owned_by": "parallelbench", **facts}


def _error(line: str, status: int) -> dict[str, Any]:
    kind = _KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"message": line, "type": kind, "code": status}


def _refusal(line: str, status: int) -> Response:
    headers = {"Retry-After": "1"} if status == 429 else {}
    return JSONResponse({"error": _error(line, status)}, status, headers)


def _data(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"
