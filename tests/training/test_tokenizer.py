"""The tokenizer: what it must be for the model, and that training sees what the chat template makes."""

import random

import pytest
from click.testing import CliRunner

import hub_dataset
from benchmark.ideal import tokenizer as ideal
from samplers import models
from training import tokenizer as reference
from training.__main__ import main
from training.tokenizer import load_backend, render_chat, save_tokenizer, train_tokenizer

from .conftest import HUB_MODEL, TOKENIZER_FILES


def test_prompts_are_those_of_the_chat_template() -> None:
    tokenizer, backend = models.load_tokenizer(str(HUB_MODEL)), load_backend(HUB_MODEL)
    for task in ("waiting_line_sort", "puzzle_sudoku_n4_12", "text_writing_summarize"):
        for row in hub_dataset.build_rows(task)[:5]:
            chat = [(message["role"], message["content"]) for message in row["messages"]]
            expected = tokenizer.apply_chat_template(
                row["messages"], add_generation_prompt=True, tokenize=True, return_dict=True
            )["input_ids"]
            assert backend.encode(render_chat(chat), add_special_tokens=False).ids == expected


def test_answers_come_back_as_they_were() -> None:
    tokenizer = models.load_tokenizer(str(HUB_MODEL))
    for task in hub_dataset.default_task_names():
        for row in hub_dataset.build_rows(task)[:5]:
            ids = tokenizer(row["answer"], add_special_tokens=False)["input_ids"]
            assert tokenizer.decode(ids) == row["answer"]


def test_a_list_takes_one_token_between_names_and_no_name_begins_with_one_letter_more() -> None:
    tokens = load_backend(HUB_MODEL).encode('["Ada Stone", "Al Ng"]').tokens
    assert tokens == ['["', "Ad", "a", "ĠSt", "one", '",Ġ"', "Al", "ĠNg", '"]']


def test_special_tokens_are_those_by_which_the_ideal_model_finds_prompts() -> None:
    names = ("PAD", "END", "MASK", "SYSTEM", "USER", "ASSISTANT")
    assert [getattr(reference, name) for name in names] == [getattr(ideal, name) for name in names]


def test_a_saved_tokenizer_is_read_by_transformers(tmp_path) -> None:
    draw = random.Random(0).random
    trained = train_tokenizer([f"A line of {int(draw() * 100)} people" for _ in range(50)], vocabulary=300)
    save_tokenizer(trained, tmp_path)
    tokenizer = models.load_tokenizer(str(tmp_path))
    assert (tokenizer.mask_token, tokenizer.eos_token, tokenizer.pad_token) == ("<|mask|>", "<|end|>", "<|pad|>")
    assert tokenizer.padding_side == "left"


def test_a_vocabulary_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 262"):
        train_tokenizer(["text"], vocabulary=100)


@pytest.mark.slow
def test_the_shipped_tokenizer_is_what_the_command_makes(tmp_path) -> None:
    result = CliRunner().invoke(main, ["tokenizer", "--model", str(tmp_path)])
    assert result.exit_code == 0, result.output
    for name in TOKENIZER_FILES:
        assert (tmp_path / name).read_bytes() == (HUB_MODEL / name).read_bytes(), name
