"""Tests of the rows: schema, splits, determinism, examples, and the recorded checksums."""

import json
import re
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from itertools import islice
from pathlib import Path

import pytest

import hub_dataset
from hub_dataset import build_rows, checksum, config_names, default_task_names, iterate_rows, task_info
from hub_dataset.checks import read_checksums
from hub_dataset.rows import COLUMNS, canonical_line

ROOT = Path(hub_dataset.__file__).resolve().parent.parent
# What takes a network to build has tests of its own.
ALL = [name for name in config_names() if not task_info(name).from_hub]
DEFAULT = default_task_names()
# SHA-256 over the first 20 rows of `train` of every task that has one: other rows need a new minor version.
TRAIN_CHECKSUMS = {"2.0.0": "07b39c938e21db4eddd8b8d453604bfde0442df5bc48b74511179c8e23dee754"}

# SHA-256 over the checksums that 1.1.0 recorded for the configs whose rows 2.0.0 left alone, as sorted JSON.
LEFT_ALONE = "9dc3da1694b27c241dc2895a0faae0655a5612780b29e15d488daa8581d3964b"


def lists_of(row):
    """The input lists of a row: the example's and the question's."""
    prompts = [message["content"] for message in row["messages"] if message["role"] == "user"]
    return [json.loads(prompt[prompt.index("[") : prompt.index("]") + 1]) for prompt in prompts]


def test_configs_are_those_of_the_benchmark():
    operations = "copy reverse sort shuffle insert_index insert_random remove_index remove_random replace_index"
    operations = [*operations.split(), "replace_random"]
    waiting = [f"waiting_line_{name}" for name in operations]
    assert [*waiting, "puzzle_latin_square_n4", "puzzle_sudoku_n4_12"] == DEFAULT
    long = [f"waiting_line_n15_{name}" for name in operations]
    studied = [
        f"case_study_{name}_n{length}"
        for name in ("copy", "replace_index", "replace_random", "shuffle")
        for length in (6, 8, 10, 12, 14, 16)
    ]
    assert DEFAULT + long + studied == [name for name in ALL if task_info(name).category != "text_writing"]
    public = [name for name in config_names() if name not in ALL]
    assert public == ["paraphrase_summarize_chatgpt_paraphrases", "paraphrase_summarize_samsum"]
    assert {"text_writing_paraphrase", "text_writing_summarize"} <= set(ALL)


@pytest.mark.parametrize(
    ("config", "rows", "tokens", "lengths"),
    [
        *[(name, 100, 32, {3: 25, 4: 25, 5: 25, 6: 25}) for name in DEFAULT[:10]],
        ("puzzle_latin_square_n4", 100, 64, {4: 100}),
        ("puzzle_sudoku_n4_12", 108, 64, {4: 108}),
        ("waiting_line_n15_sort", 100, 128, {15: 100}),
        ("case_study_shuffle_n16", 100, 80, {16: 100}),
    ],
)
def test_test_split_has_the_published_size(config, rows, tokens, lengths):
    built = build_rows(config)
    assert len(built) == task_info(config).rows == rows
    assert Counter(row["length"] for row in built) == lengths
    assert {row["max_new_tokens"] for row in built} == {task_info(config).max_new_tokens} == {tokens}


@pytest.mark.parametrize("config", ALL)
def test_rows_follow_the_schema(config):
    task = task_info(config)
    for number, row in enumerate(build_rows(config)):
        assert list(row) == list(COLUMNS)
        assert [type(value) for value in row.values()] == list(COLUMNS.values())
        assert row["id"] == f"{config}-test-{number:04d}"
        assert (row["task"], row["category"]) == (config, task.category)
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"] * task.shots + ["user"]
        assert row["messages"][-1]["content"] == row["prompt"]
        assert "{" not in row["prompt"]
        reference = json.loads(row["reference"])
        assert reference["scorer"] == task.scorer
        assert reference["task"] == config


@pytest.mark.parametrize("config", ALL)
def test_rebuilt_rows_have_the_recorded_checksum(config):
    rows = build_rows(config)
    assert checksum(rows) == read_checksums()[config]["test"]
    lines = "".join(canonical_line(row) + "\n" for row in rows)
    assert checksum(rows) == sha256(lines.encode()).hexdigest()


def test_training_rows_are_those_of_the_version():
    rows = (row for name in ALL if "train" in task_info(name).splits for row in build_rows(name, "train", 20))
    assert TRAIN_CHECKSUMS.get(hub_dataset.DATA_VERSION) == checksum(rows)


def test_rows_without_names_of_the_lists_are_still_those_of_the_first_major_version():
    changed = {"text_writing_summarize", *(name for name in ALL if task_info(name).items == "people")}
    left_alone = {name: splits for name, splits in read_checksums().items() if name not in changed}
    assert len(left_alone) == 48
    assert sha256(json.dumps(left_alone, sort_keys=True).encode()).hexdigest() == LEFT_ALONE


def test_checksums_are_recorded_for_every_config_and_no_other():
    assert [name for name in read_checksums() if not task_info(name).from_hub] == ALL


@pytest.mark.parametrize("config", ALL)
def test_no_question_is_asked_twice(config):
    for split in task_info(config).splits[:2]:
        rows = None if split == "test" else 300
        prompts = [row["prompt"] for row in build_rows(config, split, rows)]
        assert len(prompts) == len(set(prompts))


@pytest.mark.parametrize("config", ALL)
def test_train_and_validation_contain_no_question_of_test(config):
    questions = {row["prompt"] for row in build_rows(config)}
    for split in task_info(config).splits[1:]:
        for row in build_rows(config, split, 300):
            assert not questions & {message["content"] for message in row["messages"]}


def test_train_holds_no_latin_square_over_the_symbols_of_test():
    config = "puzzle_latin_square_n4"
    tested = {frozenset(json.loads(row["reference"])["symbols"]) for row in build_rows(config)}
    assert len(tested) == 100
    for row in islice(iterate_rows(config, "train", 10**6), 3000):
        for message in row["messages"][::2]:
            symbols = message["content"].split("symbols ")[1].split(":")[0]
            assert frozenset(symbols.split(", ")) not in tested


def test_names_of_test_do_not_occur_in_train():
    def words(split):
        return {
            word
            for row in build_rows("waiting_line_copy", split, 100)
            for person in lists_of(row)[1]
            for word in person.split()
        }

    assert not words("test") & words("train")
    assert words("validation") & words("train")


@pytest.mark.parametrize("config", [name for name in ALL if task_info(name).items])
def test_example_shares_no_word_with_its_question_and_has_a_length_of_its_own(config):
    rows = build_rows(config)
    for row in rows:
        example, question = lists_of(row)
        assert not set(" ".join(example).split()) & set(" ".join(question).split())
    assert {len(lists_of(row)[0]) for row in rows} == {3, 4, 5, 6}


@pytest.mark.parametrize("config", DEFAULT)
def test_examples_differ_from_row_to_row(config):
    assert len({row["messages"][0]["content"] for row in build_rows(config)}) >= 95


@pytest.mark.parametrize("config", DEFAULT[:10])
def test_prompt_says_where_position_0_is_and_names_the_output_format_last(config):
    prompt = build_rows(config, rows=1)[0]["prompt"]
    assert "from the front (position 0) to the back" in prompt
    assert prompt.splitlines()[-1] == 'Reply with the final list only, in the form ["name", "name", ...].'


@pytest.mark.parametrize("config", [name for name in ALL if name.startswith("case_study")])
def test_case_study_answers_fit_even_when_every_character_is_a_token(config):
    assert max(len(row["answer"]) for row in build_rows(config)) <= task_info(config).max_new_tokens


@pytest.mark.parametrize("config", ["waiting_line_sort", "puzzle_latin_square_n4", "puzzle_sudoku_n4_12"])
@pytest.mark.parametrize("split", ["test", "train"])
def test_fewer_rows_are_the_beginning_of_more(config, split):
    assert build_rows(config, split, 7) == build_rows(config, split, 50)[:7]


def test_splits_have_streams_of_their_own():
    first = {split: build_rows("case_study_copy_n6", split, 1)[0]["prompt"] for split in hub_dataset.rows.SPLITS}
    assert len(set(first.values())) == 3


def test_alias_with_slash_or_dash_is_accepted():
    assert build_rows("waiting_line/copy", rows=1) == build_rows("waiting-line-copy", rows=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("waiting_line_cpy",), "unknown task 'waiting_line_cpy'; did you mean 'waiting_line_copy'"),
        (("?",), "unknown task '?'"),
        (("waiting_line_copy", "dev"), "unknown split 'dev'; it is one of test, train, validation"),
        (("waiting_line_copy", "test", 101), "has 100 rows, not 101"),
        (("waiting_line_copy", "train", 0), "rows is 0; it must be a whole number"),
        (("waiting_line_copy", "train", 10**20), "rows is 100000000000000000000; it must be a whole number from 1 to"),
        (("waiting_line_copy", "train", 2.5), "rows is 2.5; it must be a whole number"),
    ],
)
def test_wrong_arguments_are_refused_at_the_call(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        iterate_rows(*arguments)
    assert "\n" not in str(caught.value)


def test_importing_and_building_loads_nothing_heavy():
    heavy = ("torch", "numpy", "datasets", "evaluate", "click", "pyarrow")
    code = (
        "import sys, hub_dataset; hub_dataset.build_rows('waiting_line_copy');"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_rows_are_the_same_under_another_hash_seed():
    configs = [*DEFAULT, "words_to_sentence_hard", "text_writing_paraphrase", "text_writing_summarize"]
    code = f"import hub_dataset as h; print([h.checksum(h.build_rows(c, 'train', 20)) for c in {configs}])"
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert outputs[0].strip() == str([checksum(build_rows(name, "train", 20)) for name in configs])


def test_generated_names_are_no_words_of_test_and_differ_from_the_listed():
    config = "waiting_line_insert_random"
    tested = {word for row in build_rows(config) for word in people_of(row)}
    made_up = build_rows(config, "train", 300, names="generated")
    words = {word for row in made_up for word in people_of(row)}
    assert not words & tested
    assert len(words) > 3000
    listed = {word for row in build_rows(config, "train", 300) for word in people_of(row)}
    assert len(listed) < 400
    assert len(words & listed) < 10


def people_of(row) -> list[str]:
    """All words of the names that a row shows, one-shot example included."""
    shown = [message["content"].split("\n")[0].partition(": ")[2] for message in row["messages"][::2]]
    return " ".join(shown).replace('", "', " ").strip('[" ]').replace('"] ["', " ").split()


def test_generated_names_leave_other_tasks_as_they_are():
    for config in ("puzzle_latin_square_n4", "case_study_shuffle_n6"):
        assert build_rows(config, "train", 20, names="generated") == build_rows(config, "train", 20)


def test_shorter_split_with_generated_names_is_the_beginning_of_a_longer_one():
    long = build_rows("waiting_line_sort", "validation", 40, names="generated")
    assert build_rows("waiting_line_sort", "validation", 10, names="generated") == long[:10]
    assert long != build_rows("waiting_line_sort", "train", 40, names="generated")


@pytest.mark.parametrize(
    ("split", "names", "message"),
    [("test", "generated", "names of test are never generated"), ("train", "made up", "unknown names 'made up'")],
)
def test_names_are_checked_at_the_call(split, names, message):
    with pytest.raises(ValueError, match=message):
        iterate_rows("waiting_line_copy", split, names=names)
