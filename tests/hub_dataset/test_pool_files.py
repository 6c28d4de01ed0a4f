"""Tests of a user's own items: from the YAML or a text file, and what no list could be written with."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_dataset.generators.lists import format_list
from hub_dataset.generators.pools import UserItems
from hub_dataset.pool_files import read_pool


def test_list_is_taken_as_it_is(tmp_path):
    items = ["fig", "passion fruit", "Äpfel", "O'Neill", "7"]
    assert read_pool(tmp_path / "my.yaml", "pool", items) == tuple(items)


def test_file_beside_the_yaml_gives_one_item_a_line(tmp_path):
    (tmp_path / "words.txt").write_bytes("\ufefffig\r\n\n  passion fruit \n".encode())
    assert read_pool(tmp_path / "my.yaml", "pool", "words.txt") == ("fig", "passion fruit")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "my.yaml: tasks.a.pool: there are no items"),
        (["fig", 7], "my.yaml: tasks.a.pool: 7 is not a string; put it in quotes"),
        (["fig", True], "True is not a string; put it in quotes"),
        (["fig", " "], "' ' is blank or has a space around it"),
        (["fig "], "'fig ' is blank or has a space around it"),
        (["fig", "lime", "fig"], "'fig' is given twice"),
        (["a, b"], "'a, b' holds a comma"),
        (['a"b'], "holds a comma, a double quote"),
        (["a]"], "holds a comma, a double quote, a bracket"),
        (["a\nb"], "holds a comma, a double quote, a bracket or a control character"),
        (7, "7 is neither a list of items nor the name of a file"),
        ("missing.txt", "my.yaml: tasks.a.pool: 'missing.txt' cannot be read: No such file or directory"),
        ("latin.txt", "'latin.txt' cannot be read: is not UTF-8 text"),
        ("twice.txt", "my.yaml: tasks.a.pool: twice.txt: 'fig' is given twice"),
        ("empty.txt", "empty.txt: there are no items"),
        ("a\0b", "cannot be read"),
    ],
)
def test_what_is_wrong_is_named_with_file_key_and_value(tmp_path, value, message):
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    (tmp_path / "twice.txt").write_text("fig\nlime\nfig\n")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"^my\.yaml: tasks\.a\.pool: ") as caught:
        read_pool(tmp_path / "my.yaml", "tasks.a.pool", value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(deadline=None)
@given(items=st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=5, unique=True))
def test_every_accepted_item_survives_the_written_list(tmp_path_factory, items):
    try:
        accepted = read_pool(tmp_path_factory.getbasetemp() / "my.yaml", "pool", items)
    except ValueError:
        return
    assert json.loads(json.dumps(format_list(list(accepted)))) == format_list(list(accepted))
    assert format_list(list(accepted))[2:-2].split('", "') == items


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(0, 4), avoid=st.sets(st.sampled_from("abcdef"), max_size=2))
def test_items_are_drawn_once_and_never_from_those_to_avoid(seed, count, avoid):
    drawn = UserItems("abcdef").draw(random.Random(seed).random, count, frozenset(avoid))
    assert len(drawn) == len(set(drawn)) == count
    assert set(drawn) <= set("abcdef") - avoid


def test_every_order_of_items_comes_up():
    drawn = {tuple(UserItems("abc").draw(random.Random(seed).random, 3, frozenset())) for seed in range(200)}
    assert len(drawn) == 6
