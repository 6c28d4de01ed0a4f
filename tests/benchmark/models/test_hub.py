"""Models with weights in a run: any directory or Hub name, refusals in one line, and what is recorded of them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from loopback_hub import Repository, loopback_hub
from support import FULL, call
from tiny_models import copy_golden, questions, save_bert, save_reference, save_tokenizer

from benchmark.models import HubModel, ModelOptions, load_model
from benchmark.report.tables import notes
from benchmark.report.writing import write_report
from benchmark.store.runs import RunStore

pytestmark = pytest.mark.usefixtures("elsewhere", "without_report")

THREE = ["--scheduler", "confidence:k=8", "--scheduler", "threshold:threshold=0.9", "--scheduler", "remdm:k=8"]
SMALL = [*THREE, "--task", "waiting_line_shuffle", "--samples", "3"]
# Tokenizers of tiny models have a token for each letter.
NO_ROOM = ["--max-new-tokens", "24", "--allow-unanswerable"]
GOLDEN = FULL / "checkpoints"


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_reference(tmp_path_factory.mktemp("reference"))


def samples(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.glob("samples/*/*/*.jsonl")}


# -- what runs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bert", "reference"])
def test_a_directory_is_run_and_recorded(kind: str, request: pytest.FixtureRequest) -> None:
    directory = str(request.getfixturevalue(kind))
    result = call("run", "--model", directory, *SMALL, "--output", "run", *NO_ROOM)
    assert result.exit_code == 0, result.output
    assert "tokens/s each with up to 3 rows at a time; 3 of 3 settings are on disk" in result.stdout
    store = RunStore("run")
    (entry,) = store.read_settings()["models"]
    assert (entry["name"], entry["dtype"]) == (directory, "float32")
    assert entry["revision"].startswith("files:")
    assert store.read_settings()["devices"] == {directory: ["cpu"]}
    for sample in store.read_samples(directory, "waiting_line_shuffle", "confidence(k=8)"):
        assert (sample["num_tokens"], sample["num_forward_passes"]) == (24, 3)
        assert sample["num_item_tokens"] <= sample["num_answer_tokens"] <= 24


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the recorded tiny checkpoints are not here")
@pytest.mark.parametrize("family", ["llada_a", "dream_a", "sdar_a", "fastdllm_v2_a", "llada2_a", "llada_moe_a"])
def test_every_family_is_run(family: str, elsewhere: Path) -> None:
    copy_golden(GOLDEN / family, elsewhere / family)
    result = call("run", "--model", family, *SMALL, "--output", "run", "--samples", "2", *NO_ROOM)
    assert result.exit_code == 0, result.output
    assert len(samples(Path("run"))) == 3


@pytest.mark.parametrize("kind", ["bert", "reference"])
def test_the_batch_size_changes_no_answer(kind: str, request: pytest.FixtureRequest) -> None:
    directory = str(request.getfixturevalue(kind))
    for size in ("1", "2", "auto"):
        arguments = [*NO_ROOM, "--batch-size", size, "--output", size]
        assert call("run", "--model", directory, *SMALL, *arguments).exit_code == 0
    assert samples(Path("1")) == samples(Path("2")) == samples(Path("auto"))
    assert len(samples(Path("1"))) == 3


def test_several_models_are_one_run(bert: Path, reference: Path) -> None:
    models = ["--model", "ideal", "--model", str(bert), "--model", str(reference)]
    result = call("run", *models, *SMALL, "--output", "run")
    assert result.exit_code == 0, result.output
    store = RunStore("run")
    names = [entry if isinstance(entry, str) else entry["name"] for entry in store.read_settings()["models"]]
    assert names == ["ideal", str(bert), str(reference)]
    for name in names:
        assert len(store.read_samples(name, "waiting_line_shuffle", "remdm(k=8)")) == 3
        assert f"{name}, waiting_line_shuffle: done" in result.stdout


def test_other_weights_in_the_directory_are_another_run(elsewhere: Path) -> None:
    save_reference(elsewhere / "model")
    assert call("run", "--model", "model", *SMALL, "--output", "run").exit_code == 0
    config = json.loads((elsewhere / "model" / "config.json").read_text())
    (elsewhere / "model" / "config.json").write_text(json.dumps({**config, "rope_theta": 5000.0}))
    result = call("run", "--model", "model", *SMALL, "--output", "run")
    assert result.exit_code == 2
    assert "holds another run (revision of model is files:" in result.stderr


def test_a_model_can_ask_for_longer_answers(elsewhere: Path) -> None:
    save_reference(elsewhere / "model", answer_length=40)
    assert call("run", "--model", "model", *SMALL, "--output", "run").exit_code == 0
    store = RunStore("run")
    assert store.read_settings()["models"][0]["answer_length"] == 40
    assert {row["num_tokens"] for row in store.read_samples("model", "waiting_line_shuffle", "remdm(k=8)")} == {40}


def test_answers_that_do_not_fit_are_said_recorded_and_reported(bert: Path) -> None:
    tokens = HubModel(str(bert), ModelOptions()).token_counter()([row["answer"] for row in questions()[:3]])
    room = sorted(tokens)[0] + 1
    lost = sum(count > room for count in tokens)
    assert 0 < lost < len(tokens)
    result = call("run", "--model", str(bert), *SMALL, "--output", "run", "--max-new-tokens", str(room))
    assert result.exit_code == 0, result.output
    said = f"{lost} of 3 right answers do not fit into {room} new tokens: at most"
    assert said in " ".join(result.stdout.split())
    settings = RunStore("run").read_settings()
    (notice,) = settings["notices"]
    assert notice.startswith(f"{bert} on waiting_line_shuffle: {said}")
    assert settings["best_scores"] == {str(bert): {"waiting_line_shuffle": pytest.approx(100 * (3 - lost) / 3)}}
    assert notes(write_report("run").summary)[0] == notice
    (reported,) = json.loads(Path("run", "summary.json").read_text())["best_scores"]
    assert (reported["task"], round(reported["best"])) == ("waiting_line_shuffle", round(100 * (3 - lost) / 3))


def test_a_run_in_which_no_answer_fits_is_refused_unless_it_is_meant(bert: Path) -> None:
    arguments = ("run", "--model", str(bert), *SMALL, "--output", "run", "--max-new-tokens", "2")
    result = call(*arguments)
    assert_one_line(result, "3 of 3 right answers do not fit into 2 new tokens: at most 0 % can be right")
    assert "--allow-unanswerable" in result.stderr
    assert not Path("run").exists()
    result = call(*arguments, "--allow-unanswerable")
    assert result.exit_code == 0, result.output
    assert RunStore("run").read_settings()["best_scores"] == {str(bert): {"waiting_line_shuffle": 0}}


def test_the_device_of_a_later_sitting_is_added(reference: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("run", "--model", str(reference), *SMALL, "--output", "run").exit_code == 0
    next(Path("run").rglob("*.jsonl")).unlink()
    monkeypatch.setattr(HubModel, "device_name", lambda self: "a faster one")
    assert call("run", "--model", str(reference), *SMALL, "--output", "run").exit_code == 0
    assert RunStore("run").read_settings()["devices"] == {str(reference): ["cpu", "a faster one"]}


@pytest.mark.parametrize("settings", [1, 2])
def test_a_run_that_is_stopped_goes_on_to_the_same_bytes(
    settings: int, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("run", "--model", str(reference), *SMALL, "--output", "whole").exit_code == 0
    done: list[int] = []

    def interrupt(self: Any, *told: Any) -> None:
        done.append(1)
        if len(done) == settings:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("benchmark.loggers.terminal.RunProgress.setting_done", interrupt)
        assert call("run", "--model", str(reference), *SMALL, "--output", "run").exit_code == 130
    kept = samples(Path("run"))
    assert settings <= len(kept) < 3
    assert kept.items() <= samples(Path("whole")).items()
    assert call("run", "--model", str(reference), *SMALL, "--output", "run").exit_code == 0
    assert samples(Path("run")) == samples(Path("whole"))


@pytest.mark.parametrize("error", ["OutOfMemoryError", "MemoryError"])
def test_weights_that_do_not_fit_into_memory_are_one_line(
    error: str, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def crowded(*arguments: Any, **options: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.") if error == "OutOfMemoryError" else MemoryError

    monkeypatch.setattr("samplers.models.loading.load", crowded)
    monkeypatch.setattr("samplers.models.load", crowded)
    result = call("run", "--model", str(reference), *SMALL, "--output", "run")
    assert_one_line_after_start(result, "does not fit into the memory of cpu in float32; try --dtype bfloat16")


# -- the ideal model in another's tokens ---------------------------------------------------------------------------


def test_the_ideal_model_decodes_in_the_tokens_of_another(reference: Path) -> None:
    from benchmark.engine.scoring import load_metric
    from benchmark.engine.worker import LogitsWorker
    from benchmark.models.interface import AnswerOptions
    from benchmark.protocol.method import Method

    for task in ("waiting_line_shuffle", "waiting_line_insert_random", "puzzle_latin_square_n4"):
        rows = questions(task, 6)
        model = load_model(f"ideal:{reference}")
        assert model.check_task(rows, 128) is None
        answers = LogitsWorker(model).answers(
            rows, [Method.of("random", {"k": 1})], AnswerOptions(max_new_tokens=128, batch_size=4)
        )
        decoded = [sample for answered in answers for sample in answered.samples]
        lender: Any = HubModel(str(reference), ModelOptions()).tokenizer
        for row, sample in zip(rows, decoded, strict=True):
            tokens = lender(sample["prediction"], add_special_tokens=False)["input_ids"]
            assert len(tokens) == sample["num_answer_tokens"]
            # A different order of the same people, or another valid answer: as long as the canonical one, or nearly.
            assert sorted(sample["prediction"])[:1] == sorted(row["answer"])[:1]

        scored = load_metric().compute(
            predictions=[sample["prediction"] for sample in decoded],
            references=[row["reference"] for row in rows],
        )
        assert scored["score"] == 100.0


def test_the_borrowed_tokens_have_to_hold_the_answer(reference: Path) -> None:
    with pytest.raises(ValueError, match=r"the longest answer takes \d+ tokens, and only 8 would be generated"):
        load_model(f"ideal:{reference}").check_task(questions(), 8)


# -- what chat templates are told ----------------------------------------------------------------------------------

#: Thinks unless it is told not to, as Qwen3's template does: an empty thought then stands before the answer.
THINKING = (
    "{%- for message in messages %}{{- '<|' + message.role + '|>' + message.content + '<|end|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"
    "{%- endif %}"
)


def prompt_texts(model: HubModel) -> list[str]:
    """The prompts that the model is asked with, as text."""
    from benchmark.engine.worker import LogitsWorker
    from benchmark.models.interface import AnswerOptions

    decoder = LogitsWorker(model).decoder(questions(count=2), AnswerOptions(max_new_tokens=8, batch_size=2))
    return [model.tokenizer.decode(prompt) for prompt in decoder._prompts]


@pytest.fixture
def thinking(elsewhere: Path) -> Path:
    return save_bert(elsewhere / "thinking", chat_template=THINKING)


def test_a_chat_option_reaches_every_prompt_and_is_recorded(thinking: Path) -> None:
    told = HubModel("thinking", ModelOptions(chat_options={"enable_thinking": False}))
    assert all(text.endswith("</think>\n\n") for text in prompt_texts(told))
    assert all(text.endswith("<|assistant|>") for text in prompt_texts(HubModel("thinking", ModelOptions())))

    option = ("--chat-option", "enable_thinking=false")
    for output, options in {"told": option, "untold": (), "true": ("--chat-option", "enable_thinking=true")}.items():
        result = call("run", "--model", "thinking", *SMALL, *options, "--output", output, "--max-new-tokens", "64")
        assert result.exit_code == 0, result.output
    (entry,) = RunStore("told").read_settings()["models"]
    assert entry["chat_options"] == {"enable_thinking": False}
    assert "chat_options" not in RunStore("untold").read_settings()["models"][0]
    assert samples(Path("told")) != samples(Path("untold")) == samples(Path("true"))
    result = call("run", "--model", "thinking", *SMALL, "--output", "told", "--max-new-tokens", "64")
    assert result.exit_code == 2
    assert "chat_options of thinking" in result.stderr


def test_a_published_checkpoint_may_need_an_option_that_the_user_can_overrule(
    thinking: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from samplers import models

    (known,) = (each for family in models.families() for each in family.checkpoints if each.chat_options)
    assert known.name == "Gen-Verse/TraDo-8B-Thinking"
    save_bert(elsewhere / "plain")
    names = [HubModel(name, ModelOptions())._source.name for name in ("thinking", "plain")]
    family = replace(models.families()[0], checkpoints=tuple(replace(known, name=name) for name in names))
    monkeypatch.setattr(models, "families", lambda: [family])
    assert HubModel("thinking", ModelOptions()).record()["chat_options"] == {"enable_thinking": False}
    overruled = HubModel("thinking", ModelOptions(chat_options={"enable_thinking": True}))
    assert overruled.record()["chat_options"] == {"enable_thinking": True}
    assert "chat_options" not in HubModel("plain", ModelOptions()).record(), "its template does not know it"


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("enable_thinking=no", "no is no JSON"),
        ("enable_thinking=NaN", "NaN is no JSON"),
        ("enable_thinking", "write NAME=VALUE"),
        ("enable_thoughts=false", "the chat template of thinking does not know it"),
        ("add_generation_prompt=false", "not for a user to set"),
        ("messages=[]", "not for a user to set"),
    ],
)
@pytest.mark.parametrize("command", ["run", "watch"])
def test_a_chat_option_that_cannot_be_used_is_one_line(
    command: str, option: str, expected: str, thinking: Path
) -> None:
    task = SMALL if command == "run" else ["--task", "waiting_line_shuffle"]
    assert_one_line(call(command, "--model", "thinking", *task, "--chat-option", option), expected)


# -- refusals ------------------------------------------------------------------------------------------------------


def assert_one_line(result: Result, expected: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1, result.stderr
    assert expected in result.stderr


def test_a_directory_without_tokenizer_is_one_line(elsewhere: Path) -> None:
    save_reference(elsewhere / "model")
    for path in (elsewhere / "model").glob("tokenizer*"):
        path.unlink()
    assert_one_line(call("run", "--model", "model", *SMALL), "has no tokenizer")
    assert sorted(path.name for path in elsewhere.iterdir()) == ["model"]


def test_a_tokenizer_without_chat_template_is_one_line(elsewhere: Path) -> None:
    save_bert(elsewhere / "model", chat_template=None)
    assert_one_line(call("run", "--model", "model", *SMALL), "has no chat template")


def test_a_directory_that_holds_no_model_is_one_line(elsewhere: Path) -> None:
    (elsewhere / "model").mkdir()
    assert_one_line(call("run", "--model", "model", *SMALL), "has no config.json")
    save_tokenizer(elsewhere / "model")
    (elsewhere / "model" / "config.json").write_text('{"model_type": "elsewhere", "eos_token_id": 1}')
    assert_one_line(call("run", "--model", "model", *SMALL), "has model_type 'elsewhere'")


def assert_one_line_after_start(result: Result, expected: str) -> None:
    """As `assert_one_line`, for what only loading the weights shows."""
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1, result.stderr
    assert expected in result.stderr


def test_a_broken_model_is_refused_before_a_sound_one_is_run(elsewhere: Path, reference: Path) -> None:
    path = save_reference(elsewhere / "model") / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    result = call("run", "--model", str(reference), "--model", "model", *SMALL, "--output", "run")
    assert_one_line(result, "model.safetensors")
    save_reference(elsewhere / "model", rope_scaling={"rope_type": "spiral"})
    result = call("run", "--model", str(reference), "--model", "model", *SMALL, "--output", "run")
    assert_one_line(result, "rope type 'spiral'")
    assert not (elsewhere / "run").exists()


def test_a_tokenizer_of_another_model_is_one_line(elsewhere: Path) -> None:
    save_reference(elsewhere / "model")
    save_tokenizer(elsewhere / "model", vocabulary=600)
    assert_one_line(call("run", "--model", "model", *SMALL), "they do not fit together")


def test_a_prompt_longer_than_the_context_is_one_line(elsewhere: Path) -> None:
    save_bert(elsewhere / "model", context=100)
    assert_one_line(call("run", "--model", "model", *SMALL), "the model's context is 100 tokens")


@pytest.mark.parametrize(
    ("device", "expected"),
    [("cuda:99", "there is no device 'cuda:99'"), ("toaster", "torch knows no device 'toaster'")],
)
def test_a_device_that_is_not_there_is_one_line(device: str, expected: str, reference: Path) -> None:
    assert_one_line(call("run", "--model", str(reference), *SMALL, "--device", device), expected)


def test_a_name_that_nobody_has_is_one_line_offline(elsewhere: Path) -> None:
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(elsewhere / "home"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmark.cli", "run", "--model", "nobody/nothing", *SMALL]
    script = "from benchmark.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, *command[3:]], capture_output=True, text=True, env=offline, timeout=120
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "nobody/nothing" in done.stderr
    assert "cannot be reached" in done.stderr


@pytest.mark.slow
def test_a_model_is_run_from_the_hub_by_name_and_recorded_with_its_commit(elsewhere: Path, reference: Path) -> None:
    files = {path.name: path.read_bytes() for path in reference.iterdir()}
    script = "from benchmark.cli import main; main()"
    command = [sys.executable, "-c", script, "run", "--model", "ada/tiny@v1", *SMALL, "--output"]
    with loopback_hub({}) as hub:
        repository = hub.repositories["model", "ada/tiny"] = Repository("model", "ada/tiny", None)
        commit = repository.commit(files, "weights")
        repository.refs["v1"] = commit
        repository.commit({**files, "config.json": b"{}"}, "broken since")
        environment = {**hub.environment(elsewhere / "home"), "OMP_NUM_THREADS": "1"}
        done = subprocess.run([*command, "run"], capture_output=True, text=True, env=environment, timeout=300)
        assert done.returncode == 0, done.stderr
    (entry,) = RunStore("run").read_settings()["models"]
    assert (entry["name"], entry["revision"]) == ("ada/tiny@v1", commit)
    # What is in the cache needs no network.
    environment = {**environment, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([*command, "again"], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert samples(Path("again")) == samples(Path("run"))
