"""The toy denoiser with what a padded batch needs: an attention mask, position ids, and logits for chosen positions."""

import types

import torch
from toy_denoiser import ToyDenoiser


class PaddedDenoiser(ToyDenoiser):
    """A `ToyDenoiser` whose logits at real tokens do not depend on the padding to the left of them.

    Keeps the arguments of every call in `calls`, as a dict of those that were not None.
    """

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.calls: list[dict[str, torch.Tensor]] = []

    def forward(self, input_ids, attention_mask=None, position_ids=None, logits_to_keep=None):
        given = {"attention_mask": attention_mask, "position_ids": position_ids, "logits_to_keep": logits_to_keep}
        self.calls.append({name: value for name, value in given.items() if value is not None})
        if position_ids is None:
            position_ids = torch.arange(input_ids.shape[1]).expand_as(input_ids)
        hidden = self.token[input_ids] + self.position[position_ids]
        scores = (hidden @ self.query) @ (hidden @ self.key).transpose(1, 2) / hidden.shape[-1] ** 0.5
        if attention_mask is not None:
            scores = scores.masked_fill(attention_mask[:, None, :] == 0, -torch.inf)
        mixed = torch.tanh(hidden + torch.softmax(scores, dim=-1) @ (hidden @ self.value))
        logits = (mixed @ self.head) * self.sharpness / 2
        logits[..., self.mask_token_id] = -torch.inf
        if logits_to_keep is not None:
            logits = logits[:, logits_to_keep]
        return types.SimpleNamespace(logits=logits.float())
