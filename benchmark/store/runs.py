"""The results of one run on disk: settings, samples, and the lock that keeps a second process out."""

import hashlib
import json
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmark.protocol.method import Method
from benchmark.protocol.settings import FORMAT, model_names, origin_of, settings_groups
from benchmark.store.earlier_formats import convert_settings, earlier_path, read_earlier_file
from benchmark.store.sample_files import (
    JOURNAL,
    SampleFile,
    append_to_journal,
    journal_path,
    read_journal,
    read_sample_file,
    write_sample_file,
)
from hub_dataset.disk import TEMPORARY, only_one_process, write_atomically

SETTINGS = "settings.json"
SAMPLES = "samples"
PLOTS = "plots"
PAGE = "report.html"
SUMMARIES = ("summary.json", "summary.csv", PAGE)
LOCK = ".run.lock"
REPORT_LOCK = ".report.lock"
# Since when the process that holds the lock has run.
RUNNING = ".running.json"
# How long another process may look whether a run is going on.
_LOOK_SECONDS = 0.5

# A name longer than this (bytes) leaves no room for suffixes under the usual limit of 255.
_LONGEST_NAME = 180
_PLAIN = re.compile(r"(?!\.|.*~~)[A-Za-z0-9_.=,+()@~-]+")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_.=,+()@-]")
_PARTS = "models and schedulers"


def file_name(label: str) -> str:
    """`label` as a single file name: readable, and different for different labels.

    Letters, digits and ``_.-=,+()@`` stay; `org/name` becomes `org--name`, a colon a tilde, and the blank behind a
    comma goes. Names that do not tell how they were written, or are too long, end in a hash. Raises `ValueError` for an
    empty label.
    """
    if not label:
        raise ValueError("a name in the results is empty; models, tasks and methods need a name")
    name = label.replace(", ", ",").replace("/", "--").replace(":", "~")
    whole = name.replace("~", ":").replace("--", "/").replace(",", ", ") == label and _PLAIN.fullmatch(name)
    if not whole or len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        # Two tildes would be two colons, which no name that stays whole has.
        name = f"{_NOT_PLAIN.sub('_', name).lstrip('.')[:_LONGEST_NAME]}~~{digest}"
    return name


class RunStore:
    """The directory of one run.

    ```
    settings.json                                      what was asked for, written first
    samples/<model>/<task>/<method>.seed0.jsonl        one line per sample
    samples/<model>/<task>/<method>.seed0.json         their number and checksum, and what they come from
    samples/<model>/<task>/<method>.seed0.part         answers that are not yet a whole file
    summary.json  summary.csv  report.html  plots/*.png  the report, made from the files above alone
    ```

    Samples that come from something else than the settings say (see `origin_of`) count as absent, until those that take
    their place are written. Reading needs no lock. A process that runs the benchmark holds `lock()` for as long as it
    writes.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self._settings: dict[str, Any] | None = None
        self._is_earlier: bool | None = None

    @contextmanager
    def lock(self) -> Iterator["RunStore"]:
        """Hold the directory, made if need be, against other runs, and remove what a killed run left half-written.

        The operating system releases the lock when the process dies, however it dies; a process forked while it is
        held keeps it until that process ends too.

        Raises:
            ValueError: another process runs in this directory, or a file stands in its place.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ValueError(f"{self.directory} cannot be used for results: it is, or lies in, a file") from None
        refusal = f"{self.directory} is in use by another run; wait until it ends or choose another directory"
        with only_one_process(self.directory / LOCK, refusal, wait_seconds=_LOOK_SECONDS):
            for leftover in [*self.directory.glob(f"*.json.*{TEMPORARY}"), *self._files(SAMPLES, TEMPORARY)]:
                leftover.unlink(missing_ok=True)
            write_atomically(self.directory / RUNNING, json.dumps({"since": time.time_ns()}).encode())
            try:
                yield self
            finally:
                (self.directory / RUNNING).unlink(missing_ok=True)

    def running_stamp(self) -> int | None:
        """Since when this directory has been held, in nanoseconds, by its own word."""
        try:
            return int(json.loads((self.directory / RUNNING).read_bytes())["since"])
        except (OSError, KeyError, TypeError, ValueError):
            return None

    def running_since(self) -> int | None:
        """Since when a process holds this directory, in nanoseconds; None where none does, however it ended."""
        since = self.running_stamp()
        if since is None:
            return None
        try:
            with only_one_process(self.directory / LOCK, "in use"):
                return None
        except ValueError:
            return since
        except OSError:
            return None

    @contextmanager
    def report_lock(self) -> Iterator["RunStore"]:
        """Wait until no other report is written here, and remove what a killed report left half-written."""
        refusal = f"{self.directory}: another report is still being written here"
        with only_one_process(self.directory / REPORT_LOCK, refusal, wait_seconds=600):
            for leftover in [*self.directory.glob(f"summary.*{TEMPORARY}"), *self._files(PLOTS, TEMPORARY)]:
                leftover.unlink(missing_ok=True)
            yield self

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Write the settings of the run.

        Args:
            settings: what JSON can hold, with at least what `RunSettings.as_dict` has under `models`, `groups` and
                `schedulers`.

        Raises:
            ValueError: they could not be read back.
        """
        path = self.directory / SETTINGS
        try:
            text = json.dumps(settings, indent=2, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"the settings cannot be written as JSON ({error})") from None
        self._checked_settings(json.loads(text), path)
        write_atomically(path, text.encode() + b"\n")
        self._settings, self._is_earlier = json.loads(text), None

    def read_settings(self) -> dict[str, Any]:
        """The settings of the run.

        Raises:
            ValueError: the directory holds no run, or its settings cannot be read.
        """
        path = self.directory / SETTINGS
        try:
            settings = json.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            raise ValueError(f"{self.directory} holds no run: there is no {SETTINGS} in it") from None
        except ValueError as error:
            raise ValueError(f"{path} is not readable as JSON ({error})") from None
        return self._checked_settings(convert_settings(settings, path), path)

    def add_devices(self, devices: Mapping[str, str]) -> None:
        """Add to the settings what models run on now, in words; a run may go on on other machines."""
        entry = self.read_settings()
        known = dict(entry.get("devices", {}))
        for name, device in devices.items():
            known[name] = list(dict.fromkeys([*known.get(name, []), device]))
        if known != entry.get("devices"):
            self.write_settings({**entry, "devices": known})

    @staticmethod
    def _checked_settings(settings: Any, path: Path) -> dict[str, Any]:
        if not isinstance(settings, dict):
            raise ValueError(f"{path} holds a {type(settings).__name__}; expected an object")
        if settings.get("format", FORMAT) != FORMAT:
            raise ValueError(f"{path} has format {settings['format']!r}; this version reads formats 1 to {FORMAT}")
        for key, kind in (("models", list), ("groups", list), ("schedulers", dict)):
            if not isinstance(settings.get(key), kind):
                raise ValueError(f"{path} has no {kind.__name__} {key!r}; it does not describe a run")
        for entry in settings["models"]:
            if not isinstance(entry["name"] if isinstance(entry, dict) and "name" in entry else entry, str):
                raise ValueError(f"{path} has a model {entry!r}; expected a name or an object with a name")
        names = model_names(settings)
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"{path} names the model {twice!r} twice; name each once")
        try:
            groups = settings_groups(settings)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        used = {(name, method.name) for group in groups for name in group.models for method in group.methods}
        for model, scheduler in sorted(used):
            if model not in names or not isinstance(settings["schedulers"].get(scheduler), dict):
                raise ValueError(f"{path} has a group of {model!r} and {scheduler!r}, and not both among its {_PARTS}")
        return settings

    @property
    def is_of_earlier_version(self) -> bool:
        """Whether the directory holds a run of an earlier format, which is reported and does not go on."""
        if self._is_earlier is None:
            try:
                self._is_earlier = json.loads((self.directory / SETTINGS).read_bytes()).get("format") in (1, 2)
            except (OSError, ValueError, AttributeError):
                return False
        return self._is_earlier

    def samples_path(self, model: str, task: str, method: Method, seed: int = 0) -> Path:
        """Where the samples of a method are, whether or not they exist."""
        return self._folder(model, task) / f"{file_name(str(method))}.seed{seed}.jsonl"

    def _folder(self, model: str, task: str) -> Path:
        return self.directory / SAMPLES / file_name(model) / file_name(task)

    def write_samples(
        self,
        model: str,
        task: str,
        method: Method,
        rows: Sequence[Mapping[str, Any]],
        signatures: Mapping[str, str] | None = None,
        *,
        seed: int = 0,
        metric: str | None = None,
    ) -> None:
        """Write the samples of one method at once; the same rows give the same bytes.

        Args:
            model, task, method: names as in the settings.
            rows: one object per sample, see `check_rows`, in the order of the questions.
            signatures: the programs, models and versions that the scores of text come from, as the metric says it.
            seed: one of the run's.
            metric: what tells the metric that scored them from others.

        Raises:
            ValueError: a row lacks something, an id stands twice, or a number is not finite.
        """
        path, origin = self.samples_path(model, task, method, seed), self.origin(model, task, method)
        write_sample_file(path, SampleFile([*map(dict, rows)], origin, dict(signatures or {}), metric))
        journal_path(path).unlink(missing_ok=True)

    def origin(self, model: str, task: str, method: Method) -> dict[str, Any]:
        """What samples of this run come from; empty where its settings do not say."""
        if self._settings is None:
            try:
                self._settings = self.read_settings()
            except ValueError:
                return {}
        known = method.name in self._settings["schedulers"] and model in model_names(self._settings)
        return origin_of(self._settings, model, task, method) if known else {}

    def find_file(
        self, model: str, task: str, method: Method, seed: int = 0, *, any_origin: bool = False
    ) -> SampleFile | None:
        """The file of one method, or None where it is absent, cut off, altered, or (not `any_origin`) of another origin
        than the settings say.
        """
        if self.is_of_earlier_version:
            format_2 = self._folder(model, task) / f"{file_name(str(method))}.jsonl"
            return read_earlier_file(format_2) or read_earlier_file(
                earlier_path(self.directory / SAMPLES, model, task, method)
            )
        found = read_sample_file(self.samples_path(model, task, method, seed))
        if found is None or any_origin:
            return found
        origin = self.origin(model, task, method)
        return found if not origin or not found.origin or origin == found.origin else None

    def find_samples(self, model: str, task: str, method: Method, seed: int = 0) -> list[dict[str, Any]] | None:
        """The samples of one method, or None where there are none that count."""
        found = self.find_file(model, task, method, seed)
        return None if found is None else found.rows

    def seeds_of(self, model: str, task: str, method: Method) -> tuple[int, ...]:
        """The seeds that a setting is to have samples of."""
        self.origin(model, task, method)
        return tuple((self._settings or {}).get("seeds", (0,)))

    def find_signatures(self, model: str, task: str, method: Method, seed: int = 0) -> dict[str, str]:
        """What the scores of one method come from, name → signature; none where no such file says so."""
        found = self.find_file(model, task, method, seed)
        return {} if found is None else found.signatures

    def read_samples(self, model: str, task: str, method: Method, seed: int = 0) -> list[dict[str, Any]]:
        """The samples of one method.

        Raises:
            ValueError: they are absent, cut off, altered or of another origin.
        """
        rows = self.find_samples(model, task, method, seed)
        if rows is None:
            path = self.samples_path(model, task, method, seed)
            raise ValueError(
                f"{path} is {'damaged, or of another origin' if path.exists() else 'absent'}; run it again"
            )
        return rows

    def has_samples(self, model: str, task: str, method: Method, ids: Collection[str], seed: int = 0) -> bool:
        """Whether the method is finished: its file counts, and the run's samples are these, each once."""
        rows = self.find_samples(model, task, method, seed)
        return rows is not None and sorted(row["id"] for row in rows) == sorted(set(ids))

    def keep_answers(
        self, model: str, task: str, method: Method, samples: Sequence[Mapping[str, Any]], seed: int = 0
    ) -> None:
        """Bring answers to disk that have no scores yet, and are not yet all that the method is to have."""
        path = self.samples_path(model, task, method, seed)
        append_to_journal(path, self.origin(model, task, method), samples)

    def kept_answers(self, model: str, task: str, method: Method, seed: int = 0) -> list[dict[str, Any]]:
        """Answers that a run kept before it was stopped."""
        return read_journal(self.samples_path(model, task, method, seed), self.origin(model, task, method))

    def clear(self) -> None:
        """Remove the run's own files, so that it starts anew; whatever else lies in the directory stays.

        Call it while holding `lock()`.
        """
        for name in SUMMARIES:
            (self.directory / name).unlink(missing_ok=True)
        for folder, endings in ((SAMPLES, (".jsonl", ".json", JOURNAL, TEMPORARY)), (PLOTS, (".png", TEMPORARY))):
            for path in (path for ending in endings for path in self._files(folder, ending)):
                path.unlink(missing_ok=True)
        for folder in (SAMPLES, PLOTS):
            root = self.directory / folder
            for path in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
                with suppress(OSError):
                    path.rmdir()
            with suppress(OSError):
                root.rmdir()
        # The settings go last: killed before, the directory is still that run, with less of it done.
        (self.directory / SETTINGS).unlink(missing_ok=True)
        self._settings, self._is_earlier = None, None

    def _files(self, folder: str, ending: str) -> list[Path]:
        return [path for path in (self.directory / folder).rglob(f"*{ending}") if path.is_file()]
