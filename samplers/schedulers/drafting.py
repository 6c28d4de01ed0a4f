"""Checks drafted tokens against what the model says at the states that lead to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
from torch import Tensor

from .proposals import Proposal
from .selection import ranks
from .step import UnmaskingSchedulerOutput
from .views import ModelView
from .vocabulary import draw, padded_length, several_largest


@dataclass
class DraftingSchedulerOutput(UnmaskingSchedulerOutput):
    """What one step of a scheduler that drafts returns beside what every step does; see `views.DraftingOutput`.

    Attributes:
        drafts: (batch, most, window), long: the states to look at next, besides `prev_sample`.
        num_drafts: (batch,), long: how many of them a row needs.
    """

    drafts: Tensor | None = None
    num_drafts: Tensor | None = None

    @classmethod
    def extending(cls, output: UnmaskingSchedulerOutput, **more: Tensor) -> Self:
        """What every step returns, with what a scheduler that drafts adds."""
        return cls(**{field.name: getattr(output, field.name) for field in fields(output)}, **more)


#: From logits (states, window, vocab) to how sure the model is of each position, (states, window).
Sureness = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Drafted:
    """Drafted tokens of a batch, in the order in which they were put in place: the first, the first two, and so on.

    Attributes:
        rank: (batch, window), long: 1 for the first token of a row, 2 for the next, 0 where none is drafted.
        tokens: (batch, window), long.
        chances: (batch, drafts, vocab): what each was drawn from, the first one first; None where the likeliest stand.
    """

    rank: Tensor
    tokens: Tensor
    chances: Tensor | None = None

    def positions(self, most: int) -> Tensor:
        """Where the first, second, … token of each row stands, (batch, most), long; anything where there is none."""
        return _places(self.rank, most)

    @property
    def count(self) -> Tensor:
        """Number of drafted tokens, (batch,), long."""
        return self.rank.amax(dim=1)


@dataclass(frozen=True, slots=True)
class Looks:
    """The logits at the present state of each row and at its drafts.

    Attributes:
        logits: (batch + drafts, window, vocab), see `ModelView.draft_logits`; (batch, window, vocab) without drafts.
        counts: (batch,), long: drafts of each row.
    """

    logits: Tensor
    counts: Tensor

    @classmethod
    def of(cls, view: ModelView, model_output: Tensor) -> Looks:
        """What a view gives, whose logits `model_output` are."""
        states, counts = view.draft_logits, view.num_drafts
        none = torch.zeros(len(model_output), dtype=torch.long, device=model_output.device)
        return cls(model_output if states is None else states, none if counts is None else counts)

    def index(self, drafts: Tensor) -> Tensor:
        """Where the state with so many drafted tokens in place, (batch, …), is found in `logits`; 0 is the present one.

        A state that was not looked at gives any index.
        """
        shape = (-1, *[1] * (drafts.dim() - 1))
        present = torch.arange(len(self.counts), device=drafts.device)
        behind = len(self.counts) + self.counts.cumsum(0) - self.counts
        found = torch.where(drafts == 0, present.view(shape), behind.view(shape) + drafts - 1)
        return found.clamp(max=len(self.logits) - 1)


@dataclass(frozen=True, slots=True)
class Check:
    """What came of a row's drafts.

    Attributes:
        drafted: bool (batch, window): all of them.
        accepted: bool (batch, window): those that hold.
        redrawn: bool (batch, window): the first that does not, where another token was drawn in its place.
        tokens: (batch, window), long: of those two.
        probability: (batch, window): the model's, of `tokens` at the state before each.
        state: (batch,), long: how many drafted tokens are in place in the last state that was reached and looked at.
    """

    drafted: Tensor
    accepted: Tensor
    redrawn: Tensor
    tokens: Tensor
    probability: Tensor
    state: Tensor


def check_drafts(
    drafted: Drafted,
    looks: Looks,
    masked: Tensor,
    *,
    most: int,
    mask_token_id: int,
    accept: float,
    sureness: Sureness | None = None,
    shape: dict[str, Any] | None = None,
    noise: Tensor | None = None,
) -> Check:
    """Accept the drafted tokens of each row up to the first that does not hold; see `VerifiedScheduler`.

    Args:
        drafted: the tokens.
        looks: what the model says.
        masked: bool (batch, window): what is masked in the present state.
        most: how many tokens of a row are drafted at most; at least 1.
        mask_token_id: never the likeliest token.
        accept: least probability of the likeliest token where a draft is accepted.
        sureness: where given, a token holds only if its place is also the surest one of the state before it.
        shape: temperature, top_p and top_k where tokens are drawn; None where the likeliest are taken.
        noise: (batch, 2 window), uniform in [0, 1), where tokens are drawn.
    """
    batch, window = masked.shape
    number = torch.arange(1, most + 1, device=masked.device).expand(batch, -1)
    places = drafted.positions(most)
    states = looks.index(number - 1)
    # What follows the last state is not known, unless nothing does.
    seen = number - 1 <= looks.counts[:, None]
    left = masked.sum(dim=1, keepdim=True)
    known = seen & (number <= drafted.count[:, None]) & ((number <= looks.counts[:, None]) | (number == left))
    logits = looks.logits[states, places]
    # Where nothing is drafted, the mask token may have an id behind the vocabulary.
    tokens = drafted.tokens.gather(1, places).clamp(max=logits.shape[2] - 1)
    likeliest = Proposal(logits, mask_token_id)
    enough = likeliest.confidence >= accept
    if sureness is not None:
        enough &= _surest_there(sureness(looks.logits), states, places, number, drafted.rank, masked)
    tested = known & enough
    redrawn = torch.zeros_like(tested)
    if shape is None:
        holds, probability = likeliest.tokens == tokens, likeliest.confidence
    else:
        assert noise is not None
        present = Proposal(logits, mask_token_id, **shape, score_proposal=True).probabilities
        before = torch.zeros_like(present) if drafted.chances is None else drafted.chances[:, :most]
        if before.shape[1] < most:
            before = torch.nn.functional.pad(before, (0, 0, 0, most - before.shape[1]))
        chance = present.gather(2, tokens.unsqueeze(2)).squeeze(2)
        was = before.gather(2, tokens.unsqueeze(2)).squeeze(2)
        coin, other = noise[:, :window].gather(1, places), noise[:, window:].gather(1, places)
        holds = coin * was < chance
    accepted = (tested & holds).long().cumprod(dim=1)
    if shape is not None:
        redrawn = tested & ~holds & (torch.nn.functional.pad(accepted, (1, 0), value=1)[:, :most] == 1)
        tokens = torch.where(redrawn, _residual(present, before, other), tokens)
        probability = likeliest.probability_of(tokens)
    count = accepted.sum(dim=1)

    def spread(values: Tensor, default: Tensor) -> Tensor:
        """What belongs to drafted tokens, at the positions of the window."""
        return default.scatter(1, places, torch.where(known, values, default.gather(1, places)))

    nowhere = torch.zeros_like(masked)
    return Check(
        drafted=drafted.rank > 0,
        accepted=spread(accepted == 1, nowhere),
        redrawn=spread(redrawn, nowhere),
        tokens=spread(tokens, drafted.tokens),
        probability=spread(probability, probability.new_ones(batch, window)),
        state=torch.minimum(count, looks.counts),
    )


def spread_ranks(scores: Tensor, eligible: Tensor) -> Tensor:
    """Rank of each position, (batch, window), long: the surest of every run of neighbours first, then the next, ….

    Neighbours depend on each other more than others do (the tokens of a word), so that what is in place in one run
    tells little about another. Arguments and ties as in `ranks`, among those of one place in their runs by score.
    """
    batch, window = scores.shape
    index = torch.arange(window, device=scores.device).expand(batch, -1)
    by_score = ranks(scores, eligible).argsort(dim=1)
    before = torch.nn.functional.pad(eligible, (1, 0))[:, :-1]
    run = (eligible & ~before).cumsum(dim=1).masked_fill(~eligible, window + 1).gather(1, by_score)
    grouped = run.argsort(dim=1, stable=True)
    ordered = run.gather(1, grouped)
    opens = torch.nn.functional.pad(ordered[:, 1:] != ordered[:, :-1], (1, 0), value=True)
    within = index - (index * opens).cummax(dim=1).values
    within = torch.empty_like(within).scatter_(1, grouped, within).masked_fill(run > window, window)
    positions = by_score.gather(1, within.argsort(dim=1, stable=True))
    return torch.empty_like(positions).scatter_(1, positions, index)


#: How many of the likeliest tokens of a place may be drafted.
_CANDIDATES = 6


def distinct_tokens(
    drafted: Drafted, places: Tensor, logits: Tensor, committed: Tensor, unsure: Tensor, mask_token_id: int
) -> Tensor:
    """The drafted tokens, (batch, window), with another one where an unsure token would stand in a row twice.

    The second place at which a token is the likeliest, and not sure, takes its own next likeliest, the third the one
    after that: what one look finds likely at two places mostly belongs to one of them.

    Args:
        drafted: the likeliest tokens.
        places: (batch, most), where the drafted ones stand, in their order.
        logits: (batch, most, vocab), there; a copy, which may be changed.
        committed: bool (batch, window): what the look commits, beside the drafts.
        unsure: bool (batch, window).
        mask_token_id: never drafted.
    """
    tokens, most = drafted.tokens, places.shape[1]
    first = tokens.gather(1, places)
    doubtful = unsure.gather(1, places) & (drafted.rank.gather(1, places) > 0)
    earlier = torch.ones(most, most, dtype=torch.bool, device=tokens.device).tril(-1)
    before = (first.unsqueeze(2) == first.unsqueeze(1)) & earlier & doubtful.unsqueeze(1)
    beside = (first.unsqueeze(2) == tokens.unsqueeze(1)) & (committed & unsure).unsqueeze(1)
    seen = torch.where(doubtful, before.sum(dim=2) + beside.sum(dim=2), 0)
    vocab_size = logits.shape[2]
    if 0 <= mask_token_id < vocab_size:
        logits.select(-1, mask_token_id).fill_(-torch.inf)
    values = torch.nn.functional.pad(logits, (0, padded_length(vocab_size) - vocab_size), value=-torch.inf)
    largest, candidates = several_largest(values, min(_CANDIDATES, vocab_size))
    which = seen.clamp(max=candidates.shape[2] - 1).unsqueeze(2)
    possible = largest.gather(2, which).squeeze(2) > -torch.inf
    chosen = torch.where((seen > 0) & possible, candidates.gather(2, which).squeeze(2), first)
    return tokens.scatter(1, places, chosen)


def _places(rank: Tensor, most: int) -> Tensor:
    behind = rank.masked_fill(rank == 0, rank.shape[1] + 1)
    return behind.argsort(dim=1, stable=True)[:, :most]


def _surest_there(
    sureness: Tensor, states: Tensor, places: Tensor, number: Tensor, rank: Tensor, masked: Tensor
) -> Tensor:
    """Whether each place is the surest masked one of its state, the first of equals, bool (batch, most)."""
    in_place = (rank[:, None] > 0) & (rank[:, None] < number.unsqueeze(2))
    values = sureness[states].masked_fill(~masked[:, None] | in_place, -torch.inf)
    best = values == values.amax(dim=2, keepdim=True)
    first = best & (best.cumsum(dim=2) == 1)
    return first.gather(2, places.unsqueeze(2)).squeeze(2)


def _residual(present: Tensor, before: Tensor, noise: Tensor) -> Tensor:
    """Tokens drawn in proportion to max(p - q, 0), (batch, most); from p where rounding leaves nothing of it."""
    weights = (present - before).clamp(min=0)
    weights = torch.where(weights.sum(dim=2, keepdim=True) > 0, weights, present)
    vocab_size = present.shape[2]
    padded = torch.nn.functional.pad(weights, (0, padded_length(vocab_size) - vocab_size))
    return draw(padded, noise).clamp(max=vocab_size - 1)
