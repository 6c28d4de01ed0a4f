"""The families that load without remote code; a new one is a file of its own and a line here."""

from __future__ import annotations

from . import (
    family_dream,
    family_fast_dllm,
    family_llada,
    family_llada2,
    family_llada_moe,
    family_parallelbench,
    family_sdar,
)
from .configuration import CheckpointConfig
from .family import Family

_FAMILIES = (
    family_llada.FAMILY,
    family_dream.FAMILY,
    family_sdar.FAMILY,
    family_fast_dllm.FAMILY,
    family_llada2.FAMILY,
    family_llada_moe.FAMILY,
    family_parallelbench.FAMILY,
)


def families() -> list[Family]:
    """The families that `load` builds from their published weights, without running anybody's code."""
    return list(_FAMILIES)


def family_of(config: CheckpointConfig) -> Family | None:
    """The family of a config; None for a stranger.

    Where families share a model type the architecture decides, and where the file names none, whether it has experts.
    """
    candidates = [family for family in _FAMILIES if config.get("model_type") in family.model_types]
    architectures = config.get("architectures")
    architecture = architectures[0] if isinstance(architectures, list) and architectures else None
    for family in candidates:
        if architecture in family.architectures:
            return family
    if family_llada.FAMILY in candidates and config.get("num_experts") is not None:
        return family_llada_moe.FAMILY
    return candidates[0] if candidates else None
