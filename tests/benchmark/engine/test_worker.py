"""Answers of models with logits: batches that shrink where memory runs out, shared prompts, and what is counted."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import questions, save_reference

from benchmark.engine.prompt_sharing import PromptSharingDenoiser
from benchmark.engine.worker import LogitsWorker, TaskDecoder, worker_for
from benchmark.models import HubModel, IdealModel, ModelOptions, TaskModel
from benchmark.models.interface import AnswerOptions, Sample
from benchmark.models.memory import automatic_batch_size, free_host_memory, is_out_of_memory
from benchmark.models.noise import noise_source
from benchmark.models.prompts import pad_left, tokenize_prompts
from benchmark.protocol.method import Method
from samplers import ConfidenceScheduler, generate
from samplers.loop.streaming import partial_text

ROWS = questions("waiting_line_shuffle", 7)
HOST = "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate"


class Crowded:
    """A model for which more than some rows are too many."""

    def __init__(self, model: Any, most: int, error: BaseException) -> None:
        self.model, self.most, self.error = model, most, error
        self.mask_token_id, self.vocab_size = model.mask_token_id, model.vocab_size
        self.refused: list[int] = []

    def __call__(self, input_ids: torch.Tensor, attention_mask: Any = None, logits_to_keep: Any = None) -> Any:
        if len(input_ids) > self.most:
            self.refused.append(len(input_ids))
            raise self.error
        return self.model(input_ids, attention_mask, logits_to_keep)


RANDOM = Method.of("random", {"k": 8})


def decoder(prepared: TaskModel, batch_size: int, notices: list[str] | None = None, model: Any = None) -> TaskDecoder:
    say = (notices if notices is not None else []).append
    options = AnswerOptions(max_new_tokens=32, batch_size=batch_size, notice=say)
    return TaskDecoder(model or IdealModel(), prepared, ROWS, options)


def timeless(sample: Sample) -> Sample:
    """The sample without what hangs on the clock."""
    assert sample.pop("seconds") > 0
    return sample


def decode(made: TaskDecoder, method: Method = RANDOM) -> list[Sample]:
    return [timeless(sample) for answered in made.answers(method) for sample in answered.samples]


def _confidence(k: int) -> Method:
    return Method.of("confidence", {"k": k})


@pytest.fixture(scope="module")
def ideal() -> TaskModel:
    return IdealModel().for_task(ROWS, 32)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> HubModel:
    return HubModel(str(save_reference(tmp_path_factory.mktemp("reference"))), ModelOptions())


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory."), MemoryError(), RuntimeError(HOST)],
    ids=["gpu", "mem", "host"],
)
def test_a_batch_too_large_for_the_memory_is_halved_until_it_fits(error: BaseException, ideal: TaskModel) -> None:
    crowded = Crowded(ideal.model, 2, error)
    notices: list[str] = []
    made = decoder(TaskModel(crowded, ideal.tokenizer), 7, notices)
    assert decode(made) == decode(decoder(ideal, 7))
    assert crowded.refused == [7, 3]
    assert (made.batch_size, made.has_shrunk) == (1, True)
    assert notices == [
        "ideal: 7 rows did not fit into memory; going on with 3 at a time",
        "ideal: 3 rows did not fit into memory; going on with 1 at a time",
    ]
    decode(made)
    assert crowded.refused == [7, 3], "what fits is remembered"


def test_what_was_decoded_before_memory_ran_out_is_kept(ideal: TaskModel) -> None:
    class LaterCrowded(Crowded):
        calls = 0

        def __call__(self, input_ids: torch.Tensor, *arguments: Any, **options: Any) -> Any:
            self.calls += 1
            # The second batch of four, in its second step.
            self.most = 2 if self.calls > 5 else 4
            return super().__call__(input_ids, *arguments, **options)

    crowded = LaterCrowded(ideal.model, 4, MemoryError())
    found = list(decoder(TaskModel(crowded, ideal.tokenizer), 4).answers(RANDOM))
    assert [timeless(sample) for answered in found for sample in answered.samples] == decode(decoder(ideal, 7))
    assert crowded.refused == [3]
    assert [len(answered.samples) for answered in found] == [4, 1, 1, 1]
    assert all(answered.method == RANDOM and answered.seconds > 0 for answered in found)


def test_the_next_task_begins_with_the_batches_that_fitted(ideal: TaskModel, monkeypatch: pytest.MonkeyPatch) -> None:
    class Alone(IdealModel):
        concurrent = False

    crowded = Crowded(ideal.model, 2, MemoryError())
    monkeypatch.setattr(IdealModel, "for_task", lambda *arguments: TaskModel(crowded, ideal.tokenizer))
    for model, again in ((Alone(), [7, 3]), (IdealModel(), [7, 3, 7, 3])):
        crowded.refused = []
        worker = worker_for(model)
        assert isinstance(worker, LogitsWorker)
        for _ in range(2):
            list(worker.answers(ROWS, [RANDOM, Method.of("confidence", {"k": 8})], AnswerOptions(32)))
        assert crowded.refused == again


def test_the_steps_of_an_answer_end_in_that_answer(reference: HubModel) -> None:
    worker, options = LogitsWorker(reference), AnswerOptions(max_new_tokens=32, batch_size=3)
    method = Method.of("entropy", {"k": 4}, 16)
    (answered,) = worker.answers(ROWS[:3], [method], options)
    decoder = worker.decoder(ROWS[1:2], options)
    *_, last = decoder.steps(method)
    assert int(last.num_forward_passes[0]) == answered.samples[1]["num_forward_passes"]
    text = partial_text(last.sample[0].tolist(), decoder.prepared.tokenizer, last.mask_token_id)
    assert text == answered.samples[1]["prediction"]


def test_a_single_row_that_does_not_fit_is_said_in_one_line(ideal: TaskModel) -> None:
    made = decoder(TaskModel(Crowded(ideal.model, 0, MemoryError()), ideal.tokenizer), 2)
    with pytest.raises(ValueError, match=r"the memory of cpu is too small for a single row of \d+ prompt and 32 new"):
        decode(made)


def test_other_errors_of_a_model_stay_what_they_are(ideal: TaskModel) -> None:
    made = decoder(TaskModel(Crowded(ideal.model, 0, RuntimeError("shapes differ")), ideal.tokenizer), 2)
    with pytest.raises(RuntimeError, match="shapes differ"):
        decode(made)
    assert not is_out_of_memory(RuntimeError("shapes differ"))
    assert not is_out_of_memory(ValueError("out of memory"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("random:k", 4), ("confidence:k", 16), ("threshold:threshold", 0.5), ("wino:threshold", 0.0)],
    ids=str,
)
def test_methods_that_share_the_prompts_decode_what_each_decodes_alone(
    name: str, value: float, reference: HubModel
) -> None:
    scheduler, _, parameter = name.partition(":")
    method = Method.of(scheduler, {parameter: value})
    prepared = reference.for_task(ROWS, 32)
    made = decoder(prepared, 7, model=reference)
    decode(made, _confidence(8))
    assert decode(made, method) == decode(decoder(prepared, 7, model=reference), method)


def lengths_of_passes(model: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Filled, as the model is called, with the number of tokens in each forward pass."""
    lengths: list[int] = []
    forward = model.forward

    def counted(input_ids: torch.Tensor, **options: Any) -> Any:
        lengths.append(input_ids.shape[1])
        return forward(input_ids, **options)

    monkeypatch.setattr(model, "forward", counted)
    return lengths


def test_the_prompts_are_encoded_once_for_all_settings(reference: HubModel, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = reference.for_task(ROWS, 32)
    lengths = lengths_of_passes(prepared.model, monkeypatch)
    made = decoder(prepared, 7, model=reference)
    decode(made, _confidence(16))
    decode(made, _confidence(8))
    assert lengths == [made.longest_prompt + 32, 32, 32, 32, 32, 32]
    # Other rows are other prompts.
    made.batch_size = 4
    decode(made, _confidence(32))
    assert [length > 32 for length in lengths[6:]] == [True, True]


def test_a_callback_that_changes_tokens_makes_shared_prompts_be_encoded_anew(
    reference: HubModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = reference.for_task(ROWS, 32)
    lengths = lengths_of_passes(prepared.model, monkeypatch)
    input_ids, attention_mask = pad_left(tokenize_prompts(prepared.tokenizer, ROWS), prepared.tokenizer.pad_token_id)
    generate(
        PromptSharingDenoiser(prepared.model),
        input_ids,
        attention_mask=attention_mask,
        scheduler=ConfidenceScheduler(k=16),
        max_new_tokens=32,
        callback_on_step_end=lambda step, timestep, values: values,
    )
    assert lengths == [input_ids.shape[1] + 32] * 2


def test_tokens_of_items_are_those_with_letters_or_digits(ideal: TaskModel) -> None:
    for row, sample in zip(ROWS, decode(decoder(ideal, 7), Method.of("random", {"k": 1})), strict=True):
        # Words: two for each of these people; and brackets, quotes and commas between them.
        assert sample["num_item_tokens"] == 2 * row["length"]
        assert sample["num_answer_tokens"] == 2 * row["length"] + 2 * row["length"]


def test_prompts_of_different_length_are_padded_on_the_left() -> None:
    input_ids, mask = pad_left([[1, 2, 3], [4]], 0)
    assert input_ids.tolist() == [[1, 2, 3], [0, 0, 4]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]


def test_the_automatic_batch_follows_the_memory(
    reference: HubModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert free_host_memory() > 1 << 20
    prepared = reference.for_task(ROWS, 32)
    sizes = []
    for free in (1 << 40, 8 << 20, 1):
        monkeypatch.setattr("benchmark.models.memory.free_host_memory", lambda free=free: free)
        sizes.append(automatic_batch_size(prepared, prompt_length=300, max_new_tokens=32))
    assert sizes[0] == 32
    assert sizes[0] > sizes[1] > sizes[2] == 1


def test_the_automatic_batch_is_what_the_fullest_gpu_holds(
    reference: HubModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = torch.device("cuda:0"), torch.device("cuda:1")
    free = {first: 1000, second: 600}
    monkeypatch.setattr("benchmark.models.memory._measured", lambda *arguments: {first: 10, second: 100})
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda gpu: (free[gpu], 2000))
    prepared = TaskModel(reference.for_task(ROWS, 32).model, reference.tokenizer, first)
    assert automatic_batch_size(prepared, prompt_length=300, max_new_tokens=32) == 4
    free[second] = 60
    assert automatic_batch_size(prepared, prompt_length=300, max_new_tokens=32) == 1
    free[second] = 1 << 40
    assert automatic_batch_size(prepared, prompt_length=300, max_new_tokens=32) == 80


def test_prompts_that_find_no_room_on_the_device_are_halved_too(
    ideal: TaskModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = TaskDecoder._batch

    def crowded(self: TaskDecoder, start: int, stop: int) -> Any:
        if stop - start > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return batch(self, start, stop)

    monkeypatch.setattr(TaskDecoder, "_batch", crowded)
    made = decoder(ideal, 7)
    found = decode(made)
    assert made.batch_size == 3
    monkeypatch.undo()
    assert found == decode(decoder(ideal, 7))


def test_noise_depends_on_seed_row_and_setting_alone() -> None:
    import torch

    def draw(*source: Any) -> list[float]:
        return torch.rand(4, generator=noise_source(*source)).tolist()

    first = draw(0, "copy-test-0000", "random(k=1)")
    assert draw(0, "copy-test-0000", "random(k=1)") == first
    others = [
        draw(1, "copy-test-0000", "random(k=1)"),
        draw(-1, "copy-test-0000", "random(k=1)"),
        draw(10**30, "copy-test-0000", "random(k=1)"),
        draw(0, "copy-test-0001", "random(k=1)"),
        draw(0, "copy-test-0000", "random(k=2)"),
    ]
    assert len({tuple(values) for values in [first, *others]}) == 6
