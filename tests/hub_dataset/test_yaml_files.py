"""Tests of reading YAML: a key given twice is refused wherever it stands, and nothing else that YAML allows is."""

import pytest

from hub_dataset.yaml_files import read_mapping


def read(folder, text):
    path = folder / "my.yaml"
    path.write_text(text, encoding="utf-8")
    return read_mapping(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "my.yaml: a: is given twice; the second, in line 3, is 3"),
        ("a: {rows: 1, rows: [2, 3]}", "my.yaml: rows: is given twice; the second, in line 1, is [2, 3]"),
        ("a:\n- b: 1\n  b: {c: 2}\n", "my.yaml: b: is given twice; the second, in line 3, is {'c': 2}"),
        ("yes: 1\ntrue: 2\n", "my.yaml: True: is given twice; the second, in line 2, is 2"),
    ],
)
def test_key_given_twice_is_refused_with_line_and_value(tmp_path, text, message):
    with pytest.raises(ValueError, match="is given twice") as caught:
        read(tmp_path, text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("a: {x: 1}\nb: {x: 1}\n", {"a": {"x": 1}, "b": {"x": 1}}),
        ("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n", {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}),
        ("a: &a [x]\nb: *a\n", {"a": ["x"], "b": ["x"]}),
    ],
)
def test_same_keys_elsewhere_and_merged_keys_are_no_repetition(tmp_path, text, content):
    assert read(tmp_path, text) == content


@pytest.mark.parametrize(
    "text", ["? [a]\n: 1\n", "a: 2001-99-99\n", "a: !!python/object:x {}\n", "a: [" * 5000, "[" * 50_000]
)
def test_what_yaml_cannot_hold_is_one_line(tmp_path, text):
    with pytest.raises(ValueError, match=r"^my\.yaml: is not YAML") as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)
