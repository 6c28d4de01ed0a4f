"""Installs dataset and metric into the local caches, so that both load by the bare name `parallelbench`, online or not.

The Hub knows no name without an owner. A look-up that fails there falls back to the caches of `datasets` and
`evaluate`, so the dataset is loaded once from a directory called `parallelbench`, and the metric once from one called
`evaluate-metric--parallelbench`, both into new caches. These then replace the old ones as a whole: the newest build in
a cache wins, whatever it holds, and none but the installed one may be left there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from .configs import TaskConfig, config_names, task_info
from .disk import only_one_process
from .parts import METRIC
from .unavailable import UnavailableError
from .writing import build_dataset, clear_up, exchange, refuse_pattern

NAME = "parallelbench"
# The folder in which `evaluate` looks for a metric that has no owner.
METRIC_NAME = f"evaluate-metric--{NAME}"
# The last part of every config's path in the cache of `datasets`, elsewhere a hash.
COMMON_BUILD = "installed"
# Seconds to wait for another install, which takes about a minute.
WAIT = 600
# Files of a metric folder that are for its Space and not for the module.
NOT_MODULES = frozenset({"app", "tests"})


class InstallError(ValueError):
    """Why nothing was installed, in one line."""


def install(
    configs: Sequence[str | TaskConfig] = (),
    *,
    metric: Path = METRIC,
    splits: Sequence[str] = ("test",),
    rows: int | None = None,
    on_config: Callable[[str, int], None] | None = None,
    on_skip: Callable[[str], None] | None = None,
) -> int:
    """Builds `configs` (all of them by default) and installs them and the metric; returns the number of rows.

    `splits` and `rows` are those of `build_dataset`.

    Afterwards `datasets.load_dataset("parallelbench", config)` and `evaluate.load("parallelbench")` work from any
    directory that has no folder `parallelbench`. A second install at the same time waits for the first; one that fails
    or is interrupted leaves what was installed before. `on_config(config, rows)` is called after each config. A config
    that cannot be built here is left out; `on_skip(message)` is called for it.

    Raises ValueError for an unknown config, where nothing is left to install, for a folder that holds no metric or a
    cache that `datasets` cannot read (`refuse_pattern`), InstallError where `evaluate` cannot load the metric.
    """
    tasks = [task_info(config) for config in configs or config_names()]
    modules = metric_modules(metric)

    import datasets

    data_cache = Path(datasets.config.HF_DATASETS_CACHE).expanduser()
    refuse_pattern(data_cache.absolute())
    # The same folder as evaluate.config.HF_MODULES_CACHE, without the seconds that importing evaluate takes.
    module_cache = Path(datasets.config.HF_MODULES_CACHE).expanduser()
    data_cache.mkdir(parents=True, exist_ok=True)
    with (
        only_one_process(data_cache / f".{NAME}.lock", f"{data_cache}: another install is at work", wait_seconds=WAIT),
        _work_folder(data_cache) as folder,
        _work_folder(module_cache) as module_folder,
    ):
        # In a process of its own: only a new one can be told another folder for its modules. Meanwhile, here, the data.
        process = _start_metric_load(modules, module_folder)
        try:
            count = _load_dataset(tasks, folder, splits, rows, on_config, on_skip)
        except BaseException:
            process.kill()
            raise
        finally:
            _, errors = process.communicate()
        if process.returncode:
            reason = (errors.strip().splitlines() or ["no reason given"])[-1]
            raise InstallError(f"evaluate cannot load the metric in {metric}: {reason}")
        metrics = module_cache / "evaluate_modules" / "metrics"
        _make_package(metrics)
        _replace(module_folder / "evaluate_modules" / "metrics" / METRIC_NAME, metrics / METRIC_NAME)
        _replace(folder / "cache" / NAME, data_cache / NAME)
    return count


def metric_modules(folder: Path) -> dict[str, str]:
    """The Python files of a metric as `evaluate` must see them: module → source, and one that brings them together.

    `evaluate` looks for a main file named after its folder, and copies only those siblings that it imports directly.
    Raises ValueError for a folder without a metric.
    """
    main = folder / f"{NAME}.py"
    source = main.read_text(encoding="utf-8") if main.is_file() else ""
    found = re.search(r"^class (\w+)\(evaluate\.Metric\)", source, re.MULTILINE)
    if not found:
        raise ValueError(f"{folder} holds no metric: {main.name} with a class of evaluate.Metric is missing")
    modules = {
        path.stem: path.read_text(encoding="utf-8")
        for path in sorted(folder.glob("*.py"))
        if path.stem not in NOT_MODULES
    }
    lines = [f"from .{name} import {found[1] if name == NAME else '__name__ as _'}\n" for name in modules]
    return modules | {METRIC_NAME: "".join(lines)}


def _load_dataset(
    tasks: Sequence[TaskConfig],
    folder: Path,
    splits: Sequence[str],
    rows: int | None,
    on_config: Callable[[str, int], None] | None,
    on_skip: Callable[[str], None] | None,
) -> int:
    """Loads all tasks into `folder/cache/parallelbench`, each from a directory of its own; returns the rows.

    `datasets` reads a directory's whole card again for every config, which with all configs in one card would take
    time that grows with the square of their number.
    """
    import datasets

    cache = folder / "cache"
    total = 0
    with quiet_progress():
        for task in tasks:
            source = folder / "source" / task.name / NAME
            count = 0
            try:
                count = build_dataset(source, [task], splits=splits, rows=rows, file_format="parquet", on_skip=on_skip)
            except UnavailableError:
                # The last one's message stands for all, should nothing be left.
                if task is tasks[-1] and not total:
                    raise
            if on_config is not None:
                on_config(task.name, count)
            if count:
                total += count
                datasets.load_dataset_builder(str(source), task.name, cache_dir=str(cache)).download_and_prepare()
    # A common last part tells `datasets` that these are configs of one dataset, so that it asks for a name where none
    # is given. The builds' own last parts differ because their cards do.
    for build in cache.glob(f"{NAME}/*/*/*/"):
        build.rename(build.with_name(COMMON_BUILD))
    for leftover in cache.glob(f"{NAME}/*/*/*.lock"):
        leftover.unlink()
    return total


def _start_metric_load(modules: dict[str, str], folder: Path) -> subprocess.Popen[str]:
    source = folder / METRIC_NAME
    source.mkdir()
    for name, text in modules.items():
        (source / f"{name}.py").write_text(text, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-c", "import sys, evaluate; evaluate.load(sys.argv[1])", str(source)],
        cwd=folder,
        env=os.environ | {"HF_MODULES_CACHE": str(folder), "HF_EVALUATE_OFFLINE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def _work_folder(cache: Path) -> Iterator[Path]:
    """A new folder in `cache`, on the same disk as its destination; what a killed install left is removed first."""
    cache.mkdir(parents=True, exist_ok=True)
    for leftover in cache.glob(f".{NAME}.install-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    with TemporaryDirectory(dir=cache, prefix=f".{NAME}.install-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _make_package(folder: Path) -> None:
    # As `evaluate` makes them, which would find the metric without them and be unable to import it.
    folder.mkdir(parents=True, exist_ok=True)
    for package in (folder, folder.parent, folder.parent.parent):
        (package / "__init__.py").touch()


def _replace(new: Path, destination: Path) -> None:
    old = destination.with_name(f".{destination.name}.old")
    # First what a killed install has left between the renames.
    clear_up(destination, destination.with_name(f".{destination.name}.new"), old)
    try:
        exchange(destination, new, old)
    finally:
        clear_up(destination, new, old)


@contextmanager
def quiet_progress() -> Iterator[None]:
    """Turns off the progress bars of `datasets`, one per config and split, and on again if they were."""
    import datasets

    were_off = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not were_off:
            datasets.enable_progress_bars()
