"""What the kinds of reference keys accept."""

import pytest


@pytest.mark.parametrize(
    ("kind", "accepted", "refused"),
    [
        ("STRING", ["", "a"], [None, 1, ["a"], {"a": 1}]),
        ("STRINGS", [[], ["a"], ["a", "a"]], [None, "a", [1], ["a", None], {"a": 1}]),
        ("SOME_STRINGS", [["a"], ["a", "a"]], [None, "a", [], [1]]),
        ("DISTINCT_STRINGS", [["a"], ["a", "b"]], [None, "ab", [], ["a", "a"], [["a"]]]),
        ("POSITIVE_INTEGER", [1, 7], [None, 0, -1, True, 1.0, "1"]),
    ],
)
def test_key_kinds(part, kind, accepted, refused):
    accepts = getattr(part("scorer"), kind).accepts
    assert [value for value in accepted if not accepts(value)] == []
    assert [value for value in refused if accepts(value)] == []
