"""What a step hands to the decisions of a scheduler."""

import pytest
import torch
from scheduler_cases import ALL_MASKED

from samplers.schedulers import ModelView
from samplers.schedulers.scheduling_utils import Step as StepOfTheBaseClass
from samplers.schedulers.step import Step


def step_with(**thresholds: float | None) -> Step:
    masked = ALL_MASKED.sample == 4
    return Step(ALL_MASKED.sample, masked, torch.ones(3, dtype=torch.bool), 4, None, ModelView(None), **thresholds)


def test_step_is_found_where_the_base_class_is() -> None:
    assert StepOfTheBaseClass is Step


def test_nothing_is_proposed_before_propose_has_returned() -> None:
    with pytest.raises(AttributeError, match="nothing is proposed yet"):
        _ = step_with().proposal


@pytest.mark.parametrize("name", ["threshold", "editing_threshold"])
def test_own_number_wins_over_the_called_one_and_one_of_both_is_needed(name: str) -> None:
    called = step_with(**{name: 0.5})
    assert called.called(name, None) == 0.5
    assert called.called(name, 0.25) == 0.25
    assert called.called(name, 0.0) == 0.0
    with pytest.raises(ValueError, match=f"^{name}=None: give a number"):
        step_with().called(name, None)
