"""Made-up words in texts: the same in question and answer, and of the same form."""

import random
import re

import pytest

from training.examples import WEIGHTS, Mixture
from training.names import TrainingPeople
from training.tokenizer import load_backend, name_pieces
from training.unknown_words import UnknownWords

from .conftest import HUB_MODEL

TEXT = "Iris: May I borrow an umbrella and the candles?\nKarim: Sure, Iris."
ANSWER = "Iris borrows an umbrella and the candles from Karim."


@pytest.fixture(scope="module")
def unknown() -> UnknownWords:
    heads, tails = name_pieces(load_backend(HUB_MODEL))
    return UnknownWords(TrainingPeople(heads, tails), tails)


def test_names_and_words_are_replaced_in_question_and_answer_alike(unknown: UnknownWords) -> None:
    draw = random.Random(1).random
    shape = re.compile(r"(\w+): May I borrow an (\w+) and the (\w+)\?\n(\w+): Sure, \1\.")
    answer_shape = re.compile(r"(\w+) borrows an (\w+) and the (\w+) from (\w+)\.")
    changed = [0, 0, 0, 0]
    for _ in range(200):
        (text,), answer = unknown.put(draw, [TEXT], ANSWER)
        found, again = shape.fullmatch(text), answer_shape.fullmatch(answer)
        assert found
        assert again
        assert found.groups() == again.groups()
        first, thing, things, second = found.groups()
        assert first != second
        assert thing[0] in "aeiou"
        assert not thing.endswith("s")
        assert things.endswith("s")
        assert things[0] not in "aeiou"
        for place, (word, before) in enumerate(zip(found.groups(), shape.fullmatch(TEXT).groups(), strict=True)):
            changed[place] += word != before
    # Some of each, and never all.
    assert all(40 < count < 160 for count in changed)


def test_words_that_stand_in_one_of_the_two_only_are_left(unknown: UnknownWords) -> None:
    draw = random.Random(2).random
    for _ in range(50):
        assert unknown.put(draw, ["We like the theater."], "Some plays please us.") == (
            ["We like the theater."],
            "Some plays please us.",
        )


def test_an_article_that_goes_by_sound_is_kept_by_the_beginning_of_the_word(unknown: UnknownWords) -> None:
    draw = random.Random(3).random
    words = set()
    for _ in range(60):
        (text,), answer = unknown.put(draw, ["He wore a uniform."], "He had a uniform on.")
        assert text.removeprefix("He wore a ")[:-1] == answer.removeprefix("He had a ").removesuffix(" on.")
        words.add(answer.split()[3])
    assert len(words) > 10
    assert all(word.startswith("uni") for word in words)


def test_two_people_get_two_names_and_none_that_is_in_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    names = iter(["Karim", "Nela", "Nela", "Omak"])
    people = TrainingPeople()
    monkeypatch.setattr(people, "draw_word", lambda draw: next(names))
    texts, answer = UnknownWords(people).put(lambda: 0.0, ["Iris: Hello.", "Karim: Hi."], "Iris greets Karim.")
    assert (texts, answer) == (["Nela: Hello.", "Omak: Hi."], "Nela greets Omak.")


def test_some_words_are_made_of_the_tokenizers_pieces() -> None:
    unknown, draw = UnknownWords(TrainingPeople(), ["qx", "z"]), random.Random(4).random
    made = [unknown.put(draw, ["We saw the theater."], "They saw the theater.")[1][13:-1] for _ in range(100)]
    pieces = sum(word in ("qxqx", "qxqxqx") for word in made)
    assert 3 < pieces < sum(word != "theater" for word in made) - 3


def test_the_mix_has_texts_with_and_without_made_up_words(unknown: UnknownWords) -> None:
    task = "text_writing_summarize"
    weights = {task: WEIGHTS[task]}
    people = TrainingPeople()
    plain, rich = Mixture(people, weights=weights), Mixture(people, weights=weights, unknown=unknown)
    assert plain.texts == rich.texts == frozenset({0})
    one, other = (
        {word for _ in range(60) for word in re.findall(r"\w+", mixture.draw(draw).answers[0])}
        for mixture, draw in ((plain, random.Random(5).random), (rich, random.Random(5).random))
    )
    assert len(other - one) > 40
