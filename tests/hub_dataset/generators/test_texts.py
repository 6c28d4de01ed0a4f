"""Tests of the open text tasks: which texts are drawn, what the reference holds, and what is refused."""

import json
import random
import re
from dataclasses import replace

import pytest

from hub_dataset import build_rows, iterate_rows, task_info
from hub_dataset.generators.pools import People
from hub_dataset.generators.texts import PARAPHRASE, TextGenerator
from hub_dataset.group_files import read_group
from hub_dataset.text_files import Text, read_dialogues, read_paraphrases
from hub_dataset.text_sources import SOURCES

OWN = ["text_writing_paraphrase", "text_writing_summarize"]
CUSTOM = """
category: custom
config_name: custom_{task}
settings: {shots: 0, rows: 2, max_new_tokens: 32, min_length: 2, max_length: 4}
tasks:
  mine: {type: paraphrase, source: mine.yaml}
"""
MINE = "\n".join(
    f"- {{sentence: {' '.join(['word'] * count)}., paraphrases: [{name} one., {name} two.]}}"
    for name, count in (("Short", 1), ("Two", 2), ("Three", 3), ("Long", 9))
)


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine.yaml").write_text(MINE, encoding="utf-8")
    path = tmp_path / "my_tasks.yaml"
    path.write_text(CUSTOM, encoding="utf-8")
    return path


def reference(row):
    return json.loads(row["reference"])


def test_each_sentence_is_asked_once_with_one_of_its_paraphrases():
    texts = {text.text: text.answers for text in read_paraphrases(SOURCES / "paraphrases.yaml")}
    rows = build_rows(OWN[0])
    assert {reference(row)["text"] for row in rows} == set(texts)
    for row in rows:
        sentence = reference(row)["text"]
        assert reference(row) == {"scorer": "paraphrase", "task": OWN[0], "text": sentence}
        assert sentence in row["prompt"]
        assert row["answer"] in texts[sentence]
    assert 30 < sum(row["answer"] == texts[reference(row)["text"]][0] for row in rows) < 70


def test_each_dialogue_is_asked_once_with_its_summary():
    texts = {text.answers[0]: text.text for text in read_dialogues(SOURCES / "dialogues.yaml")}
    rows = build_rows(OWN[1])
    assert {row["answer"] for row in rows} == set(texts)
    for row in rows:
        assert reference(row) == {"scorer": "summary", "task": OWN[1], "summary": row["answer"]}
        assert texts[row["answer"]] in row["prompt"]


@pytest.mark.parametrize("config", OWN)
def test_prompt_ends_by_asking_for_the_final_answer_only(config):
    row = build_rows(config, rows=1)[0]
    assert re.fullmatch(r"Reply with the (new text|summary) only\.", row["prompt"].splitlines()[-1])
    assert row["messages"] == [{"role": "user", "content": row["prompt"]}]
    assert (row["max_new_tokens"], row["output_format"], row["category"]) == (64, "", "text_writing")


def test_length_is_the_number_of_words_of_the_text():
    for row in build_rows(OWN[0]):
        assert row["length"] == len(reference(row)["text"].split())


@pytest.mark.parametrize("config", OWN)
@pytest.mark.parametrize("split", ["train", "validation"])
def test_made_texts_have_the_lengths_of_the_task_and_are_none_of_test(config, split):
    task, tested = task_info(config), build_rows(config)
    rows = build_rows(config, split, 500)
    assert {task.min_length <= row["length"] <= task.max_length for row in rows} == {True}
    assert len({row["prompt"] for row in rows}) == 500
    for column in ("prompt", "answer"):
        assert not {row[column] for row in rows} & {row[column] for row in tested}
    for row in rows:
        assert row["messages"] == [{"role": "user", "content": row["prompt"]}]
        assert reference(row)["scorer"] == task.scorer
    assert build_rows(config, split, 50) == rows[:50]


@pytest.mark.parametrize("config", [*OWN, *(f"words_to_sentence_{level}" for level in ("easy", "medium", "hard"))])
def test_no_name_of_test_stands_in_training_text(config):
    people = People("test")
    names = {*people.first_names, *people.last_names}
    for row in build_rows(config, "train", 3000):
        assert not names & set(re.findall(r"[A-Z][a-z]+", row["prompt"] + row["answer"])), row


def test_splits_and_levels_share_hardly_a_text():
    train, validation = (
        {row["prompt"] for row in build_rows("text_writing_paraphrase", split, 2000)}
        for split in ("train", "validation")
    )
    assert len(train & validation) < 20


def test_text_of_a_length_that_the_grammar_does_not_have_is_one_line(mine):
    mine.write_text(CUSTOM.replace("max_length: 4}", "max_length: 4, vocabulary: mixed}"), encoding="utf-8")
    task = read_group(mine)["custom_mine"]
    assert build_rows(replace(task, max_length=20), "train", 20)
    (mine.parent / "long.yaml").write_text(f"- {{sentence: {'word ' * 60}, paraphrases: [Short.]}}", encoding="utf-8")
    mine.write_text(mine.read_text(encoding="utf-8").replace("mine.yaml", "long.yaml"), encoding="utf-8")
    task = replace(read_group(mine)["custom_mine"], rows=1, min_length=60, max_length=70)
    expected = r"my_tasks.yaml: tasks.mine.min_length: 60: custom_mine: no text of 60 to 70 words came up"
    with pytest.raises(ValueError, match=expected):
        build_rows(task, "train", 2)


@pytest.mark.parametrize("config", ["paraphrase_summarize_samsum", "paraphrase_summarize_chatgpt_paraphrases"])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_there_is_no_other_split_than_test(config, split):
    assert task_info(config).splits == ("test",)
    with pytest.raises(ValueError, match=f"{config} .*{split}"):
        iterate_rows(config, split, 5)


def test_public_sets_are_those_of_the_benchmark_at_fixed_commits():
    paraphrases = task_info("paraphrase_summarize_chatgpt_paraphrases")
    assert (paraphrases.source.repository, paraphrases.source.split) == ("humarin/chatgpt-paraphrases", "train")
    dialogues = task_info("paraphrase_summarize_samsum")
    assert (dialogues.source.repository, dialogues.source.split) == ("knkarthick/samsum", "test")
    for task in (paraphrases, dialogues):
        assert re.fullmatch(r"[0-9a-f]{40}", task.source.revision)
        assert task.from_hub
        assert (task.rows, task.max_new_tokens, task.shots) == (100, 64, 0)
    assert not any(task_info(config).from_hub for config in OWN)


def test_task_of_a_users_own_takes_texts_of_allowed_length_beside_its_yaml(mine):
    rows = build_rows(read_group(mine)["custom_mine"])
    assert {row["length"] for row in rows} == {2, 3}
    assert {row["answer"].split()[0] for row in rows} == {"Two", "Three"}


def test_more_rows_than_texts_is_one_line_with_file_key_and_value(mine):
    task = replace(read_group(mine)["custom_mine"], rows=3)
    expected = r"my_tasks.yaml: tasks.mine.rows: 3: custom_mine: mine.yaml has only 2 texts of 2 to 4 words"
    with pytest.raises(ValueError, match=expected):
        build_rows(task)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("shots: 0", "shots: 1, example_min_length: 2, example_max_length: 2", "tasks.mine.shots: 1 is not 0"),
        (", source: mine.yaml", "", "tasks.mine.source: is missing; the task type paraphrase needs it"),
        ("source: mine.yaml", "source: other.yaml", "tasks.mine.source: 'other.yaml' is not a file beside it"),
        (
            "source: mine.yaml",
            "source: mine.yaml, vocabulary: rich",
            "vocabulary: 'rich' is not one of everyday, mixed",
        ),
        (
            "type: paraphrase, source: mine.yaml",
            "type: copy, items: people, vocabulary: mixed",
            "'mixed' has no use here",
        ),
        ("type: paraphrase", "type: copy, items: people", "source: 'mine.yaml' has no use here"),
    ],
)
def test_wrong_settings_are_one_line(mine, old, new, message):
    mine.write_text(CUSTOM.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        read_group(mine)
    assert "\n" not in str(caught.value)


def test_texts_and_answers_that_are_refused_are_never_drawn(mine):
    task = replace(read_group(mine)["custom_mine"], min_length=1, max_length=9)
    kind = next(cell.cell_contents for cell in PARAPHRASE.make.__closure__)
    texts = [Text(f"Text {number}.", (f"Good {number}.", f"Bad {number}.")) for number in range(40)] + [None] * 20
    seen = []

    def accepts(written):
        seen.append(tuple(written))
        return not written[1].startswith("Bad")

    generator = TextGenerator(task, kind, texts, accepts)
    draw = random.Random(0).random
    drawn = []
    while len(seen) < 40:
        drawn.append(generator.draw(draw, 1, frozenset()))
    with pytest.raises(ValueError, match=f"only {len(drawn)} texts of 1 to 9 words"):
        generator.draw(draw, 1, frozenset())
    assert {question.answer[:4] for question in drawn} == {"Good"}
    assert len({question.identity for question in drawn}) == len(drawn) < 30
    assert len(seen) == 40
