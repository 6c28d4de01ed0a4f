"""Measures the verified method on the reference model, and draws what came of it.

    python tests/speed/verified_drafts.py run DIRECTORY --samples 100 --device cuda     # the table, and numbers.json
    python tests/speed/verified_drafts.py plot docs/assets/verified_drafts.json docs/assets/verified_drafts.svg

The first decodes the twelve tasks of the default suite, 64 new tokens in one block, greedily unless `--temperature`
says otherwise, and goes on where it was stopped; it prints the table of the page on verified drafts in Markdown, and
writes the numbers into the directory. The second draws score against tokens per round from such a file.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

#: Where a right answer's tokens depend on each other.
DEPENDENT = (
    "waiting_line_shuffle",
    "waiting_line_insert_random",
    "waiting_line_remove_random",
    "waiting_line_replace_random",
    "puzzle_latin_square_n4",
)
METHODS = (
    "threshold:threshold=0.9",
    "threshold:threshold=0.8",
    "threshold:threshold=0.7",
    "eb:entropy_bound=0.1",
    "factor:factor=1.0",
    "verified:drafts=1",
    "verified:drafts=2",
    "verified:drafts=4",
    "verified:drafts=8",
    "verified:drafts=16",
    "verified:threshold=2,drafts=8,accept=0",
    "verified:threshold=2,drafts=8,accept=0,place=same",
)


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Name → score, tokens per round and per forward pass, on the dependent tasks and on all."""
    from benchmark import run

    lines = []
    print("| method | dependent: score @ tokens per round (per forward pass) | all twelve |\n|---|---|---|", flush=True)
    for number, method in enumerate(options.methods or METHODS):
        table = run(
            model=options.model,
            tasks=options.tasks,
            methods=method,
            samples=options.samples,
            output=options.directory / f"{number:02}_{method.replace(':', '_')}",
            max_new_tokens=64,
            device=options.device,
            dtype="float32" if options.model == "reference" else None,
            temperature=options.temperature,
            batch_size=options.batch_size,
        ).set_index("task")
        # A mean of ratios, as everywhere; that of the passes is one of means, for want of the samples.
        table["per_pass"] = 64 / table["num_forward_passes"]
        line: dict[str, Any] = {"method": method, "samples": options.samples}
        for name, tasks in (("dependent", [t for t in DEPENDENT if t in table.index]), ("all", list(table.index))):
            if tasks:
                line[name] = [float(table.loc[tasks, c].mean()) for c in ("headline", "tokens_per_step", "per_pass")]
        line["tasks"] = {
            task: [float(row["headline"]), float(row["tokens_per_step"])] for task, row in table.iterrows()
        }
        lines.append(line)
        cells = [
            "{:.1f} @ {:.1f} ({:.1f})".format(*line[name]) if name in line else "–" for name in ("dependent", "all")
        ]
        print(f"| `{method}` | {' | '.join(cells)} |", flush=True)
        (options.directory / "numbers.json").write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")
    return lines


def plot(options: argparse.Namespace) -> None:
    """Score against tokens per round, dependent tasks to the left and all to the right."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    lines = json.loads(options.numbers.read_text(encoding="utf-8"))
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for panel, name, title in zip(
        axes, ("dependent", "all"), ("tokens depend on each other", "all twelve tasks"), strict=True
    ):
        curves: dict[str, list[tuple[float, float, str]]] = {}
        for line in lines:
            method, _, arguments = line["method"].partition(":")
            if name in line and not ("accept" in arguments or "place" in arguments):
                curves.setdefault(method, []).append((line[name][1], line[name][0], arguments.rpartition("=")[2]))
        for method, points in curves.items():
            x, y, values = zip(*sorted(points), strict=True)
            strong = method == "verified"
            panel.plot(x, y, "o-", label=method, linewidth=2 if strong else 1, markersize=5 if strong else 4)
            for at, value, text in zip(x, y, values, strict=True):
                panel.annotate(text, (at, value), textcoords="offset points", xytext=(0, 6), ha="center", fontsize=7)
        panel.set(xlabel="tokens per round", title=title)
        panel.set_ylim(top=101.5)
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("score, %")
    axes[0].legend(frameon=False, fontsize=8, loc="lower left")
    figure.savefig(options.picture, metadata={"Date": None})


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run")
    run.add_argument("directory", type=Path)
    run.add_argument("--model", default="reference")
    run.add_argument("--tasks", nargs="*", default=[])
    run.add_argument("--methods", nargs="*", default=[])
    run.add_argument("--samples", type=int, default=24)
    run.add_argument("--device")
    run.add_argument("--temperature", type=float)
    run.add_argument("--batch-size", type=int, dest="batch_size")
    run.set_defaults(call=measure)
    draw = commands.add_parser("plot")
    draw.add_argument("numbers", type=Path)
    draw.add_argument("picture", type=Path)
    draw.set_defaults(call=plot)
    options = parser.parse_args()
    options.call(options)


if __name__ == "__main__":
    main()
