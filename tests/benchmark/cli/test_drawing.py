"""How one frame is drawn, with colours and without."""

import io

import pytest
from rich.console import Console

from benchmark.cli.drawing import render
from benchmark.cli.frames import Cell, Frame


@pytest.mark.parametrize("colours", [True, False])
def test_rendering_keeps_every_token_as_it_is(colours: bool) -> None:
    looks = {"blue": "committed", "░": "remasked", "[/bold]": "replaced", "_": "masked", "⏎": "kept", "␣": "filled"}
    frame = Frame(4, 5, tuple(Cell(text, look) for text, look in looks.items()), (("blue", 0.25),))
    console = Console(file=io.StringIO(), width=100, force_terminal=colours, color_system="truecolor", highlight=False)
    console.print(render(frame, colours=colours))
    written = console.file.getvalue()
    if colours:
        assert "\x1b[1;30;42mblue" in written
        assert "\x1b[1;37;41m░" in written
    else:
        assert written.splitlines()[1] == "«blue» <░> {[/bold]} _ ⏎ (␣)"
    assert "[/bold]" in written
    assert "blue 0.25" in written
