"""The exact denoiser: a model without weights whose conditionals are counts over the valid answers."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from .answers import answer_form, valid_answers
from .batches import Batch, RowRecord
from .borrowed import BorrowedTokenizer
from .encoding import encode_answers
from .patterns import AnswerPattern
from .tokenizer import ASSISTANT, token_id


@dataclass(frozen=True, slots=True)
class DenoiserOutput:
    """What a call of the denoiser returns.

    Attributes:
        logits: (batch, kept positions, vocabulary), float32: log-probabilities, −inf for what is impossible.
    """

    logits: Tensor


class ExactDenoiser:
    """The ideal model of ParallelBench (arXiv 2510.04767, sections 3 and 4), run like a masked language model.

    An answer is uniform over a row's tokenized valid answers, each filled up with end tokens to the generation length.
    The conditional of a position is the share of the answers with a given token there, among those that agree with
    every token revealed so far. At a dead end, where none agrees, it is the share among all valid answers. Revealed
    positions get their conditional like masked ones.

    Probabilities are ratios of exact integer counts, so a row's logits never depend on the rows beside it. Its tokens'
    ids do, as the vocabulary is that of all rows: a softmax over it may differ in the last bit.

    Attributes:
        mask_token_id, eos_token_id, pad_token_id: As in the tokenizer.
        vocab_size: Size of the last dimension of the logits.
        longest_answer: Tokens of the longest valid answer: the smallest generation length there is.
        block_length: None: blocks of any length will do.
        device: Where tensors have to be: the CPU.
    """

    block_length: int | None = None
    device = torch.device("cpu")

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast | BorrowedTokenizer, records: Mapping[bytes, RowRecord]
    ) -> None:
        self.mask_token_id: int = tokenizer.mask_token_id
        self.eos_token_id: int = tokenizer.eos_token_id
        self.pad_token_id: int = tokenizer.pad_token_id
        self.vocab_size = len(tokenizer)
        self.longest_answer = max(len(record.tokens) for record in records.values())
        self._generation_prompt_id: int = token_id(tokenizer, ASSISTANT)
        self._records = dict(records)
        self._batch: Batch | None = None
        most_answers = max(record.pattern.num_answers for record in records.values())
        # log 0 is −inf, which is the logit that an impossible token has.
        with np.errstate(divide="ignore"):
            self._log = torch.from_numpy(np.log(np.arange(most_answers + 1, dtype=np.float64)))

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Mapping[str, Any]],
        tokenizer: PreTrainedTokenizerFast | BorrowedTokenizer,
        *,
        max_new_tokens: int | None = None,
        include_input: bool = False,
        tie_noise: float = 0.0,
        tie_seed: int = 0,
    ) -> "ExactDenoiser":
        """The ideal model of some rows; it knows no others.

        Args:
            rows: Rows in the dataset's schema; `messages` and `reference` are read.
            tokenizer: From `build_tokenizer` on the same rows; with one token per item it gives the model of the closed
                forms. Or a `BorrowedTokenizer`, to decode the tokens of another model.
            max_new_tokens: The generation length it will be run with, to learn at once whether every answer fits. Calls
                may come with any other.
            include_input: Whether a shuffle may be the input itself, as the closed forms have it.
            tie_noise: Logits of the tokens that some answer has are raised by up to this much, at random, so that
                greedy decoding breaks ties at random (1e-4 is enough and moves no probability visibly). The noise
                depends on the seed, on a row's prompt and on how many of its tokens are revealed, on nothing else.
            tie_seed: Seed of that noise.

        Raises:
            ValueError: There are no rows, a row's answers cannot be enumerated or are longer than `max_new_tokens`, the
                tokenizer lacks a word, or two rows have the same prompt and different answers.
        """
        rows = list(rows)
        if not rows:
            raise ValueError("an exact denoiser needs at least one row, got none")
        if not 0.0 <= tie_noise < float("inf"):
            raise ValueError(f"tie_noise is a finite number of at least 0, got {tie_noise}")
        encoded: Any = tokenizer.apply_chat_template(
            [row["messages"] for row in rows], add_generation_prompt=True, return_dict=True
        )
        prompts: list[list[int]] = encoded["input_ids"]
        patterns: dict[bytes, AnswerPattern] = {}
        records: dict[bytes, RowRecord] = {}
        references: dict[bytes, Any] = {}
        for index, (row, prompt) in enumerate(zip(rows, prompts, strict=True)):
            key = _prompt_key(prompt)
            if key in records:
                if references[key] != row["reference"]:
                    raise ValueError(f"row {index} has the prompt of an earlier row, but another reference")
                continue
            try:
                answers = valid_answers(row["reference"], include_input=include_input)
                table = encode_answers(tokenizer, answers, answer_form(row["reference"]))
            except ValueError as error:
                raise ValueError(f"row {index}: {error}") from error
            longest = table.labels.shape[1]
            if max_new_tokens is not None and longest > max_new_tokens:
                raise ValueError(f"row {index}: its longest answer takes {longest} tokens, more than {max_new_tokens=}")
            fingerprint = repr(table.labels.shape).encode() + table.labels.tobytes()
            if fingerprint not in patterns:
                patterns[fingerprint] = AnswerPattern.from_labels(table.labels)
            noise_seed = _noise_seed(tie_seed, row["messages"]) if tie_noise else None
            records[key] = RowRecord.from_table(
                table, patterns[fingerprint], tie_noise=tie_noise, noise_seed=noise_seed
            )
            references[key] = row["reference"]
        return cls(tokenizer, records)

    def __call__(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        logits_to_keep: Tensor | int | None = None,
    ) -> DenoiserOutput:
        """Log-probabilities of tokens, given the prompt and what is revealed of the answer.

        Args:
            input_ids: (batch, length), long: prompts, padded on the left, each followed by the generated tokens, all of
                one length; `mask_token_id` where nothing is revealed yet.
            attention_mask: (batch, length), 0 at padding. Without it, leading pad tokens are padding.
            logits_to_keep: (kept,), long: the positions to return logits for; or a number of last positions. None and 0
                mean all. A prompt's positions have all probability on their own token.

        Returns:
            Logits of shape (batch, kept, vocab_size), float32.

        Raises:
            ValueError: A prompt is not among the rows' prompts, prompts end at different positions, or the generated
                part is shorter than a row's longest answer.
        """
        if input_ids.dim() != 2 or input_ids.dtype != torch.long or 0 in input_ids.shape:
            raise ValueError(
                f"input_ids has shape {tuple(input_ids.shape)} and dtype {input_ids.dtype}; "
                "expected (batch, length), long"
            )
        if attention_mask is not None and attention_mask.shape != input_ids.shape:
            raise ValueError(
                f"attention_mask has shape {tuple(attention_mask.shape)}; "
                f"expected that of input_ids, {tuple(input_ids.shape)}"
            )
        keep = _positions(logits_to_keep, input_ids.shape[1])
        distinct, place = torch.unique(keep, return_inverse=True)
        if len(distinct) < len(keep):
            return DenoiserOutput(self(input_ids, attention_mask, distinct).logits[:, place])
        batch = self._recognize(input_ids, attention_mask)
        generated_start = batch.prompt.shape[1]
        logits = batch.logits(input_ids[:, generated_start:], keep - generated_start, self.mask_token_id, self._log)
        of_prompt = (keep < generated_start).nonzero().squeeze(1)
        if len(of_prompt):
            tokens = input_ids[:, keep[of_prompt]].unsqueeze(2)
            logits[:, of_prompt] = torch.full_like(logits[:, of_prompt], -torch.inf).scatter_(2, tokens, 0.0)
        return DenoiserOutput(logits)

    def _recognize(self, input_ids: Tensor, attention_mask: Tensor | None) -> Batch:
        """The rows behind the prompts; the same batch as in the last call is not looked up again."""
        known = self._batch
        length = input_ids.shape[1]
        if known is not None and known.total_length == length:
            prompt = self._prompt(input_ids, attention_mask, known.prompt.shape[1])
            if torch.equal(prompt, known.prompt):
                return known
        prompt = self._prompt(input_ids, attention_mask, self._prompt_length(input_ids))
        batch = Batch(
            [self._record(row, ids) for row, ids in enumerate(prompt.numpy())],
            prompt=prompt,
            generation_length=length - prompt.shape[1],
            vocab_size=self.vocab_size,
            eos_token_id=self.eos_token_id,
        )
        self._batch = batch
        return batch

    def _prompt(self, input_ids: Tensor, attention_mask: Tensor | None, prompt_length: int) -> Tensor:
        """A copy of the prompts, with pad tokens where the mask says so."""
        prompt = input_ids[:, :prompt_length]
        if attention_mask is None:
            return prompt.clone()
        return prompt.masked_fill(attention_mask[:, :prompt_length] == 0, self.pad_token_id)

    def _prompt_length(self, input_ids: Tensor) -> int:
        ends_turn = input_ids == self._generation_prompt_id
        without = ~ends_turn.any(dim=1)
        if bool(without.any()):
            row = int(without.nonzero()[0])
            raise ValueError(f"row {row} of input_ids has no {ASSISTANT} token, with which every prompt ends")
        lengths = (input_ids.shape[1] - ends_turn.flip(1).int().argmax(dim=1)).tolist()
        if len(set(lengths)) > 1:
            raise ValueError(f"prompts end at positions {sorted(set(lengths))}; pad them on the left to one length")
        return int(lengths[0])

    def _record(self, row: int, prompt: np.ndarray) -> RowRecord:
        tokens = prompt != self.pad_token_id
        record = self._records.get(_prompt_key(prompt[int(tokens.argmax()) :]))
        if record is None:
            raise ValueError(
                f"row {row} of input_ids has a prompt that the ideal model does not know; "
                f"it knows only those of the {len(self._records)} rows it was built from"
            )
        return record


def _positions(logits_to_keep: Tensor | int | None, length: int) -> Tensor:
    """Absolute positions, following transformers' convention for whole numbers."""
    if isinstance(logits_to_keep, Tensor):
        if logits_to_keep.dim() != 1 or logits_to_keep.dtype != torch.long:
            raise ValueError(
                f"logits_to_keep has shape {tuple(logits_to_keep.shape)} and dtype {logits_to_keep.dtype}; "
                "expected a 1-D tensor of positions, long"
            )
        if len(logits_to_keep) and not 0 <= int(logits_to_keep.min()) <= int(logits_to_keep.max()) < length:
            raise ValueError(
                f"logits_to_keep names positions outside the sequence's {length}: {logits_to_keep.tolist()}"
            )
        return logits_to_keep
    last = logits_to_keep or length
    if not 0 < last <= length:
        raise ValueError(f"logits_to_keep={logits_to_keep} asks for more positions than the sequence's {length}")
    return torch.arange(length - last, length)


def _prompt_key(ids: Sequence[int] | np.ndarray) -> bytes:
    return np.asarray(ids, dtype=np.int64).tobytes()


def _noise_seed(tie_seed: int, messages: Any) -> int:
    # Of the prompt's text: the numbers of its tokens depend on what else is in the vocabulary.
    digest = hashlib.sha256(f"{tie_seed}/{json.dumps(messages, sort_keys=True)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
