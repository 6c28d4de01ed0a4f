"""How the frames of a decoding are drawn: in a terminal, in place; elsewhere, and in a file, one under the other."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cli.frames import LOOKS, MASK_SIGN, Frame, passes
from hub_dataset.disk import write_atomically

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

WIDTH = 100
#: How the names of files may end that `Drawing.save` writes.
ENDINGS = (".svg", ".txt")


@dataclass(frozen=True, slots=True)
class Drawing:
    """The frames of one decoding on a screen or in a file, with what stands above and below them."""

    title: str
    question: str
    right_answer: str

    def show(self, frames: Iterator[Frame], delay: float) -> list[Frame]:
        """Print frames as they come, `delay` seconds apart where they are drawn in place; returns all of them."""
        from rich.console import Console
        from rich.live import Live

        console = Console(highlight=False)
        colours = console.is_terminal
        if not colours:
            console = Console(highlight=False, width=WIDTH)
        kept = [next(frames)]
        self._head(console, colours)
        if colours and delay > 0:
            with Live(render(kept[0], colours=True), console=console, auto_refresh=False) as live:
                for frame in frames:
                    time.sleep(delay)
                    kept.append(frame)
                    live.update(render(frame, colours=True), refresh=True)
        else:
            console.print(render(kept[0], colours=colours))
            for frame in frames:
                kept.append(frame)
                console.print(render(frame, colours=colours))
        self._foot(console, kept[-1])
        return kept

    def save(self, frames: Sequence[Frame], path: Path) -> None:
        """Write all frames to a file, as a picture (.svg) or as text (.txt)."""
        from rich.console import Console

        colours = path.suffix == ".svg"
        recorder = Console(
            record=True,
            file=io.StringIO(),
            width=WIDTH,
            highlight=False,
            force_terminal=colours,
            color_system="truecolor",
        )
        self._head(recorder, colours)
        for frame in frames:
            recorder.print(render(frame, colours=colours))
        self._foot(recorder, frames[-1])
        text = _without_fonts(recorder.export_svg(title=self.title)) if colours else recorder.export_text()
        write_atomically(path, text.encode())

    def _head(self, console: Console, colours: bool) -> None:
        from rich.text import Text

        console.print(Text(self.title, "bold underline" if colours else ""))
        console.print(Text(self.question, "dim" if colours else ""))
        console.print(legend(colours=colours))
        console.print()

    def _foot(self, console: Console, last: Frame) -> None:
        from rich.text import Text

        console.print(Text(f"a right answer: {self.right_answer}"))
        tokens, rounds = len(last.cells), last.number + 1
        spent = last.num_forward_passes or rounds
        if spent > rounds:
            cost, step = f"{rounds} rounds, {passes(spent)}", "round"
        else:
            cost, step = passes(spent), "step"
        console.print(f"{tokens} tokens in {cost}: {tokens / rounds:.2f} tokens per {step}")


def answer_line(frame: Frame, *, colours: bool) -> Text:
    """The answer as one line of tokens: coloured, or with signs that do without colour."""
    from rich.text import Text

    line = Text(overflow="fold")
    for place, cell in enumerate(frame.cells):
        style, left, right = LOOKS[cell.look]
        line.append(" " if place else "")
        line.append(cell.text if colours else f"{left}{cell.text}{right}", style if colours else "")
    return line


def sure_line(frame: Frame) -> str:
    """What the step committed, each token with the probability that the model gave it."""
    return "  ".join(f"{text} {probability:.2f}" for text, probability in frame.sure)


def render(frame: Frame, *, colours: bool) -> RenderableType:
    """One step: its numbers, the answer, and how sure the model was of what was committed."""
    from rich.console import Group
    from rich.text import Text

    lines: list[RenderableType] = [Text(frame.headline, "bold" if colours else "")]
    lines.append(answer_line(frame, colours=colours))
    if frame.sure:
        lines.append(Text(f"probability: {sure_line(frame)}", "italic" if colours else ""))
    return Group(*lines, "")


def legend(*, colours: bool) -> Text:
    """Which look means what."""
    from rich.text import Text

    line = Text()
    for name, (style, left, right) in LOOKS.items():
        if name == "kept":
            continue
        line.append("" if not line else "  ")
        word = f"{MASK_SIGN} masked" if name == "masked" else name
        line.append(f" {word} " if colours else f"{left}{word}{right}", style if colours else "")
    return line


def _without_fonts(svg: str) -> str:
    """The picture with the reader's own monospaced font: rich's would be fetched from a server."""
    return re.sub(r"@font-face\s*{[^}]*}\s*", "", svg)
