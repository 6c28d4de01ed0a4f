"""The paper's comparison for real: diffusion models with and without a cache, an LLM in process, and a service."""

from pathlib import Path

import pytest
from loopback_service import MODEL, answers_to, loopback_service
from random_checkpoint import TINY_CONFIGS, write_checkpoint
from support import call
from tiny_models import questions, save_llama, save_tokenizer

from benchmark.protocol.method import Method
from benchmark.report.speed_plot import SPEED_PLOT
from benchmark.store.runs import RunStore

pytest.importorskip("openai")
TASK, COUNT = "puzzle_latin_square_n4", 2


def save_llada(directory: Path) -> Path:
    """A tiny model of LLaDA's family, which has a dual cache."""
    tokenizer = save_tokenizer(directory)
    size, end = len(tokenizer), tokenizer.eos_token_id
    names = {"vocab_size": size, "embedding_size": size, "eos_token_id": end, "pad_token_id": end}
    more = {"mask_token_id": tokenizer.mask_token_id, "max_sequence_length": 4096}
    write_checkpoint(directory, {**TINY_CONFIGS["llada"], **names, **more})
    return directory


@pytest.mark.slow
def test_every_kind_of_model_has_its_runs_a_line_and_a_place(elsewhere: Path) -> None:
    (elsewhere / "llada").mkdir()
    (elsewhere / "llama").mkdir()
    llada = str(save_llada(elsewhere / "llada"))
    llama = f"ar:{save_llama(elsewhere / 'llama', context=4096)}"
    with loopback_service(answers_to(questions(TASK, COUNT))) as server:
        server.slow = 0.001
        service = f"api:{MODEL}@{server.url}"
        result = call(
            "run", "--grid", "dllm_vs_llm", "--model", llada, "--model", llama, "--model", service,
            "--task", TASK, "--samples", str(COUNT), "--allow-unanswerable", "--output", "run",
        )  # fmt: skip
    assert result.exit_code == 0, result.output
    store = RunStore("run")
    told = {}
    for k in (1, 2):
        for cache in ("", ", cache=dual"):
            samples = store.read_samples(llada, TASK, Method.parse(f"confidence(k={k}{cache})"))
            assert [sample["num_forward_passes"] for sample in samples] == [64 / k] * COUNT
            told[k, cache] = [sample["prediction"] for sample in samples]
    # What a cache holds is not quite what the model would give.
    assert told[1, ""] != told[1, ", cache=dual"]
    assert {
        sample["tokens_per_step"] for sample in store.read_samples(llama, TASK, Method.parse("autoregressive"))
    } == {1}
    assert [sample["scores"]["headline"] for sample in store.read_samples(service, TASK, Method.parse("served"))] == [
        1,
        1,
    ]
    assert "Models by tasks" in result.output
    assert "100.0*" in result.output
    assert (Path("run") / "plots" / SPEED_PLOT).exists()
