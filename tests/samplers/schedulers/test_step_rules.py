"""The rules that every step of every scheduler keeps to, whatever the logits and masks."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import (
    ALL_MASKED,
    FACTORIES,
    MAY_PAUSE,
    Window,
    every_scheduler,
    property_test,
    row_generator,
    walk,
    windows,
)


def check_every_step(name: str, window: Window, temperature: float) -> None:
    scheduler = FACTORIES[name](temperature=temperature)
    mask = window.mask_token_id
    never_masked = window.sample != mask
    sample, settled = window.sample, torch.ones(len(window.sample), dtype=torch.bool)
    for number, output in enumerate(walk(scheduler, window, generators=row_generator(3))):
        masked = sample == mask
        assert output.prev_sample.dtype == torch.long
        assert output.prev_sample.shape == sample.shape
        assert not (output.sampled_tokens == mask).any(), "the mask token was proposed"
        assert not (output.transfer_index & ~masked).any()
        assert not ((output.remask_index | output.replace_index) & masked).any()
        assert not (output.remask_index & output.replace_index).any()
        expected = torch.where(output.transfer_index | output.replace_index, output.sampled_tokens, sample)
        assert torch.equal(output.prev_sample, expected.masked_fill(output.remask_index, mask))
        assert torch.equal(output.prev_sample[never_masked], window.sample[never_masked])
        assert torch.equal(output.editing_transfer_index, output.remask_index | output.replace_index)
        finished = ~masked.any(dim=1)
        assert torch.equal(output.prev_sample[finished & settled], sample[finished & settled])
        if name not in MAY_PAUSE:
            assert (output.transfer_index.any(dim=1) | finished).all(), f"no progress in step {number}"
        assert not output.invalid.any()
        sample = output.prev_sample
        settled = settled if output.unsettled is None else ~output.unsettled
        assert not ((sample == mask).any(dim=1) & ~settled).any(), "a row with masks is not finished anyway"
    assert not (sample == mask).any()


@every_scheduler
@property_test(12)
@given(window=windows(), temperature=st.sampled_from([0.0, 0.7]))
def test_every_step_keeps_the_rules(name: str, window: Window, temperature: float) -> None:
    check_every_step(name, window, temperature)


@pytest.mark.slow
@every_scheduler
@property_test(80)
@given(window=windows(), temperature=st.sampled_from([0.0, 0.7]))
def test_every_step_keeps_the_rules_in_many_cases(name: str, window: Window, temperature: float) -> None:
    check_every_step(name, window, temperature)


def check_rows_alone(name: str, window: Window, temperature: float) -> None:
    rows = range(len(window.sample))
    together = walk(
        FACTORIES[name](temperature=temperature), window, generators=[row_generator(500 + row) for row in rows]
    )
    for row in rows:
        alone = walk(
            FACTORIES[name](temperature=temperature), window, rows=[row], generators=[row_generator(500 + row)]
        )
        # A finished row waits, unchanged, for the others.
        for output in together[len(alone) :]:
            assert not (output.transfer_index | output.editing_transfer_index)[row].any()
        for one, many in zip(alone, together, strict=False):
            for field in ("prev_sample", "transfer_index", "remask_index", "sampled_tokens", "sampled_probs"):
                assert torch.equal(one[field][0], many[field][row]), field


@every_scheduler
@property_test(8)
@given(window=windows(), temperature=st.sampled_from([0.0, 1.0]))
def test_batch_equals_its_rows_alone(name: str, window: Window, temperature: float) -> None:
    check_rows_alone(name, window, temperature)


@pytest.mark.slow
@every_scheduler
@property_test(40)
@given(window=windows(), temperature=st.sampled_from([0.0, 1.0]))
def test_batch_equals_its_rows_alone_in_many_cases(name: str, window: Window, temperature: float) -> None:
    check_rows_alone(name, window, temperature)


@every_scheduler
def test_step_leaves_its_arguments_alone(name: str) -> None:
    logits, sample = ALL_MASKED.logits(0), ALL_MASKED.sample.clone()
    before = logits.clone()
    FACTORIES[name](temperature=1.0, top_k=2, top_p=0.9).step(logits, 0, sample, mask_token_id=4)
    assert torch.equal(logits, before)
    assert torch.equal(sample, ALL_MASKED.sample)


@every_scheduler
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_float_dtype_is_scored_in_float32_or_better(name: str, dtype: torch.dtype) -> None:
    logits = ALL_MASKED.logits(0).to(dtype)
    output = FACTORIES[name]().step(logits, 0, ALL_MASKED.sample, mask_token_id=4, generator=row_generator(0))
    exact = FACTORIES[name]().step(logits.double(), 0, ALL_MASKED.sample, mask_token_id=4, generator=row_generator(0))
    assert output.sampled_probs.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(output.sampled_probs.double(), exact.sampled_probs, rtol=1e-5, atol=1e-6)
    assert torch.equal(output.prev_sample, exact.prev_sample)


@every_scheduler
def test_vocabulary_of_two_and_window_of_one(name: str) -> None:
    window = Window(torch.tensor([[1], [0]]), vocab_size=2, mask_token_id=1, seed=0)
    outputs = walk(FACTORIES[name](temperature=1.0), window)
    assert outputs[-1].prev_sample.tolist() == [[0], [0]]
    assert (outputs[-1].sampled_probs == 1).all()


@every_scheduler
def test_prompt_mask_protects_mask_tokens_of_the_prompt(name: str) -> None:
    scheduler = FACTORIES[name]()
    sample, prompt_mask = ALL_MASKED.sample, torch.tensor([True, False, True, False, False, False])
    for step in range(20):
        output = scheduler.step(
            ALL_MASKED.logits(step),
            step,
            sample,
            mask_token_id=4,
            prompt_mask=prompt_mask,
            generator=row_generator(step),
        )
        sample = output.prev_sample
        assert not (output.transfer_index | output.editing_transfer_index)[:, prompt_mask].any()
    assert (sample[:, prompt_mask] == 4).all()
    assert (sample[:, ~prompt_mask] != 4).all()


@every_scheduler
@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_invalid_names_only_rows_with_a_broken_masked_position(name: str, broken: float) -> None:
    sample = ALL_MASKED.sample.clone()
    sample[0, 1] = 2
    logits = ALL_MASKED.logits(0)
    logits[0, 1, 3] = broken  # a committed position: never looked at
    logits[1, 2, 3] = broken
    logits[2, 5, 0] = -torch.inf  # one impossible token is fine
    logits[:, :, 4] = broken  # and the mask's own logit never counts
    output = FACTORIES[name]().step(logits, 0, sample, mask_token_id=4, generator=row_generator(0))
    assert output.invalid.tolist() == [False, True, False]


@every_scheduler
def test_position_without_any_possible_token_is_invalid(name: str) -> None:
    logits = ALL_MASKED.logits(0)
    logits[2, 3] = -torch.inf
    output = FACTORIES[name]().step(logits, 0, ALL_MASKED.sample, mask_token_id=4, generator=row_generator(0))
    assert output.invalid.tolist() == [False, False, True]
