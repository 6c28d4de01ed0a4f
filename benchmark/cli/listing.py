"""The command `parallelbench list`: the tasks, schedulers, models and grids that can be named."""

from __future__ import annotations

import click

from benchmark.cli import options

KINDS = ("tasks", "schedulers", "models", "grids")
ABOUT_TASKS = """\
New tokens are a task's; a model whose answers take more is given more, the reference model at least {least}.
What a run gave each model stands in its settings.json, as new_tokens."""
ABOUT_MODELS = """Memory is that of the weights in bfloat16; what a forward pass needs comes on top.
Licences are what the model cards named when we looked; the card on the Hub decides.
not read: on no page that we could read. apple-amlr: for research only. nvidia: terms of its own."""
ABOUT_FAMILIES = """Block: tokens of a block where the checkpoints are silent. Mask: id of the mask token.
Compared with: the logits of a small model with random weights, within 1e-4; published ones were not at hand.
dense float64: plain matrices, one token and one expert at a time, written from what is named behind it."""
ABOUT = {"tasks": ABOUT_TASKS, "models": ABOUT_MODELS, "families": ABOUT_FAMILIES}


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
    """Print all that can be named, or one kind of it; what families of models have in common stands behind them."""
    from rich import box
    from rich.table import Table

    from benchmark.cli.dry_run import known_answer_length
    from benchmark.models import reference

    console = options.console()
    for kind in KINDS:
        if what not in (None, kind):
            continue
        for shown in (kind, "families") if kind == "models" else (kind,):
            columns, entries = _list(shown)
            table = Table(title=shown, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
            for number, column in enumerate(columns):
                # What is to be typed must not be cut.
                table.add_column(column, no_wrap=number == 0)
            for entry in entries:
                table.add_row(*entry)
            console.print(table)
            if shown in ABOUT:
                console.print(ABOUT[shown].format(least=known_answer_length(reference.NAME)))


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
    if kind == "families":
        from samplers.models import families

        return ("family", "attention", "block", "mask", "compared with"), [
            (
                family.name,
                family.attention.replace("_", " ") if family.raw_attention is None else "by its name",
                str(family.block_length or "any"),
                "noise" if family.adapter else str(family.mask_token_id or "tokenizer's"),
                family.checked,
            )
            for family in families()
        ]
    return ("model", "family", "size", "memory", "licence"), list(_models())


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
            checkpoint.licence or "not read",
        )
        for family in families()
        for checkpoint in family.checkpoints
    ]
    any_other = [
        ("DIRECTORY, OWNER/NAME", "or any AutoModelForMaskedLM", "", "", ""),
        ("ar:DIRECTORY, ar:OWNER/NAME", "any AutoModelForCausalLM", "", "", ""),
        ("api:NAME, api:NAME@URL", "any model behind a server", "", "", ""),
    ]
    return [*own, *published, *any_other]
