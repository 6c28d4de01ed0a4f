"""Reading lists, grids and cells out of whatever a model wrote."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

LISTY = st.text(alphabet='[]", \nab')


@pytest.fixture(scope="module")
def reading(part):
    return part("reading")


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ('["a", "b"]', ["a", "b"]),
        ('so: ["a", "b"] done', ["a", "b"]),
        ('["a"] and ["b"]', ["b"]),
        ('[["a"]]', ["a"]),
        ('["a", "b"', ["a", "b"]),
        ('"a", "b"] tail', ["a", "b"]),
        ("a,b", ["a", "b"]),
        ('[ "a" ,, \t, b ]', ["a", "b"]),
        ('["a", "", "b"]', ["a", "", "b"]),
        ('["a", "b", "]', ["a", "b", ""]),
        ('["a", " " , "b"]', ["a", "", "b"]),
        ('["a",\u2028, \u3000]', ["a"]),
        ('[""]', [""]),
        ("[ ]", []),
        ('["a" "b"]', ['a" "b']),
        ('["a"] [', []),
        ("", []),
    ],
)
def test_lenient_list(reading, text, items):
    assert reading.read_list(text) == items


@given(text=st.text(alphabet='[]", \n\tab\u2028\u3000'))
@settings(deadline=None)
def test_lenient_list_is_the_rule_spelled_as_regular_expressions(reading, text):
    body = re.fullmatch(r"(?:.*\[)?([^\[\]]*)(?:\][^\[]*)?", text, re.DOTALL)[1]
    items = [item for item in re.split(",", body) if re.search(r"\S", item)]
    assert reading.read_list(text) == [re.sub(r'^[ "]+|[ "]+\Z', "", item) for item in items]


def test_lenient_list_keeps_whitespace_other_than_spaces(reading):
    assert reading.read_list('["a"\n,\t"b"]') == ['a"\n', '\t"b']


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ('["a", "b"]', ["a", "b"]),
        ('so: ["x"] no, ["a", "b"] done', ["a", "b"]),
        ('["a b"]', ["a b"]),
        ('[" a"]', [" a"]),
        ('[""]', [""]),
        ("[]", []),
    ],
)
def test_strict_list(reading, text, items):
    assert reading.read_list_strictly(text) == items


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        '"a"',
        '["a"',
        '"a"]',
        '["a","b"]',
        '["a",  "b"]',
        "[a]",
        "['a']",
        '["]',
        '["a"b"]',
        '["a,b"]',
        '["a", ]',
        '[ "a"]',
        '["a"\n]',
        "[ ]",
        '["a"] [',
        '["", "]',
        '["a", "b", ""c"]',
    ],
)
def test_strict_list_refuses_other_forms(reading, text):
    assert reading.read_list_strictly(text) is None


@given(text=LISTY)
@settings(deadline=None)
def test_strict_list_is_the_grammar_spelled_as_a_regular_expression(reading, text):
    # No bracket either: the list begins after the last one.
    item = r'"([^",\[]*)"'
    body = re.fullmatch(rf".*\[((?:{item}(?:, {item})*)?)\][^\[]*", text, re.DOTALL)
    matched = body is not None and "]" not in body[1]
    assert reading.read_list_strictly(text) == (re.findall(item, body[1]) if matched else None)


@given(items=st.lists(st.text(alphabet=st.characters(exclude_characters='[]",')).map(str.strip).filter(bool)))
@settings(deadline=None)
def test_both_readings_give_the_items_of_a_canonical_list(reading, items):
    text = "[" + ", ".join(f'"{item}"' for item in items) + "]"
    assert reading.read_list(text) == items
    assert reading.read_list_strictly(text) == items


@pytest.mark.parametrize(
    "text",
    ["12\n34", "1 2\r\n3 4", "[1, 2]\n3|4", "grid\n12\n\n34\n", "123\n12\n34", "1\u20282\n34", "1²2\n34", "१2\n3４"],
)
def test_digit_rows_keep_only_the_digits_of_every_line_by_their_value(reading, text):
    assert reading.read_digit_rows(text, 2) == ["12", "34"]


@pytest.mark.parametrize(
    "text", ["", "12", "1234", "12\n34\n56", "12\n3", "12\n34\n\n56", "1२2\n34", "12\u202834", "12\r34", "12\x8534"]
)
def test_digit_rows_want_exactly_as_many_rows_as_digits(reading, text):
    assert reading.read_digit_rows(text, 2) is None


@given(text=st.text(alphabet="0123456789\u0663\u0969\uff14\u00b2 ,a\n\r\u2028", max_size=14))
@settings(deadline=None)
def test_digit_rows_are_the_rule_spelled_with_the_unicode_database(reading, text):
    lines = [[unicodedata.decimal(sign, None) for sign in line] for line in re.split("\n", text)]
    rows = [[value for value in line if value is not None] for line in lines]
    rows = ["".join(map(str, row)) for row in rows if len(row) == 2]
    assert reading.read_digit_rows(text, 2) == (rows if len(rows) == 2 else None)
    blank_or_row = re.fullmatch(r"\s*(\d{2})\s*\n(?:\s*\n)?\s*(\d{2})\s*", text)
    assert reading.read_digit_rows_strictly(text, 2) == (rows if blank_or_row else None)


def test_filled_lines_end_at_line_feeds_alone_and_lose_the_white_space_around_them(reading):
    assert reading.read_filled_lines(" a \r\n\r\n\tb\rc\n\u2028\n\u2029 d\x85") == ["a", "b\rc", "d"]


def test_cells_are_stripped(reading):
    assert reading.read_cells(" a, b ,,c\t") == ["a", "b", "", "c"]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("plain", "plain"),
        ("Zoë 李 🙂", "Zoë 李 🙂"),
        ("a\ud800b", "a\ufffdb"),
        ("\udc00\ud800", "\ufffd\ufffd"),
        ("x\udbff", "x\ufffd"),
        ("\ud83d\ude42\ud83d", "🙂\ufffd"),
        ("\ud83d\ud83d\ude42\ude42", "\ufffd🙂\ufffd"),
        ("\udbff\udfff\ud800\udc00", "\U0010ffff\U00010000"),
        ("\ufeffa\ud800", "\ufeffa\ufffd"),
    ],
)
def test_lone_surrogates_become_replacement_characters(reading, text, clean):
    assert reading.replace_lone_surrogates(text) == clean


@given(text=st.text(alphabet=st.characters(exclude_categories=())))
@settings(deadline=None)
def test_text_without_lone_surrogates_can_be_encoded(reading, text):
    clean = reading.replace_lone_surrogates(text)
    clean.encode("utf-8")
    assert reading.replace_lone_surrogates(clean) == clean
