"""What the runner needs of a model, and how a user may ask for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from benchmark.protocol.questions import Row

if TYPE_CHECKING:
    from hub_dataset.fit import CountTokens


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How models with weights are to be loaded; the ideal model has none and ignores them.

    Attributes:
        dtype: `float32`, `bfloat16` or `float16`; None: float32 on a CPU, elsewhere the checkpoint's own.
        device: as torch names it, or `auto` for all GPUs together; None: the first GPU if there is one, else the CPU.
        revision: branch, tag or commit on the Hub for models that name none; None: the newest.
        compile: whether to compile the forward pass with `torch.compile`.
    """

    dtype: str | None = None
    device: str | None = None
    revision: str | None = None
    compile: bool = False


@dataclass(frozen=True, slots=True)
class TaskModel:
    """A model made ready for the rows of one task.

    Attributes:
        model: what `samplers.generate` drives.
        tokenizer: a transformers tokenizer with a chat template.
        device: where prompts have to be.
        stop_token_ids: what ends an answer; empty: the tokenizer's end token alone.
    """

    model: Any
    tokenizer: Any
    device: Any = "cpu"
    stop_token_ids: tuple[int, ...] = ()


class BenchmarkModel(Protocol):
    """What the runner needs of a model.

    Attributes:
        name: how results name it.
        default_temperature: of the proposals, unless the user says otherwise.
        concurrent: whether its tasks may be decoded side by side; weights that fill a device let one task at a time.
        has_weights: whether tokens per second say something about it.
        answer_length: tokens that an answer takes at least, whatever the task says, or None. A model that was trained
            on answers of one length, or whose tokens are short, needs that.
    """

    name: str
    default_temperature: float
    has_weights: bool
    answer_length: int | None

    @property
    def concurrent(self) -> bool: ...

    def record(self) -> dict[str, Any]:
        """What tells this model from others of its name, for a run's settings; nothing that costs loading it."""
        ...

    def check_task(self, rows: Sequence[Row], max_new_tokens: int) -> str | None:
        """Raise `ValueError` if the model cannot do this task; a line on what it can do in part only, or None.

        Told from the rows, in little time.
        """
        ...

    def token_counter(self) -> CountTokens | None:
        """Counts the tokens of answers as this model writes them; None where `check_task` sees to it that they fit."""
        ...

    def for_task(self, rows: Sequence[Row], max_new_tokens: int) -> TaskModel:
        """Make the model ready for these rows; where `concurrent`, in several threads at once."""
        ...

    def batch_size(self, prepared: TaskModel, prompt_length: int, max_new_tokens: int) -> int:
        """Rows per forward pass, as many as there is memory for."""
        ...

    def place(self) -> str:
        """What it runs on, in words."""
        ...

    def release(self) -> None:
        """Give its memory back; it may be made ready again."""
        ...
