"""Rows: questions as a model reads them, how far each has been decoded under a method, and the samples in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from benchmark.engine.noise import RowNoise
from benchmark.models.interface import AnswerOptions, Sample, TaskModel, new_sample
from benchmark.models.prompts import pad_left, tokenize_prompts
from benchmark.protocol.method import Method
from benchmark.protocol.questions import Row
from samplers.loop.streaming import cut_answer

if TYPE_CHECKING:
    from samplers import GenerationStep


class Questions:
    """The questions of a task with their prompts tokenized once for all methods.

    Args:
        rows: the questions.
        prepared: the model, made ready for them.
    """

    def __init__(self, rows: Sequence[Row], prepared: TaskModel) -> None:
        self.rows, self.prepared = rows, prepared
        self.prompts = tokenize_prompts(prepared.tokenizer, rows, prepared.chat_options)
        self._of_an_item: dict[int, bool] = {}
        self._texts: dict[int, str] = {}

    def padded(self, chosen: Sequence[int], multiple: int = 1) -> tuple[Any, Any]:
        """`input_ids` and `attention_mask` of some questions, (batch, length), on the CPU.

        Args:
            chosen: their indices.
            multiple: of which the length is one.
        """
        tokenizer = self.prepared.tokenizer
        # What stands there is masked, so that any token will do where the tokenizer has none for it.
        pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        prompts = [self.prompts[index] for index in chosen]
        longest = max(map(len, prompts))
        return pad_left(prompts, pad, length=-(-longest // multiple) * multiple)

    def sample(
        self,
        index: int,
        tokens: list[int],
        *,
        rounds: int,
        passes: int,
        commit_steps: list[int],
        seconds: float,
        shared: bool,
    ) -> Sample:
        """The sample of the answer `tokens` to a question."""
        answer = cut_answer(tokens, self.prepared.tokenizer, self.prepared.stop_token_ids)
        return new_sample(
            self.rows[index],
            self.prepared.tokenizer.decode(answer, skip_special_tokens=True),
            num_tokens=len(tokens),
            num_rounds=rounds,
            num_forward_passes=passes,
            num_answer_tokens=len(answer),
            num_item_tokens=sum(map(self._is_of_an_item, answer)),
            commit_steps=commit_steps,
            tokens=[self._text_of(token) for token in tokens[: len(answer) + 1]],
            seconds=seconds,
            shared=shared,
        )

    def _text_of(self, token: int) -> str:
        if token not in self._texts:
            self._texts[token] = self.prepared.tokenizer.decode([token])
        return self._texts[token]

    def _is_of_an_item(self, token: int) -> bool:
        """Whether a token has a letter or digit, as those of names and cells have, and brackets and separators not."""
        if token not in self._of_an_item:
            text = self.prepared.tokenizer.decode([token], skip_special_tokens=True)
            # Half a letter of more than one byte reads as the replacement character.
            self._of_an_item[token] = any(character.isalnum() or character == "\ufffd" for character in text)
        return self._of_an_item[token]


class Cohort:
    """The rows of one method for some questions, decoded side by side.

    Either `run` decodes them with a model's own views, or whoever holds the cohort sends views from elsewhere:
    `asked` is what it waits for, and `go_on` takes the view.

    Args:
        questions: of the task.
        chosen: indices of those that are decoded.
        method: what they are decoded with.
        model: what `samplers.generate` would drive.
        options: of the run.
        temperature: of the proposals.
        batch: their `input_ids` and `attention_mask`.

    Attributes:
        asked: the `samplers.Look` that the next step waits for; None once all rows are finished.
        decoding: the loop.
    """

    def __init__(
        self,
        questions: Questions,
        chosen: Sequence[int],
        method: Method,
        model: Any,
        options: AnswerOptions,
        temperature: float,
        batch: tuple[Any, Any],
    ) -> None:
        from samplers import Decoding, GenerationArguments

        self.questions, self.chosen, self.method = questions, list(chosen), method
        scheduler = method.build(temperature)
        ids = [questions.rows[index]["id"] for index in chosen]
        self._noise = RowNoise(options.seed, ids, method, scheduler)
        self.decoding = Decoding(
            GenerationArguments(
                model,
                batch[0],
                attention_mask=batch[1],
                mask_token_id=questions.prepared.mask_token_id,
                scheduler=scheduler,
                max_new_tokens=options.max_new_tokens,
                block_length=method.decoded_block_length,
                cache=method.cache,
                generator=self._noise.generators,
            )
        )
        self._looks = self.decoding.looks()
        self._committed_at: Any = None
        self._answers: Any = None
        self.asked = self._next()

    def go_on(self, view: Any) -> GenerationStep:
        """One step with the view that `asked` asks for."""
        assert self.asked is not None
        self._noise.before_step(self.asked.window[0], self.asked.unfinished)
        step = cast("GenerationStep", self._looks.send(view))
        self._note(step)
        self.asked = self._next()
        return step

    def run(self) -> Iterator[GenerationStep]:
        """All steps, with the model's own views."""
        while self.asked is not None:
            yield self.go_on(self.decoding.look(self.asked))

    def samples(self, seconds: Sequence[float], *, shared: bool) -> list[Sample]:
        """The samples, once all rows are finished; `seconds` that each took."""
        answers, steps = self._answers.tolist(), self._committed_at.tolist()
        rounds, passes = self.decoding.num_rounds.tolist(), self.decoding.num_forward_passes.tolist()
        found = zip(self.chosen, answers, steps, seconds, rounds, passes, strict=True)
        return [
            self.questions.sample(
                index, tokens, rounds=in_rounds, passes=count, commit_steps=order, seconds=taken, shared=shared
            )
            for index, tokens, order, taken, in_rounds, count in found
        ]

    def _next(self) -> Any:
        return next(self._looks, None)

    def _note(self, step: GenerationStep) -> None:
        """Keep the round, counted in each row from 1, at which a position took its token for the last time."""
        import torch

        changed = step.committed | step.replaced
        if self._committed_at is None:
            self._committed_at = torch.zeros_like(step.sample)
        rounds = step.num_rounds.unsqueeze(1)
        self._committed_at = torch.where(changed, rounds, self._committed_at)
        self._answers = step.sample
