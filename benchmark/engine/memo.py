"""What a model said of every state that some setting has come through, kept once."""

from __future__ import annotations

from typing import Any

#: Fields of a record that are numbers; its tokens are kept beside them.
_NUMBERS = ("confidence", "margin", "negative_entropy", "logit_gap")
_FIRST_ROOM = 256
# Of a key, its bytes aside: an object, its place in the table and its number.
_OVERHEAD = 200


class Memo:
    """Records of states by their keys, in tensors that grow; on the CPU.

    Args:
        new_tokens: tokens of an answer.
    """

    def __init__(self, new_tokens: int) -> None:
        self._new = new_tokens
        self._places: dict[bytes, int] = {}
        self._room = 0
        self._tokens: Any = None
        self._numbers: Any = None
        self._vocab_size = 0

    def __len__(self) -> int:
        return len(self._places)

    def place(self, key: bytes) -> tuple[int, bool]:
        """Where the record of a state is, or will be; and whether the state is a new one, to be written there."""
        found = self._places.get(key)
        if found is not None:
            return found, False
        self._places[key] = found = len(self._places)
        return found, True

    def write(self, places: list[int], record: Any) -> None:
        """Keep a `RecordedProposal` (states, new) at these places."""
        import torch

        if self._tokens is None:
            self._tokens = record.tokens.new_zeros(0, self._new, dtype=torch.int32)
            self._numbers = record.confidence.new_zeros(len(_NUMBERS), 0, self._new)
            self._vocab_size = record.vocab_size
        if len(self._places) > self._room:
            self._room = max(2 * self._room, _FIRST_ROOM, len(self._places))
            tokens, numbers = self._tokens, self._numbers
            self._tokens = tokens.new_empty(self._room, self._new)
            self._numbers = numbers.new_empty(len(_NUMBERS), self._room, self._new)
            self._tokens[: len(tokens)], self._numbers[:, : len(tokens)] = tokens, numbers
        index = torch.tensor(places)
        self._tokens[index] = record.tokens.int()
        for kept, name in zip(self._numbers, _NUMBERS, strict=True):
            kept[index] = getattr(record, name)

    def read(self, places: Any) -> Any:
        """The `RecordedProposal` (states, new) of what is kept at `places` (states,), long."""
        from samplers import RecordedProposal

        numbers = self._numbers.index_select(1, places)
        tokens = self._tokens.index_select(0, places).long()
        return RecordedProposal(tokens, **dict(zip(_NUMBERS, numbers, strict=True)), vocab_size=self._vocab_size)

    def forget(self) -> None:
        """Drop all records; places that were given out mean nothing any more."""
        self.__init__(self._new)  # type: ignore[misc]


def bytes_of_state(new_tokens: int) -> int:
    """Memory that a state takes in a memo, twice that of its record, because what grows is copied."""
    record = new_tokens * 4 * (1 + len(_NUMBERS))
    return 2 * record + 4 * (new_tokens + 1) + _OVERHEAD
