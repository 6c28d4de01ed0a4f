"""Writes a dataset directory: built beside its destination, then put in place with a rename.

The destination is replaced as a whole, so that it is a function of the command alone; a build that stops halfway leaves
it as it was. Under a lock, two names beside the destination are in use: `.<name>.new` while building, and `.<name>.old`
between the two renames of the exchange. A build that was killed leaves one of them; the next build clears it up.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from .card import TITLE, card_text
from .configs import config_names, task_info
from .rows import SPLITS, Row, canonical_line, iterate_rows

FORMATS = ("jsonl", "parquet")
# Rows held in memory at a time, and the size of a Parquet row group.
BATCH = 10_000


def build_dataset(
    output: Path,
    configs: Sequence[str],
    *,
    splits: Sequence[str] = ("test",),
    rows: int | None = None,
    file_format: str = "jsonl",
    on_file: Callable[[str, str, int], None] | None = None,
) -> int:
    """Writes `configs` with `splits` to the directory `output`, card included; returns the number of rows.

    `rows` is the size of `train` and `validation` (by default as many as `test` has). `on_file(config, split, rows)` is
    called after each file. The order of `configs` and `splits` does not matter. `load_dataset(output, config)` reads
    the result. Raises ValueError for an unknown config, split or format, and where `output` exists and is not a dataset
    built here: only such a one is replaced.
    """
    from filelock import FileLock, Timeout

    if file_format not in FORMATS:
        raise ValueError(f"unknown format {file_format!r}; it is one of {', '.join(FORMATS)}")
    wanted = {task_info(config).name for config in configs}
    if not wanted or not splits:
        raise ValueError("nothing to build: no config or no split is given")
    names = [name for name in config_names() if name in wanted]
    splits = sorted(set(splits), key=lambda split: SPLITS.index(split) if split in SPLITS else -1)
    for split in splits:
        iterate_rows(names[0], split, None if split == "test" else rows)  # refuses a wrong split or number now
    output = output.resolve()
    refuse_foreign(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    new, old = output.with_name(f".{output.name}.new"), output.with_name(f".{output.name}.old")
    lock = FileLock(output.with_name(f".{output.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(f"{output} is being built by another process") from None
    try:
        _clear_up(output, new, old)
        count = _write(new, names, splits, rows, file_format, on_file)
        if output.exists():
            output.rename(old)
        new.rename(output)
    finally:
        _clear_up(output, new, old)
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
    return count


def refuse_foreign(output: Path) -> None:
    """Raises ValueError where `output` exists and is not a directory to replace: empty, or a dataset built here."""
    if not output.exists():
        return
    if not output.is_dir():
        raise ValueError(f"{output} is a file; the output must be a directory")
    if Path.cwd().is_relative_to(output):
        raise ValueError(f"{output} is where this command runs, and cannot be replaced; name a directory in it")
    entries = {entry.name for entry in output.iterdir()}
    foreign = sorted(entries - {"README.md", *config_names()})
    card = output / "README.md"
    if not foreign and entries and TITLE not in (card.read_text("utf-8", "replace") if card.is_file() else ""):
        foreign = sorted(entries)
    if foreign:
        raise ValueError(f"{output} holds {foreign[0]!r}, which is not of a built dataset; name another directory")


def _clear_up(output: Path, new: Path, old: Path) -> None:
    if old.exists() and not output.exists():
        old.rename(output)
    for leftover in (new, old):
        if leftover.exists():
            shutil.rmtree(leftover)


def _write(
    folder: Path,
    configs: Sequence[str],
    splits: Sequence[str],
    rows: int | None,
    file_format: str,
    on_file: Callable[[str, str, int], None] | None,
) -> int:
    folder.mkdir()
    files: dict[str, dict[str, str]] = {}
    digests: dict[str, str] = {}
    total = 0
    for config in configs:
        (folder / config).mkdir()
        files[config] = {}
        digest = sha256()
        for split in splits:
            path = f"{config}/{split}.{file_format}"
            drawn = iterate_rows(config, split, None if split == "test" else rows)
            write_rows = _write_jsonl if file_format == "jsonl" else _write_parquet
            count = write_rows(folder / path, drawn, digest.update)
            files[config][split] = path
            total += count
            if on_file is not None:
                on_file(config, split, count)
        digests[config] = digest.hexdigest()
    (folder / "README.md").write_text(card_text(files, digests, total), encoding="utf-8")
    return total


def _write_jsonl(path: Path, rows: Iterator[Row], update: Callable[[bytes], None]) -> int:
    count = 0
    with path.open("wb") as file:
        for row in rows:
            line = canonical_line(row).encode() + b"\n"
            file.write(line)
            update(line)
            count += 1
    return count


def _write_parquet(path: Path, rows: Iterator[Row], update: Callable[[bytes], None]) -> int:
    import pyarrow
    from pyarrow import parquet

    text, number = pyarrow.string(), pyarrow.int64()
    types: Mapping[str, Any] = {
        "messages": pyarrow.list_(pyarrow.struct({"role": text, "content": text})),
        "length": number,
        "max_new_tokens": number,
    }
    count = 0
    writer = None
    try:
        while batch := list(islice(rows, BATCH)):
            schema = pyarrow.schema([(column, types.get(column, text)) for column in batch[0]])
            writer = writer or parquet.ParquetWriter(path, schema)
            writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))
            for row in batch:
                update(canonical_line(row).encode() + b"\n")
            count += len(batch)
    finally:
        if writer is not None:
            writer.close()
    return count
