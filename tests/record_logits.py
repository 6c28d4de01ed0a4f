"""Records the logits of a model's original implementation, as a proof for its loader.

    python tests/record_logits.py CHECKPOINT TARGET --class package.module:ClassName [--blocks 4 8]
    python tests/record_logits.py CHECKPOINT TARGET --trust-remote-code

CHECKPOINT is a directory with a tiny model of the family, random weights and all; TARGET becomes a folder in the format
of tests/golden/checkpoints, which tests/recorded_logits.py reads. Run it where the original code runs: it needs torch,
safetensors and that code, and nothing of this project.
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

LENGTHS = (1, 7, 16, 33)


def original(folder: Path, class_path: str | None, trust_remote_code: bool) -> Any:
    """The model by its own code, float32, in eval mode."""
    if class_path is not None:
        module, _, name = class_path.partition(":")
        return getattr(importlib.import_module(module), name).from_pretrained(folder).float().eval()
    if not trust_remote_code:
        raise SystemExit("name the model's class with --class module:ClassName, or pass --trust-remote-code")
    import transformers

    names = json.loads((folder / "config.json").read_text())["auto_map"]
    kind = next(kind for kind in ("AutoModelForMaskedLM", "AutoModelForCausalLM", "AutoModel") if kind in names)
    model = getattr(transformers, kind).from_pretrained(folder, trust_remote_code=True)
    return model.float().eval()


def inputs(vocab_size: int, mask: int, pad: int, blocks: list[int], seed: int) -> Iterator[dict[str, Any]]:
    """The cases to record: name, kind, facts about them, and their tensors."""
    generator = torch.Generator().manual_seed(seed)

    def tokens(batch: int, length: int, masked: float) -> Tensor:
        ids = torch.randint(0, min(mask, pad), (batch, length), generator=generator)
        return torch.where(torch.rand(batch, length, generator=generator) < masked, mask, ids)

    shares = (0.0, 0.3, 0.6, 0.9)
    for number, (batch, length) in enumerate((batch, length) for batch in (1, 3) for length in LENGTHS):
        ids = tokens(batch, length, shares[number % len(shares)])
        if not blocks:
            yield {"name": f"full_{number}_b{batch}_l{length}", "kind": "full", "input_ids": ids}
        for block in blocks:
            places = torch.arange(length) // block
            visible = (places[:, None] >= places)[None, None]
            name = f"block{block}_{number}_b{batch}_l{length}"
            yield {
                "name": name,
                "kind": "block_causal",
                "block_size": block,
                "input_ids": ids,
                "attention_mask": visible,
            }
    if not blocks:
        for number, length in enumerate((16, 7)):
            mask_2d = (torch.arange(length) >= torch.tensor([0, 2, length // 2])[:, None]).long()
            ids = tokens(3, length, 0.4).masked_fill(mask_2d == 0, pad)
            yield {
                "name": f"leftpad_{number}_b3_l{length}",
                "kind": "padded",
                "input_ids": ids,
                "attention_mask": mask_2d,
            }


@torch.no_grad()
def record(model: Any, case: dict[str, Any], positions: bool) -> Tensor:
    """Raw logits of one case; those of padding are stored as zeros."""
    arguments = {}
    if "attention_mask" in case:
        arguments["attention_mask"] = case["attention_mask"]
        if positions and case["kind"] == "padded":
            arguments["position_ids"] = (case["attention_mask"].cumsum(dim=1) - 1).clamp(min=0)
    logits: Tensor = model(case["input_ids"], **arguments).logits.float()
    if case["kind"] == "padded":
        logits = logits.masked_fill(case["attention_mask"][..., None] == 0, 0.0)
    return logits


def main(arguments: list[str] | None = None) -> None:
    """Write TARGET."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--class", dest="class_path", help="module:ClassName of the original implementation")
    parser.add_argument("--trust-remote-code", action="store_true", help="run the Python files in CHECKPOINT")
    parser.add_argument("--blocks", type=int, nargs="*", default=[], help="block lengths, for a block-causal family")
    parser.add_argument("--position-ids", action="store_true", help="pass position ids with padded batches")
    parser.add_argument("--mask-token-id", type=int, help="default: the config's")
    parser.add_argument("--pad-token-id", type=int, help="default: the config's")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    config = json.loads((options.checkpoint / "config.json").read_text())
    mask = config.get("mask_token_id") if options.mask_token_id is None else options.mask_token_id
    pad = config.get("pad_token_id") if options.pad_token_id is None else options.pad_token_id
    if mask is None or pad is None:
        raise SystemExit("the config names no mask or padding token: pass --mask-token-id and --pad-token-id")
    model = original(options.checkpoint, options.class_path, options.trust_remote_code)
    vocab_size = config.get("embedding_size") or config["vocab_size"]
    cases, tensors = [], {}
    for case in inputs(vocab_size, mask, pad, options.blocks, options.seed):
        logits = record(model, case, options.position_ids)
        given = {role: value for role, value in case.items() if isinstance(value, Tensor)} | {"logits": logits}
        for role, value in given.items():
            kept = value if value.dtype in (torch.bool, torch.float32) else value.to(torch.int32)
            tensors[f"{case['name']}.{role}"] = kept.contiguous()
        facts = {key: value for key, value in case.items() if not isinstance(value, Tensor)}
        names = {role: f"{case['name']}.{role}" for role in given}
        cases.append({**facts, "tensors": names, "shape": list(logits.shape)})
    options.target.mkdir(parents=True, exist_ok=True)
    save_file(tensors, options.target / "cases.safetensors")
    facts = {"vocab_size": vocab_size, "mask_token_id": mask, "pad_token_id": pad, "torch": torch.__version__}
    facts |= {"logits": "raw output of the head, not shifted", "seed": options.seed, "cases": cases}
    (options.target / "cases.json").write_text(json.dumps(facts, indent=1) + "\n")
    for path in options.checkpoint.iterdir():
        if path.name.startswith(("config", "generation_config", "model")) and path.suffix != ".py":
            shutil.copy(path, options.target / path.name)
    print(f"{len(cases)} cases in {options.target}")


if __name__ == "__main__":
    main()
