"""Which keys a query sees where what is decided is causal and the open block is not; the other kinds have records."""

import itertools

import torch

from samplers.models.masks import visible_keys


def test_context_is_causal_and_the_open_block_sees_it_and_itself() -> None:
    real = torch.arange(7) >= torch.tensor([0, 2])[:, None]
    for first, start in itertools.product((0, 2, 4), (4, 5)):
        mask = visible_keys("causal_context", queries=(first, 7), keys=7, real=real, prompt_length=start)
        assert mask is not None
        assert mask.shape == (2, 1, 7 - first, 7)
        for row, query, key in itertools.product(range(2), range(first, 7), range(7)):
            if real[row, query]:
                expected = bool(real[row, key]) and (query >= start or key <= query)
                assert bool(mask[row, 0, query - first, key]) == expected
        assert mask.any(dim=-1).all(), "no row may be empty"


def test_starts_of_rows_are_their_own() -> None:
    starts = torch.tensor([2, 3])
    both = visible_keys("causal_context", queries=(0, 5), keys=5, prompt_length=starts)
    assert both is not None
    for row in range(2):
        alone = visible_keys("causal_context", queries=(0, 5), keys=5, prompt_length=int(starts[row]))
        assert alone is not None
        assert torch.equal(both[row], alone[0])


def test_nothing_is_hidden_where_everything_is_open() -> None:
    assert visible_keys("causal_context", queries=(4, 7), keys=7, prompt_length=4) is None
    assert visible_keys("causal_context", queries=(0, 7), keys=7) is None
