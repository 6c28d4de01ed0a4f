"""Tests of made-up names: what they are like, in which shares, and that none is a name of the test lists."""

from collections import Counter

from hub_dataset.generators.made_up_people import MadeUpPeople
from hub_dataset.generators.pools import POOLS, capitalised_in_texts_of_test, names_of_test
from hub_dataset.randomness import stream

VOWELS = set("aeiou")


def test_words_are_capitalised_ascii_and_have_two_to_a_dozen_letters():
    pool = POOLS["made_up_people"]("train")
    draw = stream("made-up words")
    words = [word for person in pool.draw(draw, 5000, frozenset()) for word in person.split(" ")]
    assert len(words) == 10_000
    assert all(word.isascii() and word.isalpha() and word == word.capitalize() for word in words)
    assert min(map(len, words)) >= 2
    assert max(map(len, words)) <= 20
    assert len(set(words)) > 9_500


def test_shares_of_the_kinds_are_as_documented():
    pool = MadeUpPeople(names=["zzzz"], forbidden=[])
    draw = stream("shares")
    kinds = Counter()
    for _ in range(20_000):
        word = pool.draw_word(draw).lower()
        if set(word) == {"z"}:
            kinds["pieces"] += 1
        elif len(word) >= 3 and not VOWELS & set(word):
            kinds["letters without a vowel"] += 1
        else:
            kinds["others"] += 1
    assert abs(kinds["pieces"] / 20_000 - 0.3) < 0.015
    # Of 3 to 9 random letters, none is a vowel with a probability of 0.297 on average: 0.3 · 0.297 of all words.
    expected = 0.3 * sum((21 / 26) ** length for length in range(3, 10)) / 7
    assert abs(kinds["letters without a vowel"] / 20_000 - expected) < 0.01


def test_no_word_is_a_name_of_the_test_lists():
    class Forbidding(MadeUpPeople):
        """One that can make three words only."""

        def __init__(self, forbidden):
            super().__init__(["ab"], forbidden)
            self.syllables = self.pairs = self.pieces = ["ab"]

    draw = stream("forbidden")
    allowed = {Forbidding([]).draw_word(draw) for _ in range(200)}
    assert {"Abab", "Ababab"} <= allowed
    kept = {Forbidding(["ABAB"]).draw_word(draw) for _ in range(200)}
    assert kept == allowed - {"Abab"}

    forbidden = POOLS["made_up_people"]("train").forbidden
    assert forbidden == {name.lower() for name in names_of_test() | capitalised_in_texts_of_test()}


def test_people_are_distinct_and_contain_nothing_to_avoid():
    pool = MadeUpPeople(["ab"], [])
    pool.syllables = pool.pairs = pool.pieces = ["ab"]
    draw = stream("distinct")
    people = pool.draw(draw, 9, frozenset({"Aba"}))
    assert len(set(people)) == 9
    assert "Aba" not in pool.words(people)
