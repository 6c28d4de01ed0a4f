"""What the loop must withstand: tiny and huge vocabularies, half precision, one-token windows, threads."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from scheduler_cases import FACTORIES, constant_model, every_scheduler, row_generator
from torch import Tensor
from toy_denoiser import ToyDenoiser

from samplers import ConfidenceScheduler, EntropyScheduler, ThresholdScheduler, generate

MASK = 47
TOY = ToyDenoiser(sharpness=3.0)
PROMPT = torch.tensor([[5, MASK, 30], [8, 2, 41]])
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "guided": {"cfg_scale": 2.0},
    "filled": {"eos_token_id": 3, "eos_handling": "fill"},
    "stopped": {"eos_token_id": [3, 7], "stop_at_eos": True},
    "discounted": {"eos_token_id": 3, "eos_handling": "discount", "eos_discount": 0.0},
    "prefilled": {"prefill": torch.tensor([[9, MASK, 9], [MASK, MASK, 1]])},
}
every_option = pytest.mark.parametrize("option", OPTIONS)


@every_option
@every_scheduler
def test_one_token_windows(name: str, option: str) -> None:
    output = generate(
        TOY,
        PROMPT,
        scheduler=FACTORIES[name](temperature=1.0),
        max_new_tokens=4,
        block_length=1,
        generator=[row_generator(0), row_generator(1)],
        **OPTIONS[option],
    )
    assert torch.equal(output.sequences[:, :3], PROMPT)
    assert not (output.sequences[:, 3:] == MASK).any()


@every_option
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_with_ties_and_saturation(dtype: torch.dtype, option: str) -> None:
    def logits(input_ids: Tensor) -> Tensor:
        values = torch.zeros(*input_ids.shape, 48, dtype=dtype)
        # Differences beyond what float32 probabilities resolve, and the largest numbers that the dtype has.
        values[..., 5:7] = torch.finfo(dtype).max
        values[..., 8] = torch.finfo(dtype).min
        values[:, ::2, 3] = torch.finfo(dtype).max
        return values

    model = constant_model(logits, mask_token_id=MASK)
    for scheduler in (ConfidenceScheduler(k=99), EntropyScheduler(k=2), ThresholdScheduler(threshold=1.0)):
        output = generate(model, PROMPT, scheduler=scheduler, max_new_tokens=6, **OPTIONS[option])
        answers = output.sequences[:, 3:]
        given = torch.tensor([9, 1])
        assert torch.isin(answers, torch.cat([torch.tensor([3, 5, 6, 7]), given])).all()


@pytest.mark.parametrize("vocab_size", [2, 200_000])
def test_vocabularies_of_all_sizes(vocab_size: int) -> None:
    mask = vocab_size - 1

    def logits(input_ids: Tensor) -> Tensor:
        # Every position wants another token, as far as there are any.
        values = torch.zeros(*input_ids.shape, vocab_size)
        wanted = torch.arange(input_ids.shape[1]) * 37_123 % mask
        return values.scatter(-1, wanted.expand_as(input_ids).unsqueeze(-1), 30.0)

    prompt = torch.zeros(2, 1, dtype=torch.long)
    for options in ({}, {"cfg_scale": 0.5}, {"temperature": 1.0, "top_p": 0.9, "top_k": 5}):
        output = generate(
            constant_model(logits, mask_token_id=mask),
            prompt,
            scheduler=ThresholdScheduler(),
            max_new_tokens=3,
            generator=row_generator(0),
            **options,
        )
        assert output.sequences[0, 1:].tolist() == [place * 37_123 % mask for place in (1, 2, 3)]


def test_threads_do_not_disturb_each_other() -> None:
    def decode(number: int) -> Tensor:
        names = list(FACTORIES)
        output = generate(
            TOY,
            PROMPT,
            scheduler=FACTORIES[names[number % len(names)]](temperature=1.0),
            max_new_tokens=8,
            block_length=4,
            generator=row_generator(number),
        )
        return output.sequences

    numbers = range(2 * len(FACTORIES))
    alone = [decode(number) for number in numbers]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(decode, numbers))
    assert all(torch.equal(first, second) for first, second in zip(alone, together, strict=True))
    assert torch.is_grad_enabled()
