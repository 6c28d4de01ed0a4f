"""A pipeline that was saved with one of our schedulers is loaded with the same one, and decodes the same tokens."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import BlockRefinementScheduler, LLaDA2Pipeline
from record_saved_configs import arguments_of
from support import ROOT
from tiny_pipeline import tiny_model, tiny_tokenizer

import samplers
from samplers import EntropyScheduler, WINOScheduler, built_in_scheduler_names, scheduler_class

PROMPT = "word0 word1 word2 word3"
OWN_MODULE = """
from samplers import UnmaskingScheduler


class AllAtOnceScheduler(UnmaskingScheduler):
    def select(self, step, scores):
        return step.masked
"""


def saved(scheduler: Any, directory: Path) -> Any:
    pipe = LLaDA2Pipeline(model=tiny_model(), scheduler=scheduler, tokenizer=tiny_tokenizer())
    pipe.save_pretrained(directory)
    return pipe


def loaded(directory: Any, **components: Any) -> Any:
    # With its own scheduler, too, diffusers does not load the tokenizer that it has saved: it is optional there.
    return LLaDA2Pipeline.from_pretrained(directory, tokenizer=tiny_tokenizer(), **components)


def tokens_of(pipe: Any) -> list[list[int]]:
    if pipe.scheduler.wants.shadow_logits or pipe.scheduler.wants.attentions:
        return []
    pipe.set_progress_bar_config(disable=True)
    arguments = {"gen_length": 8, "block_length": 8, "editing_threshold": None, "eos_early_stop": False}
    output = pipe(prompt=PROMPT, generator=torch.Generator().manual_seed(0), **arguments)
    tokens: list[list[int]] = output.sequences.tolist()
    return tokens


def settings_of(scheduler: Any) -> dict[str, Any]:
    return {key: value for key, value in scheduler.config.items() if not key.startswith("_")}


@pytest.mark.parametrize("name", built_in_scheduler_names())
def test_loaded_pipeline_has_the_same_scheduler_and_decodes_the_same_tokens(name: str, tmp_path: Path) -> None:
    cls = scheduler_class(name)
    pipe = saved(cls(temperature=0.5, **arguments_of(cls)), tmp_path)
    again = loaded(tmp_path)
    assert type(again.scheduler) is cls
    assert settings_of(again.scheduler) == settings_of(pipe.scheduler)
    assert tokens_of(again) == tokens_of(pipe)


def test_another_scheduler_may_be_given_when_a_pipeline_is_loaded(tmp_path: Path) -> None:
    saved(EntropyScheduler(k=3), tmp_path)
    for given in (WINOScheduler(), BlockRefinementScheduler(), EntropyScheduler(k=5)):
        assert loaded(tmp_path, scheduler=given).scheduler is given
    with pytest.raises(ValueError, match="should be"):
        loaded(tmp_path, scheduler=tiny_tokenizer())


@pytest.mark.slow
def test_a_process_that_only_imports_the_package_loads_them_all(tmp_path: Path) -> None:
    expected = {}
    for name in built_in_scheduler_names():
        cls = scheduler_class(name)
        pipe = saved(cls(temperature=0.5, **arguments_of(cls)), tmp_path / name)
        expected[name] = [settings_of(pipe.scheduler), tokens_of(pipe)]
    code = """
import json, sys
import samplers
assert "torch" not in sys.modules
from diffusers import LLaDA2Pipeline
from tiny_pipeline import tiny_tokenizer
assert not [name for name in sys.modules if name.startswith("samplers.schedulers")]
pipes = {}
for name in json.loads(sys.argv[1]):
    pipes[name] = LLaDA2Pipeline.from_pretrained(name, tokenizer=tiny_tokenizer())
sys.path.append(sys.argv[2])
from test_diffusers_saved_pipeline import settings_of, tokens_of
print(json.dumps({name: [settings_of(pipe.scheduler), tokens_of(pipe)] for name, pipe in pipes.items()}))
"""
    assert run(code, tmp_path, json.dumps(list(expected)), str(Path(__file__).parent)) == expected


@pytest.mark.slow
def test_a_class_in_a_module_of_ones_own_is_found_there(tmp_path: Path) -> None:
    (tmp_path / "own_methods.py").write_text(OWN_MODULE)
    save = """
import json
from diffusers import LLaDA2Pipeline
from own_methods import AllAtOnceScheduler
from tiny_pipeline import tiny_model, tiny_tokenizer
scheduler = AllAtOnceScheduler(temperature=0.25)
LLaDA2Pipeline(model=tiny_model(), scheduler=scheduler, tokenizer=None).save_pretrained("pipe")
print(json.dumps(json.load(open("pipe/model_index.json"))["scheduler"]))
"""
    load = """
import json
import own_methods
from diffusers import LLaDA2Pipeline
scheduler = LLaDA2Pipeline.from_pretrained("pipe", tokenizer=None).scheduler
assert type(scheduler) is own_methods.AllAtOnceScheduler
print(json.dumps(scheduler.config.temperature))
"""
    assert run(save, tmp_path) == ["own_methods", "AllAtOnceScheduler"]
    assert run(load, tmp_path) == 0.25


def test_classes_still_say_where_they_stand() -> None:
    assert EntropyScheduler.__module__ == "samplers.schedulers.scheduling_entropy"
    assert EntropyScheduler().__module__ == "samplers"
    assert "SchedulerMixin" not in dir(samplers)


def run(code: str, directory: Path, *arguments: str) -> Any:
    """What a fresh process that runs `code` in `directory` prints last, read as JSON."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(directory)])}
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=directory, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])
