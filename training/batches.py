"""Training batches: a function of seed and number alone, made ahead by worker processes that need no torch."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from hub_dataset.processes import end_with_parent

from .defaults import ANSWERS, GROUPS, PROMPTS
from .examples import Mixture
from .masking import draw_masks
from .names import TrainingPeople
from .posteriors import AnswerTable, Punctuation, answer_table, draw_state, targets
from .tokenizer import ASSISTANT, END, MASK, PAD, load_backend, name_pieces
from .unknown_words import UnknownWords

# Answers are generated in windows of these lengths.
WINDOWS = (32, 48, 64)
# What prompts are padded to; longer ones are drawn again. A kernel is built for every shape, which takes a second or
# so; these few fit the groups of similar length.
PROMPT_LENGTHS = (112, 208, 240, 288)
_SEPARATORS = ('["', '", "', '"]', ",", "\n")
# How often a group gets the shortest window that its answers fit into, whatever else fits.
SHORTEST_WINDOW = 0.7
# The example's answer is masked in part in this share of the prompts: it is one more answer to learn from.
MASKED_EXAMPLES = 0.5
_PREFIX = "batches-"


@dataclass(frozen=True, slots=True)
class BatchShape:
    """How many prompts are in a batch, in how many groups of similar length, and how often each is answered."""

    prompts: int = PROMPTS
    groups: int = GROUPS
    answers: int = ANSWERS

    def __post_init__(self) -> None:
        if self.prompts < 1 or self.answers < 1:
            raise ValueError(f"a batch of {self.prompts} prompts with {self.answers} answers: give at least 1 of each")
        if self.groups < 1 or self.prompts % self.groups:
            raise ValueError(f"{self.prompts} prompts cannot be divided into {self.groups} groups of equal size")


@dataclass(frozen=True, slots=True)
class Group:
    """Part of a batch, padded to one length. Arrays are int16 unless said otherwise.

    Attributes:
        prompts: (rows, prompt), padded on the right; part of the example's answer is masked.
        prompt_lengths: (rows,).
        windows: (rows, answers, window): answers filled up with end tokens, partly masked.
        positions: (masked,), int32: where the masked tokens are among all tokens, prompts first, flattened.
        owners: (targets,), int32, ascending: which masked token a target is for.
        targets: (targets,): a token that may stand there.
        weights: (targets,), float32: its probability; those of a masked token add up to 1.
        tasks: (rows,): the number of each row's config in the mix.
    """

    prompts: np.ndarray
    prompt_lengths: np.ndarray
    windows: np.ndarray
    positions: np.ndarray
    owners: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    tasks: np.ndarray


@dataclass(frozen=True, slots=True)
class Encoded:
    """An example in tokens: its prompt, right answers, and the table of all of them where there is one."""

    task: int
    prompt: list[int]
    answers: list[list[int]]
    table: AnswerTable | None

    @property
    def longest_answer(self) -> int:
        """Tokens of the longest right answer that may be asked for."""
        return max(map(len, self.answers)) if self.table is None else self.table.rows.shape[1]


class BatchMaker:
    """Makes the batches of one training run.

    Args:
        directory: of the model, with `tokenizer.json`.
        shape: of a batch.
        seed: of the run.
    """

    def __init__(self, directory: Path, shape: BatchShape, seed: int) -> None:
        self._tokenizer = load_backend(directory)
        self.shape = shape
        self._seed = seed
        self._pad, self._end, self._mask, self._assistant = (
            self._tokenizer.encode(token).ids[0] for token in (PAD, END, MASK, ASSISTANT)
        )
        tokens = self._tokenizer.get_vocab()
        self._is_separator = np.zeros(len(tokens), dtype=bool)
        separators = [self._tokenizer.encode(text).ids for text in _SEPARATORS]
        if any(len(ids) != 1 for ids in separators):
            raise ValueError(
                f"{directory}: the tokenizer has no single token for each of {', '.join(map(repr, _SEPARATORS))}"
            )
        self._is_separator[[ids[0] for ids in separators]] = True
        opening, between, closing, comma, line_feed = (ids[0] for ids in separators)
        self._marks = Punctuation(opening, between, closing, comma, line_feed, self._end)
        heads, tails = name_pieces(self._tokenizer)
        people = TrainingPeople(heads, tails)
        self.mixture = Mixture(people, answers=shape.answers, unknown=UnknownWords(people, tails))

    def make(self, number: int) -> list[Group]:
        """The groups of batch `number`."""
        digest = sha256(f"reference/{self._seed}/train/{number}".encode()).digest()
        draw = random.Random(int.from_bytes(digest[:8], "big")).random
        generator = np.random.Generator(np.random.PCG64(int.from_bytes(digest[8:16], "big")))
        encoded = self._encode(draw, self.shape.prompts)
        # The few long answers go together: every answer of a group is given the window of its longest.
        encoded.sort(key=lambda example: (example.longest_answer > WINDOWS[-2], len(example.prompt)))
        size = self.shape.prompts // self.shape.groups
        return [self._group(encoded[start : start + size], generator) for start in range(0, len(encoded), size)]

    def _encode(self, draw: Any, count: int) -> list[Encoded]:
        """`count` examples, none of them too long."""
        found: list[Encoded] = []
        while len(found) < count:
            examples = [self.mixture.draw(draw) for _ in range(count - len(found))]
            prompts = iter(self._ids([example.prompt for example in examples]))
            # Of an answer that is one of many in a table, the items' tokens are all that is needed.
            texts = [example.choices.items if example.choices else example.answers for example in examples]
            ids = iter(self._ids([text for several in texts for text in several]))
            for example, several in zip(examples, texts, strict=True):
                own = [next(ids) for _ in several]
                table = answer_table(example.choices, own, self._marks) if example.choices else None
                encoded = Encoded(example.task, next(prompts), own, table)
                if len(encoded.prompt) <= PROMPT_LENGTHS[-1] and encoded.longest_answer <= WINDOWS[-1]:
                    found.append(encoded)
        return found

    def _ids(self, texts: list[str]) -> list[list[int]]:
        encode = getattr(self._tokenizer, "encode_batch_fast", self._tokenizer.encode_batch)
        return [encoding.ids for encoding in encode(texts, add_special_tokens=False)]

    def _group(self, rows: list[Encoded], generator: np.random.Generator) -> Group:
        prompt_lengths = np.array([len(row.prompt) for row in rows])
        length = next(padded for padded in PROMPT_LENGTHS if padded >= prompt_lengths.max())
        prompts = np.full((len(rows), length), self._pad, dtype=np.int16)
        for index, row in enumerate(rows):
            prompts[index, : len(row.prompt)] = row.prompt
        masked_examples = self._example_answers(prompts) & (
            generator.random(prompts.shape) < self._example_rates(generator, len(rows))
        )
        window = self._window(max(row.longest_answer for row in rows), generator)
        windows, masked, tables = self._answers(rows, window, generator)

        positions = np.flatnonzero(np.concatenate([masked_examples.ravel(), masked.ravel()]))
        of_prompts = np.flatnonzero(masked_examples)
        owners = [np.arange(len(of_prompts))]
        tokens = [prompts.ravel()[of_prompts]]
        weights = [np.ones(len(of_prompts))]
        found = len(of_prompts)
        for index, (answer, mask) in enumerate(
            zip(windows.reshape(-1, window), masked.reshape(-1, window), strict=True)
        ):
            own = np.flatnonzero(mask)
            if (listed := tables[index]) is None:
                owner, token, weight = np.arange(len(own)), answer[own], np.ones(len(own))
            else:
                owner, token, weight = targets(*listed, own)
            owners.append(owner + found)
            tokens.append(token)
            weights.append(weight)
            found += len(own)
        return Group(
            prompts=np.where(masked_examples, np.int16(self._mask), prompts),
            prompt_lengths=prompt_lengths.astype(np.int16),
            windows=np.where(masked, np.int16(self._mask), windows),
            positions=positions.astype(np.int32),
            owners=np.concatenate(owners).astype(np.int32),
            targets=np.concatenate(tokens).astype(np.int16),
            weights=np.concatenate(weights).astype(np.float32),
            tasks=np.array([row.task for row in rows], dtype=np.int16),
        )

    def _window(self, longest: int, generator: np.random.Generator) -> int:
        """The shortest window that fits most of the time, since every token of it costs; else another that fits."""
        fitting = [window for window in WINDOWS if window >= longest]
        return fitting[0] if generator.random() < SHORTEST_WINDOW else fitting[int(generator.random() * len(fitting))]

    def _answers(
        self, rows: list[Encoded], window: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, list[tuple[AnswerTable, np.ndarray] | None]]:
        """Answers and what is masked of them, both (rows, answers, window); of each its table and those that agree."""
        number = self.shape.answers
        windows = np.full((len(rows) * number, window), self._end, dtype=np.int16)
        drawn = np.zeros(len(windows), dtype=np.int64)
        for index in range(len(windows)):
            row = rows[index // number]
            if row.table is None:
                answer: Any = row.answers[index % number % len(row.answers)]
            else:
                drawn[index] = int(generator.random() * len(row.table.rows))
                answer = row.table.tokens[row.table.rows[drawn[index]]]
            windows[index, : len(answer)] = answer
        # A text's commas say how many words are between them; in a list or square there are always as many.
        texts = np.repeat([row.task in self.mixture.texts for row in rows], number)
        masked = draw_masks(generator, self._is_separator[windows] & ~texts[:, None])
        tables: list[tuple[AnswerTable, np.ndarray] | None] = [None] * len(windows)
        for index in range(len(windows)):
            table = rows[index // number].table
            if table is not None:
                masked[index], state, agreeing = draw_state(table, masked[index], int(drawn[index]), generator)
                windows[index] = table.tokens[state]
                tables[index] = table, agreeing
        shape = (len(rows), number, window)
        return windows.reshape(shape), masked.reshape(shape), tables

    def _example_rates(self, generator: np.random.Generator, rows: int) -> np.ndarray:
        rates = generator.random((rows, 1))
        return np.where(generator.random((rows, 1)) < MASKED_EXAMPLES, rates, 0)

    def _example_answers(self, prompts: np.ndarray) -> np.ndarray:
        """Where the assistant's earlier turns are, (rows, prompt), bool: their texts and the end tokens after them."""
        begins = (prompts == self._assistant).astype(np.int8)
        ends = (prompts == self._end).astype(np.int8)
        # In a turn after its first token, up to the end token and with it.
        turn = np.cumsum(begins, axis=1) - begins
        ended = np.cumsum(ends, axis=1) - ends
        # A user's turn ends first: the assistant's n-th turn lies between end tokens 2n − 1 and 2n.
        inside = (turn > 0) & (ended == 2 * turn - 1)
        answers: np.ndarray = inside & (prompts != self._pad)
        return answers


def _work(
    directory: Path, shape: BatchShape, seed: int, first: int, last: int, step: int, queue: Any, folder: Path
) -> None:
    # One process per core: more threads would only slow each other down.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    # Batches are made ahead, so it is the process that trains which must never wait for a core.
    os.nice(10)
    end_with_parent()
    maker = BatchMaker(directory, shape, seed)
    for number in range(first, last, step):
        path = folder / str(number)
        with path.open("wb") as file:
            pickle.dump(maker.make(number), file, protocol=5)
        queue.put(path)


@contextmanager
def batches_ahead(
    directory: Path,
    shape: BatchShape,
    seed: int,
    first: int,
    last: int,
    *,
    workers: int,
    ahead: int = 4,
    folder: Path | None = None,
) -> Iterator[Iterator[list[Group]]]:
    """Batches `first` to `last` (exclusive) in order, made by `workers` processes, or by this one if there are none.

    Worker w makes every `workers`-th batch, at most `ahead` of them ahead of time, so that the order and the content of
    the batches depend on nothing but their numbers. Batches are handed over in temporary files under `folder`, which
    stay in the system's cache: through a queue's pipe, 64 KiB at a time, one took half as long as training on it.
    """
    if workers < 1:
        maker = BatchMaker(directory, shape, seed)
        yield (maker.make(number) for number in range(first, last))
        return
    # A process that uses a GPU cannot be forked.
    context = multiprocessing.get_context("spawn")
    queues = [context.Queue(ahead) for _ in range(workers)]
    if folder is not None:
        for left in folder.glob(f"{_PREFIX}*"):
            shutil.rmtree(left)
    with TemporaryDirectory(prefix=_PREFIX, dir=folder) as made:
        processes = [
            context.Process(
                target=_work,
                args=(directory, shape, seed, first + worker, last, workers, queues[worker], Path(made)),
                daemon=True,
            )
            for worker in range(workers)
        ]
        for process in processes:
            process.start()
        try:
            yield (_next(queues[index % workers], processes[index % workers]) for index in range(last - first))
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.join()


def _next(queue: Any, process: Any) -> list[Group]:
    from queue import Empty

    while True:
        try:
            path: Path = queue.get(timeout=5)
            break
        except Empty:
            if not process.is_alive():
                raise RuntimeError(f"a process that makes batches ended with code {process.exitcode}") from None
    with path.open("rb") as file:
        groups: list[Group] = pickle.load(file)
    path.unlink()
    return groups
