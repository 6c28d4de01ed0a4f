"""Colours and markers: one for each method, the same in every plot."""

from example_run import default_schedulers, scheduler

from benchmark.analysis.families import group_families
from benchmark.report.plot_styles import STYLES, style_of


def test_every_scheduler_keeps_its_own_style() -> None:
    families = group_families(default_schedulers())
    assert {family.name: style_of(family, families) for family in families} == STYLES
    assert len({colour for colour, _ in STYLES.values()}) == len({marker for _, marker in STYLES.values()}) == 9
    assert style_of(families[3], [families[3]]) == STYLES["margin"], "whatever else is in the run"


def test_second_families_and_unknown_schedulers_get_styles_of_their_own() -> None:
    families = group_families(
        [
            scheduler("threshold", "threshold", 0.9, score="confidence"),
            scheduler("threshold", "threshold", 0.9, score="margin"),
            scheduler("mine", "k", 1),
        ]
    )
    styles = [style_of(family, families) for family in families]
    assert styles[0] == STYLES["threshold"]
    assert len(set(styles)) == 3
