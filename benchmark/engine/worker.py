"""Answers questions with a model that gives logits, in batches that shrink where memory runs out."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from benchmark.engine.prompt_sharing import PromptSharingDenoiser, shares_prompts
from benchmark.models.interface import (
    Answered,
    AnswerOptions,
    AnswersQuestions,
    BenchmarkModel,
    LogitsModel,
    Sample,
    TaskModel,
    new_sample,
)
from benchmark.models.prompts import cut_answer, pad_left, tokenize_prompts
from benchmark.protocol.method import Method
from benchmark.protocol.questions import Row

if TYPE_CHECKING:
    from samplers import GenerationStep


def worker_for(model: BenchmarkModel) -> AnswersQuestions:
    """What answers the questions of a run: the model itself, or a worker that drives the logits that it gives."""
    return model if isinstance(model, AnswersQuestions) else LogitsWorker(cast(LogitsModel, model))


class LogitsWorker:
    """Answers the questions of a run with one model; see `AnswersQuestions`.

    A batch size that memory forced on one task is kept for the next.
    """

    def __init__(self, model: LogitsModel) -> None:
        self.model = model
        self._fitting: int | None = None

    def answers(
        self, questions: Sequence[Row], methods: Sequence[Method], options: AnswerOptions
    ) -> Iterator[Answered]:
        """Method by method and batch by batch, with prompts encoded once for all."""
        decoder = self.decoder(questions, options)
        for method in methods:
            yield from decoder.answers(method)
            # Tasks side by side share the memory, so there one says nothing about the next.
            if decoder.has_shrunk and not self.model.concurrent:
                self._fitting = decoder.batch_size

    def decoder(self, questions: Sequence[Row], options: AnswerOptions) -> TaskDecoder:
        """The model made ready for these questions."""
        prepared = self.model.for_task(questions, options.max_new_tokens, options.seed)
        decoder = TaskDecoder(self.model, prepared, questions, options)
        if options.batch_size is None:
            decoder.batch_size = self.model.batch_size(prepared, decoder.longest_prompt, options.max_new_tokens)
        if self._fitting is not None:
            decoder.batch_size = min(decoder.batch_size, self._fitting)
        return decoder


@dataclass(slots=True)
class TaskDecoder:
    """A model made ready for a task, with the task's prompts encoded once for all methods.

    Attributes:
        batch_size: rows per forward pass; halved, and so kept, whenever a batch does not fit into memory.
        has_shrunk: whether that has happened.
    """

    model: LogitsModel
    prepared: TaskModel
    rows: Sequence[Row]
    options: AnswerOptions
    batch_size: int = field(init=False)
    has_shrunk: bool = field(init=False, default=False)
    _driven: Any = field(init=False)
    _prompts: list[list[int]] = field(init=False)
    _padded: dict[tuple[int, int], tuple[Any, Any]] = field(init=False, default_factory=dict)
    _of_an_item: dict[int, bool] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.batch_size = self.options.batch_size or len(self.rows)
        model = self.prepared.model
        self._driven = PromptSharingDenoiser(model) if shares_prompts(model) else model
        self._prompts = tokenize_prompts(self.prepared.tokenizer, self.rows, self.prepared.chat_options)

    @property
    def longest_prompt(self) -> int:
        """Tokens."""
        return max(map(len, self._prompts))

    def answers(self, method: Method) -> Iterator[Answered]:
        """The samples of all rows under a method, batch by batch, in the order of the rows.

        A batch that does not fit into memory is decoded again in halves. As every row has noise of its own, nothing
        comes out differently, but for what hangs on the last bit of a logit: GPUs may round otherwise in another batch.

        Raises:
            ValueError: a single row does not fit into memory, or the scheduler refuses its input.
        """
        done = 0
        while done < len(self.rows):
            stop = min(done + self.batch_size, len(self.rows))
            started = time.monotonic()
            found = self._answer_batch(done, stop, method)
            if found is None:
                self._shrink(stop - done)
                continue
            yield Answered(method, found, time.monotonic() - started)
            done = stop

    def steps(self, method: Method) -> Iterator[GenerationStep]:
        """The steps in which `answers` comes to its answers, of all rows in one batch."""
        from samplers import stream

        steps: Iterator[GenerationStep] = self._drive(stream, 0, len(self.rows), method)
        return steps

    def _answer_batch(self, start: int, stop: int, method: Method) -> list[Sample] | None:
        """Samples of some rows, or None where memory ran out."""
        from benchmark.models.memory import is_out_of_memory
        from samplers import generate

        def check_stop(*step: Any) -> None:
            self.options.check_stop()

        try:
            output = self._drive(generate, start, stop, method, callback_on_step_end=check_stop)
            prompt_length = self._batch(start, stop)[0].shape[1]
            answers = output.sequences[:, prompt_length:].tolist()
            passes = output.num_forward_passes.tolist()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None
        return [self._sample(*of_a_row) for of_a_row in zip(self.rows[start:stop], answers, passes, strict=True)]

    def _drive(self, loop: Callable[..., Any], start: int, stop: int, method: Method, **more: Any) -> Any:
        """Call one of the two loops of `samplers` on some rows."""
        options = self.options
        temperature = self.model.default_temperature if options.temperature is None else options.temperature
        input_ids, attention_mask = self._batch(start, stop)
        return loop(
            self._driven,
            input_ids,
            attention_mask=attention_mask,
            mask_token_id=self.prepared.mask_token_id,
            scheduler=method.build(temperature),
            max_new_tokens=options.max_new_tokens,
            block_length=method.decoded_block_length,
            generator=[noise_source(options.seed, row["id"], str(method)) for row in self.rows[start:stop]],
            **more,
        )

    def _sample(self, row: Row, tokens: list[int], passes: int) -> Sample:
        answer = cut_answer(self.prepared.tokenizer, tokens, self.prepared.stop_token_ids)
        return new_sample(
            row,
            self.prepared.tokenizer.decode(answer, skip_special_tokens=True),
            num_tokens=len(tokens),
            num_forward_passes=passes,
            num_answer_tokens=len(answer),
            num_item_tokens=sum(map(self._is_of_an_item, answer)),
        )

    def _is_of_an_item(self, token: int) -> bool:
        """Whether a token has a letter or digit, as those of names and cells have, and brackets and separators not."""
        if token not in self._of_an_item:
            text = self.prepared.tokenizer.decode([token], skip_special_tokens=True)
            # Half a letter of more than one byte reads as the replacement character.
            self._of_an_item[token] = any(character.isalnum() or character == "\ufffd" for character in text)
        return self._of_an_item[token]

    def _batch(self, start: int, stop: int) -> tuple[Any, Any]:
        if (start, stop) not in self._padded:
            tokenizer = self.prepared.tokenizer
            # What stands there is masked, so that any token will do where the tokenizer has none for it.
            pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
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
                f"the memory of {self.model.device_name()} is too small for a single row of {self.longest_prompt} "
                f"prompt and {self.options.max_new_tokens} new tokens; try --dtype bfloat16 or another --device"
            )
        self.batch_size, self.has_shrunk = rows // 2, True
        self.options.notice(
            f"{self.model.name}: {rows} rows did not fit into memory; going on with {self.batch_size} at a time"
        )


def noise_source(seed: int, row_id: str, label: str) -> Any:
    """The row's own random generator: the same whatever batch and device the row is on, another for every method."""
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
