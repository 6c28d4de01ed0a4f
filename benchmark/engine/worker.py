"""Answers questions with a model that gives logits, in batches that shrink where memory runs out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from benchmark.engine.clock import WarmUp, decoding_time
from benchmark.engine.prompt_sharing import PromptSharingDenoiser, shares_prompts
from benchmark.engine.rows import Cohort, Questions
from benchmark.engine.states import SharedStates, shares_states
from benchmark.models.interface import (
    Answered,
    AnswerOptions,
    AnswersQuestions,
    BenchmarkModel,
    LogitsModel,
    TaskModel,
)
from benchmark.models.memory import RowDoesNotFit, bytes_of_row, empty_caches, free_host_memory, is_out_of_memory
from benchmark.protocol.method import Method
from benchmark.protocol.questions import Row

if TYPE_CHECKING:
    from samplers import GenerationStep

# Of the free memory of the host, for the states that are kept.
_SHARE_FOR_STATES = 0.2


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
        """First the methods that share states, all together, then the others one by one."""
        decoder = self.decoder(questions, options)
        sharing = [method for method in methods if options.sharing and decoder.shares_states(method)]
        parts = [decoder.answers_together(sharing)] if sharing else []
        parts += [decoder.answers(method) for method in methods if method not in sharing]
        for part in parts:
            for answered in part:
                yield answered
                # Tasks side by side share the memory, so there one says nothing about the next.
                if decoder.has_shrunk and not self.model.concurrent:
                    self._fitting = decoder.batch_size

    def decoder(self, questions: Sequence[Row], options: AnswerOptions) -> TaskDecoder:
        """The model made ready for these questions."""
        prepared = self.model.for_task(questions, options.max_new_tokens, options.seed)
        decoder = TaskDecoder(self.model, prepared, questions, options)
        if options.batch_size is None:
            decoder.batch_size = self.model.batch_size(prepared, decoder.longest_prompt, options.max_new_tokens)
            if options.memory is not None:
                decoder.batch_size = min(decoder.batch_size, decoder.rows_within(options.memory * 1e9 / 2))
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
    _questions: Questions = field(init=False)
    _padded: dict[tuple[int, int], tuple[Any, Any]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.batch_size = self.options.batch_size or len(self.rows)
        model = self.prepared.model
        self._driven = PromptSharingDenoiser(model) if shares_prompts(model) else model
        self._questions = Questions(self.rows, self.prepared)

    @property
    def prompts(self) -> list[list[int]]:
        """The tokens of each question's prompt."""
        return self._questions.prompts

    @property
    def longest_prompt(self) -> int:
        """Tokens."""
        return max(map(len, self.prompts))

    @property
    def _temperature(self) -> float:
        given = self.options.temperature
        return self.model.default_temperature if given is None else given

    def rows_within(self, memory: float) -> int:
        """Rows that a forward pass can take with so many bytes of the host; of a GPU it takes what is free there."""
        import torch

        if torch.device(self.prepared.device).type == "cuda":
            return self.batch_size
        taken = bytes_of_row(self.prepared.model, self.longest_prompt, self.options.max_new_tokens)
        return max(1, int(memory / taken))

    def shares_states(self, method: Method) -> bool:
        """Whether a method may be answered together with others."""
        # What an approximate cache gives hangs on how a state was come to.
        return method.cache is None and shares_states(self.prepared.model, method.build(self._temperature))

    def answers_together(self, methods: Sequence[Method]) -> Iterator[Answered]:
        """The samples of all rows under methods that share states; see `SharedStates`.

        Raises:
            ValueError: as `answers` does.
        """
        memory = self.options.memory
        shared = SharedStates(
            self._questions,
            methods,
            self.options,
            temperature=self._temperature,
            batch_size=self.batch_size,
            memory=int(free_host_memory() * _SHARE_FOR_STATES if memory is None else memory * 1e9 / 2),
            shrink=self._shrink,
        )
        return shared.answers()

    def answers(self, method: Method) -> Iterator[Answered]:
        """The samples of all rows under a method, batch by batch, in the order of the rows.

        A batch that does not fit into memory is decoded again in halves. As every row has noise of its own, nothing
        comes out differently, but for what hangs on the last bit of a logit: GPUs may round otherwise in another batch.

        Raises:
            ValueError: a single row does not fit into memory, or the scheduler refuses its input.
        """
        done, warm_up = 0, WarmUp()
        while done < len(self.rows):
            stop = min(done + self.batch_size, len(self.rows))
            started = decoding_time()
            cohort = self._decoded(done, stop, method)
            if cohort is None:
                self._shrink(stop - done)
                continue
            taken = max(decoding_time() - started, 0.0)
            samples = cohort.samples([taken / (stop - done)] * (stop - done), shared=False)
            passes = sum(sample["num_forward_passes"] or 0 for sample in samples)
            self.options.counted(passes, passes)
            yield Answered(method, samples, taken, warm_up.since())
            done = stop

    def steps(self, method: Method) -> Iterator[GenerationStep]:
        """The steps in which `answers` comes to its answers, of all rows in one batch."""
        return self._cohort(0, len(self.rows), method).run()

    def _decoded(self, start: int, stop: int, method: Method) -> Cohort | None:
        """Some rows, all their steps taken, or None where memory ran out."""
        try:
            cohort = self._cohort(start, stop, method)
            for _ in cohort.run():
                self.options.check_stop()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None
        return cohort

    def _cohort(self, start: int, stop: int, method: Method) -> Cohort:
        chosen, batch = range(start, stop), self._batch(start, stop)
        return Cohort(self._questions, chosen, method, self._driven, self.options, self._temperature, batch)

    def _batch(self, start: int, stop: int) -> tuple[Any, Any]:
        if (start, stop) not in self._padded:
            input_ids, attention_mask = self._questions.padded(range(start, stop))
            device = self.prepared.device
            self._padded[start, stop] = input_ids.to(device), attention_mask.to(device)
        return self._padded[start, stop]

    def _shrink(self, rows: int) -> int:
        self._padded.clear()
        if isinstance(self._driven, PromptSharingDenoiser):
            self._driven = PromptSharingDenoiser(self.prepared.model)
        empty_caches()
        if rows == 1:
            raise RowDoesNotFit(
                f"the memory of {self.model.device_name()} is too small for a single row of {self.longest_prompt} "
                f"prompt and {self.options.max_new_tokens} new tokens; try --dtype bfloat16 or another --device"
            )
        self.batch_size, self.has_shrunk = rows // 2, True
        self.options.notice(
            f"{self.model.name}: {rows} rows did not fit into memory; going on with {self.batch_size} at a time"
        )
        return self.batch_size
