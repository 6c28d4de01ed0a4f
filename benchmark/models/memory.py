"""Memory of a device: how many rows fit, and whether an error says that it is full."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from .interface import TaskModel

_LARGEST_BATCH_ON_GPU = 128
# On a CPU a batch this large keeps all cores busy, and a larger one only takes memory.
_LARGEST_BATCH_ON_CPU = 32
_MEASURED_ROWS = 2
# The rest is for what a forward pass allocates beside what is counted here, and for other programs.
_SHARE_OF_GPU = 0.8
_SHARE_OF_CPU = 0.25
# Float32 copies of the logits that a scheduler holds at once, and activations of a layer in units of its width.
_COPIES_OF_LOGITS = 5
_ACTIVATIONS = 30


class RowDoesNotFit(ValueError):
    """The memory of a device is too small for a single row, at least now."""


def empty_caches() -> None:
    """Give back what failed frames or dropped weights held; called outside of the handler, which keeps frames alive."""
    import gc

    import torch

    from samplers.denoisers.graphs import drop_graphs

    drop_graphs()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of a GPU or of the host is used up."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # The host's allocator, the GPU libraries and Apple's backend raise plain RuntimeErrors.
    texts = ("can't allocate memory", "not enough memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(text in str(error) for text in texts)


def free_host_memory() -> int:
    """Bytes that a process can take without others being put out, as far as the system says."""
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (ValueError, OSError, AttributeError):
        return 4 << 30


def free_memory(device: Any) -> int:
    """Bytes that are free on a device of torch; of what has no memory of its own, those of the host."""
    import torch

    return torch.cuda.mem_get_info(device)[0] if torch.device(device).type == "cuda" else free_host_memory()


def automatic_batch_size(prepared: TaskModel, *, prompt_length: int, max_new_tokens: int) -> int:
    """Rows that one forward pass can take; what turns out too large is halved by the runner.

    On a GPU two rows are decoded for a step and their memory measured, on each GPU where a model lies on several; on a
    CPU, where nothing measures it, it is estimated from the sizes in the config.
    """
    import torch

    if torch.device(prepared.device).type == "cuda":
        measured = _measured(prepared, prompt_length, max_new_tokens)
        fitting = [torch.cuda.mem_get_info(gpu)[0] * _SHARE_OF_GPU / per_row for gpu, per_row in measured.items()]
        return max(1, min(_LARGEST_BATCH_ON_GPU, int(min(fitting))))
    per_row = bytes_of_row(prepared.model, prompt_length, max_new_tokens)
    return max(1, min(_LARGEST_BATCH_ON_CPU, int(free_host_memory() * _SHARE_OF_CPU / per_row)))


def _measured(prepared: TaskModel, prompt_length: int, max_new_tokens: int) -> dict[Any, int]:
    """GPU → bytes that a row takes there, at most; more than there can be where a row does not fit."""
    import torch

    from samplers import ConfidenceScheduler, generate

    def decode_rows() -> None:
        # A batch of one would be compiled for itself alone.
        prompt = torch.full((_MEASURED_ROWS, prompt_length), prepared.tokenizer.eos_token_id, device=prepared.device)
        # Most rows of a batch are padded, and then attention takes a mask, which takes memory.
        mask = torch.ones_like(prompt)
        mask[:, : min(1, prompt_length - 1)] = 0
        generate(
            prepared.model,
            prompt,
            attention_mask=mask,
            mask_token_id=prepared.mask_token_id,
            scheduler=ConfidenceScheduler(k=max_new_tokens),
            max_new_tokens=max_new_tokens,
            compile="off",
        )

    gpus = _gpus(prepared)
    taken: dict[Any, int] = {}
    try:
        # The first time, libraries set memory aside that they keep, however many rows follow.
        decode_rows()
        before = {gpu: torch.cuda.memory_allocated(gpu) for gpu in gpus}
        for gpu in gpus:
            torch.cuda.reset_peak_memory_stats(gpu)
        decode_rows()
        grown = {gpu: torch.cuda.max_memory_allocated(gpu) - before[gpu] for gpu in gpus}
        taken = {gpu: max(more // _MEASURED_ROWS, 1) for gpu, more in grown.items()}
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    torch.cuda.empty_cache()
    # What does not fit alone is tried alone, and refused there with the reason.
    return taken or dict.fromkeys(gpus, sys.maxsize)


def _gpus(prepared: TaskModel) -> list[Any]:
    """Where prompts go, and where weights lie."""
    import torch

    devices = [torch.device(prepared.device)]
    if isinstance(prepared.model, torch.nn.Module):
        devices += [parameter.device for parameter in prepared.model.parameters()]
    return list(dict.fromkeys(device for device in devices if device.type == "cuda"))


def bytes_of_row(model: Any, prompt_length: int, max_new_tokens: int) -> int:
    """Memory of the host that a row of a forward pass takes, estimated from the sizes in the model's config."""
    config = getattr(model, "config", None)

    def size(default: int, *names: str) -> int:
        found = (getattr(config, name, None) for name in names)
        return next((value for value in found if isinstance(value, int) and value > 0), default)

    width = size(4096, "hidden_size", "d_model")
    layers = size(32, "num_hidden_layers", "n_layers")
    length = prompt_length + max_new_tokens
    logits = max_new_tokens * size(32_000, "vocab_size") * 4 * _COPIES_OF_LOGITS
    return logits + length * width * 4 * (_ACTIVATIONS + 2 * layers)
