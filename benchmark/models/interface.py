"""What a run needs of a model: questions in, samples out; and how a user may ask for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NotRequired, Protocol, TypedDict, runtime_checkable

from benchmark.protocol.method import Method
from benchmark.protocol.questions import Row

if TYPE_CHECKING:
    from hub_dataset.fit import CountTokens


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How models with weights are to be loaded, and services asked; the ideal model is neither and ignores them.

    Attributes:
        dtype: `float32`, `bfloat16` or `float16`; None: float32 on a CPU, elsewhere the checkpoint's own.
        device: as torch names it, or `auto` for all GPUs together; None: the first GPU if there is one, else the CPU.
        revision: branch, tag or commit on the Hub for models that name none; None: the newest.
        compile: whether to compile the forward pass with `torch.compile`; None: on a GPU where that pays.
        quantization: `int8` or `fp8` weights, see `benchmark.models.quantization`; None: as in the checkpoint.
        chat_options: what chat templates are told beside the messages, name → value as JSON has it, such as
            `enable_thinking`.
        base_url: address of the server that services without one in their names are asked at, up to `/v1`.
        concurrency: requests that a service has in flight at once.
        timeout: seconds of silence after which a request to a service is given up, and made again.
        request_log: file that requests to services and their answers are added to, a line each; None: nowhere.
        of_workers: what workers load weights on, `cuda` or `cpu`, where this process only says what they are to load.
        chats: whether questions are put as chats, for which a tokenizer needs a chat template.
    """

    dtype: str | None = None
    device: str | None = None
    revision: str | None = None
    compile: bool | None = False
    quantization: str | None = None
    chat_options: Mapping[str, Any] = field(default_factory=dict)
    base_url: str | None = None
    concurrency: int = 16
    timeout: float = 300.0
    request_log: Path | None = None
    of_workers: str | None = None
    chats: bool = True


class Sample(TypedDict):
    """One answer to a question, and what it cost; `new_sample` makes one, `failed_sample` one that is none.

    `num_tokens` are generated tokens with all that follows the answer's end, `num_answer_tokens` those before it, and
    `num_item_tokens` those of them that have letters or digits. `commit_steps` has for each generated token the step,
    counted from 1, at which it was committed for the last time, and `tokens` the texts of those up to the answer's end,
    and of the end token. `num_rounds` says how often the answer waited for the
    model, `num_forward_passes` how many states of it went through it: they differ where a method looks at several
    drafts at once. `tokens_per_step` are tokens per round. These three are None where nobody knows them, as of most
    services.

    `seconds` is the answer's share of the time that the run took, and `shared` says whether its forward passes served
    other settings too. A service's answers have the seconds from the request to their first and to their last token.
    `error` says why there is no answer. Such a sample has no scores, and its question is asked again by the next run.
    The run adds what tells the question from others of its id, and the scores when the metric has given them.
    """

    id: str
    length: int
    prediction: str
    num_tokens: int
    num_forward_passes: int | None
    num_rounds: NotRequired[int | None]
    tokens_per_step: float | None
    num_answer_tokens: NotRequired[int]
    num_item_tokens: NotRequired[int]
    commit_steps: NotRequired[list[int]]
    tokens: NotRequired[list[str]]
    seconds: NotRequired[float]
    seconds_to_first_token: NotRequired[float]
    seconds_to_last_token: NotRequired[float]
    error: NotRequired[str]
    shared: NotRequired[bool]
    question_checksum: NotRequired[str]
    scores: NotRequired[dict[str, float]]


def new_sample(
    question: Row,
    prediction: str,
    *,
    num_tokens: int,
    num_forward_passes: int | None,
    num_answer_tokens: int,
    num_item_tokens: int | None = None,
    num_rounds: int | None = None,
    commit_steps: list[int] | None = None,
    tokens: list[str] | None = None,
    seconds: float | None = None,
    shared: bool | None = None,
) -> Sample:
    """The sample of an answer to `question`.

    Forward passes are None where nobody knows how many there were; where `num_rounds` is None, each was a round.
    """
    rounds = num_forward_passes if num_rounds is None else num_rounds
    sample: Sample = {
        "id": question["id"],
        "length": question["length"],
        "prediction": prediction,
        "num_tokens": num_tokens,
        "num_forward_passes": num_forward_passes,
        "num_rounds": rounds,
        "tokens_per_step": None if rounds is None else num_tokens / rounds,
        "num_answer_tokens": num_answer_tokens,
    }
    if num_item_tokens is not None:
        sample["num_item_tokens"] = num_item_tokens
    if commit_steps is not None:
        sample["commit_steps"] = commit_steps
    if tokens is not None:
        sample["tokens"] = tokens
    if seconds is not None:
        # Microseconds: more digits say nothing, and take room.
        sample["seconds"] = round(seconds, 6)
    if shared is not None:
        sample["shared"] = shared
    return sample


def failed_sample(question: Row, reason: str) -> Sample:
    """The sample of a question that got no answer, in one line of why."""
    sample = new_sample(question, "", num_tokens=0, num_forward_passes=None, num_answer_tokens=0)
    sample["error"] = reason
    return sample


class Answered(NamedTuple):
    """Some questions answered under one method.

    Attributes:
        method: the method.
        samples: the answers.
        seconds: that decoding took.
        warm_up: seconds of compiling and capturing that came on top.
    """

    method: Method
    samples: list[Sample]
    seconds: float
    warm_up: float = 0.0


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """How questions are to be answered, beside the method.

    Attributes:
        max_new_tokens: length of an answer.
        temperature: of the proposals; None: the model's own.
        seed: another one gives other samples.
        batch_size: rows of a forward pass, which changes no answer; None: as many as there is memory for.
        sharing: whether settings that stand at the same state share its forward pass, which changes no answer either.
        memory: gigabytes of the host for the states that are kept and, on a CPU, the batch; None: by what is free.
        check_stop: called now and then; raises where the run is to stop.
        notice: called with a line about something that the user should know and that stops nothing.
        counted: called now and then with how many states settings have come through since, and how many of them went
            through the model.
    """

    max_new_tokens: int
    temperature: float | None = None
    seed: int = 0
    batch_size: int | None = None
    sharing: bool = True
    memory: float | None = None
    check_stop: Callable[[], None] = field(default=lambda: None)
    notice: Callable[[str], None] = field(default=lambda line: None)
    counted: Callable[[int, int], None] = field(default=lambda states, passes: None)


@runtime_checkable
class AnswersQuestions(Protocol):
    """The seam between a run and whatever answers its questions."""

    def answers(
        self, questions: Sequence[Row], methods: Sequence[Method], options: AnswerOptions
    ) -> Iterator[Answered]:
        """Answer each of the questions, which are of one task, under each of the methods, in any order.

        Samples are told as they are finished, so that a run that stops has lost little. All methods are given at once
        because they may share work: the prompts, and the states that several of them come through.

        Raises:
            ValueError: a question or a method is refused.
        """
        ...


class BenchmarkModel(Protocol):
    """What a run has to know of a model, whichever way it answers: it is an `AnswersQuestions` or a `LogitsModel`.

    Attributes:
        name: how results name it.
        concurrent: whether its tasks may be answered side by side; weights that fill a device let one task at a time.
        has_weights: whether tokens per second say something about it.
        answer_length: tokens that an answer takes at least, whatever the task says, or None. A model that was trained
            on answers of one length, or whose tokens are short, needs that.
    """

    name: str
    has_weights: bool

    @property
    def answer_length(self) -> int | None: ...

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

    def device_name(self) -> str:
        """What it runs on, in words."""
        ...

    def release(self) -> None:
        """Give its memory back; it may be asked again."""
        ...


@dataclass(frozen=True, slots=True)
class TaskModel:
    """A model with logits made ready for the rows of one task.

    Attributes:
        model: what `samplers.generate` drives.
        tokenizer: a transformers tokenizer with a chat template.
        device: where prompts have to be.
        stop_token_ids: what ends an answer; empty: the tokenizer's end token alone.
        chat_options: what the chat template is told beside the messages.
        mask_token_id: of the model, where it does not name it itself.
    """

    model: Any
    tokenizer: Any
    device: Any = "cpu"
    stop_token_ids: tuple[int, ...] = ()
    chat_options: Mapping[str, Any] = field(default_factory=dict)
    mask_token_id: int | None = None


class LogitsModel(BenchmarkModel, Protocol):
    """A model that gives logits, with which `benchmark.engine.worker` answers questions.

    Attributes:
        default_temperature: of the proposals, unless the user says otherwise.
        draws: whether it draws something itself, by the seed that `for_task` is given; else it gives the same logits
            for the same tokens.
    """

    default_temperature: float
    draws: bool

    def for_task(self, rows: Sequence[Row], max_new_tokens: int, seed: int = 0) -> TaskModel:
        """Make the model ready for these rows; where `concurrent`, in several threads at once.

        `seed` is the run's, for a model that draws something itself.
        """
        ...

    def batch_size(self, prepared: TaskModel, prompt_length: int, max_new_tokens: int) -> int:
        """Rows per forward pass, as many as there is memory for."""
        ...
