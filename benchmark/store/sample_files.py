"""A file of samples, what vouches for it beside it, and the journal of answers that are not yet a whole file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from hub_dataset.disk import write_atomically

JOURNAL = ".part"
# What a model cannot tell, as a service cannot tell its forward passes, is null.
_COUNTS = ("num_forward_passes", "num_tokens")


@dataclass(frozen=True, slots=True)
class SampleFile:
    """The samples of one method, task, model and seed, and what they come from.

    Attributes:
        rows: one object a sample, in the order of the questions.
        origin: what the samples depend on beside model, task, question, method and seed; empty where nothing is said.
        signatures: the programs, models and versions that scores of text come from.
        metric: a hash of the metric that gave the scores; None where nothing is said.
    """

    rows: list[dict[str, Any]]
    origin: dict[str, Any] = field(default_factory=dict)
    signatures: dict[str, str] = field(default_factory=dict)
    metric: str | None = None


def about_path(path: Path) -> Path:
    """The file beside `path` that vouches for it."""
    return path.with_suffix(".json")


def journal_path(path: Path) -> Path:
    """Where answers are kept until they are as many as `path` is to have."""
    return path.with_suffix(JOURNAL)


def write_sample_file(path: Path, content: SampleFile) -> None:
    """Write what vouches for the samples, then these, so that they count once they are there.

    The same content gives the same bytes.

    Raises:
        ValueError: a row lacks something, an id stands twice, or a number is not finite.
    """
    where = f"samples for {path.name}"
    check_rows(content.rows, where)
    try:
        lines = [json.dumps(row, sort_keys=True, separators=(",", ":"), allow_nan=False) for row in content.rows]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: a row cannot be written as JSON ({error})") from None
    body = "".join(line + "\n" for line in lines).encode()
    about: dict[str, Any] = {"rows": len(lines), "sha256": hashlib.sha256(body).hexdigest()}
    kept = {"metric": content.metric, "signatures": content.signatures, "origin": content.origin}
    about |= {key: value for key, value in kept.items() if value}
    write_atomically(about_path(path), json.dumps(about, indent=1, sort_keys=True).encode() + b"\n")
    write_atomically(path, body)


def read_sample_file(path: Path) -> SampleFile | None:
    """The file, or None where it is absent, cut off or altered."""
    try:
        body, about = path.read_bytes(), json.loads(about_path(path).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return parse_samples(body, about)


def parse_samples(body: bytes, about: Any) -> SampleFile | None:
    """The samples of lines for which `about` vouches, or None."""
    if not isinstance(about, dict) or about.get("sha256") != hashlib.sha256(body).hexdigest():
        return None
    # What has the right checksum was written here, unless somebody made the checksum to fit.
    try:
        rows = [json.loads(line) for line in body.splitlines()]
        check_rows(rows, "samples")
    except (ValueError, AttributeError):
        return None
    origin, signatures, metric = about.get("origin"), about.get("signatures"), about.get("metric")
    return SampleFile(
        rows,
        origin if isinstance(origin, dict) else {},
        {str(name): str(value) for name, value in signatures.items()} if isinstance(signatures, dict) else {},
        metric if isinstance(metric, str) else None,
    )


def append_to_journal(path: Path, origin: Mapping[str, Any], samples: Iterable[Mapping[str, Any]]) -> None:
    """Keep answers that have no scores yet; those of another origin, or cut off, are dropped."""
    journal = journal_path(path)
    if not _goes_on(journal, origin):
        kept = [json.dumps(sample) for sample in read_journal(path, origin)]
        write_atomically(journal, "\n".join([json.dumps({"origin": origin}, sort_keys=True), *kept, ""]).encode())
    with journal.open("ab") as file:
        file.write("".join(json.dumps(sample, sort_keys=True) + "\n" for sample in samples).encode())


def read_journal(path: Path, origin: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The answers that were kept, if they are of this origin; a line that a kill cut short is left out."""
    samples: list[dict[str, Any]] = []
    with suppress(FileNotFoundError, NotADirectoryError):
        head, *lines = journal_path(path).read_bytes().split(b"\n")
        with suppress(ValueError):
            if json.loads(head) != {"origin": origin}:
                return []
            # The last entry is what stands behind the last end of a line: nothing, or what was cut off.
            samples.extend(json.loads(line) for line in lines[:-1])
    return [sample for sample in samples if isinstance(sample, dict) and isinstance(sample.get("id"), str)]


def _goes_on(journal: Path, origin: Mapping[str, Any]) -> bool:
    try:
        with journal.open("rb") as file:
            head = file.readline()
            file.seek(-1, 2)
            return bool(json.loads(head) == {"origin": origin} and file.read() == b"\n")
    except (OSError, ValueError):
        return False


def check_rows(rows: Sequence[Mapping[str, Any]], where: str) -> None:
    """Refuse rows that a report could not be made of.

    A row has `id` and `prediction`, `num_tokens`, `num_forward_passes` and `tokens_per_step` (null where the model does
    not tell), `num_rounds` where it is another number than the forward passes, and `scores` with at least `headline`,
    from 0 to 1. A question that could not be answered has `error` instead, the reason, and no scores.

    Raises:
        ValueError: a row lacks something, an id stands twice, or a number is not finite.
    """
    if not rows:
        raise ValueError(f"{where}: there are none; expected one row per sample")
    seen: set[str] = set()
    for row in rows:
        identity = row.get("id")
        if not isinstance(identity, str) or not isinstance(row.get("prediction"), str):
            raise ValueError(f"{where}: row {identity!r} needs an id and a prediction, both strings")
        if identity in seen:
            raise ValueError(f"{where}: id {identity!r} occurs twice")
        seen.add(identity)
        if isinstance(row.get("error"), str):
            continue
        for key in (*_COUNTS, *({"num_rounds"} & row.keys())):
            count = row.get(key, 0)
            if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
                raise ValueError(f"{where}: row {identity!r} has {key} {count!r}; expected an int of at least 1")
        if row.get("tokens_per_step", "") is not None and not _is_number(row.get("tokens_per_step")):
            raise ValueError(f"{where}: row {identity!r} has tokens_per_step {row.get('tokens_per_step')!r}")
        scores = row.get("scores")
        headline = scores.get("headline") if isinstance(scores, Mapping) else None
        if not _is_number(headline) or not 0 <= headline <= 1:
            raise ValueError(f"{where}: row {identity!r} has headline {headline!r}; expected a number from 0 to 1")


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value
