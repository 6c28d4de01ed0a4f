"""The dataset card: `card.md` filled in from what was built, below the YAML that the Hub and `datasets` read.

Nothing about a task is written down twice: tables, examples and sizes come from the configs and their first rows, and
what `card_facts.yaml` says (reasons, sources, limits) appears where a config that it concerns was built.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from .rows import Row
from .task_config import CATEGORIES, TaskConfig
from .version import DATA_VERSION, HISTORY
from .yaml_files import read_mapping

TEMPLATE = Path(__file__).resolve().parent / "card.md"
FACTS = TEMPLATE.with_name("card_facts.yaml")
# Config → tokens of its answers in Qwen's vocabulary (least, mean, most), measured by tests/answer_tokens.py.
ANSWER_TOKENS = TEMPLATE.with_name("answer_tokens.json")
# What the front matter of every built card begins with; `writing` knows its own folders by it.
TITLE = "pretty_name: ParallelBench"


@dataclass(frozen=True, slots=True)
class WrittenConfig:
    """What was written of a config: split → path in the dataset, split → rows, and the first row.

    `digest` is the SHA-256 over the canonical JSON lines of all splits in their order, whatever the format.
    """

    files: dict[str, str]
    counts: dict[str, int]
    digest: str
    example: Row

    @property
    def count(self) -> int:
        """The rows of all splits together."""
        return sum(self.counts.values())


Written = Sequence[tuple[TaskConfig, WrittenConfig]]


def card_text(written: Written) -> str:
    """The card of a built dataset, given its configs in order with what was written of each."""
    body = TEMPLATE.read_text(encoding="utf-8")
    tasks = [task for task, _ in written]
    values = {
        "tables": _tables(written),
        "reasons": _reasons(tasks),
        "examples": _examples(written),
        "sources": _sources(tasks),
        "limits": "\n".join(f"- {text}" for text in _facts_for("limits", tasks)),
        "versions": "\n".join(f"| {version} | {change} |" for version, change in HISTORY.items()),
        "version": DATA_VERSION,
    }
    for key, value in values.items():
        body = body.replace(f"<<{key}>>", value)
    return f"{front_matter(written)}\n{body}"


def withheld(task: TaskConfig) -> str | None:
    """Why a config's rows are not published, or None where they may be."""
    return next((source["withheld"] for source in _facts_for("sources", [task]) if "withheld" in source), None)


def front_matter(written: Written) -> str:
    """The YAML at the head of a card, between its two lines of dashes."""
    import yaml

    tasks = [task for task, _ in written]
    licenses = list(dict.fromkeys(source["license_id"] for source in _facts_for("sources", tasks)))
    header: dict[str, Any] = {
        "license": licenses[0] if len(licenses) == 1 else licenses,
        "language": ["en"],
        "task_categories": ["text-generation"],
        "tags": ["diffusion-language-models", "parallel-decoding", "benchmark"],
        "size_categories": [_size_category(sum(result.count for _, result in written))],
        "configs": [config_entry(task.name, result.digest, result.files) for task, result in written],
    }
    return f"---\n{TITLE}\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True, width=120)}---\n"


def config_entry(name: str, digest: str, files: Mapping[str, str]) -> dict[str, Any]:
    """A config in the YAML of a card, with its files by split.

    Version and digest enter because the local cache of `datasets` looks at them and not at the files: without them,
    changed rows would be served stale.
    """
    return {
        "config_name": name,
        "version": DATA_VERSION,
        "description": f"sha256:{digest}",
        "data_files": [{"split": split, "path": path} for split, path in files.items()],
    }


def configs_of_card(text: str) -> list[str]:
    """The names of the configs that a card lists; none where it has no YAML of ours."""
    import yaml

    try:
        header = yaml.safe_load(text.split("---\n")[1])
        return [str(entry["config_name"]) for entry in header["configs"]]
    except (IndexError, KeyError, TypeError, yaml.YAMLError):
        return []


def _tables(written: Written) -> str:
    sections = []
    for category in CATEGORIES:
        members = [(task, result) for task, result in written if task.category == category]
        if not members:
            continue
        splits = list(dict.fromkeys(split for _, result in members for split in result.counts))
        counts = " | ".join(f"rows of `{split}`" for split in splits)
        columns = f"| config | {counts} | length | answer tokens | new tokens | scorer | what to do |"
        lines = [f"### {_title(category)}", "", columns, "|---" * (6 + len(splits)) + "|"]
        for task, result in members:
            sizes = " | ".join(str(result.counts.get(split, "–")) for split in splits)
            tokens = f"{_answer_tokens(task)} | {task.max_new_tokens}"
            cells = f"{sizes} | {_lengths(task)} | {tokens} | `{task.scorer}` | {task.description}"
            lines.append(f"| `{task.name}` | {cells} |")
        sections.append("\n".join(lines))
    return "\n\n".join(sections)


def _reasons(tasks: Sequence[TaskConfig]) -> str:
    reasons: Mapping[str, str] = _facts()["reasons"]
    kinds = dict.fromkeys(task.type for task in tasks)
    return "\n".join(f"- `{kind}`: {reasons[kind]}" for kind in kinds if kind in reasons)


def _examples(written: Written) -> str:
    sections = []
    seen: set[tuple[str, str, str]] = set()
    for task, result in written:
        # Other sizes of a task look the same.
        look = (task.category, task.type, task.description)
        if look in seen:
            continue
        seen.add(look)
        row = result.example
        blocks = [f"<details><summary><code>{task.name}</code></summary>"]
        blocks.append(f"Question:\n\n{_block(row['prompt'])}")
        blocks.append(f"A right answer:\n\n{_block(row['answer'])}")
        sections.append("\n\n".join([*blocks, "</details>"]))
    return "\n\n".join(sections)


def _sources(tasks: Sequence[TaskConfig]) -> str:
    lines = ["| source | used by | licence |", "|---|---|---|"]
    for source in _facts_for("sources", tasks):
        lines.append(f"| {source['name']} | {source['used_by']} | {source['license']} |")
    return "\n".join(lines)


def _facts_for(kind: str, tasks: Sequence[TaskConfig]) -> list[Any]:
    """The sources or limits whose pattern matches one of `tasks`."""
    return [
        fact["text"] if kind == "limits" else fact
        for fact in _facts()[kind]
        if any(fnmatchcase(task.name, pattern) for task in tasks for pattern in fact["configs"].split())
    ]


@cache
def _facts() -> dict[str, Any]:
    return read_mapping(FACTS)


def _block(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


def _title(category: str) -> str:
    return category.replace("_", " ").capitalize()


def _lengths(task: TaskConfig) -> str:
    return f"{task.min_length}–{task.max_length}" if task.min_length < task.max_length else str(task.min_length)


def _answer_tokens(task: TaskConfig) -> str:
    """Least, mean and most tokens of an answer of `test`; a dash for a user's own tasks, and what takes a network."""
    counts = _recorded_tokens().get(task.name)
    if counts is None:
        return "–"
    least, mean, most = counts["least"], counts["mean"], counts["most"]
    return f"{least}–{most}, mean {mean:.1f}" if least < most else str(least)


@cache
def _recorded_tokens() -> dict[str, dict[str, float]]:
    counts: dict[str, dict[str, float]] = json.loads(ANSWER_TOKENS.read_text(encoding="utf-8"))
    return counts


def _size_category(rows: int) -> str:
    for limit, label in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")):
        if rows < limit:
            return label
    return "1M<n<10M"
