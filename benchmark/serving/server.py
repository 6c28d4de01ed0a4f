"""Puts model, batch, thread and addresses together, and runs them until it is told to stop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import uvicorn

from benchmark.engine.rolling import RollingBatch, usual_batch_size
from benchmark.models import load_logits_model
from benchmark.models.interface import ModelOptions
from benchmark.models.services import ANY
from benchmark.protocol.method import Method
from benchmark.serving.app import build_app
from benchmark.serving.decoding import DecodingThread
from benchmark.serving.prompts import Limits, Prompts

#: Where the key is read from: `api:` models send the same one to servers that need no other.
KEY = ANY.key
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ANSWER_LENGTH, _MOST = 256, 4096


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What a user asked to be served, by the names of the options; None means the default.

    Attributes:
        model: as `parallelbench run --model` takes it.
        method: that answers are decoded with.
        name: of the model in requests; None: `model`.
        host, port: where; port 0 is any that is free.
        batch_size: rows of a forward pass; None: as many as there is memory for.
        max_new_tokens: of a request that does not say; None: what the model needs at least, or 256.
        most_new_tokens: that a request may ask for.
        queue: requests that may wait for a row.
        grace: seconds that answers under way have when the server stops.
        seed, temperature: of requests that name none.
        for_model: how it is loaded.
    """

    model: str
    method: Method
    name: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    batch_size: int | None = None
    max_new_tokens: int | None = None
    most_new_tokens: int = _MOST
    queue: int = 512
    grace: float = 30.0
    seed: int = 0
    temperature: float | None = None
    for_model: ModelOptions = field(default_factory=ModelOptions)


def serve(options: ServeOptions, say: Callable[[str], None] = print) -> None:
    """Serve until SIGTERM or Ctrl-C. Then nothing new is taken, what waits is refused, and what is under way ends.

    Raises:
        ValueError: as `make_server` does.
    """
    server = make_server(options, lambda url, line: say(line), notice=say)
    with suppress(KeyboardInterrupt):
        server.run()


def make_server(
    options: ServeOptions, ready: Callable[[str, str], None], notice: Callable[[str], None] = lambda line: None
) -> Server:
    """A server with its model loaded; `run` serves.

    Args:
        options: what is to be served.
        ready: called with the address, and a line that says what is there, once requests are answered.
        notice: called with a line where memory runs out.

    Raises:
        ValueError: there is no such model, or others could reach a server that takes no key.
    """
    key = os.environ.get(KEY, "").strip() or None
    if options.host not in _LOOPBACK and key is None:
        raise ValueError(f"--host {options.host}: others can reach it, so it takes a key; set {KEY} in the environment")
    model = load_logits_model(options.model, options.for_model)
    context: int | None = model.context_length
    default = options.max_new_tokens or model.answer_length or _ANSWER_LENGTH
    most = max(options.most_new_tokens, default)
    limits = Limits(default, most, context)
    prepared = model.for_task([], default)
    rows = options.batch_size or usual_batch_size(model, prepared, default)
    name = options.name or model.name
    batch = RollingBatch(prepared, options.method, batch_size=rows, notice=notice)
    prompts = Prompts(name, model, prepared, options.method, limits, seed=options.seed, temperature=options.temperature)
    decoding = DecodingThread(batch, queue=options.queue, grace=options.grace)
    facts = {"method": str(options.method), "max_model_len": context, "max_new_tokens": default}
    app = build_app(name, prompts, decoding, facts=facts, key=key)
    config = uvicorn.Config(
        app,
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
        # After that, connections are cut.
        timeout_graceful_shutdown=int(options.grace) + 2,
        timeout_keep_alive=30,
    )
    where = options.host if ":" not in options.host else f"[{options.host}]"
    ending = f", {rows} rows at a time{', with a key' if key else ''}; Ctrl-C stops it"

    def there(port: int) -> None:
        url = f"http://{where}:{port}/v1"
        ready(url, f"{name} under {options.method} at {url}{ending}")

    return Server(config, decoding, there)


class Server(uvicorn.Server):
    """uvicorn's server, which says where it is once it is there, and tells the decoding thread when it is to stop."""

    def __init__(self, config: uvicorn.Config, decoding: DecodingThread, ready: Callable[[int], None]) -> None:
        super().__init__(config)
        self._decoding, self._ready = decoding, ready

    def run(self, sockets: Any = None) -> None:
        """Serve until told to stop."""
        self._decoding.start()
        try:
            asyncio.run(self.serve(sockets))
        finally:
            self._decoding.close()

    def stop(self) -> None:
        """End as SIGTERM does, from any thread."""
        self._decoding.stop()
        self.should_exit = True

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:
                self._ready(listening.getsockname()[1])
                return

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._decoding.stop()
        super().handle_exit(sig, frame)
