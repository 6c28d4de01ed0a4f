"""Services at length: thousands of questions in constant memory, and a run that is killed in the middle."""

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loopback_service import MODEL, answers_to, loopback_service
from support import ROOT

from benchmark.models import ModelOptions, ServiceModel
from benchmark.models.asking import Patience
from benchmark.models.interface import AnswerOptions
from benchmark.protocol.method import Method
from benchmark.protocol.questions import load_rows
from benchmark.store.runs import RunStore

pytest.importorskip("openai")
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("elsewhere")]

TASK = "waiting_line_copy"
SERVED = Method.parse("served")


def test_two_thousand_questions_are_asked_64_at_a_time_in_constant_memory() -> None:
    count = 2000
    with loopback_service() as server:
        server.slow = 0.005
        model = ServiceModel(MODEL, ModelOptions(base_url=server.url, concurrency=64, timeout=5.0))
        model.patience = Patience(attempts=3, first_wait=0.01)
        rows = [{**load_rows(TASK, 1)[0], "id": f"question {number}"} for number in range(count)]
        answers = model.answers(rows, [SERVED], AnswerOptions(max_new_tokens=64))
        for _ in range(200):
            next(answers)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        ids = {answered.samples[0]["id"] for answered in answers}
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert len(ids) == count - 200
        assert len(server.requests) == count
        assert 8 < server.most_at_once <= 64
        # In KiB; the server of the test keeps every request.
        assert after - before < 40_000


def test_a_run_that_is_killed_asks_no_stored_answer_again_and_loses_none(tmp_path: Path) -> None:
    rows = load_rows(TASK, 60)
    with loopback_service(answers_to(rows)) as server:
        server.slow = 0.02
        arguments = ["run", "--model", f"api:{MODEL}", "--base-url", server.url, "--task", TASK, "--samples", "60"]
        arguments += ["--concurrency", "4", "--output", str(tmp_path)]
        command = [sys.executable, "-c", "from benchmark.cli import main; main()", *arguments]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        while len(server.requests) < 30:
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
        process.wait()
        store = RunStore(tmp_path)
        kept = store.kept_answers(f"api:{MODEL}", TASK, SERVED)
        assert 10 <= len(kept) < 60
        assert len(server.requests) - len(kept) <= 8, "four in flight, and four that were answered at the very end"
        before, server.slow = len(server.requests), 0.0
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        assert len(server.requests) - before == 60 - len(kept), "what was kept is not asked again"
        samples = store.read_samples(f"api:{MODEL}", TASK, SERVED)
        assert [sample["id"] for sample in samples] == [row["id"] for row in rows]
        assert {sample["scores"]["headline"] for sample in samples} == {1.0}
        by_id = {sample["id"]: sample for sample in samples}
        assert all(by_id[sample["id"]]["prediction"] == sample["prediction"] for sample in kept)
