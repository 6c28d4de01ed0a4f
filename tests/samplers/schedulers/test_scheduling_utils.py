"""The base class: arguments of step and set_timesteps, and what step returns."""

from functools import partial
from typing import Any

import pytest
import torch
from scheduler_cases import ALL_MASKED, FACTORIES, confident_logits, every_scheduler, row_generator, walk
from torch import Tensor

from samplers import ConfidenceScheduler, QuotaScheduler, UnmaskingScheduler, UnmaskingSchedulerOutput
from samplers.schedulers.scheduling_utils import Step
from samplers.schedulers.state import SampleState


def test_step_takes_what_llada2_pipeline_passes() -> None:
    output = ConfidenceScheduler(k=2).step(
        model_output=ALL_MASKED.logits(0),
        timestep=0,
        sample=ALL_MASKED.sample,
        mask_token_id=4,
        temperature=0.0,
        top_p=None,
        top_k=None,
        sampling_method="multinomial",
        threshold=0.95,
        editing_threshold=None,
        minimal_topk=1,
        prompt_mask=torch.zeros(6, dtype=torch.bool),
        generator=None,
        return_dict=True,
    )
    assert isinstance(output, UnmaskingSchedulerOutput)
    assert output.transfer_index.sum(dim=1).tolist() == [2, 2, 2]


def test_return_dict_false_gives_the_fields_in_order() -> None:
    output = ConfidenceScheduler().step(ALL_MASKED.logits(0), 0, ALL_MASKED.sample, mask_token_id=4)
    fields = ConfidenceScheduler().step(ALL_MASKED.logits(0), 0, ALL_MASKED.sample, mask_token_id=4, return_dict=False)
    assert isinstance(fields, tuple)
    assert list(output) == [
        "prev_sample",
        "transfer_index",
        "remask_index",
        "replace_index",
        "editing_transfer_index",
        "sampled_tokens",
        "sampled_probs",
        "invalid",
    ]
    for value, expected in zip(fields, output.values(), strict=True):
        assert torch.equal(value, expected)
    assert torch.equal(output[0], output.prev_sample)


def drawn(scheduler: Any, **arguments: Any) -> Tensor:
    logits = ALL_MASKED.logits(0).repeat(40, 1, 1)
    return scheduler.step(
        logits, 0, torch.full((120, 6), 4), mask_token_id=4, generator=row_generator(0), **arguments
    ).sampled_tokens


@pytest.mark.parametrize(
    ("argument", "own", "called"), [("temperature", 0.3, 3.0), ("top_k", 2, 1), ("top_p", 0.5, 0.9), ("top_k", 1, 3)]
)
def test_constructor_wins_over_the_call_and_none_is_taken_from_it(argument: str, own: Any, called: Any) -> None:
    common = {} if argument == "temperature" else {"temperature": 2.0}
    as_own = drawn(ConfidenceScheduler(**common, **{argument: own}))
    as_called = drawn(ConfidenceScheduler(**common, **{argument: called}))
    assert not torch.equal(as_own, as_called)
    assert torch.equal(drawn(ConfidenceScheduler(**common, **{argument: own}), **{argument: called}), as_own)
    assert torch.equal(drawn(ConfidenceScheduler(**common), **{argument: called}), as_called)


def test_temperature_zero_of_the_constructor_wins_over_the_call() -> None:
    greedy = drawn(ConfidenceScheduler())
    assert torch.equal(drawn(ConfidenceScheduler(temperature=0.0), temperature=5.0), greedy)
    assert not torch.equal(drawn(ConfidenceScheduler(), temperature=5.0), greedy)


def test_greedy_sampling_method_ignores_the_temperature() -> None:
    greedy = drawn(ConfidenceScheduler())
    assert torch.equal(drawn(ConfidenceScheduler(temperature=2.0), sampling_method="greedy"), greedy)
    assert torch.equal(drawn(ConfidenceScheduler(), sampling_method="multinomial"), greedy)
    assert not torch.equal(drawn(ConfidenceScheduler(temperature=2.0), sampling_method="multinomial"), greedy)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("temperature", -1.0),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("top_p", 0.0),
        ("top_p", 1.5),
        ("top_k", 0),
        ("top_k", 2.5),
    ],
)
@pytest.mark.parametrize("where", [*FACTORIES, "step"])
def test_shaping_of_the_proposal_is_validated(where: str, argument: str, value: Any) -> None:
    take_arguments = partial(drawn, ConfidenceScheduler()) if where == "step" else FACTORIES[where]
    with pytest.raises(ValueError, match=f"{argument}={value!r} should be"):
        take_arguments(**{argument: value})


def test_unknown_sampling_method_is_refused() -> None:
    with pytest.raises(ValueError, match=r"sampling_method='beam' .*auto, greedy, multinomial"):
        drawn(ConfidenceScheduler(), sampling_method="beam")


@pytest.mark.parametrize("logits_shape", [(3, 6), (3, 5, 5), (2, 6, 5), (1, 3, 6, 5)])
def test_shapes_that_do_not_fit_are_refused(logits_shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"model_output has shape .* and sample \(3, 6\)"):
        ConfidenceScheduler().step(torch.zeros(logits_shape), 0, ALL_MASKED.sample, mask_token_id=4)


def test_scheduler_that_selects_nothing_by_itself_says_what_is_missing() -> None:
    class Unfinished(UnmaskingScheduler):
        pass

    with pytest.raises(TypeError, match=r"Unfinished .*select"):
        Unfinished().step(ALL_MASKED.logits(0), 0, ALL_MASKED.sample, mask_token_id=4)


@every_scheduler
def test_timesteps_decrease_to_zero_on_the_device_asked_for(name: str) -> None:
    scheduler = FACTORIES[name]()
    scheduler.set_timesteps(device="cpu", block_length=8)
    timesteps = scheduler.timesteps
    assert timesteps.tolist() == list(range(len(timesteps) - 1, -1, -1))
    assert len(timesteps) >= 1


@pytest.mark.parametrize(
    ("argument", "value"), [("num_inference_steps", 0), ("block_length", 0), ("block_length", 2.0)]
)
def test_set_timesteps_refuses_numbers_below_one(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{argument}={value!r} .*at least 1"):
        ConfidenceScheduler().set_timesteps(**{argument: value})


def test_equal_scores_go_to_the_lowest_position_and_token() -> None:
    window = torch.full((1, 5), 3)
    for name in ("confidence", "margin", "entropy", "left_to_right"):
        output = FACTORIES[name]().step(torch.zeros(1, 5, 4), 0, window, mask_token_id=3)
        count = int(output.transfer_index.sum())
        assert output.transfer_index[0].tolist() == [position < count for position in range(5)]
        assert (output.sampled_tokens == 0).all()


def test_score_proposal_scores_the_distribution_that_is_drawn_from() -> None:
    logits = confident_logits([0.5, 0.6])
    shaped = ConfidenceScheduler(temperature=0.5, top_k=1, score_proposal=True)
    own = ConfidenceScheduler(temperature=0.5, top_k=1)
    sample = torch.full((1, 2), 3)
    assert shaped.step(logits, 0, sample, mask_token_id=3).sampled_probs.tolist() == [[1.0, 1.0]]
    torch.testing.assert_close(own.step(logits, 0, sample, mask_token_id=3).sampled_probs, torch.tensor([[0.5, 0.6]]))


def test_a_class_with_a_memory_of_its_own_need_not_name_what_the_base_classes_count() -> None:
    class Remembering(QuotaScheduler):
        def _new_state(self) -> SampleState:
            return SampleState({"looks": 0}, {"seen": 0})

        def select(self, step: Step, scores: Tensor) -> Tensor:
            self._state["looks"] = self._state["looks"] + 1
            return super().select(step, scores)

    class Bare(UnmaskingScheduler):
        def _new_state(self) -> SampleState:
            return SampleState(per_token=["seen"])

        def select(self, step: Step, scores: Tensor) -> Tensor:
            return step.masked

    remembering = Remembering(num_inference_steps=3, schedule="cosine")
    outputs = walk(remembering, ALL_MASKED)
    assert len(outputs) == 3
    assert remembering._state["looks"].tolist() == [3, 3, 3]
    assert len(walk(Bare(), ALL_MASKED)) == 1
