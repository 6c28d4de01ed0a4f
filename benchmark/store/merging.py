"""Several runs read as one, so that their models stand in one report; runs that cannot be compared are refused."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmark.protocol.method import Method
from benchmark.protocol.settings import model_names, settings_groups, settings_keys
from benchmark.store.runs import SETTINGS, RunStore

# What decides an answer beside model, task and setting: with other values, two models would not have had the same task.
_PROTOCOL = ("temperature",)
# What a sample says of the machine that it was decoded on.
_OF_THE_MACHINE = frozenset({"seconds", "seconds_to_first_token", "seconds_to_last_token", "shared"})
_QUESTIONS = "the checksum of the questions of"


class MergedRuns:
    """The runs of several directories, read as one; their report is written into yet another directory.

    Models, tasks and methods are those of all runs, in the order in which they first appear. Samples are expected
    where one of the runs has them: a model need not have been run on what another one was.
    """

    def __init__(self, directories: Sequence[str | Path], output: str | Path) -> None:
        """Read the settings of the runs.

        Args:
            directories: of the runs.
            output: where the report goes; made when it is written.

        Raises:
            ValueError: a directory holds no run, `output` holds one or lies in one of these, or two runs differ in what
                they must share: the temperature, the new tokens and the questions of a task, and whatever bears one
                name.
        """
        self.directory = Path(output)
        if (self.directory / SETTINGS).exists():
            raise ValueError(f"{self.directory} holds a run; choose another directory for this report")
        # One that is named twice is read once.
        runs: dict[Path, RunStore] = {}
        for directory in directories:
            runs.setdefault(Path(directory).resolve(), RunStore(directory))
        self._runs = list(runs.values())
        surrounding = next((runs[path] for path in self.directory.resolve().parents if path in runs), None)
        if surrounding is not None:
            raise ValueError(
                f"{self.directory} lies in the run {surrounding.directory}; choose another directory for this report"
            )
        self._settings = [run.read_settings() for run in self._runs]
        self._keys = [frozenset(settings_keys(settings_groups(settings))) for settings in self._settings]
        self._check()

    def read_settings(self) -> dict[str, Any]:
        """Settings like those of one run, and under `runs` the names of the directories."""
        models: dict[str, Any] = {}
        for settings in self._settings:
            models = dict(zip(model_names(settings), settings["models"], strict=True)) | models
        ordered = dict.fromkeys(name for settings in self._settings for name in model_names(settings))
        return {
            **{key: self._settings[0].get(key) for key in _PROTOCOL},
            "seeds": sorted({seed for settings in self._settings for seed in settings.get("seeds", (0,))}),
            "new_tokens": self._new_tokens(),
            "models": [models[name] for name in ordered],
            "groups": [group for settings in self._settings for group in settings["groups"]],
            "schedulers": {
                name: entry for settings in self._settings for name, entry in settings["schedulers"].items()
            },
            "runs": [run.directory.name for run in self._runs],
            "notices": list(dict.fromkeys(line for settings in self._settings for line in settings.get("notices", ()))),
            "best_scores": self._best_scores(),
            "kinds": {name: kind for settings in self._settings for name, kind in settings.get("kinds", {}).items()},
        }

    def _new_tokens(self) -> dict[str, dict[str, int]]:
        """Model → task → tokens of an answer."""
        found: dict[str, dict[str, int]] = {}
        for settings in self._settings:
            for model, tasks in settings.get("new_tokens", {}).items():
                found.setdefault(model, {}).update(tasks)
        return found

    def _best_scores(self) -> dict[str, dict[str, float]]:
        """Model → task → the best score that is left; runs agree on it, as they do on questions and new tokens."""
        best: dict[str, dict[str, float]] = {}
        for settings in self._settings:
            for model, tasks in settings.get("best_scores", {}).items():
                best.setdefault(model, {}).update(tasks)
        return best

    def seeds_of(self, model: str, task: str, method: Method) -> tuple[int, ...]:
        """The seeds that one of the runs is to have samples of."""
        runs = self._having(model, task, method)
        return tuple(sorted({seed for run in runs for seed in run.seeds_of(model, task, method)}))

    def find_samples(self, model: str, task: str, method: Method, seed: int = 0) -> list[dict[str, Any]] | None:
        """The samples of one method, or None where every run that has it lacks them.

        Raises:
            ValueError: two runs have them, and they are not the same.
        """
        having = self._having(model, task, method, seed)
        found = [(run, rows) for run in having if (rows := _rows(run, model, task, method, seed))]
        for run, rows in found[1:]:
            first = found[0][1]
            different = sorted(name for name in first.keys() | rows.keys() if _differ(first.get(name), rows.get(name)))
            if different:
                what = f"the answers of {model} to {different[0]} under {method} are not the same"
                raise _refusal(found[0][0], run, what)
        return list(found[0][1].values()) if found else None

    def find_signatures(self, model: str, task: str, method: Method, seed: int = 0) -> dict[str, str]:
        """What the scores of one method come from, name → signature, as the first run says that has its samples."""
        for run in self._having(model, task, method, seed):
            if _rows(run, model, task, method, seed):
                return run.find_signatures(model, task, method, seed)
        return {}

    @contextmanager
    def report_lock(self) -> Iterator[RunStore]:
        """Wait until no other report is written into the directory, which is made if need be.

        Raises:
            ValueError: a file stands in its place.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ValueError(f"{self.directory} cannot be used for a report: it is, or lies in, a file") from None
        with RunStore(self.directory).report_lock() as store:
            yield store

    def _having(self, model: str, task: str, method: Method, seed: int | None = None) -> list[RunStore]:
        key = (model, task, method)
        runs = [run for run, keys in zip(self._runs, self._keys, strict=True) if key in keys]
        return [run for run in runs if seed is None or seed in run.seeds_of(*key)]

    def _check(self) -> None:
        """Hold every named thing of a run against the first run that names it."""
        known: dict[str, tuple[RunStore, Any]] = {}
        for run, settings in zip(self._runs, self._settings, strict=True):
            for what, value in _facts(settings).items():
                first, told = known.setdefault(what, (run, value))
                if told != value:
                    difference = f"{what} is {_brief(told)} in the first and {_brief(value)} in the second"
                    raise _refusal(first, run, difference + self._samples_hint(what, first, settings))

    def _samples_hint(self, what: str, first: RunStore, settings: Mapping[str, Any]) -> str:
        """Why questions are others, where it is no more than how many were asked for."""
        counts = [told.get("samples") for told in (self._settings[self._runs.index(first)], settings)]
        if not what.startswith(_QUESTIONS) or counts[0] == counts[1]:
            return ""
        one, other = ("all" if count is None else f"the first {count}" for count in counts)
        return f"; the first was run on {one} of them, the second on {other}"


def _facts(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What runs must share, by how an error names it; of things that only some runs have, no matter which."""
    facts = {key: settings.get(key) for key in _PROTOCOL}
    for entry in settings["models"]:
        record = {} if isinstance(entry, str) else {key: entry[key] for key in sorted(entry) if key != "name"}
        facts[f"model {entry if isinstance(entry, str) else entry['name']}"] = record
    for model, tasks in settings.get("new_tokens", {}).items():
        facts |= {f"the number of new tokens of {model} on {task}": count for task, count in tasks.items()}
    if "new_tokens" not in settings:
        # What is written of a group is what the user said of it, if anything.
        for group in settings_groups(settings):
            facts |= {f"the number of new tokens of {task}": group.new_tokens for task in group.tasks}
    data = settings.get("data")
    checksums = data.get("checksums") if isinstance(data, dict) else None
    for task, checksum in (checksums if isinstance(checksums, dict) else {}).items():
        facts[f"{_QUESTIONS} {task}"] = checksum
    return facts


def _rows(run: RunStore, model: str, task: str, method: Method, seed: int) -> dict[str, dict[str, Any]]:
    """The rows of one method by their ids; none where they are absent, cut off or altered."""
    return {row["id"]: row for row in run.find_samples(model, task, method, seed) or []}


def _differ(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Whether two samples of a question are not the same, by what both say, but for what an answer took."""
    if one is None or other is None:
        return one is not other
    return any(one[key] != other[key] for key in (one.keys() & other.keys()) - _OF_THE_MACHINE)


def _refusal(first: RunStore, second: RunStore, what: str) -> ValueError:
    return ValueError(f"{first.directory} and {second.directory} do not go into one report: {what}")


def _brief(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {entry}" for key, entry in value.items()) or "without a record"
    return value[:12] if isinstance(value, str) else str(value)
