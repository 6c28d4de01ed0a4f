"""The metric as a whole, loaded through `evaluate`: golden parity, results, errors, isolation."""

import doctest
import itertools
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback_languagetool import loopback_languagetool
from support import ROOT, golden_files, read_lines

# Scorer names of the reference implementation, in whose form the golden cases are.
GOLDEN_SCORERS = {
    "list_match_score": "list_match",
    "list_shuffle_score": "list_shuffle",
    "list_random_insert_score": "list_insert",
    "list_random_remove_score": "list_remove",
    "list_random_replace_score": "list_replace",
    "latin_square_score": "latin_square",
    "sudoku_score": "sudoku",
    "sentence_to_words_score": "words_to_sentence",
}
GOLDEN_SCORES = {"inclusion_score": "inclusion", "grammar_score": "grammar"}

# For every scorer a reference and a right answer in canonical form.
GRID = "1234\n3412\n2143\n4321"
RIGHT_ANSWERS = {
    "list_match": ({"answer": '["Ada", "Tim"]'}, '["Ada", "Tim"]'),
    "list_shuffle": ({"input": ["Ada", "Tim"]}, '["Tim", "Ada"]'),
    "list_insert": ({"input": ["Ada", "Tim"], "word": "Zoë"}, '["Ada", "Zoë", "Tim"]'),
    "list_remove": ({"input": ["Ada", "Tim"]}, '["Tim"]'),
    "list_replace": ({"input": ["Ada", "Tim"], "word": "Zoë"}, '["Ada", "Zoë"]'),
    "latin_square": ({"symbols": ["A", "1"]}, "A,1\n1,A"),
    "sudoku": ({"answer": GRID}, GRID),
    "domino": ({"input": ["2-5", "1-5"]}, '["2-5", "5-1"]'),
    "math_result": ({"answer": "85"}, "85"),
    "number_list": ({"answer": "[3, 4, 8]"}, "[3, 4, 8]"),
    "words_to_sentence": ({"words": ["river", "lantern"]}, "A lantern by the river."),
    "summary": ({"summary": "The lantern is lit."}, "The lantern is lit."),
}
# Without the paraphrase, whose score takes an encoder and is never quite 1.
EVERY_SCORER = {*RIGHT_ANSWERS, "paraphrase"}
REFERENCES = [json.dumps({"scorer": scorer, **values}) for scorer, (values, _) in RIGHT_ANSWERS.items()]
MATCH = '{"scorer": "list_match", "answer": "[\\"Ada\\", \\"Tim\\"]"}'
SENTENCE = '{"scorer": "words_to_sentence", "words": ["river"]}'


def golden_reference(case):
    """The golden form of a reference as the JSON of ours."""
    reference = case["reference"] if isinstance(case["reference"], dict) else {"answer": case["reference"]}
    return json.dumps({"scorer": GOLDEN_SCORERS[case["metric"]], **reference})


@pytest.mark.parametrize("path", golden_files("scores.jsonl"))
def test_golden_scores_agree(metric, path):
    cases = read_lines(path)
    samples = metric.compute(
        predictions=[case["prediction"] for case in cases],
        references=[golden_reference(case) for case in cases],
        grammar=[case.get("grammatical") for case in cases],
        parses=False,
        per_sample=True,
    )["samples"]
    differing = [
        (case["metric"], case["case"], case["scores"], sample)
        for case, sample in zip(cases, samples, strict=True)
        if {GOLDEN_SCORES.get(name, name): value for name, value in case["scores"].items()}
        != {name: value for name, value in sample.items() if name not in ("scorer", "headline")}
    ]
    assert differing == []
    assert {sample["scorer"] for sample in samples} == set(GOLDEN_SCORERS.values())


@pytest.mark.parametrize("path", golden_files("broken_lists.jsonl"))
def test_damaged_answers_score_as_published(metric, path):
    cases = read_lines(path)
    samples = metric.compute(
        predictions=[case["prediction"] for case in cases],
        references=[json.dumps(case["reference"]) for case in cases],
        per_sample=True,
    )["samples"]
    differing = [
        (case, sample)
        for case, sample in zip(cases, samples, strict=True)
        if case["scores"] != {name: sample[name] for name in case["scores"]}
    ]
    assert differing == []
    assert {sample["scorer"] for sample in samples} == {
        name for name in GOLDEN_SCORERS.values() if name != "words_to_sentence"
    }


@pytest.mark.parametrize("path", golden_files("scores.jsonl"))
@pytest.mark.parametrize("grammatical", [True, False])
def test_golden_scores_agree_when_the_verdict_comes_from_a_checker(metric, path, grammatical):
    cases = [case for case in read_lines(path) if case.get("grammatical") is grammatical]
    # Every text holds the empty string.
    with loopback_languagetool({} if grammatical else {"": "SOMETHING"}) as server:
        samples = metric.compute(
            predictions=[case["prediction"] for case in cases],
            references=[golden_reference(case) for case in cases],
            grammar_url=server.url,
            parses=False,
            per_sample=True,
        )["samples"]
    assert cases
    for case, sample in zip(cases, samples, strict=True):
        assert {GOLDEN_SCORES.get(name, name): value for name, value in case["scores"].items()} == {
            name: value for name, value in sample.items() if name not in ("scorer", "headline")
        }


@pytest.mark.parametrize("scorer", RIGHT_ANSWERS)
def test_a_right_answer_scores_full_marks(metric, part, scorer):
    values, answer = RIGHT_ANSWERS[scorer]
    reference = json.dumps({"scorer": scorer, **values})
    result = metric.compute(predictions=[answer], references=[reference], grammar=[True], parses=False)
    assert set(result) >= {"score", "headline", "tasks"}
    assert {value for name, value in result.items() if name not in ("tasks", "signatures")} == {100.0}
    assert set(part("parallelbench").SCORERS) == EVERY_SCORER


def scorer_table(page: str) -> dict[str, list[str]]:
    """The cells behind the name of each scorer, in the table of scorers of a page."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if re.match(r"\| `?scorer`? \| keys ", line))
    rows = itertools.takewhile(lambda line: line.startswith("|"), lines[start + 2 :])
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {name.strip("`"): others for name, *others in cells}


@pytest.mark.parametrize("page", ["docs/data_and_metric.md", "metrics/parallelbench/README.md"])
def test_the_pages_name_the_keys_of_every_scorer(part, page):
    table, scorers = scorer_table(page), part("parallelbench").SCORERS
    assert list(table) == list(scorers)
    for name, scorer in scorers.items():
        assert re.findall(r"`(\w+)`", table[name][0]) == list(scorer.keys)
        optional = re.findall(r"\[`(\w+)`\]|`(\w+)` \(", table[name][0])
        assert {first or second for first, second in optional} == set(scorer.defaults)


def test_the_page_names_what_every_scorer_returns(metric, part, monkeypatch):
    class Encoder:
        signature = "none"

        def f1(self, predictions, references):
            return [0.9 for _ in predictions]

    monkeypatch.setattr(part("text_scorers"), "bertscore", Encoder)
    cases = {**RIGHT_ANSWERS, "paraphrase": ({"text": "The lamp is lit."}, "A light burns.")}
    for name, cells in scorer_table("docs/data_and_metric.md").items():
        values, answer = cases[name]
        reference = json.dumps({"scorer": name, **values})
        asked = {"predictions": [answer], "references": [reference], "grammar": [True], "parses": False}
        (sample,) = metric.compute(**asked, per_sample=True)["samples"]
        assert set(re.findall(r"`(\w+)`", cells[1])) == set(sample) - {"scorer"}


def test_results_are_percentages_over_rows_and_per_task(metric):
    result = metric.compute(
        predictions=['["Ada", "Tim"]', "Ada, Tim", "A river.", "A river"],
        references=[MATCH, MATCH.replace("{", '{"task": "copy", ', 1), SENTENCE, SENTENCE],
        grammar=[None, None, True, False],
        parses=False,
        per_sample=True,
    )
    assert result == {
        "score": 75.0,
        "score_strict": 50.0,
        "headline": 75.0,
        "inclusion": 100.0,
        "grammar": 50.0,
        "tasks": {
            "list_match": {"score": 100.0, "score_strict": 100.0, "headline": 100.0},
            "copy": {"score": 100.0, "score_strict": 0.0, "headline": 100.0},
            "words_to_sentence": {"inclusion": 100.0, "grammar": 50.0, "score": 50.0, "headline": 50.0},
        },
        "samples": [
            {"scorer": "list_match", "score": 1.0, "score_strict": 1.0, "headline": 1.0},
            {"scorer": "list_match", "task": "copy", "score": 1.0, "score_strict": 0.0, "headline": 1.0},
            {"scorer": "words_to_sentence", "inclusion": 1.0, "grammar": 1.0, "score": 1.0, "headline": 1.0},
            {"scorer": "words_to_sentence", "inclusion": 1.0, "grammar": 0.0, "score": 0.0, "headline": 0.0},
        ],
    }
    json.dumps(result)


def test_the_headline_of_text_is_its_grammar_whatever_the_words(metric):
    result = metric.compute(predictions=["Nothing fits."], references=[SENTENCE], grammar=[True], parses=False)
    assert (result["score"], result["headline"]) == (0.0, 100.0)


def test_without_a_verdict_a_sentence_has_inclusion_alone(metric):
    columns = {"predictions": ["A river.", "Ada, Tim"], "references": [SENTENCE, MATCH]}
    result = metric.compute(**columns, grammar=[None, True], per_sample=True, parses=False)
    assert result["samples"][0] == {"scorer": "words_to_sentence", "inclusion": 1.0}
    assert result["score"] == result["headline"] == 100.0  # of the list; the sentence has none
    assert metric.compute(predictions=["A river."], references=[SENTENCE], grammar=[None], parses=False) == {
        "inclusion": 100.0,
        "tasks": {"words_to_sentence": {"inclusion": 100.0}},
    }


def test_samples_come_on_request_only(metric):
    assert "samples" not in metric.compute(predictions=[""], references=[MATCH])


@given(prediction=st.text(alphabet=st.characters(exclude_categories=())) | st.text(alphabet='[]",\r\n1234 AB1'))
@settings(deadline=None)
def test_any_text_is_a_legal_prediction(metric, prediction):
    samples = metric.compute(
        predictions=[prediction] * len(REFERENCES),
        references=REFERENCES,
        grammar=[True] * len(REFERENCES),
        parses=False,
        per_sample=True,
    )["samples"]
    for sample in samples:
        scores = {name: value for name, value in sample.items() if name != "scorer"}
        assert all(0.0 <= value <= 1.0 for value in scores.values())
        assert scores.get("score_strict", 0.0) <= scores["score"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "[",
        "]",
        '"',
        '", "',
        '["',
        ",",
        "\n",
        "1234\n",
        "A,1\n",
        "1",
        " ",
        "\x00\x1b",
        "🙂",
        "\ud800",
        "\ud83d\ude42",
        "Ada, ",
    ],
    ids=ascii,
)
def test_a_megabyte_takes_less_than_a_second_per_scorer(metric, text):
    text = '["' + text * (2**20 // len(text))
    start = time.process_time()
    verdicts = [True] * len(REFERENCES)
    metric.compute(predictions=[text] * len(REFERENCES), references=REFERENCES, grammar=verdicts, parses=False)
    assert time.process_time() - start < len(REFERENCES)


def test_a_lone_surrogate_counts_as_a_replacement_character(metric):
    for reference in ('["Zo\ufffd"]', '["Zo\udfff"]'):
        row = {"scorer": "list_match", "answer": reference}
        for text in (json.dumps(row), json.dumps(row, ensure_ascii=False)):
            columns = {"predictions": ['["Zo\ud800"]'], "references": [text]}
            assert metric.compute(**columns)["score_strict"] == 100.0
            metric.add_batch(**columns)
            assert metric.compute()["score_strict"] == 100.0


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"predictions": ["", 1], "references": [MATCH, MATCH]}, r"^predictions\[1\] must be a string"),
        ({"predictions": [""], "references": [MATCH, MATCH]}, r"references\[1\] has no partner"),
        ({"predictions": ["", ""], "references": [MATCH, "{}"]}, r'^references\[1\]: "scorer" must be one of'),
        ({"predictions": ["", ""], "references": [MATCH, "oops"]}, r"^references\[1\] must be a JSON object"),
        ({"predictions": [], "references": []}, "at least one row"),
        ({"predictions": [""]}, "^references must be a list"),
        ({}, "^predictions must be a list"),
        ({"predictions": [""], "references": [MATCH], "grammar": ["?"]}, r"^grammar\[0\] must be"),
        ({"predictions": [""], "references": [MATCH], "grammar_rules": "few"}, "^grammar_rules must be 'all' or"),
        ({"predictions": [""], "references": [MATCH], "grammar_url": 8081}, "^grammar_url must be an address"),
        ({"predictions": [""], "references": [SENTENCE], "grammar_url": "there"}, "^grammar_url or PARALLELB"),
    ],
)
def test_bad_arguments_are_named(metric, columns, message):
    with pytest.raises(ValueError, match=message):
        metric.compute(**columns)


def test_the_known_scorers_are_named(metric, part):
    with pytest.raises(ValueError, match=", ".join(part("parallelbench").SCORERS)):
        metric.compute(predictions=["x"], references=['{"scorer": "summaries", "summary": "x"}'])


def test_stored_rows_are_scored_before_those_given(metric):
    metric.add(prediction="Ada, Tim", reference=MATCH)
    metric.add_batch(predictions=["Tim"], references=[MATCH])
    result = metric.compute(predictions=['["Ada", "Tim"]'], references=[MATCH], per_sample=True)
    assert [sample["score_strict"] for sample in result["samples"]] == [0.0, 0.0, 1.0]
    assert [sample["score"] for sample in result["samples"]] == [1.0, 0.0, 1.0]
    assert metric.compute(predictions=["Tim"], references=[MATCH])["score"] == 0.0


def test_rows_can_be_stored_in_memory():
    import evaluate

    metric = evaluate.load(str(ROOT / "metrics" / "parallelbench"), keep_in_memory=True)
    metric.add_batch(predictions=["Ada, Tim", "Tim"], references=[MATCH, MATCH])
    assert metric.compute()["score"] == 50.0


def test_a_bad_row_is_refused_when_stored_and_leaves_the_others(metric):
    metric.add(prediction="Ada, Tim", reference=MATCH)
    with pytest.raises(ValueError, match=r"^references\[1\]"):
        metric.add(prediction="Ada, Tim", reference="oops")
    assert metric.compute()["score"] == 100.0


def test_rows_given_to_compute_leave_no_files_behind(metric):
    before = set(Path(metric.data_dir).iterdir())
    metric.compute(predictions=["Ada, Tim"], references=[MATCH])
    assert set(Path(metric.data_dir).iterdir()) == before


def test_the_examples_in_the_docstrings_are_right(part, monkeypatch):
    monkeypatch.chdir(ROOT)
    module = part("parallelbench")
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
    examples = finder.find(module) + finder.find(module.ParallelBench)
    attempted = [runner.run(example).attempted for example in examples]
    assert len(attempted) == 2
    assert all(attempted)
    assert runner.failures == 0


def test_the_main_file_imports_every_module_by_name():
    # `evaluate` copies no others, from a folder as from the Hub.
    folder = ROOT / "metrics" / "parallelbench"
    lines = (folder / "parallelbench.py").read_text().splitlines()
    imported = {line.split()[1].lstrip(".") for line in lines if line.startswith("from .")}
    assert imported == {path.stem for path in folder.glob("*.py")} - {"parallelbench", "app"}
    assert not [line for line in lines if line.startswith("from .") and "#" in line]  # it would be read as an address


LOAD_AND_SCORE = """
import contextlib, os, subprocess, sys
with contextlib.suppress(ImportError):
    import scipy.stats  # which `evaluate` imports, and which cannot be imported when torch is barred as below
loaded = set(sys.modules)
for heavy in ("torch", "transformers", "language_tool_python", "rouge_score", "nltk", "sacrebleu", "bert_score"):
    assert heavy not in loaded
    sys.modules[heavy] = None  # importing it fails
def refuse(*arguments, **options):
    raise AssertionError(f"a process was started: {arguments}")
import evaluate
subprocess.Popen = os.posix_spawn = os.fork = refuse
metric = evaluate.load(sys.argv[1])
for _ in range(20):
    result = metric.compute(predictions=["Ada, Tim"], references=[sys.argv[2]])
print(result["score"], result["score_strict"])
"""


@pytest.mark.slow
def test_two_processes_load_it_offline_from_elsewhere_at_once_without_anything_heavy(tmp_path):
    environment = {
        **os.environ,
        "HF_HOME": str(tmp_path / "cache"),
        "HF_EVALUATE_OFFLINE": "1",
        "HF_HUB_OFFLINE": "1",
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }
    command = [sys.executable, "-c", LOAD_AND_SCORE, str(ROOT / "metrics" / "parallelbench"), MATCH]
    processes = [
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0].split() for process in processes]
    assert outputs == [["100.0", "0.0"]] * 2
