"""Decode with an unmasking scheduler: at once, or step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from .decoding import Decoding
from .inputs import Callback, GenerationArguments
from .outputs import GenerationOutput, GenerationStep


@torch.no_grad()
def generate(
    model: Any,
    input_ids: Tensor,
    *,
    scheduler: Any,
    max_new_tokens: int = 32,
    block_length: int | None = None,
    attention_mask: Tensor | None = None,
    mask_token_id: int | None = None,
    prefill: Tensor | None = None,
    cfg_scale: float = 0.0,
    eos_token_id: int | Sequence[int] | None = None,
    stop_at_eos: bool = False,
    eos_handling: str | None = None,
    eos_discount: float | tuple[float, float] = (0.4, 1.0),
    temperature: float | None = None,
    top_p: float | None = None,
    top_k: int | None = None,
    generator: torch.Generator | Sequence[torch.Generator | None] | None = None,
    callback_on_step_end: Callback | None = None,
    return_trajectory: bool = False,
    cache: str | None = None,
    compile: str = "auto",
) -> GenerationOutput:
    """Decode `max_new_tokens` tokens after each prompt with an unmasking scheduler.

    By default every one of the new positions is decoded, end tokens included, and counts in the number of forward
    passes.

    Args:
        model: any callable whose output has `.logits`, or a `Denoiser`; see `denoiser_for`.
        input_ids: (batch, prompt), long; shorter prompts are padded on the left and marked in `attention_mask`.
            Mask tokens in a prompt stay what they are.
        scheduler: an `UnmaskingScheduler`, or diffusers' `BlockRefinementScheduler`.
        max_new_tokens: length of every answer.
        block_length: length of the blocks that are decoded one after the other, from the left; the last may be shorter.
            None means the model's own where it has one, else a single block. Blocks of a block-causal model are counted
            from the first token of each prompt: the first may begin with the prompt's last tokens.
        attention_mask: (batch, prompt), 1 for tokens and 0 for padding.
        mask_token_id: taken from the model or its config if not given.
        prefill: (batch, at most `max_new_tokens`), long: a partly masked answer. Its mask tokens and all positions
            after its end are decoded; its other tokens stay, whatever the scheduler revises.
        cfg_scale: strength of classifier-free guidance, at least 0: logits become u + (1 + scale) (c - u), c with the
            prompt and u with mask tokens in its place. Above 0 a step takes two forward passes, and counts as two.
        eos_token_id: the end token, or several; taken from the model or its config if not given. Used only by the
            arguments below; the first fills.
        stop_at_eos: once a block with an end token is decoded, fill the rest of the row with end tokens instead of
            decoding it.
        eos_handling: "ban" never proposes an end token; "discount" multiplies the confidence of proposed end tokens by
            `eos_discount`, so that they are committed later (orders that ignore the confidence do not change); "fill"
            fills all masks behind a row's first end token at once, in this block and those to come, and a method that
            remembers its steps starts afresh in that row. None does nothing.
        eos_discount: one factor in [0, 1], or a pair: the first holds while the answer is all masked, the second once
            nothing is, with the share of masks deciding in between. The default is that of EOSER (arXiv 2509.23924).
        temperature, top_p, top_k: of the proposals, where the scheduler's constructor left its own at None.
        generator: one generator for the batch, or a list with one per row; with a list, every row is decoded as it
            would be alone.
        callback_on_step_end: called with the number of the step, the timestep and {"sample": the generated region,
            (batch, new)} after every step; may return {"sample": ...} to go on with another one.
        return_trajectory: keep the generated region after every step.
        cache: an approximate KV cache that the model's adapter offers; None keeps only what is exact.
        compile: whether forward passes of a model of `samplers.models` on a CUDA device are captured as CUDA graphs,
            which spares the host launching their kernels one by one. "off" captures none; "auto" the shapes that come
            again, where that pays; "graphs" every shape when it is first seen. Elsewhere all three are the same.

    Raises:
        ValueError: an argument is out of range, the mask token (or the end token, where it is needed) is not known, the
            scores of a row are not finite (NaN logits; the message names row and position), or the scheduler stops
            making progress.
    """
    arguments = dict(locals())
    del arguments["return_trajectory"]
    decoding = Decoding(GenerationArguments(**arguments))
    trajectory = []
    for step in decoding.steps():
        if return_trajectory:
            trajectory.append(step.sample)
    return GenerationOutput(
        decoding.sequences,
        decoding.num_forward_passes,
        decoding.num_skipped_tokens,
        decoding.num_rounds,
        trajectory if return_trajectory else None,
        prompt_length=input_ids.shape[1],
    )


def stream(model: Any, input_ids: Tensor, *, scheduler: Any, **options: Any) -> Iterator[GenerationStep]:
    """Decode as `generate` does, handing out the state after each step while the decoding goes on.

    Args:
        model, input_ids, scheduler: as for `generate`.
        options: any other argument of `generate` but `return_trajectory`.

    Returns:
        An iterator over `GenerationStep`; the last one holds the finished answer. Stopping early costs nothing.

    Raises:
        ValueError: as `generate` does; what concerns the arguments at once, not with the first step.
    """
    return Decoding(GenerationArguments(model, input_ids, scheduler=scheduler, **options)).steps()
