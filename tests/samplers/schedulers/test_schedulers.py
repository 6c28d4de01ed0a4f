"""The names of the schedulers, and what they share with the schedulers of diffusers."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from diffusers import BlockRefinementScheduler, SchedulerMixin
from diffusers.configuration_utils import ConfigMixin
from diffusers.utils import BaseOutput
from scheduler_cases import FACTORIES, every_scheduler

import samplers
from samplers import (
    EntropyScheduler,
    RandomScheduler,
    RCRScheduler,
    ThresholdScheduler,
    UnmaskingSchedulerOutput,
    built_in_scheduler_names,
    protocol_scheduler_names,
    scheduler_class,
    scheduler_names,
)

every_class = pytest.mark.parametrize("cls", [scheduler_class(name) for name in built_in_scheduler_names()])


def settings_of(scheduler: Any) -> dict[str, Any]:
    return {key: value for key, value in scheduler.config.items() if not key.startswith("_")}


def test_protocol_names_are_those_of_the_nine_methods_and_come_first() -> None:
    assert scheduler_names()[:9] == protocol_scheduler_names()
    assert protocol_scheduler_names() == [
        "random",
        "left_to_right",
        "confidence",
        "margin",
        "entropy",
        "threshold",
        "factor",
        "rcr",
        "remdm",
    ]


@pytest.mark.parametrize("name", built_in_scheduler_names())
def test_short_and_full_name_give_the_class(name: str) -> None:
    cls = scheduler_class(name)
    assert scheduler_class(cls.__name__) is cls is getattr(samplers, cls.__name__)


@pytest.mark.parametrize("name", ["Entropy", "UnmaskingScheduler", "", "lazy_exports"])
def test_unknown_scheduler_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match=f"unknown scheduler {name!r}; known are random, left_to_right, .*, remdm, "):
        scheduler_class(name)


def test_listing_names_imports_nothing_heavy() -> None:
    code = "import sys, samplers; samplers.scheduler_names(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@every_class
def test_class_can_be_built_without_arguments(cls: Any) -> None:
    scheduler = cls()
    assert isinstance(scheduler, SchedulerMixin)
    assert isinstance(scheduler, ConfigMixin)
    steps = {"ReMDMScheduler": 33, "DilatedScheduler": 5, "AscendingScheduler": 5}
    assert len(scheduler.timesteps) == steps.get(cls.__name__, 32)


@every_class
def test_positional_arguments_are_refused(cls: Any) -> None:
    with pytest.raises(TypeError, match="positional"):
        cls(4)


@every_scheduler
def test_save_pretrained_round_trip(name: str, tmp_path: Path) -> None:
    scheduler = FACTORIES[name](temperature=0.5, top_k=7, top_p=0.9, score_proposal=True)
    scheduler.save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["scheduler_config.json"]
    loaded = type(scheduler).from_pretrained(tmp_path)
    assert type(loaded) is type(scheduler)
    assert settings_of(loaded) == settings_of(scheduler)
    changed = type(scheduler).from_pretrained(tmp_path, temperature=0.25)
    assert settings_of(changed) == settings_of(scheduler) | {"temperature": 0.25}


@every_scheduler
def test_from_config_round_trip(name: str) -> None:
    scheduler = FACTORIES[name](temperature=0.5)
    for config in (scheduler.config, dict(scheduler.config)):
        assert settings_of(type(scheduler).from_config(config)) == settings_of(scheduler)


@every_class
def test_every_class_is_built_from_every_others_config(cls: Any) -> None:
    for name in FACTORIES:
        other = FACTORIES[name](temperature=0.5, score_proposal=True)
        built = cls.from_config(other.config)
        assert built.config.temperature == 0.5
        assert built.config.score_proposal is True
        shared = {"k", "num_inference_steps"} & set(built.config) & set(other.config)
        assert all(built.config[key] == other.config[key] for key in shared)


def test_config_of_diffusers_own_scheduler_is_taken() -> None:
    built = EntropyScheduler.from_config(BlockRefinementScheduler().config, k=4)
    assert (built.config.k, built.config.num_inference_steps) == (4, None)
    explicit = BlockRefinementScheduler(num_inference_steps=8, threshold=0.5).config
    assert EntropyScheduler.from_config(explicit).config.num_inference_steps == 8
    assert ThresholdScheduler.from_config(explicit).config.threshold == 0.5


@pytest.mark.parametrize(
    "source", [BlockRefinementScheduler(num_inference_steps=8), RCRScheduler(num_inference_steps=8)]
)
def test_k_given_by_hand_sets_the_steps_of_a_config_aside(source: Any) -> None:
    for config in (source.config, dict(source.config)):
        built = EntropyScheduler.from_config(config, k=4)
        assert (built.config.k, built.config.num_inference_steps) == (4, None)


def test_steps_given_by_hand_set_the_k_of_a_config_aside(tmp_path: Path) -> None:
    built = EntropyScheduler.from_config(RandomScheduler(k=3).config, num_inference_steps=5)
    assert (built.config.k, built.config.num_inference_steps) == (None, 5)
    RandomScheduler(k=3).save_pretrained(tmp_path)
    loaded = EntropyScheduler.from_pretrained(tmp_path, num_inference_steps=5)
    assert (loaded.config.k, loaded.config.num_inference_steps) == (None, 5)


def test_k_and_steps_both_given_by_hand_are_refused() -> None:
    with pytest.raises(ValueError, match="k=2 and num_inference_steps=5"):
        EntropyScheduler.from_config(RandomScheduler().config, k=2, num_inference_steps=5)


def test_from_config_leaves_the_config_as_it_was() -> None:
    config = RandomScheduler(k=3).config
    before = dict(config)
    EntropyScheduler.from_config(config, num_inference_steps=5)
    assert dict(config) == before


@every_class
def test_all_schedulers_are_compatible(cls: Any) -> None:
    ours = [scheduler_class(name) for name in built_in_scheduler_names()]
    assert cls().compatibles == [*ours, BlockRefinementScheduler]


def test_scheduler_of_ones_own_is_compatible_with_itself_too() -> None:
    class OwnScheduler(EntropyScheduler):
        pass

    assert OwnScheduler().compatibles == [OwnScheduler, *EntropyScheduler().compatibles]


def test_output_is_one_of_diffusers() -> None:
    assert issubclass(UnmaskingSchedulerOutput, BaseOutput)
