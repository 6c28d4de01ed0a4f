"""Models with weights in a run: any directory or Hub name, refusals in one line, and what is recorded of them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from loopback_hub import Repository, loopback_hub
from recorded_logits import FOLDERS, INDEPENDENT, sample_of
from support import FULL, assert_one_line, call, timeless
from tiny_gemma import save_gemma
from tiny_models import copy_golden, questions, save_bert, save_reference, save_tokenizer

from benchmark.models import HubModel, ModelOptions, load_model
from benchmark.protocol.method import Method
from benchmark.report.tables import notes
from benchmark.report.writing import write_report
from benchmark.store.runs import RunStore
from samplers.models import families as families_of_the_library
from samplers.models.configuration import CheckpointConfig
from samplers.models.registry import family_of

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
    """The samples of a run by the name of their file, without the seconds that they took."""
    return {path.name: timeless(path) for path in directory.glob("samples/*/*/*.jsonl")}


# -- what runs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bert", "reference"])
def test_a_directory_is_run_and_recorded(kind: str, request: pytest.FixtureRequest) -> None:
    directory = str(request.getfixturevalue(kind))
    result = call("run", "--model", directory, *SMALL, "--output", "run", *NO_ROOM)
    assert result.exit_code == 0, result.output
    # Of the three methods two greedy ones share their states.
    assert re.search(
        r"tokens/s each, \d+% of the forward passes saved; 3 of 3 settings are on disk",
        result.stdout,
    )
    store = RunStore("run")
    (entry,) = store.read_settings()["models"]
    assert (entry["name"], entry["dtype"]) == (directory, "float32")
    assert entry["revision"].startswith("files:")
    assert store.read_settings()["devices"] == {directory: ["cpu"]}
    for sample in store.read_samples(directory, "waiting_line_shuffle", Method.parse("confidence(k=8)")):
        assert (sample["num_tokens"], sample["num_forward_passes"]) == (24, 3)
        assert sample["num_item_tokens"] <= sample["num_answer_tokens"] <= 24


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the recorded tiny checkpoints are not here")
@pytest.mark.parametrize("family", ["llada_a", "dream_a", "sdar_a", "fastdllm_v2_a", "llada2_a", "llada_moe_a"])
def test_every_family_is_run(family: str, elsewhere: Path) -> None:
    copy_golden(GOLDEN / family, elsewhere / family)
    result = call("run", "--model", family, *SMALL, "--output", "run", "--samples", "2", *NO_ROOM)
    assert result.exit_code == 0, result.output
    assert len(samples(Path("run"))) == 3


@pytest.mark.slow
def test_every_family_is_run_by_its_name_on_the_hub(elsewhere: Path) -> None:
    names = {}
    with loopback_hub({}) as hub:
        for path in map(sample_of, (*FOLDERS, *INDEPENDENT)):
            if not path.exists():
                continue
            name = names[path.name] = f"ada/{path.name}"
            folder = copy_golden(path, elsewhere / path.name)
            if path.name.startswith("a2d"):
                # The name says which kind it is, as it does of those that are published.
                name = names[path.name] = f"ada/tiny-diffusion-{path.name.replace('_', '-')}-v0.1"
                config = json.loads((folder / "config.json").read_text())
                del config["diffusion"]
                (folder / "config.json").write_text(json.dumps(config))
            repository = hub.repositories["model", name] = Repository("model", name, None)
            repository.commit({file.name: file.read_bytes() for file in folder.iterdir()}, "weights")
        names["gemma"] = "ada/gemma"
        (elsewhere / "gemma").mkdir()
        save_gemma(elsewhere / "gemma")
        repository = hub.repositories["model", "ada/gemma"] = Repository("model", "ada/gemma", None)
        repository.commit({file.name: file.read_bytes() for file in (elsewhere / "gemma").iterdir()}, "weights")
        script = "from benchmark.cli import main; main()"
        models = [argument for name in names.values() for argument in ("--model", name)]
        command = [sys.executable, "-c", script, "run", *models, *SMALL, "--samples", "2", *NO_ROOM]
        environment = {**hub.environment(elsewhere / "home"), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*command, "--output", "run"], capture_output=True, text=True, env=environment, timeout=600
        )
    assert done.returncode == 0, done.stderr
    entries = {entry["name"]: entry for entry in RunStore("run").read_settings()["models"]}
    assert set(entries) == set(names.values())
    families = {family.name for family in families_of_the_library()}
    found = set()
    for folder_name, name in names.items():
        config = CheckpointConfig(json.loads((elsewhere / folder_name / "config.json").read_text()), name)
        family = family_of(config)
        assert family is not None
        found.add(family.name)
        for method in ("confidence(k=8)", "threshold(threshold=0.9)", "remdm(k=8)"):
            assert len(RunStore("run").read_samples(name, "waiting_line_shuffle", Method.parse(method))) == 2
    # Of two the repository has no tiny checkpoint.
    assert families - found == {"Dream, DiffuCoder", "SDAR, TraDo"}


@pytest.mark.parametrize("kind", ["bert", "reference"])
def test_the_batch_size_changes_no_answer(kind: str, request: pytest.FixtureRequest) -> None:
    directory = str(request.getfixturevalue(kind))
    for size in ("1", "2", "auto"):
        # Each in a folder of its own: they would take what the first has.
        arguments = [*NO_ROOM, "--batch-size", size, "--output", f"{size}/run"]
        assert call("run", "--model", directory, *SMALL, *arguments).exit_code == 0
    assert samples(Path("1/run")) == samples(Path("2/run")) == samples(Path("auto/run"))
    assert len(samples(Path("1/run"))) == 3


def test_several_models_are_one_run(bert: Path, reference: Path) -> None:
    models = ["--model", "ideal", "--model", str(bert), "--model", str(reference)]
    result = call("run", *models, *SMALL, "--output", "run")
    assert result.exit_code == 0, result.output
    store = RunStore("run")
    names = [entry if isinstance(entry, str) else entry["name"] for entry in store.read_settings()["models"]]
    assert names == ["ideal", str(bert), str(reference)]
    for name in names:
        assert len(store.read_samples(name, "waiting_line_shuffle", Method.parse("remdm(k=8)"))) == 3
        assert f"{name}, waiting_line_shuffle: done" in result.stdout


def test_other_weights_in_the_directory_are_run_again(elsewhere: Path) -> None:
    save_reference(elsewhere / "model")
    assert call("run", "--model", "model", *SMALL, "--output", "run").exit_code == 0
    config = json.loads((elsewhere / "model" / "config.json").read_text())
    (elsewhere / "model" / "config.json").write_text(json.dumps({**config, "rope_theta": 5000.0}))
    before = samples(Path("run"))
    result = call("run", "--model", "model", *SMALL, "--output", "run")
    assert result.exit_code == 0
    assert "revision of model has changed (files:" in result.stdout
    assert "3 of 3 settings are run again" in result.stdout
    assert samples(Path("run")).keys() == before.keys()
    assert "all 3 settings are on disk" in call("run", "--model", "model", *SMALL, "--output", "run").stdout


def test_a_model_can_ask_for_longer_answers(elsewhere: Path) -> None:
    save_reference(elsewhere / "model", answer_length=40)
    assert call("run", "--model", "model", *SMALL, "--output", "run").exit_code == 0
    store = RunStore("run")
    assert store.read_settings()["models"][0]["answer_length"] == 40
    rows = store.read_samples("model", "waiting_line_shuffle", Method.parse("remdm(k=8)"))
    assert {row["num_tokens"] for row in rows} == {40}


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
        assert call("run", "--model", str(reference), *SMALL, "--output", "stopped/run").exit_code == 130
    kept = samples(Path("stopped/run"))
    assert settings <= len(kept) < 3
    assert kept.items() <= samples(Path("whole")).items()
    assert call("run", "--model", str(reference), *SMALL, "--output", "stopped/run").exit_code == 0
    assert samples(Path("stopped/run")) == samples(Path("whole"))


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


# -- refusals ------------------------------------------------------------------------------------------------------


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
    done = subprocess.run([*command, "apart/again"], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert samples(Path("apart/again")) == samples(Path("run"))
