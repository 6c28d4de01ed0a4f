"""Reads entries of the leaderboard, says what is wrong with those that are not valid, and ranks the others.

It imports no gradio, so that it can be used and tested without the page.
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic.dataclasses
from pydantic import ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError, model_validator

SCHEMA = 1
PB_SCORES = (80, 75, 70)
#: Files larger than this are no entries.
LARGEST_BYTES = 1_000_000

Text = Annotated[str, Field(min_length=1, max_length=200)]
Percent = Annotated[FiniteFloat, Field(ge=0, le=100)]
Speed = Annotated[FiniteFloat, Field(gt=0)]


# Keys that a later program adds are no error; numbers in quotes are. With slots, as there are many points.
_part = pydantic.dataclasses.dataclass(config=ConfigDict(strict=True, extra="ignore"), slots=True, frozen=True)


@_part
class Reached:
    """PBx and its interval, in tokens per step; None is never reached."""

    value: Speed | None
    low: Speed | None
    high: Speed | None

    @model_validator(mode="after")
    def _in_order(self) -> Reached:
        if (self.low or 0) > (self.high or 0):
            raise ValueError("the interval's low end is above its high end")
        return self


@_part
class Point:
    """One setting of a method."""

    method: Text
    tokens_per_step: Speed
    headline: Percent
    low: Percent
    high: Percent


@_part
class Result:
    """A model under a method."""

    model: Text
    method: Text
    pb80: Reached
    pb75: Reached
    pb70: Reached
    points: Annotated[list[Point], Field(min_length=1, max_length=1000)]
    samples: Annotated[int, Field(ge=1)]
    hardware: Annotated[list[Text], Field(max_length=64)]

    @model_validator(mode="after")
    def _falls(self) -> Result:
        # A curve that reaches 80 reaches 70 at that speed at least.
        values = [reached.value or 0 for reached in (self.pb80, self.pb75, self.pb70)]
        if values != sorted(values):
            raise ValueError("PB80, PB75 and PB70 do not rise")
        return self


@_part
class Entry:
    """One published run."""

    # Named in links, so that it can hold nothing but digits.
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    schema_version: Annotated[int, Field(alias="schema", ge=SCHEMA, le=SCHEMA)]
    parallelbench: Text
    data_version: Text
    tasks: Annotated[dict[Text, Text | None], Field(min_length=1, max_length=1000)]
    seeds: list[int]
    results: Annotated[list[Result], Field(min_length=1, max_length=1000)]
    # The page that was published beside the run's summary.
    report: Literal["report.html"] | None = None


_ENTRY = TypeAdapter(Entry)


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that is no valid entry, and why, in one line."""

    name: str
    reason: str


@dataclass(slots=True)
class Board:
    """All entries of a directory."""

    entries: list[Entry] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Line:
    """A model under a method in one entry; lines that share `group` had the same questions, and are ranked together."""

    entry: Entry
    result: Result
    group: str

    def reached(self, score: int) -> Reached:
        """PBx."""
        found: Reached = getattr(self.result, f"pb{score}")
        return found


def parse_entry(content: bytes) -> Entry:
    """An entry from a file.

    Raises:
        ValueError: it is none of this schema; one line says why.
    """
    if len(content) > LARGEST_BYTES:
        raise ValueError(_too_large(len(content)))
    try:
        return _ENTRY.validate_json(content)
    except ValidationError as error:
        raise ValueError(_reason(content, error)) from None


def _too_large(size: int) -> str:
    return f"{size} bytes; an entry has {LARGEST_BYTES} at most"


def _reason(content: bytes, error: ValidationError) -> str:
    """Why this is no entry, the most telling first: another schema may have other keys."""
    try:
        raw: Any = json.loads(content)
    except RecursionError:
        return "not JSON: nested too deep"
    except ValueError as broken:
        return f"not JSON: {_line(broken)}"
    if not isinstance(raw, dict):
        return f"a {type(raw).__name__}; expected an object"
    if raw.get("schema") != SCHEMA or isinstance(raw.get("schema"), bool):
        return f"schema {_line(raw.get('schema'))}; this page reads schema {SCHEMA}"
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return _line(f"{where}: {first['msg']}" if where else first["msg"])


@contextmanager
def _without_collection() -> Iterator[None]:
    """No search for garbage: all that is made here stays, and is searched again and again, for half of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def read_entries(directory: str | Path) -> Board:
    """All `*.json` of a directory; of two with one id the first counts."""
    board = Board()
    seen: set[str] = set()
    with _without_collection():
        for path in sorted(Path(directory).glob("*.json")):
            try:
                if (size := path.stat().st_size) > LARGEST_BYTES:
                    raise ValueError(_too_large(size))
                entry = parse_entry(path.read_bytes())
                if entry.id in seen:
                    raise ValueError(f"another file has the id {entry.id}")
            except (OSError, ValueError) as error:
                board.refused.append(Refused(path.name, _line(error)))
                continue
            seen.add(entry.id)
            board.entries.append(entry)
    return board


def lines_of(entries: Iterable[Entry]) -> list[Line]:
    """Every model and method of these entries."""
    found = []
    for entry in entries:
        asked = json.dumps([entry.tasks, entry.seeds], sort_keys=True).encode()
        digest = hashlib.sha256(asked).hexdigest()[:6]
        for result in entry.results:
            about = f"data {entry.data_version}, {len(entry.tasks)} tasks, {result.samples} samples"
            found.append(Line(entry, result, f"{about} ({digest})"))
    return found


def groups_of(lines: Sequence[Line]) -> list[str]:
    """What can be ranked together, that with most lines first."""
    counts: dict[str, int] = {}
    for line in lines:
        counts[line.group] = counts.get(line.group, 0) + 1
    return sorted(counts, key=lambda group: (-counts[group], group))


def ranked(
    lines: Iterable[Line], score: int, *, group: str | None = None, model: str = "", method: str = ""
) -> list[tuple[int | None, Line]]:
    """Rank and line, best PBx first; equal values share a rank, and what never reaches x has none.

    Args:
        lines: of valid entries.
        score: x of PBx.
        group: only lines of this group.
        model, method: only names that hold these texts, in any case.

    Raises:
        ValueError: there is no such PBx.
    """
    if score not in PB_SCORES:
        raise ValueError(f"there is no PB{score}; choose from {', '.join(map(str, PB_SCORES))}")
    wanted = [
        line
        for line in lines
        if group in (None, line.group)
        and model.lower() in line.result.model.lower()
        and method.lower() in line.result.method.lower()
    ]
    wanted.sort(key=lambda line: (-(line.reached(score).value or 0), line.result.model, line.result.method))
    found: list[tuple[int | None, Line]] = []
    for place, line in enumerate(wanted, start=1):
        value = line.reached(score).value
        same = found and found[-1][1].reached(score).value == value
        found.append((None if value is None else found[-1][0] if same else place, line))
    return found


def _line(what: object) -> str:
    return " ".join(str(what).split())[:200]
