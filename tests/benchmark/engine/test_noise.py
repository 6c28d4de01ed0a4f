"""Common random numbers: an order drawn once for a block is in distribution one that is drawn anew at every step."""

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from itertools import permutations
from pathlib import Path

import pytest
import torch
from tiny_gemma import save_gemma
from tiny_models import questions, save_reference

from benchmark.engine.noise import RowNoise, seed_matters
from benchmark.engine.worker import LogitsWorker
from benchmark.models import HubModel, ModelOptions
from benchmark.models.interface import AnswerOptions
from benchmark.protocol.method import Method
from samplers import QuotaScheduler, RandomScheduler, built_in_scheduler_names, scheduler_class

Trajectory = tuple[frozenset[int], ...]


def redrawn(positions: frozenset[int], quotas: tuple[int, ...]) -> Iterator[tuple[Trajectory, Fraction]]:
    """Every way to commit, where each step ranks what is left by fresh noise: by a uniform order."""
    if not quotas:
        yield (), Fraction(1)
        return
    orders = list(permutations(positions))
    for order in orders:
        taken = frozenset(order[: quotas[0]])
        for rest, probability in redrawn(positions - taken, quotas[1:]):
            yield (taken, *rest), probability / len(orders)


def kept(positions: frozenset[int], quotas: tuple[int, ...]) -> Iterator[tuple[Trajectory, Fraction]]:
    """Every way to commit, where one uniform order holds for all steps."""
    orders = list(permutations(positions))
    for order in orders:
        steps, start = [], 0
        for quota in quotas:
            steps.append(frozenset(order[start : start + quota]))
            start += quota
        yield tuple(steps), Fraction(1, len(orders))


@pytest.mark.parametrize("quotas", [(1, 1, 1, 1), (2, 2), (1, 2, 1), (3, 1), (2, 0, 2), (1, 1, 1), (4, 1)], ids=str)
def test_an_order_that_is_kept_is_in_distribution_one_that_is_drawn_anew(quotas: tuple[int, ...]) -> None:
    positions = frozenset(range(sum(quotas)))
    of: list[Counter[Trajectory]] = [Counter(), Counter()]
    for counts, ways in zip(of, (redrawn(positions, quotas), kept(positions, quotas)), strict=True):
        for trajectory, probability in ways:
            counts[trajectory] += probability  # type: ignore[assignment]
    assert of[0] == of[1]
    assert sum(of[0].values()) == 1


def test_a_number_of_commits_that_hangs_on_the_order_would_not_be_the_same() -> None:
    """Why the entropy bound in a random order is left out: the position that did not fit stays the next one."""
    costs = {0: 2, 1: 1, 2: 1}

    def taken(order: tuple[int, ...]) -> tuple[int, ...]:
        return order[:2] if costs[order[0]] + costs[order[1]] <= 2 else order[:1]

    def last_one(nested: bool) -> Fraction:
        chances = Fraction(0)
        for order in permutations(costs):
            first = taken(order)
            left = [position for position in order if position not in first]
            # Of what is left the first in the order is committed next, alone.
            nexts = [left[0]] if nested else left
            chances += sum(Fraction(1, 6 * len(nexts)) for position in nexts if len(left) == 2 and position == 0)
        return chances

    assert last_one(nested=True) != last_one(nested=False)


QUALIFY = {"random", "ascending"}


def test_methods_say_whether_their_noise_is_an_order() -> None:
    for name in built_in_scheduler_names():
        scheduler = scheduler_class(name)()
        assert scheduler.draws_an_order == (name == "random"), name
    for name in ("threshold", "factor", "ascending"):
        assert scheduler_class(name)(score="random").draws_an_order == (name in QUALIFY)
    assert not scheduler_class("eb")(order="random").draws_an_order
    assert not RandomScheduler(temperature=0.5).draws_an_order
    for schedule in ("even", "linear_time", "cosine"):
        assert RandomScheduler(num_inference_steps=4, schedule=schedule).draws_an_order


def test_a_class_of_ones_own_qualifies_only_if_it_replaces_no_decision() -> None:
    class Renamed(QuotaScheduler):
        score_name = "random"

    class Choosy(QuotaScheduler):
        score_name = "random"

        def select(self, step, scores):  # type: ignore[no-untyped-def]
            return step.masked & (scores > 0.5)

    class Hasty(QuotaScheduler):
        score_name = "random"

        def quota(self, masked_count):  # type: ignore[no-untyped-def]
            return masked_count

    assert Renamed().draws_an_order
    assert not Choosy().draws_an_order
    assert not Hasty().draws_an_order


def drawn(method: str, starts: list[int], seed: int = 0, row: str = "a") -> list[list[float]]:
    parsed = Method.parse(method)
    noise = RowNoise(seed, [row], parsed, parsed.build(0.0))
    found = []
    for start in starts:
        noise.before_step(start, [True])
        found.append(torch.rand(3, generator=noise.generators[0]).tolist())
    return found


def test_an_order_is_set_back_within_a_block_and_shared_by_methods() -> None:
    first, second, third = drawn("random(k=2)", [0, 0, 8])
    assert first == second != third
    assert drawn("random(k=4, block_length=16)", [0, 8]) == [first, third]
    assert drawn("random(k=2)", [0], seed=1) != [first] != drawn("random(k=2)", [0], row="b")


def test_other_noise_goes_on_from_step_to_step_and_is_a_methods_own() -> None:
    first, second = drawn("threshold(score=random)", [0, 0])
    assert first != second
    assert drawn("threshold(score=random, threshold=0.8)", [0]) != [first]


def test_a_row_that_draws_nothing_is_left_where_it_is() -> None:
    method = Method.parse("random(k=2)")
    noise = RowNoise(0, ["a", "b"], method, method.build(0.0))
    before = [generator.get_state() for generator in noise.generators]
    noise.before_step(0, [False, True])
    assert torch.equal(noise.generators[0].get_state(), before[0])
    assert not torch.equal(noise.generators[1].get_state(), before[1])


def test_two_tokens_a_step_come_through_every_second_position_set_of_one(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    model = HubModel(str(save_reference(tmp_path_factory.mktemp("reference"))), ModelOptions())
    rows = questions("waiting_line_shuffle", 2)
    decoder = LogitsWorker(model).decoder(rows, AnswerOptions(12))
    one, two = (
        [step.masked.tolist() for step in decoder.steps(Method.parse(f"random(k={k}, block_length=6)"))] for k in (1, 2)
    )
    assert two == one[1::2]


def test_a_seed_matters_to_what_draws_and_to_models_whose_open_positions_hold_noise(tmp_path: Path) -> None:
    masked, noisy = HubModel("hub_model", ModelOptions()), HubModel(str(save_gemma(tmp_path)), ModelOptions())
    confidence, random = Method.parse("confidence:k=2"), Method.parse("random:k=2")
    assert [seed_matters(masked, method, None) for method in (confidence, random)] == [False, True]
    assert seed_matters(masked, confidence, 0.5)
    assert seed_matters(noisy, confidence, None)
