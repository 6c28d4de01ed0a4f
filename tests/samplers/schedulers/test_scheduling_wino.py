"""WINO: how much goes in, and what its shadow tokens take out again."""

from typing import Any

import pytest
import torch
from scheduler_cases import confident_logits

from samplers import WINOScheduler

MASK = 3
HALF = torch.tensor([0.0, 0.0, -torch.inf, 0.0])


def states(scheduler: WINOScheduler, steps: list[tuple[Any, Any]]) -> list[list[int]]:
    """Positions that are committed after each step, of (logits, shadow logits)."""
    sample, found = torch.full((1, steps[0][0].shape[1]), MASK), []
    for logits, shadows in steps:
        sample = scheduler.step(logits, 0, sample, mask_token_id=MASK, shadow_output=shadows).prev_sample
        found.append((sample[0] != MASK).nonzero().flatten().tolist())
    return found


def wide(count: int, window: int) -> Any:
    """Logits that are sure of the first `count` positions."""
    return confident_logits([0.95] * count + [0.45] * (window - count))


def test_commits_what_is_sure_but_no_more_than_seventy_percent_at_least_five_and_at_most_twenty() -> None:
    trust = confident_logits([0.99] * 40)
    assert [len(state) for state in states(WINOScheduler(), [(wide(40, 40), trust)])] == [20]
    trust = confident_logits([0.99] * 10)
    assert states(WINOScheduler(), [(wide(10, 10), trust)]) == [list(range(7))]
    assert states(WINOScheduler(), [(wide(3, 10), trust)]) == [[0, 1, 2]]
    assert states(WINOScheduler(), [(wide(0, 10), trust)]) == [[0]]
    # Five are allowed in any case, though they are more than seventy percent.
    assert states(WINOScheduler(), [(wide(6, 6), trust[:, :6])]) == [list(range(5))]
    # Seventy percent of six is four, but five may always go.
    assert states(WINOScheduler(), [(wide(6, 6), confident_logits([0.99] * 6))]) == [[0, 1, 2, 3, 4]]


def test_both_thresholds_compare_strictly() -> None:
    half = HALF.expand(1, 10, 4)
    assert states(WINOScheduler(threshold=0.5), [(half, half)]) == [[0]]
    assert states(WINOScheduler(threshold=0.4999), [(half, half)]) == [list(range(7))]
    # A probability that equals the bound stays; the next number above it does not.
    kept = states(WINOScheduler(threshold=0.3, remask_threshold=0.5), [(half, half), (half, half)])
    assert kept == [list(range(7)), list(range(10))]
    gone = states(WINOScheduler(threshold=0.3, remask_threshold=0.501), [(half, half), (half, half)])
    assert gone == [list(range(7)), [6, 7, 8, 9]]


def test_least_probable_go_first_and_fewer_than_the_step_before_committed() -> None:
    logits = [wide(3, 12), wide(12, 12)]
    shadows = confident_logits([0.5, 0.4, 0.6] + [0.99] * 9)
    found = states(WINOScheduler(), [(logits[0], shadows), (logits[1], shadows)])
    assert found[0] == [0, 1, 2]
    # Three are doubtful, two may go: the ones at 0.4 and 0.5. The new ones are not looked at yet.
    assert found[1] == [2, *range(3, 9)]


def test_a_step_that_commits_one_token_takes_nothing_back() -> None:
    doubt = confident_logits([0.4] * 8)
    found = states(WINOScheduler(), [(wide(3, 8), doubt), (wide(0, 8), doubt)])
    assert found == [[0, 1, 2], [0, 1, 2, 3]]


def test_tokens_it_did_not_commit_are_never_masked() -> None:
    sample = torch.tensor([[2, MASK, MASK, MASK, MASK, MASK]])
    doubt = confident_logits([0.4] * 6)
    output = WINOScheduler().step(wide(6, 6), 0, sample, mask_token_id=MASK, shadow_output=doubt)
    assert not output.remask_index.any()
    assert output.prev_sample[0, 0] == 2


def test_shadow_probability_is_that_of_the_token_in_place() -> None:
    scheduler = WINOScheduler(threshold=0.3, remask_threshold=0.5)
    sample = torch.full((1, 10), MASK)
    first = scheduler.step(wide(10, 10), 0, sample, mask_token_id=MASK, shadow_output=wide(10, 10))
    other = torch.zeros(1, 10, 4)
    other[..., 0] = 9.0  # the shadows are sure of another token
    second = scheduler.step(wide(10, 10), 0, first.prev_sample, mask_token_id=MASK, shadow_output=other)
    assert second.remask_index.sum() == 6


def test_without_shadows_it_says_what_it_needs() -> None:
    with pytest.raises(ValueError, match=r"needs shadow_output"):
        WINOScheduler().step(wide(2, 4), 0, torch.full((1, 4), MASK), mask_token_id=MASK)
    with pytest.raises(ValueError, match=r"shadow_output has shape \(1, 3, 4\) and sample \(1, 4\)"):
        WINOScheduler().step(
            wide(2, 4), 0, torch.full((1, 4), MASK), mask_token_id=MASK, shadow_output=wide(2, 4)[:, :3]
        )


@pytest.mark.parametrize("name", ["threshold", "remask_threshold"])
def test_bad_arguments_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}=2 should be in \[0, 1\]"):
        WINOScheduler(**{name: 2})
