"""The log-likelihood of an answer under a masked diffusion model, by Monte Carlo."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from benchmark.models.interface import TaskModel
from benchmark.models.memory import is_out_of_memory
from benchmark.models.prompts import pad_left


class Masking(NamedTuple):
    """Places of an answer that are masked, and what the sum of their log-probabilities counts for."""

    places: tuple[int, ...]
    weight: float


def maskings(length: int, draws: int, seed: int) -> list[Masking]:
    """The partly masked states of an answer whose weighted sums are its log-likelihood.

    The estimator is that of LLaDA (arXiv 2502.09992, equation 6): for a number l drawn uniformly from 1 to L and l of
    the L tokens, drawn without putting back and masked, (L / l) times the sum of the log-probabilities of the masked
    tokens, given the others. Its mean is a lower bound of the log-likelihood, and equal to it where the model's
    conditionals are those of one distribution. The numbers l are spread evenly over the draws (systematic sampling),
    which leaves the mean what it is and makes the spread smaller.

    Where there are no more states than draws, all are taken with the weights that they are drawn with, and nothing is
    left to chance.

    Args:
        length: L, tokens of the answer.
        draws: how many states at most.
        seed: of what is drawn.
    """
    if 2**length - 1 <= draws:
        return [
            Masking(places, 1 / (count * math.comb(length, count)))
            for count in range(1, length + 1)
            for places in combinations(range(length), count)
        ]
    # What is estimated is a mean over L counts of (L / l) times a sum: 1 / l of it for each of them.
    source = random.Random(seed)
    offset = source.random()
    found = []
    for number in range(draws):
        count = 1 + int((number + offset) / draws * length)
        places = tuple(sorted(source.sample(range(length), count)))
        found.append(Masking(places, length / (count * draws)))
    return found


class LikelihoodReader:
    """Log-likelihoods of answers behind prompts.

    Args:
        prepared: a model that sees prompt and answer as a whole.
        draws: states of an answer that go through the model.
        batch_size: states of a forward pass; halved where memory runs out.
        seed: of what is drawn.

    Attributes:
        passes: states that went through the model so far.

    Raises:
        ValueError: the model goes block by block, or its open positions hold noise: what one look at it says of an
            answer is no bound of its likelihood then.
    """

    def __init__(self, prepared: TaskModel, *, draws: int, batch_size: int, seed: int = 0) -> None:
        from samplers import denoiser_for
        from samplers.denoisers.uniform import UniformDenoiser
        from samplers.models.unwrapping import unwrapped

        self._prepared, self._draws, self._batch_size, self._seed = prepared, draws, batch_size, seed
        self._denoiser: Any = denoiser_for(prepared.model)
        attention = getattr(unwrapped(prepared.model), "attention", None)
        in_blocks = getattr(self._denoiser, "grid_length", None) is not None or attention == "causal_context"
        if in_blocks or isinstance(self._denoiser, UniformDenoiser):
            kind = "decodes block by block" if in_blocks else "has noise where others have masks"
            raise ValueError(
                f"no log-likelihoods: {type(unwrapped(prepared.model)).__name__} {kind}, and the Monte Carlo estimate "
                "of arXiv 2502.09992 is for models that see a masked answer as a whole; run tasks that generate"
            )
        mask = self._denoiser.mask_token_id if prepared.mask_token_id is None else prepared.mask_token_id
        if mask is None:
            raise ValueError("no log-likelihoods: the model names no mask token")
        self._mask: int = mask
        self.passes = 0

    def log_likelihoods(self, pairs: Sequence[tuple[list[int], list[int]]]) -> list[float]:
        """Estimates of log p(answer | prompt), in nats, for pairs of prompt and answer; 0 for an empty answer."""
        totals = [0.0] * len(pairs)
        by_length: dict[int, list[int]] = {}
        for index, (_, answer) in enumerate(pairs):
            if answer:
                by_length.setdefault(len(answer), []).append(index)
        for length, members in by_length.items():
            members.sort(key=lambda index: len(pairs[index][0]))
            states = list(maskings(length, self._draws, self._seed))
            # The same states for all: what separates two answers is then not the luck of the draw.
            queue = [(index, state) for index in members for state in states]
            for batch, sums in self._read(pairs, queue):
                for (index, state), log_probability in zip(batch, sums, strict=True):
                    totals[index] += state.weight * log_probability
        return totals

    def _read(
        self, pairs: Sequence[tuple[list[int], list[int]]], queue: list[tuple[int, Masking]]
    ) -> Iterator[tuple[list[tuple[int, Masking]], list[float]]]:
        """States, batch by batch, with the sums of the log-probabilities of their masked tokens."""
        done = 0
        while done < len(queue):
            batch = queue[done : done + self._batch_size]
            try:
                sums = self._pass([pairs[index] for index, _ in batch], [state.places for _, state in batch])
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if len(batch) == 1:
                    raise ValueError("the memory is too small for a prompt and its answer") from None
                sums = []
            if not sums:
                self._batch_size = len(batch) // 2
                continue
            self.passes += len(batch)
            yield batch, sums
            done += len(batch)

    def _pass(self, pairs: Sequence[tuple[list[int], list[int]]], places: Sequence[tuple[int, ...]]) -> list[float]:
        import torch

        from samplers import SessionRequest
        from samplers.denoisers.interface import open_session

        device, length = self._prepared.device, len(pairs[0][1])
        answers = torch.tensor([answer for _, answer in pairs])
        masked = torch.zeros_like(answers, dtype=torch.bool)
        for row, chosen in enumerate(places):
            masked[row, list(chosen)] = True
        prompts, real = pad_left([prompt for prompt, _ in pairs], self._mask)
        start = prompts.shape[1]
        sequences = torch.cat([prompts, answers.masked_fill(masked, self._mask)], dim=1).to(device)
        real = torch.cat([real, torch.ones_like(answers)], dim=1).to(device)
        padding = None if bool(real.all()) else real
        request = SessionRequest(padding, start, length, mask_token_id=self._mask)
        with torch.no_grad():
            view = open_session(self._denoiser, request).look(sequences, start, start + length)
            assert view.logits is not None
            logits = view.logits.float()
            # No answer has the mask token.
            if 0 <= self._mask < logits.shape[-1]:
                logits[..., self._mask] = -torch.inf
            wanted = answers.to(device).unsqueeze(-1)
            found = logits.gather(-1, wanted).squeeze(-1) - logits.logsumexp(dim=-1)
            sums: list[float] = found.masked_fill(~masked.to(device), 0.0).sum(dim=1).tolist()
        return sums
