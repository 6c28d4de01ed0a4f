"""Writes the rows of one config to its files: JSON lines, Parquet, or JSON lines for fine-tuning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import Any

from .card import WrittenConfig
from .rows import Row, canonical_line, iterate_rows
from .sft import sft_line
from .task_config import TaskConfig

# Format → the ending of its files.
FORMATS = {"jsonl": "jsonl", "parquet": "parquet", "sft": "jsonl"}
# (file, rows, update of the digest) → rows written
Writer = Callable[[Path, Iterator[Row], Callable[[bytes], None]], int]
# Rows held in memory at a time, and the size of a Parquet row group.
BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Job:
    """One config to write into `folder`; `rows` and `names` are for `train` and `validation`."""

    folder: Path
    task: TaskConfig
    splits: tuple[str, ...]
    rows: int | None
    names: str
    file_format: str


def write_config(job: Job, on_file: Callable[[str, str, int], None] | None = None) -> WrittenConfig:
    """Writes `<config>/<split>.<ending>` for every split; `on_file(config, split, rows)` is called after each."""
    config = job.task.name
    (job.folder / config).mkdir()
    write_rows = WRITERS[job.file_format]
    files: dict[str, str] = {}
    counts: dict[str, int] = {}
    digest = sha256()
    first_rows: list[Row] = []
    for split in job.splits:
        files[split] = f"{config}/{split}.{FORMATS[job.file_format]}"
        if split == "test":
            drawn = iterate_rows(job.task, split)
        else:
            drawn = iterate_rows(job.task, split, job.rows, names=job.names)
        first_rows.append(next(drawn))
        counts[split] = write_rows(job.folder / files[split], chain(first_rows[-1:], drawn), digest.update)
        if on_file is not None:
            on_file(config, split, counts[split])
    return WrittenConfig(files, counts, digest.hexdigest(), first_rows[0])


def _write_jsonl(
    path: Path, rows: Iterator[Row], update: Callable[[bytes], None], line_of: Callable[[Row], str] | None = None
) -> int:
    count = 0
    with path.open("wb") as file:
        for row in rows:
            canonical = canonical_line(row).encode() + b"\n"
            file.write(canonical if line_of is None else line_of(row).encode() + b"\n")
            update(canonical)
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


WRITERS: dict[str, Writer] = {
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
    "sft": partial(_write_jsonl, line_of=sft_line),
}
