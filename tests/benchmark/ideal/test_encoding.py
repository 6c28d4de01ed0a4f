"""Tables of token ids: they hold exactly the tokenized answers, and rows of one kind have one table of labels."""

import numpy as np
import pytest

from benchmark.ideal import build_tokenizer, valid_answers
from benchmark.ideal.answers import answer_form
from benchmark.ideal.encoding import encode_answers


def table_of(tokenizer, row):
    return encode_answers(tokenizer, valid_answers(row["reference"]), answer_form(row["reference"]))


def test_tokens_are_those_of_the_whole_text_filled_up_with_end_tokens(mixed_rows):
    tokenizer = build_tokenizer(mixed_rows)
    for row in mixed_rows:
        tokens = table_of(tokenizer, row).tokens
        for answer, ids in zip(valid_answers(row["reference"]), tokens.tolist(), strict=True):
            expected = tokenizer(answer).input_ids
            assert ids == expected + [tokenizer.eos_token_id] * (len(ids) - len(expected))


@pytest.mark.parametrize("name", ["(Ada)", "J. Doe Jr.", "", "!", "Zoe\u0301"])
def test_names_that_end_in_punctuation_are_tokenized_as_in_the_whole_text(make_row, name):
    row = make_row("list_shuffle", items=[name, "Ada Hill", "Ben Lake", "x"])
    tokenizer = build_tokenizer([row])
    tokens = table_of(tokenizer, row).tokens.tolist()
    for answer, ids in zip(valid_answers(row["reference"]), tokens, strict=True):
        assert ids[: len(tokenizer(answer).input_ids)] == tokenizer(answer).input_ids
        assert tokenizer.decode(ids, skip_special_tokens=True) == answer


def test_labels_are_shared_by_rows_of_one_kind_whatever_the_names(make_row):
    plain = make_row("list_shuffle", items=["Ada Stone", "Ben Field", "Cleo Hill", "x"])
    namesakes = make_row("list_shuffle", items=["Ada Lake", "Ada Hill", "Ben Lake", "x"], number=1)
    tokenizer = build_tokenizer([plain, namesakes])
    first, second = table_of(tokenizer, plain), table_of(tokenizer, namesakes)
    assert np.array_equal(first.labels, second.labels)
    assert not np.array_equal(first.tokens, second.tokens)


def test_words_the_tokenizer_lacks_are_named(make_row):
    tokenizer = build_tokenizer([make_row("list_shuffle", items=["Ada Stone", "Ben Field", "x"])])
    stranger = make_row("list_shuffle", items=["Ada Stone", "Zoe Zander", "x"])
    with pytest.raises(ValueError, match="'Zoe Zander'"):
        table_of(tokenizer, stranger)


def test_labels_are_tokens_where_names_end_in_punctuation(make_row):
    row = make_row("list_shuffle", items=["J. Doe Jr.", "Ada (Hill)", "Ben Lake", "Cleo!", "x"])
    table = table_of(build_tokenizer([row]), row)
    # One label per distinct token and one for the filling, not one per answer.
    assert len(table.token_of_label) == len(set(table.tokens.flatten().tolist()) | {table.token_of_label[0]})
