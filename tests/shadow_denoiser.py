"""The padded toy denoiser for methods that need shadow tokens: any attention mask will do."""

import types

import torch
from padded_denoiser import PaddedDenoiser


class ShadowDenoiser(PaddedDenoiser):
    """The padded toy, with full attention under any mask (batch, 1, query, key)."""

    attention = "full"

    def forward(self, input_ids, attention_mask=None, position_ids=None, logits_to_keep=None):
        if attention_mask is None or attention_mask.dim() == 2:
            return super().forward(input_ids, attention_mask, position_ids, logits_to_keep)
        self.calls.append({"attention_mask": attention_mask})
        hidden = self.token[input_ids] + self.position[position_ids]
        scores = (hidden @ self.query) @ (hidden @ self.key).transpose(1, 2) / hidden.shape[-1] ** 0.5
        scores = scores.masked_fill(~attention_mask[:, 0], -torch.inf)
        mixed = torch.tanh(hidden + torch.softmax(scores, dim=-1) @ (hidden @ self.value))
        logits = (mixed @ self.head) * self.sharpness / 2
        logits[..., self.mask_token_id] = -torch.inf
        return types.SimpleNamespace(logits=logits[:, logits_to_keep].float())
