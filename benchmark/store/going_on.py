"""Whether a run may go on in a directory: it may grow there, and what has changed since is decoded again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmark.protocol.settings import asked_of_model, settings_groups, settings_keys
from benchmark.store.runs import LOCK, PLOTS, SAMPLES, SETTINGS, SUMMARIES, RunStore

_SAMPLES = "samples"


def holds_run(store: RunStore, settings: Mapping[str, Any], *, fresh: bool) -> bool:
    """Whether the directory holds this very run, or the beginning of it; if not, a new one may begin there.

    Args:
        store: the directory.
        settings: what is to be run, as `RunSettings.as_dict` has it.
        fresh: whether what is there is to be replaced.

    Raises:
        ValueError: it holds another run, or samples without the settings of their run; with `fresh`, files that are
            not of a run.
    """
    directory = store.directory
    own = [name for name in (SETTINGS, SAMPLES, PLOTS, *SUMMARIES) if (directory / name).exists()]
    if fresh:
        if own and not (directory / LOCK).exists():
            # No run was ever started there: unless the settings are those of a run that was copied, all of it stays.
            try:
                store.read_settings()
            except ValueError:
                raise ValueError(
                    f"{directory} holds {', '.join(own)}, but no run that --fresh could replace; "
                    "choose another --output"
                ) from None
        return False
    if SETTINGS in own:
        _compare(store, settings)
        return True
    if SAMPLES in own and any((directory / SAMPLES).rglob("*.jsonl")):
        raise ValueError(
            f"{directory} holds samples without the {SETTINGS} of their run; "
            "choose another --output, or --fresh to replace them"
        )
    return False


def _compare(store: RunStore, wanted: Mapping[str, Any]) -> None:
    """Refuse to go on with a run that is not a part of the one that is wanted."""
    found = store.read_settings()
    if store.is_of_earlier_version:
        raise ValueError(
            f"{store.directory} holds a run of an earlier version, which can be reported; to run it again choose "
            "another --output, or --fresh to replace it"
        )
    there, here = _asked(found), _asked(wanted)
    for what, value in there.items():
        if not _is_part(value, here.get(what), what):
            # What was asked for is named where it is short.
            short = not isinstance(value, frozenset)
            values = f"{what} is {_in_words(value)} there, {_in_words(here.get(what))} here" if short else ""
            raise ValueError(
                f"{store.directory} holds another run ({values or f'other {what}'}); choose another --output, or "
                "--fresh to replace it"
            )


def _asked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for, by how an error names it."""
    groups = settings_groups(settings)
    keys = settings_keys(groups)
    facts: dict[str, Any] = {
        "models": frozenset(model for model, _, _ in keys),
        "tasks": frozenset(task for _, task, _ in keys),
        "methods": frozenset(keys),
        "seeds": frozenset(settings.get("seeds", (0,))),
        _SAMPLES: settings.get("samples"),
        "temperature": settings.get("temperature"),
    }
    for entry in settings["models"]:
        if not isinstance(entry, str):
            facts |= {f"{part} of {entry['name']}": value for part, value in asked_of_model(entry).items()}
    return facts | {f"new tokens of {task}": group.new_tokens for group in groups for task in group.tasks}


def _is_part(there: Any, here: Any, what: str) -> bool:
    """Whether a run goes on where it had `there`: sets and the number of samples may grow."""
    if isinstance(there, frozenset):
        return isinstance(here, frozenset) and there <= here
    if what == _SAMPLES:
        return here is None or (there is not None and bool(there <= here))
    return bool(there == here)


def _in_words(value: Any) -> str:
    return "the default" if value is None else str(value)
