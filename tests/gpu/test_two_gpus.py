"""Two GPUs: a model spread over both has the logits and answers of one, and so has a worker on each."""

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from gpu_models import (
    LARGE,
    REHEARSED,
    MemoryWatch,
    call,
    command,
    compared,
    empty_caches,
    environment,
    note,
    on_a_gpu,
    samples,
    save_large,
    save_small,
)
from random_checkpoint import TINY_CONFIGS, write_checkpoint

from samplers import ConfidenceScheduler, generate, models

pytestmark = [
    *on_a_gpu,
    pytest.mark.skipif(not REHEARSED and torch.cuda.device_count() < 2, reason="there are no two GPUs"),
]

FIRST, SECOND = ("cpu", "cpu") if REHEARSED else ("cuda:0", "cuda:1")
RUN = ["--task", "waiting_line_shuffle", "--scheduler", "confidence:k=4", "--scheduler", "remdm:k=4"]
# Compiled layers round otherwise.
RUN += ["--max-new-tokens", "32", "--allow-unanswerable", "--samples", "32", "--no-compile"]


def places(model: Any) -> set[str]:
    return {str(parameter.device) for parameter in model.parameters()}


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 60, (3, 16), generator=generator).to(FIRST)
    mask = torch.ones_like(ids)
    mask[1, :5] = 0
    return ids, mask


@pytest.mark.parametrize("how", ["auto", "halves", "backwards"])
@pytest.mark.parametrize("family", TINY_CONFIGS)
def test_a_model_on_two_gpus_gives_what_it_gives_on_one(family: str, how: str, tmp_path: Path) -> None:
    # With fewer layers than four one GPU can get them all.
    four = {"num_hidden_layers": 4, "n_layers": 4, "moe_layer_freq": [0, 1, 1, 1]}
    # Each family names its layers in its own way, and refuses names that it does not know.
    layers = {key: value for key, value in four.items() if key in TINY_CONFIGS[family]}
    folder = write_checkpoint(tmp_path, TINY_CONFIGS[family] | layers, device=FIRST)
    one, other = (FIRST, SECOND) if how == "halves" else (SECOND, FIRST)
    tied = TINY_CONFIGS[family].get("tie_word_embeddings", False)
    halves = {"model.embed_tokens": one, "model.rotary_emb": one, "model.layers.0": one}
    halves |= {"model.layers.1": one, "model.layers.2": other, "model.layers.3": other}
    halves |= {"model.norm": other, "lm_head": one if tied else other}
    plain: Any = models.load(folder, device=FIRST)
    spread: Any = models.load(folder, device_map="auto" if how == "auto" else halves)
    assert places(spread) == ({FIRST} if REHEARSED else {FIRST, SECOND})
    ids, mask = inputs()
    with torch.no_grad():
        for options in ({}, {"logits_to_keep": torch.arange(8, 16, device=FIRST)}):
            wanted, found = (model(ids, attention_mask=mask, **options).logits for model in (plain, spread))
            assert found.device == wanted.device
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    answers = [
        generate(
            model, ids, attention_mask=mask, scheduler=ConfidenceScheduler(k=2, temperature=0.5), max_new_tokens=16,
            generator=[torch.Generator().manual_seed(row) for row in range(3)],
        ).sequences.tolist()
        for model in (plain, spread)
    ]  # fmt: skip
    assert answers[0] == answers[1]


def test_device_auto_runs_a_small_model_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.cli.run.show_report", lambda directory, published: None)
    folder = save_small(tmp_path / "small")
    for name, device in (("one", FIRST), ("both", "auto")):
        # Of a run in another folder nothing is taken.
        arguments = ["--device", device, "--dtype", "float32", "--output", str(tmp_path / name / "run")]
        result = call("run", "--model", str(folder), *RUN, *arguments)
        assert result.exit_code == 0, result.output
    note(f"two GPUs, small model, float32: {compared(tmp_path / 'one' / 'run', tmp_path / 'both' / 'run')[1]}")
    assert samples(tmp_path / "one" / "run") == samples(tmp_path / "both" / "run")


def test_a_worker_on_each_gpu_writes_the_bytes_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="workers take the package ray")
    monkeypatch.setattr("benchmark.cli.run.show_report", lambda directory, published: None)
    folder = save_small(tmp_path / "small")
    workers = ["--workers", "2"] if REHEARSED else ["--gpus", "2"]
    for name, how in (("one", ["--device", FIRST]), ("both", workers)):
        # Of a run in another folder nothing is taken.
        arguments = [*how, "--dtype", "float32", "--output", str(tmp_path / name / "run")]
        result = call("run", "--model", str(folder), *RUN, *arguments)
        assert result.exit_code == 0, result.output
    note(f"a worker on each of two GPUs, float32: {compared(tmp_path / 'one' / 'run', tmp_path / 'both' / 'run')[1]}")
    assert samples(tmp_path / "one" / "run") == samples(tmp_path / "both" / "run")


@pytest.mark.skipif(
    not REHEARSED and (not torch.cuda.is_available() or torch.cuda.get_device_properties(0).total_memory < LARGE),
    reason="the GPU is too small for eight billion weights",
)
def test_a_full_size_model_runs_on_two_gpus(tmp_path: Path) -> None:
    folder = save_large(tmp_path / "large")
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(10, 1000, (4, 160), generator=generator).to(FIRST)
    found = []
    for where in ({"device": FIRST}, {"device_map": "auto"}):
        model: Any = models.load(folder, dtype="bfloat16", **where)
        sizes: dict[str, int] = {}
        for parameter in model.parameters():
            device = str(parameter.device)
            sizes[device] = sizes.get(device, 0) + parameter.numel() * parameter.element_size()
        with torch.no_grad():
            found.append(model(ids, logits_to_keep=torch.arange(128, 160, device=FIRST)).logits)
        note(f"full size, {where}: " + ", ".join(f"{size / 1e9:.2f} GB on {device}" for device, size in sizes.items()))
        del model
        empty_caches()
    assert len(sizes) == (1 if REHEARSED else 2)
    assert found[0].device == found[1].device
    difference = (found[0] - found[1]).abs().max().item()
    note(f"  bfloat16 logits of one GPU and of two differ by at most {difference:g}")
    torch.testing.assert_close(found[0], found[1], atol=0.1, rtol=0.05)
    del found
    empty_caches()
    for name, device in (("one", FIRST), ("both", "auto")):
        began = time.monotonic()
        with MemoryWatch() as memory:
            done = subprocess.run(
                # Of a run in another folder nothing is taken.
                command(
                    "run", "--model", str(folder), *RUN, "--device", device, "--output", str(tmp_path / name / "run")
                ),
                capture_output=True,
                text=True,
                timeout=240,
                env=environment(tmp_path),
            )
        assert done.returncode == 0, done.stderr[-3000:]
        (line,) = [line for line in done.stdout.splitlines() if "tokens/s" in line and "done" in line]
        note(f"full size, --device {device}: {line.partition(': ')[2]}")
        note(f"  {time.monotonic() - began:.1f} s for the whole command, at most {memory} taken")
    note(f"  {compared(tmp_path / 'one' / 'run', tmp_path / 'both' / 'run')[1]}")
    assert samples(tmp_path / "both" / "run").keys() == samples(tmp_path / "one" / "run").keys()


def test_a_model_on_two_gpus_is_compiled(tmp_path: Path) -> None:
    # With fewer layers one GPU can get them all.
    folder = write_checkpoint(tmp_path, TINY_CONFIGS["llada"] | {"n_layers": 4}, device=FIRST)
    plain: Any = models.load(folder, device=FIRST)
    spread: Any = models.load(folder, device_map="auto")
    assert places(spread) == ({FIRST} if REHEARSED else {FIRST, SECOND})
    spread.compile(dynamic=True)
    ids, _ = inputs()
    with torch.no_grad():
        torch.testing.assert_close(spread(ids).logits, plain(ids).logits, atol=1e-3, rtol=1e-3)
