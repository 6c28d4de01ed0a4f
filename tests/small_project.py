"""A copy of the data part of the project with two small tasks, for tests that run its commands and change its data."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
TASKS = ["waiting_line_copy", "waiting_line_shuffle"]
ROWS = 8


class SmallProject:
    """The copy in `folder`: `generate_tasks.py`, `hub_dataset` with the tasks of `TASKS`, and the metric."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "hub_dataset", folder / "hub_dataset", ignore=ignore)
        shutil.copytree(ROOT / "metrics", folder / "metrics", ignore=ignore)
        shutil.copy(ROOT / "generate_tasks.py", folder)
        self.group = folder / "hub_dataset" / "tasks" / "waiting_line.yaml"
        content = yaml.safe_load(self.group.read_text(encoding="utf-8"))
        content["tasks"] = {name: content["tasks"][name] for name in ("copy", "shuffle")}
        content["settings"]["rows"] = ROWS
        for path in self.group.parent.iterdir():
            path.unlink()
        self.group.write_text(yaml.safe_dump(content), encoding="utf-8")

    def write_model(self, weights: bytes) -> Path:
        """Puts a stand-in for the reference model into `hub_model`; returns the folder."""
        folder = self.folder / "hub_model"
        folder.mkdir(exist_ok=True)
        for name in ("README.md", "config.json", "tokenizer.json", "training_log.jsonl"):
            (folder / name).write_text("{}\n", encoding="utf-8")
        (folder / "model.safetensors").write_bytes(weights)
        return folder

    def change_rows(self, wording: str) -> None:
        """Gives the prompts another beginning."""
        content = yaml.safe_load(self.group.read_text(encoding="utf-8"))
        content["settings"]["prompt"] = f"{wording}: {{context}}\n{{instruction}}"
        self.group.write_text(yaml.safe_dump(content), encoding="utf-8")

    def set_version(self, version: str) -> None:
        """Makes `version` the data's version."""
        path = self.folder / "hub_dataset" / "version.py"
        source = path.read_text(encoding="utf-8").replace(
            "HISTORY = {", f'HISTORY = {{\n    "{version}": "changed",', 1
        )
        path.write_text(source, encoding="utf-8")

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(self.folder / "generate_tasks.py"), *arguments]

    def run(self, *arguments: str, env: Mapping[str, str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Runs one of its commands; by default it works in its own folder."""
        return subprocess.run(
            self.command(*arguments), cwd=cwd or self.folder, env=dict(env), capture_output=True, text=True, check=False
        )


def run_python(code: str, env: Mapping[str, str], cwd: Path) -> str:
    """What a program prints that runs in a process of its own, without this repository on its path."""
    env = {name: value for name, value in env.items() if name != "PYTHONPATH"}
    result = subprocess.run([sys.executable, "-c", code], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout
