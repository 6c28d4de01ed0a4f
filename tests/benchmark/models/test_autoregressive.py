"""Autoregressive models in process: answers, batches, noise, end tokens, memory, and what is refused."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from support import call
from tiny_models import questions, save_bert, save_llama, save_reference

from benchmark.models import AutoregressiveModel, ModelOptions, load_model
from benchmark.models.autoregressive import _Noise
from benchmark.models.interface import AnswerOptions, Sample
from benchmark.models.noise import noise_source
from benchmark.models.prompts import tokenize_prompts
from benchmark.protocol.method import Method
from benchmark.store.runs import RunStore

pytestmark = pytest.mark.usefixtures("elsewhere", "without_report")

ROWS = questions("waiting_line_copy", 10)
METHOD = Method.parse("autoregressive")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def model(llama: Path) -> AutoregressiveModel:
    found = load_model(f"ar:{llama}")
    assert isinstance(found, AutoregressiveModel)
    return found


def answers(model: AutoregressiveModel, new_tokens: int = 40, **options: Any) -> list[Sample]:
    """The samples in the order of the questions, without the time that they took."""
    told = model.answers(ROWS, [METHOD], AnswerOptions(max_new_tokens=new_tokens, **options))
    found = {sample["id"]: sample for answered in told for sample in answered.samples}
    assert all(sample.pop("seconds") > 0 for sample in found.values())
    return [found[row["id"]] for row in ROWS]


def token_by_token(model: AutoregressiveModel, row: dict[str, Any], new_tokens: int) -> list[int]:
    """The greedy answer by one forward pass over everything for each token, up to the end token."""
    network = model._loaded()
    ids = tokenize_prompts(model.tokenizer, [row])[0]
    start = len(ids)
    while len(ids) < start + new_tokens:
        with torch.no_grad():
            ids = [*ids, int(network(torch.tensor([ids])).logits[0, -1].argmax())]
        if ids[-1] == model.tokenizer.eos_token_id:
            break
    return ids[start:]


# -- what is answered ----------------------------------------------------------------------------------------------


def test_answers_are_the_likeliest_tokens_one_at_a_time_whatever_the_batch(model: AutoregressiveModel) -> None:
    alone = answers(model, batch_size=1)
    assert alone == answers(model, batch_size=4) == answers(model)
    ended = set()
    for row, sample in zip(ROWS, alone, strict=True):
        tokens = token_by_token(model, row, 40)
        ends = tokens[-1] == model.tokenizer.eos_token_id
        text = model.tokenizer.decode(tokens[:-1] if ends else tokens, skip_special_tokens=True)
        assert sample["prediction"] == text
        assert sample["num_tokens"] == sample["num_forward_passes"] == len(tokens)
        assert sample["num_answer_tokens"] == len(tokens) - ends
        assert sample["tokens_per_step"] == 1.0
        ended.add(ends)
    assert ended == {True, False}


def test_a_batch_is_told_when_it_is_done(model: AutoregressiveModel) -> None:
    told = list(model.answers(ROWS, [METHOD], AnswerOptions(max_new_tokens=4, batch_size=4)))
    assert [len(answered.samples) for answered in told] == [4, 4, 2]
    for answered in told:
        shares = sum(sample["seconds"] for sample in answered.samples)
        assert 0 < shares == pytest.approx(answered.seconds, abs=1e-4)


def test_at_a_temperature_each_row_has_noise_of_its_own(model: AutoregressiveModel) -> None:
    drawn = answers(model, temperature=1.0, batch_size=1)
    assert drawn == answers(model, temperature=1.0, batch_size=4)
    assert drawn != answers(model, temperature=1.0, seed=1)
    assert drawn != answers(model)
    assert answers(model, temperature=0.001) == answers(model)


def test_noise_draws_from_the_softmax() -> None:
    logits, temperature, draws = torch.tensor([[2.0, 0.0, 1.0, -3.0]]), 1.5, 4000
    noise = _Noise(temperature, [noise_source(0, "row", "method")])
    drawn = torch.stack([noise(None, logits)[0].argmax() for _ in range(draws)])
    found = torch.bincount(drawn, minlength=4) / draws
    assert torch.allclose(found, (logits[0] / temperature).softmax(dim=0), atol=0.03)


def test_end_tokens_are_the_tokenizers_and_those_of_the_checkpoint(llama: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(llama, tmp_path / "copy")
    first = answers(AutoregressiveModel(str(llama), ModelOptions()))[0]
    inside = AutoregressiveModel(str(llama), ModelOptions()).tokenizer
    tokens = token_by_token(AutoregressiveModel(str(llama), ModelOptions()), ROWS[0], 40)
    end = inside.eos_token_id
    # What the checkpoint recommends beside its end tokens would change the answer, and is not used.
    (copy / "generation_config.json").write_text(
        f'{{"eos_token_id": [{end}, {tokens[7]}], "repetition_penalty": 5.0, "do_sample": true, "temperature": 9.0}}'
    )
    sample = answers(AutoregressiveModel(str(copy), ModelOptions()))[0]
    place = tokens.index(tokens[7])
    assert sample["num_answer_tokens"] == place
    assert sample["prediction"] == inside.decode(tokens[:place], skip_special_tokens=True)
    assert first["num_answer_tokens"] > place


# -- memory and stops ----------------------------------------------------------------------------------------------


def test_a_batch_that_does_not_fit_is_halved_and_the_answers_are_the_same(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowded = AutoregressiveModel(str(llama), ModelOptions())
    expected, sizes, lines = answers(crowded), [], []
    network = crowded._loaded()
    generate = network.generate

    def refuse(input_ids: torch.Tensor, **more: Any) -> Any:
        sizes.append(len(input_ids))
        if len(input_ids) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return generate(input_ids, **more)

    monkeypatch.setattr(network, "generate", refuse)
    assert answers(crowded, batch_size=8, notice=lines.append) == expected
    assert sizes == [8, 4, 2, 2, 2, 2, 2]
    assert "8 rows did not fit into memory; going on with 4" in lines[0]
    sizes.clear()
    answers(crowded)
    assert max(sizes) == 2, "what memory forced on one task is kept for the next"


def test_a_single_row_that_does_not_fit_is_refused(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crowded = AutoregressiveModel(str(llama), ModelOptions())

    def refuse(*arguments: Any, **more: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(crowded._loaded(), "generate", refuse)
    with pytest.raises(ValueError, match=r"too small for a single row of .* prompt and 40 new tokens"):
        answers(crowded, batch_size=1)


def test_a_stop_ends_it_between_two_tokens(model: AutoregressiveModel) -> None:
    class Stop(Exception):
        pass

    asked = 0

    def check_stop() -> None:
        nonlocal asked
        asked += 1
        if asked == 5:
            raise Stop

    with pytest.raises(Stop):
        answers(model, new_tokens=100_000, check_stop=check_stop)


# -- what is refused -----------------------------------------------------------------------------------------------


def test_prompts_beyond_the_context_are_refused(tmp_path: Path) -> None:
    short = load_model(f"ar:{save_llama(tmp_path, context=100)}")
    with pytest.raises(ValueError, match="context is 100 tokens"):
        short.check_task(ROWS, 20)


@pytest.mark.parametrize("save", [save_bert, save_reference])
def test_a_model_that_is_not_causal_is_refused(save: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no causal model"):
        load_model(f"ar:{save(tmp_path)}")


def test_a_directory_without_weights_is_refused_in_one_line(llama: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(llama, tmp_path / "copy")
    (copy / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="cannot be loaded") as failure:
        answers(AutoregressiveModel(str(copy), ModelOptions()))
    assert "\n" not in str(failure.value)


def test_what_it_is_not_made_for_is_refused(model: AutoregressiveModel, llama: Path) -> None:
    with pytest.raises(ValueError, match=r"not run with confidence\(k=1\); name autoregressive"):
        list(model.answers(ROWS, [Method.parse("confidence:k=1")], AnswerOptions(max_new_tokens=4)))
    with pytest.raises(ValueError, match="--compile"):
        load_model(f"ar:{llama}", ModelOptions(compile=True))
    with pytest.raises(ValueError, match="nowhere"):
        load_model("ar:nowhere")


# -- runs ----------------------------------------------------------------------------------------------------------


def test_it_runs_beside_the_ideal_model_each_in_its_own_way(llama: Path) -> None:
    arguments = ["--task", "waiting_line_copy", "--samples", "3", "--max-new-tokens", "60", "--output", "run"]
    result = call(
        "run", "--model", f"ar:{llama}", "--model", "ideal", "--scheduler", "confidence:k=4", *arguments,
        "--allow-unanswerable",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    store = RunStore("run")
    samples = store.read_samples(f"ar:{llama}", "waiting_line_copy", METHOD)
    assert {sample["tokens_per_step"] for sample in samples} == {1.0}
    assert len(store.read_samples("ideal", "waiting_line_copy", Method.parse("confidence:k=4"))) == 3
    settings = store.read_settings()
    assert settings["schedulers"]["autoregressive"] == {
        "speed_parameter": None,
        "adaptive": False,
        "blocks_follow_k": False,
    }
    assert settings["models"][0]["revision"].startswith("files:")
