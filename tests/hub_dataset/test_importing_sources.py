"""Tests of finding the original tasks: any folder on their path, both editions, and the Hub."""

import json
import subprocess
import sys

import pytest
from loopback_hub import Repository, loopback_hub
from support import ROOT, SAMPLES

from hub_dataset.importing_sources import OUTPUT, find_tasks

SAMPLE = SAMPLES / "original"


def configs(source):
    return [task.task.config for task in find_tasks(str(source)) if task.task is not None]


@pytest.mark.parametrize("depth", range(len(OUTPUT) + 1))
def test_any_folder_on_the_way_to_the_groups_will_do(depth):
    found = configs(SAMPLE.joinpath(*OUTPUT[:depth]))
    assert len([config for config in found if config.startswith("original_")]) == 11
    assert "original_words_to_sentence_easy_n3" in found
    assert "original_paraphrase_summarize_chatgpt_paraphrases" in found


def test_single_group_will_do():
    found = configs(SAMPLE.joinpath(*OUTPUT, "puzzle"))
    assert found == ["original_puzzle_latin_square_n4", "original_puzzle_sudoku_n4_12"]


@pytest.mark.parametrize("folder", [SAMPLE, SAMPLE / "later_edition"])
def test_later_edition_is_found_in_its_folder_and_in_the_one_above(folder):
    found = [config for config in configs(folder) if config.startswith("original2026_")]
    assert found == ["original2026_waiting_line_insert_random"]


@pytest.fixture
def group(tmp_path):
    folder = tmp_path / "line"
    folder.mkdir()
    (folder / "copy.jsonl").write_text("{}\n")
    (folder / "task_config.yaml").write_text("line/copy: {metric: list_match_score, prompt: '{context}'}\n")
    return folder


def test_names_with_an_underscore_in_front_are_no_tasks(group):
    (group / "_sort.jsonl").write_text("{}\n")
    hidden = group.parent / "_old"
    hidden.mkdir()
    (hidden / "task_config.yaml").write_text("{}")
    (hidden / "copy.jsonl").write_text("{}")
    assert configs(group.parent) == ["original_line_copy"]


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ("other: 1", "is missing, so that the prompt of the task is unknown"),
        (
            "line/copy: {metric: list_march_score, prompt: x}",
            "metric: 'list_march_score' is not one of list_match_score",
        ),
        ("line/copy: {metric: list_match_score}", "prompt: None is not a string"),
        ("line/copy: {metric: list_match_score, prompt: '{context'}", "expected '}'"),
        ("line/copy: {metric: list_match_score, prompt: x, icl_example_count: one}", "icl_example_count: 'one' is not"),
    ],
)
def test_task_without_a_sound_configuration_is_reported_with_its_file(group, config, problem):
    (group / "task_config.yaml").write_text(config)
    (task,) = find_tasks(str(group))
    assert task.task is None
    assert task.where == f"{group / 'task_config.yaml'}: line/copy"
    assert problem in task.problem


def test_group_without_its_configuration_is_reported(group):
    other = group.parent / "puzzle"
    other.mkdir()
    (other / "sudoku.jsonl").write_text("{}\n")
    assert [task.task is None for task in find_tasks(str(group.parent))] == [False, True]


def test_file_that_is_named_after_no_task_is_reported(tmp_path):
    (tmp_path / "notes.jsonl").write_text("{}\n")
    (task,) = find_tasks(str(tmp_path))
    assert task.problem == "'notes' is not the name of a ParallelBench task"


def test_lines_tell_where_they_stand_and_what_is_wrong_with_them(group):
    (group / "copy.jsonl").write_bytes(b'\xef\xbb\xbf{"a": "\xe2\x80\xa8"}\n\n[1\n"\xff"\n' + b"[" * 10**5 + b"\n2")
    (task,) = find_tasks(str(group))
    lines = list(task.lines())
    assert [where.rpartition(":")[2] for where, _, _ in lines] == ["1", "3", "4", "5", "6"]
    assert [content for _, content, _ in lines] == [{"a": "\u2028"}, None, None, None, 2]
    assert [problem is None for _, _, problem in lines] == [True, False, False, False, True]


@pytest.mark.parametrize("source", ["nothing-here", "no such/set", "a/b/c", ""])
def test_source_that_is_neither_folder_nor_hub_set_is_refused(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"is neither a folder nor a Hub dataset|holds no ParallelBench data"):
        find_tasks(source)


def test_file_in_place_of_a_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("{}")
    with pytest.raises(ValueError, match="a/b: is neither a folder nor a Hub dataset"):
        find_tasks("a/b")


def test_folder_without_such_data_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no ParallelBench data"):
        find_tasks(str(tmp_path))


def load_from_hub(environment, source):
    """What a process of its own, with the real clients, finds in a Hub dataset: rows, or its last line of errors."""
    code = (
        "import json, sys\nfrom hub_dataset.importing_sources import find_tasks\n"
        "try: found = {task.task.config: list(task.lines()) for task in find_tasks(sys.argv[1])}\n"
        "except ValueError as error: found = str(error)\n"
        "print(json.dumps(found))"
    )
    command = [sys.executable, "-c", code, source]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.slow
def test_hub_set_is_read_config_by_config_at_a_revision(tmp_path):
    (path,) = (SAMPLE / "later_edition").glob("*.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    card = "configs:\n- config_name: {}\n  data_files:\n  - split: test\n    path: rows.jsonl\n"
    card = f"---\n{card.format(path.stem)}---\n".encode()
    with loopback_hub({"hf_ada": "ada"}) as hub:
        repository = hub.repositories["dataset", "ada/original"] = Repository("dataset", "ada/original", None)
        repository.commit({"README.md": card, "rows.jsonl": path.read_bytes()}, "both rows")
        repository.refs["v1"] = repository.refs["main"]
        repository.commit({"README.md": card, "rows.jsonl": path.read_bytes().splitlines()[1] + b"\n"}, "one row")
        environment = hub.environment(tmp_path / "home")
        now = load_from_hub(environment, "ada/original")
        then = load_from_hub(environment, "ada/original@v1")
        missing = load_from_hub(environment, "ada/nothing")
    ((config, lines),) = now.items()
    assert config == f"original2026_{path.stem}"
    assert [content["messages"] for _, content, _ in lines] == [rows[1]["messages"]]
    lines = then[config]
    assert [content["label"] for _, content, _ in lines] == [row["label"] for row in rows]
    assert [where for where, _, _ in lines] == [f"ada/original@v1: {path.stem}:{number}" for number in (1, 2)]
    assert missing.startswith("ada/nothing: cannot be loaded from the Hub (")


def test_hub_out_of_reach_is_one_line(tmp_path):
    with loopback_hub({}) as hub:
        environment = hub.environment(tmp_path / "home")
    message = load_from_hub(environment, "ada/original")
    assert message.startswith("ada/original: cannot be loaded from the Hub (")
    assert message.endswith("; with a copy of the data, name its folder instead")
    assert "\n" not in message
