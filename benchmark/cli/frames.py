"""The frames of a decoding: the answer after each step, and what the step did to every token of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from samplers import GenerationStep

#: How a token looks by what has happened to it: (style in a terminal, what stands before and behind it elsewhere).
LOOKS = {
    "committed": ("bold black on green", "«", "»"),
    "replaced": ("bold black on yellow", "{", "}"),
    "remasked": ("bold white on red", "<", ">"),
    "filled": ("black on cyan", "(", ")"),
    "kept": ("", "", ""),
    "masked": ("dim", "", ""),
}
MASK_SIGN = "░"
#: What stands for a token behind the answer's end, whose text is not kept.
BEHIND_THE_END = "·"


@dataclass(frozen=True, slots=True)
class Cell:
    """One position of the answer: its token as text, and which of `LOOKS` it has."""

    text: str
    look: str


@dataclass(frozen=True, slots=True)
class Frame:
    """The answer after one step, and the numbers that go with it.

    `sure` holds, for the tokens committed in this step, text and probability, from left to right; `drafts` how many
    drafted tokens of the step before were taken, and how many dropped. `num_forward_passes` is None where nobody kept
    how many there were up to here.
    """

    number: int
    num_forward_passes: int | None
    cells: tuple[Cell, ...]
    sure: tuple[tuple[str, float], ...]
    drafts: tuple[int, int] = (0, 0)

    def count(self, look: str) -> int:
        """Positions with that look."""
        return sum(cell.look == look for cell in self.cells)

    @property
    def headline(self) -> str:
        """The step in one line of numbers; what did not happen is left out."""
        parts = [f"step {self.number + 1}"]
        if self.num_forward_passes is not None:
            parts.append(passes(self.num_forward_passes))
        parts += [f"{self.count(look)} {look}" for look in LOOKS if look not in ("kept", "masked") and self.count(look)]
        if any(self.drafts):
            parts.append(f"{self.drafts[0]} of {sum(self.drafts)} drafted tokens taken")
        return " · ".join([*parts, f"{self.count('masked') + self.count('remasked')} still masked"])


def frame_of(step: GenerationStep, tokenizer: Any) -> Frame:
    """What a step of a batch of one shows."""
    committed, remasked, masked = (flags[0].tolist() for flags in (step.committed, step.remasked, step.masked))
    probabilities = step.probabilities[0].tolist()
    cells, sure = [], []
    for place, (before, token) in enumerate(zip(step.before[0].tolist(), step.sample[0].tolist(), strict=True)):
        text = MASK_SIGN if masked[place] else _token_text(tokenizer, token)
        look = "kept" if before == token else "replaced"
        if remasked[place]:
            look = "remasked"
        elif masked[place]:
            look = "masked"
        elif committed[place]:
            # What lies outside the window was filled in by a rule, and has no probability.
            proposed = not math.isnan(probabilities[place])
            look = "committed" if proposed else "filled"
            if proposed:
                sure.append((text, probabilities[place]))
        cells.append(Cell(text, look))
    flags = (getattr(step.output, name, None) for name in ("accepted_index", "dropped_index"))
    taken, dropped = (0 if flag is None else int(flag[0].sum()) for flag in flags)
    return Frame(step.number, int(step.num_forward_passes[0]), tuple(cells), tuple(sure), (taken, dropped))


def frames_of(sample: Mapping[str, Any]) -> Iterator[Frame]:
    """The frames of an answer that was kept: at each step the tokens that were committed then for the last time.

    Tokens that were masked again on the way are not kept with an answer, nor are probabilities and drafts; and where a
    step took several forward passes, only their sum is, which the last frame has.

    Raises:
        ValueError: the sample does not say in which order its tokens came.
    """
    steps, tokens = sample.get("commit_steps"), sample.get("tokens")
    if not steps or not tokens:
        raise ValueError(f"the answer to {sample['id']} was kept without the steps to it, so they cannot be shown")
    texts = [*map(_shown, tokens), *[BEHIND_THE_END] * (len(steps) - len(tokens))]
    rounds, total = sample.get("num_rounds"), sample.get("num_forward_passes")
    one_each = rounds is None or rounds == total
    for now in sorted(set(steps)):
        cells = tuple(
            Cell(MASK_SIGN if step > now else text, "masked" if step > now else "committed" if step == now else "kept")
            for step, text in zip(steps, texts, strict=True)
        )
        spent = now if one_each else total if now == max(steps) else None
        yield Frame(now - 1, spent, cells, ())


def _token_text(tokenizer: Any, token: int) -> str:
    return _shown(tokenizer.decode([token]))


def _shown(text: str) -> str:
    return text.strip(" ").replace("\n", "⏎") or "␣"


def passes(count: int) -> str:
    """A number of forward passes in words."""
    return f"{count} forward pass{'' if count == 1 else 'es'}"
