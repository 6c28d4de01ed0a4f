"""Captured passes: the same tokens as eagerly for every model that can be captured, and nothing lost where none can."""

import gc
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from host_recorder import HostRecorder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_checkpoint import TINY_CONFIGS, write_checkpoint
from support import slow_except
from torch import Tensor, nn

from samplers import (
    ConfidenceScheduler,
    DAPDScheduler,
    KLASSScheduler,
    ReMDMScheduler,
    ThresholdScheduler,
    VerifiedScheduler,
    WINOScheduler,
    generate,
    models,
    stream,
)
from samplers.denoisers import capturing, graphs

MASK, ANSWER_START = 63, 62
#: The tokens of its blocks choose their experts together, at places that Python works out.
NEVER = ("llada2_2",)
#: One of each kind of attention.
KINDS = ("llada", "sdar", "parallelbench", "nemotron_labs_diffusion", "dream", "llada2")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("tiny")
    return {name: models.load(write_checkpoint(folder / name, config)) for name, config in TINY_CONFIGS.items()}


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(capturing.RECORDERS, "cpu", HostRecorder)
    HostRecorder.captures = HostRecorder.replays = 0
    HostRecorder.error = None
    graphs._OF_MODELS.clear()
    yield
    graphs._OF_MODELS.clear()


def prompts(paddings: list[int], length: int, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 60, (len(paddings), length), generator=generator)
    ids[:, -1] = ANSWER_START
    mask = torch.ones_like(ids)
    for row, padding in enumerate(paddings):
        mask[row, :padding] = 0
    return {"input_ids": ids, "attention_mask": mask}


def decoded(model: Any, given: dict[str, Tensor], compile: str, **options: Any) -> tuple[Any, ...]:
    options = {"scheduler": ConfidenceScheduler(k=1), "max_new_tokens": 8} | options
    output = generate(model, mask_token_id=MASK, compile=compile, **given, **options)
    return output.sequences.tolist(), output.num_forward_passes.tolist()


# One of each kind of attention, and experts.
@pytest.mark.parametrize("name", slow_except(("llada", "llada2", "nemotron_labs_diffusion", "sdar"), TINY_CONFIGS))
@given(
    paddings=st.lists(st.integers(0, 4), min_size=1, max_size=3),
    prompt=st.integers(5, 9),
    new=st.integers(1, 10),
    block=st.sampled_from([1, 2, 3, 4, 8]),
    cache=st.sampled_from([None, "prefix", "dual"]),
    k=st.integers(1, 3),
    data=st.data(),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_same_tokens_as_eagerly(
    tiny: dict[str, Any],
    name: str,
    paddings: list[int],
    prompt: int,
    new: int,
    block: int,
    cache: str | None,
    k: int,
    data: st.DataObject,
) -> None:
    cache = None if name in NEVER and cache == "dual" else cache
    before = HostRecorder.replays
    # The graphs and buffers of one example serve the next ones, and a batch that has shrunk.
    for batch in range(len(paddings), 0, -1):
        options = {"scheduler": ConfidenceScheduler(k=k), "max_new_tokens": new, "block_length": block, "cache": cache}
        rows = prompts(paddings[:batch], prompt, data.draw(st.integers(0, 3)))
        expected = decoded(tiny[name], rows, "off", **options)
        for choice in ("auto", "graphs"):
            assert decoded(tiny[name], rows, choice, **options) == expected
    assert (HostRecorder.replays == before) == (name in NEVER)


SCHEDULERS = {
    "shadow tokens": lambda: WINOScheduler(),
    "drafts": lambda: VerifiedScheduler(threshold=None, accept=0, drafts=3),
    "attentions": lambda: DAPDScheduler(),
    "revised blocks": lambda: ReMDMScheduler(k=1),
    "memory of the steps before": lambda: KLASSScheduler(),
    "as many as are sure": lambda: ThresholdScheduler(threshold=0.3),
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("method", SCHEDULERS)
@pytest.mark.parametrize("cfg_scale", slow_except([0.0], [0.0, 1.5]))
def test_every_kind_of_method_gets_what_it_gets_eagerly(
    tiny: dict[str, Any], name: str, method: str, cfg_scale: float
) -> None:
    if method == "shadow tokens" and tiny[name].shift:
        pytest.skip("shifted models have none")
    found = []
    for choice in ("off", "auto", "graphs"):
        options = {"scheduler": SCHEDULERS[method](), "block_length": 4, "cfg_scale": cfg_scale}
        generator = torch.Generator().manual_seed(0)
        found.append(decoded(tiny[name], prompts([0, 3], 9), choice, generator=generator, **options))
    assert found[0] == found[1] == found[2]
    assert (HostRecorder.replays > 0) == (method != "attentions")


@pytest.mark.parametrize("name", ["llada", "sdar"])
@pytest.mark.parametrize("scale", [0.0, 1.5])
def test_generations_reuse_what_was_captured(tiny: dict[str, Any], name: str, scale: float) -> None:
    captures = []
    for seed in range(6):
        # Nothing but the end of a generation gives its buffer back, least of all the collector of cycles.
        gc.disable()
        decoded(tiny[name], prompts([0], 8, seed), "auto", cfg_scale=scale)
        gc.enable()
        captures.append(HostRecorder.captures)
    # The prompt's own pass is seen once a generation.
    assert captures[2:] == [captures[2]] * 4
    assert len(graphs.graphs_of(tiny[name], "auto") or ()) == captures[-1] > 0


def test_a_shape_is_captured_when_it_comes_again(tiny: dict[str, Any]) -> None:
    decoded(tiny["llada"], prompts([0], 8), "auto", max_new_tokens=2)
    assert HostRecorder.captures == 0
    decoded(tiny["llada"], prompts([0], 8), "auto", max_new_tokens=2)
    assert HostRecorder.captures == 1
    decoded(tiny["llada"], prompts([0], 8), "off", max_new_tokens=2)
    assert HostRecorder.replays == 2


def test_shapes_that_change_do_not_capture_without_end(tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "_MOST_GRAPHS", 4)
    lengths = [5 + number % 40 for number in range(160)]
    for length in lengths:
        decoded(tiny["llada"], prompts([0], length), "auto", max_new_tokens=4)
    # Each graph that goes doubles how often a shape has to be seen.
    assert HostRecorder.captures < 12
    assert len(graphs.graphs_of(tiny["llada"], "auto") or ()) <= 4


def test_large_passes_are_not_captured(tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "_MOST_WORK", 10)
    decoded(tiny["llada"], prompts([0], 8), "auto")
    assert HostRecorder.captures == 0


def test_buffers_are_lent_to_one_generation_at_a_time(tiny: dict[str, Any]) -> None:
    model, count = tiny["sdar"], graphs._MOST_BUFFERS + 2
    options: dict[str, Any] = {"scheduler": ConfidenceScheduler(k=1), "max_new_tokens": 8, "mask_token_id": MASK}
    rows = [prompts([0], 8, seed) for seed in range(count)]
    expected = [generate(model, compile="off", **row, **options).sequences[:, 8:].tolist() for row in rows]
    running = [stream(model, compile="graphs", **row, **options) for row in rows]
    last: list[Any] = [None] * count
    for _ in range(8):
        for number, steps in enumerate(running):
            last[number] = next(steps)
    assert [step.sample.tolist() for step in last] == expected
    kept = graphs.graphs_of(model, "auto")
    assert kept is not None
    assert kept._lent == graphs._MOST_BUFFERS
    del running, steps
    gc.collect()
    decoded(model, rows[0], "graphs")
    kept._take_back()
    assert kept._lent == 0
    assert len(kept._free) <= graphs._MOST_BUFFERS


def test_broken_generation_leaves_nothing_to_the_next(tiny: dict[str, Any]) -> None:
    model = tiny["sdar"]
    expected = decoded(model, prompts([0], 8), "off")
    decoded(model, prompts([0], 8), "graphs")
    healthy = model.model.norm.weight.clone()
    with torch.no_grad():
        broken = model.model.layers[0].input_layernorm.weight
        before = broken.clone()
        broken.fill_(float("nan"))
        with pytest.raises(ValueError, match="finite"):
            decoded(model, prompts([0], 30), "graphs")
        broken.copy_(before)
    gc.collect()
    assert torch.equal(healthy, model.model.norm.weight)
    assert decoded(model, prompts([0], 8), "graphs") == expected


def test_threads_share_a_model(tiny: dict[str, Any]) -> None:
    for name in ("llada", "sdar"):
        rows = [prompts([0], 8, seed) for seed in range(6)]
        expected = [decoded(tiny[name], row, "off") for row in rows]
        found: dict[int, list[Any]] = {}

        def work(thread: int, name: str = name, rows: Any = rows, found: Any = found) -> None:
            found[thread] = [decoded(tiny[name], row, "auto") for row in rows]

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == dict.fromkeys(range(3), expected)
    assert HostRecorder.replays > 0


@pytest.mark.parametrize("name", ["llada", "sdar"])
def test_new_weights_are_seen(tiny: dict[str, Any], name: str, tmp_path: Any) -> None:
    model, rows = models.load(write_checkpoint(tmp_path, TINY_CONFIGS[name])), prompts([0], 8)
    first = decoded(model, rows, "graphs")
    captures = HostRecorder.captures
    with torch.no_grad():
        # In place: the graph reads them where they are.
        model.lm_head.weight.copy_(model.lm_head.weight.flip(0))
    assert decoded(model, rows, "graphs") == decoded(model, rows, "off") != first
    assert HostRecorder.captures == captures
    model.lm_head.weight = nn.Parameter(model.lm_head.weight.flip(1), requires_grad=False)
    assert decoded(model, rows, "graphs") == decoded(model, rows, "off")
    assert HostRecorder.captures == 2 * captures
    model.double()
    assert decoded(model, rows, "graphs") == decoded(model, rows, "off")
    assert HostRecorder.captures == 3 * captures


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("not permitted")])
@pytest.mark.parametrize("name", ["llada", "sdar"])
def test_what_cannot_be_captured_is_run_eagerly(tiny: dict[str, Any], name: str, error: Exception) -> None:
    expected = decoded(tiny[name], prompts([0, 2], 8), "off")
    HostRecorder.error = error
    with pytest.warns(UserWarning, match=f"could not be captured .*{error}"):
        assert decoded(tiny[name], prompts([0, 2], 8), "auto") == expected
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decoded(tiny[name], prompts([0, 2], 8), "graphs") == expected
    assert HostRecorder.replays == 0


@pytest.mark.parametrize("name", ["llada", "sdar", "llada2"])
def test_compiled_models_are_captured(tmp_path: Any, name: str) -> None:
    model = models.load(write_checkpoint(tmp_path, TINY_CONFIGS[name]))
    expected = decoded(model, prompts([0], 8), "graphs")
    captures, replays = HostRecorder.captures, HostRecorder.replays
    model.compile(backend="eager")
    assert decoded(model, prompts([0], 8), "graphs") == expected
    assert HostRecorder.captures == 2 * captures
    assert HostRecorder.replays == 2 * replays


def test_models_of_others_and_in_wrappers_are_not_captured(tiny: dict[str, Any]) -> None:
    model, rows = tiny["llada"], prompts([0], 8)
    expected = decoded(model, rows, "off")
    assert decoded(nn.DataParallel(model), rows, "graphs") == expected
    assert decoded(torch.compile(model, backend="eager"), rows, "graphs") == expected
    handle = model.model.layers[0].register_forward_hook(lambda module, given, output: None)
    assert decoded(model, rows, "graphs") == expected
    handle.remove()
    model.train()
    assert decoded(model, rows, "graphs") == expected
    model.eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        decoded(model, rows, "graphs")
    assert HostRecorder.captures == 0
    assert decoded(model, rows, "graphs") == expected
    assert HostRecorder.captures == 1


@pytest.mark.parametrize("name", ["llada", "sdar"])
def test_inference_mode_leaves_nothing_that_others_cannot_use(tiny: dict[str, Any], name: str) -> None:
    expected = decoded(tiny[name], prompts([0], 8), "off")
    for _ in range(2):
        with torch.inference_mode():
            assert decoded(tiny[name], prompts([0], 8), "graphs") == expected
        assert decoded(tiny[name], prompts([0], 8), "graphs") == expected


def test_dropped_graphs_are_captured_again(tiny: dict[str, Any]) -> None:
    expected = decoded(tiny["sdar"], prompts([0], 8), "graphs")
    captures = HostRecorder.captures
    graphs.drop_graphs()
    assert decoded(tiny["sdar"], prompts([0], 8), "graphs") == expected
    assert HostRecorder.captures == 2 * captures
    assert graphs.seconds_of_capturing() > 0


def test_graphs_make_room_for_a_pass_that_does_not_fit(tiny: dict[str, Any]) -> None:
    decoded(tiny["llada"], prompts([0], 8), "graphs")
    kept = graphs.graphs_of(tiny["llada"], "auto")
    assert kept is not None
    assert len(kept) == 1
    ids = torch.zeros(1, 4, dtype=torch.long)

    def eagerly() -> Tensor:
        if len(kept):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return ids

    assert kept.run("large", {"ids": ids}, lambda given: given["ids"], eagerly) is ids
    assert len(kept) == 0


def test_time_of_capturing_and_compiling_is_told(tmp_path: Any) -> None:
    model = models.load(write_checkpoint(tmp_path, TINY_CONFIGS["llada"]))
    torch.compiler.reset()
    before = graphs.seconds_of_capturing(), graphs.seconds_of_warming_up()
    decoded(model, prompts([0], 8), "graphs")
    assert graphs.seconds_of_capturing() > before[0]
    captured = graphs.seconds_of_capturing()
    model.compile(backend="eager")
    decoded(model, prompts([0], 8), "off")
    assert graphs.seconds_of_capturing() == captured
    assert graphs.seconds_of_warming_up() > before[1] + captured - before[0]


def test_unknown_choice_is_refused(tiny: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="compile='always' should be one of auto, graphs, off"):
        decoded(tiny["llada"], prompts([0], 8), "always")
