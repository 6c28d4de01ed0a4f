"""The plotting library as one script: Vega, Vega-Lite and Vega-Embed, from the package that brings them for Python."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hub_dataset.disk import write_atomically

_PACKAGE = "vl-convert-python"
# Defines `vegaEmbed`, and nothing else, for the scripts behind it.
_SNIPPET = "window.vegaEmbed = vegaEmbed;"


def plotting_script() -> str | None:
    """The script, about 0.9 MB; None where the package is not installed, which not every platform has.

    Plotly's would be 4.8 MB, all of what a page may have. Putting this one together takes two seconds, so it is kept
    among the user's caches, by version.
    """
    try:
        kept = _cache() / f"vega-{version(_PACKAGE)}.js"
    except PackageNotFoundError:
        return None
    with suppress(OSError, UnicodeDecodeError):
        return kept.read_text(encoding="utf-8")
    import vl_convert

    script: str = vl_convert.javascript_bundle(_SNIPPET)
    # A home that cannot be written costs two seconds a report, no more.
    with suppress(OSError):
        write_atomically(kept, script.encode())
    return script


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "parallelbench"
