"""Modules of a user's own for tests: a tiny model, written into a directory and imported from there by name."""

import gc
import sys
from pathlib import Path

NETWORK = """
import torch
from types import SimpleNamespace


class TinyNet(torch.nn.Module):
    def __init__(self, vocabulary, size, mask_token_id):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary, size)
        self.output = torch.nn.Linear(size, vocabulary)
        self.mask_token_id = mask_token_id

    def forward(self, input_ids):
        return SimpleNamespace(logits=self.output(self.embedding(input_ids)))
"""

FACTORY = '''
import torch
from benchmark.ideal import build_tokenizer
from benchmark.protocol.questions import load_rows
from own_network import TinyNet


def tiny(size=4, seed=0):
    torch.manual_seed(seed)
    tokenizer = build_tokenizer(load_rows("waiting_line_copy", 4))
    return TinyNet(len(tokenizer), size, tokenizer.mask_token_id), tokenizer


class Always:
    """A `Denoiser`: always the end token."""

    mask_token_id = block_length = None

    def __init__(self, vocabulary, end):
        self.vocabulary, self.end = vocabulary, end

    def window_logits(self, input_ids, attention_mask, start, stop):
        logits = torch.zeros(len(input_ids), stop - start, self.vocabulary)
        logits[..., self.end] = 5
        return logits


def denoiser():
    tokenizer = build_tokenizer(load_rows("waiting_line_copy", 4))
    return Always(len(tokenizer), tokenizer.eos_token_id), tokenizer


def broken():
    raise KeyError("weights")


def no_template():
    model, tokenizer = tiny()
    tokenizer.chat_template = None
    return model, tokenizer


def no_mask():
    model, tokenizer = tiny()
    model.mask_token_id = tokenizer.mask_token = None
    return model, tokenizer


def short():
    model, tokenizer = tiny()
    model.max_position_embeddings = 20
    return model, tokenizer


def only_a_model():
    return tiny()[0]


def no_logits():
    model, tokenizer = tiny()
    return model.embedding, tokenizer
'''

RULE = """
from samplers import QuotaScheduler
from samplers.schedulers.state import SampleState


class Forgetful(QuotaScheduler):
    def select(self, step, scores):
        return {}["forgotten"]


class Counting(QuotaScheduler):
    # A memory of its own that does not name what the base classes count.

    def _new_state(self):
        return SampleState({"seen": 0})

    def select(self, step, scores):
        self._state["seen"] = self._state["seen"] + 1
        return super().select(step, scores)


class Choosy(QuotaScheduler):
    def __init__(self, k=1, temperature=0.0, low=0.5):
        super().__init__(k=k, temperature=temperature)
        if low > 1:
            raise ValueError("low should be at most 1")
"""

MODULES = {"own_network": NETWORK, "own_factory": FACTORY, "own_rule": RULE}


def write_modules(directory: Path, **changed: str) -> None:
    """Write all modules, those that are named with another text, and forget those that were imported."""
    for name, text in (MODULES | changed).items():
        (directory / f"{name}.py").write_text(text, encoding="utf-8")
    forget_modules()


def forget_modules() -> None:
    """As in a new process."""
    from importlib import invalidate_caches

    for name in MODULES:
        sys.modules.pop(name, None)
    gc.collect()
    invalidate_caches()


def line_of(module: str, text: str) -> int:
    """The line on which a text stands in a module, from 1."""
    return next(number for number, line in enumerate(MODULES[module].splitlines(), 1) if text in line)
