"""The command `parallelbench list`: the tasks, schedulers, models and grids that can be named."""

from __future__ import annotations

import click

from benchmark.cli import options

KINDS = ("tasks", "schedulers", "models", "grids")
ABOUT_TASKS = """\
New tokens are a task's; a model whose answers take more is given more, the reference model at least 64.
What a run gave each model stands in its settings.json, as new_tokens."""
ABOUT_MODELS = """Memory is that of the weights; what a forward pass needs comes on top.
Licences are what the model cards named when we looked; the card on the Hub decides.
not found: on no page that we could read. apple-amlr: for research only."""
ABOUT = {"tasks": ABOUT_TASKS, "models": ABOUT_MODELS}


@click.command(name="list")
@click.argument("what", type=click.Choice(KINDS), required=False)
def command(what: str | None) -> None:
    """List tasks, schedulers, models and grids, or one of the four.

    \b
    Example:
      parallelbench list schedulers
    """
    show_lists(what)


def show_lists(what: str | None) -> None:
    """Print all that can be named, or one kind of it."""
    from rich import box
    from rich.table import Table

    console = options.console()
    for kind in KINDS:
        if what in (None, kind):
            columns, entries = _list(kind)
            table = Table(title=kind, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
            for number, column in enumerate(columns):
                # What is to be typed must not be cut.
                table.add_column(column, no_wrap=number == 0)
            for entry in entries:
                table.add_row(*entry)
            console.print(table)
            if kind in ABOUT:
                console.print(ABOUT[kind])


def _list(kind: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows of one of the lists; only that of schedulers has to import torch."""
    if kind == "tasks":
        import hub_dataset

        default = set(hub_dataset.default_task_names())
        tasks = [hub_dataset.task_info(name) for name in hub_dataset.config_names()]
        return ("task", "rows", "new tokens", "default"), [
            (task.name, str(task.rows), str(task.max_new_tokens), "yes" if task.name in default else "")
            for task in tasks
        ]
    if kind == "schedulers":
        from samplers import scheduler_names

        return ("scheduler", "parameters"), [(name, _parameters(name)) for name in scheduler_names()]
    if kind == "grids":
        from benchmark.protocol.grids import grid_names, read_grid

        return ("grid", "what it runs"), [(name, read_grid(name).about) for name in grid_names()]
    return ("model", "family", "parameters", "memory (bf16)", "licence"), list(_models())


def _parameters(scheduler: str) -> str:
    import inspect

    from samplers import scheduler_class

    return ", ".join(
        parameter.name if parameter.default is None else f"{parameter.name}={parameter.default}"
        for parameter in inspect.signature(scheduler_class(scheduler).__init__).parameters.values()
        if parameter.name != "self"
    )


def _models() -> list[tuple[str, str, str, str, str]]:
    """Name, family, parameters, memory of the weights in bfloat16, licence."""
    from benchmark.models import IDEAL, IDEAL_GREEDY, reference
    from samplers.models import families

    state = "ships with the project" if reference.is_here() else "ships with the project; not here"
    parameters = reference.parameters()
    own = [
        (IDEAL, "exact conditionals", "-", "-", "apache-2.0"),
        (f"{IDEAL}:NAME", "the same, in NAME's tokens", "-", "-", "apache-2.0"),
        (f"{IDEAL_GREEDY}[:NAME]", "greedy, ties broken at random", "-", "-", "apache-2.0"),
        (
            reference.NAME,
            state,
            "-" if parameters is None else f"{parameters / 1e6:.1f} M",
            "-" if parameters is None else f"{2 * parameters / 1e9:.2f} GB",
            "apache-2.0",
        ),
    ]
    published = [
        (
            checkpoint.name,
            family.name,
            f"{checkpoint.parameters:g} B",
            f"{checkpoint.memory_gb:.0f} GB",
            checkpoint.licence or "not found",
        )
        for family in families()
        for checkpoint in family.checkpoints
    ]
    any_other = [("DIRECTORY, OWNER/NAME", "or any AutoModelForMaskedLM", "", "", "")]
    return [*own, *published, *any_other]
