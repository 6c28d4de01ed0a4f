"""The rules of the number scorers: values are compared exactly, at any length, and only the short form is strict."""

import json
import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

RIGHT = {"score": 1.0, "score_strict": 1.0}
LENIENTLY_RIGHT = {"score": 1.0, "score_strict": 0.0}
WRONG = {"score": 0.0, "score_strict": 0.0}

DECIMALS = st.from_regex(r"[-+]?[0-9]{1,6}(\.[0-9]{1,4})?", fullmatch=True)
ODD_TEXTS = st.text() | st.text(alphabet='0123456789.,+-[] \n"\u2212x')


@pytest.fixture(scope="module")
def numbers(part):
    return part("number_scorers")


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        ("85", RIGHT),
        (" 85\n", RIGHT),
        ("47 + 38 = 85.", LENIENTLY_RIGHT),
        ("085", LENIENTLY_RIGHT),
        ("+85", LENIENTLY_RIGHT),
        ("85.0", LENIENTLY_RIGHT),
        ("**85**", LENIENTLY_RIGHT),
        ("-85", WRONG),
        ("47-85", LENIENTLY_RIGHT),
        ("85 is 47 + 38", WRONG),
        ("8 5", WRONG),
        ("85.5", WRONG),
        ("eighty-five", WRONG),
        ("٨٥", WRONG),
        ("", WRONG),
    ],
)
def test_last_number_has_the_value_of_the_answer(numbers, prediction, expected):
    assert numbers.score_math_result(prediction, "85") == expected


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,234,567", "1234567"),
        ("1,2345", "2345"),
        ("so 12,345.60 it is", "12345.6"),
        ("x = -9", "-9"),
        ("x = \u22129", "-9"),
        ("(-0)", "0"),
        ("1.2.3", "3"),
        ("none", None),
    ],
)
def test_last_number_of_a_text(numbers, text, number):
    assert numbers.read_last_number(text) == number


def test_numbers_of_any_length_are_compared_exactly(numbers):
    long = "1" + "0" * 50_000
    assert numbers.score_math_result(long, long) == RIGHT
    assert numbers.score_math_result(long[:-1] + "1", long) == WRONG


@given(left=DECIMALS, right=DECIMALS)
@settings(deadline=None)
def test_numbers_are_equal_when_their_values_are(numbers, left, right):
    equal = Fraction(left) == Fraction(right)
    assert (numbers.canonical_number(left) == numbers.canonical_number(right)) == equal
    assert Fraction(numbers.canonical_number(left)) == Fraction(left)
    assert numbers.score_math_result(left, right)["score"] == equal
    assert numbers.score_number_list(f"[{left}]", f"[{right}]")["score"] == equal


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        ("[3, 4, 8]", RIGHT),
        ("The sums: [3, 4, 8].", RIGHT),
        ("3, 4, 8", LENIENTLY_RIGHT),
        ("[3,4,8]", LENIENTLY_RIGHT),
        ('["3", "4", "8"]', LENIENTLY_RIGHT),
        ("[3, 4,\n 8]", LENIENTLY_RIGHT),
        ("[03, 4.0, +8]", LENIENTLY_RIGHT),
        ("[3, 4, 8", LENIENTLY_RIGHT),
        ("[3, 4]", WRONG),
        ("[4, 3, 8]", WRONG),
        ("[3, 4, 8, 8]", WRONG),
        ("[3, 4, eight]", WRONG),
        ('[3, "", 4, 8]', WRONG),
        ("[3, , 4, 8]", LENIENTLY_RIGHT),
        ("[[3, 4, 8], [1]]", WRONG),
        ("[]", WRONG),
        ("", WRONG),
    ],
)
def test_list_holds_the_numbers_of_the_answer_in_order(numbers, prediction, expected):
    assert numbers.score_number_list(prediction, "[3, 4, 8]") == expected


@given(values=st.lists(st.integers(-(10**9), 10**9), max_size=5), other=st.lists(st.integers(-9, 9), max_size=5))
@settings(deadline=None)
def test_list_matches_itself_strictly_and_no_other(numbers, values, other):
    assert numbers.score_number_list(str(values), str(values)) == RIGHT
    assert numbers.score_number_list(str(other), str(values))["score"] == (other == values)


@given(prediction=ODD_TEXTS, answer=DECIMALS)
@settings(deadline=None)
def test_any_text_is_scored_and_strict_is_never_above_lenient(numbers, prediction, answer):
    for found in (
        numbers.score_math_result(prediction, answer),
        numbers.score_number_list(prediction, f"[{answer}]"),
        numbers.score_number_list(prediction, "[]"),
    ):
        assert 0.0 <= found["score_strict"] <= found["score"] <= 1.0


@pytest.mark.parametrize("piece", ["9", "1,", ",234", "1,234", "-", "1.", "[1, ", "0", "+1 "])
def test_long_texts_are_scored_in_time(numbers, piece):
    text = piece * (1_000_000 // len(piece))
    start = time.perf_counter()
    numbers.score_math_result(text, "85")
    numbers.score_number_list(text, "[85]")
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize(
    ("scorer", "answer", "expected"),
    [
        ("math_result", "eighty", "a number"),
        ("math_result", 85, "a number"),
        ("math_result", "8 5", "a number"),
        ("number_list", "[3, x]", "a list of numbers"),
        ("number_list", [3, 4], "a list of numbers"),
    ],
)
def test_reference_of_another_kind_is_refused(metric, scorer, answer, expected):
    with pytest.raises(ValueError, match=rf'references\[0\]: "answer" of scorer {scorer} must be {expected}'):
        metric.compute(predictions=["x"], references=[json.dumps({"scorer": scorer, "answer": answer})])
