"""The models that a run can name, and what they refuse before anything is run."""

import pytest

import hub_dataset
from benchmark.engine.worker import LogitsWorker
from benchmark.models import IdealModel, load_model
from benchmark.models.interface import AnswerOptions
from benchmark.protocol.method import Method
from benchmark.protocol.questions import load_rows


def test_an_unknown_model_is_named_with_what_can_be_written() -> None:
    with pytest.raises(ValueError, match=r"unknown model .gpt.; write ideal, reference, .*:factory"):
        load_model("gpt")


def test_the_ideal_model_runs_at_temperature_1() -> None:
    assert load_model("ideal").default_temperature == 1.0


def test_a_greedy_ideal_model_is_named_so_and_runs_at_temperature_0() -> None:
    model = load_model("ideal-greedy")
    assert (model.name, model.default_temperature) == ("ideal-greedy", 0.0)
    assert load_model("ideal-greedy:reference").name == "ideal-greedy:reference"
    with pytest.raises(ValueError, match="unknown model 'nothing'"):
        load_model("ideal-greedy:nothing")


def answer(model: IdealModel, seed: int, batch_size: int = 3) -> str:
    """The answer to the first of three questions, one token at a time, greedily."""
    rows = load_rows("waiting_line_shuffle", 3)
    options = AnswerOptions(max_new_tokens=32, temperature=0.0, seed=seed, batch_size=batch_size)
    found = LogitsWorker(model).answers(rows, [Method.of("left_to_right", {"k": 1}, 1)], options)
    return next(iter(found)).samples[0]["prediction"]


@pytest.mark.slow
def test_a_greedy_ideal_model_breaks_its_ties_at_random_by_the_seed_of_the_run() -> None:
    answers = [answer(IdealModel(greedy=True), seed) for seed in range(12)]
    assert len(set(answers)) > 2
    assert answers == [answer(IdealModel(greedy=True), seed, batch_size=1) for seed in range(12)]
    assert len({answer(IdealModel(), seed) for seed in range(12)}) == 1, "without noise the first token wins each tie"


@pytest.mark.parametrize("task", hub_dataset.default_task_names())
def test_the_ideal_model_does_the_default_suite_with_the_protocols_tokens(task: str) -> None:
    rows = load_rows(task, None)
    load_model("ideal").check_task(rows, rows[0]["max_new_tokens"])


@pytest.mark.parametrize("task", ["waiting_line_copy", "waiting_line_remove_random", "puzzle_sudoku_n4_12"])
def test_too_few_tokens_are_refused_exactly_where_an_answer_does_not_fit(task: str) -> None:
    rows = load_rows(task, 8)
    model = IdealModel()
    prepared = model.for_task(rows, rows[0]["max_new_tokens"])
    longest = prepared.model.longest_answer
    model.check_task(rows, longest)
    model.for_task(rows, longest)
    with pytest.raises(ValueError, match=rf"takes {longest} tokens, and only {longest - 1} .* at least {longest} new"):
        model.check_task(rows, longest - 1)
    with pytest.raises(ValueError, match=str(longest)):
        model.for_task(rows, longest - 1)


def test_a_task_with_too_many_answers_is_refused() -> None:
    rows = load_rows("waiting_line_n15_shuffle", 2)
    with pytest.raises(ValueError, match=r"1,307,674,367,999 answers .* more than the limit"):
        IdealModel().check_task(rows, 128)


def test_a_prepared_model_answers_for_its_rows() -> None:
    import torch

    from benchmark.models.prompts import pad_left, tokenize_prompts

    rows = load_rows("waiting_line_copy", 3)
    prepared = IdealModel().for_task(rows, 32)
    prompts, _ = pad_left(tokenize_prompts(prepared.tokenizer, rows), prepared.tokenizer.pad_token_id)
    answer = torch.full((3, 32), prepared.tokenizer.mask_token_id)
    logits = prepared.model(torch.cat([prompts, answer], dim=1)).logits[:, -32:]
    for row, tokens in zip(rows, logits.argmax(dim=2), strict=True):
        assert prepared.tokenizer.decode(tokens, skip_special_tokens=True) == row["answer"]
