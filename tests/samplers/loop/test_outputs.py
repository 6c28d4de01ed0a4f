"""The result of a generation: answers without prompts, and a representation that fits on a line."""

import torch
from toy_denoiser import ToyDenoiser

from samplers import ConfidenceScheduler, GenerationOutput, generate

PROMPT = torch.tensor([[5, 17, 30], [8, 2, 41]])


def test_answers_are_what_follows_the_prompts() -> None:
    output = generate(ToyDenoiser(), PROMPT, scheduler=ConfidenceScheduler(k=2), max_new_tokens=4)
    assert output.answers.shape == (2, 4)
    assert torch.equal(torch.cat([PROMPT, output.answers], dim=1), output.sequences)


def test_representation_names_sizes_and_counts() -> None:
    output = generate(
        ToyDenoiser(), PROMPT, scheduler=ConfidenceScheduler(k=2), max_new_tokens=4, return_trajectory=True
    )
    assert repr(output) == (
        "GenerationOutput(2 answers of 4 tokens, forward passes [2, 2], skipped tokens [0, 0], trajectory of 2 steps)"
    )


def test_representation_of_many_rows_stays_short() -> None:
    rows = torch.arange(300)
    shown = repr(GenerationOutput(torch.zeros(300, 64), rows + 1, rows * 0, rows + 1, prompt_length=32))
    assert "300 answers of 32 tokens, forward passes 1 to 300, skipped tokens 0 to 0" in shown
    assert "\n" not in shown
