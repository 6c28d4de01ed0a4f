"""The families that load without remote code; a new one is a file of its own and a line here."""

from __future__ import annotations

from importlib import import_module

from .configuration import CheckpointConfig
from .family import Family

#: The families' modules without their `family_`, in the order in which tables list them.
_NAMES = (
    "llada",
    "dream",
    "sdar",
    "fast_dllm",
    "llada2",
    "llada_moe",
    "parallelbench",
)
_FAMILIES: tuple[Family, ...] = tuple(import_module(f".family_{name}", __package__).FAMILY for name in _NAMES)


def families() -> list[Family]:
    """The families that `load` builds from their published weights, without running anybody's code."""
    return list(_FAMILIES)


def family_of(config: CheckpointConfig) -> Family | None:
    """The family of a config; None where no family here has its model type.

    Where families share a model type the architecture decides, and where the file names none, a key that one of them
    alone has.
    """
    candidates = [family for family in _FAMILIES if config.get("model_type") in family.model_types]
    architectures = config.get("architectures")
    architecture = architectures[0] if isinstance(architectures, list) and architectures else None
    for family in candidates:
        if architecture in family.architectures:
            return family
    marked = [family for family in candidates if family.own_key and config.get(family.own_key) is not None]
    return next(iter([*marked, *candidates]), None)
