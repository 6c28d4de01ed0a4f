"""EB-Sampler: the largest set that the entropy budget pays for."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import Window, logits_of, property_test, windows

from samplers import EBScheduler
from samplers.schedulers.proposals import propose
from samplers.schedulers.scores import score

MASK = 2
#: Entropies of exactly 0 and log 2.
SURE, EVEN = [1.0, 0.0, 0.0], [0.5, 0.5, 0.0]
LOG_2 = float(torch.tensor([0.0, 0.0]).softmax(0).log()[0].neg())


def committed(scheduler: EBScheduler, probabilities: list[list[float]]) -> list[bool]:
    sample = torch.full((1, len(probabilities)), MASK)
    return scheduler.step(logits_of([probabilities]), 0, sample, mask_token_id=MASK).transfer_index[0].tolist()


@property_test(60)
@given(
    window=windows(),
    bound=st.sampled_from([0.0, 0.1, 0.7, 2.0, 50.0]),
    order=st.sampled_from(["entropy", "confidence", "margin", "left_to_right"]),
)
def test_largest_affordable_set_in_plain_python(window: Window, bound: float, order: str) -> None:
    logits = window.logits(0).double()
    proposal = propose(logits, mask_token_id=window.mask_token_id)
    scores, entropies = score(order, proposal).tolist(), proposal.negative_entropy().neg().tolist()
    output = EBScheduler(entropy_bound=bound, order=order).step(
        logits, 0, window.sample, mask_token_id=window.mask_token_id
    )
    for row, tokens in enumerate(window.sample.tolist()):
        masked = [place for place, token in enumerate(tokens) if token == window.mask_token_id]
        masked.sort(key=lambda place: (-scores[row][place], place))
        taken: list[int] = []
        for place in masked:
            chosen = [entropies[row][other] for other in [*taken, place]]
            if taken and sum(chosen) - max(chosen) > bound:
                break
            taken.append(place)
        assert output.transfer_index[row].nonzero().flatten().tolist() == sorted(taken)


def test_bound_includes_equality() -> None:
    # The second even position costs log 2 on top of the first, which is free.
    assert committed(EBScheduler(entropy_bound=LOG_2), [EVEN, EVEN, EVEN]) == [True, True, False]
    assert committed(EBScheduler(entropy_bound=0.99 * LOG_2), [EVEN, EVEN, EVEN]) == [True, False, False]


def test_no_budget_commits_what_is_certain_and_at_least_one() -> None:
    assert committed(EBScheduler(entropy_bound=0), [EVEN, SURE, SURE]) == [True, True, True]
    assert committed(EBScheduler(entropy_bound=0), [EVEN, EVEN, SURE]) == [True, False, True]
    assert committed(EBScheduler(entropy_bound=0), [EVEN, EVEN]) == [True, False]


def test_committed_positions_cost_nothing() -> None:
    sample = torch.tensor([[0, MASK, 1, MASK]])
    logits = logits_of([[EVEN, EVEN, EVEN, EVEN]])
    output = EBScheduler(entropy_bound=LOG_2).step(logits, 0, sample, mask_token_id=MASK)
    assert output.transfer_index.tolist() == [[False, True, False, True]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"entropy_bound": -0.1}, r"entropy_bound=-0\.1 should be a number of at least 0"),
        ({"entropy_bound": None}, "entropy_bound=None should be a number of at least 0"),
        ({"order": "luck"}, "order='luck' should be one of confidence, margin"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EBScheduler(**arguments)
