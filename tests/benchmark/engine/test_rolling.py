"""Batches that requests join and leave between blocks: the answers are those that each request has alone."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from random_checkpoint import TINY_CONFIGS, write_checkpoint
from tiny_models import questions, save_reference
from toy_denoiser import ToyDenoiser

from benchmark.engine.requests import Request, first_stop, overlap
from benchmark.engine.rolling import RollingBatch, usual_batch_size
from benchmark.engine.worker import LogitsWorker
from benchmark.models import HubModel, ModelOptions, TaskModel
from benchmark.models.interface import AnswerOptions
from benchmark.models.prompts import tokenize_prompts
from benchmark.protocol.method import Method, expand
from samplers import built_in_scheduler_names, generate, models

NEW = 16


class Letters:
    """A tokenizer whose tokens are letters; `.` ends an answer."""

    eos_token_id, pad_token_id, chat_template = 0, 0, "x"

    def decode(self, tokens: list[int], skip_special_tokens: bool = False) -> str:
        return "".join("." if token == 0 else chr(96 + token % 26) for token in tokens)


@pytest.fixture
def toy() -> TaskModel:
    return TaskModel(ToyDenoiser(), Letters(), stop_token_ids=(0,))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> HubModel:
    return HubModel(str(save_reference(tmp_path_factory.mktemp("reference"))), ModelOptions())


def method_of(text: str) -> Method:
    return expand(text, NEW, sweep=False)[0]


def prompts(count: int) -> list[list[int]]:
    return [[1 + (7 * row + 3 * place) % 40 for place in range(6)] for row in range(count)]


def requests(count: int, **options: Any) -> list[Request]:
    return [Request(prompt, NEW, 0.0, id=str(row), **options) for row, prompt in enumerate(prompts(count))]


def run(batch: RollingBatch, asked: list[Request], at_once: int = 1) -> None:
    """Let requests come a few at a time, each time after a block, and see them all to their end."""
    left = list(asked)
    for _ in range(10_000):
        batch.join(left[:at_once])
        del left[:at_once]
        batch.go_on()
        if not left and not batch.rows and not batch.waiting:
            return
    raise AssertionError("it does not end")


def alone(model: Any, prompt: list[int], method: Method, temperature: float = 0.0) -> tuple[list[int], int]:
    output = generate(
        model,
        torch.tensor([prompt]),
        scheduler=method.build(temperature),
        max_new_tokens=NEW,
        block_length=method.decoded_block_length,
    )
    return output.answers[0].tolist(), int(output.num_rounds[0])


@pytest.mark.parametrize("name", [name for name in built_in_scheduler_names() if name != "random"])
def test_rows_that_come_one_by_one_are_decoded_as_they_are_alone(name: str, toy: TaskModel) -> None:
    try:
        method = method_of(f"{name}:block_length=4")
        generate(toy.model, torch.tensor([[1, 2]]), scheduler=method.build(0.0), max_new_tokens=4)
    except ValueError as error:
        pytest.skip(str(error))
    asked = requests(5)
    # Nothing of an answer is cut, so that all of it is compared.
    toy = TaskModel(toy.model, toy.tokenizer, stop_token_ids=(-1,))
    run(RollingBatch(toy, method, batch_size=3), asked)
    for request in asked:
        tokens, rounds = alone(toy.model, request.prompt, method)
        assert (request.answer, request.rounds) == (tokens, rounds), request.id
        assert request.reason == "length"


@pytest.mark.parametrize("name", ["rcr:scope=sequence,block_length=4", "confidence:k=4", "verified:block_length=8"])
def test_what_cannot_be_taken_up_in_the_middle_keeps_its_batch(name: str, toy: TaskModel) -> None:
    asked, method = requests(5), method_of(name)
    toy = TaskModel(toy.model, toy.tokenizer, stop_token_ids=(-1,))
    run(RollingBatch(toy, method, batch_size=3), asked, at_once=2)
    for request in asked:
        assert request.answer == alone(toy.model, request.prompt, method)[0]


@pytest.mark.parametrize("family", ["llada", "sdar", "fast_dllm", "parallelbench", "dream_reasoner", "llada2"])
@pytest.mark.parametrize("cache", [None, "dual"])
def test_with_keys_that_are_kept_rows_are_decoded_as_they_are_alone(family: str, cache: Any, tmp_path: Path) -> None:
    model = models.load(write_checkpoint(tmp_path, TINY_CONFIGS[family]))
    if cache and getattr(model, "expert_capacity", None):
        pytest.skip("it has no such cache")
    method = method_of(f"confidence:k=2,block_length={model.block_length or 4}" + (",cache=dual" if cache else ""))
    # Prompts of several lengths, whose ends lie at several places of a block.
    asked = [
        Request([1 + (5 * row + place) % 50 for place in range(5 + row)], NEW, 0.0, id=str(row)) for row in range(5)
    ]
    run(RollingBatch(TaskModel(model, Letters(), stop_token_ids=(-1,)), method, batch_size=3), asked)
    for request in asked:
        output = generate(
            model,
            torch.tensor([request.prompt]),
            scheduler=method.build(0.0),
            max_new_tokens=NEW,
            block_length=method.decoded_block_length,
            cache=cache,
        )
        assert request.answer == output.answers[0].tolist()
        assert request.rounds == int(output.num_rounds[0])
        assert request.reason == "length"


def test_answers_are_those_of_a_run(reference: HubModel) -> None:
    rows = questions(count=6)
    for text in ("threshold:threshold=0.3,block_length=8", "random:k=2"):
        method = method_of(text)
        options = AnswerOptions(max_new_tokens=NEW, sharing=False)
        (answered,) = LogitsWorker(reference).answers(rows, [method], options)
        prepared = reference.for_task(rows, NEW)
        encoded = tokenize_prompts(prepared.tokenizer, rows)
        asked = [Request(prompt, NEW, 0.0, id=row["id"]) for prompt, row in zip(encoded, rows, strict=True)]
        run(RollingBatch(prepared, method, batch_size=4), asked)
        assert [request.text for request in asked] == [sample["prediction"] for sample in answered.samples]


def test_temperature_draws_the_same_whatever_stands_beside(toy: TaskModel) -> None:
    method = method_of("confidence:k=2,block_length=4")
    answers = []
    for at_once, size in ((5, 5), (1, 2)):
        asked = requests(5, seed=3)
        for request in asked:
            request.temperature = 0.7
        run(RollingBatch(toy, method, batch_size=size), asked, at_once)
        answers.append([request.text for request in asked])
    assert answers[0] == answers[1]
    assert len(set(answers[0])) == 5


def test_an_answer_ends_with_the_block_of_its_stop_text(toy: TaskModel) -> None:
    method = method_of("confidence:k=2,block_length=4")
    toy = TaskModel(toy.model, toy.tokenizer, stop_token_ids=(-1,))
    (whole,) = requests(1)
    run(RollingBatch(toy, method, batch_size=3), [whole])
    stop = whole.text[5:7]
    place = whole.text.index(stop)
    (cut,) = requests(1, stop=("never", stop))
    run(RollingBatch(toy, method, batch_size=3), [cut])
    assert (cut.text, cut.reason) == (whole.text[:place], "stop")
    assert cut.finished == 4 * (1 + (place + len(stop) - 1) // 4) < NEW
    assert cut.rounds < whole.rounds


def test_an_answer_ends_with_the_block_of_its_end_token(toy: TaskModel) -> None:
    method = method_of("confidence:k=2,block_length=4")
    whole, ended = requests(1)[0], requests(1)[0]
    run(RollingBatch(TaskModel(toy.model, toy.tokenizer, stop_token_ids=(-1,)), method, batch_size=1), [whole])
    end = whole.answer[5]
    run(RollingBatch(TaskModel(toy.model, toy.tokenizer, stop_token_ids=(end,)), method, batch_size=1), [ended])
    place = whole.answer.index(end)
    assert (ended.text, ended.reason) == (whole.text[:place], "stop")
    assert ended.finished <= 8


def test_each_block_is_told_and_its_text_stays(toy: TaskModel) -> None:
    method = method_of("confidence:k=2,block_length=4")
    (request,) = requests(1)
    batch = RollingBatch(TaskModel(toy.model, toy.tokenizer, stop_token_ids=(-1,)), method, batch_size=1)
    batch.join([request])
    texts = []
    while not request.is_over:
        assert batch.go_on() == [request]
        texts.append(request.settled_text())
    assert list(map(len, texts)) == [4, 8, 12, 16]
    assert all(after.startswith(before) for before, after in pairwise(texts))


def test_a_row_that_nobody_waits_for_is_free_after_its_block(toy: TaskModel) -> None:
    method = method_of("confidence:k=2,block_length=4")
    asked = requests(3)
    batch = RollingBatch(TaskModel(toy.model, toy.tokenizer, stop_token_ids=(-1,)), method, batch_size=2)
    batch.join(asked)
    batch.go_on()
    assert (batch.rows, len(batch.waiting)) == (2, 1)
    asked[0].abandoned = True
    batch.go_on()
    batch.go_on()
    assert asked[2] in [row for group in batch._groups for row in group.rows]
    run(batch, [])
    assert asked[0].reason is None
    assert asked[1].reason == asked[2].reason == "length"


class Crowded(ToyDenoiser):
    """A model for which more than some rows are too many, and some prompts bring forth nonsense."""

    def __init__(self, most: int, poison: int | None = None) -> None:
        super().__init__()
        self.most, self.poison = most, poison

    def forward(self, input_ids: Any, *unused: Any, **unused_too: Any) -> Any:
        if len(input_ids) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        output = super().forward(input_ids)
        if self.poison is not None:
            output.logits[(input_ids == self.poison).any(dim=1)] = torch.nan
        return output


def test_a_batch_too_large_for_the_memory_is_halved(toy: TaskModel) -> None:
    method = method_of("confidence:k=2,block_length=4")
    notices: list[str] = []
    asked = requests(5)
    crowded = TaskModel(Crowded(2), Letters(), stop_token_ids=(-1,))
    batch = RollingBatch(crowded, method, batch_size=8, notice=notices.append)
    run(batch, asked, at_once=5)
    assert batch.batch_size == 2
    assert notices == ["5 rows did not fit into memory; going on with 2 at a time"]
    for request in asked:
        assert request.answer == alone(ToyDenoiser(), request.prompt, method)[0]


def test_a_row_that_does_not_fit_alone_fails_with_a_reason() -> None:
    asked = requests(2)
    batch = RollingBatch(TaskModel(Crowded(0), Letters()), method_of("confidence:k=2"), batch_size=8)
    run(batch, asked, at_once=2)
    for request in asked:
        assert request.error == "the memory is too small for a prompt of 6 and an answer of 16 tokens"


def test_a_row_whose_scores_are_broken_fails_alone() -> None:
    asked = requests(3)
    asked[1].prompt[0] = 46
    assert all(46 not in request.prompt for request in (asked[0], asked[2]))
    batch = RollingBatch(TaskModel(Crowded(8, poison=46), Letters()), method_of("confidence:k=2"), batch_size=8)
    run(batch, asked, at_once=3)
    assert asked[0].error is None
    assert asked[2].error is None
    assert "not finite" in str(asked[1].error)


def test_an_answer_does_not_wait_for_ever_while_others_come(toy: TaskModel) -> None:
    method = method_of("confidence:k=2,block_length=4")
    batch = RollingBatch(TaskModel(toy.model, toy.tokenizer, stop_token_ids=(-1,)), method, batch_size=4)
    (old,) = requests(1)
    batch.join([old])
    batch.go_on()
    blocks = 0
    while old.reason is None and blocks < 40:
        # Somebody comes and goes at every block.
        (fleeting,) = requests(1)
        batch.join([fleeting])
        batch.go_on()
        fleeting.abandoned = True
        blocks += 1
    assert old.reason == "length"


def test_first_stop_and_what_may_become_one() -> None:
    assert first_stop("abcabc", ["ca", "bc", ""]) == 1
    assert first_stop("abc", ["x"]) is None
    assert overlap("the end #", ["###", "Question:"]) == 1
    assert overlap("Quest", ["Question:"]) == 5
    assert overlap("the end", ["###"]) == 0


@pytest.mark.parametrize(
    ("context", "new_tokens", "prompt"), [(None, 256, 1024), (4096, 256, 1024), (1100, 256, 844), (128, 256, 1)]
)
def test_a_batch_size_is_worked_out_for_prompts_that_fit_into_the_context(
    reference: HubModel, monkeypatch: pytest.MonkeyPatch, context: int | None, new_tokens: int, prompt: int
) -> None:
    asked = []
    monkeypatch.setattr(HubModel, "context_length", context)
    monkeypatch.setattr(HubModel, "batch_size", lambda model, prepared, *lengths: asked.append(lengths) or 7)
    assert usual_batch_size(reference, reference.for_task([], new_tokens), new_tokens) == 7
    assert asked == [(prompt, new_tokens)]
