"""ROUGE, BLEU and BERTScore: known values, the formulas by hand, odd texts, and what is said when one lacks."""

import math
import os
import random
import subprocess
import sys
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ROOT

WORDS = ["cats", "running", "house", "lamp", "quickly", "the", "a"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)


@pytest.fixture(scope="module")
def similarity(part):
    return part("similarity")


def longest_common_subsequence(left, right):
    row = [0] * (len(right) + 1)
    for item in left:
        before = 0
        for column, other in enumerate(right, start=1):
            before, row[column] = row[column], before + 1 if item == other else max(row[column], row[column - 1])
    return row[-1]


def f_measure(shared, left, right):
    return 2 * shared / (left + right) if shared else 0.0


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        ("The cat sat.", "the CAT sat", (1.0, 1.0, 1.0)),
        ("cat", "dog", (0.0, 0.0, 0.0)),
        ("", "The cat sat.", (0.0, 0.0, 0.0)),
        # he, wa(s), run, home against he, run, home: words of more than three letters are stemmed
        ("He was running home", "He runs homes", (6 / 7, 2 / 5, 6 / 7)),
        ("b a", "a b", (1.0, 0.0, 0.5)),
    ],
)
def test_rouge_counts_stems(similarity, prediction, reference, expected):
    found = similarity.rouge(prediction, reference)
    assert (found["rouge1"], found["rouge2"], found["rouge_l"]) == pytest.approx(expected)


@given(prediction=TEXTS, reference=TEXTS)
@settings(deadline=None, max_examples=60)
def test_rouge_agrees_with_its_definition(similarity, prediction, reference):
    from nltk.stem.porter import PorterStemmer

    stem = PorterStemmer().stem
    left, right = ([stem(word) if len(word) > 3 else word for word in text.split()] for text in (prediction, reference))
    found = similarity.rouge(prediction, reference)
    for name, size in (("rouge1", 1), ("rouge2", 2)):
        grams = [Counter(zip(*(words[i:] for i in range(size)), strict=False)) for words in (left, right)]
        shared = sum((grams[0] & grams[1]).values())
        assert found[name] == pytest.approx(f_measure(shared, grams[0].total(), grams[1].total()))
    assert found["rouge_l"] == pytest.approx(f_measure(longest_common_subsequence(left, right), len(left), len(right)))


@given(prediction=TEXTS, reference=TEXTS)
@settings(deadline=None, max_examples=60)
def test_bleu_agrees_with_its_definition(similarity, prediction, reference):
    left, right = prediction.split(), reference.split()
    logarithms = []
    for size in range(1, 5):
        grams = [Counter(zip(*(words[i:] for i in range(size)), strict=False)) for words in (left, right)]
        shared = sum((grams[0] & grams[1]).values())
        logarithms.append(math.log(shared / grams[0].total()) if shared else -math.inf)
    brevity = min(0.0, 1 - len(right) / len(left)) if left else 0.0
    assert similarity.bleu(prediction, reference) == pytest.approx(math.exp(brevity + sum(logarithms) / 4), abs=1e-9)


def test_bleu_splits_off_punctuation_and_heeds_case(similarity):
    assert similarity.bleu("He left, then she did.", "He left , then she did .") == 1.0
    assert similarity.bleu("he left early that day", "HE LEFT EARLY THAT DAY") == 0.0


def test_signatures_name_package_and_settings(similarity):
    assert similarity.rouge_signature().startswith("rouge-score ")
    assert "tok:13a|smooth:none" in similarity.bleu_signature()


@given(text=st.text(max_size=60))
@settings(deadline=None, max_examples=60)
def test_any_text_has_rouge_and_bleu(similarity, text):
    for value in (*similarity.rouge(text, "The lamp is lit.").values(), similarity.bleu(text, "The lamp is lit.")):
        assert 0.0 <= value <= 1.0


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["y", "a ", "&amp;", "-", ".", "1,", "🙂", "\x00"], ids=ascii)
def test_a_megabyte_is_compared_in_time(similarity, unit):
    text = unit * (2**20 // len(unit))
    start = time.process_time()
    similarity.rouge(text, "The lamp is lit by the door.")
    similarity.bleu(text, "The lamp is lit by the door.")
    assert time.process_time() - start < 10


@pytest.mark.parametrize("name", ["rouge", "bleu"])
def test_a_missing_package_is_named(similarity, part, monkeypatch, name):
    getattr(similarity, f"{name}_scorer").cache_clear()
    for module in list(sys.modules):
        if module.startswith(("rouge_score", "sacrebleu")):
            monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "rouge_score", None)
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(part("unavailable").UnavailableError, match=r"pip install \"(rouge-score|sacrebleu)\""):
        getattr(similarity, f"{name}_signature")()


@pytest.mark.parametrize("layers", ["0", "-1", "six", "1.5"])
def test_layers_are_a_number(similarity, monkeypatch, layers):
    monkeypatch.setenv("PARALLELBENCH_BERTSCORE_LAYERS", layers)
    with pytest.raises(ValueError, match=r"PARALLELBENCH_BERTSCORE_LAYERS .*integer"):
        similarity.bertscore()


def test_layers_of_an_unknown_encoder_must_be_said(similarity, monkeypatch):
    monkeypatch.setenv("PARALLELBENCH_BERTSCORE_MODEL", "/some/encoder")
    with pytest.raises(ValueError, match="how many layers of /some/encoder"):
        similarity.bertscore()


@pytest.mark.slow
class TestBertScore:
    """With a small encoder for real."""

    @pytest.fixture
    def bertscore(self, similarity, small_encoder):
        return similarity.bertscore()

    def test_a_text_is_like_itself_and_less_like_others(self, bertscore):
        text = "The harbour was quiet before the storm."
        same, near, far = bertscore.f1(
            [text, "Before the storm, the harbor was calm.", "Sixteen red bicycles."], [text] * 3
        )
        assert same == pytest.approx(1.0, abs=1e-5)
        assert 0.0 <= far < near < same

    def test_a_blank_text_is_like_nothing(self, bertscore):
        assert bertscore.f1(["", "A lamp.", " \n"], ["A lamp.", "", "A lamp."]) == [0.0, 0.0, 0.0]

    def test_a_score_does_not_depend_on_its_company(self, bertscore):
        pairs = [("The lamp is lit.", "A lamp burns."), ("A " * 50 + "cat.", "No cat at all."), ("Yes.", "No.")] * 30
        random.Random(0).shuffle(pairs)
        together = bertscore.f1([left for left, _ in pairs], [right for _, right in pairs])
        alone = {pair: bertscore.f1([pair[0]], [pair[1]])[0] for pair in set(pairs)}
        assert together == pytest.approx([alone[pair] for pair in pairs], abs=1e-4)

    def test_agrees_with_the_definition(self, bertscore):
        import torch

        model, tokenizer = bertscore._scorer._model, bertscore._scorer._tokenizer
        texts = ["The lamp is lit by the door.", "A light burns at the entrance."]
        vectors = []
        for text in texts:
            with torch.no_grad():
                states = model(**tokenizer(text, return_tensors="pt"))[0][0]
            vectors.append(torch.nn.functional.normalize(states, dim=-1))
        # The special tokens at both ends may be matched, but do not count.
        likeness = vectors[0] @ vectors[1].T
        precision = likeness.max(dim=1).values[1:-1].mean()
        recall = likeness.max(dim=0).values[1:-1].mean()
        expected = float(2 * precision * recall / (precision + recall))
        assert bertscore.f1(texts[:1], texts[1:]) == pytest.approx([expected], abs=1e-4)

    @pytest.mark.parametrize(
        "text", ["word " * 200_000, "x" * 2**20, "\x00", "🙂🙃", "\u202e", "\ufffd"], ids=lambda t: ascii(t[:2])
    )
    def test_any_text_has_a_score_in_time(self, bertscore, text):
        start = time.monotonic()
        (value,) = bertscore.f1([text], ["A lamp."])
        assert 0.0 <= value <= 1.0
        assert time.monotonic() - start < 30

    def test_signature_names_model_and_layer(self, bertscore, small_encoder):
        assert f"{small_encoder}_L6_" in bertscore.signature

    def test_more_layers_than_there_are_is_an_error(self, similarity, small_encoder, monkeypatch):
        monkeypatch.setenv("PARALLELBENCH_BERTSCORE_LAYERS", "7")
        with pytest.raises(ValueError, match=r"PARALLELBENCH_BERTSCORE_LAYERS is 7.*between 0 and 6"):
            similarity.bertscore()

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("model.safetensors", b"<html>Please sign in.</html>"),
            ("model.safetensors", b""),
            ("tokenizer.json", b"<html>Please sign in.</html>"),
            ("tokenizer.json", b"{}"),
            ("config.json", b"<html>Please sign in.</html>"),
            ("config.json", b'{"model_type": "no such type"}'),
        ],
    )
    def test_an_encoder_whose_download_broke_is_an_error_with_a_hint(
        self, similarity, part, small_encoder, monkeypatch, tmp_path, name, content
    ):
        assert (small_encoder / name).exists()
        for file in small_encoder.iterdir():
            if file.name == name:
                (tmp_path / name).write_bytes(content)
            elif file.name not in ("vocab.txt", "special_tokens_map.json"):
                (tmp_path / file.name).symlink_to(file)
        monkeypatch.setenv("PARALLELBENCH_BERTSCORE_MODEL", str(tmp_path))
        with pytest.raises(
            part("unavailable").UnavailableError, match=r"cannot be loaded .*download it completely once"
        ) as caught:
            similarity.bertscore()
        assert "\n" not in str(caught.value)

    def test_an_encoder_that_is_not_there_is_named(self, similarity, part, monkeypatch, tmp_path):
        monkeypatch.setenv("PARALLELBENCH_BERTSCORE_MODEL", str(tmp_path))
        monkeypatch.setenv("PARALLELBENCH_BERTSCORE_LAYERS", "2")
        with pytest.raises(part("unavailable").UnavailableError, match="encoder of BERTScore cannot be loaded"):
            similarity.bertscore()


SCORE_AND_DRAW = """
import importlib, os, sys
sys.path.insert(0, sys.argv[1])
from parallelbench.similarity import bertscore
print(f"{bertscore().f1(['A lamp is lit.'], ['A lamp is lit.'])[0]:.3f}")
print(os.environ["MPLBACKEND"])
import matplotlib.pyplot
if sys.argv[2:]:
    matplotlib.pyplot.figure()
    print(matplotlib.get_backend().lower())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "drawn_with"),
    [
        ("module://matplotlib_inline.backend_inline", None),  # of Jupyter, whether it is installed or not
        ("module://no_such_package.backend", None),
        ("no such backend", "agg"),
        ("module://backend_of_mine", "module://backend_of_mine"),
        ("svg", "svg"),
    ],
)
def test_no_backend_of_a_notebook_stops_bertscore_and_none_is_changed(small_encoder, tmp_path, backend, drawn_with):
    (tmp_path / "backend_of_mine.py").write_text("from matplotlib.backends.backend_agg import *\n")
    environment = {**os.environ, "MPLBACKEND": backend, "PYTHONPATH": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    environment.pop("DISPLAY", None)
    found = subprocess.run(
        [sys.executable, "-c", SCORE_AND_DRAW, str(ROOT / "metrics"), *(["draw"] if drawn_with else [])],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines() == ["1.000", backend, *([drawn_with] if drawn_with else [])]
