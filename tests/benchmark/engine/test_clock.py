"""What is compiled and captured while answers are decoded is told beside their seconds, and not among them."""

import time
from pathlib import Path
from typing import Any

import pytest
from tiny_models import questions, save_reference

from benchmark.engine.clock import WarmUp, decoding_time, warm_up_time
from benchmark.engine.worker import LogitsWorker
from benchmark.models.hub import HubModel
from benchmark.models.interface import AnswerOptions, ModelOptions
from benchmark.protocol.method import Method


def test_warm_up_does_not_count_as_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    from samplers.denoisers import graphs

    warmed = WarmUp()
    began, real = decoding_time(), time.monotonic()
    monkeypatch.setattr(graphs, "_SECONDS", [graphs._SECONDS[0] + 5.0])
    assert decoding_time() - began == pytest.approx(time.monotonic() - real - 5.0, abs=0.5)
    assert warmed.since() == pytest.approx(5.0)
    assert warmed.since() == 0.0
    assert warm_up_time() >= 5.0


@pytest.mark.parametrize("sharing", [True, False])
def test_answers_tell_their_warm_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sharing: bool) -> None:
    from samplers.denoisers import graphs

    seconds = [0.0]
    monkeypatch.setattr(graphs, "_SECONDS", seconds)
    model = HubModel(str(save_reference(tmp_path)), ModelOptions(device="cpu"))
    worker = LogitsWorker(model)

    def check_stop() -> None:
        # Something is captured at every step.
        seconds[0] += 100.0

    options = AnswerOptions(max_new_tokens=8, sharing=sharing, check_stop=check_stop)
    found: list[Any] = list(worker.answers(questions(count=4), [Method.parse("confidence:k=4")], options))
    assert sum(answered.warm_up for answered in found) == pytest.approx(seconds[0])
    assert all(answered.seconds < 100.0 for answered in found)
    assert all(sample["seconds"] < 100.0 for answered in found for sample in answered.samples)
