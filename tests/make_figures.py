"""Makes the README's pictures of a default run: `python tests/make_figures.py [RUN]`; without RUN it is made first."""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from browser import Opened, chromium
from support import ROOT

from benchmark.report.writing import write_report
from benchmark.store.runs import PAGE

ASSETS = ROOT / "docs" / "assets"
#: What `make_figures` writes.
FIGURES = ("default_run.png", "report_page.png")
WIDTH = 1200
# A README is read over a network.
_MOST_BYTES = 300_000


def make_figures(run: Path, assets: Path) -> None:
    """Write the mean curves of a run, and what its page shows down to them.

    Raises:
        ValueError: a picture is too large for a README.
    """
    write_report(run)
    shutil.copy(run / "plots" / "mean.png", assets / FIGURES[0])
    with chromium() as browser:
        shown = Opened(browser, run.resolve() / PAGE, viewport={"width": WIDTH, "height": 900}, color_scheme="light")
        shown.drawn("#mean-plot")
        shown.page.evaluate("() => scrollTo(0, 0)")
        end = shown.page.locator("#curves").bounding_box()
        assert end is not None
        clip: Any = {"x": 0, "y": 0, "width": WIDTH, "height": end["y"] + end["height"] + 24}
        shown.page.screenshot(path=assets / FIGURES[1], full_page=True, clip=clip)
    for name in FIGURES:
        if (size := (assets / name).stat().st_size) > _MOST_BYTES:
            raise ValueError(f"{name} has {size} bytes; expected {_MOST_BYTES} at most")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="?", type=Path, help="directory of a run; by default one is made in build/figures")
    run = parser.parse_args().run
    if run is None:
        run = ROOT / "build" / "figures"
        subprocess.run([Path(sys.executable).with_name("parallelbench"), "run", "--output", run], check=True)
    make_figures(run, ASSETS)


if __name__ == "__main__":
    main()
