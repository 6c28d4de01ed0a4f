"""Settings that share states: what each decodes is what it decodes alone, whatever else is decoded beside it."""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from random_checkpoint import TINY_CONFIGS, write_checkpoint
from tiny_models import questions, save_character_tokenizer, save_reference
from toy_denoiser import ToyDenoiser

from benchmark.engine import states
from benchmark.engine.states import SharedStates
from benchmark.engine.worker import LogitsWorker
from benchmark.models import HubModel, IdealModel, ModelOptions, OwnModel
from benchmark.models.interface import AnswerOptions, Sample
from benchmark.protocol.method import Method

NEW = 12
ROWS = [*questions("waiting_line_shuffle", 3), *questions("waiting_line_copy", 2)]
METHODS = [
    Method.parse(text)
    for text in (
        "confidence(k=1)",
        "confidence(k=3, block_length=8)",
        "random(k=1)",
        "random(k=2)",
        "random(k=4, block_length=8)",
        "random(num_inference_steps=5, schedule=cosine)",
        "margin(k=2, block_length=6)",
        "entropy(k=4, block_length=5)",
        "left_to_right(k=2)",
        "threshold(threshold=0.3)",
        "threshold(threshold=0.5, score=random)",
        "threshold(threshold=0.6, block_length=8)",
        "factor(factor=1.3, block_length=7)",
        "eb(entropy_bound=0.5, order=random)",
        "rcr(k=3, block_length=8)",
        "remdm(k=2, block_length=6)",
        "dilated()",
        "slow_fast()",
        "prophet(k=2)",
        "ascending(score=random)",
        # These read more than is kept of a state.
        "klass(k=4)",
        "saber(k=2)",
        "random(k=4, temperature=1.0)",
    )
]
UNSHARED = ("klass", "saber")
KINDS = ("toy", "reference", "ideal", "sdar", "llada")


def timeless(samples: Iterable[Sample]) -> dict[tuple[str, bool], dict[str, Any]]:
    return {
        sample["id"]: {key: value for key, value in sample.items() if key not in ("seconds", "shared")}
        for sample in samples
    }


def answers(
    model: Any, rows: Sequence[Any], methods: Sequence[Method], **options: Any
) -> dict[Method, dict[str, dict[str, Any]]]:
    found: dict[Method, list[Sample]] = {method: [] for method in methods}
    asked = AnswerOptions(**{"max_new_tokens": NEW, **options})
    for answered in LogitsWorker(model).answers(rows, methods, asked):
        assert answered.seconds == pytest.approx(sum(sample["seconds"] for sample in answered.samples), abs=1e-4)
        found[answered.method].extend(answered.samples)
    return {method: timeless(samples) for method, samples in found.items()}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A model of each kind; the ideal one knows the rows."""

    def random(family: str) -> HubModel:
        directory: Path = tmp_path_factory.mktemp(family)
        sizes = {"vocab_size": 120, "embedding_size": 120, "mask_token_id": 119, "eos_token_id": 1, "pad_token_id": 0}
        known = TINY_CONFIGS[family]
        write_checkpoint(directory, {**known, **{key: sizes[key] for key in sizes if key in known}}, std=0.5)
        save_character_tokenizer(directory, size=120, places={0: "<|pad|>", 1: "<|end|>", 119: "<|mask|>"})
        return HubModel(str(directory), ModelOptions())

    tokenizer_home = tmp_path_factory.mktemp("toy")
    save_character_tokenizer(tokenizer_home, size=120, places={1: "<|end|>", 119: "<|mask|>"})
    from samplers.models import load_tokenizer

    toy = ToyDenoiser(vocab_size=120, max_length=1024)
    tokenizer = load_tokenizer(str(tokenizer_home))
    return {
        "toy": OwnModel("toy", lambda: (toy, tokenizer)),
        "reference": HubModel(str(save_reference(tmp_path_factory.mktemp("reference"))), ModelOptions()),
        "ideal": IdealModel(greedy=True),
        "sdar": random("sdar"),
        "llada": random("llada"),
    }


@pytest.fixture(scope="module")
def alone(models: dict[str, Any]) -> Any:
    """What a model answers under one method, every question by itself and nothing shared."""

    @cache
    def of(kind: str, method: Method, index: int) -> dict[str, dict[str, Any]]:
        return answers(models[kind], [ROWS[index]], [method], sharing=False, max_new_tokens=new_tokens(kind))[method]

    return of


def new_tokens(kind: str) -> int:
    # Whatever the model, some answers of the ideal one have to fit.
    return 48 if kind == "ideal" else NEW


CASES = {
    "kind": st.sampled_from(KINDS),
    "methods": st.lists(st.sampled_from(METHODS), min_size=1, max_size=5, unique=True),
    "asked": st.lists(st.integers(0, len(ROWS) - 1), min_size=1, unique=True),
    "batch_size": st.integers(1, 40),
    "memory": st.sampled_from([None, 1e-6, 2e-4]),
    "most_sent": st.integers(1, 3),
}


def check_alone(
    models: dict[str, Any],
    alone: Any,
    kind: str,
    methods: list[Method],
    asked: list[int],
    batch_size: int,
    memory: float | None,
    most_sent: int,
) -> None:
    rows = [ROWS[index] for index in asked]
    if kind == "toy" and any(method.name in UNSHARED or "temperature" in method.parameters for method in methods):
        # It takes no padded batches, and only states of prompts of one length go through it together.
        batch_size = 1
    options = {"batch_size": batch_size, "memory": memory, "max_new_tokens": new_tokens(kind)}
    # As on a GPU, which has batches in hand while the host goes on.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(states._MOST_SENT, "cpu", most_sent)
        patch.setattr(states, "_WORTH_A_PASS", 2)
        found = answers(models[kind], rows, methods, **options)
    for method in methods:
        assert found[method] == {
            ROWS[index]["id"]: sample for index in asked for sample in alone(kind, method, index).values()
        }


@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(**CASES)
def test_every_setting_decodes_what_it_decodes_alone(models: dict[str, Any], alone: Any, **case: Any) -> None:
    """Also where a part of the questions was answered before, and where states have to be forgotten."""
    check_alone(models, alone, **case)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(**CASES)
def test_many_settings_decode_what_they_decode_alone(models: dict[str, Any], alone: Any, **case: Any) -> None:
    check_alone(models, alone, **case)


def test_prompts_of_several_lengths_go_through_a_gpu_s_model_together(
    models: dict[str, Any], alone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from samplers import StateReader

    rows = [*questions("waiting_line_copy", 3), *questions("puzzle_latin_square_n4", 2)]
    seen: list[tuple[int, int]] = []
    read = StateReader.read

    def noted(self: Any, prompts: torch.Tensor, answers: torch.Tensor, length: int) -> Any:
        seen.append((len(prompts), length))
        return read(self, prompts, answers, length)

    expected = answers(models["llada"], rows, METHODS[:4])
    monkeypatch.setattr(StateReader, "read", noted)
    # As on a GPU.
    monkeypatch.setattr(states, "_JOINS_LENGTHS", {"cpu"})
    monkeypatch.setitem(states._MOST_SENT, "cpu", 2)
    assert answers(models["llada"], rows, METHODS[:4], batch_size=8) == expected
    assert max(length for _, length in seen) > min(length for _, length in seen), "no more of a prompt than it takes"
    small = sum(size < 4 for size, _ in seen)
    assert small < len(seen) / 2


def test_a_state_goes_through_the_model_once(models: dict[str, Any]) -> None:
    methods = [Method.parse(f"{name}(k={k})") for name in ("confidence", "random", "left_to_right") for k in (2, 4)]
    counts = torch.zeros(2, dtype=torch.long)

    def counted(states: int, passes: int) -> None:
        counts.add_(torch.tensor([states, passes]))

    together = answers(models["reference"], ROWS, methods, counted=counted)
    visited = {
        (row["id"], tuple(step))
        for method in methods
        for row in ROWS
        for step in states_of(models["reference"], row, method)
    }
    assert int(counts[0]) == sum(sample["num_forward_passes"] for of in together.values() for sample in of.values())
    assert int(counts[1]) == len(visited) < int(counts[0])


def states_of(model: Any, row: Any, method: Method) -> list[list[int]]:
    """The answers that a setting has the model look at, one by one."""
    decoder = LogitsWorker(model).decoder([row], AnswerOptions(NEW))
    return [step.before[0].tolist() for step in decoder.steps(method)]


def test_methods_that_share_say_so_and_others_are_answered_too(models: dict[str, Any]) -> None:
    options = AnswerOptions(NEW)
    texts = ["confidence(k=8)", "frechet()", "local_leap()", "klass(k=8)", "wino(threshold=0.5)", "lopa()", "dapd()"]
    methods = [Method.parse(text) for text in texts]
    found = list(LogitsWorker(models["reference"]).answers(ROWS, methods, options))
    shared = {answered.method.name: {sample["shared"] for sample in answered.samples} for answered in found}
    reads_little = ("confidence", "frechet", "local_leap")
    assert shared == {method.name: {method.name in reads_little} for method in methods}
    without = LogitsWorker(models["reference"]).answers(ROWS, methods, AnswerOptions(NEW, sharing=False))
    assert not any(sample["shared"] for answered in without for sample in answered.samples)


def test_a_temperature_turns_sharing_off(models: dict[str, Any]) -> None:
    options = AnswerOptions(NEW, temperature=0.5)
    found = LogitsWorker(models["reference"]).answers(ROWS[:2], [Method.parse("confidence(k=8)")], options)
    assert not any(sample["shared"] for answered in found for sample in answered.samples)


def test_a_batch_that_does_not_fit_is_read_in_halves(models: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from samplers import StateReader

    methods, notices = METHODS[:4], []
    expected = answers(models["reference"], ROWS, methods)
    read = StateReader.read

    def crowded(self: StateReader, prompts: torch.Tensor, states: torch.Tensor, length: int) -> Any:
        if len(prompts) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return read(self, prompts, states, length)

    monkeypatch.setattr(StateReader, "read", crowded)
    assert answers(models["reference"], ROWS, methods, batch_size=13, notice=notices.append) == expected
    assert notices
    assert all("rows did not fit into memory; going on with" in line for line in notices)
    monkeypatch.setattr(StateReader, "read", lambda *arguments: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(ValueError, match="too small for a single row"):
        answers(models["reference"], ROWS, methods)


def test_chunks_hold_as_many_questions_as_there_is_memory_for(models: dict[str, Any]) -> None:
    decoder = LogitsWorker(models["reference"]).decoder(ROWS, AnswerOptions(NEW))

    def sizes(memory: int) -> list[int]:
        shared = SharedStates(
            decoder._questions, METHODS[:10], decoder.options, temperature=0.0, batch_size=4, memory=memory, shrink=int
        )
        return list(map(len, shared.chunks()))

    assert sizes(1 << 30) == [len(ROWS)]
    assert sizes(1) == [1] * len(ROWS)
    assert sizes(70_000) == [2, 2, 1]


def test_a_run_that_is_stopped_stops_between_steps(models: dict[str, Any]) -> None:
    class Stopped(Exception):
        pass

    asked = iter(range(5))

    def check_stop() -> None:
        if next(asked, None) is None:
            raise Stopped

    with pytest.raises(Stopped):
        answers(models["reference"], ROWS, METHODS[:3], check_stop=check_stop)
