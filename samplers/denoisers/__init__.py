"""What stands between the loop and a model: the interface, adapters, sessions with a KV cache, guidance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_exports

if TYPE_CHECKING:
    from .adapters import ModelDenoiser, denoiser_for
    from .interface import DecodingSession, Denoiser, SessionRequest, StatelessSession, open_session
    from .states import StateReader

__all__ = [
    "DecodingSession",
    "Denoiser",
    "ModelDenoiser",
    "SessionRequest",
    "StateReader",
    "StatelessSession",
    "denoiser_for",
    "open_session",
]

_MODULES = dict.fromkeys(__all__, ".interface") | {
    "ModelDenoiser": ".adapters",
    "denoiser_for": ".adapters",
    "StateReader": ".states",
}
__getattr__, __dir__ = lazy_exports(__name__, _MODULES)
