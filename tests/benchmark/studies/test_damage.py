"""Damaging texts: one place each, the rest untouched, the same under the same seed."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.studies.damage import DAMAGES, damage
from benchmark.studies.damage_study import shipped_texts

TEXT = "Before noon, the old ferryman has a quiet word with an angry guest. Nobody is near."


def every(kind: str, text: str = TEXT) -> set[str]:
    """All that this damage makes of a text under many seeds."""
    return {str(DAMAGES[kind](text, random.Random(seed))) for seed in range(300)}


def words(text: str) -> list[str]:
    return text.replace(",", "").replace(".", "").lower().split()


def test_a_doubled_word_stands_twice() -> None:
    found = every("word doubled")
    assert "Before noon, the old ferryman has has a quiet word with an angry guest. Nobody is near." in found
    assert "Before before noon, the old ferryman has a quiet word with an angry guest. Nobody is near." in found
    assert "Before noon noon, the old ferryman has a quiet word with an angry guest. Nobody is near." in found
    assert len(found) == len(words(TEXT))


def test_a_dropped_word_leaves_no_gap_and_no_small_beginning() -> None:
    found = every("word dropped")
    assert "Before noon, the ferryman has a quiet word with an angry guest. Nobody is near." in found
    assert all("  " not in text and text.startswith("Before noon, the") for text in found)
    assert all("guest. Nobody" in text and text.endswith("near.") for text in found)
    assert all(len(words(text)) == len(words(TEXT)) - 1 for text in found)


def test_swapped_neighbours_change_places_alone() -> None:
    found = every("neighbours swapped")
    assert "Before noon, the old has ferryman a quiet word with an angry guest. Nobody is near." in found
    assert TEXT not in found
    assert all(sorted(words(text)) == sorted(words(TEXT)) for text in found)
    assert all(sum(a != b for a, b in zip(words(text), words(TEXT), strict=True)) == 2 for text in found)


def test_scrambled_words_are_those_between_two_marks() -> None:
    found = every("words scrambled")
    assert TEXT not in found
    assert all(text.startswith("Before noon, the ") and text.endswith(" guest. Nobody is near.") for text in found)
    assert all(sorted(words(text)) == sorted(words(TEXT)) for text in found)


def test_articles_and_verbs_are_exchanged_for_the_other() -> None:
    assert every("wrong article") == {
        TEXT.replace(" a quiet", " an quiet"),
        TEXT.replace(" an angry", " a angry"),
    }
    assert every("wrong agreement") == {TEXT.replace(" has ", " have "), TEXT.replace(" is ", " are ")}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_text_without_such_a_place_is_left_out(kind: str) -> None:
    assert damage(["", "...", "123"], kind, 0) == []


def test_damage_is_the_same_whatever_texts_are_around_it() -> None:
    texts = [TEXT, "The lamp is lit by a door near the quay."]
    for kind in DAMAGES:
        assert damage(texts, kind, 3) == damage(texts[:1], kind, 3) + damage(texts[1:], kind, 3)
    assert len({damage([TEXT], "word dropped", seed)[0][1] for seed in range(20)}) > 3


@pytest.mark.parametrize("kind", DAMAGES)
@given(text=st.text(alphabet="ab an is\u2019'., ", max_size=40))
@settings(deadline=None, max_examples=40)
def test_any_text_is_damaged_or_left_out(kind: str, text: str) -> None:
    found = DAMAGES[kind](text, random.Random(0))
    assert found is None or found != text


def test_every_kind_of_damage_can_be_done_to_shipped_texts() -> None:
    texts = shipped_texts(["sentences", "paraphrases", "summaries"], None)
    assert len(texts) > 450
    counts = {kind: len(damage(texts, kind, 0)) for kind in DAMAGES}
    assert min(counts.values()) > 50
    assert counts["word doubled"] == len(texts)
