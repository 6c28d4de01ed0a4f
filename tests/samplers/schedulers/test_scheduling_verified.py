"""Verified drafts: what is lossless is so token by token, and what is drawn is drawn as one at a time would be."""

from collections import Counter
from itertools import product
from math import prod
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import property_test, row_generator
from torch import Tensor

from samplers import (
    ConfidenceScheduler,
    ModelView,
    ThresholdScheduler,
    VerifiedScheduler,
    generate,
    scheduler_class,
    stream,
)
from samplers.schedulers import proposals, scheduling_verified

VOCAB, MASK, PROMPT = 6, 5, 3


def entangled(seed: int, length: int, sharpness: float = 1.5) -> Any:
    """A model in which every token depends on every other."""
    generator = row_generator(seed)
    words, mix = torch.randn(VOCAB, 8, generator=generator), torch.randn(length, length, generator=generator)
    out, bias = torch.randn(8, VOCAB, generator=generator), torch.randn(length, VOCAB, generator=generator)

    def model(input_ids: Tensor) -> Any:
        here = mix[: input_ids.shape[1], : input_ids.shape[1]]
        # Row by row: sums of another batch may differ in their last bits.
        rows = [torch.tanh(here @ words[row]) @ out * sharpness + bias[: len(row)] for row in input_ids]
        return SimpleNamespace(logits=torch.stack(rows))

    model.mask_token_id = MASK  # type: ignore[attr-defined]
    return model


def prompts(seed: int, rows: int) -> Tensor:
    return torch.randint(0, MASK, (rows, PROMPT), generator=row_generator(seed))


seeds, lengths, some_drafts = st.integers(0, 10_000), st.integers(1, 9), st.sampled_from([1, 2, 3, 5, 20])


@property_test(15)
@given(seed=seeds, new=lengths, drafts=some_drafts, block=st.sampled_from([None, 2, 4]), options=st.data())
def test_the_same_place_gives_what_one_at_a_time_gives(
    seed: int, new: int, drafts: int, block: int | None, options: Any
) -> None:
    given: dict[str, Any] = options.draw(
        st.sampled_from(
            [
                {},
                {"cfg_scale": 0.5},
                {"eos_token_id": 0, "eos_handling": "ban"},
                {"eos_token_id": 0, "eos_handling": "discount", "eos_discount": 0.3},
                {"prefill": torch.tensor([[MASK, 2], [1, MASK], [MASK, MASK]])[:, :new]},
            ]
        )
    )
    model = entangled(seed, PROMPT + new)
    arguments = {"max_new_tokens": new, "block_length": block, **given}
    one = generate(model, prompts(seed, 3), scheduler=ConfidenceScheduler(k=1), **arguments)
    scheduler = VerifiedScheduler(threshold=None, accept=0, drafts=drafts, place="same")
    several = generate(model, prompts(seed, 3), scheduler=scheduler, **arguments)
    assert torch.equal(one.sequences, several.sequences)
    assert (several.num_rounds <= one.num_rounds).all()
    if drafts == 1:
        assert torch.equal(several.num_rounds, one.num_rounds)


def decoding_order(steps: list[Any]) -> list[list[int]]:
    """The positions of one row in the order in which they were decoded, step by step."""
    order, before = [], None
    for step in steps:
        committed, accepted = step.output.transfer_index[0], step.output.accepted_index[0]
        if before is None:
            assert not accepted.any()
            drafted = []
        else:
            # Each draft has one more token in place.
            states = [*before.drafts[0], step.sample[0]]
            found = [[at for at in range(len(state)) if state[at] != MASK] for state in states]
            ranks = {at: next(n for n, have in enumerate(found) if at in have) for at in found[-1]}
            drafted = sorted(accepted.nonzero()[:, 0].tolist(), key=lambda at: ranks[at])
        others = (committed & ~accepted).nonzero()[:, 0].tolist()
        order.append([*drafted, *others])
        before = step.output
    return order


@property_test(15)
@given(seed=seeds, new=lengths, drafts=some_drafts)
def test_any_place_gives_what_one_at_a_time_gives_in_the_order_drafted(seed: int, new: int, drafts: int) -> None:
    model = entangled(seed, PROMPT + new)
    scheduler = VerifiedScheduler(threshold=None, accept=0, drafts=drafts)
    steps = list(stream(model, prompts(seed, 1), scheduler=scheduler, max_new_tokens=new))
    order = decoding_order(steps)
    sequence = torch.cat([prompts(seed, 1), torch.full((1, new), MASK)], dim=1)
    for position in (PROMPT + at for places in order for at in places):
        logits = model(sequence).logits[0, position]
        logits[MASK] = -torch.inf
        sequence[0, position] = logits.argmax()
    assert torch.equal(sequence[:, PROMPT:], steps[-1].sample)
    assert sorted(at for places in order for at in places) == list(range(new))
    assert all(len(places) <= drafts for places in order)


@property_test(8)
@given(seed=seeds, threshold=st.sampled_from([0.3, 0.6, 0.9]), new=lengths)
def test_without_drafts_and_with_nothing_beside_what_is_sure_it_is_the_threshold_method(
    seed: int, threshold: float, new: int
) -> None:
    model = entangled(seed, PROMPT + new)
    plain = generate(model, prompts(seed, 2), scheduler=ThresholdScheduler(threshold=threshold), max_new_tokens=new)
    scheduler = VerifiedScheduler(threshold=threshold, drafts=1, accept=1)
    ours = generate(model, prompts(seed, 2), scheduler=scheduler, max_new_tokens=new)
    assert torch.equal(plain.sequences, ours.sequences)
    assert torch.equal(plain.num_forward_passes, ours.num_forward_passes)
    assert torch.equal(ours.num_forward_passes, ours.num_rounds)


@property_test(12)
@given(
    seed=seeds,
    new=lengths,
    drafts=some_drafts,
    place=st.sampled_from(["any", "same"]),
    temperature=st.sampled_from([0.0, 0.8]),
    shape=st.sampled_from([{}, {"top_k": 3}, {"top_p": 0.7}]),
    block=st.sampled_from([None, 3]),
)
def test_a_row_of_a_batch_is_decoded_as_it_is_alone(
    seed: int, new: int, drafts: int, place: str, temperature: float, shape: dict[str, Any], block: int | None
) -> None:
    model = entangled(seed, PROMPT + new)
    scheduler = VerifiedScheduler(
        threshold=0.8, accept=0.3, drafts=drafts, place=place, temperature=temperature, **shape
    )

    def decode(rows: list[int]) -> Any:
        return generate(
            model,
            prompts(seed, 4)[rows],
            scheduler=scheduler,
            max_new_tokens=new,
            block_length=block,
            generator=[row_generator(seed + row) for row in rows],
        )

    batch = decode([0, 1, 2, 3])
    for row in range(4):
        alone = decode([row])
        assert torch.equal(alone.sequences[0], batch.sequences[row])
        assert alone.num_rounds[0] == batch.num_rounds[row]
        assert alone.num_forward_passes[0] == batch.num_forward_passes[row]


# -- drawing, enumerated ------------------------------------------------------------------------------------------


class Grid:
    """Noise that takes every combination of values once, one row of a batch each, so that counts are probabilities.

    Args:
        steps: for each step how many values the noise has that a token is drawn with, that it is accepted with, and
            that another is drawn with, each position by position. It is the same for all where one number is given.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, steps: list[list[list[int]]], window: int) -> None:
        levels = [[(values * window if len(values) == 1 else values) for values in step] for step in steps]
        axes = [n for step in steps for values in step for n in values]
        grid = torch.tensor(list(product(*(range(n) for n in axes))), dtype=torch.float64)
        self.rows = prod(axes)
        columns = iter(((grid + 0.5) / torch.tensor(axes)).unbind(1))
        self._calls: list[Tensor] = []
        for step, full in zip(steps, levels, strict=True):
            draws, coins, others = (
                torch.stack([next(columns) for _ in values], dim=1).expand(-1, len(whole))
                for values, whole in zip(step, full, strict=True)
            )
            # The check comes before the draw.
            self._calls += [torch.cat([coins, others], dim=1), draws]
        self._numbers = iter(self._calls)
        for module in (proposals, scheduling_verified):
            monkeypatch.setattr(module, "uniform", lambda *_: next(self._numbers, self._calls[-1]))


def drawn(model: Any, new: int, grid: Grid, **parameters: Any) -> dict[tuple[int, ...], float]:
    """Answer → its probability under the scheduler."""
    scheduler = VerifiedScheduler(threshold=None, temperature=1.0, drafts=new, **parameters)
    output = generate(model, torch.zeros(grid.rows, 0, dtype=torch.long), scheduler=scheduler, max_new_tokens=new)
    counts = Counter(map(tuple, output.sequences.tolist()))
    return {answer: count / grid.rows for answer, count in counts.items()}


def exact(joint: dict[tuple[int, ...], float]) -> Any:
    """The model whose every prediction is a conditional of a joint distribution; the mask is the last token."""
    mask = 1 + max(max(answer) for answer in joint)
    answers, weights = torch.tensor(list(joint)), torch.tensor(list(joint.values()), dtype=torch.float64)

    def model(input_ids: Tensor) -> Any:
        agree = ((input_ids[:, None] == answers) | (input_ids[:, None] == mask)).all(dim=2) * weights
        likely = torch.einsum("ba,alv->blv", agree, torch.nn.functional.one_hot(answers, mask + 1).double())
        return SimpleNamespace(logits=(likely / agree.sum(dim=1)[:, None, None]).log())

    model.mask_token_id = mask  # type: ignore[attr-defined]
    return model


def test_drawn_drafts_have_the_joint_distribution_of_a_shuffle(monkeypatch: pytest.MonkeyPatch) -> None:
    joint = {(0, 1, 2): 1 / 6, (0, 2, 1): 1 / 6, (1, 0, 2): 1 / 6, (1, 2, 0): 1 / 6, (2, 0, 1): 1 / 6, (2, 1, 0): 1 / 6}
    # Thirds at first, then halves; what is accepted at all is so for certain.
    grid = Grid(monkeypatch, [[[3, 3, 3], [1], [1]], [[2, 2, 2], [1], [2]], [[2], [1], [2]]], 3)
    assert drawn(exact(joint), 3, grid, accept=0) == pytest.approx(joint)


@pytest.mark.parametrize("place", ["any", "same"])
def test_drawn_drafts_have_a_joint_distribution_that_accepts_by_halves(
    monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    joint = {(0, 0): 3 / 8, (0, 1): 1 / 8, (1, 0): 1 / 8, (1, 1): 3 / 8}
    # Another token is drawn with four values, which only the residual turns all into the same.
    grid = Grid(monkeypatch, [[[4, 4], [1], [1]], [[4], [2], [4]]], 2)
    assert drawn(exact(joint), 2, grid, accept=0, place=place) == pytest.approx(joint)


def table_model(seed: int) -> Any:
    """A model of two tokens and three places that says 1/4, 1/2 or 3/4 of anything, as no joint distribution would."""
    table = torch.randint(1, 4, (27, 3), generator=row_generator(seed)).double() / 4

    def model(input_ids: Tensor) -> Any:
        ones = table[(input_ids * torch.tensor([9, 3, 1])).sum(dim=1)]
        nothing = torch.zeros_like(ones)
        return SimpleNamespace(logits=torch.stack([1 - ones, ones, nothing], dim=2).log())

    model.mask_token_id = 2  # type: ignore[attr-defined]
    return model


def one_at_a_time(model: Any) -> dict[tuple[int, ...], float]:
    """Answer → its probability where each step draws the token at the place whose likeliest token is most probable."""
    found = {(2, 2, 2): 1.0}
    for _ in range(3):
        after: Counter[tuple[int, ...]] = Counter()
        for state, weight in found.items():
            probabilities = model(torch.tensor([state])).logits[0].exp()
            sure = [float(row.max()) if token == 2 else -1.0 for row, token in zip(probabilities, state, strict=True)]
            place = sure.index(max(sure))
            for token in (0, 1):
                after[(*state[:place], token, *state[place + 1 :])] += weight * float(probabilities[place, token])
        found = dict(after)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 4, 9])
def test_drawn_drafts_at_the_same_place_are_drawn_as_one_at_a_time(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    model = table_model(seed)
    # Chances are of fourths, and their ratios of halves and thirds; with two tokens there is no choice of another. The
    # place that is surest at first is decoded in the first step.
    first = int(model(torch.tensor([[2, 2, 2]])).logits[0].amax(dim=1).argmax())
    fourths, sixths = ([1 if place == first else n for place in range(3)] for n in (4, 6))
    grid = Grid(monkeypatch, [[[4, 4, 4], [1], [1]], [fourths, sixths, [1]], [[4], [6], [1]]], 3)
    expected = one_at_a_time(model)
    assert drawn(model, 3, grid, accept=0, place="same") == pytest.approx(expected)


# -- the rule ------------------------------------------------------------------------------------------------------


def look(scheduler: VerifiedScheduler, sample: Tensor, states: list[list[list[float]]], count: int) -> Any:
    """A step on one row, with the confidence of token 1 at each place of each state."""
    ones = torch.tensor(states, dtype=torch.float64)
    logits = torch.stack([1 - ones, ones, torch.zeros_like(ones)], dim=2).log() if ones.dim() == 2 else None
    assert logits is not None
    view = ModelView(logits[:1], draft_logits=logits, num_drafts=torch.tensor([count]))
    return scheduler.step(view, 0, sample, mask_token_id=2)


def drafted(scheduler: VerifiedScheduler) -> Any:
    """A first step that commits the first token, and drafts the second, third, … as 1; its threshold is above them."""
    # Tokens that are less sure would be drafted once in a row.
    first = torch.tensor([[0.94, 0.93, 0.92, 0.91]])
    logits = torch.stack([1 - first, first, torch.zeros_like(first)], dim=2).log()
    return scheduler.step(logits, 0, torch.full((1, 4), 2), mask_token_id=2)


def test_drafts_add_one_token_each_in_the_order_of_confidence() -> None:
    output = drafted(VerifiedScheduler(drafts=3, threshold=0.95))
    assert output.prev_sample.tolist() == [[1, 2, 2, 2]]
    assert output.drafts.tolist() == [[[1, 1, 2, 2], [1, 1, 1, 2]]]
    assert output.num_drafts.tolist() == [2]


def test_a_state_in_which_nothing_is_masked_is_not_looked_at() -> None:
    output = drafted(VerifiedScheduler(drafts=9, threshold=0.95))
    assert output.num_drafts.tolist() == [2], "the third would fill the row"


def test_tokens_are_accepted_up_to_the_first_that_the_model_would_not_write() -> None:
    scheduler = VerifiedScheduler(drafts=3, threshold=0.95)
    sample = drafted(scheduler).prev_sample
    # The second holds; the third does not in the state before it, whose logits decide what else is committed.
    assert sample.tolist() == [[1, 2, 2, 2]]
    output = look(scheduler, sample, [[0.5, 0.6, 0.9, 0.9], [0.5, 0.5, 0.3, 0.96], [0.5, 0.5, 0.5, 0.01]], 2)
    assert output.accepted_index.tolist() == [[False, True, False, False]]
    assert output.dropped_index.tolist() == [[False, False, True, False]]
    assert output.prev_sample.tolist() == [[1, 1, 0, 1]], "what is sure there, and one token more"
    assert output.sampled_probs[0, 1].item() == pytest.approx(0.6)


@pytest.mark.parametrize(("accept", "taken"), [(0.55, True), (0.65, False)])
def test_accept_bounds_the_probability_in_the_state_before(accept: float, taken: bool) -> None:
    scheduler = VerifiedScheduler(drafts=2, accept=accept, threshold=0.95)
    sample = drafted(scheduler).prev_sample
    output = look(scheduler, sample, [[0.5, 0.6, 0.9, 0.1], [0.5, 0.5, 0.1, 0.2]], 1)
    assert output.accepted_index[0, 1].item() is taken
    assert output.dropped_index[0, 1].item() is not taken


def test_the_same_place_must_be_the_surest() -> None:
    states = [[0.5, 0.6, 0.9, 0.1], [0.5, 0.5, 0.1, 0.2]]
    for place, taken in (("any", True), ("same", False)):
        scheduler = VerifiedScheduler(drafts=2, place=place, threshold=0.95)
        output = look(scheduler, drafted(scheduler).prev_sample, states, 1)
        assert output.accepted_index[0, 1].item() is taken


def test_drafts_of_another_sample_are_dropped() -> None:
    scheduler = VerifiedScheduler(drafts=3, threshold=0.95)
    drafted(scheduler)
    states = [[0.5, 0.6, 0.9, 0.9]]
    output = look(scheduler, torch.tensor([[0, 2, 2, 2]]), states, 0)
    assert not output.accepted_index.any()
    assert not output.dropped_index.any()


def test_without_its_drafts_it_goes_on_as_the_threshold_method() -> None:
    scheduler = VerifiedScheduler(drafts=3, threshold=0.95)
    sample = drafted(scheduler).prev_sample
    logits = torch.tensor([[[0.5, 0.5, 0], [0.4, 0.6, 0], [0.04, 0.96, 0], [0.2, 0.8, 0]]]).log()
    output = scheduler.step(logits, 0, sample, mask_token_id=2)
    assert output.prev_sample.tolist() == [[1, 2, 1, 1]]
    assert not output.accepted_index.any()


@pytest.mark.parametrize(("beside", "taken"), [(0.6, True), (0.4, False)])
def test_one_token_that_is_likely_enough_goes_with_those_that_are_sure(beside: float, taken: bool) -> None:
    ones = torch.tensor([[0.95, beside, 0.99, 0.3]])
    logits = torch.stack([torch.zeros_like(ones), ones, torch.zeros_like(ones), (1 - ones) / 2, (1 - ones) / 2], dim=2)
    output = VerifiedScheduler().step(logits.log(), 0, torch.full((1, 4), 2), mask_token_id=2)
    assert output.transfer_index.tolist() == [[True, taken, True, False]]


@pytest.mark.parametrize("threshold", [None, 2.0])
def test_nothing_is_committed_unchecked_but_the_surest(threshold: float | None) -> None:
    scheduler = VerifiedScheduler(threshold=threshold, drafts=4)
    logits = torch.tensor([[[0.01, 0.99, 0], [0.0, 1.0, 0], [0.05, 0.95, 0]]]).log()
    output = scheduler.step(logits, 0, torch.full((1, 3), 2), mask_token_id=2)
    assert output.prev_sample.tolist() == [[2, 1, 2]]


def test_it_asks_for_one_draft_less_than_states() -> None:
    assert VerifiedScheduler(drafts=8).wants.drafts == 7
    assert VerifiedScheduler(drafts=1).wants.drafts == 0
    assert scheduler_class("verified") is VerifiedScheduler


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"drafts": 0}, "drafts=0"),
        ({"accept": 1.5}, "accept=1.5"),
        ({"place": "left"}, "place='left'"),
        ({"threshold": "high"}, "threshold='high'"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        VerifiedScheduler(**arguments)
