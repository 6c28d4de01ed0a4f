"""The benchmark from Python: what `parallelbench run` does, given models that are there already, as one table."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.protocol.method import Method

if TYPE_CHECKING:
    import pandas

    from benchmark.cli.run_options import RunOptions


def run(
    *,
    model: Any,
    tokenizer: Any = None,
    name: str | None = None,
    tasks: str | Iterable[str] = (),
    methods: str | Method | Iterable[str | Method] = (),
    samples: int | None = None,
    output: str | Path | None = None,
    progress: bool = False,
    **options: Any,
) -> pandas.DataFrame:
    """Run a model on tasks under methods, and return a line for each task and method.

    It is the run of the command line, with the same samples: a run in `output` that was interrupted goes on, and what
    is on disk is not decoded again.

    Args:
        model: what `samplers.generate` drives (a model with logits, or a `Denoiser`), or a name as `--model` takes it.
        tokenizer: one of transformers, with a chat template and an end token; for a named model None.
        name: how results name a model that is given as an object; None: the name of its class.
        tasks: names, patterns or groups; none: the default suite.
        methods: as `--scheduler` takes them, or records (`Method`); none: those of the published protocol.
        samples: only the first so many questions of each task; None: all.
        output: directory of the run, which gets the report and its plots too; None: one that is removed afterwards.
        progress: whether to print what the command line prints while it runs.
        options: the other options of `parallelbench run` by the names of `benchmark.cli.run.RunOptions`: `grid`,
            `block_length`, `max_new_tokens`, `temperature`, `seed`, `batch_size`, `device`, `dtype`, `fresh`, …

    Returns:
        The columns of `summary.csv`; `headline`, `low`, `high` and `score_strict` are percentages.

    Raises:
        ValueError: something named does not exist, a model cannot do a task, or `output` holds another run.
        TypeError: there is no such option.
    """
    from benchmark.cli.run_options import RunOptions

    if isinstance(model, str) == (tokenizer is not None):
        raise ValueError(
            "a model that is named has its own tokenizer; leave tokenizer out"
            if isinstance(model, str)
            else f"a {type(model).__name__} as model needs a tokenizer, with a chat template"
        )
    if samples is not None and samples < 1:
        raise ValueError(f"samples is {samples}; it should be at least 1, or None for all questions")
    label = model if isinstance(model, str) else name or type(model).__name__
    asked = RunOptions(
        models=(label,),
        tasks=_several(tasks),
        schedulers=_several(methods),
        samples=samples,
        output=None if output is None else Path(output),
        **options,
    )
    if output is not None:
        return _run(asked, label, model, tokenizer, progress)
    from dataclasses import replace

    with tempfile.TemporaryDirectory(prefix="parallelbench-") as directory:
        return _run(replace(asked, output=Path(directory) / "run"), label, model, tokenizer, progress, keep=False)


def _run(
    asked: RunOptions, label: str, model: Any, tokenizer: Any, progress: bool, *, keep: bool = True
) -> pandas.DataFrame:
    import click
    import pandas
    from rich.console import Console

    from benchmark.analysis.summary import summarise
    from benchmark.cli.options import console
    from benchmark.cli.run import run_into_store
    from benchmark.models import OwnModel
    from benchmark.report.writing import summary_csv, write_report

    own = {} if isinstance(model, str) else {label: OwnModel(label, lambda: (model, tokenizer), asked.for_models)}
    try:
        store = run_into_store(asked, console() if progress else Console(quiet=True), own)
    except click.exceptions.Abort as stop:
        # What stopped it tells Ctrl-C from SIGTERM.
        raise (stop.__cause__ or KeyboardInterrupt()) from None
    # Plots take longer than a small run, and nobody sees those of a directory that goes away.
    summary = write_report(store.directory, published=asked.published).summary if keep else summarise(store)
    return pandas.read_csv(io.StringIO(summary_csv(summary)))


def _several(given: str | Method | Iterable[str | Method]) -> tuple[str, ...]:
    several = [given] if isinstance(given, str | Method) or not isinstance(given, Iterable) else list(given)
    for one in several:
        if not isinstance(one, str | Method):
            name = one.__name__ if isinstance(one, type) else type(one).__name__
            what = f"the class {name}" if isinstance(one, type) else f"an object of class {name}"
            raise ValueError(
                f"methods has {what}; write what makes it, as --scheduler takes it, such as "
                f"'my_module:{name}(k=2)': its source tells whether samples are still its own"
            )
    return tuple(map(str, several))
