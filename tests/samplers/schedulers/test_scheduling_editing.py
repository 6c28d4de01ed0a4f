"""Token editing: which committed tokens are replaced, and how often a row without masks is looked at again."""

import itertools
from typing import Any

import pytest
import torch
from scheduler_cases import Window, confident_logits, logits_of, row_generator, walk

from samplers import EditingScheduler, QuotaThresholdScheduler, generate

MASK = 3
#: Whatever is proposed, token 1 is at 0.9 in the first and token 2 in the second.
ONE, TWO = [0.05, 0.9, 0.05, 0.0], [0.05, 0.05, 0.9, 0.0]


def run(scheduler: EditingScheduler, steps: list[Any], sample: torch.Tensor, **arguments: Any) -> list[Any]:
    outputs = []
    for logits in steps:
        outputs.append(scheduler.step(logits, 0, sample, mask_token_id=MASK, **arguments))
        sample = outputs[-1].prev_sample
    return outputs


def test_committed_token_is_replaced_where_another_is_proposed_surely() -> None:
    both, changed = logits_of([[ONE, [0.4, 0.35, 0.25, 0.0]]]), logits_of([[TWO, ONE]])
    first, second = run(EditingScheduler(), [both, changed], torch.tensor([[MASK, MASK]]))
    assert first.prev_sample.tolist() == [[1, MASK]]
    assert second.prev_sample.tolist() == [[2, 1]]
    assert second.replace_index.tolist() == second.editing_transfer_index.tolist() == [[True, False]]
    assert second.transfer_index.tolist() == [[False, True]]
    assert not second.remask_index.any()


@pytest.mark.parametrize(("threshold", "replaced"), [(0.9, False), (0.899, True), (0.0, True)])
def test_probability_that_equals_the_editing_threshold_leaves_the_token(threshold: float, replaced: bool) -> None:
    probability = float(logits_of([[TWO]]).softmax(dim=-1)[0, 0, 2])
    scheduler = EditingScheduler(editing_threshold=probability if threshold == 0.9 else threshold)
    output = run(scheduler, [logits_of([[ONE]]), logits_of([[TWO]])], torch.tensor([[MASK]]))[-1]
    assert output.replace_index.item() is replaced


def test_editing_threshold_is_the_callers_where_the_constructor_left_it_open() -> None:
    steps, sample = [logits_of([[ONE]]), logits_of([[TWO]])], torch.tensor([[MASK]])
    for called, replaced in ((0.95, False), (0.5, True)):
        output = run(EditingScheduler(editing_threshold=None), steps, sample, editing_threshold=called)[-1]
        assert output.replace_index.item() is replaced
        own = run(EditingScheduler(), steps, sample, editing_threshold=called)[-1]
        assert own.replace_index.item() is True
    with pytest.raises(ValueError, match=r"editing_threshold=None: .*constructor"):
        run(EditingScheduler(editing_threshold=None), steps, sample)


def test_what_was_given_is_never_replaced() -> None:
    steps = [logits_of([[TWO, ONE, ONE]]), logits_of([[TWO, TWO, TWO]])]
    second = run(EditingScheduler(editing_threshold=0.0), steps, torch.tensor([[1, MASK, MASK]]))[-1]
    assert second.prev_sample.tolist() == [[1, 2, 2]]
    # Nor is a mask token of the prompt a mask.
    prompt_mask = torch.tensor([[False, True, False]])
    second = run(EditingScheduler(), steps, torch.tensor([[MASK, MASK, MASK]]), prompt_mask=prompt_mask)[-1]
    assert second.prev_sample.tolist() == [[2, MASK, 2]]


def test_row_without_masks_is_looked_at_until_nothing_changes() -> None:
    one, two = logits_of([[ONE, ONE]]), logits_of([[ONE, TWO]])
    outputs = run(EditingScheduler(), [one, two, two, one], torch.tensor([[MASK, MASK]]))
    assert [output.unsettled.item() for output in outputs] == [True, True, False, False]
    # The row was finished before the last step, which therefore leaves it alone.
    assert outputs[-1].prev_sample.tolist() == [[1, 2]]


@pytest.mark.parametrize("most", [0, 1, 3])
def test_looks_are_limited(most: int) -> None:
    one, two = logits_of([[ONE]]), logits_of([[TWO]])
    outputs = run(EditingScheduler(max_post_steps=most), [one, two, one, two, one, two], torch.tensor([[MASK]]))
    assert sum(output.unsettled.item() for output in outputs) == most
    assert sum(output.replace_index.sum().item() for output in outputs) == most


def test_without_another_proposal_it_is_the_quota_with_its_threshold() -> None:
    window = Window(torch.full((3, 7), MASK), 4, MASK, seed=5)
    logits = window.logits(0)
    for arguments in ({"k": 2}, {"num_inference_steps": 3}, {"threshold": 0.4}):
        plain, sample = QuotaThresholdScheduler(**{"threshold": 0.7, **arguments}), window.sample
        editing = EditingScheduler(**arguments)
        for _ in range(7):
            expected = plain.step(logits, 0, sample, mask_token_id=MASK).prev_sample
            sample = editing.step(logits, 0, sample, mask_token_id=MASK).prev_sample
            assert torch.equal(sample, expected)


class Undecided:
    """Proposes token 1 wherever something is masked, and token 2 for `looks` forward passes in turn after that."""

    def __init__(self, looks: int) -> None:
        self.calls, self._looks = 0, looks

    def __call__(self, input_ids: torch.Tensor) -> Any:
        self.calls += 1
        logits = torch.zeros(*input_ids.shape, 4)
        last = input_ids[:, -1:]
        turn = torch.where((last == 1) & (self.calls <= self._looks), 2, torch.where(last == MASK, 1, last))
        logits.scatter_(2, turn.unsqueeze(2).expand(*input_ids.shape, 1), 9.0)
        return type("Output", (), {"logits": logits})


@pytest.mark.parametrize(("looks", "passes"), [(0, 2), (9, 3)])
def test_generate_counts_every_look(looks: int, passes: int) -> None:
    model = Undecided(looks)
    output = generate(model, torch.tensor([[0]]), scheduler=EditingScheduler(), max_new_tokens=4, mask_token_id=MASK)
    assert output.sequences[0, 1:].tolist() == [2 if looks else 1] * 4
    assert output.num_forward_passes.tolist() == [passes] == [model.calls]


def test_rows_that_are_settled_wait_for_those_that_are_not() -> None:
    window = Window(torch.full((4, 5), MASK), 4, MASK, seed=2)
    outputs = walk(EditingScheduler(editing_threshold=0.2, k=2), window, generators=row_generator(0))
    counts = {tuple(output.unsettled.tolist()) for output in outputs}
    assert len(counts) > 2, "the example is too simple: all rows settle at once"
    for before, after in itertools.pairwise(outputs):
        settled = ~(before.prev_sample == MASK).any(dim=1) & ~before.unsettled
        assert torch.equal(after.prev_sample[settled], before.prev_sample[settled])


def test_editing_ends_with_its_block() -> None:
    steps = [confident_logits([0.95, 0.95]), logits_of([[TWO, TWO]])]
    scheduler = EditingScheduler()
    (first,) = run(scheduler, steps[:1], torch.tensor([[MASK, MASK]]))
    assert first.unsettled.item() is True
    scheduler.start_block()
    (after,) = run(scheduler, steps[1:], first.prev_sample)
    assert torch.equal(after.prev_sample, first.prev_sample)
    assert after.unsettled.item() is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold": 1.5}, r"threshold=1\.5 should be in \[0, 1\]"),
        ({"editing_threshold": -0.5}, r"editing_threshold=-0\.5 should be in \[0, 1\]"),
        ({"max_post_steps": -1}, "max_post_steps=-1 should be a whole number of at least 0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EditingScheduler(**arguments)
