"""The table of methods in the docs says what the classes say, so that it cannot go stale."""

import inspect
import re
from typing import Any

import pytest
from support import ROOT

from samplers import UnmaskingScheduler, built_in_scheduler_names, scheduler_class
from samplers.schedulers.scheduling_quota import QuotaScheduler

HEAD = "| name, class | commits | parameters (defaults) | paper | batchable | remasks |"
LINE = "|---|---|---|---|---|---|"
#: What the page explains once, for all or for all with a quota.
SHARED = ("self", "temperature", "top_p", "top_k", "score_proposal")
QUOTA = ("k", "num_inference_steps", "schedule", "eps")
PAGE = ROOT / "docs" / "methods.md"


def parameters(cls: Any) -> str:
    """A scheduler's own parameters with their defaults; a quota's four are one word."""
    own = [
        parameter for parameter in inspect.signature(cls.__init__).parameters.values() if parameter.name not in SHARED
    ]
    texts = ["quota"] if issubclass(cls, QuotaScheduler) else []
    for parameter in own:
        if not texts or parameter.name not in QUOTA:
            texts.append(f"`{parameter.name}` {parameter.default}")
    return ", ".join(texts)


def paper(cls: Any) -> str:
    """A link to the first paper that the class's docstring names."""
    found = re.search(r"arXiv (\d{4}\.\d{5})", inspect.getdoc(cls) or "")
    return f"[{found[1]}](https://arxiv.org/abs/{found[1]})" if found else "–"


def row(name: str, rule: str) -> str:
    """The row of the table for a scheduler; only its rule is a person's."""
    cls = scheduler_class(name)
    remasks = "yes" if cls.revise is not UnmaskingScheduler.revise else "no"
    if cls.replace is not UnmaskingScheduler.replace:
        remasks = "replaces"
    label = f"`{name}`<br>`{cls.__name__}`"
    return f"| {label} | {rule} | {parameters(cls)} | {paper(cls)} | yes | {remasks} |"


def rows_of_the_page() -> list[str]:
    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index(HEAD) :].split("\n\n")[0].splitlines()
    assert table[:2] == [HEAD, LINE]
    return table[2:]


def test_every_method_has_its_row_in_order() -> None:
    names = [re.match(r"\| `(\w+)`", line)[1] for line in rows_of_the_page()]  # type: ignore[index]
    assert names == built_in_scheduler_names()


@pytest.mark.parametrize("name", built_in_scheduler_names())
def test_row_says_what_the_class_says(name: str) -> None:
    (line,) = [line for line in rows_of_the_page() if line.startswith(f"| `{name}`")]
    rule = line.split(" | ")[1]
    assert len(rule.split()) > 3
    assert line == row(name, rule)


@pytest.mark.parametrize("name", built_in_scheduler_names())
def test_docstring_names_every_parameter(name: str) -> None:
    cls = scheduler_class(name)
    own = [key for key in inspect.signature(cls.__init__).parameters if key not in (*SHARED, *QUOTA)]
    text = inspect.getdoc(cls) or ""
    for key in own:
        assert re.search(rf"\b{key}\b", text), f"{cls.__name__} does not explain {key}"
