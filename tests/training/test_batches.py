"""Batches depend on seed and number alone, and hold what they say they hold."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import ROOT, comes_true, is_alive

from training.batches import PROMPT_LENGTHS, WINDOWS, BatchMaker, BatchShape, Group, batches_ahead
from training.masking import draw_masks
from training.tokenizer import ASSISTANT, END, MASK, load_backend

from .conftest import HUB_MODEL

SHAPE = BatchShape(prompts=24, groups=2, answers=2)


def _equal(one: list[Group], other: list[Group]) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for a, b in zip(one, other, strict=True)
        for name in Group.__slots__
    )


def test_a_batch_depends_on_seed_and_number_alone() -> None:
    maker = BatchMaker(HUB_MODEL, SHAPE, seed=5)
    maker.make(0)
    again = BatchMaker(HUB_MODEL, SHAPE, seed=5)
    assert _equal(maker.make(7), again.make(7))
    assert not _equal(again.make(7), again.make(8))
    assert not _equal(again.make(7), BatchMaker(HUB_MODEL, SHAPE, seed=6).make(7))


@pytest.mark.slow
def test_workers_make_the_same_batches_in_order() -> None:
    maker = BatchMaker(HUB_MODEL, SHAPE, seed=5)
    with batches_ahead(HUB_MODEL, SHAPE, 5, 3, 8, workers=2) as batches:
        for number, batch in zip(range(3, 8), batches, strict=True):
            assert _equal(batch, maker.make(number))


def test_hidden_tokens_have_targets_whose_weights_add_up_to_one() -> None:
    mask = load_backend(HUB_MODEL).token_to_id(MASK)
    for group in BatchMaker(HUB_MODEL, SHAPE, seed=1).make(0):
        tokens = np.concatenate([group.prompts.ravel(), group.windows.ravel()])
        assert np.array_equal(np.flatnonzero(tokens == mask), group.positions)
        assert np.bincount(group.owners, weights=group.weights) == pytest.approx(np.ones(len(group.positions)))
        assert not (group.targets == mask).any()
        assert group.prompts.shape[1] in PROMPT_LENGTHS
        assert group.windows.shape[2] in WINDOWS


def test_of_a_prompt_only_the_examples_answer_is_hidden() -> None:
    tokenizer = load_backend(HUB_MODEL)
    mask, assistant, end = (tokenizer.token_to_id(token) for token in (MASK, ASSISTANT, END))
    masked_rows = 0
    for number in range(3):
        for group in BatchMaker(HUB_MODEL, SHAPE, seed=2).make(number):
            for prompt, length in zip(group.prompts, group.prompt_lengths, strict=True):
                masked = np.flatnonzero(prompt[:length] == mask)
                assert prompt[length - 1] == assistant
                if not len(masked):
                    continue
                masked_rows += 1
                begin = np.flatnonzero(prompt == assistant)[0]
                user = tokenizer.token_to_id("<|user|>")
                question = np.flatnonzero(prompt == user)[1]
                assert begin < masked[0]
                assert masked[-1] < question
                assert (prompt[question:length] != mask).all()
                assert prompt[question - 1] in (end, mask)
    assert masked_rows > 5


def test_unequal_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="10 prompts"):
        BatchShape(prompts=10, groups=3)


@pytest.mark.parametrize("shape", [{"prompts": 0}, {"prompts": -4}, {"answers": 0}])
def test_empty_batches_are_refused(shape: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="give at least 1 of each"):
        BatchShape(**shape)


def test_commas_of_a_text_are_hidden_like_any_other_token(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[np.ndarray] = []

    def noted(random: np.random.Generator, is_separator: np.ndarray) -> np.ndarray:
        asked.append(is_separator)
        return draw_masks(random, is_separator)

    monkeypatch.setattr("training.batches.draw_masks", noted)
    maker = BatchMaker(HUB_MODEL, BatchShape(prompts=120, groups=1, answers=2), seed=4)
    (group,) = maker.make(0)
    separators = asked[0].any(axis=1).reshape(120, 2)
    texts = np.isin(group.tasks, list(maker.mixture.texts))
    assert texts.sum() > 5
    assert not separators[texts].any()
    assert separators[~texts].all()


_PARENT = """
import os, sys
from pathlib import Path
from training.batches import BatchShape, batches_ahead
if __name__ == "__main__":
    shape = BatchShape(prompts=4, groups=2, answers=1)
    with batches_ahead(Path(sys.argv[1]), shape, 0, 0, 10_000, workers=1, ahead=1, folder=Path(sys.argv[2])) as batches:
        next(batches)
        import multiprocessing
        print(multiprocessing.active_children()[0].pid, flush=True)
        os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
def test_workers_end_with_a_process_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    folder = tmp_path / "out"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, str(script), str(HUB_MODEL), str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    worker = int(done.stdout)
    assert comes_true(lambda: not is_alive(worker))
    # What it has left is removed by the next that trains there.
    assert list(folder.glob("batches-*"))
    with batches_ahead(HUB_MODEL, SHAPE, 5, 0, 1, workers=1, folder=folder) as batches:
        assert len(list(batches)) == 1
    assert not list(folder.glob("batches-*"))
