"""Tests of the card: YAML that the Hub's own classes read, and a text that follows from what was built."""

import re
from fnmatch import fnmatchcase

import pytest
import yaml
from huggingface_hub import DatasetCard

from hub_dataset import DATA_VERSION, build_rows, config_names, task_info
from hub_dataset.card import FACTS, configs_of_card
from hub_dataset.generators import TASK_TYPES
from hub_dataset.version import HISTORY
from hub_dataset.writing import build_dataset

TASKS = ["waiting_line_copy", "waiting_line_shuffle", "waiting_line_n15_copy", "puzzle_sudoku_n4_12"]


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    output = tmp_path_factory.mktemp("card") / "parallelbench"
    build_dataset(output, TASKS, splits=["test", "train"], rows=30)
    return (output / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def facts():
    return yaml.safe_load(FACTS.read_text(encoding="utf-8"))


def test_front_matter_is_what_the_hub_reads(card):
    data = DatasetCard(card).data.to_dict()
    assert data["pretty_name"] == "ParallelBench"
    assert data["license"] == "apache-2.0"
    assert data["language"] == ["en"]
    assert data["task_categories"] == ["text-generation"]
    assert data["size_categories"] == ["n<1K"]
    assert [entry["config_name"] for entry in data["configs"]] == TASKS[:2] + TASKS[3:] + TASKS[2:3]
    assert all(entry["version"] == DATA_VERSION for entry in data["configs"])
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", entry["description"]) for entry in data["configs"])


def test_nothing_is_left_to_fill_in(card):
    assert "<<" not in card
    assert "None" not in card


def test_tables_give_the_rows_that_were_built(card):
    task = task_info("puzzle_sudoku_n4_12")
    row = f"| `puzzle_sudoku_n4_12` | 108 | 30 | 4 | 19 | 64 | `sudoku` | {task.description} |"
    assert row in card.splitlines()
    assert "### Waiting line" in card
    assert "### Case study" not in card


def test_one_example_of_each_task_is_its_first_row(card):
    shown = re.findall(r"<summary><code>(\w+)</code>", card)
    assert shown == ["waiting_line_copy", "waiting_line_shuffle", "puzzle_sudoku_n4_12"]
    row = build_rows("puzzle_sudoku_n4_12", rows=1)[0]
    assert f"```text\n{row['prompt']}\n```" in card
    assert f"```text\n{row['answer']}\n```" in card


def test_facts_appear_where_a_config_they_concern_was_built(card, facts):
    for kind, key in (("limits", "text"), ("sources", "name")):
        for fact in facts[kind]:
            concerned = any(fnmatchcase(name, pattern) for name in TASKS for pattern in fact["configs"].split())
            assert (fact[key] in card) == concerned


def test_every_task_type_has_a_reason_and_every_reason_a_task_type(facts):
    assert facts["reasons"].keys() == TASK_TYPES.keys()


def test_every_pattern_of_a_source_concerns_a_config(facts):
    for pattern in " ".join(source["configs"] for source in facts["sources"]).split():
        assert any(fnmatchcase(name, pattern) for name in config_names()), pattern


def test_versions_are_listed_with_the_newest_first(card):
    assert next(iter(HISTORY)) == DATA_VERSION
    assert f"| {DATA_VERSION} | {HISTORY[DATA_VERSION]} |" in card


def test_configs_of_a_card_are_found_again_and_others_give_none(card):
    assert sorted(configs_of_card(card)) == sorted(TASKS)
    assert configs_of_card("# my project\n") == []
    assert configs_of_card("---\n[\n---\n") == []
