"""Searching and drawing along vocabularies that are looked at group by group."""

import pytest
import torch
from scheduler_cases import row_generator

from samplers.schedulers.proposals import propose
from samplers.schedulers.vocabulary import (
    GROUP,
    _likeliest_by_digits,
    _likeliest_by_sorting,
    draw,
    first_argmax,
    nucleus,
    padded_length,
    several_largest,
    two_largest,
)

LARGE = 3 * GROUP


def test_padded_length_holds_whole_groups() -> None:
    assert [padded_length(size) for size in (1, 2, GROUP, 2 * GROUP - 1)] == [1, 2, GROUP, 2 * GROUP - 1]
    assert [padded_length(size) for size in (2 * GROUP, 2 * GROUP + 1, 126_464)] == [2 * GROUP, 3 * GROUP, 126_464]


@pytest.mark.parametrize("size", [1, 2, 100, LARGE])
def test_search_finds_what_torch_finds(size: int) -> None:
    values = torch.randn(3, 5, size, generator=row_generator(size))
    assert torch.equal(first_argmax(values), values.argmax(dim=-1))
    first, second = two_largest(values)
    ordered = torch.cat([values.sort(dim=-1, descending=True).values, torch.full((3, 5, 1), -torch.inf)], dim=-1)
    assert torch.equal(first, ordered[..., 0])
    assert torch.equal(second, ordered[..., 1])


@pytest.mark.parametrize(("one", "other"), [(3, 7), (7, GROUP + 1), (GROUP - 1, GROUP), (0, LARGE - 1)])
def test_ties_within_and_between_groups_go_to_the_lowest_token(one: int, other: int) -> None:
    values = torch.zeros(1, 1, LARGE)
    values[..., [one, other]] = 5.0
    assert first_argmax(values).item() == one
    assert [value.item() for value in two_largest(values)] == [5.0, 5.0]


@pytest.mark.parametrize("size", [1, 5, 100, 2 * GROUP, LARGE])
@pytest.mark.parametrize("spread", [1.0, 0.01])
def test_several_largest_are_those_that_torch_finds(size: int, spread: float) -> None:
    values = spread * torch.randn(3, 5, size, generator=row_generator(size))
    # Neighbours, so that one group may have all of them.
    values[0, 0, : min(size, 7)] += 10
    count = min(size, 6)
    found, indices = several_largest(values, count)
    expected = values.topk(count, dim=-1)
    assert torch.equal(found, expected.values)
    assert torch.equal(indices, expected.indices)


def test_broken_values_stay_broken() -> None:
    values = torch.zeros(1, 2, LARGE)
    values[0, 0, GROUP + 3] = torch.nan
    assert two_largest(values)[0].isnan().tolist() == [[True, False]]


def test_draws_from_a_large_vocabulary_follow_the_weights() -> None:
    weights = torch.zeros(LARGE)
    tokens = torch.tensor([2, GROUP - 1, GROUP, 2 * GROUP + 100, LARGE - 1])
    weights[tokens] = torch.tensor([0.1, 0.3, 0.2, 0.15, 0.25])
    draws = 40_000
    noise = torch.rand(1, draws, generator=row_generator(0), dtype=torch.float64)
    found = draw(weights.expand(1, draws, LARGE), noise).flatten().bincount(minlength=LARGE)
    assert int(found[tokens].sum()) == draws
    expected = weights[tokens] * draws
    assert float(((found[tokens] - expected) ** 2 / expected).sum()) < 18.47  # 99.9 % of chi-square, 4 degrees


def test_extreme_noise_takes_the_first_and_the_last_possible_token() -> None:
    weights = torch.zeros(1, 2, LARGE)
    weights[..., [GROUP + 5, 2 * GROUP + 9]] = 0.5
    noise = torch.tensor([[0.0, 1 - 2**-53]], dtype=torch.float64)
    assert draw(weights, noise).tolist() == [[GROUP + 5, 2 * GROUP + 9]]


@pytest.mark.parametrize("vocab_size", [2 * GROUP, 2 * GROUP + 7, 200_000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_proposal_in_pieces_is_the_plain_softmax(vocab_size: int, dtype: torch.dtype) -> None:
    logits = 3 * torch.randn(2, 9, vocab_size, generator=row_generator(1)).to(dtype)
    mask = vocab_size // 2
    proposal = propose(logits, mask_token_id=mask)
    margin, gap, entropy = proposal.margin(), proposal.logit_gap(), proposal.negative_entropy()
    values = logits.double()
    values[..., mask] = -torch.inf
    probabilities = values.softmax(dim=-1)
    top = probabilities.topk(2, dim=-1).values
    assert torch.equal(proposal.tokens, values.argmax(dim=-1))
    tolerance = {"rtol": 1e-4, "atol": 1e-7}
    torch.testing.assert_close(proposal.confidence.double(), top[..., 0], **tolerance)
    torch.testing.assert_close(margin.double(), top[..., 0] - top[..., 1], **tolerance)
    best = values.topk(2, dim=-1).values
    torch.testing.assert_close(gap.double(), best[..., 0] - best[..., 1], **tolerance)
    expected = torch.special.entr(probabilities).sum(dim=-1).neg()
    torch.testing.assert_close(entropy.double(), expected, rtol=1e-4, atol=1e-5)
    asked = torch.randint(vocab_size + 1, (2, 9), generator=row_generator(2))
    asked[0, 0], asked[0, 1] = mask, vocab_size  # neither is a token
    found = proposal.probability_of(asked)
    padded = torch.cat([probabilities, torch.zeros(2, 9, 1, dtype=torch.float64)], dim=-1)
    torch.testing.assert_close(found.double(), padded.gather(-1, asked.unsqueeze(-1)).squeeze(-1), **tolerance)


def test_a_measure_sees_all_of_the_distribution_bit_by_bit_and_once() -> None:
    logits = torch.randn(8, 40, 5000, generator=row_generator(1))
    whole = propose(logits, mask_token_id=7)
    torch.testing.assert_close(whole.probabilities, whole.logits.softmax(dim=-1))
    proposal, seen = propose(logits, mask_token_id=7), []

    def sum_of_squares(where: slice, values: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
        seen.append(where)
        assert torch.equal(values, whole.logits[:, where])
        assert torch.equal(probabilities, whole.probabilities[:, where])
        values.fill_(-1.0)  # which is nobody's business
        return probabilities.square_().sum(dim=-1)

    for _ in range(2):
        found = proposal.measure("collision", sum_of_squares)
        torch.testing.assert_close(found, whole.probabilities.square().sum(dim=-1))
    assert len(seen) > 1, "the example is too small to be cut"
    assert [(where.start, where.stop) for where in seen] == [(i, min(i + 26, 40)) for i in range(0, 40, 26)]
    assert torch.equal(proposal.tokens, whole.tokens)
    assert torch.equal(proposal.confidence, whole.confidence)


def test_adjust_changes_what_is_computed_and_not_the_logits() -> None:
    logits = torch.randn(2, 3, 6, generator=row_generator(1))
    before = logits.clone()

    def favour_token_2(where: slice, values: torch.Tensor) -> None:
        values[..., 2] += 50.0

    proposal = propose(logits, mask_token_id=5, adjust=favour_token_2)
    assert (proposal.tokens == 2).all()
    assert torch.equal(logits, before)


def test_logits_that_require_a_gradient_are_taken() -> None:
    logits = torch.randn(1, 3, 6, generator=row_generator(1)).requires_grad_()
    assert not propose(logits, mask_token_id=5).confidence.requires_grad


def sorted_nucleus(values: torch.Tensor, top_p: float) -> torch.Tensor:
    """What stays in the nucleus, by sorting."""
    ordered, order = values.sort(dim=-1, descending=True, stable=True)
    mass = ordered.softmax(dim=-1)
    kept = mass.cumsum(dim=-1) - mass < top_p
    return torch.zeros_like(kept).scatter(-1, order, kept)


@pytest.mark.parametrize("top_p", [0.001, 0.3, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_nucleus_is_what_sorting_finds(size: int, dtype: torch.dtype, top_p: float) -> None:
    values = 2 * torch.randn(5, 9, size, generator=row_generator(size), dtype=torch.float64).to(dtype)
    values[0, 0] = -torch.inf
    values[0, 0, -1] = 0.0
    kept = nucleus(values, top_p).isfinite()
    # Rounding may decide otherwise about the last token of a nucleus, hence no exact comparison of all positions.
    assert float((kept == (sorted_nucleus(values, top_p) & values.isfinite())).float().mean()) > 0.999
    assert kept.any(dim=-1).all()


def test_nucleus_keeps_the_lowest_of_equals() -> None:
    values = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    assert nucleus(values, 0.6).isfinite().tolist() == [[True, True, True, False], [True, True, False, False]]
    assert nucleus(values, 0.5).isfinite().tolist() == [[True, True, False, False], [True, True, False, False]]
    assert nucleus(values, 0.2).isfinite().tolist() == [[True, False, False, False], [True, False, False, False]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("share", [0.001, 0.5, 0.9, 0.9999])
def test_both_ways_to_the_likeliest_tokens_agree(dtype: torch.dtype, share: float) -> None:
    values = 4 * torch.randn(3, 2, 3 * GROUP, generator=row_generator(4)).to(dtype)
    values[0, 0, ::3] = 1.25  # equals, which the lowest ids win
    values[0, 1, :-1] = -torch.inf  # a certain token: the largest bits there are
    values[1, 0, 9] = torch.nan
    wanted = round(share * 2**52)
    sorting, digits = (find(values.softmax(dim=-1), wanted) for find in (_likeliest_by_sorting, _likeliest_by_digits))
    sound = torch.ones(3, 2, dtype=torch.bool)
    sound[1, 0] = False
    assert torch.equal(sorting[sound], digits[sound])
