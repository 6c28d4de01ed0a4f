"""Decodes the rows of one task under one setting, in batches that shrink where memory runs out."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmark.engine.prompt_sharing import PromptSharingDenoiser, shares_prompts
from benchmark.models import BenchmarkModel, TaskModel
from benchmark.models.prompts import cut_answer, pad_left, tokenize_prompts
from benchmark.protocol.questions import Row

#: Called after each batch with its rows, its generated tokens, and the seconds it took.
BatchWatch = Callable[[int, int, float], None]
#: Called with a line about something that the user should know and that stops nothing.
Notice = Callable[[str], None]


@dataclass(slots=True)
class TaskDecoder:
    """A model made ready for a task, with the task's prompts encoded once for all settings.

    Attributes:
        batch_size: rows per forward pass; halved, and so kept, whenever a batch does not fit into memory.
        has_shrunk: whether that has happened.
    """

    model: BenchmarkModel
    prepared: TaskModel
    rows: Sequence[Row]
    max_new_tokens: int
    batch_size: int
    seed: int
    notice: Notice
    has_shrunk: bool = False
    _driven: Any = field(init=False)
    _prompts: list[list[int]] = field(init=False)
    _padded: dict[tuple[int, int], tuple[Any, Any]] = field(init=False, default_factory=dict)
    _of_an_item: dict[int, bool] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        model = self.prepared.model
        self._driven = PromptSharingDenoiser(model) if shares_prompts(model) else model
        self._prompts = tokenize_prompts(self.prepared.tokenizer, self.rows)

    @property
    def longest_prompt(self) -> int:
        """Tokens."""
        return max(map(len, self._prompts))

    def decode(
        self,
        scheduler: Any,
        *,
        label: str,
        block_length: int | None,
        callback: Any = None,
        watch: BatchWatch | None = None,
    ) -> list[dict[str, Any]]:
        """Predictions and forward passes of all rows, in their order.

        A batch that does not fit into memory is decoded again in halves. As every row has noise of its own, nothing
        comes out differently, but for what hangs on the last bit of a logit: GPUs may round otherwise in another batch.

        Raises:
            ValueError: a single row does not fit into memory, or the scheduler refuses its input.
        """
        samples: list[dict[str, Any]] = []
        while len(samples) < len(self.rows):
            start = len(samples)
            stop = min(start + self.batch_size, len(self.rows))
            started = time.monotonic()
            found = self._decode_batch(start, stop, scheduler, label, block_length, callback)
            if found is None:
                self._shrink(stop - start)
                continue
            samples.extend(found)
            if watch is not None:
                watch(stop - start, (stop - start) * self.max_new_tokens, time.monotonic() - started)
        return samples

    def _decode_batch(
        self, start: int, stop: int, scheduler: Any, label: str, block_length: int | None, callback: Any
    ) -> list[dict[str, Any]] | None:
        """Samples of some rows, or None where memory ran out."""
        from benchmark.models.memory import is_out_of_memory
        from samplers import generate

        rows = self.rows[start:stop]
        try:
            input_ids, attention_mask = self._batch(start, stop)
            output = generate(
                self._driven,
                input_ids,
                attention_mask=attention_mask,
                mask_token_id=self.prepared.model.mask_token_id,
                scheduler=scheduler,
                max_new_tokens=self.max_new_tokens,
                block_length=block_length,
                generator=[noise_source(self.seed, row["id"], label) for row in rows],
                callback_on_step_end=callback,
            )
            answers = output.sequences[:, input_ids.shape[1] :].tolist()
            passes = output.num_forward_passes.tolist()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None
        return [self._sample(*of_a_row) for of_a_row in zip(rows, answers, passes, strict=True)]

    def _sample(self, row: Row, tokens: list[int], passes: int) -> dict[str, Any]:
        answer = cut_answer(self.prepared.tokenizer, tokens, self.prepared.stop_token_ids)
        return {
            "id": row["id"],
            "length": row["length"],
            "prediction": self.prepared.tokenizer.decode(answer, skip_special_tokens=True),
            "num_tokens": len(tokens),
            "num_answer_tokens": len(answer),
            "num_item_tokens": sum(map(self._is_of_an_item, answer)),
            "num_forward_passes": passes,
            "tokens_per_step": len(tokens) / passes,
        }

    def _is_of_an_item(self, token: int) -> bool:
        """Whether a token has a letter or digit, as those of names and cells have, and brackets and separators not."""
        if token not in self._of_an_item:
            text = self.prepared.tokenizer.decode([token], skip_special_tokens=True)
            # Half a letter of more than one byte reads as the replacement character.
            self._of_an_item[token] = any(character.isalnum() or character == "\ufffd" for character in text)
        return self._of_an_item[token]

    def _batch(self, start: int, stop: int) -> tuple[Any, Any]:
        if (start, stop) not in self._padded:
            pad = self.prepared.tokenizer.pad_token_id
            input_ids, attention_mask = pad_left(self._prompts[start:stop], pad)
            device = self.prepared.device
            self._padded[start, stop] = input_ids.to(device), attention_mask.to(device)
        return self._padded[start, stop]

    def _shrink(self, rows: int) -> None:
        self._padded.clear()
        if isinstance(self._driven, PromptSharingDenoiser):
            self._driven = PromptSharingDenoiser(self.prepared.model)
        _empty_caches()
        if rows == 1:
            raise ValueError(
                f"the memory of {self.model.place()} is too small for a single row of {self.longest_prompt} prompt and "
                f"{self.max_new_tokens} new tokens; try --dtype bfloat16 or another --device"
            )
        self.batch_size, self.has_shrunk = rows // 2, True
        self.notice(
            f"{self.model.name}: {rows} rows did not fit into memory; going on with {self.batch_size} at a time"
        )


def noise_source(seed: int, row_id: str, label: str) -> Any:
    """The row's own random generator: the same whatever batch and device the row is on, another for every setting."""
    import torch

    digest = hashlib.sha256(f"{seed}/{row_id}/{label}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _empty_caches() -> None:
    """Give back what the frames that failed held; called outside of the handler, which would keep them alive."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
