"""The one error for a package that is not installed."""

import sys

import pytest

from samplers.models.requirements import needed_by


def test_missing_package_says_who_needs_it_and_how_to_get_it() -> None:
    with pytest.raises(ValueError, match="pip install") as error, needed_by("reading this", "no_such_package>=2"):
        import no_such_package  # noqa: F401
    said = str(error.value)
    assert said.startswith("reading this needs no_such_package>=2")
    assert "No module named 'no_such_package'" in said
    assert said.endswith('pip install "no_such_package>=2"')


def test_reason_of_a_package_that_only_the_import_knows_is_one_line() -> None:
    with pytest.raises(ValueError, match="needs another package") as error, needed_by("the tokenizer"):
        raise ImportError("\nThis tokenizer takes SentencePiece.\nInstall it first.\n")
    assert (
        str(error.value)
        == "the tokenizer needs another package (This tokenizer takes SentencePiece. Install it first.)"
    )


def test_other_errors_and_results_pass() -> None:
    with needed_by("this", "sys"):
        import sys as found
    assert found is sys
    with pytest.raises(KeyError), needed_by("this"):
        raise KeyError("name")
