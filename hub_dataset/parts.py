"""Where the parts of the project lie that are not packages: the metric and the reference model."""

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def find_part(name: str) -> Path:
    """The folder `name` of the project: beside this package in a checkout, inside it where a wheel was installed.

    So an installed project has no top-level name as general as `metrics`, which others could have, too.
    """
    shipped = _HERE / "shipped" / name
    return shipped if shipped.is_dir() else _HERE.parent / name


METRIC = find_part("metrics/parallelbench")
MODEL = find_part("hub_model")
