"""What a scheduler remembers between steps, and when it forgets it."""

import copy
import pickle
from typing import Any

import pytest
import torch
from scheduler_cases import ALL_MASKED, FACTORIES, MAY_PAUSE, Window, every_scheduler, row_generator, walk

from samplers import ConfidenceScheduler

#: Schedulers that draw noise while they are greedy.
MAY_DRAW = ("random", "remdm", "threshold_random")


def assert_same_steps(first: list[Any], second: list[Any]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        for field in one:
            assert torch.equal(one[field], other[field]), field


@every_scheduler
def test_second_generation_inherits_nothing(name: str) -> None:
    fresh = walk(FACTORIES[name](), ALL_MASKED, generators=row_generator(0))
    used = FACTORIES[name]()
    walk(used, Window(ALL_MASKED.sample, 5, 4, seed=77), generators=row_generator(1))
    # No set_timesteps in between: the scheduler has to see for itself that this is another sample.
    assert_same_steps(walk(used, ALL_MASKED, generators=row_generator(0)), fresh)


# In sequence scope start_block() keeps what is remembered of the sample: test_scheduling_rcr.py.
@pytest.mark.parametrize(
    ("name", "reset"),
    [(name, "set_timesteps") for name in FACTORIES]
    + [(name, "start_block") for name in FACTORIES if FACTORIES[name]().scope == "window"],
)
def test_abandoned_block_is_forgotten(name: str, reset: str) -> None:
    fresh = walk(FACTORIES[name](), ALL_MASKED, generators=row_generator(0))
    used = FACTORIES[name]()
    output = used.step(ALL_MASKED.logits(5), 0, ALL_MASKED.sample, mask_token_id=4, generator=row_generator(1))
    assert (output.prev_sample != ALL_MASKED.sample).any() or name in MAY_PAUSE
    getattr(used, reset)()
    assert_same_steps(walk(used, ALL_MASKED, generators=row_generator(0)), fresh)


@every_scheduler
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda scheduler: pickle.loads(pickle.dumps(scheduler))])
def test_copy_in_the_middle_of_a_block_goes_on_the_same(name: str, copied: Any) -> None:
    scheduler = FACTORIES[name]()
    output = scheduler.step(ALL_MASKED.logits(0), 0, ALL_MASKED.sample, mask_token_id=4, generator=row_generator(0))
    rest = Window(output.prev_sample, 5, 4, ALL_MASKED.seed)
    other = copied(scheduler)
    first = walk(scheduler, rest, generators=row_generator(9), first_step=1)
    assert_same_steps(walk(other, rest, generators=row_generator(9), first_step=1), first)
    assert other.config == scheduler.config


@every_scheduler
def test_row_with_another_sample_starts_afresh_while_others_go_on(name: str) -> None:
    def generators(step: int) -> list[torch.Generator]:
        return [row_generator(100 * row + step) for row in range(3)]

    def steps(replaced_row: int | None) -> list[Any]:
        scheduler, sample, outputs = FACTORIES[name](), ALL_MASKED.sample, []
        for step in range(10):
            if step == 2 and replaced_row is not None:
                sample = sample.clone()
                sample[replaced_row] = torch.tensor([4, 4, 4, 4, 4, 0])
            output = scheduler.step(ALL_MASKED.logits(step), 0, sample, mask_token_id=4, generator=generators(step))
            sample = output.prev_sample
            outputs.append(output)
        return outputs

    plain, disturbed = steps(None), steps(1)
    for one, other in zip(plain, disturbed, strict=True):
        assert torch.equal(one.prev_sample[[0, 2]], other.prev_sample[[0, 2]])
    # Row 1 decodes its new sample as a scheduler that never saw the old one does.
    scheduler, sample = FACTORIES[name](), torch.tensor([[4, 4, 4, 4, 4, 0]])
    for step in range(2, 10):
        output = scheduler.step(
            ALL_MASKED.logits(step, rows=[1]),
            0,
            sample,
            mask_token_id=4,
            generator=generators(step)[1],
        )
        sample = output.prev_sample
        assert torch.equal(sample[0], disturbed[step].prev_sample[1])


@every_scheduler
@pytest.mark.parametrize("temperature", [None, 0.0, 1.0])
def test_who_draws_noise_says_so(name: str, temperature: float | None) -> None:
    scheduler, source = FACTORIES[name](temperature=temperature), row_generator(0)
    before = source.get_state()
    walk(scheduler, ALL_MASKED, generators=source)
    drew = not torch.equal(source.get_state(), before)
    if temperature == 1.0:
        assert scheduler.draws_noise
        return
    # The classes of the tests, which replace `step`, do what their parents do.
    made = next(cls for cls in type(scheduler).__mro__ if cls.__module__.startswith("samplers."))
    assert (made._draws_noise or scheduler.score_name == "random") is name.startswith(MAY_DRAW)
    # What may draw need not on a window as small as this one.
    assert name.startswith(MAY_DRAW) or not drew


def test_a_class_that_replaces_a_decision_is_taken_to_draw_noise_unless_it_says_otherwise() -> None:
    class Mine(ConfidenceScheduler):
        def score(self, step: Any, proposal: Any) -> Any:
            return proposal.confidence

    class Quiet(Mine):
        _draws_noise = False

    class Named(Quiet):
        pass

    assert [cls().draws_noise for cls in (ConfidenceScheduler, Mine, Quiet, Named)] == [False, True, False, False]
