"""Answers and the room that they have: by the vocabularies that the data is made for, and as a rule for any other."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import ROOT
from vocabularies import qwen_tokenizer, vocabularies

from hub_dataset import build_rows, config_names, task_info
from hub_dataset.card import ANSWER_TOKENS
from hub_dataset.fit import answer_fit, fit_of_config, token_counter
from hub_dataset.generators.lists import format_list

ALL = [name for name in config_names() if not task_info(name).from_hub]
PEOPLE = [name for name in ALL if task_info(name).items == "people"]


def characters(texts):
    return [len(text) for text in texts]


def row(answer, **reference):
    return {"answer": answer, "reference": json.dumps(reference)}


@pytest.fixture(scope="module")
def counters():
    try:
        return vocabularies()
    except ImportError as error:
        pytest.skip(f"{error}: the packages that bring the vocabularies are not installed")


@pytest.mark.parametrize("config", PEOPLE)
def test_a_line_of_n_people_is_4n_tokens(config, counters):
    for built in build_rows(config):
        people = json.loads(built["answer"])
        for vocabulary, count in counters.items():
            assert count(built["answer"]) == 4 * len(people), (vocabulary, built["answer"])


def test_the_original_means_are_met(counters):
    for config, mean in {"copy": 18, "sort": 18, "insert_index": 22, "remove_index": 14}.items():
        rows = build_rows(f"waiting_line_{config}")
        assert sum(counters["Qwen"](built["answer"]) for built in rows) / len(rows) == mean


@pytest.mark.parametrize("config", ALL)
def test_every_answer_fits_with_its_end_token(config, counters):
    for count in counters.values():
        line, problem = fit_of_config(config, lambda texts, count=count: [count(text) for text in texts])
        assert problem is None, line


def test_the_card_says_what_is_counted(counters):
    recorded = json.loads(ANSWER_TOKENS.read_text())
    assert list(recorded) == ALL
    for config in ALL:
        fit = answer_fit(build_rows(config), 10**6, lambda texts: [counters["Qwen"](text) for text in texts])
        assert recorded[config] == {"least": fit.least, "mean": round(fit.mean, 1), "most": fit.most}


@pytest.mark.parametrize("config", [name for name in ALL if task_info(name).category == "case_study"])
def test_letters_of_case_studies_are_tokens_of_their_own_in_the_form(config):
    try:
        tokenizer = qwen_tokenizer()
    except ImportError as error:
        pytest.skip(f"{error}: the package that brings this vocabulary is not installed")
    for built in build_rows(config, rows=20):
        items = iter(json.loads(built["answer"]))
        pieces = built["output_format"].split("[MASK]")
        filled = tokenizer.encode(pieces[0])
        for piece in pieces[1:]:
            filled += [*tokenizer.encode(next(items)), *tokenizer.encode(piece)]
        assert filled == tokenizer.encode(built["answer"])


def test_rows_are_counted_as_the_room_for_answer_and_end_token_says():
    rows = [row("12345678", scorer="list_match"), row("1234567", scorer="list_match"), row("123", scorer="list_match")]
    fit = answer_fit(rows, 7, characters)
    assert (fit.rows, fit.too_long, fit.without_end, fit.longer) == (3, 1, 1, 2)
    assert (fit.least, fit.mean, fit.most) == (3, 6, 8)
    assert fit.best_score == pytest.approx(200 / 3)
    assert "1 of 3 right answers do not fit into 7 new tokens: at most 66.7 % can be right" in fit.limit()
    assert "1 of 3 right answers leave no room for their end token" in fit.limit()
    assert fit.problem() == fit.limit()
    assert answer_fit(rows, 9, characters).problem() is None
    tight = answer_fit(rows, 8, characters)
    assert (tight.too_long, tight.without_end, tight.best_score) == (0, 1, 100)
    assert tight.limit().startswith("1 of 3 right answers leave no room for their end token in 8 new tokens")


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        (["long name", "a"], {"scorer": "list_remove", "input": ["b", "long name", "a"], "count": 1}),
        (["long name", "z"], {"scorer": "list_replace", "input": ["long name", "b"], "word": "z"}),
    ],
)
def test_a_question_is_too_long_only_if_every_right_answer_is(answer, reference):
    other = {"list_remove": ["b", "a"], "list_replace": ["z", "b"]}[reference["scorer"]]
    rows = [row(format_list(answer), **reference)]
    room = len(format_list(other))
    fits = answer_fit(rows, room + 1, characters)
    assert (fits.too_long, fits.without_end, fits.longer, fits.limit()) == (0, 0, 1, None)
    assert "others that are right may" in fits.problem()
    assert answer_fit(rows, room, characters).without_end == 1
    tight = answer_fit(rows, room - 1, characters)
    assert (tight.too_long, tight.best_score) == (1, 0)


def test_no_text_is_too_long_as_a_shorter_one_may_be_right():
    fit = answer_fit([row("a long summary", scorer="summary", summary="a long summary")], 5, characters)
    assert (fit.too_long, fit.without_end, fit.longer, fit.best_score, fit.limit()) == (0, 0, 1, 100, None)
    assert "1 of 1 answers" in fit.problem()


@given(st.lists(st.text(min_size=1), min_size=1), st.integers(1, 12))
def test_more_room_never_makes_it_worse(answers, room):
    rows = [row(answer, scorer="list_match") for answer in answers]
    small, large = (answer_fit(rows, size, characters) for size in (room, room + 1))
    assert small.too_long >= large.too_long
    assert small.too_long + small.without_end >= large.too_long + large.without_end
    assert answer_fit(rows, small.most + 1, characters).problem() is None


def test_the_shipped_tokenizer_counts_a_list_of_letters():
    assert token_counter(str(ROOT / "hub_model"))(['["A", "B", "C"]']) == [7]


def test_a_tokenizer_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(ValueError, match=str(tmp_path)) as caught:
        token_counter(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_the_page_shows_what_the_command_says():
    line, problem = fit_of_config("waiting_line_copy", token_counter(str(ROOT / "hub_model")))
    shown = " ".join((ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8").split())
    assert line in shown
    assert f"waiting_line_copy: with hub_model, {problem}" in shown
