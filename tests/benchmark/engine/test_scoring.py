"""Scoring: the metric as it is loaded, and what is kept of what it says."""

import os
from types import SimpleNamespace
from typing import Any

from loopback_languagetool import loopback_languagetool

from benchmark.engine.scoring import Scorer, load_metric
from benchmark.models.interface import new_sample
from benchmark.protocol.questions import load_rows


def test_the_metric_can_be_loaded_again_and_leaves_the_environment_as_it_was() -> None:
    environment = dict(os.environ)
    reference = '{"scorer": "list_match", "answer": "[\\"Ada\\"]"}'
    for _ in range(2):
        assert load_metric().compute(predictions=['["Ada"]'], references=[reference])["score"] == 100.0
    assert dict(os.environ) == environment


def sample_of(question: dict[str, Any], prediction: str) -> Any:
    return new_sample(question, prediction, num_tokens=8, num_forward_passes=2, num_answer_tokens=6)


def test_only_scores_are_kept_of_what_the_metric_says() -> None:
    scorer, question = Scorer(), {"id": "a", "length": 3, "reference": "{}"}
    said = {"samples": [{"scorer": "list_match", "task": "t", "score": 1.0, "headline": 1.0}]}
    scorer._metric = SimpleNamespace(compute=lambda **arguments: said)
    sample = sample_of(question, "b")
    assert scorer.score([question], [sample]) == ([{**sample, "scores": {"score": 1.0, "headline": 1.0}}], {})


def test_scores_of_text_are_kept_with_their_headline(monkeypatch):
    with loopback_languagetool({"He go": "HE_VERB_AGR"}) as server:
        monkeypatch.setenv("PARALLELBENCH_LANGUAGETOOL_URL", server.url)
        rows = load_rows("words_to_sentence_easy", 2) + load_rows("text_writing_summarize", 1)
        answers = [rows[0]["answer"], "He go home.", rows[2]["answer"]]
        samples, signatures = Scorer().score(rows, list(map(sample_of, rows, answers)))
    scores = [sample["scores"] for sample in samples]
    assert [score["headline"] for score in scores] == [1.0, 0.0, 1.0]
    assert [score["score"] for score in scores] == [1.0, 0.0, 1.0]
    assert signatures["grammar"] == "LanguageTool 0.0, en-US, all rules"
    assert scores[0]["inclusion"] == scores[2]["rouge_l"] == 1.0
