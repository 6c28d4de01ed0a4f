"""Checks of arguments: the message names the argument, its value and what would have been right."""

import math
from typing import Any

import pytest

from samplers import ThresholdScheduler
from samplers.schedulers.validation import check_choice, check_count, check_flag, check_range


@pytest.mark.parametrize("value", [1, 2, 10**9])
def test_count_accepts_whole_numbers_from_one(value: int) -> None:
    check_count("k", value)


@pytest.mark.parametrize("value", [0, -1, 1.0, 2.5, True, False, "3", math.nan])
def test_count_refuses_anything_else(value: Any) -> None:
    with pytest.raises(ValueError, match=f"^k={value!r} .*at least 1$"):
        check_count("k", value)


def test_count_may_start_elsewhere() -> None:
    check_count("remask_steps", 0, least=0)
    for value in (-1, False):
        with pytest.raises(ValueError, match=f"remask_steps={value!r} .*at least 0"):
            check_count("remask_steps", value, least=0)


def test_none_is_allowed_only_where_it_is_optional() -> None:
    check_count("k", None)
    check_range("top_p", None, 0, 1, "in [0, 1]")
    with pytest.raises(ValueError, match="k=None should be"):
        check_count("k", None, optional=False)
    with pytest.raises(ValueError, match=r"eps=None should be in \[0, 1\]"):
        check_range("eps", None, 0, 1, "in [0, 1]", optional=False)


@pytest.mark.parametrize("value", [0, 0.5, 1, 1.0])
def test_range_holds_its_ends(value: float) -> None:
    check_range("share", value, 0, 1, "in [0, 1]")


@pytest.mark.parametrize("value", [-1e-9, 1.0000001, math.nan, math.inf, -math.inf, "0.5", True, [0.5]])
def test_range_refuses_what_lies_outside(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^share=.* should be in \[0, 1\]$"):
        check_range("share", value, 0, 1, "in [0, 1]")


def test_open_ends_are_left_out() -> None:
    check_range("share", 1, 0, 1, "in (0, 1]", lower_open=True)
    check_range("share", 0, 0, 1, "in [0, 1)", upper_open=True)
    with pytest.raises(ValueError, match="share=0 "):
        check_range("share", 0, 0, 1, "in (0, 1]", lower_open=True)
    with pytest.raises(ValueError, match=r"share=1\.0 "):
        check_range("share", 1.0, 0, 1, "in [0, 1)", upper_open=True)


def test_choice_lists_what_there_is() -> None:
    check_choice("rule", "theorem", ("theorem", "reference_code"))
    for value in ("Theorem", None, ["theorem"]):
        with pytest.raises(ValueError, match=r"rule=.* theorem, reference_code"):
            check_choice("rule", value, ("theorem", "reference_code"))  # type: ignore[arg-type]


def test_flag_is_true_or_false_and_nothing_like_it() -> None:
    check_flag("strict", True)
    check_flag("strict", False)
    for value in (0, 1, None, "true", "abc"):
        with pytest.raises(ValueError, match=f"^strict={value!r} should be True or False$"):
            check_flag("strict", value)  # type: ignore[arg-type]


@pytest.mark.parametrize("arguments", [{"strict": "abc"}, {"score_proposal": 1}])
def test_constructors_check_their_flags(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="should be True or False"):
        ThresholdScheduler(**arguments)
