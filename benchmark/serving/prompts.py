"""Makes of a chat request what the batch decodes: its prompt's tokens, checked against what the model can do."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from benchmark.engine.requests import Request
from benchmark.models import HubModel, OwnModel, TaskModel
from benchmark.models.prompts import template_knows, tokenize_prompts
from benchmark.protocol.method import Method
from benchmark.serving.decoding import Refused
from benchmark.serving.requests import ChatRequest


@dataclass(frozen=True, slots=True)
class Limits:
    """How long answers are.

    Attributes:
        new_tokens: of a request that does not say.
        most_new_tokens: that a request may ask for.
        context: tokens of prompt and answer together; None where nobody knows.
    """

    new_tokens: int
    most_new_tokens: int
    context: int | None


class Prompts:
    """Reads requests with a tokenizer of its own, in one thread at a time: the decoding thread uses the model's.

    Args:
        name: of the model, as requests have it.
        model, prepared: the model.
        method: that answers are decoded with.
        limits: of answers.
        seed: of requests that name none.
        temperature: of requests that name none; None: the model's own.
    """

    def __init__(
        self,
        name: str,
        model: HubModel | OwnModel,
        prepared: TaskModel,
        method: Method,
        limits: Limits,
        *,
        seed: int,
        temperature: float | None,
    ) -> None:
        self._name, self._prepared, self._method, self._limits, self._seed = name, prepared, method, limits, seed
        self._temperature = model.default_temperature if temperature is None else temperature
        self._tokenizer: Any = copy.deepcopy(prepared.tokenizer)

    def read(self, asked: ChatRequest) -> Request:
        """What is to be decoded.

        Raises:
            Refused: it is another model's, or too long, or its chat cannot be made a prompt.
        """
        if asked.model != self._name:
            raise Refused(f"there is no model {asked.model!r} here; the server has {self._name}", 404)
        new_tokens = self._limits.new_tokens if asked.new_tokens is None else asked.new_tokens
        if new_tokens > self._limits.most_new_tokens:
            raise Refused(f"max_tokens={new_tokens} is above {self._limits.most_new_tokens}, the most here", 400)
        prompt = self._tokens(asked)
        context = self._limits.context
        if context is not None and len(prompt) + new_tokens > context:
            raise Refused(
                f"a prompt of {len(prompt)} tokens and max_tokens={new_tokens} do not fit into the model's context of "
                f"{context} tokens",
                400,
            )
        # Noise hangs on what is asked, and not on who asks, or when.
        identity = hashlib.sha256(json.dumps(prompt).encode()).hexdigest()
        seed = self._seed if asked.seed is None else asked.seed
        stop = tuple(text for text in asked.stop if text)
        return Request(prompt, new_tokens, self._temperature_of(asked), seed=seed, id=identity, stop=stop)

    def _temperature_of(self, asked: ChatRequest) -> float:
        own = self._method.parameters.get("temperature")
        if own is not None:
            if asked.temperature not in (None, own):
                raise Refused(f"temperature={asked.temperature:g}: the server's method has {own:g}; leave it out", 400)
            return float(own)
        return self._temperature if asked.temperature is None else asked.temperature

    def _tokens(self, asked: ChatRequest) -> list[int]:
        options = {**self._prepared.chat_options, **asked.chat_template_kwargs}
        for option in asked.chat_template_kwargs:
            if option == "tokenize" or not template_knows(self._tokenizer, option):
                raise Refused(f"chat_template_kwargs: the chat template of {self._name} does not know {option}", 400)
        try:
            (prompt,) = tokenize_prompts(self._tokenizer, [{"messages": asked.chat()}], options)
        except Exception as error:
            # Templates raise what they like, of roles that they do not know, say.
            line = " ".join(str(error).split())[:200]
            raise Refused(f"the chat template of {self._name} refuses these messages: {line}", 400) from None
        return prompt
