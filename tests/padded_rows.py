"""Rows of a padded batch, decoded together and each alone, by models of random weights that give attentions."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_checkpoint import TINY_CONFIGS, write_checkpoint
from scheduler_cases import property_test, row_generator

from samplers import generate, models

NEW, LONGEST = 12, 8
#: Parametrizes a test by families whose models give attentions, two of them of other people's.
some_families = pytest.mark.parametrize("family", ["llada", "dream", "parallelbench"])


@cache
def tiny(family: str) -> Any:
    """A model of a family, with random weights."""
    with TemporaryDirectory() as folder:
        return models.load(write_checkpoint(Path(folder) / family, TINY_CONFIGS[family]))


def check_rows_alone(family: str, scheduler: Any) -> None:
    """Each of two rows has the answer and the passes that it has alone, however the other is padded."""
    model, fewest = tiny(family), []

    @property_test(4)
    @given(seed=st.integers(0, 1000), padding=st.permutations([0, 3]) | st.permutations([0, LONGEST - 1]))
    def check(seed: int, padding: list[int]) -> None:
        prompts = torch.randint(1, 60, (2, LONGEST), generator=row_generator(seed))
        real = (torch.arange(LONGEST) >= torch.tensor(padding)[:, None]).long()
        decode: Callable[..., Any] = lambda ids, **mask: generate(  # noqa: E731
            model, ids, scheduler=scheduler, max_new_tokens=NEW, **mask
        )
        together = decode(prompts.masked_fill(real == 0, 60), attention_mask=real)
        fewest.append(int(together.num_forward_passes.min()))
        for row, first in enumerate(padding):
            alone = decode(prompts[row : row + 1, first:])
            assert torch.equal(together.answers[row], alone.answers[0])
            assert together.num_forward_passes[row] == alone.num_forward_passes[0]

    check()
    assert min(fewest) < NEW, "no example shows anything: every step commits one token"
