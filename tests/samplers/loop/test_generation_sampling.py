"""The draw of a proposal: its distribution, and temperature, top-p and top-k handed through the loop."""

from typing import Any

import pytest
import torch
from scheduler_cases import constant_model, row_generator
from torch import Tensor

from samplers import ConfidenceScheduler, RandomScheduler, ThresholdScheduler, generate
from samplers.schedulers.proposals import propose

WORDS = torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0, -3.0, -torch.inf, 4.0])
MASK = 7
MODEL = constant_model(lambda input_ids: WORDS.expand(*input_ids.shape, 8), mask_token_id=MASK)
PROMPT = torch.zeros(50, 1, dtype=torch.long)


def chi_square(drawn: Tensor, probabilities: Tensor) -> float:
    """Pearson's statistic of the counts of `drawn` against `probabilities`; tokens of probability 0 must not occur."""
    counts = torch.bincount(drawn.flatten(), minlength=len(probabilities)).double()
    assert (counts[probabilities == 0] == 0).all()
    expected = probabilities[probabilities > 0].double() * drawn.numel()
    return float(((counts[probabilities > 0] - expected) ** 2 / expected).sum())


def shaped(temperature: float, allowed: int | None = None) -> Tensor:
    values = WORDS[:MASK] / temperature
    if allowed is not None:
        values = values.masked_fill(values < values.topk(allowed).values[-1], -torch.inf)
    return values.softmax(dim=0)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"temperature": 1.0}, shaped(1.0)),
        ({"temperature": 0.5}, shaped(0.5)),
        ({"temperature": 2.5}, shaped(2.5)),
        ({"temperature": 1.0, "top_k": 3}, shaped(1.0, allowed=3)),
        # The two likeliest have 0.78 of the mass at temperature 1, the likeliest alone 0.57.
        ({"temperature": 1.0, "top_p": 0.7}, shaped(1.0, allowed=2)),
    ],
)
@pytest.mark.parametrize("where", ["constructor", "generate"])
def test_draws_follow_the_shaped_distribution(arguments: dict[str, Any], expected: Tensor, where: str) -> None:
    own, called = (arguments, {}) if where == "constructor" else ({}, arguments)
    output = generate(
        MODEL, PROMPT, scheduler=RandomScheduler(k=99, **own), max_new_tokens=400, generator=row_generator(3), **called
    )
    # 20,000 draws; with 5 degrees of freedom the statistic exceeds 25 once in 7,000 runs, and the seed is fixed.
    assert chi_square(output.sequences[:, 1:], expected) < 25


def test_inverted_distribution_function_and_gumbel_noise_agree() -> None:
    logits = WORDS[:MASK].expand(1, 40_000, MASK)
    inverted = propose(logits, mask_token_id=MASK, temperature=1.0, generator=row_generator(0)).tokens
    uniform = torch.rand(logits.shape, generator=row_generator(1), dtype=torch.float64)
    gumbel = (logits - (-uniform.log()).log()).argmax(dim=-1)
    counts = [torch.bincount(tokens.flatten(), minlength=MASK).double()[:6] for tokens in (inverted, gumbel)]
    two_samples = ((counts[0] - counts[1]) ** 2 / (counts[0] + counts[1])).sum()
    assert two_samples < 25
    assert chi_square(inverted, WORDS[:MASK].softmax(dim=0)) < 25
    assert chi_square(gumbel, WORDS[:MASK].softmax(dim=0)) < 25


def test_rare_tokens_are_drawn_as_often_as_they_should_be() -> None:
    vocabulary = 20_000
    logits = torch.zeros(1, 1_000, vocabulary)
    logits[..., 0] = torch.tensor(float(vocabulary - 1)).log()
    drawn = propose(logits, mask_token_id=vocabulary, temperature=1.0, generator=row_generator(5)).tokens.flatten()
    # Half of the mass lies on token 0, and half on 19,999 others of 2.5e-5 each.
    assert 435 < int((drawn == 0).sum()) < 565
    rare = drawn[drawn > 0]
    assert rare.unique().numel() > 0.96 * rare.numel()
    assert abs(float(rare.double().mean()) / vocabulary - 0.5) < 0.05


def test_constructor_wins_over_the_call() -> None:
    greedy = generate(MODEL, PROMPT, scheduler=ConfidenceScheduler(), max_new_tokens=4)
    assert (greedy.sequences[:, 1:] == 0).all()
    for own, called, same in (({"temperature": 0.0}, 1.0, True), ({}, 1.0, False), ({}, 0.0, True), ({}, None, True)):
        output = generate(
            MODEL,
            PROMPT,
            scheduler=ConfidenceScheduler(**own),
            max_new_tokens=4,
            temperature=called,
            generator=row_generator(0),
        )
        assert torch.equal(output.sequences, greedy.sequences) == same


@pytest.mark.parametrize(("argument", "value"), [("temperature", -1.0), ("top_p", 0.0), ("top_k", 0)])
def test_arguments_of_the_call_are_validated(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{argument}={value!r} should be"):
        generate(MODEL, PROMPT, scheduler=ThresholdScheduler(), **{argument: value})
