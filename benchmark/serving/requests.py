"""What a client may ask for: fields that are honoured, those that change nothing, and all others, which are refused."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from benchmark.serving.decoding import Refused

# Fields that a server may have and this one has not, with the values that ask for nothing.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "top_p": (1,),
    "top_k": (0, -1),
    "min_p": (0,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "repetition_penalty": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "response_format": ({"type": "text"},),
    "reasoning_effort": ("none",),
    "modalities": (["text"],),
}
# What says something to other servers, and changes no answer.
_IGNORED = frozenset({"user", "metadata", "store", "service_tier", "safety_identifier", "parallel_tool_calls",
                      "prompt_cache_key"})  # fmt: skip
_MOST_STOPS = 16


class TextPart(BaseModel):
    """A part of a message."""

    type: Literal["text"]
    text: str


class Message(BaseModel):
    """One turn of a chat."""

    role: str
    content: str | list[TextPart]

    @property
    def text(self) -> str:
        """Its parts as one."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    """What a stream holds beside the answer."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """A request, as far as it is honoured."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str
    messages: list[Message] = Field(min_length=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    stop: list[str] = Field(default_factory=list, max_length=_MOST_STOPS)
    seed: int | None = None
    stream: bool = False
    stream_options: StreamOptions = Field(default_factory=StreamOptions)
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)

    @field_validator("stop", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @property
    def new_tokens(self) -> int | None:
        """Tokens of the answer."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    def chat(self) -> list[dict[str, str]]:
        """The messages as a chat template takes them."""
        return [{"role": message.role, "content": message.text} for message in self.messages]


def read_request(body: bytes) -> ChatRequest:
    """The request of a body.

    Raises:
        Refused: it is no JSON, lacks something, or asks for what this server does not do; one line says which.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("the body is not JSON", 400) from None
    if not isinstance(content, dict):
        raise Refused(f"the body is a JSON {type(content).__name__}; it should be an object", 400)
    # null asks for nothing, whatever the field.
    fields = {name: value for name, value in content.items() if value is not None and name not in _IGNORED}
    for name, neutral in _NEUTRAL.items():
        if name in fields:
            value = fields.pop(name)
            if value not in neutral:
                raise Refused(f"{name}={_short(value)} is not done here; leave it out", 400)
    try:
        return ChatRequest.model_validate(fields)
    except ValidationError as error:
        raise Refused(_line(error), 400) from None


def _line(error: ValidationError) -> str:
    """The first thing that is wrong, in one line."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("str", "list[TextPart]", "_several"))
    if first["type"] == "extra_forbidden":
        return f"{place}={_short(first['input'])} is not known here; leave it out"
    if first["type"] == "missing":
        return f"{place} is missing"
    return f"{place}={_short(first['input'])}: {first['msg'][0].lower()}{first['msg'][1:]}"


def _short(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"
