"""Proposals: greedy and drawn tokens, what temperature, top-k and top-p cut, and noise from generators."""

from typing import Any

import pytest
import torch
from hypothesis import given
from scheduler_cases import Window, logits_of, property_test, row_generator, windows

from samplers.schedulers.proposals import propose, uniform

#: Of four words, and a mask token that the model would like best.
PROBABILITIES = torch.tensor([0.1, 0.5, 0.15, 0.25])
LOGITS = torch.cat([PROBABILITIES.log(), torch.tensor([5.0])])
MASK = 4
DRAWS = 40_000


def frequencies(**arguments: Any) -> torch.Tensor:
    """Share of each token among many draws at independent positions, (5,)."""
    proposal = propose(LOGITS.expand(40, DRAWS // 40, 5), mask_token_id=MASK, generator=row_generator(11), **arguments)
    return proposal.tokens.flatten().bincount(minlength=5) / DRAWS


def assert_drawn_from(expected: torch.Tensor, **arguments: Any) -> None:
    """Pearson's chi-square of the draws stays below its 99.9 % quantile for three degrees of freedom."""
    found = frequencies(**arguments)
    assert found[MASK] == 0
    assert (found[:4][expected == 0] == 0).all()
    likely = expected > 0
    chi_square = DRAWS * ((found[:4][likely] - expected[likely]) ** 2 / expected[likely]).sum()
    assert chi_square < 16.27


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_draws_follow_the_softmax_at_the_temperature(temperature: float) -> None:
    assert_drawn_from((PROBABILITIES.log() / temperature).softmax(0), temperature=temperature)


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ({"top_k": 1}, [1]),
        ({"top_k": 2}, [1, 3]),
        ({"top_k": 3}, [1, 2, 3]),
        ({"top_k": 4}, [0, 1, 2, 3]),
        ({"top_k": 99}, [0, 1, 2, 3]),
        ({"top_p": 0.01}, [1]),
        ({"top_p": 0.49}, [1]),
        ({"top_p": 0.51}, [1, 3]),
        ({"top_p": 0.74}, [1, 3]),
        ({"top_p": 0.76}, [1, 2, 3]),
        ({"top_p": 0.91}, [0, 1, 2, 3]),
        ({"top_p": 1.0}, [0, 1, 2, 3]),
        # The two likeliest share the mass 2/3 and 1/3 once top-k has cut the rest.
        ({"top_k": 2, "top_p": 0.6}, [1]),
        ({"top_k": 2, "top_p": 0.7}, [1, 3]),
    ],
)
@pytest.mark.parametrize("temperature", [1.0, 0.999])
def test_top_k_and_top_p_cut_exactly_the_right_tokens(
    arguments: dict[str, Any], kept: list[int], temperature: float
) -> None:
    expected = torch.zeros(4)
    expected[kept] = PROBABILITIES[kept]
    assert_drawn_from(expected / expected.sum(), temperature=temperature, **arguments)


def test_temperature_acts_before_the_nucleus() -> None:
    # At temperature 0.5 the likeliest token has 0.25 / 0.345 of the mass, more than top_p asks for.
    assert_drawn_from(torch.tensor([0.0, 1.0, 0.0, 0.0]), temperature=0.5, top_p=0.7)


def test_confidence_is_the_models_own_whatever_shapes_the_draw() -> None:
    logits = LOGITS.expand(1, 500, 5)
    proposal = propose(logits, mask_token_id=MASK, temperature=3.0, top_k=2, top_p=0.9, generator=row_generator(0))
    torch.testing.assert_close(proposal.confidence, PROBABILITIES[proposal.tokens])
    torch.testing.assert_close(proposal.probabilities[0, 0, :4], PROBABILITIES)
    assert proposal.probabilities[0, 0, MASK] == 0


def test_score_proposal_at_temperature_0_scores_what_top_k_leaves() -> None:
    proposal = propose(LOGITS.view(1, 1, 5), mask_token_id=MASK, top_k=2, score_proposal=True)
    assert proposal.tokens.item() == 1
    assert proposal.confidence.item() == pytest.approx(0.5 / 0.75)
    plain = propose(LOGITS.view(1, 1, 5), mask_token_id=MASK, top_k=2)
    assert plain.confidence.item() == pytest.approx(0.5)


def test_score_proposal_describes_the_shaped_distribution() -> None:
    logits = LOGITS.expand(1, 500, 5)
    arguments: dict[str, Any] = {"mask_token_id": MASK, "temperature": 0.5, "top_k": 2}
    shaped = torch.tensor([0.0, 0.8, 0.0, 0.2])  # squares of 0.5 and 0.25, normalised
    proposal = propose(logits, score_proposal=True, generator=row_generator(0), **arguments)
    torch.testing.assert_close(proposal.confidence, shaped[proposal.tokens])
    torch.testing.assert_close(proposal.margin(), torch.full((1, 500), 0.6))
    entropy = -(0.8 * torch.tensor(0.8).log() + 0.2 * torch.tensor(0.2).log())
    torch.testing.assert_close(proposal.negative_entropy(), -entropy.expand(1, 500))
    own = propose(logits, generator=row_generator(0), **arguments)
    assert torch.equal(own.tokens, proposal.tokens)
    torch.testing.assert_close(own.margin(), torch.full((1, 500), 0.25))


@pytest.mark.parametrize("arguments", [{}, {"top_k": 2, "top_p": 0.5}])
def test_temperature_zero_draws_no_noise(arguments: dict[str, Any]) -> None:
    generator = row_generator(3)
    before = generator.get_state()
    proposal = propose(LOGITS.expand(2, 3, 5), mask_token_id=MASK, generator=generator, **arguments)
    assert torch.equal(generator.get_state(), before)
    assert (proposal.tokens == 1).all()


def test_greedy_tie_breaks_to_the_lowest_token() -> None:
    logits = torch.tensor([[[2.0, 7.0, 7.0, 7.0], [1.0, 1.0, 1.0, 1.0], [9.0, 3.0, 9.0, 0.0]]])
    assert propose(logits, mask_token_id=0).tokens.tolist() == [[1, 1, 2]]


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 1e-38, 1e-45, 1e-300])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_small_temperature_approaches_greedy(temperature: float, dtype: torch.dtype) -> None:
    logits = 100 * LOGITS.to(dtype).expand(2, 50, 5)
    proposal = propose(logits, mask_token_id=MASK, temperature=temperature, generator=row_generator(0))
    assert (proposal.tokens == 1).all()


def test_high_temperature_approaches_the_uniform_distribution_without_the_mask() -> None:
    assert_drawn_from(torch.full((4,), 0.25), temperature=1e30)


@property_test(25)
@given(window=windows())
def test_impossible_tokens_are_never_drawn(window: Window) -> None:
    logits = window.logits(0)
    mask, kept = window.mask_token_id, []
    for token in range(window.vocab_size):
        if token != mask and token % 2 == window.seed % 2:
            logits[..., token] = -torch.inf
        elif token != mask:
            kept.append(token)
    if kept:
        tokens = propose(logits, mask_token_id=mask, temperature=1.5, generator=row_generator(window.seed)).tokens
        assert torch.isin(tokens, torch.tensor(kept)).all()


def test_extreme_noise_takes_the_first_and_the_last_possible_token(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = logits_of([[[0.0, 0.3, 0.7, 0.0]]])
    for noise, expected in ((0.0, 1), (1 - 2**-53, 2)):
        monkeypatch.setattr(
            "samplers.schedulers.proposals.uniform",
            lambda shape, generator, device, noise=noise: torch.full(tuple(shape), noise, dtype=torch.float64),
        )
        assert propose(logits, mask_token_id=3, temperature=1.0).tokens.tolist() == [[expected]]


# -- noise -------------------------------------------------------------------------------------------------------------


def test_list_of_generators_gives_each_row_its_own_stream() -> None:
    device = torch.device("cpu")
    together = uniform((3, 6), [row_generator(seed) for seed in (4, 5, 6)], device)
    for row, seed in enumerate((4, 5, 6)):
        assert torch.equal(together[row], uniform((1, 6), [row_generator(seed)], device)[0])
    assert len(together.unique()) == 18


def test_row_without_generator_consumes_nothing() -> None:
    first, last = row_generator(1), row_generator(2)
    noise = uniform((3, 4), [first, None, last], torch.device("cpu"))
    assert (noise[1] == 0).all()
    assert torch.equal(noise[[0, 2]], uniform((2, 4), (row_generator(1), row_generator(2)), torch.device("cpu")))


def test_one_generator_and_the_global_one_serve_the_whole_batch() -> None:
    device = torch.device("cpu")
    assert torch.equal(uniform((2, 3), row_generator(1), device), uniform((2, 3), row_generator(1), device))
    torch.manual_seed(8)
    first = uniform((2, 3), None, device)
    torch.manual_seed(8)
    assert torch.equal(uniform((2, 3), None, device), first)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_wrong_number_of_generators_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} generators .*2 rows"):
        uniform((2, 3), [row_generator(0)] * count, torch.device("cpu"))


@pytest.mark.parametrize("vocab_size", [6, 3000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_states_are_whose_logits_each_row_has(vocab_size: int, dtype: torch.dtype) -> None:
    # Of two positions in three; the long one is worked on in pieces, whose rows are copied one by one.
    logits = torch.randn(150, 3, vocab_size, generator=row_generator(0))[:, 1:].to(dtype)
    states = torch.randint(0, 150, (200,), generator=row_generator(1))
    picked, expected = (
        propose(given, mask_token_id=MASK, states=of) for given, of in ((logits, states), (logits[states], None))
    )
    assert torch.equal(picked.tokens, expected.tokens)
    assert torch.equal(picked.confidence, expected.confidence)
    assert torch.equal(picked.margin(), expected.margin())
