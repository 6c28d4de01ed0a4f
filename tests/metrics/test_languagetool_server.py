"""The LanguageTool server of our own: what is said when it cannot start, and that it is gone when we are."""

import http.server
import importlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import ROOT, comes_true, heed_interrupts, is_alive

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stand-in for Java is a shell script")

VERSION = """#!/bin/sh
if [ "$1" = "-version" ]; then echo 'openjdk version "17.0.1"' >&2; exit 0; fi
echo $$ > "{folder}/pid"
"""
# What stands in for the server: answers the health check and finds nothing in any text.
SERVER = """
import http.server, json, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.dumps({"matches": [], "software": {"name": "LanguageTool", "version": "9"}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        print("handled", "x" * 5000, flush=True)
    do_GET = do_POST = answer
    def log_message(self, *arguments): pass
port = int(sys.argv[sys.argv.index("-p") + 1])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def server(part):
    return part("languagetool_server")


@pytest.fixture
def java(tmp_path, monkeypatch):
    """Puts a stand-in for Java into PATH that goes on with some lines of shell; `LanguageTool` is an empty jar."""
    jar = tmp_path / "LanguageTool-6.8" / "languagetool-server.jar"
    jar.parent.mkdir()
    jar.touch()
    monkeypatch.setenv("LTP_PATH", str(tmp_path))
    monkeypatch.delenv("LTP_JAR_DIR_PATH", raising=False)
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")

    def write(lines: str) -> Path:
        program = programs / "java"
        program.write_text(VERSION.format(folder=tmp_path) + lines)
        program.chmod(0o755)
        return tmp_path / "pid"

    return write


@pytest.fixture
def running_java(java, tmp_path):
    """A stand-in that answers; gives the file with its process id."""
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    return java(f'exec {sys.executable} {script} "$@"\n')


def wait_until_gone(process: int) -> bool:
    return comes_true(lambda: not is_alive(process), seconds=10)


def test_server_that_ends_at_once_shows_its_last_output_and_is_not_tried_again(server, part, java):
    tried = java('echo "Picked up options"\necho "Could not reserve enough memory"\necho "  at java.base"\nexit 1\n')
    start = time.monotonic()
    with pytest.raises(
        part("unavailable").UnavailableError, match=r"ended while it started.*reserve enough memory"
    ) as caught:
        server.SharedServer().url()
    assert time.monotonic() - start < 15
    assert "java.base" not in str(caught.value)
    assert tried.exists()


def test_server_that_never_answers_is_given_up_in_time_and_killed(server, part, java, monkeypatch):
    monkeypatch.setattr(server, "START_LIMIT_SECONDS", 1.0)
    pid = java("echo waiting for the moon\nexec sleep 1000\n")
    start = time.monotonic()
    with pytest.raises(part("unavailable").UnavailableError, match=r"within 1 seconds.*waiting for the moon"):
        server.SharedServer().url()
    assert time.monotonic() - start < 15
    assert wait_until_gone(int(pid.read_text()))


def test_limit_of_a_start_is_below_a_minute(server):
    assert server.START_LIMIT_SECONDS <= 55


def test_a_port_that_is_taken_is_another_try(server, part, java, tmp_path):
    java(f'echo x >> {tmp_path}/tries\necho "java.net.BindException: Address already in use"\nexit 1\n')
    with pytest.raises(part("unavailable").UnavailableError, match="Address already in use"):
        server.SharedServer().url()
    assert len((tmp_path / "tries").read_text().split()) == server.PORTS_TRIED


def test_without_java_the_error_says_what_to_install(server, part, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        part("unavailable").UnavailableError, match=r"default-jre-headless.*PARALLELBENCH_LANGUAGETOOL_U"
    ):
        server.SharedServer().url()


def test_with_an_old_java_the_error_says_which_is_needed(server, part, java, tmp_path):
    java("")
    program = tmp_path / "bin" / "java"
    program.write_text("#!/bin/sh\necho 'openjdk version \"11.0.1\"' >&2\n")
    with pytest.raises(part("unavailable").UnavailableError, match="17"):
        server.SharedServer().url()


def test_a_java_that_does_not_run_says_why(server, part, java, tmp_path):
    java("")
    (tmp_path / "bin" / "java").write_text("#!/bin/sh\necho 'Unrecognized option: -Xnonsense' >&2\nexit 1\n")
    with pytest.raises(part("unavailable").UnavailableError, match=r"Java does not run \(Unrecognized option: -Xn"):
        server.SharedServer().url()


def test_a_java_of_an_unknown_kind_ends_no_process(server, part, java, tmp_path):
    java("")
    (tmp_path / "bin" / "java").write_text("#!/bin/sh\necho 'MyVM 1' >&2\n")
    with pytest.raises(part("unavailable").UnavailableError, match="parse Java version"):
        server.SharedServer().url()


def archive(**members):
    """The bytes of a zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


WHOLE = archive(**{"LanguageTool-6.8/languagetool-server.jar": "not much of a jar " * 100})
DOWNLOADS = {
    "a proxy's page": b"<html>Please sign in.</html>",
    "nothing": b"",
    "half of it": WHOLE[: len(WHOLE) // 2],
    "a byte is wrong": WHOLE.replace(b"much", b"MUCH", 1),
    "another archive": archive(readme="Nothing is here."),
}


@pytest.mark.parametrize("verified", [True, False], ids=["verified", "not verified"])
@pytest.mark.parametrize("body", DOWNLOADS.values(), ids=DOWNLOADS)
@pytest.mark.filterwarnings("ignore:Verified downloads are bypassed")
def test_a_broken_download_is_an_error_with_a_hint_and_leaves_nothing(
    server, part, java, tmp_path, monkeypatch, body, verified
):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    java("exit 1\n")
    folder = tmp_path / "downloads"
    folder.mkdir()
    monkeypatch.setenv("LTP_PATH", str(folder))
    monkeypatch.setenv("LTP_BYPASS_VERIFIED_DOWNLOADS", "false" if verified else "true")
    host = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=host.serve_forever, args=(0.02,), daemon=True).start()
    downloads = importlib.import_module("language_tool_python.download_lt")
    for name in ("BASE_URL_RELEASE", "BASE_URL_NEW_RELEASES"):
        monkeypatch.setattr(downloads, name, f"http://127.0.0.1:{host.server_port}/")
    try:
        with pytest.raises(part("unavailable").UnavailableError, match=r"unpack a release into .*downloads") as caught:
            server.SharedServer().url()
    finally:
        host.shutdown()
        host.server_close()
    assert "\n" not in str(caught.value)
    assert list(folder.glob("LanguageTool*")) == []


def test_without_the_package_the_error_says_what_to_install(server, part, java, monkeypatch):
    java("")
    for name in ("language_tool_python", "language_tool_python.config_file", "language_tool_python.download_lt"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(part("unavailable").UnavailableError, match="pip install"):
        server.SharedServer().url()


def test_server_is_started_once_and_stopped(server, running_java):
    shared = server.SharedServer()
    url = shared.url()
    process = int(running_java.read_text())
    assert shared.url() == url
    assert int(running_java.read_text()) == process
    shared.stop()
    assert wait_until_gone(process)


def test_server_that_was_killed_is_started_again(server, part, running_java, monkeypatch):
    client = part("languagetool_client")
    monkeypatch.setattr(client, "PAUSES_SECONDS", (0.01, 0.01))
    shared = server.SharedServer()
    try:
        assert client.check(shared, "Text.").version == "LanguageTool 9"
        first = int(running_java.read_text())
        os.kill(first, signal.SIGKILL)
        assert client.check(shared, "Text.").version == "LanguageTool 9"
        assert int(running_java.read_text()) != first
    finally:
        shared.stop()


def test_server_that_dies_while_many_threads_ask_is_started_again_once(
    server, part, running_java, tmp_path, monkeypatch
):
    monkeypatch.setattr(part("languagetool_client"), "PAUSES_SECONDS", (0.01, 0.01))
    starts = []
    start = server.start
    monkeypatch.setattr(server, "start", lambda: starts.append(None) or start())
    shared = server.SharedServer()
    try:
        shared.url()
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(part("languagetool_client").check, shared, f"Text {i}.") for i in range(200)]
            os.kill(int(running_java.read_text()), signal.SIGKILL)
            assert {future.result().rule_ids for future in asked} == {()}
        part("languagetool_client").check(shared, "Text.")
        assert len(starts) == 2
    finally:
        shared.stop()


def test_server_is_started_and_asked_past_the_proxy_of_the_user(server, part, running_java, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    shared = server.SharedServer()
    try:
        assert part("languagetool_client").check(shared, "Text.").version == "LanguageTool 9"
    finally:
        shared.stop()


def test_server_is_not_held_up_by_what_it_writes(server, part, running_java):
    shared = server.SharedServer()
    try:
        for _ in range(40):  # 200 kB, three times what a pipe holds
            part("languagetool_client").check(shared, "Text.")
    finally:
        shared.stop()


OWNER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from parallelbench.languagetool_server import SHARED_SERVER
print(SHARED_SERVER.url(), flush=True)
if sys.argv[2] == "wait":
    time.sleep(100)
"""


@pytest.mark.parametrize("end", ["exit", "kill", "interrupt"])
def test_server_is_gone_when_its_owner_is(running_java, end):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(ROOT / "metrics"), "exit" if end == "exit" else "wait"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=heed_interrupts,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline().startswith("http://127.0.0.1:")
    process = int(running_java.read_text())
    if end == "kill":
        owner.kill()
    elif end == "interrupt":
        owner.send_signal(signal.SIGINT)
    owner.wait(timeout=20)
    owner.stdout.close()
    assert wait_until_gone(process)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_leaves_the_server_alone(server, running_java):
    shared = server.SharedServer()
    try:
        url = shared.url()
        script = "import os, sys; os._exit(0)"
        child = os.fork()
        if child == 0:
            shared.stop()
            os.execv(sys.executable, [sys.executable, "-c", script])
        os.waitpid(child, 0)
        assert shared.url() == url
        assert is_alive(int(running_java.read_text()))
    finally:
        shared.stop()
