"""The record of arguments: `generate` in another form, and nothing to be changed afterwards."""

import dataclasses
import inspect

import pytest
import torch

from samplers import ConfidenceScheduler, generate
from samplers.loop.inputs import GenerationArguments

PROMPT = torch.tensor([[5, 17, 30], [8, 2, 41]])


def test_record_and_generate_take_the_same_arguments() -> None:
    mine, public = (dict(inspect.signature(of).parameters) for of in (GenerationArguments, generate))
    assert public.pop("return_trajectory").default is False
    assert {name: (p.kind, p.default) for name, p in mine.items()} == {
        name: (p.kind, p.default) for name, p in public.items()
    }


def test_a_mask_without_padding_counts_as_none() -> None:
    arguments = GenerationArguments(PROMPT, PROMPT, scheduler=None, attention_mask=torch.ones_like(PROMPT))
    assert arguments.attention_mask is None
    padded = torch.tensor([[0, 1, 1], [1, 1, 1]])
    assert GenerationArguments(PROMPT, PROMPT, scheduler=None, attention_mask=padded).attention_mask is padded


def test_nothing_is_changed_afterwards() -> None:
    arguments = GenerationArguments(PROMPT, PROMPT, scheduler=ConfidenceScheduler())
    with pytest.raises(dataclasses.FrozenInstanceError):
        arguments.max_new_tokens = 3  # type: ignore[misc]
