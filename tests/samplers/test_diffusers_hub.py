"""Schedulers on the Hub: pushed with the real client to a Hub on loopback, and loaded back from there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from loopback_hub import loopback_hub
from support import ROOT

TOKEN = "hf_ada"

PUSH = """
import json
import samplers
from record_saved_configs import arguments_of

pushed = {}
for name in samplers.built_in_scheduler_names():
    cls = samplers.scheduler_class(name)
    scheduler = cls(temperature=0.5, **arguments_of(cls))
    scheduler.push_to_hub(f"ada/{name}", commit_message=f"Add {name}")
    scheduler.save_pretrained("local/" + name, push_to_hub=True, repo_id=f"ada/saved-{name}")
    pushed[name] = {key: value for key, value in scheduler.config.items() if not key.startswith("_")}
print(json.dumps(pushed))
"""

LOAD = """
import json
import samplers

found = {}
for name in samplers.built_in_scheduler_names():
    cls = samplers.scheduler_class(name)
    scheduler = cls.from_pretrained(f"ada/{name}")
    again = cls.from_pretrained(f"ada/saved-{name}", revision="main")
    assert dict(scheduler.config) == dict(again.config)
    other = samplers.EntropyScheduler.from_config(cls.load_config(f"ada/{name}"), num_inference_steps=None, k=3)
    assert other.config.temperature == 0.5
    found[name] = {key: value for key, value in scheduler.config.items() if not key.startswith("_")}
print(json.dumps(found))
"""


@pytest.mark.slow
def test_every_scheduler_is_pushed_to_the_hub_and_loaded_from_there(tmp_path: Path) -> None:
    with loopback_hub({TOKEN: "ada"}) as hub:

        def run(code: str, environment: dict[str, str]) -> dict[str, dict[str, object]]:
            environment["PYTHONPATH"] = f"{ROOT}:{ROOT / 'tests'}"
            result = subprocess.run(
                [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert result.returncode == 0, result.stderr
            loaded: dict[str, dict[str, object]] = json.loads(result.stdout.splitlines()[-1])
            return loaded

        pushed = run(PUSH, hub.environment(tmp_path / "writer", TOKEN))
        assert list(hub.repositories["model", "ada/entropy"].titles.values()) == ["initial commit", "Add entropy"]
        assert "scheduler_config.json" in hub.files("model", "ada/saved-entropy")
        assert run(LOAD, hub.environment(tmp_path / "reader")) == pushed
