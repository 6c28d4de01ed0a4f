"""The pages that list the schedulers say what the classes say, so that they cannot go stale."""

import inspect
import re
from pathlib import Path

import pytest
from write_method_pages import PAGES, methods_page, own_parameters, table_row

from samplers import built_in_scheduler_names, scheduler_class


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_page_is_what_the_classes_make_of_it(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert PAGES[path](page) == page, "run: python tests/write_method_pages.py"
    for name in built_in_scheduler_names():
        assert scheduler_class(name).__name__ in page


def test_a_new_row_takes_its_rule_from_the_docstring_and_an_old_one_keeps_it() -> None:
    assert "| the tokens whose own probability is highest | quota |" in table_row("confidence", None).replace(".", "")
    (path, _) = PAGES
    page = path.read_text(encoding="utf-8")
    row = table_row("prophet", "the k surest")
    kept = re.sub(r"^\| `prophet`.*\n", lambda _: row, page, flags=re.MULTILINE)
    assert methods_page(kept) == kept != page
    without = re.sub(r"^\| `prophet`.*\n", "", page, flags=re.MULTILINE)
    assert table_row("prophet", None) in methods_page(without)


@pytest.mark.parametrize("name", built_in_scheduler_names())
def test_docstring_names_every_parameter(name: str) -> None:
    cls = scheduler_class(name)
    text = inspect.getdoc(cls) or ""
    for parameter in own_parameters(cls):
        assert re.search(rf"\b{parameter.name}\b", text), f"{cls.__name__} does not explain {parameter.name}"
