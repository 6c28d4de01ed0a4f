"""ReMDM's own samplers: their schedule against the paper's formulas, and what is drawn."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import Window, property_test, row_generator, walk

from samplers import ReMDMScheduler
from samplers.schedulers.remasking import PUBLISHED_ETA, VARIANTS, remasking_schedule, shares_by_confidence

MASK = 3
LOOP = {"t_on": 0.55, "t_off": 0.05, "alpha_on": 0.9}


@property_test(60)
@given(variant=st.sampled_from(VARIANTS), steps=st.integers(1, 60), eta=st.sampled_from([0.0, 0.02, 0.5, 1.0]))
def test_marginals_are_those_of_plain_masked_diffusion(variant: str, steps: int, eta: float) -> None:
    """Whatever sigma is, the share of known tokens follows alpha: that is what the posterior is made for."""
    schedule = remasking_schedule(variant, steps, eta=eta, **LOOP)
    known = 0.0
    for step in range(steps):
        commit, remask = float(schedule.commit[step]), float(schedule.remask[step])
        assert 0 <= commit <= 1
        assert 0 <= remask <= 1
        if variant == "conf":
            # Its sigma is shared out among committed tokens, and masks commit as if it were 0.
            remask = 0.0
        known = known * (1 - remask) + (1 - known) * commit
        if variant != "loop":
            assert known == pytest.approx((step + 1) / steps, abs=1e-5)
    assert known == pytest.approx(1, abs=1e-6)
    assert schedule.commit[-1] == 1
    assert schedule.remask[-1] == 0


def test_cap_and_rescale_bound_sigma_as_the_paper_says() -> None:
    steps = 8
    cap = remasking_schedule("cap", steps, eta=0.3, **LOOP).remask
    rescale = remasking_schedule("rescale", steps, eta=0.3, **LOOP).remask
    for step in range(steps):
        alpha_t, alpha_s = step / steps, (step + 1) / steps
        largest = 1.0 if step == 0 else min(1.0, (1 - alpha_s) / alpha_t)
        assert cap[step] == pytest.approx(min(0.3, largest))
        assert rescale[step] == pytest.approx(0.3 * largest)


def test_loop_rises_stays_and_rises_again() -> None:
    steps = 100
    schedule = remasking_schedule("loop", steps, eta=0.02, **LOOP)
    plateau = [step for step in range(steps) if schedule.remask[step] > 0]
    # Time runs down from 1: it is 0.55 after 45 steps and 0.05 after 95.
    assert plateau == list(range(45, 95))
    for step in plateau[:-1]:
        # eta alpha_on / (1 - alpha_on) comes back as 0.02 of the 90 % known goes away.
        assert schedule.commit[step] == pytest.approx(0.02 * 0.9 / 0.1, rel=1e-4)
    assert schedule.commit[0] == pytest.approx(0.01 * 0.9 / 0.45, rel=1e-4)


def test_shares_go_to_the_least_sure_and_to_committed_tokens_alone() -> None:
    confidence = torch.tensor([[0.9, 0.1, torch.inf, 0.5], [torch.inf] * 4])
    committed = confidence.isfinite()
    shares = shares_by_confidence(confidence, committed)
    expected = torch.tensor([-0.9, -0.1, -0.5]).softmax(0)
    torch.testing.assert_close(shares[0], torch.tensor([expected[0], expected[1], 0.0, expected[2]]))
    assert shares[1].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("variant", VARIANTS)
def test_block_takes_at_most_its_steps_and_commits_everything(variant: str) -> None:
    scheduler = ReMDMScheduler(num_inference_steps=12, variant=variant, eta=0.2)
    scheduler.set_timesteps(block_length=9)
    window = Window(torch.full((40, 9), MASK), 4, MASK, seed=3)
    outputs = walk(scheduler, window, generators=row_generator(0))
    assert len(outputs) <= 12 == len(scheduler.timesteps)
    assert sum(int(output.remask_index.sum()) for output in outputs) > 0, "nothing was ever masked again"
    assert not (outputs[-1].prev_sample == MASK).any()


def test_share_of_known_tokens_follows_the_schedule() -> None:
    scheduler = ReMDMScheduler(num_inference_steps=10, variant="rescale", eta=0.5)
    sample = torch.full((2000, 10), MASK)
    generator = row_generator(4)
    for step in range(9):
        logits = torch.zeros(2000, 10, 4)
        sample = scheduler.step(logits, 0, sample, mask_token_id=MASK, generator=generator).prev_sample
        # A row that is finished by chance is left alone, which lifts the share a little towards the end.
        assert float((sample != MASK).float().mean()) == pytest.approx((step + 1) / 10, abs=0.012)


def test_without_remasking_it_is_ancestral_sampling() -> None:
    scheduler = ReMDMScheduler(num_inference_steps=6, variant="cap", eta=0.0)
    outputs = walk(scheduler, Window(torch.full((20, 8), MASK), 4, MASK, seed=3), generators=row_generator(0))
    assert not any(output.remask_index.any() for output in outputs)


@pytest.mark.parametrize("variant", VARIANTS)
def test_published_settings_are_the_defaults(variant: str) -> None:
    logits = torch.tensor([[[3.0, 2.0, -1.0, 0.0]]]).expand(300, 4, 4)
    sample = torch.full((300, 4), MASK)
    default = ReMDMScheduler(num_inference_steps=2, variant=variant)
    explicit = ReMDMScheduler(
        num_inference_steps=2, variant=variant, temperature=1.0, top_p=0.9, eta=PUBLISHED_ETA[variant], **LOOP
    )
    one, other = (
        scheduler.step(logits, 0, sample, mask_token_id=MASK, generator=row_generator(0))
        for scheduler in (default, explicit)
    )
    assert torch.equal(one.prev_sample, other.prev_sample)
    # The nucleus of 0.9 holds the first two tokens only, and both are drawn.
    assert one.sampled_tokens.unique().tolist() == [0, 1]
    greedy = ReMDMScheduler(num_inference_steps=2, variant=variant, temperature=0.0)
    assert (greedy.step(logits, 0, sample, mask_token_id=MASK).sampled_tokens == 0).all()


def test_variant_takes_no_extra_steps() -> None:
    assert len(ReMDMScheduler(num_inference_steps=5, variant="cap", remask_steps=3).timesteps) == 5
    assert len(ReMDMScheduler(num_inference_steps=5, remask_steps=3).timesteps) == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variant": "switch"}, "variant='switch' should be one of cap, rescale, conf, loop"),
        ({"variant": "cap", "eta": 1.5}, r"eta=1\.5 should be in \[0, 1\]"),
        (
            {"variant": "cap", "schedule": "cosine"},
            "schedule='cosine' and variant='cap': a variant has a schedule of its",
        ),
        ({"t_on": 1.0}, r"t_on=1\.0 should be in \(0, 1\)"),
        ({"t_off": 0.6}, r"t_off=0\.6 should be in \(0, 0\.55\), before t_on"),
        ({"alpha_on": 1.0}, r"alpha_on=1\.0 should be in \(0, 1\)"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ReMDMScheduler(**arguments)
