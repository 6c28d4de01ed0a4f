"""LoPA against a plain-Python decoding that follows every branch, and its drafts in the loop."""

from typing import Any

import pytest
import torch
from padded_denoiser import PaddedDenoiser
from scheduler_cases import confident_logits, constant_model, row_generator
from torch import Tensor

from samplers import LoPAScheduler, ModelView, ThresholdScheduler, generate

MASK = 3
VOCAB, WINDOW, SEEN = 7, 7, 6


def table_model(seed: int) -> Any:
    """A model whose logits at a position hang on every token of the answer, and look like no other's."""
    weights = 1.5 * torch.randn(WINDOW, VOCAB, WINDOW, VOCAB, generator=row_generator(seed)).double()

    def logits_of(input_ids: Tensor) -> Tensor:
        answer = torch.nn.functional.one_hot(input_ids[:, 1:], VOCAB).double()
        window = torch.einsum("bpv,pvqw->bqw", answer, weights)
        return torch.cat([window[:, :1], window], dim=1)

    return constant_model(logits_of, mask_token_id=SEEN)


def plain(model: Any, threshold: float, branches: int) -> tuple[list[int], int]:
    """Algorithm 1 for one answer, a look at a time; the answer, and how many rounds it took."""

    def look(tokens: list[int]) -> list[tuple[float, int]]:
        logits = model(torch.tensor([[0, *tokens]])).logits[0, 1:]
        logits[:, SEEN] = -torch.inf
        confidence, token = logits.softmax(dim=-1).max(dim=-1)
        return list(zip(confidence.tolist(), token.tolist(), strict=True))

    answer, rounds = [SEEN] * WINDOW, 0
    candidates = [list(answer)]
    while True:
        rounds += 1
        looks = [look(one) for one in candidates]
        left = [[p for p, token in enumerate(one) if token == SEEN] for one in candidates]
        means = [sum(seen[p][0] for p in open_) / len(open_) for seen, open_ in zip(looks, left, strict=True)]
        best = means.index(max(means))
        answer, seen, open_ = candidates[best], looks[best], left[best]
        order = sorted(open_, key=lambda p: (-seen[p][0], p))
        fill = [p for p in order if seen[p][0] > threshold] or order[:1]
        answer = [seen[p][1] if p in fill else token for p, token in enumerate(answer)]
        rest = [p for p in order if p not in fill]
        if not rest:
            return answer, rounds
        candidates = [list(answer)]
        if len(rest) > 1:
            for position in rest[:branches]:
                branch = list(answer)
                branch[position] = seen[position][1]
                candidates.append(branch)


@pytest.mark.parametrize("branches", [0, 1, 3, 9])
@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_it_decodes_as_algorithm_one_does(threshold: float, branches: int) -> None:
    for seed in range(6):
        model = table_model(seed)
        scheduler = LoPAScheduler(threshold=threshold, branches=branches)
        output = generate(model, torch.tensor([[0]]), scheduler=scheduler, max_new_tokens=WINDOW)
        answer, rounds = plain(model, threshold, branches)
        assert output.answers[0].tolist() == answer
        assert output.num_rounds.tolist() == [rounds]


def test_without_branches_it_is_the_strict_threshold_rule() -> None:
    for seed in range(4):
        model, prompt = table_model(seed), torch.tensor([[0]])
        ours = generate(model, prompt, scheduler=LoPAScheduler(branches=0), max_new_tokens=WINDOW)
        rule = ThresholdScheduler(threshold=0.9, strict=True)
        theirs = generate(model, prompt, scheduler=rule, max_new_tokens=WINDOW)
        assert torch.equal(ours.sequences, theirs.sequences)
        assert torch.equal(ours.num_forward_passes, theirs.num_forward_passes)


def views(*confidences: list[float]) -> ModelView:
    """The present state and its branches of one row."""
    logits = torch.cat([confident_logits(values) for values in confidences]).double()
    return ModelView(logits[:1], draft_logits=logits, num_drafts=torch.tensor([len(logits) - 1]))


def test_a_branch_by_hand() -> None:
    scheduler = LoPAScheduler(branches=2)
    sample = torch.full((1, 5), MASK)
    first = scheduler.step(views([0.95, 0.8, 0.5, 0.7, 0.4]), 0, sample, mask_token_id=MASK)
    assert first.prev_sample.tolist() == [[1, MASK, MASK, MASK, MASK]]
    # The two surest of what is left, each alone beside what is committed.
    assert first.drafts.tolist() == [[[1, 1, MASK, MASK, MASK], [1, MASK, MASK, 1, MASK]]]
    assert first.num_drafts.tolist() == [2]
    # Means over what each leaves: (.5 + .5 + .5 + .5) / 4, (.6 + .6 + .4) / 3, (.4 + .92 + .5) / 3.
    looks = views([0.9, 0.5, 0.5, 0.5, 0.5], [0.9, 0.9, 0.6, 0.6, 0.4], [0.9, 0.4, 0.92, 0.9, 0.5])
    second = scheduler.step(looks, 1, first.prev_sample, mask_token_id=MASK)
    # The token of the second branch, and what is sure there.
    assert second.prev_sample.tolist() == [[1, MASK, 1, 1, MASK]]
    assert second.transfer_index.tolist() == [[False, False, True, True, False]]


def test_equal_branches_leave_the_anchor() -> None:
    scheduler = LoPAScheduler(branches=1)
    sample = torch.full((1, 4), MASK)
    first = scheduler.step(views([0.95, 0.6, 0.5, 0.5]), 0, sample, mask_token_id=MASK)
    same = [0.9, 0.5, 0.5, 0.5]
    second = scheduler.step(views(same, same), 1, first.prev_sample, mask_token_id=MASK)
    # The surest there, and no token of a branch beside it.
    assert second.transfer_index.sum() == 1


def test_threshold_is_strict_and_the_last_token_left_makes_no_branch() -> None:
    half = torch.zeros(1, 2, 4, dtype=torch.double)
    half[..., 2:] = -torch.inf
    output = LoPAScheduler(threshold=0.5).step(half, 0, torch.full((1, 2), MASK), mask_token_id=MASK)
    assert output.transfer_index.tolist() == [[True, False]]
    assert output.num_drafts.tolist() == [0]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_padded_batch_decodes_as_its_rows_alone(temperature: float) -> None:
    prompt, real = torch.tensor([[0, 0, 5], [7, 8, 9]]), torch.tensor([[0, 0, 1], [1, 1, 1]])
    scheduler = LoPAScheduler(threshold=0.4, branches=3, temperature=temperature)
    common: dict[str, Any] = {"scheduler": scheduler, "max_new_tokens": 9, "block_length": 6}
    together = generate(
        PaddedDenoiser(), prompt, attention_mask=real, generator=[row_generator(1), row_generator(2)], **common
    )
    for row, padding in enumerate((2, 0)):
        source = [row_generator(1 + row)]
        alone = generate(PaddedDenoiser(), prompt[row : row + 1, padding:], generator=source, **common)
        assert torch.equal(together.answers[row], alone.answers[0])
        assert together.num_rounds[row] == alone.num_rounds[0]
        assert together.num_forward_passes[row] == alone.num_forward_passes[0]


@pytest.mark.parametrize(
    ("arguments", "message"), [({"threshold": 2}, "threshold=2"), ({"branches": -1}, "branches=-1")]
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LoPAScheduler(**arguments)
