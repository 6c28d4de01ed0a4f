"""What `parallelbench run --dry-run` prints: runs, questions and forward passes of a grid, from its file alone."""

from __future__ import annotations

from benchmark.cli import options
from benchmark.protocol.grids import Grid, Part, expand_grid


def show_dry_run(grid: Grid) -> None:
    """Print what a grid would run; no model is loaded and nothing is written."""
    from rich import box
    from rich.table import Table

    console = options.console()
    parts = expand_grid(grid, known_answer_length)
    table = Table(title=grid.about, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("tasks", "models", "methods", "new tokens", "runs", "questions", "forward passes", "needs"):
        table.add_column(head, justify="left" if head in ("tasks", "needs") else "right", overflow="fold")
    counted = [_passes(grid, part) for part in parts]
    for part, (fixed, most) in zip(parts, counted, strict=True):
        group = part.group
        table.add_row(
            group.tasks[0] if len(group.tasks) == 1 else f"{group.tasks[0]} and {len(group.tasks) - 1} more",
            str(len(group.models)),
            str(len(group.methods) or "-"),
            str(group.new_tokens or "default"),
            f"{part.runs:,}",
            f"{_questions(grid, part):,}",
            _in_words(fixed, most) if group.methods else "-",
            part.needs or "",
        )
    console.print(table)
    later = sum(part.runs for part in parts if part.needs)
    if later:
        console.print(f"{later:,} of these runs cannot be run yet; the last column says what they need")
    runs, questions = sum(part.runs for part in parts), sum(_questions(grid, part) for part in parts)
    passes = _in_words(sum(fixed for fixed, _ in counted), sum(most for _, most in counted))
    console.print(f"{runs:,} runs, {questions:,} questions, {passes} forward passes", soft_wrap=True)


def _in_words(fixed: int, most: int) -> str:
    """Forward passes of methods that take a fixed number, and of those that take at most so many."""
    return " + ".join([*([f"{fixed:,}"] if fixed or not most else []), *([f"at most {most:,}"] if most else [])])


def known_answer_length(model: str) -> int | None:
    """Tokens that a model's answers take at least, as far as a config on this machine tells."""
    import json
    from pathlib import Path

    from benchmark.models import IDEAL, reference

    name = model.removeprefix(f"{IDEAL}:")
    own = name == reference.NAME and not Path(name).is_dir()
    config = (reference.DIRECTORY if own else Path(name).expanduser()) / "config.json"
    default = reference.ANSWER_LENGTH if own else None
    if not config.is_file():
        return default
    try:
        length = json.loads(config.read_text(encoding="utf-8")).get("answer_length", default)
    except (ValueError, AttributeError):
        return default
    return length if isinstance(length, int) else default


def _questions(grid: Grid, part: Part) -> int:
    each = part.runs // len(part.group.tasks)
    return sum(each * _rows(grid, task) for task in part.group.tasks)


def _rows(grid: Grid, task: str) -> int:
    import hub_dataset

    rows = hub_dataset.task_info(task).rows
    return rows if grid.samples is None else min(rows, grid.samples)


def _passes(grid: Grid, part: Part) -> tuple[int, int]:
    """Forward passes of the methods of fixed speed, and the most that the others take."""
    import hub_dataset
    from benchmark.engine.passes import forward_passes

    group = part.group
    questions: dict[int, int] = {}
    for model in group.models:
        least = known_answer_length(model) or 0
        for task in group.tasks:
            tokens = group.new_tokens or max(least, hub_dataset.task_info(task).max_new_tokens)
            questions[tokens] = questions.get(tokens, 0) + _rows(grid, task)
    fixed = most = 0
    for tokens, count in questions.items():
        for passes, exact in (forward_passes(method, tokens) for method in group.methods):
            fixed, most = (fixed + count * passes, most) if exact else (fixed, most + count * passes)
    return fixed, most
