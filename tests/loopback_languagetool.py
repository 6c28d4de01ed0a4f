"""A stand-in for a LanguageTool server on loopback: what it finds wrong are the words that it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs


class LoopbackLanguageTool(ThreadingHTTPServer):
    """The server: `url`, and the (language, text) of every check in `log`. `rules` maps a word to a rule's id."""

    daemon_threads = True

    def __init__(self, rules: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.rules = dict(rules)
        self.log: list[tuple[str, str]] = []

    def matches(self, text: str) -> list[dict[str, object]]:
        found = [
            {"offset": text.index(word), "length": len(word), "rule": {"id": rule}}
            for word, rule in self.rules.items()
            if word in text
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
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackLanguageTool

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode(), keep_blank_values=True)
        known = self.path == "/v2/check"
        answer = {"matches": self.server.matches(form["text"][0])} if known else {"error": "no such page"}
        self.server.log.append((form["language"][0], form["text"][0]))
        body = json.dumps(answer).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
