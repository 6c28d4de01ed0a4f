"""Tests of reading texts from YAML files, and of the texts in the project's own files."""

import os
import re
from itertools import combinations, pairwise

import pytest

from hub_dataset.grammar import URL_VARIABLE, grammar_checker
from hub_dataset.text_files import Text, read_dialogues, read_paraphrases
from hub_dataset.text_sources import SOURCES

PARAPHRASES = read_paraphrases(SOURCES / "paraphrases.yaml")
DIALOGUES = read_dialogues(SOURCES / "dialogues.yaml")
# The most alike that two texts may be, by rapidfuzz's token_set_ratio (0 to 100). Of these texts no two come to more
# than 62; copies with every third word replaced come to 82 on average and never below 68.
MOST_ALIKE = 65
# A paraphrase keeps some words of its sentence.
MOST_ALIKE_PARAPHRASE = 75


def write(folder, text):
    path = folder / "my.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def alike(first, second):
    from rapidfuzz import fuzz

    return fuzz.token_set_ratio(first.lower(), second.lower())


def speakers(dialogue):
    return [line.split(": ", 1)[0] for line in dialogue.splitlines()]


def test_paraphrases_are_read_in_order(tmp_path):
    path = write(
        tmp_path, "- {sentence: One two., paraphrases: [' Two one. ', Both.]}\n- {sentence: A b., paraphrases: [C.]}"
    )
    assert read_paraphrases(path) == (Text("One two.", ("Two one.", "Both.")), Text("A b.", ("C.",)))


def test_dialogues_are_read_in_order(tmp_path):
    path = write(tmp_path, '- dialogue: |\n    Ada: Hi.\n    Bo: "Ho."\n  summary: They greet.\n')
    assert read_dialogues(path) == (Text('Ada: Hi.\nBo: "Ho."', ("They greet.",)),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "None is not a list of entries with sentence and paraphrases"),
        ("[]", "[] is not a list of entries"),
        ("a: b", "{'a': 'b'} is not a list of entries"),
        ("- [", "is not YAML"),
        ("- word", "entry 1: 'word' has no keys; it needs sentence and paraphrases"),
        ("- {sentence: A b.}", "entry 1.paraphrases: is missing"),
        ("- {sentence: A b., paraphrases: [C.], sentnce: D}", "entry 1.sentnce: unknown key (value 'D'); did you mean"),
        ("- {sentence: 3, paraphrases: [C.]}", "entry 1.sentence: 3 is blank or not a string"),
        ("- {sentence: ' ', paraphrases: [C.]}", "entry 1.sentence: ' ' is blank or not a string"),
        ("- {sentence: A b., paraphrases: C.}", "entry 1.paraphrases: 'C.' is not a list of strings"),
        ("- {sentence: A b., paraphrases: []}", "entry 1.paraphrases: [] is not a list"),
        ("- {sentence: A b., paraphrases: [C., null]}", "entry 1.paraphrases: None is blank or not a string"),
        ("- {sentence: A b., paraphrases: [a B.]}", "entry 1: 'a B.' is the text itself"),
        ("- &e {sentence: A b., paraphrases: [C.]}\n- *e", "entry 2: 'A b.' is given twice"),
    ],
)
def test_what_is_wrong_is_named_with_file_entry_and_value(tmp_path, text, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        read_paraphrases(write(tmp_path, text))
    assert str(caught.value).startswith("my.yaml: ")
    assert "\n" not in str(caught.value)


def test_dialogue_without_summary_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"my.yaml: entry 1.summary: is missing"):
        read_dialogues(write(tmp_path, "- {dialogue: 'Ada: Hi.'}"))


def test_there_are_100_sentences_of_8_to_25_words_with_two_paraphrases_each():
    assert len(PARAPHRASES) == 100
    assert all(len(text.answers) == 2 for text in PARAPHRASES)
    assert {len(text.text.split()) for text in PARAPHRASES} <= set(range(8, 26))


def test_there_are_100_dialogues_of_4_to_12_turns_and_two_or_three_speakers():
    assert len(DIALOGUES) == 100
    for text in DIALOGUES:
        assert all(re.fullmatch(r"[A-Z][A-Za-z. ]*: \S.*", line) for line in text.text.splitlines())
        names = speakers(text.text)
        assert 4 <= len(names) <= 12, text.text
        assert len(set(names)) in (2, 3), text.text
        assert all(first != second for first, second in pairwise(names)), text.text


def test_summary_is_one_or_two_sentences_and_names_a_speaker():
    for text in DIALOGUES:
        (summary,) = text.answers
        sentences = re.split(r"(?<![MD]r\.)(?<!M[rs]s\.)(?<!Ms\.)(?<=[.!?]) ", summary)
        assert len(sentences) <= 2, summary
        assert "\n" not in summary
        assert any(re.search(rf"\b{name.split()[-1]}\b", summary) for name in speakers(text.text)), summary


def test_summaries_are_in_third_person():
    for text in DIALOGUES:
        assert not re.search(r"\b(I|we|you|my|our|your|me|us)\b", text.answers[0]), text.answers[0]


def test_texts_are_plain_ascii_without_stray_spaces():
    for text in (*PARAPHRASES, *DIALOGUES):
        for written in (text.text, *text.answers):
            assert written.isascii()
            assert not re.search(r" {2}| $| [,.;:!?]", written, re.MULTILINE), written
    for text in PARAPHRASES:
        for sentence in (text.text, *text.answers):
            assert re.fullmatch(r"[A-Z].*[.!?]", sentence), sentence


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param([text.text for text in PARAPHRASES], id="sentences"),
        pytest.param([text.text for text in DIALOGUES], id="dialogues"),
        pytest.param([text.answers[0] for text in DIALOGUES], id="summaries"),
    ],
)
def test_no_two_texts_are_nearly_the_same(texts):
    closest = max(combinations(texts, 2), key=lambda pair: alike(*pair))
    assert alike(*closest) < MOST_ALIKE, closest


def test_paraphrases_differ_from_their_sentence_and_from_each_other():
    for text in PARAPHRASES:
        for first, second in combinations((text.text, *text.answers), 2):
            assert alike(first, second) < MOST_ALIKE_PARAPHRASE, (first, second)


@pytest.mark.skipif(not os.environ.get(URL_VARIABLE), reason=f"{URL_VARIABLE} names no LanguageTool server")
@pytest.mark.parametrize("texts", [PARAPHRASES, DIALOGUES], ids=["paraphrases", "dialogues"])
def test_languagetool_finds_nothing_in_any_text(texts):
    written = [one for text in texts for one in (text.text, *text.answers)]
    findings = grammar_checker().findings(written)
    assert [(text, rules) for text, rules in zip(written, findings, strict=True) if rules] == []
