"""The families that load without remote code; a new one is a file of its own and a line here."""

from __future__ import annotations

from . import family_llada, family_parallelbench
from .configuration import CheckpointConfig
from .family import Family

_FAMILIES = (family_llada.FAMILY, family_parallelbench.FAMILY)


def families() -> list[Family]:
    """The families that `load` builds from their published weights, without running anybody's code."""
    return list(_FAMILIES)


def family_of(config: CheckpointConfig) -> Family | None:
    """The family of a config, by its architecture where families share a model type; None for a stranger."""
    architecture = next(iter(config.get("architectures", [])), None)
    candidates = [family for family in _FAMILIES if config.get("model_type") in family.model_types]
    for family in candidates:
        if architecture in family.architectures:
            return family
    return candidates[0] if candidates else None
