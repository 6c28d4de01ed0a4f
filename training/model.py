"""The network as it is trained: Qwen3's blocks with bidirectional attention, several answers to one prompt at a time.

Parameters have the names of transformers' `Qwen3ForCausalLM`, so that what is trained is saved as it is. Prompt tokens
attend to the prompt, tokens of an answer to the prompt and to that answer: the prompt is computed once for all the
answers that are learned with it, and once for all steps when one is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes of the network, under the names of transformers' `Qwen3Config`."""

    vocab_size: int = 4096
    hidden_size: int = 192
    intermediate_size: int = 512
    num_hidden_layers: int = 8
    num_attention_heads: int = 6
    head_dim: int = 32
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-6
    initializer_range: float = 0.02


class RMSNorm(nn.Module):
    """Root mean square normalisation (arXiv 1910.07467), computed in float32."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """`x`, (..., size), normalised; the same dtype."""
        wide = x.float()
        normed = wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)
        return self.weight.to(x.dtype) * normed.to(x.dtype)


class Attention(nn.Module):
    """Attention with normalised queries and keys (arXiv 2302.05442) and rotary positions (arXiv 2104.09864)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads, self.head_dim = config.num_attention_heads, config.head_dim
        width = self.heads * self.head_dim
        self.q_proj = nn.Linear(config.hidden_size, width, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, width, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, width, bias=False)
        self.o_proj = nn.Linear(width, config.hidden_size, bias=False)
        self.q_norm = RMSNorm(self.head_dim, config.rms_norm_eps)
        self.k_norm = RMSNorm(self.head_dim, config.rms_norm_eps)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor], prompt_bias: Tensor, answer_bias: Tensor) -> Tensor:
        """What each token gathers from those that it attends to, (tokens, hidden).

        Args:
            x: (tokens, hidden): tokens of all prompts, row after row, then those of all answers.
            rotary: cosines and sines, each (tokens, 1, head size).
            prompt_bias: (rows, 1, 1, prompt), added to the scores of a prompt's tokens: −inf where a key is padding.
            answer_bias: (rows × answers, 1, 1, prompt + window), the same for the tokens of an answer.
        """
        weight = torch.cat([self.q_proj.weight, self.k_proj.weight, self.v_proj.weight]).to(x.dtype)
        query, key, value = F.linear(x, weight).view(len(x), 3, self.heads, self.head_dim).unbind(1)
        query, key = _rotate(self.q_norm(query), rotary), _rotate(self.k_norm(key), rotary)

        # Sizes are read off the biases, whose shapes a compiled layer may see change.
        rows, prompt = prompt_bias.shape[0], prompt_bias.shape[-1]
        answers, window = answer_bias.shape[0] // rows, answer_bias.shape[-1] - prompt
        split = rows * prompt
        of_prompt = [part[:split].view(rows, prompt, self.heads, self.head_dim) for part in (query, key, value)]
        of_answer = [
            part[split:].view(rows * answers, window, self.heads, self.head_dim) for part in (query, key, value)
        ]
        seen_prompt = _attend(of_prompt[0], of_prompt[1], of_prompt[2], prompt_bias)
        key, value = (
            torch.cat([whole.unsqueeze(1).expand(-1, answers, -1, -1, -1).flatten(0, 1), own], dim=1)
            for whole, own in zip(of_prompt[1:], of_answer[1:], strict=True)
        )
        seen_answer = _attend(of_answer[0], key, value, answer_bias)
        seen = torch.cat([seen_prompt.reshape(split, -1), seen_answer.reshape(len(x) - split, -1)])
        mixed: Tensor = F.linear(seen, self.o_proj.weight.to(x.dtype))
        return mixed


class MLP(nn.Module):
    """SwiGLU (arXiv 2002.05202)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(tokens, hidden) for (tokens, hidden)."""
        weight = torch.cat([self.gate_proj.weight, self.up_proj.weight]).to(x.dtype)
        gate, up = F.linear(x, weight).chunk(2, dim=-1)
        out: Tensor = F.linear(F.silu(gate) * up, self.down_proj.weight.to(x.dtype))
        return out


class Block(nn.Module):
    """One layer: attention and a feed-forward part, each on a normalised input and added to it."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = MLP(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor], prompt_bias: Tensor, answer_bias: Tensor) -> Tensor:
        """The layer's output, (tokens, hidden); the arguments are those of `Attention.forward`."""
        x = x + self.self_attn(self.input_layernorm(x), rotary, prompt_bias, answer_bias)
        added: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return added


class Trunk(nn.Module):
    """Everything but the output layer, which is the embedding again."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class ReferenceModel(nn.Module):
    """The network, drawn from `seed`.

    Args:
        config: sizes.
        seed: of the initial weights: normal, with `initializer_range` as standard deviation, less for what is added to
            the residual stream.
    """

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.model = Trunk(config)
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                deviation = config.initializer_range
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    deviation /= (2 * config.num_hidden_layers) ** 0.5
                with torch.no_grad():
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) * deviation)

    def forward(
        self,
        prompts: Tensor,
        prompt_lengths: Tensor,
        windows: Tensor,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Hidden states before the output layer, for every token.

        Args:
            prompts: (rows, prompt), long, padded on the right.
            prompt_lengths: (rows,), long.
            windows: (rows, answers, window), long.
            dtype: what is computed in; parameters stay as they are.

        Returns:
            (rows × prompt + rows × answers × window, hidden): prompts first, both row after row.
        """
        x = F.embedding(torch.cat([prompts.flatten(), windows.flatten()]), self.model.embed_tokens.weight).to(dtype)
        rotary = self._rotary(prompts, prompt_lengths, windows, dtype)
        prompt_bias, answer_bias = _biases(prompts, prompt_lengths, windows, dtype)
        if prompts.is_cuda:
            # Lengths differ from group to group; one compiled layer serves them all.
            for tensor, dimension in ((x, 0), (rotary[0], 0), (rotary[1], 0), (prompt_bias, 3), (answer_bias, 3)):
                torch._dynamo.maybe_mark_dynamic(tensor, dimension)
        for layer in self.model.layers:
            x = layer(x, rotary, prompt_bias, answer_bias)
        hidden: Tensor = self.model.norm(x)
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits, (tokens, vocabulary), of hidden states (tokens, hidden)."""
        return F.linear(hidden, self.model.embed_tokens.weight.to(hidden.dtype))

    def _rotary(
        self, prompts: Tensor, prompt_lengths: Tensor, windows: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Cosines and sines for every token, (tokens, 1, head size); an answer goes on where its prompt ends."""
        rows, answers, window = windows.shape
        device = prompts.device
        of_prompts = torch.arange(prompts.shape[1], device=device).repeat(rows)
        inside = torch.arange(window, device=device).repeat(answers)
        positions = torch.cat([of_prompts, (prompt_lengths[:, None] + inside).flatten()])
        size = self.config.head_dim
        frequencies = self.config.rope_theta ** (-torch.arange(0, size, 2, device=device).float() / size)
        angles = (positions[:, None].float() * frequencies).repeat(1, 2)[:, None]
        return angles.cos().to(dtype), angles.sin().to(dtype)


def masked_loss(
    hidden: Tensor, weight: Tensor, positions: Tensor, owners: Tensor, targets: Tensor, weights: Tensor
) -> Tensor:
    """How far the prediction at each masked token is from the target, (masked tokens,), float32.

    It is the Kullback–Leibler divergence from the target's distribution, which is the cross-entropy where the target is
    one token.

    Args:
        hidden: (tokens, hidden size), as the model returns it.
        weight: (vocabulary, hidden size), the output layer.
        positions: (masked tokens,), long: rows of `hidden`.
        owners: (targets,), long: the masked token that a target is for.
        targets: (targets,), long: a token that may stand there.
        weights: (targets,), float32: its probability; a target of probability 0 adds nothing.
    """
    logits = F.linear(hidden.index_select(0, positions), weight.to(hidden.dtype)).float()
    gaps = torch.xlogy(weights, weights) - weights * logits[owners, targets]
    return logits.logsumexp(dim=-1).index_add(0, owners, gaps)


def _biases(prompts: Tensor, prompt_lengths: Tensor, windows: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Attention biases of prompts and answers: −inf where a key is padding, else 0; added to the scores.

    Returns:
        (rows, 1, 1, prompt) and (rows × answers, 1, 1, prompt + window).
    """
    rows, answers, window = windows.shape
    padding = torch.arange(prompts.shape[1], device=prompts.device) >= prompt_lengths[:, None]
    bias = torch.zeros(padding.shape, dtype=dtype, device=prompts.device).masked_fill(padding, -torch.inf)
    everything = torch.cat([bias, bias.new_zeros(rows, window)], dim=1).repeat_interleave(answers, dim=0)
    return bias[:, None, None], everything[:, None, None]


def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Attention over (batch, length, heads, head size), with a bias (batch, 1, 1, keys)."""
    query, key, value = (part.transpose(1, 2) for part in (query, key, value))
    # Expanded, not copied: the kernel reads one row of it for all heads and queries.
    bias = bias.expand(-1, query.shape[1], query.shape[2], -1)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias).transpose(1, 2)


def _rotate(x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    cosine, sine = rotary
    half = x.shape[-1] // 2
    turned = torch.cat([-x[..., half:], x[..., :half]], dim=-1)
    return x * cosine + turned * sine
