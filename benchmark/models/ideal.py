"""The ideal model: exact conditionals, in words of its own or in the tokens of another model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmark.protocol.questions import Row

from .interface import TaskModel

NAME, GREEDY = "ideal", "ideal-greedy"
_BATCH_SIZE = 100
# Logits that a batch may take; beyond this a step waits for memory, and not for the processor.
_LOGITS = 16_000_000
# How far ties are raised at random where tokens are not drawn; no probability moves visibly.
_TIE_NOISE = 1e-4


class IdealModel:
    """The exact denoiser: every conditional is that of the uniform distribution over a row's valid answers.

    Run at temperature 1 it samples that distribution where tokens are committed one by one, and shows what parallel
    decoding alone costs where they are not (see `benchmark.theory`). Run greedily it takes the likeliest token, as
    trained models are run, and breaks ties at random, as their small errors do; without that it would break them in
    favour of the first token, always.

    Args:
        borrowed_from: a `HubModel` or `OwnModel` whose tokens answers are written in, so that k tokens per step mean
            the same for both; None takes words.
        greedy: whether to take the likeliest token instead of drawing one, unless the user names a temperature.
    """

    concurrent = True
    has_weights = False

    def __init__(self, borrowed_from: Any = None, *, greedy: bool = False) -> None:
        self._lender = borrowed_from
        self._greedy = greedy
        self.default_temperature = 0.0 if greedy else 1.0
        # How its ties are broken; else a seed does nothing but draw tokens.
        self.draws = greedy
        name = GREEDY if greedy else NAME
        self.name = name if borrowed_from is None else f"{name}:{borrowed_from.name}"
        self.answer_length: int | None = None if borrowed_from is None else borrowed_from.answer_length

    def record(self) -> dict[str, Any]:
        """With tokens of its own the ideal model is that of the installed version."""
        if self._lender is None:
            return {}
        kept = ("revision", "source", "answer_length")
        return {key: value for key, value in self._lender.record().items() if key in kept}

    def check_task(self, rows: Sequence[Row], max_new_tokens: int) -> str | None:
        """Refuse tasks whose answers cannot be enumerated, or do not fit."""
        from benchmark.ideal import is_enumerable, valid_answers

        for row in rows:
            if not is_enumerable(row["reference"]):
                # Enumerating says why it is refused.
                try:
                    valid_answers(row["reference"])
                except ValueError as error:
                    raise ValueError(
                        f"{error}; name other tasks with --task, or other models: where no --model names the ideal "
                        "one, it is left out on such tasks"
                    ) from None
        tokenizer = self._answer_tokenizer(rows)
        answers: Any = tokenizer([row["answer"] for row in rows])
        longest = max(map(len, answers["input_ids"]))
        if longest > max_new_tokens:
            raise ValueError(
                f"the longest answer takes {longest} tokens, and only {max_new_tokens} would be generated; "
                f"give at least {longest} new tokens"
            )
        return None

    def token_counter(self) -> None:
        """None: the task's rows decide on its tokens, and what does not fit is refused with them."""

    def for_task(self, rows: Sequence[Row], max_new_tokens: int, seed: int = 0) -> TaskModel:
        """The exact denoiser of these rows; where it is greedy, `seed` decides how its ties are broken."""
        from benchmark.ideal import BorrowedTokenizer, ExactDenoiser, build_tokenizer

        lender = self._lender
        tokenizer: Any = build_tokenizer(rows) if lender is None else BorrowedTokenizer(lender.tokenizer, rows)
        model = ExactDenoiser.from_rows(
            rows,
            tokenizer,
            max_new_tokens=max_new_tokens,
            tie_noise=_TIE_NOISE if self._greedy else 0.0,
            tie_seed=seed,
        )
        return TaskModel(model, tokenizer)

    def batch_size(self, prepared: TaskModel, prompt_length: int, max_new_tokens: int) -> int:
        """A fixed number, smaller for large vocabularies."""
        vocabulary: int = prepared.model.vocab_size
        return max(1, min(_BATCH_SIZE, _LOGITS // (max_new_tokens * vocabulary)))

    def device_name(self) -> str:
        """Counts of answers are looked up on the CPU."""
        return "cpu"

    def release(self) -> None:
        """Nothing is kept."""

    def _answer_tokenizer(self, rows: Sequence[Row]) -> Any:
        from benchmark.ideal import build_tokenizer

        if self._lender is None:
            return build_tokenizer(rows)
        tokenizer = self._lender.tokenizer
        return lambda answers: tokenizer(answers, add_special_tokens=False)
