"""Tests of the key `source`: a file beside the YAML, one of the project's, or a pinned dataset on the Hub."""

import re

import pytest

from hub_dataset.text_sources import SOURCES, HubDataset, TextFile, read_source

SET = {"repository": "ada/stories", "split": "test", "revision": "0123456789abcdef0123456789abcdef01234567"}


@pytest.fixture
def yaml_file(tmp_path):
    return tmp_path / "my.yaml"


def test_file_beside_the_yaml_goes_before_one_of_the_project(yaml_file):
    assert read_source(yaml_file, "tasks.a.source", "dialogues.yaml") == TextFile(SOURCES / "dialogues.yaml")
    own = yaml_file.with_name("dialogues.yaml")
    own.write_text("")
    assert read_source(yaml_file, "tasks.a.source", "dialogues.yaml") == TextFile(own)


@pytest.mark.parametrize("revision", [SET["revision"], "v1.0.0", "2.1", "v3"])
def test_set_on_the_hub_is_read_with_a_fixed_revision(yaml_file, revision):
    read = read_source(yaml_file, "tasks.a.source", SET | {"revision": revision})
    assert read == HubDataset("ada/stories", "test", revision)
    assert str(read) == "ada/stories (test)"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("none.yaml", "'none.yaml' is not a file beside it"),
        ("", "'' is not a file"),
        (3, "3 is neither a file nor a dataset on the Hub"),
        ([], "[] is neither"),
        ({"repository": "a/b", "split": "test"}, ".revision: is missing"),
        (SET | {"revison": "v1"}, ".revison: unknown key (value 'v1'); did you mean 'revision'?"),
        (SET | {"revision": "main"}, ".revision: 'main' does not pin the dataset; give a commit hash of 40 digits"),
        (SET | {"revision": "0123abc"}, ".revision: '0123abc' does not pin the dataset"),
        (SET | {"revision": 1.0}, ".revision: 1.0 is empty or not a string"),
        (SET | {"split": ""}, ".split: '' is empty or not a string"),
        (SET | {"repository": "stories"}, ".repository: 'stories' is not of the form owner/name"),
        (SET | {"repository": "a/b/c"}, ".repository: 'a/b/c' is not of the form"),
    ],
)
def test_what_is_wrong_is_named_with_file_key_and_value(yaml_file, value, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        read_source(yaml_file, "tasks.a.source", value)
    assert str(caught.value).startswith("my.yaml: tasks.a.source")
    assert "\n" not in str(caught.value)
