"""The page of the Space: it starts, and answers a client."""

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from loopback_languagetool import loopback_languagetool
from support import ROOT

pytestmark = pytest.mark.slow
MATCH = '{"scorer": "list_match", "answer": "[\\"Ada\\", \\"Tim\\"]"}'
SENTENCE = '{"scorer": "words_to_sentence", "words": ["apple"]}'


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A client of the page, which runs as a process of its own."""
    pytest.importorskip("gradio", reason='the page needs gradio: pip install "parallelbench[app]"')
    gradio_client = pytest.importorskip("gradio_client")
    folder = tmp_path_factory.mktemp("page")
    environment = {
        **os.environ,
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_TEMP_DIR": str(folder),
        "HF_MODULES_CACHE": str(folder),
        "HF_HUB_OFFLINE": "1",
        "HF_EVALUATE_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    page = subprocess.Popen(
        [sys.executable, str(ROOT / "metrics" / "parallelbench" / "app.py")],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        timer = threading.Timer(120, page.kill)
        timer.start()
        lines = []
        found = None
        while found is None and (line := page.stdout.readline()):
            lines.append(line)
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
        timer.cancel()
        assert found is not None, "".join(lines)
        threading.Thread(target=page.stdout.read, daemon=True).start()
        yield gradio_client.Client(found[0], verbose=False)
    finally:
        page.terminate()
        page.wait(timeout=20)


def test_an_answer_is_scored(client):
    result = client.predict("Ada, Tim", MATCH, "", api_name="/score_answer")
    assert (result["score"], result["score_strict"]) == (100.0, 0.0)


def test_text_is_judged_by_the_server_that_is_named(client):
    with loopback_languagetool({"a apple": "EN_A_VS_AN"}) as server:
        for text, grammar in (("She has a apple.", 0.0), ("She has an apple.", 100.0)):
            result = client.predict(text, SENTENCE, server.url, api_name="/score_answer")
            assert result["grammar"] == grammar


def test_what_is_wrong_is_said(client):
    with pytest.raises(Exception, match=r"references\[0\] must be a JSON object"):
        client.predict("Ada", "oops", "", api_name="/score_answer")


def test_a_file_is_scored(client, tmp_path: Path):
    from gradio_client import handle_file

    file = tmp_path / "answers.jsonl"
    file.write_text("".join(json.dumps({"prediction": text, "reference": MATCH}) + "\n" for text in ("Ada, Tim", "x")))
    result = client.predict(handle_file(str(file)), "", api_name="/score_file")
    assert result["score"] == 50.0
    assert len(result["samples"]) == 2
    file.write_text('{"prediction": "x"}\n')
    with pytest.raises(Exception, match="Line 1 is not a JSON object"):
        client.predict(handle_file(str(file)), "", api_name="/score_file")
