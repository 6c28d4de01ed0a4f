"""The factor rules against plain-Python statements of them."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import Window, confident_logits, property_test, windows

from samplers import FactorScheduler
from samplers.schedulers.proposals import propose
from samplers.schedulers.scores import score


def count_by_theorem(surest_first: list[float], factor: float) -> int:
    """The largest n with (n + 1)(1 - c_n) < factor, at least 1."""
    fitting = [n for n, c in enumerate(surest_first, start=1) if (n + 1) * (1 - c) < factor]
    return max(fitting, default=1)


def count_by_reference_code(surest_first: list[float], factor: float) -> int:
    """The surest in any case, on while the rule holds, and the very last one where only it fails."""
    count = 1
    while count < len(surest_first) and (count + 2) * (1 - surest_first[count]) < factor:
        count += 1
    return len(surest_first) if count == len(surest_first) - 1 else count


COUNTS = {"theorem": count_by_theorem, "reference_code": count_by_reference_code}


@pytest.mark.parametrize("rule", COUNTS)
@property_test(60)
@given(
    window=windows(max_batch=3),
    factor=st.floats(0.01, 6),
    name=st.sampled_from(["confidence", "margin", "entropy"]),
)
def test_rule_commits_what_its_statement_says(rule: str, window: Window, factor: float, name: str) -> None:
    logits, mask = window.logits(0).double(), window.mask_token_id
    scheduler = FactorScheduler(factor=factor, rule=rule, score=name)
    transfer_index = scheduler.step(logits, 0, window.sample, mask_token_id=mask).transfer_index
    scores = score(name, propose(logits, mask_token_id=mask)).tolist()
    for row, tokens in enumerate(window.sample.tolist()):
        masked = [position for position, token in enumerate(tokens) if token == mask]
        order = sorted(masked, key=lambda position: (-scores[row][position], position))
        count = COUNTS[rule]([scores[row][position] for position in order], factor) if order else 0
        assert transfer_index[row].nonzero().flatten().tolist() == sorted(order[:count])


def committed(scheduler: FactorScheduler, confidences: list[float]) -> list[bool]:
    sample = torch.full((1, len(confidences)), 3)
    output = scheduler.step(confident_logits(confidences).double(), 0, sample, mask_token_id=3)
    return output.transfer_index[0].tolist()


@pytest.mark.parametrize(
    ("rule", "confidences", "expected"),
    [
        # 2 (1 - 0.9) = 0.2, 3 (1 - 0.8) = 0.6 and 4 (1 - 0.74) = 1.04: two of three fit.
        ("theorem", [0.74, 0.9, 0.8], [False, True, True]),
        ("reference_code", [0.74, 0.9, 0.8], [True, True, True]),
        # 4 (1 - 0.74) fails and is not the last: both stop before it.
        ("theorem", [0.9, 0.8, 0.74, 0.3], [True, True, False, False]),
        ("reference_code", [0.9, 0.8, 0.74, 0.3], [True, True, False, False]),
        # The surest fails already: the theorem commits it alone, and the code goes on to the second.
        ("theorem", [0.45, 0.4], [True, False]),
        ("reference_code", [0.45, 0.4], [True, True]),
        ("theorem", [0.45, 0.4, 0.4], [True, False, False]),
        ("reference_code", [0.45, 0.4, 0.4], [True, False, False]),
        ("theorem", [0.4], [True]),
        ("reference_code", [0.4], [True]),
    ],
)
def test_rules_differ_where_only_the_last_token_fails(
    rule: str, confidences: list[float], expected: list[bool]
) -> None:
    assert committed(FactorScheduler(rule=rule), confidences) == expected


def test_bound_itself_does_not_fit() -> None:
    half = torch.tensor([[[0.0, 0.0, -torch.inf, 0.0]] * 3])  # 2 (1 - 1/2) = 1 and 3 (1 - 1/2) = 1.5
    sample = torch.full((1, 3), 3)
    for factor, count in ((1.0, 1), (1.5, 1), (1.5001, 2), (2.0, 2), (2.0001, 3)):
        output = FactorScheduler(factor=factor).step(half, 0, sample, mask_token_id=3)
        assert output.transfer_index.sum() == count


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"factor": 0}, "factor=0 should be a number above 0"),
        ({"factor": -1.0}, r"factor=-1\.0 should be a number above 0"),
        ({"factor": None}, "factor=None should be a number above 0"),
        ({"rule": "code"}, "rule='code' should be one of theorem, reference_code"),
        ({"score": "probability"}, "score='probability' should be one of confidence"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FactorScheduler(**arguments)
