"""What services do differently from others that speak the same protocol, a record for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Service:
    """A server that speaks the chat-completions protocol.

    Attributes:
        host: where it is; empty: anywhere.
        key: variable of the environment that holds its key. A key goes to the host that it belongs to and to no other.
        needs_key: whether it refuses requests without one.
        limit: field of a request that says how many tokens an answer takes at most.
        fields: what its requests have beside those of all.
        streams_states: whether it streams the whole answer anew after each forward pass, and not what it adds to it.
        highest_temperature: above it the service takes another one than it is told.
        has_templates: whether requests may tell its chat templates something.
        source: where that is written.
    """

    host: str
    key: str
    needs_key: bool = True
    limit: str = "max_tokens"
    fields: Mapping[str, Any] = field(default_factory=dict)
    streams_states: bool = False
    highest_temperature: float | None = None
    has_templates: bool = False
    source: str = ""


#: vLLM, SGLang, LMDeploy, llama.cpp and `transformers serve` need no record of their own.
ANY = Service("", "PARALLELBENCH_API_KEY", needs_key=False, has_templates=True)
SERVICES = (
    Service(
        "api.openai.com",
        "OPENAI_API_KEY",
        limit="max_completion_tokens",
        source="https://platform.openai.com/docs/api-reference/chat/create",
    ),
    Service(
        "api.anthropic.com",
        "ANTHROPIC_API_KEY",
        highest_temperature=1.0,
        source="https://docs.claude.com/en/api/openai-sdk",
    ),
    Service(
        "api.inceptionlabs.ai",
        "INCEPTION_API_KEY",
        fields={"diffusing": True},
        streams_states=True,
        source="https://docs.inceptionlabs.ai",
    ),
)


def service_at(host: str) -> Service:
    """The record of a host, or that of all others."""
    return next((service for service in SERVICES if service.host == host.lower()), ANY)
