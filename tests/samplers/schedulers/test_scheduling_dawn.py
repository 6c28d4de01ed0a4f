"""DAWN against a plain-Python statement of its three rules, and on models that give attentions."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from padded_rows import check_rows_alone, some_families
from scheduler_cases import Window, confident_logits, property_test, row_generator, windows
from torch import Tensor

from samplers import DAWNScheduler, ModelView, ThresholdScheduler
from samplers.schedulers.proposals import propose

MASK = 3


def statement(tokens: list[int], mask: int, scores: list[float], layers: Any, options: dict[str, float]) -> list[int]:
    """The positions that the first step commits; every token in place was given."""
    window = range(len(tokens))
    mean = [[sum(layer[i][j] for layer in layers) / len(layers) for j in window] for i in window]
    sinks = {j for j in window if sum(mean[i][j] for i in window) / len(tokens) > options["sink_threshold"]}
    leans = {
        (i, j) for i in window for j in window if i != j and j not in sinks if mean[i][j] >= options["edge_threshold"]
    }
    masked = [i for i in window if tokens[i] == mask]
    anchors = [j for j in window if tokens[j] != mask]
    chosen = [i for i in masked if scores[i] >= options["threshold"]]
    induced = [i for i in masked if any((i, j) in leans for j in anchors) and scores[i] >= options["induced_threshold"]]
    taken = set(chosen) | set(induced)
    conflict = lambda i, j: (i, j) in leans or (j, i) in leans  # noqa: E731
    rest = [i for i in masked if i not in taken and scores[i] >= options["low_threshold"]]
    rest = [i for i in rest if not any(conflict(i, j) for j in taken)]
    for i in sorted(rest, key=lambda i: (-scores[i], i)):
        if not any(conflict(i, j) for j in taken):
            taken.add(i)
    return sorted(taken or sorted(masked, key=lambda i: (-scores[i], i))[:1])


@property_test(80)
@given(
    window=windows(max_batch=3),
    threshold=st.sampled_from([0.5, 0.8]),
    induced=st.sampled_from([0.2, 0.6]),
    low=st.sampled_from([0.1, 0.4]),
    edge=st.sampled_from([0.05, 0.15, 0.4]),
    sink=st.sampled_from([0.12, 0.2, 1.0]),
)
def test_first_step_commits_what_the_statement_says(
    window: Window, threshold: float, induced: float, low: float, edge: float, sink: float
) -> None:
    logits, mask, sample = window.logits(0).double(), window.mask_token_id, window.sample
    size = sample.shape[1]
    # In eighths and from two layers, so that no weight hangs on how a mean is rounded.
    noise = row_generator(window.seed)
    attention = torch.randint(0, 6, (len(sample), 2, size, size), generator=noise).double() / 8
    options = {
        "threshold": threshold,
        "induced_threshold": induced,
        "low_threshold": low,
        "edge_threshold": edge,
        "sink_threshold": sink,
    }
    view = ModelView(logits, attentions=attention)
    output = DAWNScheduler(**options).step(view, 0, sample, mask_token_id=mask)
    scores = propose(logits, mask_token_id=mask).confidence.tolist()
    for row, tokens in enumerate(sample.tolist()):
        expected = statement(tokens, mask, scores[row], attention[row].tolist(), options)
        assert output.transfer_index[row].nonzero().flatten().tolist() == expected


def looks(pairs: list[tuple[int, int]], window: int = 5, weight: float = 0.3) -> Tensor:
    found = torch.zeros(1, 1, window, window)
    for i, j in pairs:
        found[0, 0, i, j] = weight
    return found


def committed(
    scheduler: DAWNScheduler, confidences: list[float], attention: Tensor, sample: Tensor | None = None
) -> list[int]:
    sample = torch.full((1, len(confidences)), MASK) if sample is None else sample
    view = ModelView(confident_logits(confidences), attentions=attention)
    output = scheduler.step(view, 0, sample, mask_token_id=MASK)
    found: list[int] = output.transfer_index[0].nonzero().flatten().tolist()
    return found


def test_doubtful_tokens_that_lean_on_each_other_go_one_by_one() -> None:
    doubtful = [0.8, 0.75, 0.78, 0.5, 0.72]
    assert committed(DAWNScheduler(sink_threshold=1), doubtful, looks([])) == [0, 1, 2, 4]
    # In either direction; 2 gives way to 0, and 1 need not give way to 2 then.
    assert committed(DAWNScheduler(sink_threshold=1), doubtful, looks([(2, 0), (1, 2)])) == [0, 1, 4]
    # What leans on a sure token waits, too.
    assert committed(DAWNScheduler(sink_threshold=1), [0.95, 0.8, 0.5, 0.5, 0.5], looks([(1, 0)])) == [0]


def test_sinks_are_leant_on_by_nobody() -> None:
    # All look at 0: a mean of 0.24, which is more than 0.01 and less than 1.
    attention, doubtful = looks([(i, 0) for i in range(1, 5)]), [0.8, 0.75, 0.78, 0.5, 0.72]
    assert committed(DAWNScheduler(), doubtful, attention) == [0, 1, 2, 4]
    assert committed(DAWNScheduler(sink_threshold=1), doubtful, attention) == [0]


def test_anchors_are_tokens_that_were_given_or_sure() -> None:
    given = torch.tensor([[1, MASK, MASK, MASK, MASK]])
    high = {"low_threshold": 1.0, "sink_threshold": 1}
    confidences = [0.5, 0.75, 0.75, 0.6, 0.5]
    assert committed(DAWNScheduler(**high), confidences, looks([(2, 0), (3, 0)]), given) == [2]
    # What was committed in doubt is no anchor in the next step, and what was sure is one.
    for sure, expected in ((0.95, [2]), (0.85, [1])):
        scheduler = DAWNScheduler(**high)
        sample = torch.full((1, 5), MASK)
        view = ModelView(confident_logits([sure, 0.6, 0.5, 0.5, 0.5]), attentions=looks([]))
        sample = scheduler.step(view, 0, sample, mask_token_id=MASK).prev_sample
        assert sample.tolist() == [[1, MASK, MASK, MASK, MASK]]
        assert committed(scheduler, [0.5, 0.78, 0.75, 0.6, 0.5], looks([(2, 0), (3, 0)]), sample) == expected


def test_with_nothing_to_lean_on_it_is_the_threshold_rule() -> None:
    for confidences in ([0.95, 0.8, 0.91, 0.2, 0.3], [0.5, 0.6, 0.4, 0.4, 0.4]):
        sample = torch.full((1, 5), MASK)
        rule = ThresholdScheduler(threshold=0.9).step(confident_logits(confidences), 0, sample, mask_token_id=MASK)
        scheduler = DAWNScheduler(low_threshold=0.9)
        assert committed(scheduler, confidences, looks([])) == rule.transfer_index[0].nonzero().flatten().tolist()


@some_families
def test_a_padded_batch_decodes_as_its_rows_alone(family: str) -> None:
    low = {"threshold": 0.05, "induced_threshold": 0.02, "low_threshold": 0.02}
    check_rows_alone(family, DAWNScheduler(**low, edge_threshold=0.05, sink_threshold=1.0, layers=2))


def test_last_layers_are_what_it_wants() -> None:
    assert DAWNScheduler().wants.attentions == (-4, -3, -2, -1)
    assert not DAWNScheduler().wants.logits


def test_without_attentions_it_says_what_it_needs() -> None:
    with pytest.raises(ValueError, match="DAWNScheduler reads attentions: step"):
        DAWNScheduler().step(torch.zeros(1, 2, 4), 0, torch.full((1, 2), MASK), mask_token_id=MASK)


@pytest.mark.parametrize(
    "name", ["threshold", "induced_threshold", "low_threshold", "edge_threshold", "sink_threshold"]
)
def test_bad_arguments_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}=2 should be in \[0, 1\]"):
        DAWNScheduler(**{name: 2})
    with pytest.raises(ValueError, match="layers=0 should be a whole number of at least 1"):
        DAWNScheduler(layers=0)
