"""The results of one run on disk: settings, samples with a checksum, and the lock that keeps a second process out."""

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, TypeGuard

from benchmark.protocol.method import Method
from benchmark.protocol.settings import FORMAT, model_names, settings_groups, settings_keys
from benchmark.store.format_1 import convert_settings, old_samples_path
from hub_dataset.disk import TEMPORARY, only_one_process, write_atomically

SETTINGS = "settings.json"
SAMPLES = "samples"
PLOTS = "plots"
SUMMARIES = ("summary.json", "summary.csv")
LOCK = ".run.lock"
REPORT_LOCK = ".report.lock"

# A name longer than this (bytes) leaves no room for suffixes under the usual limit of 255.
_LONGEST_NAME = 180
_PLAIN = re.compile(r"(?!\.|.*~~)[A-Za-z0-9_.=,+()@~-]+")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_.=,+()@-]")
_PARTS = "models and schedulers"
_COUNTS = ("num_forward_passes", "num_tokens")


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
    settings.json                                   what was run, written first
    samples/<model>/<task>/<method>.jsonl           one line per sample, then a line with count and checksum
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

    @staticmethod
    def _checked_settings(settings: Any, path: Path) -> dict[str, Any]:
        if not isinstance(settings, dict):
            raise ValueError(f"{path} holds a {type(settings).__name__}; expected an object")
        if settings.get("format", FORMAT) != FORMAT:
            raise ValueError(f"{path} has format {settings['format']!r}; this version reads formats 1 and {FORMAT}")
        for key, kind in (("models", list), ("groups", list), ("schedulers", dict)):
            if not isinstance(settings.get(key), kind):
                raise ValueError(f"{path} has no {kind.__name__} {key!r}; it does not describe a run")
        for entry in settings["models"]:
            if not isinstance(entry["name"] if isinstance(entry, dict) and "name" in entry else entry, str):
                raise ValueError(f"{path} has a model {entry!r}; expected a name or an object with a name")
        names = model_names(settings)
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"{path} names the model {twice!r} twice; each may stand there once")
        try:
            groups = settings_groups(settings)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        used = {(name, method.name) for group in groups for name in group.models for method in group.methods}
        for model, scheduler in sorted(used):
            if model not in names or not isinstance(settings["schedulers"].get(scheduler), dict):
                raise ValueError(f"{path} has a group of {model!r} and {scheduler!r}, and not both among its {_PARTS}")
        return settings

    @cached_property
    def _is_of_format_1(self) -> bool:
        try:
            return bool(json.loads((self.directory / SETTINGS).read_bytes()).get("format") == 1)
        except (OSError, ValueError, AttributeError):
            return False

    def convert(self) -> None:
        """Give a run of format 1 the names and settings of this one, so that it can go on; call it holding `lock()`.

        Raises:
            ValueError: it named a block length, which did not seed the noise then and does now.
        """
        if not self._is_of_format_1:
            return
        settings = self.read_settings()
        keys = settings_keys(settings_groups(settings))
        if any(method.block_length is not None for _, _, method in keys):
            raise ValueError(
                f"{self.directory} is of an earlier version, whose noise did not depend on the block length; it can be "
                "reported, and to go on choose another --output, or --fresh to replace it"
            )
        for key in keys:
            old, new = old_samples_path(self.directory / SAMPLES, *key), self.samples_path(*key)
            if old != new and old.exists():
                new.parent.mkdir(parents=True, exist_ok=True)
                old.replace(new)
        self.write_settings(settings)
        del self._is_of_format_1

    def _present_path(self, model: str, task: str, method: Method) -> Path:
        """Where the samples of a method are: in a run of format 1 under the name that they had there."""
        path = self.samples_path(model, task, method)
        if self._is_of_format_1 and not path.exists():
            return old_samples_path(self.directory / SAMPLES, model, task, method)
        return path

    def samples_path(self, model: str, task: str, method: Method) -> Path:
        """Where the samples of a method are, whether or not they exist."""
        return self.directory / SAMPLES / file_name(model) / file_name(task) / f"{file_name(str(method))}.jsonl"

    def write_samples(
        self,
        model: str,
        task: str,
        method: Method,
        rows: Sequence[Mapping[str, Any]],
        signatures: Mapping[str, str] | None = None,
    ) -> None:
        """Write all samples of one method at once; the same rows give the same bytes.

        Args:
            model, task, method: names as in the settings.
            rows: one object per sample: `id`, `prediction`, `num_forward_passes`, `num_tokens`, `tokens_per_step`,
                `length` and `scores`, an object with at least `headline` (0..1).
            signatures: the programs, models and versions that the scores of text come from, as the metric says it.

        Raises:
            ValueError: a row lacks something, an id stands twice, or a number is not finite.
        """
        where = f"samples of {model}, {task}, {method}"
        _check_rows(rows, where)
        try:
            lines = [json.dumps(row, sort_keys=True, separators=(",", ":"), allow_nan=False) for row in rows]
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: a row cannot be written as JSON ({error})") from None
        body = "".join(line + "\n" for line in lines).encode()
        footer: dict[str, Any] = {"complete": True, "rows": len(rows), "sha256": hashlib.sha256(body).hexdigest()}
        if signatures:
            footer["signatures"] = dict(signatures)
        write_atomically(self.samples_path(model, task, method), body + json.dumps(footer).encode() + b"\n")

    def find_samples(self, model: str, task: str, method: Method) -> list[dict[str, Any]] | None:
        """The samples of one method, or None where they are absent, cut off or altered."""
        try:
            content = self._present_path(model, task, method).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _parse(content)

    def find_signatures(self, model: str, task: str, method: Method) -> dict[str, str]:
        """What the scores of one method come from, name → signature; none where no such file says so."""
        try:
            last = self._present_path(model, task, method).read_bytes().splitlines()[-1]
            signatures = json.loads(last).get("signatures")
        except (FileNotFoundError, NotADirectoryError, IndexError, ValueError, AttributeError):
            return {}
        return {str(name): str(value) for name, value in signatures.items()} if isinstance(signatures, dict) else {}

    def read_samples(self, model: str, task: str, method: Method) -> list[dict[str, Any]]:
        """The samples of one method.

        Raises:
            ValueError: they are absent, cut off or altered.
        """
        rows = self.find_samples(model, task, method)
        if rows is None:
            path = self._present_path(model, task, method)
            raise ValueError(f"{path} is {'damaged' if path.exists() else 'absent'}; run it again")
        return rows

    def has_samples(self, model: str, task: str, method: Method, ids: Collection[str]) -> bool:
        """Whether the method is finished: its file is intact and holds each of `ids` once, and no other."""
        rows = self.find_samples(model, task, method)
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
