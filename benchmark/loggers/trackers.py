"""Experiment trackers that a run is told to: settings, curves as they grow, the final tables; none can fail a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas

    from benchmark.engine.collecting import Progress
    from benchmark.engine.planning import Job
    from benchmark.models.interface import Answered, Sample
    from benchmark.protocol.method import Method
    from benchmark.store.runs import RunStore

#: Names that `--log` takes; each is a package, an extra of that name, and a module of this room.
TRACKERS = ("wandb", "trackio")
PROJECT = "parallelbench"
# Of a run with more samples, so many are logged: trackers show tables in a browser.
MOST_SAMPLES = 10_000


class Tracker(Protocol):
    """One run of an experiment tracker; any method may raise."""

    #: Where the run can be looked at, in a few words.
    place: str

    def point(self, curve: str, values: Mapping[str, float]) -> None:
        """Add a point to a curve; its x is `tokens_per_step`."""
        ...

    def table(self, name: str, table: pandas.DataFrame) -> None:
        """Log a table."""
        ...

    def finish(self) -> None:
        """Bring everything where it belongs."""
        ...


class Trackers:
    """The trackers of one run. The first error of one is a warning, and that tracker is told nothing more.

    Args:
        warn: is given a line where a tracker fails.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._trackers: dict[str, Tracker] = {}

    def start(self, names: Iterable[str], run_name: str, settings: Mapping[str, Any]) -> None:
        """Begin a run of each of these trackers."""
        for name in dict.fromkeys(names):
            with self._guard(name):
                self._trackers[name] = _opened(name, run_name, settings)
                self._warn(f"{name}: {self._trackers[name].place}")

    def setting_done(
        self, model: str, task: str, method: Method, curve: str, samples: Sequence[Mapping[str, Any]]
    ) -> None:
        """Add what a finished setting measured to its curve."""
        values = point_values(samples)
        if values:
            self._tell(lambda tracker: tracker.point(f"{model}/{task}/{curve}", values))

    def table(self, name: str, table: pandas.DataFrame) -> None:
        """Log a table."""
        self._tell(lambda tracker: tracker.table(name, table))

    def finish(self) -> None:
        """End all of them."""
        self._tell(lambda tracker: tracker.finish())
        self._trackers.clear()

    def _tell(self, what: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            with self._guard(name):
                what(tracker)

    @contextmanager
    def _guard(self, name: str) -> Iterator[None]:
        try:
            yield
        # Whatever it is: hours of decoding are worth more than their curves.
        except Exception as error:
            self._trackers.pop(name, None)
            reason = " ".join(str(error).split()) or "no reason given"
            self._warn(f"{name} failed and is told nothing more ({type(error).__name__}: {reason[:200]})")


class TrackedProgress:
    """A run's progress that tells trackers of finished settings too; see `benchmark.engine.collecting.Progress`."""

    def __init__(self, progress: Progress, trackers: Trackers, store: RunStore) -> None:
        self._progress, self._trackers = progress, trackers
        self._curves = curve_names(store.read_settings())

    def setting_done(self, job: Job, method: Method, samples: list[Sample]) -> None:
        """Pass it on."""
        self._progress.setting_done(job, method, samples)
        self._trackers.setting_done(job.model.name, job.task, method, self._curves[method], samples)

    def samples_done(self, job: Job, answered: Answered) -> None:
        """Pass it on."""
        self._progress.samples_done(job, answered)

    def states_done(self, job: Job, states: int, passes: int) -> None:
        """Pass it on."""
        self._progress.states_done(job, states, passes)

    def notice(self, line: str) -> None:
        """Pass it on."""
        self._progress.notice(line)


def check_trackers(names: Iterable[str]) -> None:
    """Raises ValueError where a tracker is unknown or its package is missing."""
    for name in names:
        if name not in TRACKERS:
            raise ValueError(f"--log {name}: there is no such tracker; choose from {', '.join(TRACKERS)}")
        if find_spec(name) is None:
            raise ValueError(f"--log {name}: {name} is not installed; pip install 'parallelbench[{name}]'")


def point_values(samples: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Means of a setting's answered questions; headline and strict score in percent. Unknown numbers are left out."""
    answered = [sample for sample in samples if "error" not in sample]
    found: dict[str, float] = {}
    for name in ("tokens_per_step", "num_forward_passes", "num_answer_tokens", "seconds"):
        values = [sample[name] for sample in answered if sample.get(name) is not None]
        if values and len(values) == len(answered):
            found[name] = sum(values) / len(values)
    for name in ("headline", "score_strict"):
        values = [sample["scores"][name] for sample in answered if sample["scores"].get(name) is not None]
        if values and len(values) == len(answered):
            found[name] = 100 * sum(values) / len(values)
    return found


def curve_names(settings: Mapping[str, Any]) -> dict[Method, str]:
    """Method → the name of the curve that it lies on."""
    from benchmark.analysis.curves import group_curves
    from benchmark.protocol.settings import settings_groups, settings_keys

    methods = list(dict.fromkeys(method for _, _, method in settings_keys(settings_groups(settings))))
    curves = group_curves(methods, settings["schedulers"])
    return {method: curve.name for curve in curves for method in curve.methods}


@contextmanager
def told_trackers(
    names: Sequence[str], store: RunStore, pending: set[Any], warn: Callable[[str], None]
) -> Iterator[Trackers | None]:
    """Trackers that know of every setting that is on disk already, and are finished with the context.

    Args:
        names: of the trackers; where there are none, the context is None.
        store: of the run.
        pending: (model, task, method, seed) of settings that are not on disk.
        warn: is given a line where a tracker fails.
    """
    if not names:
        yield None
        return
    trackers = Trackers(warn)
    try:
        # A run is called in a tracker as its directory.
        trackers.start(names, store.directory.resolve().name, store.read_settings())
        _tell_finished(trackers, store, pending)
        yield trackers
    finally:
        trackers.finish()


def _tell_finished(trackers: Trackers, store: RunStore, pending: set[Any]) -> None:
    from benchmark.protocol.settings import settings_groups, settings_keys

    settings = store.read_settings()
    curves = curve_names(settings)
    for key in settings_keys(settings_groups(settings)):
        for seed in store.seeds_of(*key):
            rows = None if (*key, seed) in pending else store.find_samples(*key, seed)
            if rows is not None:
                trackers.setting_done(*key, curves[key[2]], rows)


def tell_results(trackers: Trackers, store: RunStore, *, samples: bool) -> None:
    """Log the final table, PBx, and where asked for the samples."""
    import io

    import pandas

    from benchmark.analysis.summary import PB_SCORES, summarise
    from benchmark.reading import load_samples
    from benchmark.report.writing import summary_csv

    summary = summarise(store)
    trackers.table("results", pandas.read_csv(io.StringIO(summary_csv(summary))))
    reached = [
        {"model": model, "curve": curve, **{f"pb{score}": at[score] for score in PB_SCORES}}
        for (model, curve), at in summary.tokens_per_step_at.items()
    ]
    if reached:
        trackers.table("pb", pandas.DataFrame(reached))
    if samples:
        found = load_samples(store.directory)
        flat = [name for name in found.columns if not found[name].map(lambda value: isinstance(value, list)).any()]
        trackers.table("samples", found[flat].head(MOST_SAMPLES))


def _opened(name: str, run: str, settings: Mapping[str, Any]) -> Tracker:
    if name == "wandb":
        from benchmark.loggers.wandb_tracker import WandbTracker

        return WandbTracker(PROJECT, run, settings)
    from benchmark.loggers.trackio_tracker import TrackioTracker

    return TrackioTracker(PROJECT, run, settings)
