"""Records what `independent_models` says of tiny checkpoints of the families of 2026, for tests/golden/checkpoints.

    python tests/record_independent_logits.py

draws the weights too, from a fixed seed; a second run writes the same files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from independent_models import IndependentModel
from random_checkpoint import TINY_CONFIGS, write_checkpoint
from safetensors.torch import save_file
from torch import Tensor

TARGET = Path(__file__).resolve().parent / "golden" / "checkpoints"
MASK, END, SIZE = 31, 30, 32
_SMALLER = {
    "vocab_size": SIZE,
    "hidden_size": 16,
    "intermediate_size": 24,
    "mask_token_id": MASK,
    "eos_token_id": END,
    "pad_token_id": END,
}
_EXPERTS = {"moe_intermediate_size": 8, "num_experts": 8, "num_experts_per_tok": 2}
#: Folder → name among `TINY_CONFIGS` and what else its config says.
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "illada_b": ("illada", {}),
    "dream_reasoner_b": ("dream_reasoner", {"head_dim": 6}),
    "sdar_moe_b": ("sdar_moe", {"head_dim": 6, **_EXPERTS}),
    "rnd1_b": ("rnd1", {"head_dim": 6, **_EXPERTS}),
    "stable_diffcoder_b": ("stable_diffcoder", {}),
    "a2d_qwen3_mdlm_b": ("a2d_qwen3", {"head_dim": 6, "diffusion": "mdlm", "block_size": None}),
    "a2d_qwen2_bd3lm_b": ("a2d_qwen2", {"diffusion": "bd3lm", "block_size": 8}),
    "a2d_llama_bd3lm_b": ("a2d_llama", {"diffusion": "bd3lm", "block_size": 4, "attention_bias": True}),
    "nemotron_labs_diffusion_b": ("nemotron_labs_diffusion", {}),
    "parallelbench_b": ("parallelbench", {"head_dim": 6, "answer_start_token_id": 29}),
    # The tokens that ask for edits would have no logits.
    "llada2_2_b": ("llada2_2", {**_EXPERTS, "expert_capacity": 2, "delete_token_id": None, "split_token_id": None}),
}
_ATTENTIONS = {
    "illada": "full",
    "rnd1": "full",
    "nemotron_labs_diffusion": "causal_context",
    "parallelbench": "prompt_first",
}


def visible_to(attention: str, real: Tensor, block: int, start: int) -> tuple[Tensor, Tensor]:
    """A dense mask (batch, length, length) and positions (batch, length), one pair of tokens at a time.

    Args:
        attention: the family's.
        real: (batch, length), bool, False for padding.
        block: length of a block.
        start: where the open block starts, for "causal_context", or the answer, for "prompt_first".
    """
    batch, length = real.shape
    mask = torch.zeros(batch, length, length, dtype=torch.bool)
    positions = torch.zeros(batch, length, dtype=torch.long)
    for row in range(batch):
        places = [int(real[row, :column].sum()) for column in range(length)]
        positions[row] = torch.tensor(places)
        for query in range(length):
            for key in range(length):
                sees = {
                    "full": True,
                    "block_causal": places[key] // block <= places[query] // block,
                    "causal_context": query >= start or key <= query,
                    "prompt_first": query >= start or key < start,
                }[attention]
                mask[row, query, key] = sees and bool(real[row, key]) and bool(real[row, query])
    return mask, positions


def cases(attention: str, block: int) -> Iterator[dict[str, Any]]:
    """Name, kind, facts and tensors of what to record."""
    generator = torch.Generator().manual_seed(0)

    def tokens(batch: int, length: int) -> Tensor:
        ids = torch.randint(0, END, (batch, length), generator=generator)
        return torch.where(torch.rand(batch, length, generator=generator) < 0.4, MASK, ids)

    kind, parted = attention, attention in ("causal_context", "prompt_first")
    # Behind position 16 the tiny Nemotron scales its queries.
    for batch, length in ((1, 1), (1, 7), (2, 18)):
        facts = {"prompt_length": length // 2} if parted else {}
        yield {"name": f"{kind}_b{batch}_l{length}", "kind": kind, "input_ids": tokens(batch, length), **facts}
    real = torch.arange(9) >= torch.tensor([0, 2, 5])[:, None]
    padded = tokens(3, 9).masked_fill(~real, END)
    facts = {"prompt_length": 6} if parted else {}
    yield {"name": "leftpad", "kind": "padded", "input_ids": padded, "attention_mask": real.long(), **facts}
    if attention == "block_causal":
        ids = tokens(1, 2 * block + block // 2)
        for number, (past, stop) in enumerate(((0, block), (block, 2 * block), (2 * block, ids.shape[1]))):
            yield {
                "name": f"cached_{number}",
                "kind": "cached_block",
                "sequence": 0,
                "past": past,
                "input_ids": ids[:, past:stop],
                "whole": ids[:, :stop],
            }


def record(folder: Path, attention: str, block: int) -> None:
    """Write cases.json and cases.safetensors beside a checkpoint."""
    model = IndependentModel(folder)
    tensors, written = {}, []
    for case in cases(attention, block):
        ids, whole = case["input_ids"], case.pop("whole", case["input_ids"])
        real = case.get("attention_mask", torch.ones_like(whole)).bool()
        mask, positions = visible_to(attention, real, block, case.get("prompt_length", 0))
        logits = model.logits(whole, mask, positions)[:, -ids.shape[1] :].float()
        given = {"input_ids": ids.int(), "logits": logits}
        if case["kind"] == "padded":
            given |= {"attention_mask": real.int(), "logits": logits.masked_fill(~real[..., None], 0.0)}
        elif case["kind"] == "block_causal":
            given["attention_mask"] = mask[:, None]
        if attention == "block_causal":
            case["block_size"] = block
        tensors |= {f"{case['name']}.{role}": value.contiguous() for role, value in given.items()}
        facts = {key: value for key, value in case.items() if not isinstance(value, Tensor)}
        written.append({**facts, "tensors": {role: f"{case['name']}.{role}" for role in given}})
    save_file(tensors, folder / "cases.safetensors")
    facts = {"vocab_size": SIZE, "mask_token_id": MASK, "pad_token_id": END, "by": "tests/independent_models.py"}
    (folder / "cases.json").write_text(json.dumps({**facts, "cases": written}))


def main(target: Path = TARGET) -> None:
    """Write all folders."""
    for folder, (name, more) in CONFIGS.items():
        config = {key: value for key, value in (TINY_CONFIGS[name] | _SMALLER | more).items() if value is not None}
        write_checkpoint(target / folder, config, seed=3, std=0.5)
        attention = _ATTENTIONS.get(name, "full" if config.get("diffusion") == "mdlm" else "block_causal")
        record(target / folder, attention, config.get("block_size", 4))


if __name__ == "__main__":
    main()
