"""The texts that the tokenizer learns its merges from: prompts and answers of the training mix."""

from __future__ import annotations

import random
from collections.abc import Iterator

from .examples import WEIGHTS, Mixture
from .names import TrainingPeople

# Prompts repeat themselves; this many show every wording with every number.
EXAMPLES = 20_000
# Parts of the text tasks, apart from those of training: the shipped tokenizer must come out the same when those change.
_TEXTS = {
    "words_to_sentence_easy": 3,
    "words_to_sentence_medium": 2.5,
    "words_to_sentence_hard": 2.5,
    "text_writing_paraphrase": 3.5,
    "text_writing_summarize": 4,
}


def training_texts(count: int = EXAMPLES, seed: int = 0) -> Iterator[str]:
    """Prompts as the chat template renders them, and answers, of `count` examples."""
    mixture, draw = Mixture(TrainingPeople(), weights={**WEIGHTS, **_TEXTS}), random.Random(seed).random
    for _ in range(count):
        example = mixture.draw(draw)
        yield example.prompt
        yield from example.answers
