"""The card says what was measured, of which model, and nothing else."""

import json
import re
import shlex
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from example_run import run_settings

from benchmark.models import HubModel, ModelOptions
from benchmark.models.interface import new_sample
from benchmark.protocol.method import Method
from benchmark.protocol.questions import resolve_tasks
from benchmark.store.runs import RunStore
from training.card import TEMPLATE, card_text, read_runs
from training.examples import WEIGHTS

from .conftest import HUB_MODEL

TASK = "waiting_line_shuffle"
OWN, SAMPLED, GREEDY = "reference", "ideal:reference", "ideal-greedy:reference"
#: Model → task → specification of a method → scores of its samples.
Results = Mapping[str, Mapping[str, Mapping[str, list[dict[str, float]]]]]
OWN_RESULTS: Results = {OWN: {TASK: {"random:k=1": [{"headline": 0.5, "score_strict": 0.5}] * 100}}}


def answers(percent: float, count: int = 100, **more: float) -> list[dict[str, float]]:
    """Scores of samples on a list, of which so many percent are right."""
    right = round(percent * count / 100)
    return [{"headline": float(row < right), "score_strict": float(row < right), **more} for row in range(count)]


def text(count: int = 100, **shares: float) -> list[dict[str, float]]:
    """Scores of samples of text, percent by name; the grammar is the headline."""
    values = {"headline": shares["grammar"], **shares}
    return [{name: share / 100 for name, share in values.items()} for _ in range(count)]


def write_run(directory: Path, results: Results, *, model: Path = HUB_MODEL, **entries: Any) -> Path:
    """A run as `parallelbench run` leaves it, with these results."""
    revision = HubModel(str(model), ModelOptions()).record()["revision"]
    tasks = dict.fromkeys(task for of_tasks in results.values() for task in of_tasks)
    methods = dict.fromkeys(text for of in results.values() for methods in of.values() for text in methods)
    store = RunStore(directory)
    settings = run_settings(list(map(Method.parse, methods)), list(tasks), list(results))
    models = [{"name": name, "revision": revision, "answer_length": 64, "dtype": "float32"} for name in results]
    devices = {name: ["a fast one"] for name in results}
    store.write_settings({**settings, "models": models, "devices": devices, **entries})
    for name, of_tasks in results.items():
        for task, of_methods in of_tasks.items():
            for method, scores in of_methods.items():
                samples = [
                    {
                        **new_sample(
                            {"id": f"{task}-{row}", "length": 3},
                            "",
                            num_tokens=64,
                            num_forward_passes=16,
                            num_answer_tokens=9,
                        ),
                        "scores": of_row,
                    }
                    for row, of_row in enumerate(scores)
                ]
                store.write_samples(name, task, Method.parse(method), samples)
    return directory


@pytest.fixture
def card(tmp_path: Path) -> Any:
    """Results → the card of the shipped model with them."""

    def made(results: Results) -> str:
        return card_text(
            HUB_MODEL, read_runs(HUB_MODEL, [write_run(tmp_path / f"run{len(list(tmp_path.iterdir()))}", results)])
        )

    return made


def test_what_was_not_measured_is_not_in_the_tables(card: Any) -> None:
    text = card({OWN: {TASK: {"random:k=1": answers(50)}}})
    assert "| task | random order, k = 1 |\n|---|---|\n| `waiting_line_shuffle` | 50 |" in text
    assert "No threshold was evaluated." in text
    assert "The text tasks were not evaluated." in text
    assert "The ideal model was not run." in text
    assert "The standard error is up to 5 points" in text
    assert "greedy, 64 new tokens in one block" in text

    text = card({OWN: {TASK: {"threshold:threshold=0.9": answers(50)}}})
    assert "Neither order was evaluated." in text
    assert "| task | threshold 0.9 |" in text
    assert "| `waiting_line_shuffle` | 50 @ 4.0 |" in text


def test_it_says_what_the_numbers_were_measured_on(card: Any) -> None:
    assert "Measured in float32 on a fast one." in card(OWN_RESULTS)


def test_settings_that_one_task_lacks_are_dashes(card: Any) -> None:
    tasks = {TASK: {"random:k=1": answers(50)}, "waiting_line_copy": {"random:k=8": answers(25, 24)}}
    text = card({OWN: tasks})
    assert "random order, k = 1 / 8 |" in text
    assert "| `waiting_line_copy` | – 25 |" in text
    assert "| `waiting_line_shuffle` | 50 – |" in text
    assert "the first 24 to 100 test rows" in text
    assert "up to 10 points" in text


def test_methods_with_more_than_a_speed_have_no_column_of_their_order(card: Any) -> None:
    text = card({OWN: {TASK: {"random:k=1": answers(50), "random:k=2,temperature=1": answers(10)}}})
    assert "| task | random order, k = 1 |" in text


def test_the_ideal_model_stands_beside_what_was_measured_of_the_trained_one(tmp_path: Path) -> None:
    own = {TASK: {"random:k=1": answers(50, 20)}, "waiting_line_copy": {"random:k=1": answers(100)}}
    sampled = {TASK: {"random:k=1": answers(100), "random:k=2": answers(71)}}
    runs = [
        write_run(tmp_path / "own", {OWN: own}),
        write_run(tmp_path / "ideal", {SAMPLED: sampled}),
        write_run(tmp_path / "greedy", {GREEDY: {TASK: {"random:k=2": answers(82)}}}),
    ]
    text = card_text(HUB_MODEL, read_runs(HUB_MODEL, runs))
    assert "| `waiting_line_shuffle` | random(k=1) | 50 | – | 100 |" in text
    assert "| `waiting_line_shuffle` | random(k=2) | – | 82 | 71 |" in text
    assert "Each number is of the first 20 to 100 test rows." in text
    assert text.count("random(k=1) |") == 1


def test_of_texts_the_scores_are_told_that_the_card_explains(card: Any) -> None:
    sentences = text(inclusion=58, grammar=90, score=55)
    summaries = text(grammar=7, score=7, rouge_l=30, bleu=10)
    own = {
        TASK: {"random:k=1": answers(50)},
        "words_to_sentence_easy": {"random:k=1": sentences},
        "text_writing_summarize": {"random:k=8": summaries, "threshold:threshold=0.9": summaries},
    }
    made = card({OWN: own})
    assert "| task and average | random order, k = 1 / 8 | threshold 0.9 |" in made
    for part, value in {"inclusion": 58, "grammar": 90, "score": 55}.items():
        assert f"| `words_to_sentence_easy`, {part} | {value} – | – |" in made
    assert "| `text_writing_summarize`, grammar | – 7 | 7 |" in made
    assert "`text_writing_summarize`, score" not in made
    assert "rouge" not in made


def test_a_card_takes_runs_of_its_own_model_as_it_is(directory: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "training_log.jsonl"):
        shutil.copyfile(HUB_MODEL / name, directory / name)
    run = write_run(tmp_path / "run", OWN_RESULTS, model=directory)
    assert read_runs(directory, [run]).own == OWN

    texts = {OWN: {"words_to_sentence_easy": {"random:k=1": text(inclusion=1, grammar=1, score=1)}}}
    only_texts = write_run(tmp_path / "texts", texts, model=directory)
    with pytest.raises(ValueError, match="neither lists nor puzzles"):
        card_text(directory, read_runs(directory, [only_texts]))
    ideal = write_run(tmp_path / "ideal", {SAMPLED: OWN_RESULTS[OWN]}, model=directory)
    with pytest.raises(ValueError, match="none of the runs is of the model"):
        read_runs(directory, [ideal])
    with pytest.raises(ValueError, match="as 'reference' and as 'other'"):
        read_runs(directory, [run, write_run(tmp_path / "other", {"other": OWN_RESULTS[OWN]}, model=directory)])

    weights = bytearray((directory / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (directory / "model.safetensors").write_bytes(weights)
    for stale in (run, ideal):
        with pytest.raises(ValueError, match=r"reference', which is not the model in "):
            read_runs(directory, [stale])


def test_training_that_was_stopped_is_told_with_the_commands_that_repeat_it(directory: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(HUB_MODEL / name, directory / name)
    begins = json.loads((HUB_MODEL / "training_log.jsonl").read_text(encoding="utf-8").splitlines()[0])
    begins["config"] |= {"steps": 500, "decay": 200}
    expected = {
        300: "then the same rate to the end",
        400: "come to 0 at step 500; training stopped before that",
        500: "falling in a straight line to 0 over the last 200",
    }
    for step, decay in expected.items():
        entry = {"step": step, "loss": 1.0, "seconds": 60.0, "loss_by_task": {"waiting_line_copy": 0.25}}
        # A schedule may be planned anew in a later piece, which is the one that counts.
        lines = (begins | {"config": begins["config"] | {"steps": 900, "decay": 800}}, begins, entry)
        log = "".join(f"{json.dumps(line)}\n" for line in lines)
        (directory / "training_log.jsonl").write_text(log, encoding="utf-8")
        run = write_run(tmp_path / f"run{step}", OWN_RESULTS, model=directory)
        card = card_text(directory, read_runs(directory, [run]))
        assert decay in card
        assert "--steps 500 --decay 200" in card
        assert (f"--piece {step}\npython -m training export" in card) == (step < 500)
        assert re.search(r"\| `waiting_line_copy` \| [\d.]+ % \| 0\.2500 \|", card)
        assert re.search(r"\| `waiting_line_reverse` \| [\d.]+ % \| – \|", card)


@pytest.mark.parametrize(("steps", "expected"), [(3, "0.2000"), (30, "0.5000")])
def test_a_rare_tasks_loss_is_the_mean_of_the_last_batches_that_have_it(
    steps: int, expected: str, directory: Path, tmp_path: Path
) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(HUB_MODEL / name, directory / name)
    begins = json.loads((HUB_MODEL / "training_log.jsonl").read_text(encoding="utf-8").splitlines()[0])
    entries: list[dict[str, Any]] = [begins]
    for step in range(1, steps + 1):
        # In every other batch there is none of the task.
        losses = {} if step % 2 == 0 else {"waiting_line_copy": step % 20 / 20 if steps > 3 else step / 10}
        entries.append({"step": step, "loss": 1.0, "seconds": 60.0, "loss_by_task": losses})
    (directory / "training_log.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in entries))
    run = write_run(tmp_path / "run", OWN_RESULTS, model=directory)
    made = card_text(directory, read_runs(directory, [run]))
    assert re.search(rf"\| `waiting_line_copy` \| [\d.]+ % \| {expected} \|", made)
    assert "mean of the last 10 logged batches" in made


def commands() -> list[list[str]]:
    """The commands that the card names, in words."""
    block = TEMPLATE.read_text(encoding="utf-8").partition("To make it again")[2].split("```")[1]
    return [shlex.split(line) for line in block.replace("\\\n", " ").splitlines() if line]


def _values(words: list[str], option: str) -> Iterable[str]:
    return [words[place + 1] for place, word in enumerate(words) if word == option]


def test_the_commands_of_the_card_evaluate_every_task_of_the_mix() -> None:
    own = [words for words in commands() if words[:2] == ["parallelbench", "run"] and OWN in _values(words, "--model")]
    tasks = [task for words in own for task in resolve_tasks(list(_values(words, "--task")))]
    assert sorted(tasks) == sorted(WEIGHTS)


def test_the_commands_of_the_card_are_commands() -> None:
    from benchmark.cli import main as parallelbench
    from training.__main__ import main as training

    outputs = []
    for program, *words in commands()[:1] + commands()[2:]:
        command = parallelbench if program == "parallelbench" else training
        words = words if program == "parallelbench" else words[2:]
        found = command.get_command(click.Context(command), words[0])
        outputs += _values(words, "--output")
        if words[0] != "card":
            # Parsed and not run: what is no option ends here.
            found.make_context(words[0], words[1:])
    assert commands()[-1][4:] == outputs, "the card is made from what the runs leave"


def test_the_shipped_card_says_what_the_template_says() -> None:
    shipped = (HUB_MODEL / "README.md").read_text(encoding="utf-8").splitlines()
    written = TEMPLATE.read_text(encoding="utf-8").splitlines()
    assert [line for line in written if "<<" not in line and line not in shipped] == []
