"""A LanguageTool server of this process: started when first needed, within a time limit, and stopped with the process.

`language_tool_python` checks Java, downloads LanguageTool once and verifies it, finds it, and writes the server's
settings and command. The process is started here, because of what its class `LanguageTool` (3.4.0) does:

- A server that cannot run at all is started on 918 ports one after another, in silence: ten minutes without a word.
- Its server outlives a killed owner, and dies by the Ctrl-C that was meant for its owner.
- Its readiness is asked through the user's HTTP proxy, which cannot reach this machine's ports.
- When a server dies while several threads ask, every thread stops and starts the one that another has just started.
"""

import atexit
import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any
from urllib import parse, request

from .server_keeper import SCRIPT
from .unavailable import UnavailableError, import_needed, in_one_line

START_LIMIT_SECONDS = 50.0
POLL_SECONDS = 0.1
# Another process may take a free port before the server does, so several are tried.
PORTS_TRIED = 3
LAST_LINES = 5
# Pipelines that are kept make checks three to four times faster and change no verdict.
CONFIGURATION: dict[str, Any] = {
    "pipelineCaching": True,
    "maxPipelinePoolSize": 50,
    "pipelineExpireTimeInSeconds": 3600,
}
WAYS_OUT = (
    "or name a running LanguageTool server with grammar_url or PARALLELBENCH_LANGUAGETOOL_URL, "
    "or give verdicts of your own with grammar"
)


class LanguageToolServer:
    """A server process on this machine.

    Args:
        command: program and arguments, the port among them.
        port: where the server listens.
    """

    def __init__(self, command: list[str], port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._owner = os.getpid()
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SCRIPT), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            # Ctrl-C is for this process; the server stays until it is stopped.
            start_new_session=True,
        )
        # The server logs every check, and would stand still once the pipe is full.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def is_alive(self) -> bool:
        """Tell whether the process runs."""
        return self._process.poll() is None

    def last_output(self) -> str:
        """Return the last lines that the server wrote, as one line."""
        if not self.is_alive():
            self._reader.join(timeout=1.0)
        return in_one_line(" | ".join(self._last_lines)) if self._last_lines else "it wrote nothing"

    def answers(self) -> bool:
        """Tell whether the server answers yet."""
        try:
            with open_address(f"{self.url}/v2/healthcheck", None, timeout=2) as response:
                return bool(response.status == 200)
        except (OSError, http.client.HTTPException):
            return False

    def warm_up(self, limit: float) -> None:
        """Let the server read its rules, so that the first texts, several at a time, do not all wait for that.

        Whatever goes wrong here goes wrong again with the first text, and is reported then.
        """
        with contextlib.suppress(OSError, http.client.HTTPException):
            open_address(f"{self.url}/v2/check", b"language=en-US&text=Is+anybody+there%3F", timeout=limit).read()

    def stop(self) -> None:
        """Stop the server; a process that was forked off the owner leaves it alone."""
        if os.getpid() != self._owner:
            return
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(OSError):
                if hasattr(os, "killpg"):
                    os.killpg(self._process.pid, 9)
                else:
                    self._process.kill()
            self._process.wait()
        self._reader.join(timeout=1.0)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()

    def _read(self) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                # What went wrong stands above the places in the code.
                if line.strip() and not line.lstrip().startswith("at "):
                    self._last_lines.append(line.strip()[:300])


class SharedServer:
    """The one server of this process: started on first need, started again when it died, stopped at exit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: LanguageToolServer | None = None
        self._failure: tuple[float, UnavailableError] | None = None
        atexit.register(self.stop)

    def url(self) -> str:
        """Return the address of the running server.

        Raises:
            UnavailableError: LanguageTool or Java is missing, or the server does not start within the limit.
        """
        asked = time.monotonic()
        with self._lock:
            if self._server is None or not self._server.is_alive():
                # A thread that waited while a start failed does not try again.
                if self._failure is not None and self._failure[0] >= asked:
                    raise self._failure[1]
                try:
                    self._server = start()
                except UnavailableError as failure:
                    self._failure = (time.monotonic(), failure)
                    raise
            return self._server.url

    def replace(self, url: str) -> None:
        """Stop the server at `url`, which does not answer as it should, unless another one took its place already."""
        with self._lock:
            if self._server is not None and self._server.url == url:
                self._server.stop()
                self._server = None

    def stop(self) -> None:
        """Stop the server if there is one."""
        with self._lock:
            if self._server is not None:
                self._server.stop()
                self._server = None


SHARED_SERVER = SharedServer()


def start() -> LanguageToolServer:
    """Start a server and wait until it answers.

    Raises:
        UnavailableError: LanguageTool or Java is missing, or the server does not start within the limit; the message
            shows the last lines that the server wrote.
    """
    deadline = time.monotonic() + START_LIMIT_SECONDS
    for attempt in range(PORTS_TRIED):
        port = free_port()
        command = server_command(port)
        # The time limit does not include a download.
        deadline = deadline if attempt else time.monotonic() + START_LIMIT_SECONDS
        server = LanguageToolServer(command, port)
        try:
            while server.is_alive() and time.monotonic() < deadline:
                if server.answers():
                    server.warm_up(max(5.0, deadline - time.monotonic()))
                    return server
                time.sleep(POLL_SECONDS)
            output = server.last_output()
            stuck = server.is_alive()
        except BaseException:
            server.stop()
            raise
        server.stop()
        if stuck:
            raise UnavailableError(
                f"the LanguageTool server did not answer within {START_LIMIT_SECONDS:g} seconds of its start; "
                f"its last output: {output}"
            )
        if "already" not in output:
            break
    raise UnavailableError(f"the LanguageTool server ended while it started; its last output: {output}")


def server_command(port: int) -> list[str]:
    """Return the command that starts LanguageTool on `port`, after downloading LanguageTool if it is not here yet.

    Raises:
        UnavailableError: `language_tool_python`, Java or LanguageTool is missing; the message says what to install.
    """
    if shutil.which("java") is None:
        raise UnavailableError(
            "grammar is checked by LanguageTool, which needs Java 17 or newer, and there is no java in PATH: "
            f"install it (on Debian: apt-get install default-jre-headless), {WAYS_OUT}"
        )
    library = [
        import_needed(
            f"language_tool_python.{part}", "the grammar checker", "language_tool_python>=3.4", f", {WAYS_OUT}"
        )
        for part in ("download_lt", "config_file")
    ]
    try:
        installed = library[0].LocalLanguageTool.from_version_name()
        installed.download()
        settings = library[1].LanguageToolConfig(dict(CONFIGURATION))
        return [str(part) for part in installed.get_server_cmd(port, settings)]
    except subprocess.CalledProcessError as why:
        raise UnavailableError(
            f"Java does not run ({in_one_line(why.output or why)}): install Java 17 or newer, {WAYS_OUT}"
        ) from None
    # A proxy's page instead of the archive, half of it, a full disk, a Java too old or of an unknown kind: each has its
    # own class, among them `zipfile.BadZipFile`, `zlib.error`, `SystemError` and even `SystemExit`.
    except (Exception, SystemExit) as why:
        folder = os.environ.get("LTP_PATH") or Path("~") / ".cache" / "language_tool_python"
        raise UnavailableError(
            f"LanguageTool cannot be fetched or does not start ({in_one_line(why)}): unpack a release into {folder}, "
            f"or set LTP_PATH to the folder that it is in, {WAYS_OUT}"
        ) from None


def open_address(address: str, body: bytes | None, timeout: float) -> Any:
    """Send a request to a LanguageTool server, past any proxy where it runs on this machine; as `urlopen`."""
    host = parse.urlsplit(address).hostname or ""
    here = host in ("localhost", "::1") or host.startswith("127.")
    # A proxy cannot reach what listens on this machine alone.
    return request.build_opener(*[request.ProxyHandler({})] * here).open(address, body, timeout=timeout)


def free_port() -> int:
    """Return a port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
