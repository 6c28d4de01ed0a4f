"""Which settings are one curve, and what it is called."""

from example_run import default_schedulers, scheduler

from benchmark.analysis.families import Family, group_families, swept_parameter


def names(families: list[Family]) -> list[str]:
    return [family.name for family in families]


def test_the_protocol_has_nine_families() -> None:
    families = group_families(default_schedulers())
    assert names(families) == [
        "random", "left_to_right", "confidence", "margin", "entropy", "rcr", "remdm", "threshold", "factor"
    ]  # fmt: skip
    assert [len(family.settings) for family in families] == [6, 6, 6, 6, 6, 6, 6, 6, 5]
    assert [family.name for family in families if family.adaptive] == ["threshold", "factor"]


def test_settings_are_ordered_by_their_value() -> None:
    (family,) = group_families([scheduler("confidence", "k", k) for k in (16, 1, 4)])
    assert [setting.value for setting in family.settings] == [1, 4, 16]


def test_other_parameters_make_another_family_named_by_what_differs() -> None:
    families = group_families(
        [
            scheduler("threshold", "threshold", 0.9, score="confidence", strict=False),
            scheduler("threshold", "threshold", 0.9, score="margin", strict=False),
            scheduler("factor", "factor", 1.0, rule="theorem"),
        ]
    )
    assert names(families) == ["threshold(score=confidence)", "threshold(score=margin)", "factor"]


def test_parameters_of_none_are_as_good_as_absent() -> None:
    families = group_families(
        [scheduler("confidence", "k", 1, num_inference_steps=None), scheduler("confidence", "k", 2)]
    )
    assert names(families) == ["confidence"]


def test_block_length_that_follows_k_is_one_family() -> None:
    assert names(group_families([scheduler("left_to_right", "k", k, k) for k in (1, 2, 4)])) == ["left_to_right"]


def test_one_k_under_several_block_lengths_makes_a_family_of_each() -> None:
    families = group_families([scheduler("random", "k", k, length) for length in (8, None) for k in (1, 2)])
    assert names(families) == ["random(block_length=8)", "random(block_length=all)"]
    assert [len(family.settings) for family in families] == [2, 2]


def test_steps_and_k_are_different_curves() -> None:
    families = group_families([scheduler("rcr", "k", 2), scheduler("rcr", "num_inference_steps", 8)])
    assert names(families) == ["rcr(by=k)", "rcr(by=num_inference_steps)"]


def test_a_scheduler_without_parameters_is_a_family() -> None:
    (family,) = group_families([{"name": "dilated", "label": "dilated"}])
    assert (family.name, family.parameter, family.adaptive) == ("dilated", None, False)


def test_the_parameter_of_speed_is_a_number() -> None:
    assert swept_parameter({"threshold": 0.9, "k": 1}) == "threshold"
    assert swept_parameter({"k": True}) is None
    assert swept_parameter({"threshold": None, "k": 2}) == "k"
    assert swept_parameter({}) is None
