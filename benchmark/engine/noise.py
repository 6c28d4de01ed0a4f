"""The random numbers of a run: a generator of its own for every row, set back where noise is an order and no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmark.models.interface import AnswersQuestions
from benchmark.models.noise import noise_seed, noise_source
from benchmark.protocol.method import Method

#: Takes the place of the method's name where methods share their noise.
ORDER = "order"


def seed_matters(model: Any, method: Method, temperature: float | None) -> bool:
    """Whether samples of another seed may be other samples.

    Args:
        model: a `BenchmarkModel`; of one that answers by itself nobody knows what it draws.
        method: what it is run with.
        temperature: of the run; None: the model's own.
    """
    if isinstance(model, AnswersQuestions) or model.draws:
        return True
    scheduler = method.build(model.default_temperature if temperature is None else temperature)
    return bool(getattr(scheduler, "draws_noise", True))


class RowNoise:
    """The generators of some rows under one method.

    Where noise decides nothing but the order of commits (`UnmaskingScheduler.draws_an_order`), a row's generator is set
    back before every step to where it was at the beginning of the block, and all methods of that kind draw the same
    numbers for the same seed, question and block: common random numbers. Taking the k first of one order, and then the
    next k, is in distribution the same as drawing an order anew every time; but k = 2 stands at every second state of
    k = 1, as long as the same tokens are committed, and what separates the two is not the luck of the order. Elsewhere
    a generator goes on from step to step, another for every method.

    Args:
        seed: of the run.
        ids: of the questions, in the order of the rows.
        method: what the rows are decoded with.
        scheduler: the method's.
    """

    def __init__(self, seed: int, ids: Sequence[str], method: Method, scheduler: Any) -> None:
        self._seed, self._ids = seed, list(ids)
        self._is_order = bool(getattr(scheduler, "draws_an_order", False))
        self.generators = [noise_source(seed, row_id, str(method)) for row_id in ids]

    def before_step(self, start: int, unfinished: Sequence[bool]) -> None:
        """To be called before every step.

        Args:
            start: first position of the block.
            unfinished: rows that will draw; the others are left alone.
        """
        if self._is_order:
            for row_id, generator, draws in zip(self._ids, self.generators, unfinished, strict=True):
                if draws:
                    generator.manual_seed(noise_seed(self._seed, row_id, f"{ORDER}/{start}"))
