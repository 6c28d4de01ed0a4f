"""A stand-in for a LanguageTool server on loopback: what it finds wrong are the words that it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from urllib.parse import parse_qs

SOFTWARE = {"name": "LanguageTool", "version": "0.0"}


class LoopbackLanguageTool(ThreadingHTTPServer):
    """The server: `url`, and the (language, text) of every check in `log`. `rules` maps a word to a rule's id.

    `trouble` is what the next checks meet, one entry each: an HTTP status, "hang" for no answer, or None for none.
    `slow` maps a word to the seconds that a text with it takes. `disabled` holds the rules left out of each check.
    """

    daemon_threads = True

    def __init__(self, rules: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.rules = dict(rules)
        self.log: list[tuple[str, str]] = []
        self.disabled: list[Sequence[str]] = []
        self.trouble: list[int | str | None] = []
        self.slow: dict[str, float] = {}
        self.closing = threading.Event()

    def matches(self, text: str, disabled: Sequence[str] = ()) -> list[dict[str, object]]:
        found = [
            {"offset": text.index(word), "length": len(word), "rule": {"id": rule}}
            for word, rule in self.rules.items()
            if word in text and rule not in disabled
        ]
        return sorted(found, key=lambda match: int(str(match["offset"])))


@contextmanager
def loopback_languagetool(rules: Mapping[str, str]) -> Iterator[LoopbackLanguageTool]:
    """A running server."""
    server = LoopbackLanguageTool(rules)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()


@contextmanager
def loopback_stranger(body: bytes) -> Iterator[str]:
    """The address of a running server that answers `body` to everything, with status 200."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackLanguageTool

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode(), keep_blank_values=True)
        text = form["text"][0]
        disabled = form.get("disabledRules", [""])[0].split(",")
        self.server.log.append((form["language"][0], text))
        self.server.disabled.append([rule for rule in disabled if rule])
        trouble = self.server.trouble.pop(0) if self.server.trouble else None
        if trouble == "hang":
            self.server.closing.wait(30)
            return
        for word, seconds in self.server.slow.items():
            if word in text:
                time.sleep(seconds)
        known = self.path == "/v2/check"
        answer = (
            {"software": SOFTWARE, "matches": self.server.matches(text, disabled)}
            if known
            else {"error": "no such page"}
        )
        body = json.dumps(answer).encode()
        self.send_response(int(trouble) if trouble else 200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
