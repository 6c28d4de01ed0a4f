"""What diffusers' `LLaDA2Pipeline` asks of a scheduler besides `step`: whether a row, and a block, is finished."""

from __future__ import annotations

import torch
from torch import Tensor

from .state import SampleState

#: Length of the blocks where neither the pipeline's caller nor a loaded config says anything, as in diffusers.
DEFAULT_BLOCK_LENGTH = 32


class LLaDA2PipelineMixin:
    """What `LLaDA2Pipeline` calls besides `step`, the same for every scheduler here; `generate` does not use it."""

    #: Whether the method masks committed tokens again, so that nothing is final before its block is.
    revises = False
    #: What `step` returned last: the sample, the id of the mask token, and which positions are none of its business.
    _last_step: tuple[Tensor, int, Tensor | None] | None = None
    _state: SampleState

    def check_eos_finished(
        self,
        cur_x: Tensor,
        sampled_tokens: Tensor,
        final_transfer: Tensor,
        finished: Tensor,
        eos_token_id: int,
        mask_token_id: int,
        prompt_length: int,
    ) -> Tensor:
        """Which rows have their end token, with nothing masked before it.

        Args:
            cur_x: (batch, length), long: prompt and blocks up to the present one.
            sampled_tokens, final_transfer: (batch, window): what was proposed and committed; not used, because `cur_x`
                says all.
            finished: bool (batch,): rows that were finished before.
            eos_token_id: the end token. In a prompt it means nothing.
            mask_token_id: what marks an open position.
            prompt_length: tokens before the first generated one.

        Returns:
            bool (batch,). Rows of a method that revises tokens are finished with their block only, because it may take
            the end token back.
        """
        answer = cur_x[:, prompt_length:]
        is_end, is_open = answer == eos_token_id, answer == mask_token_id
        open_before = (is_open.cumsum(dim=1) > 0) if not self.revises else is_open.any(dim=1, keepdim=True)
        ended = (is_end & ~open_before).any(dim=1)
        unsettled = self._state.get("unsettled")
        return finished | (ended if unsettled is None else ended & (unsettled == 0))

    def check_block_should_continue(
        self,
        step_idx: int,
        masks_remaining: bool | Tensor,
        editing_enabled: bool,
        editing_transfer_index: Tensor,
        post_steps: int,
        max_post_steps: int,
        finished: Tensor,
    ) -> bool:
        """Whether the present block needs another step.

        Args:
            masks_remaining: whether anything was masked before the last step.
            finished: bool (batch,): rows that go on no more.
            step_idx, editing_enabled, editing_transfer_index, post_steps, max_post_steps: what ends a block of
                diffusers' own scheduler; not used, because a block here ends when nothing in it is masked and the
                method will not look at it again.

        Returns:
            True as long as a row that is not finished has a masked token, or is unsettled. Looks at the device.
        """
        if self._last_step is None:
            return bool(masks_remaining)
        sample, mask_token_id, given = self._last_step
        masked = sample == mask_token_id
        if given is not None:
            masked = masked & ~given
        going_on, unsettled = masked.any(dim=1), self._state.get("unsettled")
        if unsettled is not None:
            going_on = going_on | (unsettled > 0)
        return bool((going_on & ~finished.to(torch.bool)).any())
