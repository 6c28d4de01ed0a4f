"""The docs site: it builds without a warning, needs nothing from elsewhere, and names every scheduler."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

from samplers import built_in_scheduler_names, scheduler_class


def test_every_scheduler_has_its_entry_among_the_api_pages() -> None:
    page = (ROOT / "docs" / "api" / "schedulers.md").read_text(encoding="utf-8")
    entries = re.findall(r"^::: samplers\.(\w+)$", page, flags=re.MULTILINE)
    assert {scheduler_class(name).__name__ for name in built_in_scheduler_names()} <= set(entries)
    assert len(entries) == len(set(entries))


def test_every_scheduler_has_its_row_among_the_costs() -> None:
    page = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE) == built_in_scheduler_names()


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
