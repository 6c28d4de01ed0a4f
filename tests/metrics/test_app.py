"""The page of the Space, as visitors meet it: what it scores, and what it refuses, each in one line."""

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from loopback_languagetool import loopback_languagetool
from support import ROOT

pytestmark = pytest.mark.slow
FOLDER = ROOT / "metrics" / "parallelbench"
MATCH = '{"scorer": "list_match", "answer": "[\\"Ada\\", \\"Tim\\"]"}'
SENTENCE = '{"scorer": "words_to_sentence", "words": ["apple"]}'
# The page with tighter limits than its own, as any owner can start it.
TIGHT = "import app; app.launch(app.Limits(file_bytes=60_000, answers=30, seconds=1.5, calls=1, waiting=2))"


@contextmanager
def page(folder: Path, languagetool: str, *command: str):
    """A client of the page, which runs as a process of its own."""
    pytest.importorskip("gradio", reason='the page needs gradio: pip install "parallelbench[app]"')
    gradio_client = pytest.importorskip("gradio_client")
    environment = {
        **os.environ,
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_TEMP_DIR": str(folder),
        "HF_MODULES_CACHE": str(folder),
        "HF_HUB_OFFLINE": "1",
        "HF_EVALUATE_OFFLINE": "1",
        "PARALLELBENCH_LANGUAGETOOL_URL": languagetool,
        "PYTHONPATH": str(FOLDER),
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        timer = threading.Timer(120, process.kill)
        timer.start()
        lines = []
        found = None
        while found is None and (line := process.stdout.readline()):
            lines.append(line)
            found = re.search(r"http://127\.0\.0\.1:\d+(?=\s)", line) if "running" in line.lower() else None
        timer.cancel()
        assert found is not None, "".join(lines)
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield gradio_client.Client(found[0], verbose=False)
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="module")
def checker():
    """The LanguageTool server that the owner of both pages names."""
    with loopback_languagetool({"a apple": "EN_A_VS_AN"}) as server:
        yield server


@pytest.fixture(scope="module")
def client(tmp_path_factory, checker):
    with page(tmp_path_factory.mktemp("page"), checker.url, str(FOLDER / "app.py")) as client:
        yield client


@pytest.fixture(scope="module")
def tight(tmp_path_factory, checker):
    with page(tmp_path_factory.mktemp("tight"), checker.url, "-c", TIGHT) as client:
        yield client


def refusal(client, *arguments, api_name="/score_answer"):
    """What the page says to a call that it refuses, which is one line."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  # the client has a class of its own for every way
        client.predict(*arguments, api_name=api_name)
    assert "\n" not in str(caught.value).strip()
    return str(caught.value)


def upload(tmp_path, lines):
    from gradio_client import handle_file

    file = tmp_path / "answers.jsonl"
    file.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return handle_file(str(file))


def row(prediction, reference=MATCH):
    return json.dumps({"prediction": prediction, "reference": reference}, ensure_ascii=False)


def answer_of(request):
    """Status and text of the page's answer to a request."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_card_states_the_limits():
    script = "import app, dataclasses; print(*dataclasses.astuple(app.Limits()))"
    values = subprocess.run(
        [sys.executable, "-c", script], cwd=FOLDER, capture_output=True, text=True, check=True
    ).stdout
    section = (FOLDER / "README.md").read_text().split("## The page")[1].split("## ")[0]
    for value in map(float, values.split()):
        assert re.search(rf"\| {value:,.0f}\b", section)


def test_an_answer_is_scored(client):
    result = client.predict("Ada, Tim", MATCH, api_name="/score_answer")
    assert (result["score"], result["score_strict"]) == (100.0, 0.0)


def test_text_is_judged_by_the_server_that_the_owner_names(client):
    for text, grammar in (("She has a apple.", 0.0), ("She has an apple.", 100.0)):
        assert client.predict(text, SENTENCE, api_name="/score_answer")["grammar"] == grammar


def test_no_visitor_names_a_server_nor_sees_the_owners(client, checker):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    asked = {
        name: [value["parameter_name"] for value in endpoint["parameters"]] for name, endpoint in endpoints.items()
    }
    assert asked == {"/score_answer": ["prediction", "reference"], "/score_file": ["path"]}
    with loopback_languagetool({}) as other:
        client.predict("An apple.", SENTENCE, other.url, api_name="/score_answer")
        reference = json.dumps({**json.loads(SENTENCE), "grammar_url": other.url, "url": other.url})
        client.predict("An apple of one.", reference, api_name="/score_answer")
        assert other.log == []
    assert checker.url not in answer_of(f"{client.src.rstrip('/')}/config")[1]
    checker.trouble = [413]
    said = refusal(client, "Nothing was said of this apple.", SENTENCE)
    assert "not available" in said
    assert str(checker.server_port) not in said


@pytest.mark.parametrize(
    "path", ["file=http://example.org/x", "file=HTTPS://example.org/x", "proxy=http://example.org/x"]
)
def test_the_page_fetches_no_address_for_a_visitor(client, path):
    status, said = answer_of(f"{client.src.rstrip('/')}/gradio_api/{path}")
    assert (status, "fetches nothing" in said) == (403, True)


@pytest.mark.parametrize("path", ["http://example.org/x.jsonl", "https://example.org/x.jsonl"])
def test_an_address_in_the_place_of_a_file_is_refused(client, path):
    said = refusal(client, {"path": path, "meta": {"_type": "gradio.FileData"}}, api_name="/score_file")
    assert "uploaded" in said


@pytest.mark.parametrize("path", [str(FOLDER / "app.py"), "//example.org/x.jsonl", "file:///etc/passwd"])
def test_a_file_of_the_machine_is_refused(client, path):
    said = refusal(client, {"path": path, "meta": {"_type": "gradio.FileData"}}, api_name="/score_file")
    assert "Line 1" not in said


@pytest.mark.parametrize("reference", ["oops", '["a"]', "[" * 9000])
def test_what_is_wrong_with_a_reference_is_said(client, reference):
    assert "references[0] must be a JSON object" in refusal(client, "Ada", reference)


def test_a_file_is_scored(client, tmp_path):
    file = upload(tmp_path, [row("Ada, Tim"), "", row("x\u2028")])
    result = client.predict(file, api_name="/score_file")
    assert result["score"] == 50.0
    assert len(result["samples"]) == 2


@pytest.mark.parametrize("line", ['{"prediction": "x"}', "7", "nothing", "[" * 90_000])
def test_a_line_that_is_no_answer_is_named(client, tmp_path, line):
    said = refusal(client, upload(tmp_path, [row("x"), "", line]), api_name="/score_file")
    assert "Line 3 is not a JSON object" in said


def test_long_texts_are_refused(client, tmp_path):
    assert client.predict("x" * 10_000, MATCH, api_name="/score_answer")["score"] == 0.0
    assert "the answer has 10,001 characters; at most 10,000" in refusal(client, "x" * 10_001, MATCH)
    assert "the reference has 10,001 characters" in refusal(client, "x", "{" + " " * 10_000)
    said = refusal(client, upload(tmp_path, ["", row("x"), row("y" * 20_000)]), api_name="/score_file")
    assert "Line 3: the answer has 20,000 characters" in said


def test_a_file_with_too_many_answers_is_refused(tight, tmp_path):
    rows = [row("Ada, Tim")] * 30
    assert tight.predict(upload(tmp_path, rows), api_name="/score_file")["score"] == 100.0
    assert "more than 30 answers" in refusal(tight, upload(tmp_path, [*rows, rows[0]]), api_name="/score_file")


@pytest.mark.parametrize("size", [65_000, 200_000])
def test_a_file_that_is_too_large_is_refused_as_it_comes(tight, tmp_path, size):
    assert "60000 bytes" in refusal(tight, upload(tmp_path, [" " * size]), api_name="/score_file")  # by its own client
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jsonl"\r\n\r\n'
    request = urllib.request.Request(
        f"{tight.src.rstrip('/')}/gradio_api/upload", head + b" " * size + b"\r\n--x--\r\n"
    )
    request.add_header("Content-Type", "multipart/form-data; boundary=x")
    status, said = answer_of(request)
    assert (status, said.count("\n")) == (413, 0)


@pytest.mark.parametrize("whole", [True, False], ids=["with its length", "in pieces"])
def test_a_request_that_is_too_large_is_refused(tight, whole):
    body = json.dumps({"data": ["x" * 100_000, MATCH]}).encode()
    pieces = body if whole else iter([body[:50_000], body[50_000:]])
    request = urllib.request.Request(f"{tight.src.rstrip('/')}/gradio_api/call/score_answer", pieces)
    request.add_header("Content-Type", "application/json")
    if not whole:
        request.add_header("Transfer-Encoding", "chunked")
    status, said = answer_of(request)
    assert status == (413 if whole else 400)
    assert "event_id" not in said


def test_a_call_past_the_queue_is_refused(client):
    body = json.dumps({"data": ["Ada, Tim", MATCH]}).encode()
    for name in ("run", "api"):
        request = urllib.request.Request(f"{client.src.rstrip('/')}/gradio_api/{name}/score_answer", body)
        request.add_header("Content-Type", "application/json")
        assert answer_of(request)[0] == 404


def test_a_call_that_takes_too_long_is_given_up_and_holds_its_place_until_it_ends(tight, checker):
    checker.slow = {"slow": 4.0}
    start = time.monotonic()
    assert "longer than 1.5 seconds" in refusal(tight, "A slow apple.", SENTENCE)
    assert time.monotonic() - start < 4.0
    assert "busy" in refusal(tight, "Ada, Tim", MATCH)
    deadline = time.monotonic() + 20
    error = "busy"
    while "busy" in error and time.monotonic() < deadline:
        time.sleep(0.5)
        error = str(tight.submit("Ada, Tim", MATCH, api_name="/score_answer").exception(timeout=20) or "")
    assert error == ""


def test_more_calls_than_may_wait_are_refused(tight, checker):
    checker.slow = {"slow": 1.0}
    jobs = [tight.submit(f"A slow apple, number {i}.", SENTENCE, api_name="/score_answer") for i in range(8)]
    said = [job.exception(timeout=60) for job in jobs]
    assert any(error is None for error in said)
    assert any("full" in str(error) for error in said)
    assert all(error is None or "full" in str(error) or "busy" in str(error) for error in said)
