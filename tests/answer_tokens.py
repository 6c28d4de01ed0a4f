"""Prints how many tokens the answers of each task take in Qwen's vocabulary, the original data beside ours.

    python tests/answer_tokens.py                            with what was measured on the original
    python tests/answer_tokens.py --original ../ParallelBench    measured on a copy of the original data
    python tests/answer_tokens.py --record                   writes what the card says of ours

The original has no licence, so none of it is here; SOURCE is whatever `generate_tasks.py import` reads.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import fmean

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from vocabularies import qwen  # noqa: E402

from hub_dataset import build_rows, config_names, task_info  # noqa: E402
from hub_dataset.card import ANSWER_TOKENS  # noqa: E402

# Means over the 100 rows of the original's first edition, measured once with Qwen's vocabulary; all are 4n.
ORIGINAL_MEANS = {
    "waiting_line_copy": 18.0,
    "waiting_line_sort": 18.0,
    "waiting_line_replace_index": 18.0,
    "waiting_line_insert_index": 22.0,
    "waiting_line_remove_index": 14.0,
}
HEADER = ("task", "original", "ours: least", "mean", "most", "4n", "new tokens")


def token_counts(answers: list[str]) -> list[int]:
    """Tokens of each answer in Qwen's vocabulary."""
    count = qwen()
    return [count(answer) for answer in answers]


def measured() -> dict[str, list[int]]:
    """Config → tokens of each answer of `test`, for all configs that can be built without a network."""
    names = [name for name in config_names() if not task_info(name).from_hub]
    return {name: token_counts([row["answer"] for row in build_rows(name)]) for name in names}


def summary(counts: list[int]) -> dict[str, float]:
    """What the card says of a config: least, mean (to one decimal) and most."""
    return {"least": min(counts), "mean": round(fmean(counts), 1), "most": max(counts)}


def original_means(source: str) -> dict[str, float]:
    """Config of ours → mean tokens of the original's answers to the same task."""
    from hub_dataset.checks import load_scorer
    from hub_dataset.importing import import_original

    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "original"
        import_original(source, output, score=load_scorer(ROOT / "metrics" / "parallelbench"))
        files = sorted(output.glob("original*/test.*"))
        rows = {file.parent.name: [json.loads(line) for line in file.open(encoding="utf-8")] for file in files}
    return {name.partition("_")[2]: fmean(token_counts([row["answer"] for row in own])) for name, own in rows.items()}


def people_of_answers(name: str) -> list[int]:
    """How many people stand in each answer of a waiting line."""
    return [len(json.loads(row["answer"])) for row in build_rows(name)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--original", metavar="SOURCE")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    original = original_means(arguments.original) if arguments.original else ORIGINAL_MEANS
    counts = measured()
    lines = [HEADER]
    for name, own in counts.items():
        task = task_info(name)
        exact = "–"
        if task.items == "people":
            exact = "all" if own == [4 * number for number in people_of_answers(name)] else "no"
        mean = f"{original[name]:.1f}" if name in original else "–"
        lines.append((name, mean, *(f"{value:g}" for value in summary(own).values()), exact, str(task.max_new_tokens)))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    if arguments.record:
        recorded = {name: summary(own) for name, own in counts.items()}
        temporary = ANSWER_TOKENS.with_name(f".{ANSWER_TOKENS.name}.new")
        temporary.write_text(
            "{\n"
            + ",\n".join(f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in recorded.items())
            + "\n}\n"
        )
        temporary.replace(ANSWER_TOKENS)


if __name__ == "__main__":
    main()
