"""Names of the training data: various, and none of them from test."""

import random

from hub_dataset.generators.pools import names_of_test
from training.batches import BatchMaker, BatchShape
from training.names import TrainingPeople, names_for_tokenizer
from training.tokenizer import load_backend, name_pieces

from .conftest import HUB_MODEL


def _people() -> TrainingPeople:
    return TrainingPeople(*name_pieces(load_backend(HUB_MODEL)))


def _test_names() -> set[str]:
    return set(names_of_test())


def test_no_training_name_is_a_word_of_a_test_name() -> None:
    people, draw = _people(), random.Random(0).random
    drawn = {word for _ in range(2000) for person in people.draw(draw, 4, frozenset()) for word in person.split()}
    assert len(drawn) > 5000
    assert not {word.lower() for word in drawn} & {word.lower() for word in _test_names()}


def test_the_tokenizer_learns_from_no_test_name() -> None:
    assert not {name.lower() for name in names_for_tokenizer(20_000)} & {name.lower() for name in _test_names()}


def test_no_test_name_stands_in_a_training_batch() -> None:
    maker = BatchMaker(HUB_MODEL, BatchShape(prompts=200, groups=1, answers=1), seed=3)
    draw = random.Random(1).random
    words: set[str] = set()
    for _ in range(600):
        example = maker.mixture.draw(draw)
        for text in (example.prompt, *example.answers, *(example.choices.items if example.choices else ())):
            words.update("".join(sign if sign.isalpha() else " " for sign in text).split())
    assert "Reply" in words
    assert not words & _test_names()


def test_people_of_a_row_are_distinct_and_avoid_what_they_must() -> None:
    people, draw = _people(), random.Random(2).random
    for _ in range(300):
        first = people.draw(draw, 7, frozenset())
        assert len(set(first)) == 7
        used = people.words(first)
        assert not used & people.words(people.draw(draw, 6, used))


def test_some_rows_share_names_and_some_begin_alike() -> None:
    people, draw = _people(), random.Random(4).random
    rows = [people.draw(draw, 6, frozenset()) for _ in range(300)]
    sharing = [len({person.split()[1] for person in row}) < 6 for row in rows]
    alike = [len({person.split()[1][:2] for person in row}) <= 3 for row in rows]
    assert 0.1 < sum(sharing) / len(rows) < 0.6
    assert 0.1 < sum(alike) / len(rows) < 0.6
