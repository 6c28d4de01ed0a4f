"""The rules of the list scorers."""

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

RIGHT = {"score": 1.0, "score_strict": 1.0}
LENIENTLY_RIGHT = {"score": 1.0, "score_strict": 0.0}
WRONG = {"score": 0.0, "score_strict": 0.0}

# Few letters, so that duplicates and near misses are common.
LINES = st.lists(st.sampled_from("abcd"), max_size=6)
DISTINCT_LINES = st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=6, unique=True)
ODD_ITEMS = st.lists(st.text(alphabet='ab ,"[]\n', max_size=3), max_size=3)


def spelled(items):
    return json.dumps(list(items))


@pytest.fixture(scope="module")
def lists(part):
    return part("list_scorers")


def test_match_wants_the_same_items_in_the_same_order(lists):
    assert lists.score_list_match('["a", "b"]', '["a", "b"]') == RIGHT
    assert lists.score_list_match('["b", "a"]', '["a", "b"]') == WRONG
    assert lists.score_list_match('["a"]', '["a", "b"]') == WRONG


def test_strict_score_wants_the_canonical_form(lists):
    assert lists.score_list_match("a, b", '["a", "b"]') == LENIENTLY_RIGHT
    assert lists.score_list_match("Sure! [a, b]", '["a", "b"]') == LENIENTLY_RIGHT
    assert lists.score_list_match('Sure! ["a", "b"].', '["a", "b"]') == RIGHT


def test_match_reads_the_answer_like_a_prediction(lists):
    assert lists.score_list_match('["a", "b"]', "a,b") == RIGHT
    assert lists.score_list_match("a,b", "a,b") == LENIENTLY_RIGHT


def test_empty_list_matches_an_empty_answer_only(lists):
    assert lists.score_list_match("[]", "[]") == RIGHT
    assert lists.score_list_match("", "[]") == LENIENTLY_RIGHT
    assert lists.score_list_match("[ , ]", "[]") == LENIENTLY_RIGHT
    assert lists.score_list_match('[""]', "[]") == WRONG
    assert lists.score_list_match("[]", '["a"]') == WRONG


@pytest.mark.parametrize(
    ("items", "score"),
    [("ba", RIGHT), ("ab", WRONG), ("aa", WRONG), ("a", WRONG), ("abb", WRONG), ("", WRONG)],
)
def test_shuffle_is_a_permutation_other_than_the_input(lists, items, score):
    assert lists.score_list_shuffle(spelled(items), ["a", "b"]) == score


def test_a_single_person_cannot_be_shuffled(lists):
    assert lists.score_list_shuffle('["a"]', ["a"]) == WRONG


@pytest.mark.parametrize(
    ("items", "score"),
    [("wab", RIGHT), ("awb", RIGHT), ("abw", RIGHT), ("ab", WRONG), ("aw", WRONG), ("wba", WRONG), ("wabw", WRONG)],
)
def test_insert_takes_any_place(lists, items, score):
    assert lists.score_list_insert(spelled(items), ["a", "b"], "w") == score


@pytest.mark.parametrize("items", ["bc", "ac", "ab"])
def test_remove_takes_any_item(lists, items):
    assert lists.score_list_remove(spelled(items), ["a", "b", "c"]) == RIGHT


@pytest.mark.parametrize(
    ("items", "line", "count", "score"),
    [
        ("abc", "abc", 1, WRONG),
        ("ba", "abc", 1, WRONG),
        ("a", "abc", 1, WRONG),
        ("ad", "abc", 1, WRONG),
        ("ba", "aba", 1, WRONG),  # an "a" is still there
        ("aa", "aba", 1, RIGHT),
        ("b", "aab", 2, WRONG),  # the two that went are alike
        ("b", "abc", 2, RIGHT),
        ("", "ab", 2, RIGHT),
        ("", "a", 2, WRONG),
    ],
)
def test_remove_wants_distinct_items_gone_and_order_kept(lists, items, line, count, score):
    assert lists.score_list_remove(spelled(items), list(line), count=count) == score


@pytest.mark.parametrize(
    ("items", "score"),
    [("wb", RIGHT), ("aw", RIGHT), ("ab", WRONG), ("ww", WRONG), ("wa", WRONG), ("w", WRONG), ("wab", WRONG)],
)
def test_replace_takes_any_place_once(lists, items, score):
    assert lists.score_list_replace(spelled(items), ["a", "b"], "w") == score


@pytest.fixture(scope="module")
def right_answers(lists):
    """For each scorer, from people and the place of one of them: its score of a text, and the items of a right list."""
    return {
        "list_match": (lambda text, line: lists.score_list_match(text, spelled(line)), lambda line, _: line),
        "list_shuffle": (lists.score_list_shuffle, lambda line, _: [*line[1:], line[0]]),
        "list_insert": (
            lambda text, line: lists.score_list_insert(text, line, "w"),
            lambda line, at: [*line[:at], "w", *line[at:]],
        ),
        "list_remove": (lists.score_list_remove, lambda line, at: [*line[:at], *line[at + 1 :]]),
        "list_replace": (
            lambda text, line: lists.score_list_replace(text, line, "w"),
            lambda line, at: [*line[:at], "w", *line[at + 1 :]],
        ),
    }


@pytest.mark.parametrize("scorer", ["list_match", "list_shuffle", "list_insert", "list_remove", "list_replace"])
@given(line=DISTINCT_LINES, data=st.data())
@settings(deadline=None)
def test_an_empty_item_in_quotes_spoils_a_right_list_and_one_of_white_space_does_not(
    lists, right_answers, scorer, line, data
):
    score, answer = right_answers[scorer]
    items = [f'"{item}"' for item in answer(line, data.draw(st.integers(0, len(line) - 1)))]
    assert score(f"[{', '.join(items)}]", line) == RIGHT
    at = data.draw(st.integers(0, len(items)))
    for empty in ('""', '"', '" "', '"""'):
        assert score(f"[{', '.join([*items[:at], empty, *items[at:]])}]", line) == WRONG
    for blank in ("", " ", "\n", "\u3000\t"):
        assert score(f"[{', '.join([*items[:at], blank, *items[at:]])}]", line) == LENIENTLY_RIGHT


@given(items=LINES, line=LINES)
@settings(deadline=None)
def test_shuffle_never_accepts_the_input(lists, items, line):
    assert lists.score_list_shuffle(spelled(line), line) == WRONG
    right = sorted(items) == sorted(line) and items != line
    assert lists.score_list_shuffle(spelled(items), line)["score"] == right


@given(items=LINES, line=LINES, word=st.sampled_from("abcd"), place=st.integers(0, 6))
@settings(deadline=None)
def test_insert_agrees_with_trying_every_place(lists, items, line, word, place):
    assert lists.score_list_insert(spelled([*line[:place], word, *line[place:]]), line, word) == RIGHT
    right = any(item == word and [*items[:i], *items[i + 1 :]] == line for i, item in enumerate(items))
    assert lists.score_list_insert(spelled(items), line, word)["score"] == right


@given(line=DISTINCT_LINES, data=st.data())
@settings(deadline=None)
def test_remove_accepts_every_line_without_count_people(lists, line, data):
    gone = data.draw(st.sets(st.sampled_from(line), min_size=1))
    left = spelled([person for person in line if person not in gone])
    assert lists.score_list_remove(left, line, count=len(gone)) == RIGHT
    assert lists.score_list_remove(left, line, count=len(gone) + 1) == WRONG


@given(items=LINES, line=LINES)
@settings(deadline=None)
def test_remove_agrees_with_trying_every_item(lists, items, line):
    right = any(
        person not in items and [other for other in line if other != person] == items and line.count(person) == 1
        for person in line
    )
    assert lists.score_list_remove(spelled(items), line)["score"] == right


@given(line=DISTINCT_LINES, data=st.data())
@settings(deadline=None)
def test_replace_accepts_every_place_for_a_newcomer(lists, line, data):
    place = data.draw(st.integers(0, len(line) - 1))
    changed = [*line[:place], "w", *line[place + 1 :]]
    assert lists.score_list_replace(spelled(changed), line, "w") == RIGHT
    assert lists.score_list_replace(spelled(line), line, "w") == WRONG


@given(prediction=st.text(alphabet='[]", \nab'), line=ODD_ITEMS | LINES, word=st.sampled_from("ab "), answer=st.text())
@settings(deadline=None)
def test_strict_is_never_above_lenient(lists, prediction, line, word, answer):
    for score in (
        lists.score_list_match(prediction, answer),
        lists.score_list_match(prediction, spelled(line)),
        lists.score_list_match(spelled(line), spelled(line)),
        lists.score_list_shuffle(prediction, line),
        lists.score_list_shuffle(spelled(line[::-1]), line),
        lists.score_list_insert(spelled([word, *line]), line, word),
        lists.score_list_insert(prediction, line, word),
        lists.score_list_remove(spelled(line[1:]), line),
        lists.score_list_remove(prediction, line),
        lists.score_list_replace(prediction, line, word),
    ):
        assert 0.0 <= score["score_strict"] <= score["score"] <= 1.0


@given(answer=st.text())
@settings(deadline=None)
def test_every_answer_matches_itself(lists, answer):
    assert lists.score_list_match(answer, answer)["score"] == 1.0


@given(line=DISTINCT_LINES, data=st.data())
@settings(deadline=None)
def test_a_permutation_matches_nothing_but_itself(lists, line, data):
    other = data.draw(st.permutations(line))
    assume(other != line)
    assert lists.score_list_match(spelled(other), spelled(line)) == WRONG
