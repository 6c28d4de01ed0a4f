"""The one error for what is not installed or stopped answering."""

import json

import pytest


@pytest.fixture
def unavailable(part):
    return part("unavailable")


def test_what_is_installed_is_imported(unavailable):
    assert unavailable.import_needed("json", "nothing", "nothing") is json


@pytest.mark.parametrize("module", ["no_such_package", "no_such_package.part", "json.no_such_part"])
def test_what_is_not_is_one_line_that_says_what_to_install(unavailable, module):
    with pytest.raises(OSError, match="no_such_") as caught:
        unavailable.import_needed(module, "the score", "package>=2", ", or do without")
    assert type(caught.value) is unavailable.UnavailableError
    said = str(caught.value)
    assert said.startswith("the score needs package>=2")
    assert said.endswith('pip install "package>=2", or do without')
    assert "\n" not in said


def test_a_package_of_which_a_part_is_missing_says_which(unavailable, tmp_path, monkeypatch):
    (tmp_path / "half_a_package.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(unavailable.UnavailableError, match="no_such_dependency"):
        unavailable.import_needed("half_a_package", "the score", "half")


def test_words_of_an_error_are_one_line(unavailable):
    assert unavailable.in_one_line(ValueError("a\n  b")) == "a b"
    assert unavailable.in_one_line(ValueError()) == "ValueError"
