"""The dataset card: `card.md` below YAML that tells `datasets` which configs and splits there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .configs import task_info
from .version import DATA_VERSION

TEMPLATE = Path(__file__).resolve().parent / "card.md"
# What the front matter of every built card begins with; `writing` knows its own folders by it.
TITLE = "pretty_name: ParallelBench"


def card_text(files: Mapping[str, Mapping[str, str]], digests: Mapping[str, str], rows: int) -> str:
    """The card of a built dataset.

    `files` maps config → split → path in the dataset, `digests` each config to the SHA-256 over its rows, and `rows`
    counts all of them. Version and digest enter every config's entry because the local cache of `datasets` looks at
    them and not at the files: without them, changed rows would be served stale.
    """
    import yaml

    header: dict[str, Any] = {
        "license": "apache-2.0",
        "language": ["en"],
        "task_categories": ["text-generation"],
        "tags": ["diffusion-language-models", "parallel-decoding", "benchmark"],
        "size_categories": [_size_category(rows)],
        "configs": [
            {
                "config_name": config,
                "version": DATA_VERSION,
                "description": f"sha256:{digests[config]}",
                "data_files": [{"split": split, "path": path} for split, path in splits.items()],
            }
            for config, splits in files.items()
        ],
    }
    body = TEMPLATE.read_text(encoding="utf-8")
    body = body.replace("{table}", _table(list(files))).replace("{version}", DATA_VERSION)
    front = yaml.safe_dump(header, sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{TITLE}\n{front}---\n\n{body}"


def _table(configs: Sequence[str]) -> str:
    lines = ["| config | rows of `test` | length | scorer | task |", "|---|---|---|---|---|"]
    for name in configs:
        task = task_info(name)
        lengths = f"{task.min_length}–{task.max_length}" if task.min_length < task.max_length else str(task.min_length)
        lines.append(f"| `{name}` | {task.rows} | {lengths} | `{task.scorer}` | {task.description} |")
    return "\n".join(lines)


def _size_category(rows: int) -> str:
    for limit, label in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")):
        if rows < limit:
            return label
    return "1M<n<10M"
