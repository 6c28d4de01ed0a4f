"""The toy denoiser for methods that read attentions: it says what it looks at, layer by layer."""

import torch
from shadow_denoiser import ShadowDenoiser


class AttendedDenoiser(ShadowDenoiser):
    """The shadow toy, whose one attention counts as that of several layers, each sharper than the one before."""

    records_attentions = True
    num_layers = 4

    def forward(
        self,
        input_ids,
        attention_mask=None,
        position_ids=None,
        logits_to_keep=None,
        attention_layers=(),
        attention_window=None,
    ):
        output = super().forward(input_ids, attention_mask, position_ids, logits_to_keep)
        output.attentions = None
        if attention_layers:
            if position_ids is None:
                position_ids = torch.arange(input_ids.shape[1]).expand_as(input_ids)
            hidden = self.token[input_ids] + self.position[position_ids]
            scores = (hidden @ self.query) @ (hidden @ self.key).transpose(1, 2) / hidden.shape[-1] ** 0.5
            if attention_mask is not None:
                visible = attention_mask[:, None, :].bool() if attention_mask.dim() == 2 else attention_mask[:, 0]
                scores = scores.masked_fill(~visible, -torch.inf)
            window = slice(*attention_window)
            weights = [((1 + layer) * scores).softmax(dim=-1)[:, window, window] for layer in attention_layers]
            output.attentions = torch.stack(weights, dim=1).float()
        return output
