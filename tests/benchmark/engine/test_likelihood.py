"""Log-likelihoods by Monte Carlo: right on the average, exact where all states are taken, refused where none are."""

import itertools
import math
import statistics

import pytest
import torch
from tiny_models import questions
from toy_denoiser import ToyDenoiser

from benchmark.engine.likelihood import LikelihoodReader, maskings
from benchmark.ideal import valid_answers
from benchmark.models import IdealModel, TaskModel
from benchmark.models.prompts import tokenize_prompts

PROMPT, ANSWER = [3, 9, 27, 5], [7, 1, 44, 12, 30, 2, 19, 8]


def enumerated(answer: list[int]) -> float:
    """The estimator's mean on the toy model, over all counts and all sets of masked tokens, as the paper writes it."""
    model, length = ToyDenoiser(), len(answer)
    total = 0.0
    for count in range(1, length + 1):
        for places in itertools.combinations(range(length), count):
            ids = PROMPT + [model.mask_token_id if place in places else answer[place] for place in range(length)]
            log = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
            found = sum(float(log[len(PROMPT) + place, answer[place]]) for place in places)
            total += length / count * found / math.comb(length, count) / length
    return total


def toy_reader(draws: int, seed: int = 0, batch_size: int = 64) -> LikelihoodReader:
    prepared = TaskModel(ToyDenoiser(), None)
    return LikelihoodReader(prepared, draws=draws, batch_size=batch_size, seed=seed)


def test_all_states_are_taken_where_there_are_no_more_than_draws() -> None:
    reader = toy_reader(255, batch_size=50)
    (found,) = reader.log_likelihoods([(PROMPT, ANSWER)])
    assert reader.passes == 255
    assert found == pytest.approx(enumerated(ANSWER), rel=1e-5)


def test_draws_are_right_on_the_average() -> None:
    exact = enumerated(ANSWER)
    estimates = [toy_reader(64, seed).log_likelihoods([(PROMPT, ANSWER)])[0] for seed in range(60)]
    error = statistics.stdev(estimates) / math.sqrt(len(estimates))
    assert abs(statistics.mean(estimates) - exact) < 4 * error
    # The band has to be narrow to say anything.
    assert error < 0.01 * abs(exact)


def test_each_count_of_masks_is_drawn_as_often_as_any_other() -> None:
    counts = [len(masking.places) for seed in range(50) for masking in maskings(10, 100, seed)]
    assert {counts.count(count) for count in range(1, 11)} <= set(range(440, 561))
    assert all(masking.weight == pytest.approx(10 / (len(masking.places) * 100)) for masking in maskings(10, 100, 0))


@pytest.mark.parametrize("length", [1, 2, 5])
def test_weights_of_all_states_are_those_of_the_draws(length: int) -> None:
    # Where every token has log-probability -1, an answer has minus its length.
    assert sum(m.weight * len(m.places) for m in maskings(length, 128, 0)) == pytest.approx(length)
    assert len(maskings(length, 128, 0)) == 2**length - 1


def test_with_exact_conditionals_it_is_the_log_likelihood() -> None:
    (row,) = questions("waiting_line_shuffle", 1)
    answers = valid_answers(row["reference"])
    prepared = IdealModel().for_task([row], 32)
    (prompt,) = tokenize_prompts(prepared.tokenizer, [row])
    tokens = [prepared.tokenizer(answer).input_ids for answer in answers]
    end = prepared.tokenizer.eos_token_id
    pairs = [(prompt, ids + [end] * (32 - len(ids))) for ids in tokens]
    reader = LikelihoodReader(prepared, draws=2000, batch_size=500)
    found = reader.log_likelihoods(pairs[:2])
    assert found == pytest.approx([-math.log(len(answers))] * 2, rel=0.05)


def test_prompts_of_several_lengths_stand_in_one_pass_and_an_empty_answer_has_nothing_to_say() -> None:
    class Padded(ToyDenoiser):
        """The toy model, which sees no padding: it stands at the right place of the sequence without it."""

        def forward(self, input_ids, attention_mask=None, **unused):  # type: ignore[no-untyped-def]
            outputs = []
            for row in range(len(input_ids)):
                real = slice(0, None) if attention_mask is None else attention_mask[row].bool()
                logits = torch.zeros(input_ids.shape[1], self.vocab_size)
                logits[real] = super().forward(input_ids[row][real][None]).logits[0]
                outputs.append(logits)
            return type("Output", (), {"logits": torch.stack(outputs)})

    reader = LikelihoodReader(TaskModel(Padded(), None), draws=16, batch_size=7)
    pairs = [(PROMPT, ANSWER[:4]), (PROMPT[:2], ANSWER[:4]), (PROMPT, [])]
    together = reader.log_likelihoods(pairs)
    alone = [reader.log_likelihoods([pair])[0] for pair in pairs]
    assert together == pytest.approx(alone, rel=1e-5)
    assert together[2] == 0.0


def test_a_batch_too_large_for_the_memory_is_halved() -> None:
    class Crowded(ToyDenoiser):
        def forward(self, input_ids, *unused, **unused_too):  # type: ignore[no-untyped-def]
            if len(input_ids) > 3:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().forward(input_ids)

    reader = LikelihoodReader(TaskModel(Crowded(), None), draws=16, batch_size=64)
    assert reader.log_likelihoods([(PROMPT, ANSWER[:4])])[0] == pytest.approx(enumerated(ANSWER[:4]), rel=1e-5)


def test_a_model_that_decodes_block_by_block_is_refused() -> None:
    class Blocks(ToyDenoiser):
        attention, block_length = "block_causal", 4

    with pytest.raises(ValueError, match="Blocks decodes block by block"):
        LikelihoodReader(TaskModel(Blocks(), None), draws=8, batch_size=1)
