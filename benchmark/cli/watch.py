"""The command `parallelbench watch`: one question, decoded step by step before your eyes."""

from __future__ import annotations

import codecs
import io
import math
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmark.cli import options as shared
from benchmark.protocol.method import Method, expand
from benchmark.protocol.questions import Row, load_rows, resolve_tasks
from benchmark.protocol.settings import default_new_tokens
from hub_dataset.disk import write_atomically

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from benchmark.models.interface import ModelOptions

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
#: What stands for our signs where the output's encoding has none of them; "?" stands for any other character.
ASCII = {"░": "_", "·": "-", "«": "[", "»": "]", "⏎": "\\n", "␣": "_"}
WIDTH = 100


@dataclass(frozen=True, slots=True)
class Cell:
    """One position of the answer: its token as text, and which of `LOOKS` it has."""

    text: str
    look: str


@dataclass(frozen=True, slots=True)
class Frame:
    """The answer after one step, and the numbers that go with it.

    `sure` holds, for the tokens committed in this step, text and probability, from left to right.
    """

    number: int
    num_forward_passes: int
    cells: tuple[Cell, ...]
    sure: tuple[tuple[str, float], ...]

    def count(self, look: str) -> int:
        """Positions with that look."""
        return sum(cell.look == look for cell in self.cells)

    @property
    def headline(self) -> str:
        """The step in one line of numbers; what did not happen is left out."""
        parts = [f"step {self.number + 1}", _passes(self.num_forward_passes)]
        parts += [f"{self.count(look)} {look}" for look in LOOKS if look not in ("kept", "masked") and self.count(look)]
        return " · ".join([*parts, f"{self.count('masked') + self.count('remasked')} still masked"])


def watch(
    *,
    task: str,
    row: int,
    model: str,
    scheduler: str,
    block_length: int | None,
    max_new_tokens: int | None,
    temperature: float | None,
    seed: int,
    options: ModelOptions,
    delay: float,
    save: Path | None,
) -> None:
    """Decode one row of a task's test split and show every step; see the command line's help for the arguments.

    Raises:
        ValueError: something named does not exist, or `save` has an ending other than .svg and .txt.
    """
    if save is not None and save.suffix not in (".svg", ".txt"):
        raise ValueError(f"--save {save}: the file's name should end in .svg or .txt")
    names = resolve_tasks([task])
    if len(names) != 1:
        raise ValueError(f"task {task!r} stands for {len(names)} tasks; name one")
    rows = load_rows(names[0], row + 1)
    if len(rows) <= row:
        raise ValueError(f"row {row} of {names[0]} does not exist; rows are numbered from 0 to {len(rows) - 1}")
    question = rows[row]
    methods = expand(scheduler, 1, block_length, sweep=False)
    if len(methods) != 1:
        raise ValueError(f"scheduler {scheduler!r} stands for {len(methods)} methods; name one")
    (method,) = methods
    frames = decode(question, model, method, max_new_tokens, temperature, seed, options)
    title = f"{names[0]}, row {row} · {model} · {method}"
    _show(question, title, frames, delay, save)


def decode(
    row: Row,
    model_name: str,
    method: Method,
    max_new_tokens: int | None,
    temperature: float | None,
    seed: int,
    options: ModelOptions | None = None,
) -> Iterator[Frame]:
    """The frames of one decoding, made while it goes on.

    Raises:
        ValueError: there is no such model, it cannot do this task, or it tells no steps.
    """
    from benchmark.engine.worker import LogitsWorker, worker_for
    from benchmark.models import OwnModel, load_model
    from benchmark.models.interface import AnswerOptions
    from benchmark.protocol.user_code import as_user_code

    model = load_model(model_name, options)
    worker = worker_for(model)
    if not isinstance(worker, LogitsWorker):
        raise ValueError(f"{model.name} gives answers without the steps to them; `parallelbench run` shows its answers")
    length = max_new_tokens or default_new_tokens(model, [row])
    model.check_task([row], length)
    decoder = worker.decoder(
        [row], AnswerOptions(max_new_tokens=length, temperature=temperature, seed=seed, batch_size=1)
    )
    with as_user_code(isinstance(model, OwnModel) or ":" in method.name, f"{model.name} under {method}"):
        for step in decoder.steps(method):
            yield frame_of(step, decoder.prepared.tokenizer)


def frame_of(step: Any, tokenizer: Any) -> Frame:
    """What a `samplers.GenerationStep` of a batch of one shows."""
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
    return Frame(step.number, int(step.num_forward_passes[0]), tuple(cells), tuple(sure))


def _token_text(tokenizer: Any, token: int) -> str:
    text: str = tokenizer.decode([token])
    return text.strip(" ").replace("\n", "⏎") or "␣"


def _passes(count: int) -> str:
    return f"{count} forward pass{'' if count == 1 else 'es'}"


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


def _show(row: Row, title: str, frames: Iterator[Frame], delay: float, save: Path | None) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    _encode_anything()
    console = Console(highlight=False)
    colours = console.is_terminal
    if not colours:
        console = Console(highlight=False, width=WIDTH)
    kept: list[Frame] = []

    def head(target: Console, coloured: bool) -> None:
        target.print(Text(title, "bold underline" if coloured else ""))
        target.print(Text(row["messages"][-1]["content"], "dim" if coloured else ""))
        target.print(legend(colours=coloured))
        target.print()

    def foot(target: Console, last: Frame) -> None:
        target.print(Text(f"a right answer: {row['answer']}"))
        tokens = len(last.cells)
        each = tokens / last.num_forward_passes
        target.print(f"{tokens} tokens in {_passes(last.num_forward_passes)}: {each:.2f} tokens per step")

    frame: Frame
    if colours and delay > 0:
        first = next(frames)
        kept.append(first)
        head(console, True)
        with Live(render(first, colours=True), console=console, auto_refresh=False) as live:
            for frame in frames:
                time.sleep(delay)
                kept.append(frame)
                live.update(render(frame, colours=True), refresh=True)
    else:
        for frame in frames:
            if not kept:
                head(console, colours)
            kept.append(frame)
            console.print(render(frame, colours=colours))
    foot(console, kept[-1])
    if save is not None:
        _save(save, title, head, foot, kept)
        console.print(f"saved: {save}", soft_wrap=True, markup=False)


def _encode_anything() -> None:
    """Let the standard output take every character, whatever its encoding."""

    def spell(error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeEncodeError):
            raise error
        return "".join(ASCII.get(sign, "?") for sign in error.object[error.start : error.end]), error.end

    codecs.register_error("parallelbench.ascii", spell)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="parallelbench.ascii")


def _without_fonts(svg: str) -> str:
    """The picture with the reader's own monospaced font: rich's would be fetched from a server."""
    return re.sub(r"@font-face\s*{[^}]*}\s*", "", svg)


def _save(path: Path, title: str, head: Any, foot: Any, frames: list[Frame]) -> None:
    """All steps, one under the other, as a picture or as text."""
    from rich.console import Console

    colours = path.suffix == ".svg"
    recorder = Console(
        record=True, file=io.StringIO(), width=WIDTH, highlight=False, force_terminal=colours, color_system="truecolor"
    )
    head(recorder, colours)
    for frame in frames:
        recorder.print(render(frame, colours=colours))
    foot(recorder, frames[-1])
    text = _without_fonts(recorder.export_svg(title=title)) if colours else recorder.export_text()
    write_atomically(path, text.encode())


@click.command(name="watch")
@click.option("--task", required=True, help="Task, such as waiting_line_shuffle.")
@click.option("--row", type=click.IntRange(min=0), default=0, show_default=True, help="Number of the question.")
@click.option("--scheduler", default="confidence", show_default=True, help="Scheduler, as in entropy:k=4.")
@click.option("--model", default="ideal", show_default=True, help="Model, as for run.")
@shared.block_length
@shared.max_new_tokens
@shared.temperature
@shared.seed
@shared.debug
@shared.dtype
@click.option("--device", help="cpu, cuda, cuda:1 ...; by default a GPU if there is one.")
@click.option("--revision", callback=shared.not_blank, help="Branch, tag or commit on the Hub.")
@shared.chat_option
@click.option(
    "--delay",
    type=click.FloatRange(min=0, max=60),
    callback=shared.finite,
    default=0.4,
    show_default=True,
    help="Seconds between two steps in a terminal; 0 prints all steps one under the other.",
)
@click.option("--save", type=click.Path(), callback=shared.path, help="Keep all steps in a file: .svg or .txt.")
def command(
    dtype: str | None, device: str | None, revision: str | None, chat_options: dict[str, Any], **arguments: Any
) -> None:
    """Decode one question and show every step: what was committed, what was masked again, what is still masked.

    Written to a file or a pipe, it marks them with brackets instead of colours.

    \b
    Example:
      parallelbench watch --task waiting_line_shuffle --row 3 --scheduler remdm:k=2
    """
    from benchmark.models.interface import ModelOptions

    watch(**arguments, options=ModelOptions(dtype, device, revision, chat_options=chat_options))
