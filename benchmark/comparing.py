"""Two runs compared from Python, as one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas


def compare(first: str | Path, second: str | Path) -> pandas.DataFrame:
    """What `parallelbench compare` says of the second run against the first, a line for each setting of both.

    Args:
        first, second: directories of runs.

    Returns:
        `model`, `task`, `method`, and `other_model` and `other_method` of the second run; `questions` and `seeds`;
        `before`, `after` (percent), `difference` with `low` and `high` (points, 95 % interval of the paired bootstrap);
        `gained` and `lost` answers, `p` of McNemar's exact test (missing where it does not apply), and the `verdict`.
        `attrs["notes"]` has a line on everything that was not the same in both.

    Raises:
        ValueError: a directory holds no run, or the two have nothing in common.
    """
    import pandas

    from benchmark.analysis.comparison import compare_runs
    from benchmark.report.comparison import COLUMNS, line

    comparison = compare_runs(first, second)
    table = pandas.DataFrame([line(found) for found in comparison.settings], columns=list(COLUMNS))
    table.attrs["notes"] = comparison.notes
    return table
