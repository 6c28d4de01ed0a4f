"""The results of one run on disk: settings, samples with a checksum, and the lock that keeps a second process out."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeGuard
from urllib.parse import quote

from hub_dataset.disk import TEMPORARY, only_one_process
from hub_dataset.disk import write_atomically as write_atomically

FORMAT = 1
SETTINGS = "settings.json"
SAMPLES = "samples"
PLOTS = "plots"
SUMMARIES = ("summary.json", "summary.csv")
LOCK = ".run.lock"
REPORT_LOCK = ".report.lock"

# A name longer than this (bytes) leaves no room for suffixes under the usual limit of 255.
_LONGEST_NAME = 180
_COUNTS = ("num_forward_passes", "num_tokens")


def file_name(label: str) -> str:
    """`label` as a single file name: readable, and different for different labels.

    Letters, digits and ``_.-~=,+()`` stay, everything else is percent-encoded, so a model's `org/name` or a path
    becomes one name. Names that would be too long end in a hash. Raises `ValueError` for an empty label.
    """
    if not label:
        raise ValueError("a name in the results is empty; models, tasks and schedulers need a name")
    name = quote(label, safe="=,+()", errors="surrogatepass")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        # No name that stays whole is this long, so nothing else can have this one.
        name = f"{name[:_LONGEST_NAME]}~{digest}"
    return name


def model_names(settings: Mapping[str, Any]) -> list[str]:
    """Names of the models of a run, in the order of its settings; an entry is a name or an object with a `name`."""
    return [entry if isinstance(entry, str) else entry["name"] for entry in settings["models"]]


class RunStore:
    """The directory of one run.

    ```
    settings.json                                   what was run, written first
    samples/<model>/<task>/<scheduler>.jsonl        one line per sample, then a line with count and checksum
    summary.json  summary.csv  plots/*.png          the report, made from the files above alone
    ```

    Reading needs no lock. A process that runs the benchmark holds `lock()` for as long as it writes.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)

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
        with only_one_process(self.directory / LOCK, refusal):
            for leftover in [*self.directory.glob(f"{SETTINGS}.*{TEMPORARY}"), *self._files(SAMPLES, TEMPORARY)]:
                leftover.unlink(missing_ok=True)
            yield self

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
            settings: what JSON can hold, with at least `models`, `tasks` (lists of names) and `schedulers` (a list of
                objects with `name`, `label`, `parameters`, `block_length`, and `tasks` where a setting is not run on
                all); no name or label stands there twice.

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
        return self._checked_settings(settings, path)

    @staticmethod
    def _checked_settings(settings: Any, path: Path) -> dict[str, Any]:
        if not isinstance(settings, dict):
            raise ValueError(f"{path} holds a {type(settings).__name__}; expected an object")
        if settings.get("format", FORMAT) != FORMAT:
            raise ValueError(f"{path} has format {settings['format']!r}; this version reads format {FORMAT}")
        for key in ("models", "tasks", "schedulers"):
            if not isinstance(settings.get(key), list):
                raise ValueError(f"{path} has no list {key!r}; it does not describe a run")
        for entry in settings["models"]:
            if not isinstance(entry["name"] if isinstance(entry, dict) and "name" in entry else entry, str):
                raise ValueError(f"{path} has a model {entry!r}; expected a name or an object with a name")
        for entry in settings["tasks"]:
            if not isinstance(entry, str):
                raise ValueError(f"{path} has a task {entry!r}; expected a name")
        for entry in settings["schedulers"]:
            if not (isinstance(entry, dict) and isinstance(entry.get("name"), str)):
                raise ValueError(f"{path} has a scheduler {entry!r}; expected an object with name and label")
            if not (isinstance(entry.get("label"), str) and isinstance(entry.get("parameters", {}), dict)):
                raise ValueError(f"{path} has a scheduler {entry!r}; expected a label and an object of parameters")
            tasks = entry.get("tasks")
            if tasks is not None and not (isinstance(tasks, list) and set(map(str, tasks)) <= set(settings["tasks"])):
                raise ValueError(f"{path} has a scheduler for tasks {tasks!r}; expected some of the run's tasks")
        for key, names in (
            ("models", model_names(settings)),
            ("tasks", settings["tasks"]),
            ("schedulers", [entry["label"] for entry in settings["schedulers"]]),
        ):
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise ValueError(f"{path} names {twice!r} twice in {key!r}; each may stand there once")
        return settings

    def samples_path(self, model: str, task: str, label: str) -> Path:
        """Where the samples of one setting are, whether or not they exist."""
        return self.directory / SAMPLES / file_name(model) / file_name(task) / f"{file_name(label)}.jsonl"

    def write_samples(
        self,
        model: str,
        task: str,
        label: str,
        rows: Sequence[Mapping[str, Any]],
        signatures: Mapping[str, str] | None = None,
    ) -> None:
        """Write all samples of one setting at once; the same rows give the same bytes.

        Args:
            model, task, label: names as in the settings.
            rows: one object per sample: `id`, `prediction`, `num_forward_passes`, `num_tokens`, `tokens_per_step`,
                `length` and `scores`, an object with at least `headline` (0..1).
            signatures: the programs, models and versions that the scores of text come from, as the metric says it.

        Raises:
            ValueError: a row lacks something, an id stands twice, or a number is not finite.
        """
        where = f"samples of {model}, {task}, {label}"
        _check_rows(rows, where)
        try:
            lines = [json.dumps(row, sort_keys=True, separators=(",", ":"), allow_nan=False) for row in rows]
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: a row cannot be written as JSON ({error})") from None
        body = "".join(line + "\n" for line in lines).encode()
        footer: dict[str, Any] = {"complete": True, "rows": len(rows), "sha256": hashlib.sha256(body).hexdigest()}
        if signatures:
            footer["signatures"] = dict(signatures)
        write_atomically(self.samples_path(model, task, label), body + json.dumps(footer).encode() + b"\n")

    def find_samples(self, model: str, task: str, label: str) -> list[dict[str, Any]] | None:
        """The samples of one setting, or None where they are absent, cut off or altered."""
        try:
            content = self.samples_path(model, task, label).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _parse(content)

    def find_signatures(self, model: str, task: str, label: str) -> dict[str, str]:
        """What the scores of one setting come from, name → signature; none where no such file says so."""
        try:
            last = self.samples_path(model, task, label).read_bytes().splitlines()[-1]
            signatures = json.loads(last).get("signatures")
        except (FileNotFoundError, NotADirectoryError, IndexError, ValueError, AttributeError):
            return {}
        return {str(name): str(value) for name, value in signatures.items()} if isinstance(signatures, dict) else {}

    def read_samples(self, model: str, task: str, label: str) -> list[dict[str, Any]]:
        """The samples of one setting.

        Raises:
            ValueError: they are absent, cut off or altered.
        """
        rows = self.find_samples(model, task, label)
        if rows is None:
            path = self.samples_path(model, task, label)
            raise ValueError(f"{path} is {'damaged' if path.exists() else 'absent'}; run the setting again")
        return rows

    def has_samples(self, model: str, task: str, label: str, ids: Collection[str]) -> bool:
        """Whether the setting is finished: its file is intact and holds each of `ids` once, and no other."""
        rows = self.find_samples(model, task, label)
        return rows is not None and sorted(row["id"] for row in rows) == sorted(set(ids))

    def clear(self) -> None:
        """Remove the run's own files, so that it starts anew; whatever else lies in the directory stays.

        Call it while holding `lock()`.
        """
        for name in SUMMARIES:
            (self.directory / name).unlink(missing_ok=True)
        for folder, ending in ((SAMPLES, ".jsonl"), (SAMPLES, TEMPORARY), (PLOTS, ".png"), (PLOTS, TEMPORARY)):
            for path in self._files(folder, ending):
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

    def _files(self, folder: str, ending: str) -> list[Path]:
        return [path for path in (self.directory / folder).rglob(f"*{ending}") if path.is_file()]


def _check_rows(rows: Sequence[Mapping[str, Any]], where: str) -> None:
    if not rows:
        raise ValueError(f"{where}: there are none; expected one row per sample")
    seen: set[str] = set()
    for row in rows:
        identity = row.get("id")
        if not isinstance(identity, str) or not isinstance(row.get("prediction"), str):
            raise ValueError(f"{where}: row {identity!r} needs an id and a prediction, both strings")
        if identity in seen:
            raise ValueError(f"{where}: id {identity!r} stands there twice")
        seen.add(identity)
        for key in _COUNTS:
            count = row.get(key)
            if not isinstance(count, int) or isinstance(count, bool) or count < 1:
                raise ValueError(f"{where}: row {identity!r} has {key} {count!r}; expected an int of at least 1")
        if not _is_number(row.get("tokens_per_step")):
            raise ValueError(f"{where}: row {identity!r} has tokens_per_step {row.get('tokens_per_step')!r}")
        scores = row.get("scores")
        headline = scores.get("headline") if isinstance(scores, Mapping) else None
        if not _is_number(headline) or not 0 <= headline <= 1:
            raise ValueError(f"{where}: row {identity!r} has headline {headline!r}; expected a number from 0 to 1")


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _parse(content: bytes) -> list[dict[str, Any]] | None:
    """The rows of a samples file, None unless its last line vouches for all that stands before."""
    if not content.endswith(b"\n"):
        return None
    start = content.rfind(b"\n", 0, -1) + 1
    body, last = content[:start], content[start:]
    try:
        footer = json.loads(last)
    except ValueError:
        return None
    if not isinstance(footer, dict) or footer.get("complete") is not True:
        return None
    if footer.get("sha256") != hashlib.sha256(body).hexdigest() or footer.get("rows") != body.count(b"\n"):
        return None
    # What has the right checksum was written by `write_samples`, unless someone made the checksum to fit.
    try:
        rows = [json.loads(line) for line in body.splitlines()]
        _check_rows(rows, "samples")
    except (ValueError, AttributeError):
        return None
    return rows
