"""Directories: what must lie in one, and what the absence of each file is called."""

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import HfHubHTTPError
from random_checkpoint import written

from samplers import models


@pytest.mark.parametrize("index", [{}, {"weight_map": {}}, {"weight_map": ["model.safetensors"]}])
def test_index_that_names_no_files_is_one_line(tmp_path: Path, index: dict[str, Any]) -> None:
    folder = written(tmp_path, "sdar")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"model\.safetensors\.index\.json has no weight_map"):
        models.load(folder)


def test_missing_shard_is_named(tmp_path: Path) -> None:
    folder = written(tmp_path, "llada", shards=2)
    (folder / "model-00001-of-00002.safetensors").unlink()
    with pytest.raises(ValueError, match=r"has no model-00001-of-00002.safetensors"):
        models.load(folder)


def test_directories_that_hold_no_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the name of the model is empty"):
        models.load("")
    with pytest.raises(ValueError, match=r"has no config.json, so it holds no model"):
        models.load(tmp_path)
    with pytest.raises(ValueError, match="there is no directory"):
        models.load(tmp_path / "nowhere")
    folder = written(tmp_path, "llada")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"has no model.safetensors; only weights in safetensors are read"):
        models.load(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        models.load(folder)
    with pytest.raises(ValueError, match="is a file; a model is a directory"):
        models.load(folder / "config.json")


def test_broken_connection_is_one_line_that_quotes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    transport_error: Any = HfHubHTTPError.__bases__[0]

    def break_off(*_: Any, **__: Any) -> None:
        raise transport_error("GET https://ada:hf_secret@localhost\nclosed")

    monkeypatch.setattr("huggingface_hub.snapshot_download", break_off)
    with pytest.raises(ValueError, match=r"^'ada/tiny' on \S+ could not be downloaded \(\w+\); call again") as caught:
        models.find("ada/tiny")
    assert "hf_secret" not in str(caught.value)


def test_the_model_that_ships_with_the_project_is_found_by_name_unless_a_directory_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark.models import reference

    monkeypatch.chdir(tmp_path)
    assert models.find("reference").directory == reference.DIRECTORY
    (tmp_path / "reference").mkdir()
    assert models.find("reference").directory == Path("reference")
    monkeypatch.chdir(tmp_path / "reference")
    monkeypatch.setattr("samplers.models.sources._shipped", lambda: None)
    with pytest.raises(ValueError, match="there is no model 'reference'"):
        models.find("reference")
