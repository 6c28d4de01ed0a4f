"""A chat-completions server on loopback: it answers as it is told, and meets clients with the trouble it is told."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MODEL = "tiny"
Message = Mapping[str, str]
#: What can happen to a request, beside a status: (status, value of Retry-After).
Trouble = int | str | tuple[int, str] | None


class LoopbackService(ThreadingHTTPServer):
    """The server: `url`, and every request's body and headers in `requests` and `headers`, as they came.

    `answer` gives the text for a request's body; its words come one by one, each a token. Where a request says
    `diffusing`, every piece is the answer with more of its words in place of underscores.

    `trouble` is what the next requests meet, one entry each, and `always` what all others do: a status, or one with a
    Retry-After; "cut" (the connection breaks in the middle), "cut quietly" (it ends there), "half json", "html",
    "no choice", "null choice", "endless", "endless thought", "pings" (comments for ever), "silence", "filter",
    "error in the stream", "no counts"; or None for none. `slow` is the seconds before each word,
    `context` how many letters a prompt may have, `counts` what its usage holds beside tokens, `temperature` the only
    one that it takes, and `has_chats` whether its model does.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self, answer: Callable[[Any], str], *, key: str | None = None, certificate: Path | None = None
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        scheme = "http"
        if certificate is not None:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            # The handshake belongs to a connection's own thread: a client may leave in the middle of it.
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{scheme}://127.0.0.1:{self.server_port}/v1"
        self.answer, self.key = answer, key
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.trouble: list[Trouble] = []
        self.always: Trouble = None
        self.slow = 0.0
        self.context: int | None = None
        self.counts: dict[str, Any] = {}
        self.temperature: float | None = None
        self.has_chats = True
        self.at_once = self.most_at_once = 0
        self.times: list[float] = []
        self.lock = threading.Lock()
        self.closing = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are what the tests are about."""

    def questions(self) -> list[str]:
        """The last message of every request."""
        return [body["messages"][-1]["content"] for body in self.requests]


@contextmanager
def loopback_service(
    answer: Callable[[Any], str] = lambda body: "all is well", **options: Any
) -> Iterator[LoopbackService]:
    """A running server."""
    server = LoopbackService(answer, **options)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackService
    protocol_version = "HTTP/1.1"
    # Headers and body in two packets would wait for each other.
    wbufsize = -1

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        if not self._key_is_right():
            return
        if self.path == "/v1/models":
            self._send(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})
        else:
            self._send(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.requests.append(body)
            server.headers.append({name.lower(): value for name, value in self.headers.items()})
            server.times.append(time.monotonic())
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
            trouble = server.trouble.pop(0) if server.trouble else server.always
        try:
            self._answer(body, trouble)
        finally:
            with server.lock:
                server.at_once -= 1

    def _answer(self, body: dict[str, Any], trouble: Trouble) -> None:
        if not self._key_is_right():
            return
        if self.path != "/v1/chat/completions":
            self._send(404, {"detail": "Not Found"})
        elif body["model"] != MODEL:
            self._send(404, {"error": {"message": f"The model `{body['model']}` does not exist."}})
        elif self.server.context is not None and len(body["messages"][-1]["content"]) > self.server.context:
            self._send(400, {"error": {"message": f"maximum context length is {self.server.context} letters"}})
        elif self.server.temperature is not None and body.get("temperature") != self.server.temperature:
            line = f"Unsupported value: 'temperature' does not support {body.get('temperature')} with this model."
            self._send(400, {"error": {"message": line, "code": "unsupported_value"}})
        elif not self.server.has_chats:
            self._send(404, {"error": {"message": "This is not a chat model"}})
        elif isinstance(trouble, tuple):
            self._send(trouble[0], {"error": {"message": "come back later"}}, {"Retry-After": trouble[1]})
        elif isinstance(trouble, int):
            self._send(trouble, {"error": {"message": f"trouble number {trouble}"}})
        elif trouble == "html":
            self._send_bytes(200, b"<html>welcome</html>", {"Content-Type": "text/html"})
        else:
            with suppress(BrokenPipeError, ConnectionResetError):
                self._stream(body, trouble)

    def _stream(self, body: dict[str, Any], trouble: Trouble) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        if trouble == "cut quietly":
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(_event(_chunk("half an ")).encode())
            self.wfile.flush()
            self.close_connection = True
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if trouble not in ("no choice", "null choice"):
            self._piece(_event(_chunk(None, role="assistant")))
        if isinstance(trouble, str) and not self._misbehave(trouble):
            return
        words = self.server.answer(body).split(" ") if self.server.answer(body) else []
        limit = body.get("max_tokens") or body.get("max_completion_tokens") or len(words)
        finish = "stop" if len(words) <= limit else "length"
        words = words[:limit]
        for place, word in enumerate(words):
            if self.server.slow:
                time.sleep(self.server.slow)
            text = word if place == 0 else f" {word}"
            if body.get("diffusing"):
                text = " ".join([*words[: place + 1], *("_" * len(other) for other in words[place + 1 :])])
            self._piece(_event(_chunk(text)))
        self._piece(_event(_chunk(None, finish=finish)))
        if trouble != "no counts":
            usage = {"prompt_tokens": 7, "completion_tokens": len(words), "total_tokens": 7 + len(words)}
            usage |= self.server.counts
            self._piece(_event({**_chunk(None), "choices": [], "usage": usage}))
        self._piece("data: [DONE]\n\n")
        self._piece("")

    def _misbehave(self, trouble: str) -> bool:
        """Whether the stream goes on as usual after this."""
        if trouble == "cut":
            self._piece(_event(_chunk("half an ")))
            # A reset, in the middle of a chunk.
            self.wfile.write(b"40\r\ndata: {")
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
        elif trouble == "half json":
            self._piece('data: {"choices": [{"delta": {"cont\n\n')
            self._piece("")
        elif trouble in ("no choice", "null choice"):
            self._piece(_event({**_chunk(None), "choices": [] if trouble == "no choice" else [None]}))
            self._piece("data: [DONE]\n\n")
            self._piece("")
        elif trouble == "error in the stream":
            self._piece(_event({"error": {"message": "the engine died", "code": 500}}))
            self._piece("")
        elif trouble == "filter":
            self._piece(_event(_chunk("I ", finish="content_filter")))
            self._piece("data: [DONE]\n\n")
            self._piece("")
        elif trouble == "silence":
            self.server.closing.wait(30)
        elif trouble in ("endless", "endless thought", "pings"):
            while not self.server.closing.is_set():
                chunk = _chunk("and so on " * 100)
                if trouble == "endless thought":
                    chunk["choices"][0]["delta"] = {"reasoning_content": "let me think " * 100}
                if trouble == "pings":
                    time.sleep(0.02)
                self._piece(": ping\n\n" if trouble == "pings" else _event(chunk))
        else:
            return True
        return False

    def _piece(self, text: str) -> None:
        """A part of a chunked body; an empty one ends it."""
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _key_is_right(self) -> bool:
        key = self.server.key
        if key is None or self.headers.get("Authorization") == f"Bearer {key}":
            return True
        told = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self._send(401, {"error": {"message": f"Incorrect API key provided: {told}."}})
        return False

    def _send(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        self._send_bytes(status, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _send_bytes(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def _chunk(text: str | None, *, role: str | None = None, finish: str | None = None) -> dict[str, Any]:
    delta = {key: value for key, value in (("role", role), ("content", text)) if value is not None}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [choice]}


def _event(content: Any) -> str:
    return f"data: {json.dumps(content)}\n\n"


def answers_to(rows: Sequence[Mapping[str, Any]]) -> Callable[[Any], str]:
    """A function that knows the right answer to every one of these rows."""
    known = {row["messages"][-1]["content"]: row["answer"] for row in rows}
    return lambda body: known[body["messages"][-1]["content"]]
