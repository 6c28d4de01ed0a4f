"""The word-level tokenizer: how it splits, that nothing is lost, chat template, and one token per item."""

import random

import pytest

from benchmark.ideal import ItemTokenizer, build_tokenizer, valid_answers


@pytest.fixture(scope="module")
def tokenizer(mixed_rows):
    return build_tokenizer(mixed_rows)


def texts_of(row):
    return [row["prompt"], row["answer"], *(message["content"] for message in row["messages"])]


def test_lists_split_at_words_with_the_space_before_them(make_row):
    row = make_row("list_shuffle", items=["Ada Stone", "Grace Field", "x"])
    tokenizer = build_tokenizer([row])
    tokens = tokenizer.tokenize('["Ada Stone", "Grace Field"]')
    assert tokens == ['["', "Ada", " Stone", '",', ' "', "Grace", " Field", '"]']


@pytest.mark.parametrize("name", ["Ada O'Hara", "Ben Smith-Jones", "Cleo Müller", "Dora O’Neil"])
def test_a_name_is_two_tokens_however_it_is_built(make_row, name):
    tokenizer = build_tokenizer([make_row("list_shuffle", items=[name, "Ada Hill", "Ben Lake", "x"])])
    assert tokenizer.tokenize(name) == [name.split()[0], " " + name.split()[1]]


def test_grids_have_one_token_per_cell(make_row):
    tokenizer = build_tokenizer([make_row("sudoku"), make_row("latin_square", number=1)])
    assert tokenizer.tokenize("1234\n3412") == ["1", "2", "3", "4", "\n", "3", "4", "1", "2"]
    cells = make_row("latin_square", number=1)["answer"]
    assert "".join(tokenizer.tokenize(cells)) == cells
    assert len(tokenizer.tokenize(cells)) == len(cells)


def test_every_text_comes_back_exactly(mixed_rows, tokenizer):
    for row in mixed_rows:
        for text in [*texts_of(row), *valid_answers(row["reference"])]:
            ids = tokenizer(text).input_ids
            assert tokenizer.unk_token_id not in ids
            assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_end_and_pad_tokens_are_dropped_by_decoding(mixed_rows, tokenizer):
    answer = mixed_rows[0]["answer"]
    ids = [tokenizer.pad_token_id, *tokenizer(answer).input_ids, tokenizer.eos_token_id, tokenizer.eos_token_id]
    assert tokenizer.batch_decode([ids], skip_special_tokens=True) == [answer]


def test_ids_do_not_depend_on_the_order_of_rows(mixed_rows, tokenizer):
    reordered = random.Random(0).sample(mixed_rows, len(mixed_rows))
    assert build_tokenizer(reordered).get_vocab() == tokenizer.get_vocab()


def test_special_tokens_are_distinct_and_lie_within_the_vocabulary(tokenizer):
    ids = [tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.mask_token_id, tokenizer.unk_token_id]
    assert len(set(ids)) == 4
    assert max(tokenizer.get_vocab().values()) == len(tokenizer) - 1


def test_chat_template_marks_turns_and_asks_for_the_answer(tokenizer):
    messages = [
        {"role": "user", "content": "An example, with"},
        {"role": "assistant", "content": " please"},
    ]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == "<|user|>An example, with<|end|><|assistant|> please<|end|><|assistant|>"
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
    assert ids == tokenizer(text).input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == "An example, with please"
    assert text.startswith(tokenizer.apply_chat_template(messages, tokenize=False))


def test_batches_are_padded_on_the_left(mixed_rows, tokenizer):
    batch = tokenizer.apply_chat_template(
        [row["messages"] for row in mixed_rows], add_generation_prompt=True, return_dict=True, padding=True
    )
    lengths = {len(ids) for ids in batch["input_ids"]}
    assert len(lengths) == 1
    assert len({ids[-1] for ids in batch["input_ids"]}) == 1
    assert any(mask[0] == 0 for mask in batch["attention_mask"])


def test_words_of_other_rows_are_unknown(tokenizer):
    assert tokenizer.unk_token_id in tokenizer("zebra").input_ids


def test_no_rows_and_foreign_roles_are_refused(make_row):
    with pytest.raises(ValueError, match="at least one row"):
        build_tokenizer([])
    row = make_row("list_match")
    row["messages"] = [{"role": "tool", "content": "x"}]
    with pytest.raises(ValueError, match="tool"):
        build_tokenizer([row])


@pytest.mark.parametrize("kind", ["list_shuffle", "latin_square", "sudoku"])
def test_items_are_one_token_each_and_decode_to_the_canonical_answer(make_row, kind):
    row = make_row(kind, 4, 7)
    tokenizer = build_tokenizer([row], item_tokens=True)
    assert isinstance(tokenizer, ItemTokenizer)
    for answer in valid_answers(row["reference"])[:20]:
        ids = tokenizer.encode_items(answer)
        assert len(ids) == (4 if kind == "list_shuffle" else 16)
        filled = [*ids, tokenizer.eos_token_id]
        assert tokenizer.batch_decode([filled], skip_special_tokens=True) == [answer]


def test_text_comes_back_exactly_with_item_tokens_too(mixed_rows):
    rows = [row for row in mixed_rows if "list_" in row["reference"]]
    tokenizer = build_tokenizer(rows, item_tokens=True)
    for row in rows:
        for text in texts_of(row):
            assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text


def test_item_tokens_survive_saving(make_row, tmp_path):
    row = make_row("latin_square", 4, 3)
    tokenizer = build_tokenizer([row], item_tokens=True)
    tokenizer.save_pretrained(tmp_path)
    again = ItemTokenizer.from_pretrained(tmp_path)
    ids = tokenizer.encode_items(row["answer"])
    assert again.encode_items(row["answer"]) == ids
    assert again.decode(ids) == row["answer"]


def test_item_tokens_refuse_rows_of_two_forms(make_row):
    with pytest.raises(ValueError, match="csv_grid, list"):
        build_tokenizer([make_row("list_match"), make_row("latin_square", number=1)], item_tokens=True)
