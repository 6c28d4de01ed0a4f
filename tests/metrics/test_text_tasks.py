"""Text tasks through the whole metric: the checker's verdicts, its options, its failures, and the real thing."""

import json

import evaluate
import pytest

MATCH = '{"scorer": "list_match", "answer": "[\\"Ada\\"]"}'
SENTENCE = '{"scorer": "words_to_sentence", "words": ["apple"]}'
SUMMARY = '{"scorer": "summary", "summary": "He sings of an apple.", "task": "text_writing_summarize"}'
PARAPHRASE = '{"scorer": "paraphrase", "text": "He sings a song of an apple.", "task": "text_writing_paraphrase"}'
OTHER = '''
import datasets
import evaluate


class Length(evaluate.Metric):
    """Counts letters."""

    def _info(self):
        text = datasets.Value("string")
        features = datasets.Features({"predictions": text, "references": text})
        return evaluate.MetricInfo(description="", citation="", features=features)

    def _compute(self, predictions, references):
        return {"score": 1.0, "length": float(sum(map(len, predictions)))}
'''


@pytest.fixture
def columns(loopback):
    predictions = ["[Ada]", "He ate a apple.", "She ate an apple.", "He sings of teh apple.", "", "Ada"]
    references = [MATCH, SENTENCE, SENTENCE, SUMMARY, SENTENCE, MATCH]
    return {"predictions": predictions, "references": references, "grammar_url": loopback.url, "parses": False}


def test_verdicts_of_the_checker_flow_into_score_and_headline(metric, loopback, columns):
    result = metric.compute(**columns, per_sample=True)
    samples = result["samples"]
    assert [sample.get("grammar") for sample in samples] == [None, 0.0, 1.0, 0.0, 0.0, None]
    assert [sample["headline"] for sample in samples] == [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    assert [sample["score"] for sample in samples] == [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    assert samples[3]["rouge_l"] == pytest.approx(4 / 5)
    assert all(isinstance(value, float) for s in samples for name, value in s.items() if name not in ("scorer", "task"))
    assert result["grammar"] == 25.0
    assert result["signatures"]["grammar"] == "LanguageTool 0.0, en-US, all rules"
    assert result["signatures"]["rouge"].startswith("rouge-score ")
    assert "parses" not in result
    json.dumps(result)
    # One check to see that the server is there; lists and blank texts are nobody's business.
    assert len(loopback.log) == 4


def test_a_server_can_be_named_in_the_environment(metric, loopback, columns, monkeypatch):
    monkeypatch.setenv("PARALLELBENCH_LANGUAGETOOL_URL", columns.pop("grammar_url"))
    assert metric.compute(**columns)["grammar"] == 25.0
    assert loopback.log


def test_without_the_speller_numbers_have_other_names(metric, columns):
    result = metric.compute(**columns, grammar_rules="no_spelling", per_sample=True)
    assert result["grammar_no_spelling"] == 50.0
    assert result["samples"][3]["score_no_spelling"] == pytest.approx(4 / 5)
    assert not {"grammar", "score", "headline"} & set(result["samples"][3])
    assert result["score"] == result["headline"] == 100.0  # of the lists alone
    assert "all rules but MORFOLOGIK_RULE_EN_US" in result["signatures"]["grammar"]


def test_verdicts_of_ones_own_start_nothing(metric, part, columns, monkeypatch):
    monkeypatch.setattr(part("languagetool_server"), "start", None)
    columns.pop("grammar_url")
    result = metric.compute(**columns, grammar=[True] * 6)
    assert result["grammar"] == 75.0  # blank
    assert "grammar" not in result["signatures"]


def test_what_is_missing_is_said_before_anything_is_scored(metric, part, columns, monkeypatch):
    scored = []
    monkeypatch.setattr(part("parallelbench"), "score_rows", lambda *rows: scored.append(rows))
    columns["grammar_url"] = "http://127.0.0.1:9"
    monkeypatch.setattr(part("languagetool_client"), "PAUSES_SECONDS", ())
    with pytest.raises(OSError, match="refused"):
        metric.compute(**columns)
    with pytest.raises(OSError, match="refused"):
        metric.prepare([MATCH, SENTENCE], grammar_url="http://127.0.0.1:9", parses=False)
    assert metric.prepare([MATCH], grammar_url="http://127.0.0.1:9") == {}
    assert scored == []


def test_a_checker_that_dies_names_the_row_and_keeps_the_rest(metric, part, loopback, columns, monkeypatch):
    monkeypatch.setattr(part("languagetool_client"), "PAUSES_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(part("grammar"), "THREADS", 1)
    metric.prepare([SENTENCE], grammar_url=loopback.url, parses=False)
    loopback.trouble = [None, *[500] * 3]
    with pytest.raises(OSError, match=r"predictions\[2\] could not be checked"):
        metric.compute(**columns)
    assert metric.compute(**columns)["grammar"] == 25.0
    assert [text for _, text in loopback.log].count("He ate a apple.") == 1


def test_nothing_that_was_scored_is_lost_when_a_checker_dies(metric, part, loopback, columns, monkeypatch):
    scored = []
    monkeypatch.setattr(part("parallelbench"), "score_rows", lambda *rows: scored.append(rows))
    monkeypatch.setattr(part("languagetool_client"), "PAUSES_SECONDS", ())
    metric.prepare([SENTENCE], grammar_url=loopback.url, parses=False)
    loopback.trouble = [500] * 3
    with pytest.raises(OSError, match=r"the grammar of predictions\[\d\] could not be checked"):
        metric.compute(**columns)
    assert scored == []


def test_texts_can_be_judged_without_a_task(metric, loopback):
    rows = metric.check_texts(["She has a apple.", "She has an apple.", " "], grammar_url=loopback.url, parses=False)
    assert rows == [
        {"grammar": 0.0, "rule_ids": ["EN_A_VS_AN"]},
        {"grammar": 1.0, "rule_ids": []},
        {"grammar": 0.0, "rule_ids": []},
    ]
    with pytest.raises(ValueError, match=r"texts\[1\] must be a string"):
        metric.check_texts(["", 3])
    loopback.trouble = [413]
    with pytest.raises(OSError, match=r"the grammar of texts\[1\] could not be checked: .*refuses the text: 413"):
        metric.check_texts(["", "A text of which nothing is known."], grammar_url=loopback.url, parses=False)


def test_parses_stand_beside_grammar_and_enter_nothing(metric, columns, link_grammar):
    columns["parses"] = None
    result = metric.compute(**columns, per_sample=True)
    assert [sample.get("parses") for sample in result["samples"]] == [None, 0.0, 1.0, 1.0, 0.0, None]
    without = metric.compute(**{**columns, "parses": False})
    assert {name: result[name] for name in without if name not in ("tasks", "signatures")} == {
        name: value for name, value in without.items() if name not in ("tasks", "signatures")
    }
    assert result["signatures"]["parses"].startswith("Link Grammar 5")


def test_intervals_come_on_request(metric, columns):
    result = metric.compute(**columns, intervals=True)
    low, high = result["intervals"]["grammar"]
    assert low <= result["grammar"] <= high
    assert set(result["intervals"]["tasks"]) == set(result["tasks"])
    assert "intervals" not in metric.compute(**columns)


def test_stored_rows_take_the_same_options(metric, columns):
    metric.add_batch(predictions=columns.pop("predictions"), references=columns.pop("references"))
    result = metric.compute(**columns, grammar_rules="no_spelling", intervals=True)
    assert result["grammar_no_spelling"] == 50.0
    assert "intervals" in result


def test_it_combines_with_other_metrics(metric, tmp_path):
    folder = tmp_path / "length"
    folder.mkdir()
    (folder / "length.py").write_text(OTHER)
    other = evaluate.load(str(folder), cache_dir=str(tmp_path))
    combined = evaluate.combine({"bench": metric, "other": other})
    columns = {"predictions": ["[Ada]"], "references": [MATCH]}
    result = combined.compute(**columns)
    assert (result["bench_score"], result["other_score"], result["length"]) == (100.0, 1.0, 5.0)
    combined.add_batch(**columns)
    assert combined.compute()["bench_score"] == 100.0


@pytest.mark.slow
def test_all_kinds_of_text_with_the_real_checkers(metric, languagetool, small_encoder):
    result = metric.compute(
        predictions=[
            "She ate an apple.",
            "He sings of the apple.",
            "An apple is what his song is about.",
            "He go apple.",
        ],
        references=[SENTENCE, SUMMARY, PARAPHRASE, SENTENCE],
        parses=False,
        per_sample=True,
    )
    sentence, summary, paraphrase, slip = result["samples"]
    assert sentence == {"scorer": "words_to_sentence", "inclusion": 1.0, "grammar": 1.0, "score": 1.0, "headline": 1.0}
    assert summary["score"] == summary["rouge_l"] == pytest.approx(4 / 5)
    assert paraphrase["score"] == pytest.approx((1 - paraphrase["bleu"]) * paraphrase["bertscore"])
    assert 0.4 < paraphrase["score"] < 1.0
    assert (slip["score"], slip["headline"]) == (0.0, 0.0)
    assert set(result["signatures"]) == {"rouge", "bleu", "bertscore", "grammar"}
    assert result["signatures"]["grammar"].startswith("LanguageTool 6.8")
