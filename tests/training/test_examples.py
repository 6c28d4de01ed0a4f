"""What of the dataset may not come up in training."""

import random
import re
from collections.abc import Hashable

import pytest

from hub_dataset.sentences import VOCABULARIES
from hub_dataset.sentences.lexicon import read_lexicon
from training.examples import Mixture
from training.names import TrainingPeople


class _FirstQuestion:
    """Holds the first identity that is asked for."""

    def __init__(self) -> None:
        self.asked: list[Hashable] = []

    def __contains__(self, identity: Hashable) -> bool:
        self.asked.append(identity)
        return identity == self.asked[0]


@pytest.mark.parametrize("task", ["text_writing_paraphrase", "case_study_copy_n6", "puzzle_sudoku_n4_12"])
def test_a_question_that_is_held_out_is_drawn_again(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    people = TrainingPeople()
    plain = Mixture(people, weights={task: 1}).draw(random.Random(1).random)
    held_out = _FirstQuestion()
    monkeypatch.setattr("training.examples.held_out_identities", lambda config: held_out)
    other = Mixture(people, weights={task: 1}).draw(random.Random(1).random)
    assert len(held_out.asked) > 1
    assert plain.answers != other.answers


def test_a_text_with_a_name_of_test_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    names = sorted({name for vocabulary in VOCABULARIES for name in read_lexicon(vocabulary).names})
    mixture = Mixture(TrainingPeople(), weights={"text_writing_summarize": 1})
    forbidden = frozenset(names[: len(names) // 2])
    assert _capitalised(mixture) & forbidden
    monkeypatch.setattr("training.examples._test_names", lambda: forbidden)
    assert not _capitalised(mixture) & forbidden


def _capitalised(mixture: Mixture) -> set[str]:
    draw = random.Random(2).random
    return {word for _ in range(100) for word in re.findall("[A-Z][a-z]+", mixture.draw(draw).prompt)}
