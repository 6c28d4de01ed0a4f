"""Streaming: the state after each step while decoding goes on, and the answers as text."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import FACTORIES, every_scheduler, property_test, row_generator
from torch import Tensor
from toy_denoiser import ToyDenoiser

from samplers import (
    ConfidenceScheduler,
    EditingScheduler,
    ReMDMScheduler,
    ThresholdScheduler,
    generate,
    models,
    partial_texts,
    stream,
)
from samplers.loop.streaming import cut_answer, partial_text

MASK = 47
TOY = ToyDenoiser()
PROMPT = torch.tensor([[5, 17, 30], [8, 2, 41]])


@every_scheduler
def test_steps_are_those_of_generate(name: str) -> None:
    arguments: dict[str, Any] = {"max_new_tokens": 7, "block_length": 3, "temperature": 1.0}
    steps = list(stream(TOY, PROMPT, scheduler=FACTORIES[name](), generator=row_generator(1), **arguments))
    output = generate(
        TOY, PROMPT, scheduler=FACTORIES[name](), generator=row_generator(1), return_trajectory=True, **arguments
    )
    assert [step.number for step in steps] == list(range(len(steps)))
    assert all(torch.equal(step.sample, state) for step, state in zip(steps, output.trajectory, strict=True))
    assert torch.equal(steps[-1].num_forward_passes, output.num_forward_passes)
    before = torch.full((2, 7), MASK)
    for step in steps:
        assert torch.equal(step.before, before)
        start, stop = step.window
        outside = torch.ones(7, dtype=torch.bool)
        outside[start:stop] = False
        assert torch.equal(step.committed[:, start:stop], step.output.transfer_index & (before == MASK)[:, start:stop])
        assert torch.equal(step.remasked[:, start:stop], step.output.remask_index)
        assert not (step.committed | step.remasked)[:, outside].any()
        assert step.probabilities[:, outside].isnan().all()
        assert torch.equal(step.probabilities[:, start:stop], step.output.sampled_probs)
        assert torch.equal(step.masked, step.sample == MASK)
        before = step.sample


def test_remasked_positions_are_told() -> None:
    steps = list(stream(TOY, PROMPT, scheduler=ReMDMScheduler(k=2), max_new_tokens=8))
    assert any(step.remasked.any() for step in steps)
    assert sum(int(step.committed.sum()) - int(step.remasked.sum()) for step in steps) == 16


def test_nothing_is_computed_before_it_is_asked_for() -> None:
    calls: list[int] = []

    class Counted(ToyDenoiser):
        def forward(self, input_ids: Tensor, *unused: Any, **unused_too: Any) -> Any:
            calls.append(1)
            return super().forward(input_ids)

    steps = stream(Counted(), PROMPT, scheduler=ConfidenceScheduler(), max_new_tokens=8)
    assert calls == []
    next(steps)
    next(steps)
    assert len(calls) == 2


def test_step_belongs_to_the_caller_and_gradients_stay_on_outside() -> None:
    plain = generate(TOY, PROMPT, scheduler=ConfidenceScheduler(), max_new_tokens=5)
    for step in stream(TOY, PROMPT, scheduler=ConfidenceScheduler(), max_new_tokens=5):
        assert torch.is_grad_enabled()
        last, passes = step.sample.clone(), step.num_forward_passes.clone()
        step.sample.fill_(0)
        step.num_forward_passes.fill_(99)
        step.before.fill_(0)
    assert torch.equal(last, plain.sequences[:, 3:])
    assert torch.equal(passes, plain.num_forward_passes)


def test_arguments_are_checked_at_once() -> None:
    with pytest.raises(ValueError, match="max_new_tokens=0"):
        stream(TOY, PROMPT, scheduler=ConfidenceScheduler(), max_new_tokens=0)
    with pytest.raises(TypeError, match="return_trajectory"):
        stream(TOY, PROMPT, scheduler=ConfidenceScheduler(), return_trajectory=True)


class Letters:
    """A tokenizer of letters; token 26 ends an answer."""

    eos_token_id = 26

    def decode(self, tokens: list[int], skip_special_tokens: bool) -> str:
        assert skip_special_tokens
        return "".join(chr(ord("a") + token) for token in tokens)


def test_partial_answers_as_text() -> None:
    def first_letters(input_ids: Tensor) -> Any:
        logits = torch.zeros(*input_ids.shape, 28)
        answer = torch.tensor([7, 4, 11, 11, 14, 26, 0, 0])
        logits[:, -8:] = torch.nn.functional.one_hot(answer, 28) * torch.linspace(9, 5, 8).unsqueeze(1)
        return type("Output", (), {"logits": logits})

    steps = stream(first_letters, PROMPT[:1], scheduler=ConfidenceScheduler(k=2), max_new_tokens=8, mask_token_id=27)
    assert list(partial_texts(steps, Letters())) == [["he______"], ["hell____"], ["hello"], ["hello"]]
    steps = stream(first_letters, PROMPT[:1], scheduler=ThresholdScheduler(), max_new_tokens=8, mask_token_id=27)
    assert [texts[0] for texts in partial_texts(steps, Letters(), placeholder="?", separator=" ")][-1] == "hello"


def letters(input_ids: Tensor) -> Any:
    """A model that wants to write "hello", token 25, "a" and the end token."""
    answer = torch.tensor([7, 4, 11, 11, 14, 25, 0, 26])
    logits = torch.zeros(*input_ids.shape, 28)
    logits[:, -8:] = torch.nn.functional.one_hot(answer, 28) * 9.0
    return type("Output", (), {"logits": logits})


@pytest.mark.parametrize(
    ("named", "arguments", "expected"),
    [
        ({}, {}, "helloza"),
        ({"stop_token_ids": (26, 25)}, {}, "hello"),
        ({"stop_token_ids": (26,), "eos_token_id": 25}, {}, "helloza"),
        ({"stop_token_ids": (26, 25)}, {"eos_token_id": [26, 0]}, "helloz"),
    ],
)
def test_an_answer_ends_at_the_stop_tokens_of_the_model_or_the_call(
    named: dict[str, Any], arguments: dict[str, Any], expected: str
) -> None:
    def model(input_ids: Tensor) -> Any:
        return letters(input_ids)

    vars(model).update(named, mask_token_id=27)
    steps = stream(model, PROMPT[:1], scheduler=ThresholdScheduler(threshold=0.5), max_new_tokens=8, **arguments)
    assert list(partial_texts(steps, Letters()))[-1] == [expected]


@pytest.mark.parametrize(
    ("tokens", "stops", "expected"),
    [
        ([9, 8, 26, 7], (), [9, 8]),
        ([9, 8, 26, 7], (8, 26), [9]),
        ([9, 8, 26, 7], (7,), [9, 8, 26]),
        ([9, 8], (), [9, 8]),
        ([26, 9], (), []),
        ([], (), []),
    ],
)
def test_an_answer_is_cut_before_the_first_stop_token(tokens: list[int], stops: Any, expected: list[int]) -> None:
    assert cut_answer(tokens, Letters(), stops) == expected


@given(tokens=st.lists(st.integers(0, 26), max_size=12), stops=st.lists(st.integers(0, 26), max_size=3))
@property_test(60)
def test_the_text_of_a_whole_answer_is_that_of_its_tokens_before_the_cut(tokens: list[int], stops: list[int]) -> None:
    shown = partial_text(tokens, Letters(), mask_token_id=27, stop_token_ids=stops)
    assert shown == Letters().decode(cut_answer(tokens, Letters(), stops), skip_special_tokens=True)


def test_stop_tokens_that_are_given_win() -> None:
    steps = stream(letters, PROMPT[:1], scheduler=ConfidenceScheduler(k=8), max_new_tokens=8, mask_token_id=27)
    assert list(partial_texts(steps, Letters(), stop_token_ids=[11]))[-1] == ["he"]


@pytest.fixture(scope="module")
def shipped_tokenizer() -> Any:
    return models.load_tokenizer("hub_model")


@given(
    text=st.text(alphabet="aé ü日本語🙂ß", min_size=1, max_size=12),
    seed=st.integers(0, 1000),
)
@property_test(60)
def test_half_a_character_is_not_shown_before_its_other_half(shipped_tokenizer: Any, text: str, seed: int) -> None:
    tokens = shipped_tokenizer(text, add_special_tokens=False)["input_ids"]
    mask = shipped_tokenizer.mask_token_id
    left = torch.randperm(len(tokens), generator=row_generator(seed)).tolist()
    while left:
        now = [mask if index in left else token for index, token in enumerate(tokens)]
        shown = partial_text(now, shipped_tokenizer, mask, placeholder="\0")
        assert "\ufffd" not in shown
        # Every token that is masked has a placeholder, and what waits for it has one too.
        assert len(left) <= shown.count("\0") <= len(tokens)
        left.pop()
    assert partial_text(tokens, shipped_tokenizer, mask) == shipped_tokenizer.decode(tokens)


def test_a_character_appears_with_its_last_byte(shipped_tokenizer: Any) -> None:
    tokens, mask = shipped_tokenizer("é🙂", add_special_tokens=False)["input_ids"], shipped_tokenizer.mask_token_id
    assert len(tokens) == 6, "the example needs a token for every byte"
    shown = [
        partial_text([token if index < count else mask for index, token in enumerate(tokens)], shipped_tokenizer, mask)
        for count in range(7)
    ]
    assert shown == ["______", "______", "é____", "é____", "é____", "é____", "é🙂"]
    backwards = [mask] * 2 + tokens[2:]
    assert partial_text(backwards, shipped_tokenizer, mask) == "__🙂"
    assert partial_text([mask, *tokens[1:]], shipped_tokenizer, mask) == "__🙂"


def test_bytes_that_make_no_character_are_shown_once_nothing_is_missing(shipped_tokenizer: Any) -> None:
    half, mask = shipped_tokenizer("é", add_special_tokens=False)["input_ids"][:1], shipped_tokenizer.mask_token_id
    assert partial_text(half, shipped_tokenizer, mask) == shipped_tokenizer.decode(half) == "\ufffd"
    assert partial_text([*half, mask], shipped_tokenizer, mask) == "__"


def test_a_step_tells_what_it_has_replaced() -> None:
    scheduler = EditingScheduler(threshold=0.5, editing_threshold=0.1, max_post_steps=2)
    steps = list(stream(ToyDenoiser(sharpness=3.0), torch.tensor([[5, 17, 30]]), scheduler=scheduler, max_new_tokens=6))
    assert any(step.replaced.any() for step in steps)
    for step in steps:
        assert torch.equal(step.replaced, step.output.replace_index)
        assert not (step.replaced & (step.committed | step.remasked | step.masked)).any()
