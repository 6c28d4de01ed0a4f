"""Which answers of two runs belong together: one question, asked of both under settings that stand for each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmark.protocol.method import Method
from benchmark.protocol.settings import Key, model_names, settings_groups, settings_keys
from benchmark.store.runs import RunStore
from benchmark.store.sample_files import SampleFile

Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pair:
    """A setting of the first run and the one of the second that it is held against.

    `answers` are (question, seed) → the two samples, of every question that both were asked and answered, under as many
    seeds as both have.
    """

    before: Key
    after: Key
    answers: dict[tuple[str, int], tuple[Answer, Answer]]

    @property
    def questions(self) -> list[str]:
        """Ids, in order."""
        return list(dict.fromkeys(name for name, _ in self.answers))

    @property
    def seeds(self) -> int:
        """Seeds of every question."""
        return len(self.answers) // len(self.questions)


@dataclass(slots=True)
class Pairing:
    """The pairs of two runs, and a line on everything that is not, or not quite, the same in both."""

    pairs: list[Pair] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def pair_runs(first: RunStore, second: RunStore) -> Pairing:
    """Match two runs.

    Settings are matched by model, task and method. Where the runs share no model and have one each, these two are
    matched, and likewise methods on a task. Seeds in common are matched; where there are none, in their order.

    Raises:
        ValueError: a directory holds no run, or no question is matched.
    """
    settings = first.read_settings(), second.read_settings()
    keys = tuple(settings_keys(settings_groups(one)) for one in settings)
    found = Pairing()
    _note_settings(found, *settings)
    models = _counterparts(model_names(settings[0]), model_names(settings[1]))
    if models and any(one != other for one, other in models.items()):
        found.notes.append(f"models differ: {_arrow(models)}")
    unmatched: list[Key] = []
    taken: set[Key] = set()
    renamed: dict[Method, Method] = {}
    # Reasons for leaving something out → the settings it befell, so that each is one line.
    reasons: dict[str, list[str]] = {}
    for key in keys[0]:
        other = _counterpart(key, models, *keys)
        if other is None:
            unmatched.append(key)
            continue
        taken.add(other)
        if key[2] != other[2]:
            renamed[key[2]] = other[2]
        pair = _pair(first, second, key, other, reasons)
        if pair is not None:
            found.pairs.append(pair)
    if renamed:
        found.notes.append(f"methods differ: {_arrow(renamed)}")
    unmatched_there = [key for key in keys[1] if key not in taken]
    for which, left in (("first", unmatched), ("second", unmatched_there)):
        if left:
            are = _counted(len(left), "setting is", "settings are")
            found.notes.append(f"{are} in the {which} run alone, such as {_name(left[0])}")
    for reason, where in reasons.items():
        more = f" and {len(where) - 1} more" if len(where) > 1 else ""
        found.notes.append(f"{where[0]}{more}: {reason}")
    if not found.pairs:
        if unmatched and unmatched_there:
            found.notes.append("methods that differ are matched where both runs have one on a task")
        why = f" ({'; '.join(found.notes)})" if found.notes else ""
        raise ValueError(f"{first.directory} and {second.directory} have no answers to compare{why}")
    return found


def _counterparts(first: Sequence[str], second: Sequence[str]) -> dict[str, str]:
    shared = {name: name for name in first if name in second}
    return shared if shared or len(first) != 1 or len(second) != 1 else {first[0]: second[0]}


def _counterpart(key: Key, models: Mapping[str, str], first: Sequence[Key], second: Sequence[Key]) -> Key | None:
    model, task, method = key
    if model not in models:
        return None
    there = [other for other in second if other[:2] == (models[model], task)]
    here = [one for one in first if one[:2] == (model, task)]
    same = (models[model], task, method)
    if same in there:
        return same
    return there[0] if len(here) == len(there) == 1 else None


def _pair(first: RunStore, second: RunStore, key: Key, other: Key, reasons: dict[str, list[str]]) -> Pair | None:
    def say(reason: str) -> None:
        reasons.setdefault(reason, []).append(_name(key))

    files: list[tuple[SampleFile, SampleFile]] = []
    all_seeds = first.seeds_of(*key), second.seeds_of(*other)
    seeds = _seeds(*all_seeds)
    if any(one != two for one, two in seeds):
        say(f"no seed in common; {', '.join(f'{one} is held against {two}' for one, two in seeds)}")
    for which, had, used in zip(("first", "second"), all_seeds, zip(*seeds, strict=True), strict=True):
        if left := [str(seed) for seed in had if seed not in used]:
            say(f"left out, as the other run lacks it: seed {', '.join(left)} of the {which} run")
    for one, two in seeds:
        found = first.find_file(*key, one), second.find_file(*other, two)
        if found[0] is None or found[1] is None:
            say(f"left out, not finished in the {'first' if found[0] is None else 'second'} run")
            return None
        if found[0].metric and found[1].metric and found[0].metric != found[1].metric:
            say("left out, scored by different versions of the metric; run the older one's command again to score anew")
            return None
        if found[0].signatures != found[1].signatures:
            say("what scores text is not the same program or version in both")
        files.append((found[0], found[1]))
    answers: dict[tuple[str, int], tuple[Answer, Answer]] = {}
    changed, failed, unpaired = set[str](), set[str](), (set[str](), set[str]())
    for number, (one_file, two_file) in enumerate(files):
        rows = [{row["id"]: row for row in file.rows} for file in (one_file, two_file)]
        unpaired[0].update(rows[0].keys() - rows[1].keys())
        unpaired[1].update(rows[1].keys() - rows[0].keys())
        for name in rows[0].keys() & rows[1].keys():
            one_row, two_row = rows[0][name], rows[1][name]
            checksums = one_row.get("question_checksum"), two_row.get("question_checksum")
            if None not in checksums and checksums[0] != checksums[1]:
                changed.add(name)
            elif "error" in one_row or "error" in two_row:
                failed.add(name)
            else:
                answers[name, number] = one_row, two_row
    reasons_of = (
        (changed, "asks something else", "ask something else"),
        (failed, "failed", "failed"),
        (unpaired[0], "is in the first run alone", "are in the first run alone"),
        (unpaired[1], "is in the second run alone", "are in the second run alone"),
    )
    for names, one_does, several_do in reasons_of:
        if names:
            say(f"left out: {_counted(len(names), f'question that {one_does}', f'questions that {several_do}')}")
    whole = {name for name, _ in answers if all((name, number) in answers for number in range(len(files)))}
    kept = {at: answers[at] for at in sorted(answers) if at[0] in whole}
    return Pair(key, other, kept) if kept else None


def _seeds(first: Sequence[int], second: Sequence[int]) -> list[tuple[int, int]]:
    shared = [(seed, seed) for seed in first if seed in second]
    return shared or list(zip(first, second, strict=False))


def _note_settings(found: Pairing, first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
    versions = [(settings.get("data") or {}).get("version") for settings in (first, second)]
    told = {
        "temperature": (first.get("temperature"), second.get("temperature")),
        "parallelbench": (first.get("parallelbench"), second.get("parallelbench")),
        "data version": (versions[0], versions[1]),
    }
    for what, (one, two) in told.items():
        if one != two:
            found.notes.append(f"{what} differs: {_value(one)} → {_value(two)}")
    tokens = [
        {task: count for tasks in settings.get("new_tokens", {}).values() for task, count in tasks.items()}
        for settings in (first, second)
    ]
    found.notes += [f"{what} differs: {_value(one)} → {_value(two)}" for what, one, two in _made_of(first, second)]
    others = sorted(task for task in tokens[0].keys() & tokens[1].keys() if tokens[0][task] != tokens[1][task])
    if others:
        more = f" and {len(others) - 1} more tasks" if len(others) > 1 else ""
        found.notes.append(f"new tokens differ: {others[0]} {tokens[0][others[0]]} → {tokens[1][others[0]]}{more}")


def _made_of(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """What differs of models, schedulers and libraries that both runs name, with what it is in each."""
    facts: list[dict[str, Any]] = []
    for settings in (first, second):
        of_one: dict[str, Any] = {}
        for entry in settings["models"]:
            if not isinstance(entry, str):
                of_one |= {f"{key} of {entry['name']}": entry[key] for key in entry if key not in ("name", "source")}
                of_one[f"source of {entry['name']}"] = _digest(entry.get("source"))
        for name, about in settings["schedulers"].items():
            of_one[f"source of {name}"] = _digest(about.get("source"))
        facts.append(of_one | dict(settings.get("versions", {})))
    one, two = facts
    # The package's own version is among what is told before; what one run does not say, it may well have had.
    shared = [what for what in one if what in two and what != "parallelbench"]
    return [(what, one[what], two[what]) for what in shared if one[what] != two[what]]


def _digest(source: Mapping[str, str] | None) -> str:
    """Hashes of modules as one that can be read aloud."""
    return hashlib.sha256(json.dumps(source, sort_keys=True).encode()).hexdigest()[:8]


def _counted(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


def _value(value: Any) -> str:
    return "the default" if value is None else str(value)


def _arrow(names: Mapping[Any, Any]) -> str:
    return ", ".join(f"{one} → {other}" for one, other in names.items() if one != other)


def _name(key: Key) -> str:
    return f"{key[0]} on {key[1]} under {key[2]}"
