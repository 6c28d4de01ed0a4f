"""The families that load without remote code: a file of its own and a line here, or an installed package's."""

from __future__ import annotations

import logging
from importlib import import_module
from importlib.metadata import EntryPoint

from .._plugins import plugins
from .configuration import CheckpointConfig
from .family import Family

logger = logging.getLogger(__name__)

#: Entry points of this group add families: their object is a `Family`.
ENTRY_POINT_GROUP = "parallelbench.families"

#: The families' modules without their `family_`, in the order in which tables list them.
_NAMES = (
    "llada",
    "illada",
    "dream",
    "dream_reasoner",
    "sdar",
    "sdar_moe",
    "fast_dllm",
    "llada2",
    "llada_moe",
    "rnd1",
    "stable_diffcoder",
    "a2d",
    "nemotron_labs_diffusion",
    "diffusion_gemma",
    "parallelbench",
)
_BUILT_IN: tuple[Family, ...] = tuple(import_module(f".family_{name}", __package__).FAMILY for name in _NAMES)
#: What has been imported of installed packages; None where that did not work.
_plugged: dict[EntryPoint, Family | None] = {}


def families() -> list[Family]:
    """The families that `load` builds from their published weights, without running anybody's code.

    Those of this package come first, then those that installed packages bring along. One that cannot be imported, or
    is no `Family`, is warned of and left out: it is nobody else's trouble.
    """
    return [*_BUILT_IN, *_installed()]


def family_of(config: CheckpointConfig) -> Family | None:
    """The family of a config; None where no family has its model type.

    Where families share a model type the architecture decides, and where the file names none, a key that one of them
    alone has.
    """
    kind, architectures = config.get("model_type"), config.get("architectures")
    architecture = architectures[0] if isinstance(architectures, list) and architectures else None
    known = families()
    for family in known:
        if architecture in family.architectures and (family.by_architecture or kind in family.model_types):
            return family
    candidates = [family for family in known if kind in family.model_types and not family.by_architecture]
    marked = [family for family in candidates if family.own_key and config.get(family.own_key) is not None]
    return next(iter([*marked, *candidates]), None)


def known_types() -> list[str]:
    """What a config may say to be of a family: model types, and architectures where those alone decide."""
    return sorted(
        {kind for one in families() for kind in (one.architectures if one.by_architecture else one.model_types)}
    )


def _installed() -> list[Family]:
    present = plugins(ENTRY_POINT_GROUP)
    for point in present:
        if point not in _plugged:
            try:
                found = point.load()
                _plugged[point] = found if isinstance(found, Family) else None
                reason = f"{found!r} is not a samplers.models.Family"
            except (ImportError, AttributeError, ValueError) as error:
                _plugged[point], reason = None, str(error)
            if _plugged[point] is None:
                logger.warning("cannot use family %s (%s): %s", point.name, point.value, reason)
    return [family for point in present if (family := _plugged.get(point)) is not None]
