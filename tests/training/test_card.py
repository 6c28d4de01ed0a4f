"""The card says what was measured, of which model, and nothing else."""

import json
import re
import shutil
from pathlib import Path

import pytest

from training.card import TEMPLATE, card_text
from training.predictions import IDEAL, IDEAL_GREEDY, REFERENCE, check_predictions, read_predictions
from training.scoring import Cell, Scores

from .conftest import HUB_MODEL

TASK = "waiting_line_shuffle"


def _cell(score: float | None, rows: int = 100, **parts: float) -> Cell:
    return Cell(score, parts, 4.0, rows)


def _list(score: float, rows: int = 100) -> Cell:
    return _cell(score, rows, score_strict=score)


def _record(model: str, made_with: str, **entries: str | int) -> dict[str, str | int]:
    plain = {"task": TASK, "id": "row-0", "setting": "random(k=1)", "prediction": "", "num_tokens": 64}
    return {"model": model, "made_with": made_with, **plain, "num_forward_passes": 64, **entries}


def _hash_of(directory: Path, model: str) -> str:
    with pytest.raises(ValueError, match=r"not [0-9a-f]{16}") as caught:
        check_predictions([_record(model, "none")], directory)
    return str(caught.value).partition("not ")[2].partition(")")[0]


def test_what_was_not_measured_is_not_in_the_tables() -> None:
    card = card_text(HUB_MODEL, {REFERENCE: {TASK: {"random(k=1)": _list(50.0)}}})
    assert "| task | random order, k = 1 |\n|---|---|\n| `waiting_line_shuffle` | 50 |" in card
    assert "No threshold was evaluated." in card
    assert "The text tasks were not evaluated." in card
    assert "The ideal model was not run." in card
    assert "The standard error is up to 5 points" in card

    card = card_text(HUB_MODEL, {REFERENCE: {TASK: {"threshold(threshold=0.9)": _list(50.0)}}})
    assert "Neither order was evaluated." in card
    assert "| `waiting_line_shuffle` | 50 @ 4.0 |" in card


def test_settings_that_one_task_lacks_are_dashes() -> None:
    tasks = {TASK: {"random(k=1)": _list(50.0)}, "waiting_line_copy": {"random(k=8)": _list(25.0, rows=25)}}
    card = card_text(HUB_MODEL, {REFERENCE: tasks})
    assert "random order, k = 1 / 8 |" in card
    assert "| `waiting_line_copy` | – 25 |" in card
    assert "| `waiting_line_shuffle` | 50 – |" in card
    assert "the first 25 to 100 test rows" in card
    assert "up to 10 points" in card


def test_the_ideal_model_stands_beside_what_was_measured_of_the_trained_one() -> None:
    scores: Scores = {
        REFERENCE: {TASK: {"random(k=1)": _list(50.0, rows=20)}},
        IDEAL: {TASK: {"random(k=1)": _list(100.0), "random(k=2)": _list(71.0)}},
        IDEAL_GREEDY: {TASK: {"random(k=2)": _list(82.0)}},
    }
    card = card_text(HUB_MODEL, scores)
    assert "| `waiting_line_shuffle` | random(k=1) | 50 | – | 100 |" in card
    assert "| `waiting_line_shuffle` | random(k=2) | – | 82 | 71 |" in card
    assert "Each number is of the first 20 to 100 test rows." in card


def test_texts_without_a_checker_have_no_headline() -> None:
    own = {
        TASK: {"random(k=1)": _list(50.0)},
        "words_to_sentence_easy": {"random(k=1)": _cell(None, inclusion=58.0)},
        "text_writing_summarize": {"random(k=1)": _cell(None), "random(k=8)": _cell(7.0, grammar=7.0)},
    }
    card = card_text(HUB_MODEL, {REFERENCE: own})
    assert "| task and average | random order, k = 1 / 8 |" in card
    assert "| `words_to_sentence_easy`, inclusion | 58 – |" in card
    assert "| `text_writing_summarize`, grammar | – 7 |" in card
    own["text_writing_summarize"] = {"random(k=1)": _cell(None)}
    card = card_text(HUB_MODEL, {REFERENCE: own})
    assert "Without a grammar checker there are no scores of `text_writing_summarize`." in card


@pytest.mark.parametrize("model", [IDEAL, REFERENCE])
def test_a_card_takes_scores_of_its_own_model(model: str) -> None:
    cells = {"random(k=1)": _list(1.0) if model == IDEAL else _cell(None)}
    with pytest.raises(ValueError, match="no prediction is the model's own on lists or puzzles"):
        card_text(HUB_MODEL, {model: {TASK: cells}})


def test_training_that_was_stopped_is_told_with_the_commands_that_repeat_it(directory: Path) -> None:
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
        card = card_text(directory, {REFERENCE: {TASK: {"random(k=1)": _list(50.0)}}})
        assert decay in card
        assert "--steps 500 --decay 200" in card
        assert (f"--piece {step}\npython -m training export" in card) == (step < 500)
        assert re.search(r"\| `waiting_line_copy` \| [\d.]+ % \| 0\.2500 \|", card)
        assert re.search(r"\| `waiting_line_reverse` \| [\d.]+ % \| – \|", card)


def test_predictions_of_other_weights_or_another_tokenizer_are_refused(directory: Path) -> None:
    (directory / "model.safetensors").write_bytes(b"one")
    own, ideal = _hash_of(directory, REFERENCE), _hash_of(directory, IDEAL)
    assert own != ideal
    good = [_record(REFERENCE, own), _record(IDEAL, ideal), _record(IDEAL_GREEDY, ideal)]
    check_predictions(good, directory)

    (directory / "model.safetensors").write_bytes(b"another")
    with pytest.raises(ValueError, match="'reference' for waiting_line_shuffle that were made with other weights"):
        check_predictions(good, directory)
    check_predictions(good[1:], directory)
    with pytest.raises(ValueError, match="'somebody'"):
        check_predictions([_record("somebody", own)], directory)


def test_an_answer_counts_once(directory: Path) -> None:
    (directory / "model.safetensors").write_bytes(b"one")
    one = _record(REFERENCE, _hash_of(directory, REFERENCE))
    check_predictions([one, one | {"setting": "random(k=2)"}, one | {"id": "row-1"}], directory)
    with pytest.raises(ValueError, match=r"answers row-0 under random\(k=1\) twice"):
        check_predictions([one, one], directory)


def test_answers_come_back_from_their_file_with_all_signs(tmp_path: Path) -> None:
    record = _record(REFERENCE, "", prediction="a\u2028b\x85c\nd")
    path = tmp_path / "predictions.jsonl"
    path.write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")
    assert read_predictions(path) == [record]
    path.write_text(path.read_text(encoding="utf-8") + '{"model": "ref', encoding="utf-8")
    with pytest.raises(ValueError, match="line 2: is no prediction"):
        read_predictions(path)


def test_the_shipped_card_says_what_the_template_says() -> None:
    shipped = (HUB_MODEL / "README.md").read_text(encoding="utf-8").splitlines()
    written = TEMPLATE.read_text(encoding="utf-8").splitlines()
    assert [line for line in written if "<<" not in line and line not in shipped] == []
