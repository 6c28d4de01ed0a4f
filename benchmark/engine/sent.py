"""A batch of states on its way through the model, which a GPU works at while the host does something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.engine.chunks import State

_FIELDS = ("tokens", "confidence", "margin", "negative_entropy", "logit_gap")


class SentBatch:
    """States and what a model says of them, on its way to the host.

    Args:
        states: in the order of the record.
        record: a `RecordedProposal` (states, new) on the model's device.
    """

    def __init__(self, states: list[State], record: Any) -> None:
        import torch

        self.states, self._vocab_size = states, record.vocab_size
        fields = {name: getattr(record, name) for name in _FIELDS}
        self._there: Any = None
        if record.tokens.is_cuda:
            # Only a copy into pinned memory lets the host go on before it is done.
            pinned = {name: torch.empty_like(values, device="cpu", pin_memory=True) for name, values in fields.items()}
            for name, values in fields.items():
                pinned[name].copy_(values, non_blocking=True)
            fields = pinned
            self._there = torch.cuda.current_stream(record.tokens.device).record_event()
        self._fields = fields

    def is_there(self) -> bool:
        """Whether the record is on the host."""
        return self._there is None or bool(self._there.query())

    def record(self) -> Any:
        """The `RecordedProposal` on the host, once it is there."""
        from samplers import RecordedProposal

        if self._there is not None:
            self._there.synchronize()
        fields = {name: values.cpu() for name, values in self._fields.items()}
        return RecordedProposal(**fields, vocab_size=self._vocab_size)


def some_states(record: Any, chosen: list[int]) -> Any:
    """Some states of a record on the host."""
    from samplers import RecordedProposal

    fields = {name: getattr(record, name)[chosen] for name in _FIELDS}
    return RecordedProposal(**fields, vocab_size=record.vocab_size)
