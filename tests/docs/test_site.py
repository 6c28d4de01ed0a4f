"""The docs site: it builds without a warning, and needs nothing from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

from samplers import built_in_scheduler_names


def test_costs_are_those_of_schedulers_that_are_there_in_the_order_of_the_table() -> None:
    page = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    measured = re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)
    assert len(measured) > 20
    assert measured == [name for name in built_in_scheduler_names() if name in measured]


@pytest.mark.slow
def test_site_builds_without_warnings_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = sorted(site.rglob("*.html"))
    assert {"index.html", "the_loop.html", "options.html", "methods.html"} <= {page.name for page in pages}
    for page in pages:
        html = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<script[^>]+src=\"([^\"]+)\"|<link[^>]+href=\"([^\"]+)\"|<img[^>]+src=\"([^\"]+)\"", html)
        elsewhere = [address for found in loaded for address in found if address.startswith(("http:", "https:", "//"))]
        assert elsewhere == [], page.name
    assert "fonts.googleapis" not in (site / "index.html").read_text(encoding="utf-8")
