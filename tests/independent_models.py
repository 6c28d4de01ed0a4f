"""Networks of the families of 2026 in plain torch, float64 and dense masks: written from their makers' descriptions.

Nothing here is shared with `samplers.models`: weights are read by their published names, attention is a matrix of all
pairs, experts are computed one by one, and no part of transformers is used.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor


@dataclass
class Traits:
    """What one family has that another has not.

    Attributes:
        prefix: of the names of its tensors.
        head: name of its output matrix.
        qk_norm: whether queries and keys are normed, head by head.
        experts: "" for MLPs alone, "softmax", or "sigmoid" with shared experts and, where the config says so, blocks.
        renamed: part of a tensor's usual name → its own.
    """

    prefix: str = "model."
    head: str = "lm_head.weight"
    qk_norm: bool = False
    experts: str = ""
    renamed: dict[str, str] = field(default_factory=dict)


TRAITS = {
    "ILLaDAForCausalLM": Traits(),
    "StableDiffcoderForCausalLM": Traits(),
    "A2DLlamaLMHeadModel": Traits(),
    "A2DQwen2LMHeadModel": Traits(),
    "A2DQwen3LMHeadModel": Traits(qk_norm=True),
    "DreamForCausalLM": Traits(qk_norm=True),
    "parallelbench": Traits(qk_norm=True),
    "SDARMoeForCausalLM": Traits(qk_norm=True, experts="softmax"),
    "RND1LM": Traits(qk_norm=True, experts="softmax"),
    "NemotronLabsDiffusionModel": Traits(prefix="encoder.", head="diffusion_head.weight"),
    "LLaDA2MoeModelLM": Traits(
        qk_norm=True,
        experts="sigmoid",
        renamed={
            "embed_tokens": "word_embeddings",
            "self_attn.o_proj": "attention.dense",
            "self_attn.q_norm": "attention.query_layernorm",
            "self_attn.k_norm": "attention.key_layernorm",
        },
    ),
}


class IndependentModel:
    """A checkpoint in a directory, called with a dense mask.

    Args:
        folder: with config.json and model.safetensors.
    """

    def __init__(self, folder: Path) -> None:
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        self.tensors = {name: tensor.double() for name, tensor in load_file(folder / "model.safetensors").items()}
        self.traits = TRAITS[self.config.get("architectures", [self.config["model_type"]])[0]]
        self.heads: int = self.config["num_attention_heads"]
        self.key_heads: int = self.config["num_key_value_heads"]
        self.size: int = self.config.get("head_dim") or self.config["hidden_size"] // self.heads

    def logits(self, ids: Tensor, visible: Tensor, positions: Tensor) -> Tensor:
        """Raw logits (batch, length, vocab), float64.

        Args:
            ids: (batch, length), long.
            visible: (batch or 1, length, length), bool, True where a query (dim 1) sees a key (dim 2).
            positions: (batch, length), long; a token that sees itself is no padding.
        """
        self._real = visible.diagonal(dim1=1, dim2=2).expand(len(ids), -1)
        hidden = self.weight("embed_tokens.weight")[ids]
        for layer in range(self.config["num_hidden_layers"]):
            name = f"layers.{layer}."
            normed = self.normed(hidden, name + "input_layernorm")
            hidden = hidden + self.attention(normed, name, visible, positions)
            normed = self.normed(hidden, name + "post_attention_layernorm")
            hidden = hidden + self.feed_forward(normed, name, positions)
        hidden = self.normed(hidden, "norm")
        head = self.tensors.get(self.traits.head)
        return hidden @ (self.weight("embed_tokens.weight") if head is None else head).T

    def weight(self, name: str, default: bool = False) -> Tensor:
        for usual, own in self.traits.renamed.items():
            name = name.replace(usual, own)
        found = self.tensors.get(self.traits.prefix + name)
        if found is None and default:
            return torch.zeros((), dtype=torch.float64)
        assert found is not None, name
        return found

    def normed(self, hidden: Tensor, name: str) -> Tensor:
        scale = (hidden.square().mean(dim=-1, keepdim=True) + self.config["rms_norm_eps"]).sqrt()
        return hidden / scale * self.weight(name + ".weight")

    def linear(self, hidden: Tensor, name: str) -> Tensor:
        return hidden @ self.weight(name + ".weight").T + self.weight(name + ".bias", default=True)

    def attention(self, hidden: Tensor, layer: str, visible: Tensor, positions: Tensor) -> Tensor:
        batch, length, _ = hidden.shape
        if self.traits.experts == "sigmoid":
            fused = self.linear(hidden, layer + "attention.query_key_value")
            sizes = [self.heads * self.size, self.key_heads * self.size, self.key_heads * self.size]
            queries, keys, values = fused.split(sizes, dim=-1)
        else:
            queries, keys, values = (self.linear(hidden, f"{layer}self_attn.{one}_proj") for one in "qkv")
        queries, keys, values = (one.reshape(batch, length, -1, self.size) for one in (queries, keys, values))
        if self.traits.qk_norm:
            queries = self.normed(queries, layer + "self_attn.q_norm")
            keys = self.normed(keys, layer + "self_attn.k_norm")
        queries, keys = self.turned(queries, positions), self.turned(keys, positions)
        rope = self.config.get("rope_parameters") or {}
        if beta := rope.get("llama_4_scaling_beta"):
            steps = torch.floor(positions / rope["original_max_position_embeddings"]).double()
            queries = queries * (1 + beta * torch.log1p(steps))[:, :, None, None]
        out = torch.zeros_like(queries)
        for head in range(self.heads):
            mine = head * self.key_heads // self.heads
            scores = queries[:, :, head] @ keys[:, :, mine].transpose(1, 2) / math.sqrt(self.size)
            # A query of padding may see nothing; what becomes of it is nobody's concern.
            shares = scores.masked_fill(~visible, -1e9).softmax(dim=-1)
            out[:, :, head] = shares @ values[:, :, mine]
        return self.linear(out.flatten(2), layer + "self_attn.o_proj")

    def turned(self, vectors: Tensor, positions: Tensor) -> Tensor:
        """Rotary positions: number i of the first half of what turns goes with number i of the second."""
        turning = int(self.size * self.config.get("partial_rotary_factor", 1.0))
        frequencies, factor = self.frequencies(turning)
        angles = positions.double()[:, :, None, None] * frequencies
        one, other = vectors[..., : turning // 2], vectors[..., turning // 2 : turning]
        cos, sin = angles.cos() * factor, angles.sin() * factor
        return torch.cat([one * cos - other * sin, other * cos + one * sin, vectors[..., turning:]], dim=-1)

    def frequencies(self, turning: int) -> tuple[Tensor, float]:
        """Angle of a position in each plane, and what all are stretched by; YaRN (arXiv 2309.00071) where asked for."""
        rope = self.config.get("rope_parameters") or {}
        base = rope.get("rope_theta") or self.config["rope_theta"]
        planes = torch.arange(0, turning, 2).double()
        plain = base ** (-planes / turning)
        if rope.get("rope_type", "default") == "default":
            return plain, 1.0
        assert rope["rope_type"] == "yarn"
        assert rope["mscale"] == rope["mscale_all_dim"]  # then the two stretches cancel
        length, factor = rope["original_max_position_embeddings"], rope["factor"]

        def plane(rotations: float) -> float:
            """The plane that turns so often over the original length."""
            return turning * math.log(length / (rotations * 2 * math.pi)) / (2 * math.log(base))

        low = max(math.floor(plane(rope["beta_fast"])), 0)
        high = min(math.ceil(plane(rope["beta_slow"])), turning - 1)
        ramp = ((torch.arange(turning // 2).double() - low) / max(high - low, 1e-3)).clamp(0, 1)
        return plain * (1 - ramp) + plain / factor * ramp, 1.0

    def mlp(self, hidden: Tensor, name: str) -> Tensor:
        gate = self.linear(hidden, name + "gate_proj")
        return self.linear(gate * gate.sigmoid() * self.linear(hidden, name + "up_proj"), name + "down_proj")

    def feed_forward(self, hidden: Tensor, layer: str, positions: Tensor) -> Tensor:
        if self.traits.prefix + layer + "mlp.gate.weight" not in self.tensors:
            return self.mlp(hidden, layer + "mlp.")
        scores = hidden @ self.weight(layer + "mlp.gate.weight").T
        sigmoid = self.traits.experts == "sigmoid"
        scores = scores.sigmoid() if sigmoid else scores.softmax(dim=-1)
        out = torch.zeros_like(hidden)
        for row in range(hidden.shape[0]):
            for place in range(hidden.shape[1]):
                if sigmoid:
                    chosen = self.of_groups(scores, row, place, layer, positions)
                else:
                    chosen = scores[row, place].topk(self.config["num_experts_per_tok"]).indices.tolist()
                total = sum(float(scores[row, place, one]) for one in chosen)
                for one in chosen:
                    share = float(scores[row, place, one])
                    if sigmoid or self.config["norm_topk_prob"]:
                        share = share / total
                    share *= self.config.get("routed_scaling_factor", 1.0)
                    out[row, place] += share * self.mlp(hidden[row, place], f"{layer}mlp.experts.{one}.")
        return out + self.mlp(hidden, layer + "mlp.shared_experts.") if sigmoid else out

    def of_groups(self, scores: Tensor, row: int, place: int, layer: str, positions: Tensor) -> list[int]:
        """Experts of one token by sigmoid and bias: of the best groups, or of those that its block has chosen."""
        wanted = scores + self.weight(layer + "mlp.gate.expert_bias")
        mine, count = wanted[row, place], self.config["num_experts"]
        capacity = self.config.get("expert_capacity")
        if capacity is None:
            groups = mine.reshape(self.config["n_group"], -1)
            strength = groups.topk(2, dim=1).values.sum(dim=1)
            best = set(strength.topk(self.config["topk_group"]).indices.tolist())
            size = count // self.config["n_group"]
            allowed = [one for one in range(count) if one // size in best]
        else:
            block = positions[row] // self.config["block_size"]
            together = [
                other for other in range(len(block)) if block[other] == block[place] and bool(self._real[row, other])
            ] or [place]
            strength = wanted[row, together].max(dim=0).values
            allowed = sorted(range(count), key=lambda one: (-float(strength[one]), one))[:capacity]
        return sorted(allowed, key=lambda one: -float(mine[one]))[: self.config["num_experts_per_tok"]]
