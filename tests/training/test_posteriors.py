"""Exact targets agree with enumeration, and states are such as decoding reaches."""

import json

import numpy as np
import pytest

import hub_dataset
from benchmark.ideal import valid_answers
from training.posteriors import Choices, Punctuation, answer_table, can_list, draw_state, targets
from training.tokenizer import END, load_backend

from .conftest import HUB_MODEL

TASKS = (
    "waiting_line_shuffle",
    "waiting_line_insert_random",
    "waiting_line_remove_random",
    "waiting_line_replace_random",
    "puzzle_latin_square_n4",
)


@pytest.fixture(scope="module")
def tokenizer():
    return load_backend(HUB_MODEL)


def _table(tokenizer, reference):
    scorer = reference["scorer"]
    items = reference.get("input", reference.get("symbols"))
    choices = Choices(scorer, (*items, reference["word"]) if "word" in reference else tuple(items))
    one = [tokenizer.encode(text).ids[0] for text in ('["', '", "', '"]', ",", "\n", END)]
    return answer_table(choices, [tokenizer.encode(item).ids for item in choices.items], Punctuation(*one))


@pytest.mark.parametrize("task", TASKS)
def test_the_table_holds_exactly_the_right_answers(task: str, tokenizer) -> None:
    for row in hub_dataset.build_rows(task)[:6]:
        table = _table(tokenizer, json.loads(row["reference"]))
        found = sorted(
            tuple(table.tokens[line[:length]]) for line, length in zip(table.rows, table.lengths, strict=True)
        )
        expected = sorted(tuple(tokenizer.encode(answer).ids) for answer in valid_answers(row["reference"]))
        assert found == expected
        assert all((line[length:] == 0).all() for line, length in zip(table.rows, table.lengths, strict=True))


@pytest.mark.parametrize("task", TASKS)
def test_targets_are_shares_of_the_answers_that_agree(task: str, tokenizer) -> None:
    random = np.random.Generator(np.random.PCG64(7))
    reference = json.loads(hub_dataset.build_rows(task)[1]["reference"])
    table = _table(tokenizer, reference)
    window = table.rows.shape[1] + 3
    whole = np.zeros((len(table.rows), window), dtype=np.int64)
    whole[:, : table.rows.shape[1]] = table.rows
    for _ in range(60):
        masked, state, agreeing = draw_state(table, random.random(window) < 0.7, 2, random)
        shown = ~masked
        expected = np.flatnonzero((whole[:, shown] == state[shown]).all(axis=1))
        assert np.array_equal(agreeing, expected)
        assert len(agreeing)

        positions = np.flatnonzero(masked)
        owners, tokens, weights = targets(table, agreeing, positions)
        for number, position in enumerate(positions):
            mine = owners == number
            column = table.tokens[whole[agreeing, position]]
            assert dict(zip(tokens[mine].tolist(), weights[mine].tolist(), strict=True)) == pytest.approx(
                {int(token): float((column == token).mean()) for token in np.unique(column)}
            )


def test_a_line_with_too_many_orders_is_not_listed() -> None:
    assert can_list("list_shuffle", 6)
    assert not can_list("list_shuffle", 7)
    assert can_list("list_replace", 16)
    assert not can_list("list_match", 3)
