"""The maintainers' look at names: what is in the lists may stay, and each reason against a name is found."""

import random

import pytest
from name_lists import made_up_names, names_of_train, reasons_against
from vocabularies import vocabularies

from hub_dataset.generators.pools import People


@pytest.fixture(scope="module")
def made_up():
    return made_up_names(100_000)


def test_no_name_of_test_is_among_the_made_up_ones_or_in_train(made_up):
    people = People("test")
    of_test = {*people.first_names, *people.last_names}
    assert len(made_up) > 20_000
    assert of_test & (made_up.keys() | names_of_train().keys()) == set()


def test_every_reason_against_a_name_is_found(made_up):
    try:
        count = vocabularies()
    except ImportError as error:
        pytest.skip(f"{error}: the packages that bring the vocabularies are not installed")
    assert reasons_against("Alexander", "first", count, made_up) == []
    assert reasons_against("Omar", "last", count, made_up) == []
    assert reasons_against("Omar", "first", count, made_up) == ["takes 2 tokens of Qwen", "takes 2 tokens of cl100k"]
    assert reasons_against("O'Neil", "last", count, made_up) == ["is not one capitalised ASCII word"]
    assert "stands in first_names_train.txt" in reasons_against("Fiona", "first", count, made_up)
    common = random.Random(0).choice([name for name, number in made_up.items() if number > 20])
    assert "made-up names of training" in reasons_against(common, "first", count, made_up)[-1]
