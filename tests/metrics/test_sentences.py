"""Cutting texts into chunks and sentences."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def cut(part):
    return part("sentences")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He sang. She left.", ["He sang.", "She left."]),
        ("He sang! Did she leave? Yes.", ["He sang!", "Did she leave?", "Yes."]),
        ("He said, “Go!” Then he left.", ["He said, “Go!”", "Then he left."]),
        ('He left. "Why?" she asked.', ["He left.", '"Why?" she asked.']),
        ("Mr. Stone met Dr. Vale at 3.5 p.m. today.", ["Mr. Stone met Dr. Vale at 3.5 p.m. today."]),
        ("J. Stone left.", ["J. Stone left."]),
        ("One line\nAnother line", ["One line", "Another line"]),
        ("no capital. after this", ["no capital. after this"]),
        ("Wait... What?", ["Wait...", "What?"]),
        (" \n ", []),
        ("", []),
    ],
)
def test_sentences_end_before_a_capital_and_at_line_ends(cut, text, expected):
    assert cut.sentences(text) == expected


def test_a_short_text_is_one_piece(cut):
    assert cut.chunks("One. Two.", 20_000) == ["One. Two."]


def test_long_texts_are_cut_at_ends_of_sentences(cut):
    text = "The lamp is lit by the door. " * 200
    chunks = cut.chunks(text, 20_000)
    assert len(chunks) == 3
    assert all(chunk.endswith("door.") for chunk in chunks)
    assert " ".join(chunks) == text.strip()


def test_what_has_no_end_is_cut_all_the_same(cut):
    assert [len(chunk) for chunk in cut.chunks("a" * 5_000, 4_500)] == [2_000, 2_000, 500]


@given(text=st.text(alphabet="ab. \n", max_size=60))
@settings(deadline=None)
def test_chunks_are_short_and_lose_nothing_but_space(cut, text):
    text = text * 100
    chunks = cut.chunks(text, len(text))
    assert all(0 < len(chunk) <= 2_000 for chunk in chunks)
    assert "".join("".join(chunks).split()) == "".join(text.split())


@given(text=st.text(alphabet="aB. \n'\"(?", max_size=60))
@settings(deadline=None)
def test_sentences_lose_nothing_but_space(cut, text):
    assert "".join("".join(cut.sentences(text)).split()) == "".join(text.split())


@pytest.mark.parametrize("chunk", [". ", ".", "'", ". '", ". (", "A. ", "\n", ".\n", ".)", "Mr. "], ids=repr)
def test_long_texts_are_split_in_time(cut, chunk):
    text = chunk * (1_000_000 // len(chunk))
    start = time.process_time()
    cut.sentences(text)
    assert time.process_time() - start < 5
