"""Verified drafts: tokens that would be committed next are put in place at once, and checked by the next look."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .discounts import DiscountedProposal
from .drafting import Drafted, DraftingSchedulerOutput, Looks, Sureness, check_drafts, distinct_tokens, spread_ranks
from .proposals import Proposal, uniform
from .scheduling_utils import Step, UnmaskingScheduler, UnmaskingSchedulerOutput
from .selection import ranks, surest
from .state import SampleState
from .validation import check_choice, check_count, check_range
from .views import Wants

PLACES = ("any", "same")
#: Confidence below which a token is not drafted twice, and the drafts of `place="any"` take another.
UNSURE = 0.9


@dataclass
class VerifiedSchedulerOutput(DraftingSchedulerOutput):
    """What one step of a `VerifiedScheduler` returns beside what every step does.

    Attributes:
        drafts, num_drafts: see `DraftingSchedulerOutput`; at most `drafts` - 1 states.
        accepted_index: bool (batch, window): tokens of the last step's drafts that were committed in this one.
        dropped_index: bool (batch, window): tokens of those drafts that were not.
    """

    accepted_index: Tensor | None = None
    dropped_index: Tensor | None = None


class VerifiedScheduler(UnmaskingScheduler):
    """Commits what is sure and one token more, drafts the next tokens, and checks the drafts in one look at the model.

    A step knows the logits at the present state of a row and at its drafts: the first has one more token in place, the
    next two, and so on. A drafted token holds if it is still the likeliest one where the tokens before it are in place,
    with a probability >= `accept`. The step commits the tokens up to the first that does not hold. From the logits
    of the state that it has reached so, which are known, it also commits all
    with a confidence >= `threshold`, and with them the surest of the others if that has a confidence >= `accept`, or
    where none has reached the threshold. Then it drafts the next tokens: the surest of every run of masked neighbours
    first, and no unsure token twice.

    Nothing is lost by checking a place that would not have been the next: any order is one in which the model could
    have decoded one at a time. With `threshold=None` and `accept=0` the result is what decoding one at a time in the
    order drafted gives. With `place="same"` drafts are in the order of confidence, and hold only if their place, too,
    is the one to be decoded next; with `threshold=None` and `accept=0` that is FreeDave (arXiv 2510.00294), which gives
    token by token what `ConfidenceScheduler(k=1)` gives.

    Where tokens are drawn (at a temperature above 0), a drafted token holds with the probability min(1, p / q), q being
    what it was drawn with and p what the model says at the state before it; one that does not is drawn again, in
    proportion to max(p - q, 0), and committed. So it is distributed as p (speculative sampling, Leviathan et al., arXiv
    2211.17192, theorem 1). Confidence is then that of the likeliest token, so that where to go on never hangs on what
    was drawn, and with `threshold=None` every token is drawn given all before it.

    A loop that looks at one state at a time, as that of a pipeline, drops the drafts.

    Args:
        threshold: 0.95 by default: the confidence of what is committed unchecked. None, or a number above 1, commits
            nothing so but the surest token.
        drafts: states of a row in one look, the present one included; at least 1.
        accept: in [0, 1], 0.5 by default: least probability of the likeliest token where a draft is accepted.
        place: "any" or "same": whether a draft is accepted wherever it stands, or only at the surest place.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    speed_parameter = "drafts"
    adaptive = True
    speed_values = (1, 2, 4, 8, 16)
    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        threshold: float | None = 0.95,
        drafts: int = 8,
        accept: float = 0.5,
        place: str = "any",
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_range("threshold", threshold, -math.inf, math.inf, "a number, or None")
        check_count("drafts", drafts, optional=False)
        check_range("accept", accept, 0, 1, "in [0, 1]", optional=False)
        check_choice("place", place, PLACES)
        self._configure()

    @property
    def wants(self) -> Wants:
        return replace(super().wants, logits=True, drafts=self.config.drafts - 1)

    # Pipelines of diffusers read in the signature what they may hand over.
    @wraps(UnmaskingScheduler.step, assigned=())
    def step(  # type: ignore[override]
        self, *arguments: Any, token_discounts: Any = None, return_dict: bool = True, **options: Any
    ) -> VerifiedSchedulerOutput | tuple[Tensor, ...]:
        """As `UnmaskingScheduler.step`; `model_output` is a `ModelView` with the logits at the drafts of the last step.

        The output's `drafts` and `num_drafts` say what the next one should have.
        """
        self._discounts = token_discounts
        output = super().step(*arguments, token_discounts=token_discounts, **options)
        if isinstance(output, VerifiedSchedulerOutput):
            # Without a mask token the step has been taken with one, by this very method.
            return output if return_dict else output.to_tuple()
        assert isinstance(output, UnmaskingSchedulerOutput)
        drafted = self._drafted()
        left = self._left.sum(dim=1)
        states = torch.arange(1, min(self.config.drafts, output.prev_sample.shape[1] + 1), device=left.device)
        in_place = (drafted.rank[:, None] > 0) & (drafted.rank[:, None] <= states[:, None])
        found = VerifiedSchedulerOutput.extending(
            output,
            drafts=torch.where(in_place, drafted.tokens[:, None], output.prev_sample[:, None]),
            # With all of them in place there may be nothing left to look at.
            num_drafts=torch.minimum(drafted.count, left - 1).clamp(min=0),
            accepted_index=self._check.accepted,
            dropped_index=self._check.drafted & ~self._check.accepted,
        )
        return found if return_dict else found.to_tuple()

    # -- the decisions -----------------------------------------------------------------------------------------------

    def propose(self, step: Step, model_output: Tensor, *, temperature: float, **cut: Any) -> Proposal:
        batch, window = step.sample.shape
        shape: dict[str, Any] | None = {"temperature": temperature, **cut} if temperature > 0 else None
        looks = Looks.of(step.view, model_output)
        draws = shape is not None and self.config.drafts > 1
        self._check = check_drafts(
            self._drafted(step.sample),
            looks,
            step.masked,
            most=max(1, min(self.config.drafts - 1, window)),
            mask_token_id=step.mask_token_id,
            accept=self.config.accept,
            sureness=self._sureness(step, looks) if self.config.place == "same" else None,
            shape=shape if draws else None,
            noise=uniform((batch, 2 * window), step.generator, step.sample.device) if draws else None,
        )
        reached = looks.index(self._check.state)
        proposal = self._proposal(step, looks.logits, temperature=temperature, states=reached, **cut)
        decided = self._check.accepted | self._check.redrawn
        proposal.override(decided, self._check.tokens, self._check.probability)
        self._looks, self._reached, self._shape = looks, reached, shape
        return proposal

    def score(self, step: Step, proposal: Proposal) -> Tensor:
        if self._shape is None:
            return proposal.confidence
        # Where to go on must not hang on what was drawn.
        return self._discounted(self._likeliest(step.mask_token_id), self._discounts).confidence

    def select(self, step: Step, scores: Tensor) -> Tensor:
        decided, threshold = self._check.accepted | self._check.redrawn, self.config.threshold
        open_ = step.masked & ~decided
        sure = open_ & (scores >= threshold) if threshold is not None else torch.zeros_like(open_)
        # One token that is not sure may go with those that are: they tell it hardly anything.
        one = surest(scores, open_ & ~sure & ~self._check.redrawn.any(dim=1, keepdim=True), 1)
        commit = sure | (one & ((scores >= self.config.accept) | ~sure.any(dim=1, keepdim=True)))
        self._left = open_ & ~commit
        self._draft(step, scores)
        committed: Tensor = decided | commit
        return committed

    # -- the drafts --------------------------------------------------------------------------------------------------

    def _draft(self, step: Step, scores: Tensor) -> None:
        """Remember the next drafts: which tokens, and in which order."""
        same, tokens = self.config.place == "same", step.proposal.tokens
        rank = (ranks if same else spread_ranks)(scores, self._left) + 1
        rank = rank.masked_fill(~self._left | (rank >= self.config.drafts), 0)
        drafted, chances = Drafted(rank, tokens), None
        if self.config.drafts > 1 and (self._shape is not None or not same):
            places = drafted.positions(min(self.config.drafts - 1, rank.shape[1]))
            logits = self._looks.logits[self._reached[:, None], places]
            if self._shape is not None:
                chances = Proposal(logits, step.mask_token_id, **self._shape, score_proposal=True).probabilities
            else:
                committed = step.masked & ~self._left & ~self._check.accepted
                tokens = distinct_tokens(drafted, places, logits, committed, scores < UNSURE, step.mask_token_id)
        self._state["rank"], self._state["tokens"] = rank.float(), tokens.unsqueeze(-1)
        if chances is not None:
            self._state["chances"] = chances

    def _drafted(self, sample: Tensor | None = None) -> Drafted:
        tokens = self._state.get("tokens")
        if tokens is None:
            assert sample is not None
            return Drafted(torch.zeros_like(sample), sample)
        return Drafted(self._state["rank"].long(), tokens.squeeze(-1), self._state.get("chances"))

    def _new_state(self) -> SampleState:
        return SampleState(per_position={"rank": 0}, per_token=["tokens", "chances"])

    def _sureness(self, step: Step, looks: Looks) -> Sureness:
        """How sure the model is of its likeliest tokens, end tokens discounted as in the present state."""
        batch = len(step.sample)
        rows = torch.arange(batch, device=step.sample.device)
        of_states = torch.cat([rows, rows.repeat_interleave(looks.counts, output_size=len(looks.logits) - batch)])

        def sureness(logits: Tensor) -> Tensor:
            factors = {
                token: factor[of_states] if isinstance(factor, Tensor) and factor.dim() else factor
                for token, factor in (self._discounts or {}).items()
            }
            return self._discounted(Proposal(logits, step.mask_token_id), factors).confidence

        return sureness

    def _likeliest(self, mask_token_id: int) -> Proposal:
        return Proposal(self._looks.logits, mask_token_id, states=self._reached)

    def _discounted(self, proposal: Proposal, discounts: Mapping[int, Tensor | float] | None) -> Proposal:
        return DiscountedProposal(proposal, discounts) if discounts else proposal
