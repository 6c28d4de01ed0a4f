"""Propose: which token each position would take, greedily or drawn, and how probable the model finds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .vocabulary import apply_temperature, draw, first_argmax, keep_top_k, nucleus, padded_length, two_largest

Generators = torch.Generator | Sequence[torch.Generator | None] | None
Adjust = Callable[[slice, Tensor], None]
Measure = Callable[[slice, Tensor, Tensor], Tensor]

#: Logits that are worked on at a time, by device: what stays in a processor's cache, or fills an accelerator.
_CHUNK = {"cpu": 2**20}
_LARGE_CHUNK = 2**27
#: Logits of a row from which on it is copied by itself.
_LARGE_ROW = 2**12
#: The fields of a record in the order in which they are worked out: the entropy uses up the logits.
RECORDED = ("tokens", "confidence", "margin", "logit_gap", "negative_entropy")


@dataclass(frozen=True, slots=True)
class RecordedProposal:
    """What greedy methods read of the logits of a window, small enough to be kept for every state of a decoding.

    All are (batch, window) and hold at masked positions; elsewhere anything finite may stand.

    Attributes:
        tokens: long: the likeliest token.
        confidence, margin, negative_entropy, logit_gap: float32 or float64; see `Proposal`.
        vocab_size: number of logits that a position had.
    """

    tokens: Tensor
    confidence: Tensor
    margin: Tensor
    negative_entropy: Tensor
    logit_gap: Tensor
    vocab_size: int


class Proposal:
    """One proposed token for every position of the window; computed when first asked for, and then kept.

    A proposal looks at the logits in chunks of bounded size, so a step needs little memory besides them, and what is
    asked for first is found in the same pass as tokens and confidence.
    """

    def __init__(
        self,
        logits: Tensor,
        mask_token_id: int,
        *,
        temperature: float = 0.0,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
        noise: Tensor | None = None,
        adjust: Adjust | None = None,
        states: Tensor | None = None,
    ) -> None:
        self._logits: Tensor | None = logits.detach()
        #: The batch: which of the logits each row's are; None where they are as many as the rows.
        self._states = states
        self._mask_token_id = mask_token_id
        #: Number of logits per position, the mask token's included where it is one of them.
        self.vocab_size: int = logits.shape[-1]
        self._temperature, self._top_p, self._top_k = temperature, top_p, top_k
        self._score_proposal, self._noise, self._adjust = score_proposal, noise, adjust
        self._found: dict[str, Tensor] = {}

    @classmethod
    def replayed(cls, record: RecordedProposal, mask_token_id: int) -> Proposal:
        """The proposal that was recorded; asked for more than the record holds, it raises a `ValueError`."""
        proposal = cls(record.confidence.unsqueeze(-1), mask_token_id)
        proposal._logits, proposal.vocab_size = None, record.vocab_size
        proposal._found = {name: getattr(record, name) for name in RECORDED}
        return proposal

    def record(self) -> RecordedProposal:
        """All that a `RecordedProposal` holds, from one pass over the logits."""
        chunks = [{name: chunk[name] for name in RECORDED} for chunk in self._chunks()]
        found = {name: torch.cat([chunk[name] for chunk in chunks], dim=1) for name in RECORDED}
        return RecordedProposal(**found, vocab_size=self.vocab_size)

    @property
    def tokens(self) -> Tensor:
        """(batch, window), long: the proposed token ids; never the mask token."""
        return self._find("tokens")

    @property
    def confidence(self) -> Tensor:
        """(batch, window), float32 or float64: probability of the proposed token."""
        return self._find("confidence")

    def override(self, where: Tensor, tokens: Tensor, confidence: Tensor) -> None:
        """Propose these tokens (batch, window), with this confidence, where `where`, bool (batch, window), says so."""
        found = {
            "tokens": torch.where(where, tokens, self.tokens),
            "confidence": torch.where(where, confidence.to(self.confidence.dtype), self.confidence),
        }
        self._found |= found

    def margin(self) -> Tensor:
        """Probability of the likeliest token minus that of the runner-up, (batch, window); 1 with one token alone."""
        return self._find("margin")

    def negative_entropy(self) -> Tensor:
        """Sum of p log p over the vocabulary in nats, (batch, window), at most 0."""
        return self._find("negative_entropy")

    def logit_gap(self) -> Tensor:
        """Largest logit minus the next, (batch, window); inf with one possible token alone."""
        return self._find("logit_gap")

    def probability_of(self, tokens: Tensor) -> Tensor:
        """Probability of other tokens (batch, window) than the proposed ones; 0 for the mask token."""
        return self._find("probability_of", tokens)

    @cached_property
    def probabilities(self) -> Tensor:
        """(batch, window, vocab), the dtype of `confidence`: the whole distribution. As large as float32 logits."""
        return self._all(lambda chunk: chunk.scored[1])

    @cached_property
    def logits(self) -> Tensor:
        """(batch, window, vocab), the dtype of `confidence`: what was scored; the mask token stands at -inf."""
        return self._all(lambda chunk: chunk.scored[0])

    def measure(self, name: str, of: Measure) -> Tensor:
        """A number per position of a method's own, (batch, window), kept under `name`.

        Args:
            name: of the measure; asked for again under it, it is not worked out again.
            of: called with a range of positions, and their logits and probabilities (batch, range, vocab), as they are
                scored; returns (batch, range). Both live in memory that the next range takes over: copy what is to be
                kept, and change them as you like.
        """
        return self._find(name, of=of)

    def _find(self, name: str, tokens: Tensor | None = None, of: Measure | None = None) -> Tensor:
        if tokens is not None and self._found.get("asked") is not tokens:
            self._found.pop(name, None)
            self._found["asked"] = tokens
        missing = [key for key in ("tokens", "confidence", name) if key not in self._found]
        if name in missing:
            parts: dict[str, list[Tensor]] = {key: [] for key in missing}
            for chunk in self._chunks():
                # What was asked for comes last: it may use up the logits.
                for key in parts:
                    if key != name or (tokens is None and of is None):
                        parts[key].append(chunk[key])
                    elif tokens is not None:
                        parts[key].append(chunk.probability_of(tokens[:, chunk.where]))
                    elif of is not None:
                        values, probabilities = (both[..., : self.vocab_size] for both in chunk.scored)
                        parts[key].append(of(chunk.where, values, probabilities))
            self._found |= {key: torch.cat(found, dim=1) for key, found in parts.items()}
        return self._found[name]

    def _all(self, of: Callable[[_Chunk], Tensor]) -> Tensor:
        found: Tensor | None = None
        for chunk in self._chunks():
            part = of(chunk)[..., : self.vocab_size]
            if found is None:
                found = part.new_empty((*self.tokens.shape, self.vocab_size))
            found[:, chunk.where] = part
        assert found is not None
        return found

    def _chunks(self) -> Iterator[_Chunk]:
        if self._logits is None:
            raise ValueError("a recorded proposal holds no logits, which this method reads")
        _, window, vocab_size = self._logits.shape
        batch = len(self._logits if self._states is None else self._states)
        most = _CHUNK.get(self._logits.device.type, _LARGE_CHUNK)
        length = max(most // max(batch * vocab_size, 1), 1)
        workspace = _Workspace(self._logits, batch, min(length, window))
        for start in range(0, window, length):
            yield _Chunk(self, slice(start, min(start + length, window)), workspace)

    def _fill(self, values: Tensor, where: slice) -> None:
        """Copy what the model said of a range of positions to `values`, (batch, range, vocab)."""
        assert self._logits is not None
        given = self._logits[:, where]
        if self._states is None:
            values.copy_(given)
        elif given.is_cpu and given[0].numel() >= _LARGE_ROW:
            # Straight to where they are wanted: a copy in between would take as long as all that is done with them.
            for row, state in enumerate(self._states.tolist()):
                values[row] = given[state]
        else:
            values.copy_(given.index_select(0, self._states))


def propose(
    logits: Tensor,
    *,
    mask_token_id: int,
    temperature: float = 0.0,
    top_p: float | None = None,
    top_k: int | None = None,
    score_proposal: bool = False,
    generator: Generators = None,
    adjust: Adjust | None = None,
    states: Tensor | None = None,
) -> Proposal:
    """The proposal for every position of a window.

    Args:
        logits: (batch, window, vocab), any float dtype; left as they are, and not to be changed while the proposal is
            in use.
        mask_token_id: never proposed; its logit counts as -inf. May lie outside the vocabulary.
        temperature: 0 takes the likeliest token (lowest id on a tie); otherwise tokens are drawn from
            softmax(logits / temperature), cut down to `top_k` tokens and then to the nucleus of mass `top_p`.
        score_proposal: describe the distribution that was drawn from (at temperature 0 the model's own, cut down
            by `top_k` and `top_p`); by default confidence, margin and entropy are those of the model's own
            distribution, whatever the other arguments.
        generator: one generator for the batch, or one per row (None for a row that needs no noise).
        adjust: called with a range of positions and their logits (batch, range, vocab), a copy in float32 or better,
            which it changes in place before anything is computed from them.
        states: (batch,), long: where `logits` are (states, window, vocab), which of them is each row's.
    """
    batch = len(logits if states is None else states)
    noise = None if temperature == 0 else uniform((batch, logits.shape[1]), generator, logits.device)
    return Proposal(
        logits,
        mask_token_id,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        score_proposal=score_proposal,
        noise=noise,
        adjust=adjust,
        states=states,
    )


def uniform(shape: Sequence[int], generator: Generators, device: torch.device) -> Tensor:
    """Uniform noise in [0, 1) of shape (batch, window), row by row where `generator` is a list.

    With a generator per row, a row's noise does not depend on the rest of the batch; a row whose generator
    is None gets zeros and consumes nothing. Noise is float64 (float32 where the device has no float64).

    Raises:
        ValueError: the list holds another number of generators than the batch has rows.
    """
    dtype = torch.float32 if device.type == "mps" else torch.float64
    if generator is None or isinstance(generator, torch.Generator):
        home = device if generator is None else generator.device
        return torch.rand(tuple(shape), generator=generator, device=home, dtype=dtype).to(device)
    batch, window = shape
    if len(generator) != batch:
        raise ValueError(f"got {len(generator)} generators for a batch of {batch} rows; give one per row")
    home = next((source.device for source in generator if source is not None), device)
    idle = torch.zeros(window, dtype=dtype, device=home)
    # Drawing from separate generators is the one thing that can't be done for all rows at once.
    rows = [
        idle if source is None else torch.rand(window, generator=source, device=home, dtype=dtype)
        for source in generator
    ]
    return torch.stack(rows).to(device)


class _Workspace:
    """Memory for the logits and the probabilities of one chunk at a time, so that they stay in the cache."""

    def __init__(self, logits: Tensor, batch: int, length: int) -> None:
        self._shape = (batch, padded_length(logits.shape[-1]))
        dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
        most = self._shape[0] * length * self._shape[1]
        self._values = logits.new_empty(most, dtype=dtype)
        self._probabilities = torch.empty_like(self._values)

    def values(self, length: int) -> Tensor:
        """(batch, length, padded vocabulary), to be filled."""
        return self._part(self._values, length)

    def probabilities(self, values: Tensor) -> Tensor:
        """Softmax of values of this workspace."""
        out = self._part(self._probabilities, values.shape[1])
        return torch.softmax(values, dim=-1, out=out)

    def _part(self, memory: Tensor, length: int) -> Tensor:
        batch, vocab_size = self._shape
        return memory[: batch * length * vocab_size].view(batch, length, vocab_size)


class _Chunk:
    """Some positions of a proposal: logits (batch, range, padded vocabulary) and all that follows from them."""

    def __init__(self, proposal: Proposal, where: slice, workspace: _Workspace) -> None:
        self._proposal, self.where, self._workspace = proposal, where, workspace

    def __getitem__(self, name: str) -> Tensor:
        found: Tensor = getattr(self, name)
        return found

    @cached_property
    def model(self) -> tuple[Tensor, Tensor]:
        """Logits and probabilities of the model's own distribution, without the mask token."""
        vocab_size, mask_token_id = self._proposal.vocab_size, self._proposal._mask_token_id
        values = self._workspace.values(self.where.stop - self.where.start)
        self._proposal._fill(values[..., :vocab_size], self.where)
        values[..., vocab_size:].fill_(-torch.inf)
        if self._proposal._adjust is not None:
            self._proposal._adjust(self.where, values[..., :vocab_size])
        if 0 <= mask_token_id < vocab_size:
            values.select(-1, mask_token_id).fill_(-torch.inf)
        return values, self._workspace.probabilities(values)

    @cached_property
    def drawn(self) -> tuple[Tensor, Tensor]:
        """Logits and probabilities of the distribution that tokens are drawn from."""
        temperature, top_p, top_k = self._proposal._temperature, self._proposal._top_p, self._proposal._top_k
        if temperature in (0, 1) and top_k is None and top_p is None:
            return self.model
        values = self.model[0] if temperature == 0 else apply_temperature(self.model[0], temperature)
        values = nucleus(keep_top_k(values, top_k), top_p)
        return values, values.softmax(dim=-1)

    @property
    def scored(self) -> tuple[Tensor, Tensor]:
        """Logits and probabilities that scores describe."""
        return self.drawn if self._proposal._score_proposal else self.model

    @cached_property
    def tokens(self) -> Tensor:
        # A greedy proposal is the likeliest token however the distribution is cut; only its score may notice.
        if self._proposal._noise is None:
            return first_argmax(self.model[0])
        found = draw(self.drawn[1], self._proposal._noise[:, self.where])
        return found.clamp(max=self._proposal.vocab_size - 1)

    @property
    def confidence(self) -> Tensor:
        return self.probability_of(self.tokens)

    def probability_of(self, tokens: Tensor) -> Tensor:
        # A mask token may have an id beyond the vocabulary.
        within = tokens.clamp(max=self._proposal.vocab_size - 1).unsqueeze(-1)
        return self.scored[1].gather(-1, within).squeeze(-1).masked_fill(tokens >= self._proposal.vocab_size, 0)

    @property
    def margin(self) -> Tensor:
        likeliest, runner_up = two_largest(self.scored[1])
        return likeliest - runner_up.clamp(min=0)

    @property
    def negative_entropy(self) -> Tensor:
        values, probabilities = self.scored
        # log p = logit - largest + log p(likeliest). A probability is 0 long before its logit reaches the bound:
        # the clamp only keeps 0 * -inf from becoming NaN.
        # In place: what a chunk is asked for last may use up its logits.
        centred = values.sub_(values.amax(dim=-1, keepdim=True)).clamp_(min=-1e4)
        return (centred.mul_(probabilities).sum(dim=-1) + probabilities.amax(dim=-1).log()).clamp(max=0)

    @property
    def logit_gap(self) -> Tensor:
        largest, following = two_largest(self.scored[0])
        return largest - following
