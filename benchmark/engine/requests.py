"""One request while its answer is decoded: the prompt, how far the answer has come, and its text so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmark.engine.noise import RowNoise
from benchmark.models.interface import TaskModel
from benchmark.protocol.method import Method
from samplers.loop.streaming import cut_answer

# What a tokenizer writes for bytes that make no character, such as the first half of one.
_BROKEN = "\ufffd"


@dataclass(eq=False, slots=True)
class Request:
    """A prompt to be answered, and its answer as far as its blocks are finished.

    Attributes:
        prompt: its tokens.
        new_tokens: length of the answer.
        temperature: of the proposals.
        seed, id: seed the noise of a method that draws.
        stop: texts before the first of which an answer ends.
        answer: tokens of the answer, `new_tokens` of them; mask tokens where nothing is decoded. Empty before it is
            taken up.
        blocks: how many blocks are finished.
        finished: tokens at the beginning of the answer that do not change any more.
        rounds, passes: steps that it waited for the model, and states of it that went through the model.
        text: of the answer so far, without what follows its end.
        num_text_tokens: tokens of the answer before its end token.
        reason: why the answer ended: "stop" (an end token or a stop text), "length"; None while it goes on.
        error: why there is no answer, in one line.
        is_too_large: whether that is because it does not fit into memory, even alone.
        abandoned: set, from any thread, when nobody waits for the answer any more.
        alone: whether it is decoded in a batch of its own, because the one that it was in failed.
    """

    prompt: list[int]
    new_tokens: int
    temperature: float
    seed: int = 0
    id: str = ""
    stop: tuple[str, ...] = ()
    answer: list[int] = field(default_factory=list)
    blocks: int = 0
    finished: int = 0
    rounds: int = 0
    passes: int = 0
    text: str = ""
    num_text_tokens: int = 0
    reason: str | None = None
    error: str | None = None
    is_too_large: bool = False
    abandoned: bool = False
    alone: bool = False
    noise: Any = None
    _noise_state: Any = None

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do."""
        return self.reason is not None or self.error is not None or self.abandoned

    def start(self, method: Method, scheduler: Any, mask_token_id: int) -> None:
        """Nothing is decoded yet."""
        self.answer = [mask_token_id] * self.new_tokens
        self.blocks = self.finished = self.rounds = self.passes = 0
        self.noise = RowNoise(self.seed, [self.id], method, scheduler)
        self.keep_noise()

    def keep_noise(self) -> None:
        """Remember where the noise stands, at the end of a block."""
        self._noise_state = self.noise.generators[0].get_state()

    def set_noise_back(self) -> None:
        """Let the block be decoded again as it was."""
        self.noise.generators[0].set_state(self._noise_state)

    def read(self, tokens: list[int], finished: int, prepared: TaskModel) -> None:
        """Take over the tokens of an answer, the first `finished` of which are final, and see whether it has ended."""
        self.answer, self.finished = tokens, min(finished, self.new_tokens)
        decoded = tokens[: self.finished]
        answer = cut_answer(decoded, prepared.tokenizer, prepared.stop_token_ids)
        text: str = prepared.tokenizer.decode(answer, skip_special_tokens=True)
        end = first_stop(text, self.stop)
        self.text, self.num_text_tokens = text if end is None else text[:end], len(answer)
        if end is not None or len(answer) < len(decoded):
            self.reason = "stop"
        elif self.finished == self.new_tokens:
            self.reason = "length"

    def settled_text(self) -> str:
        """What of the text cannot change any more: without half a character, or what may begin a stop text."""
        if self.reason is not None:
            return self.text
        text = self.text.rstrip(_BROKEN)
        return text[: len(text) - overlap(text, self.stop)]


def first_stop(text: str, stops: Sequence[str]) -> int | None:
    """Where the first of some texts begins in another, None where there is none."""
    return min((place for stop in stops if stop and (place := text.find(stop)) >= 0), default=None)


def overlap(text: str, stops: Sequence[str]) -> int:
    """Letters at the end of a text that one of some others begins with."""
    longest = max(map(len, stops), default=0)
    return next((size for size in range(min(longest, len(text)), 0, -1) if _begins(text[-size:], stops)), 0)


def _begins(text: str, stops: Sequence[str]) -> bool:
    return any(stop.startswith(text) for stop in stops)
