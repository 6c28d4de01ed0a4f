"""Small models on a GPU: automatic batches, memory that runs out, compiled and quantised, killed and gone on with."""

import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from gpu_models import (
    DEVICE,
    REHEARSED,
    call,
    command,
    compared,
    environment,
    note,
    on_a_gpu,
    only_left,
    samples,
    save_small,
)
from scheduler_cases import FACTORIES
from support import heed_interrupts
from tiny_models import questions
from toy_denoiser import ToyDenoiser

from benchmark.engine.worker import TaskDecoder
from benchmark.models import HubModel, ModelOptions
from benchmark.models.interface import AnswerOptions
from benchmark.protocol.method import Method
from benchmark.store.runs import RunStore
from samplers import generate, models
from samplers.schedulers.vocabulary import _likeliest_by_digits, _likeliest_by_sorting

pytestmark = [*on_a_gpu, pytest.mark.usefixtures("elsewhere", "without_report")]

TASK = "waiting_line_shuffle"
THREE = ["--scheduler", "confidence:k=4", "--scheduler", "threshold:threshold=0.9", "--scheduler", "remdm:k=4"]
RUN = ["--device", DEVICE, "--task", TASK, *THREE, "--samples", "64", "--max-new-tokens", "32"]
# Compiled layers round otherwise.
RUN += ["--allow-unanswerable", "--no-compile"]
MEGABYTES_LEFT = 300


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def in_small_batches(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of `RUN` in batches of four, which take long enough to be ended halfway."""
    return run_through(small, tmp_path_factory.mktemp("runs") / "in-small-batches", "--batch-size", "4")


def run_through(small: Path, output: Path, *more: str) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmark.cli.run.show_report", lambda directory, published: None)
        result = call("run", "--model", str(small), *RUN, *more, "--output", str(output))
    assert result.exit_code == 0, result.output
    assert "did not fit" not in result.stdout
    return output


@pytest.mark.parametrize("name", FACTORIES)
def test_a_scheduler_decodes_on_the_gpu_what_it_decodes_on_the_processor(name: str) -> None:
    prompts = torch.arange(3 * 5).reshape(3, 5) % 40
    found = []
    for device in ("cpu", DEVICE):
        sources = [torch.Generator().manual_seed(row) for row in range(3)]
        scheduler = FACTORIES[name](temperature=0.7)
        model = ToyDenoiser().to(device)
        output = generate(model, prompts.to(device), scheduler=scheduler, max_new_tokens=16, generator=sources)
        assert output.sequences.device.type == torch.device(device).type
        found.append((output.sequences.tolist(), output.num_forward_passes.tolist()))
    assert found[0] == found[1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("share", [1e-12, 0.5, 0.9, 0.999999])
def test_the_nucleus_is_the_same_by_sorting_on_the_gpu_and_by_digits_on_the_processor(
    dtype: torch.dtype, share: float
) -> None:
    source = torch.Generator().manual_seed(0)
    rows = [
        3 * torch.randn(126_464, generator=source),
        (3 * torch.randn(126_464, generator=source)).bfloat16().float(),
        torch.randint(0, 3, (126_464,), generator=source).float(),  # equals, of which the lowest ids stay
        torch.zeros(126_464),
        torch.zeros(126_464).index_fill_(0, torch.tensor([126_463]), 1e4),  # all mass on one
    ]
    # Of the same probabilities: their last bits are the device's own.
    probabilities, wanted = torch.stack(rows).to(dtype).softmax(dim=-1), round(share * 2**52)
    found = _likeliest_by_sorting(probabilities.to(DEVICE), wanted).cpu()
    assert torch.equal(found, _likeliest_by_digits(probabilities, wanted))
    assert (found.sum(dim=-1) >= 1).all()


def test_the_automatic_batch_follows_the_free_memory_and_fits(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = HubModel(str(small), ModelOptions(device=DEVICE, dtype="float32"))
    rows = questions(TASK, 100)
    prepared = model.for_task(rows, 32)
    assert torch.device(prepared.device).type == DEVICE
    notices: list[str] = []
    decoder = TaskDecoder(model, prepared, rows, AnswerOptions(max_new_tokens=32, notice=notices.append))
    sizes = {}
    for megabytes in (20_000, 2_000, 500, 100):
        if torch.cuda.is_available() and torch.cuda.mem_get_info()[0] < megabytes << 20:
            continue
        with only_left(megabytes, monkeypatch, rows_that_fit=100):
            size = sizes[megabytes] = decoder.batch_size = model.batch_size(prepared, decoder.longest_prompt, 32)
            found = list(decoder.answers(Method.of("confidence", {"k": 8})))
            assert sum(len(answered.samples) for answered in found) == 100
            assert (decoder.batch_size, notices) == (size, []), "what is chosen should fit"
    note(f"small model in float32, rows chosen by megabytes free: {sizes}")
    if not REHEARSED:
        assert list(sizes.values()) == sorted(sizes.values(), reverse=True)
        assert min(sizes.values()) < max(sizes.values())


def test_memory_that_runs_out_halves_the_batch_and_changes_no_answer(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["run", "--model", str(small), *RUN, "--batch-size", "64", "--output", "run"]
    with only_left(MEGABYTES_LEFT, monkeypatch):
        result = call(*arguments)
    assert result.exit_code == 0, result.output
    halved = [line for line in result.stdout.splitlines() if "rows did not fit into memory" in line]
    assert halved, result.stdout
    note(f"small model, float32, {MEGABYTES_LEFT} MB left: {'; '.join(line.partition(': ')[2] for line in halved)}")
    # In batches of another size the last bits of logits are others, which may decide between two tokens.
    (rows,) = re.findall(r"going on with (\d+)", halved[-1])
    undisturbed = run_through(small, tmp_path / "undisturbed", "--batch-size", rows)
    share, words = compared(undisturbed, Path("run"))
    note(f"  beside an undisturbed run in batches of {rows}: {words}")
    assert samples(Path("run")).keys() == samples(undisturbed).keys()
    assert share > 0.95


def test_a_row_that_does_not_fit_is_one_line(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["run", "--model", str(small), *RUN, "--max-new-tokens", "1024", "--output", "run"]
    with only_left(200, monkeypatch, rows_that_fit=0):
        result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert "is too small for a single row of" in result.stderr
    assert result.stderr.count("\n") == 1
    assert call("run", "--model", str(small), *RUN, "--output", "run2").exit_code == 0, "the memory is free again"


def test_weights_that_do_not_fit_are_one_line(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if REHEARSED:
        pytest.skip("takes a GPU: memory that runs out while loading is acted elsewhere")
    with only_left(16, monkeypatch):
        result = call("run", "--model", str(small), *RUN, "--output", "run")
    assert result.exit_code == 2, result.output
    assert "does not fit into the memory of" in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_checkpoint_s_dtype_holds_on_a_gpu(tmp_path: Path, elsewhere: Path) -> None:
    folder = save_small(tmp_path / "half", torch.bfloat16)
    result = call("run", "--model", str(folder), *RUN, "--samples", "4", "--output", "run")
    assert result.exit_code == 0, result.output
    store = RunStore("run")
    (entry,) = store.read_settings()["models"]
    assert entry["dtype"] == ("float32" if REHEARSED else "bfloat16")
    place = "cpu" if REHEARSED else torch.cuda.get_device_name()
    assert store.read_settings()["devices"] == {str(folder): [place]}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_halfway_goes_on_to_the_same_bytes(
    how: signal.Signals, small: Path, in_small_batches: Path, elsewhere: Path
) -> None:
    arguments = ["run", "--model", str(small), *RUN, "--batch-size", "4", "--output", "run"]
    process = subprocess.Popen(
        command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(elsewhere),
        preexec_fn=heed_interrupts,
    )
    try:
        limit = time.monotonic() + 100
        while not samples(Path("run")):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < limit
            time.sleep(0.01)
        process.send_signal(how)
        printed = process.communicate(timeout=60)[0]
    finally:
        process.kill()
        process.communicate()
    if how == signal.SIGINT:
        assert "what is finished is kept, and the same command goes on from here" in printed
    kept = samples(Path("run"))
    assert 1 <= len(kept) < 3, "it should have been ended halfway"
    times = {name: Path("run", name).stat().st_mtime_ns for name in kept}
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    assert f"{len(kept)} of 3 settings are on disk; going on with the rest" in result.stdout
    assert {name: Path("run", name).stat().st_mtime_ns for name in kept} == times
    note(f"{how.name} after {len(kept)} of 3 settings, gone on with: {compared(in_small_batches, Path('run'))[1]}")
    assert samples(Path("run")) == samples(in_small_batches)


def test_a_compiled_model_gives_the_logits_of_the_plain_one(small: Path) -> None:
    plain: Any = models.load(small, device=DEVICE)
    compiled: Any = models.load(small, device=DEVICE)
    compiled.compile(dynamic=True)
    for rows, length in ((1, 40), (5, 64), (3, 65)):
        ids = torch.randint(10, 1000, (rows, length), device=DEVICE)
        mask = torch.ones_like(ids)
        mask[:, : rows - 1] = 0
        with torch.no_grad():
            wanted, found = plain(ids, attention_mask=mask).logits, compiled(ids, attention_mask=mask).logits
        torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-3)


def test_linear_layers_are_quantised_on_the_gpu(small: Path, tmp_path: Path) -> None:
    pytest.importorskip("torchao")
    from torchao.quantization import Int8WeightOnlyConfig
    from transformers import TorchAoConfig

    plain: Any = models.load(small, device=DEVICE)
    quantised: Any = models.load(small, device=DEVICE, quantization_config=TorchAoConfig(Int8WeightOnlyConfig()))
    weight = quantised.model.layers[0].mlp.up_proj.weight
    assert weight.device.type == DEVICE
    assert type(weight) is not torch.nn.Parameter
    ids = torch.randint(10, 1000, (2, 50), device=DEVICE)
    with torch.no_grad():
        wanted, found = plain(ids).logits, quantised(ids).logits
    error = ((found - wanted).norm() / wanted.norm()).item()
    note(f"small model, torchao int8 weights: logits differ by {error:.1%} of their norm")
    assert 0 < error < 0.1
