"""Which models are compiled: as the user says, else by their device and attention; tried at once, and recorded."""

import json
from pathlib import Path
from typing import Any

import pytest
from random_checkpoint import TINY_CONFIGS
from tiny_models import save_reference

from benchmark.models import HubModel, ModelOptions

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.mark.parametrize(
    ("family", "workers", "device", "asked", "compiled"),
    [
        ("llada", "cuda", None, None, True),
        ("llada", "cuda", None, False, False),
        ("llada", "cpu", None, None, False),
        ("llada", None, "cpu", True, True),
        ("llada", None, "auto", None, False),
        # A KV cache, and prompts that never see their answers.
        ("sdar", "cuda", None, None, False),
        ("parallelbench", "cuda", None, None, False),
    ],
)
def test_the_device_decides_whether_a_model_is_compiled_unless_the_user_does(
    family: str,
    workers: str | None,
    device: str | None,
    asked: bool | None,
    compiled: bool,
    elsewhere: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmark.models.hub._has_compiler", lambda: True)
    Path("model").mkdir()
    Path("model/config.json").write_text(json.dumps(TINY_CONFIGS[family]))
    # What workers are to load is decided where there may be no GPU.
    model = HubModel("model", ModelOptions(device=device, of_workers=workers, compile=asked, chats=False))
    assert model.compiled is compiled


def test_without_a_compiler_a_gpu_decodes_as_it_is(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.models.hub.find_spec", lambda name: None)
    Path("model").mkdir()
    Path("model/config.json").write_text(json.dumps(TINY_CONFIGS["llada"]))
    assert not HubModel("model", ModelOptions(of_workers="cuda", compile=None)).compiled


class _Compiled:
    """Stands for a network: how it was compiled, and called."""

    mask_token_id = 3

    def __init__(self) -> None:
        self.told: list[Any] = []

    def compile(self, **options: Any) -> None:
        self.told.append(options)

    def __call__(self, ids: Any) -> None:
        self.told.append(tuple(ids.shape))


@pytest.mark.parametrize("asked", [True, False, None])
def test_what_is_compiled_is_tried_at_once_and_recorded(
    asked: bool | None, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = _Compiled()
    monkeypatch.setattr("samplers.models.load", lambda *arguments, **options: network)
    model = HubModel(str(save_reference(elsewhere / "model")), ModelOptions(compile=asked))
    model.for_task([], 8)
    assert network.told == ([{"dynamic": True}, (2, 8)] if asked else [])
    assert ("compiled" in model.record()) == bool(asked)
