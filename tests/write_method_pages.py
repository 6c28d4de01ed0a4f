"""Writes what the docs list of every scheduler: the table of `methods.md` and the entries of `api/schedulers.md`.

    python tests/write_method_pages.py

Run it when a class is added or its parameters change. What a row says of the rule stays as it stands there; that of a
new class is the first sentence of its docstring.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / "docs"
HEAD = "| name, class | commits | parameters (defaults) | paper | batchable | remasks |\n|---|---|---|---|---|---|\n"
#: What the page explains once, for all or for all with a quota.
SHARED = ("self", "temperature", "top_p", "top_k", "score_proposal")
QUOTA = ("k", "num_inference_steps", "schedule", "eps")


def own_parameters(cls: Any) -> list[inspect.Parameter]:
    """A scheduler's parameters without those that the page explains for many at once."""
    from samplers import QuotaScheduler

    explained = (*SHARED, *QUOTA) if issubclass(cls, QuotaScheduler) else SHARED
    parameters = inspect.signature(cls.__init__).parameters.values()
    return [parameter for parameter in parameters if parameter.name not in explained]


def table_row(name: str, rule: str | None) -> str:
    """The row of a scheduler in the table of methods."""
    from samplers import QuotaScheduler, UnmaskingScheduler, scheduler_class

    cls = scheduler_class(name)
    text = inspect.getdoc(cls) or ""
    rule = rule or " ".join(text.split("\n\n")[0].split()).removeprefix("Commits ").removesuffix(".")
    quota = ["quota"] if issubclass(cls, QuotaScheduler) else []
    parameters = ", ".join([*quota, *(f"`{one.name}` {one.default}" for one in own_parameters(cls))])
    found = re.search(r"arXiv (\d{4}\.\d{5})", text)
    paper = f"[{found[1]}](https://arxiv.org/abs/{found[1]})" if found else "–"
    remasks = "yes" if cls.revise is not UnmaskingScheduler.revise else "no"
    if cls.replace is not UnmaskingScheduler.replace:
        remasks = "replaces"
    return f"| `{name}`<br>`{cls.__name__}` | {rule} | {parameters} | {paper} | yes | {remasks} |\n"


def methods_page(page: str) -> str:
    """`docs/methods.md` with the table that the classes make."""
    from samplers import built_in_scheduler_names

    before, _, rest = page.partition(HEAD)
    table, _, after = rest.partition("\n\n")
    rules = {row.split("`")[1]: row.split(" | ")[1] for row in table.splitlines()}
    rows = "".join(table_row(name, rules.get(name)) for name in built_in_scheduler_names())
    return f"{before}{HEAD}{rows}\n{after}"


def api_page(page: str) -> str:
    """`docs/api/schedulers.md` with an entry for every class."""
    from samplers import built_in_scheduler_names, scheduler_class

    entries = [
        f"::: samplers.schedulers.{scheduler_class(name).__name__}\n    options:\n      members: false\n"
        for name in built_in_scheduler_names()
    ]
    return page[: page.index(entries[0])] + "\n".join(entries)


#: The pages, and what writes each from what stands there.
PAGES = {DOCS / "methods.md": methods_page, DOCS / "api" / "schedulers.md": api_page}


if __name__ == "__main__":
    sys.path.insert(0, str(DOCS.parent))
    for path, write in PAGES.items():
        path.write_text(write(path.read_text(encoding="utf-8")), encoding="utf-8")
