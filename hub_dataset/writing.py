"""Writes a dataset directory: built beside its destination, then put in place with a rename.

The destination is replaced as a whole, so that it is a function of the command alone; a build that stops halfway leaves
it as it was. Under a lock, two names beside the destination are in use: `.<name>.new` while building, and `.<name>.old`
between the two renames of the exchange. A build that was killed leaves one of them; the next build clears it up.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .card import TITLE, WrittenConfig, card_text, configs_of_card
from .configs import SPLITS, TaskConfig, config_names, task_info
from .disk import only_one_process
from .files import FORMATS, Job, write_config
from .processes import end_with_parent
from .rows import iterate_rows
from .sft import sft_card_text
from .unavailable import UnavailableError


def build_dataset(
    output: Path,
    configs: Sequence[str | TaskConfig],
    *,
    splits: Sequence[str] = ("test",),
    rows: int | None = None,
    names: str = "listed",
    file_format: str = "jsonl",
    workers: int = 1,
    on_file: Callable[[str, str, int], None] | None = None,
    on_skip: Callable[[str], None] | None = None,
) -> int:
    """Writes `configs` with `splits` to the directory `output`, card included; returns the number of rows.

    `rows` is the size of `train` and `validation` (by default as many as `test` has), `names` where their people come
    from (`rows.NAMES`). `file_format` is one of `files.FORMATS`; `sft` is for training and refuses `test`. `workers`
    processes share the configs. `on_file(config, split, rows)` is called after each file. What cannot be built, because
    a task has no such split or needs what is not at hand, is left out; `on_skip(message)` is called for it. Neither the
    order of `configs` and `splits` nor `workers` changes a byte. `load_dataset(output, config)` reads the result.

    Raises ValueError for an unknown config, split, format or kind of names, where nothing is left to build, and where
    `output` exists and is not a dataset built here: only such a one is replaced.
    """
    tasks = in_order([task_info(config) for config in configs])
    if not tasks or not splits:
        raise ValueError("nothing to build: no config or no split is given")
    if file_format not in FORMATS:
        raise ValueError(f"unknown format {file_format!r}; it is one of {', '.join(FORMATS)}")
    if file_format == "sft" and "test" in splits:
        raise ValueError("the format sft is for training, and test is not; build train or validation with it")
    if workers < 1:
        raise ValueError(f"workers is {workers}; it must be at least 1")
    splits = sorted(set(splits), key=lambda split: SPLITS.index(split) if split in SPLITS else -1)
    skipped: list[str] = []

    def skip(message: str) -> None:
        skipped.append(message)
        if on_skip is not None:
            on_skip(message)

    buildable = []
    for task in tasks:
        for split in splits:  # refuses a wrong split, number or kind of names now
            if split in SPLITS and split not in task.splits:
                skip(f"{task.name} has a test split only: {split} is left out")
            elif split == "test":
                iterate_rows(task, split)
            else:
                iterate_rows(task, split, rows, names=names)
        if possible := tuple(split for split in splits if split in task.splits):
            buildable.append((task, possible))
    if not buildable:
        raise UnavailableError(f"nothing can be built: {'; '.join(skipped)}")
    with replacing(output) as new:
        jobs = [Job(new, task, possible, rows, names, file_format) for task, possible in buildable]
        written: dict[str, WrittenConfig] = {}
        for job, result in _run(jobs, workers, on_file):
            if isinstance(result, WrittenConfig):
                written[job.task.name] = result
            else:
                skip(f"{job.task.name} is left out: {result}")
        if not written:
            raise UnavailableError(f"nothing can be built: {'; '.join(skipped)}")
        make_card = sft_card_text if file_format == "sft" else card_text
        in_turn = [(task, written[task.name]) for task in tasks if task.name in written]
        (new / "README.md").write_text(make_card(in_turn), encoding="utf-8")
    return sum(result.count for result in written.values())


@contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """Gives an empty directory to write; it takes the place of `output` when all went well, and vanishes otherwise.

    Raises ValueError where `output` is not a dataset built here (`refuse_foreign`), cannot be read from where it is
    (`refuse_pattern`), or another process is building it.
    """
    output = output.resolve()
    refuse_pattern(output)
    refuse_foreign(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    new, old = output.with_name(f".{output.name}.new"), output.with_name(f".{output.name}.old")
    lock = output.with_name(f".{output.name}.lock")
    with only_one_process(lock, f"{output} is being built by another process"):
        try:
            clear_up(output, new, old)
            new.mkdir()
            yield new
            exchange(output, new, old)
        finally:
            clear_up(output, new, old)
            lock.unlink(missing_ok=True)


def in_order(tasks: Sequence[TaskConfig]) -> list[TaskConfig]:
    """Each task once: the benchmark's own in the order of `config_names`, then others by name."""
    places = {name: place for place, name in enumerate(config_names())}
    distinct = {task.name: task for task in tasks}
    return sorted(distinct.values(), key=lambda task: (places.get(task.name, len(places)), task.name))


def refuse_pattern(path: Path) -> None:
    """Raises ValueError for a path that `datasets` would not take as it is.

    It puts what it looks for behind the path of a dataset or of its cache and takes the whole for a pattern, so that it
    finds nothing, or also what lies in other folders; what follows `::` it takes for the archive around a file.
    """
    found = next((part for part in ("*", "?", "[", "::") if part in str(path)), None)
    if found is not None:
        raise ValueError(f"{path}: `datasets` takes a path with {found!r} for a pattern; use one without")


def refuse_foreign(output: Path) -> None:
    """Raises ValueError where `output` exists and is not a directory to replace: empty, or a dataset built here."""
    if not output.exists():
        return
    if not output.is_dir():
        raise ValueError(f"{output} is a file; the output must be a directory")
    if Path.cwd().is_relative_to(output):
        raise ValueError(f"{output} is where this command runs, and cannot be replaced; name a directory in it")
    entries = {entry.name for entry in output.iterdir()}
    card = output / "README.md"
    text = card.read_text("utf-8", "replace") if card.is_file() else ""
    ours = {"README.md", *configs_of_card(text)} if TITLE in text else set()
    foreign = sorted(entries - ours)
    if foreign:
        raise ValueError(f"{output} holds {foreign[0]!r}, which is not of a built dataset; name another directory")


def exchange(destination: Path, new: Path, old: Path) -> None:
    """Puts `new` in the place of `destination`, which waits in `old` until `clear_up` removes it."""
    if destination.exists():
        destination.rename(old)
    new.rename(destination)


def clear_up(destination: Path, new: Path, old: Path) -> None:
    """Removes what an exchange, finished or not, has left; a destination caught between the renames comes back."""
    if old.exists() and not destination.exists():
        old.rename(destination)
    for leftover in (new, old):
        if leftover.exists():
            shutil.rmtree(leftover)


def _run(
    jobs: Sequence[Job], workers: int, on_file: Callable[[str, str, int], None] | None
) -> Iterator[tuple[Job, WrittenConfig | UnavailableError]]:
    if min(workers, len(jobs)) == 1:
        for job in jobs:
            yield job, _attempt(job, on_file)
        return
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    # Spawned, not forked: the caller may hold threads (pyarrow, a progress bar), which a fork would tear.
    with ProcessPoolExecutor(min(workers, len(jobs)), get_context("spawn"), initializer=end_with_parent) as pool:
        try:
            futures = {pool.submit(_attempt, job): job for job in jobs}
            for future in as_completed(futures):
                job, result = futures[future], future.result()
                if on_file is not None and isinstance(result, WrittenConfig):
                    for split, count in result.counts.items():
                        on_file(job.task.name, split, count)
                yield job, result
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _attempt(job: Job, on_file: Callable[[str, str, int], None] | None = None) -> WrittenConfig | UnavailableError:
    try:
        return write_config(job, on_file)
    except UnavailableError as error:
        shutil.rmtree(job.folder / job.task.name)
        return error
