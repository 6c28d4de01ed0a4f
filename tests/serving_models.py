"""Models of one's own for tests of server and lm-eval: one that is slow, full or broken, and one of few words."""

import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from tiny_models import save_tokenizer
from toy_denoiser import ToyDenoiser

#: What a prompt that the model cannot take holds.
POISON = "poison"
#: What the speaker says to every question, and how many tokens it takes for it.
SPOKEN = (
    "She sells 16 - 3 - 4 = 9 eggs a day, which makes $9 * 2 = $18.\n#### 18\n\nQuestion: How many ducks are there?"
)
SPOKEN_TOKENS = 128


class ToyModel(ToyDenoiser):
    """The toy denoiser in front of a real tokenizer.

    `delay` is the seconds of a forward pass, `most` the rows that fit into memory; `passes` keeps the rows of each.
    """

    max_position_embeddings = 128

    def __init__(self, tokenizer: Any, delay: float, most: int) -> None:
        super().__init__(vocab_size=len(tokenizer) + 1)
        self.delay, self.most = delay, most
        self.passes: list[int] = []
        self._poison = tokenizer(POISON, add_special_tokens=False)["input_ids"]
        self._end = tokenizer.eos_token_id

    def forward(self, input_ids: torch.Tensor, attention_mask: Any = None, **unused: Any) -> Any:
        if len(input_ids) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        self.passes.append(len(input_ids))
        time.sleep(self.delay)
        # Padding moves nothing: each row stands where it stands alone.
        rows = []
        for row in range(len(input_ids)):
            real = slice(None) if attention_mask is None else attention_mask[row].bool()
            logits = torch.zeros(input_ids.shape[1], self.vocab_size)
            ids = input_ids[row][real]
            if self._poison == [token for token in ids.tolist() if token in self._poison][: len(self._poison)]:
                raise ZeroDivisionError("a bug of somebody's own")
            logits[real] = super().forward(ids[None]).logits[0]
            rows.append(logits)
        logits = torch.stack(rows)
        # Answers take all their tokens.
        logits[..., self._end] = -torch.inf
        return type("Output", (), {"logits": logits})


def toy(delay: float = 0.0, most: int = 1000) -> tuple[ToyModel, Any]:
    """Model and tokenizer."""
    with tempfile.TemporaryDirectory() as directory:
        tokenizer = save_tokenizer(Path(directory), vocabulary=300)
    return ToyModel(tokenizer, delay, most), tokenizer


class Speaker(torch.nn.Module):
    """Says `SPOKEN`, and end tokens behind it, in the last `SPOKEN_TOKENS` positions of every row."""

    def __init__(self, tokenizer: Any) -> None:
        super().__init__()
        tokens = tokenizer(SPOKEN, add_special_tokens=False)["input_ids"]
        self.said = torch.tensor(tokens + [tokenizer.eos_token_id] * (SPOKEN_TOKENS - len(tokens)))
        self.vocab_size, self.mask_token_id = len(tokenizer), tokenizer.mask_token_id

    def forward(self, input_ids: torch.Tensor, attention_mask: Any = None, **unused: Any) -> Any:
        logits = torch.zeros(*input_ids.shape, self.vocab_size)
        logits[:, -SPOKEN_TOKENS:].scatter_(2, self.said.expand(len(input_ids), -1)[..., None], 20.0)
        return type("Output", (), {"logits": logits})


def speaker() -> tuple[Speaker, Any]:
    """Model and tokenizer."""
    with tempfile.TemporaryDirectory() as directory:
        tokenizer = save_tokenizer(Path(directory))
    return Speaker(tokenizer), tokenizer
