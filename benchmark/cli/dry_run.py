"""What `parallelbench run --dry-run` prints: runs, questions and forward passes, and the time that they would take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from benchmark.cli import options
from benchmark.protocol.grids import Grid, Part, expand_grid
from benchmark.protocol.operating_points import IN_PROCESS, SERVICE
from benchmark.protocol.settings import default_new_tokens
from benchmark.protocol.tasks import Catalogue, Task

if TYPE_CHECKING:
    from benchmark.cli.run_options import RunOptions
    from benchmark.engine.planning import Job
    from benchmark.engine.probe import Probe
    from benchmark.models import BenchmarkModel


def show_dry_run(grid: Grid, catalogue: Catalogue, asked: RunOptions) -> None:
    """Print what a grid would run, and how long that takes for models that are on this machine; nothing is written."""
    from rich import box
    from rich.table import Table

    console = options.console()
    parts = expand_grid(grid, known_answer_length, catalogue)
    table = Table(title=grid.about, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("tasks", "models", "methods", "new tokens", "runs", "questions", "forward passes", "needs"):
        table.add_column(head, justify="left" if head in ("tasks", "needs") else "right", overflow="fold")
    counted = [_passes(grid, part, catalogue) for part in parts]
    for part, (fixed, most) in zip(parts, counted, strict=True):
        group = part.group
        table.add_row(
            group.tasks[0] if len(group.tasks) == 1 else f"{group.tasks[0]} and {len(group.tasks) - 1} more",
            str(len(group.models)),
            str(len(group.methods) or "-"),
            str(group.new_tokens or "default"),
            f"{part.runs:,}",
            f"{_questions(grid, part, catalogue):,}",
            _in_words(fixed, most) if fixed or most else "-",
            part.needs or "",
        )
    console.print(table)
    later = sum(part.runs for part in parts if part.needs)
    if later:
        console.print(f"{later:,} of these runs cannot be run yet; the last column says what they need")
    if asked.probe:
        for line in _estimates(grid, [part for part in parts if not part.needs], catalogue, asked):
            console.print(line, soft_wrap=True, markup=False)
    runs, questions = sum(part.runs for part in parts), sum(_questions(grid, part, catalogue) for part in parts)
    passes = _in_words(sum(fixed for fixed, _ in counted), sum(most for _, most in counted))
    console.print(f"{runs:,} runs, {questions:,} questions, {passes} forward passes", soft_wrap=True)


def _estimates(grid: Grid, parts: Sequence[Part], catalogue: Catalogue, asked: RunOptions) -> Iterator[str]:
    """A line on each model that is here, and one on those that are not."""
    from benchmark.engine.allocator import keep_freed_memory

    keep_freed_memory()
    names = list(dict.fromkeys(name for part in parts for name in part.group.models))
    here = [name for name in names if is_here(name, asked.revision)]
    for name in here:
        own = [part for part in parts if name in part.group.models]
        try:
            yield _tried(name, grid, own, catalogue, asked)
        except ValueError as error:
            yield f"no estimate for {name}: {error}"
    absent = [name for name in names if name not in here]
    if absent:
        yield f"no estimate for {', '.join(absent)}: {'not' if len(absent) == 1 else 'none is'} on this machine"


def _tried(name: str, grid: Grid, parts: Sequence[Part], catalogue: Catalogue, asked: RunOptions) -> str:
    """What a trial of a model says.

    Raises:
        ValueError: the model cannot be loaded, or refuses the questions.
    """
    from benchmark.engine.probe import probe
    from benchmark.models import load_model, runs_user_code
    from benchmark.protocol.user_code import as_user_code

    model = load_model(name, asked.for_models)
    methods = {method for part in parts for method in part.group.methods}
    how = {"temperature": asked.temperature, "batch_size": asked.batch_size, "sharing": asked.sharing}
    with as_user_code(runs_user_code(model, methods), name):
        try:
            found = probe(model, _jobs(grid, model, parts, catalogue, asked), {**how, "memory": asked.memory})
        finally:
            model.release()
    return f"{name} on {model.device_name()}: " + (
        "too slow here for an estimate" if found is None else estimate(found, _gpus(asked))
    )


def _gpus(asked: RunOptions) -> int:
    """How many GPUs would do the work that one of them did."""
    from benchmark.engine.placement import find_placement

    if asked.ray is not None:
        return asked.gpus or 1
    placement, _ = find_placement(gpus=asked.gpus, workers=asked.workers, address=None, device=asked.device)
    # CPUs have done all that they can already.
    return placement.count if placement is not None and placement.device == "cuda" else 1


def estimate(found: Probe, gpus: int) -> str:
    """What a run would take, and what was measured, in words."""
    from benchmark.engine.time_left import in_words

    where = f" on {gpus} GPUs that are each as fast" if gpus > 1 else ""
    saved = f", {1 - found.passes / found.states:.0%} of the forward passes saved" if found.passes else ""
    return (
        f"about {in_words(found.total / gpus)}{where} (tried: {found.questions} questions of "
        f"{' and '.join(found.tasks)} under {found.methods} methods in {in_words(found.seconds)}, "
        f"{found.states / found.seconds:,.0f} states/s{saved}; --no-probe leaves this out)"
    )


def is_here(name: str, revision: str | None) -> bool:
    """Whether a model can be tried without downloading it, or asking somebody else's machine."""
    from pathlib import Path

    from benchmark.models import IDEAL, IDEAL_GREEDY, reference
    from benchmark.models.own import is_own

    if name.startswith(SERVICE):
        return False
    kind, colon, lender = name.partition(":")
    if kind in (IDEAL, IDEAL_GREEDY):
        return not colon or is_here(lender, revision)
    name = name.removeprefix(IN_PROCESS)
    if Path(name).expanduser().is_dir() or is_own(name):
        return True
    if name == reference.NAME:
        return reference.is_here()
    return "/" in name and _is_cached(name, revision)


def _is_cached(name: str, revision: str | None) -> bool:
    """Whether the Hub's cache on this machine has a model's weights, whatever the Hub has now."""
    from pathlib import Path

    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    from samplers.models.sources import Source

    repository, _, named = name.partition("@")
    try:
        config = try_to_load_from_cache(repository, "config.json", revision=named or revision)
    except HFValidationError:
        return False
    if not isinstance(config, str):
        return False
    try:
        return Source(repository, Path(config).parent, revision=Path(config).parent.name).is_complete
    except ValueError:
        return False


def _jobs(
    grid: Grid, model: BenchmarkModel, parts: Sequence[Part], catalogue: Catalogue, asked: RunOptions
) -> list[Job]:
    """What a model would have to do, the most in front."""
    from benchmark.engine.planning import Job

    jobs = []
    for part in parts:
        for task in part.group.tasks:
            rows = catalogue[task].load(grid.samples)
            tokens = part.group.new_tokens or default_new_tokens(model, rows)
            for seed in range(asked.seed, asked.seed + asked.seeds):
                jobs.append(Job(model, task, rows, tokens, list(part.group.methods), seed, rows))
    return sorted(jobs, key=lambda job: -job.max_new_tokens * len(job.pending) * len(job.asked))


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


def _questions(grid: Grid, part: Part, catalogue: Catalogue) -> int:
    each = part.runs // len(part.group.tasks)
    return sum(each * _rows(grid, catalogue[task]) for task in part.group.tasks)


def _rows(grid: Grid, task: Task) -> int:
    return task.rows if grid.samples is None else min(task.rows, grid.samples)


def _passes(grid: Grid, part: Part, catalogue: Catalogue) -> tuple[int, int]:
    """Forward passes of the methods of fixed speed, and the most that the others take."""
    from benchmark.engine.passes import forward_passes

    group = part.group
    questions: dict[int, int] = {}
    for model in group.models:
        least = known_answer_length(model) or 0
        for task in group.tasks:
            tokens = group.new_tokens or max(least, catalogue[task].max_new_tokens)
            questions[tokens] = questions.get(tokens, 0) + _rows(grid, catalogue[task])
    fixed = most = 0
    for tokens, count in questions.items():
        for passes, exact in (forward_passes(method, tokens) for method in group.methods):
            fixed, most = (fixed + count * passes, most) if exact else (fixed, most + count * passes)
    return fixed, most
