"""A batch that rolls on: requests join it and leave it between blocks, as others finish.

The loop of `samplers` decodes the rows of a batch side by side, block by block, and what it does in a block hangs on
the finished blocks alone. So between two blocks a batch may be put together anew: rows whose answers have ended leave,
and the others go on as answers that are given in part (`prefill`), beside rows that have just come. Nothing comes out
differently, but for what hangs on the last bit of a logit.

Rows in one forward pass stand at the same block, so the rows that are under way are *groups*: of one length of answers,
one temperature and one number of finished blocks. The largest goes first, and of two of a size the one that is behind:
while it does, others gather at their first block, and when one has caught up with another, the two are one. A group
that was passed over a few times goes all the same, so that no answer waits for ever while others come in. A method
whose block is the whole answer has requests joining between answers, and the batch is what has come in meanwhile.

Three kinds of decoding cannot be taken up again in the middle, and keep their batch to the end: methods that revise
finished blocks, approximate caches, whose values hang on how a state was come to, and models with sessions of their
own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from benchmark.engine.requests import Request
from benchmark.models import HubModel, OwnModel
from benchmark.models.interface import TaskModel
from benchmark.models.memory import empty_caches, is_out_of_memory
from benchmark.models.prompts import pad_left
from benchmark.protocol.method import Method

# So many blocks of others a group waits for at most.
_PATIENCE = 4
_OUT_OF_MEMORY = "the memory is too small for a prompt of {prompt} and an answer of {new} tokens"
# Before a batch size is worked out, prompts are taken for this long; what turns out too large is halved.
_USUAL_PROMPT = 1024


def usual_batch_size(model: HubModel | OwnModel, prepared: TaskModel, new_tokens: int) -> int:
    """Rows of a forward pass that there is memory for, where nobody knows yet how long prompts will be.

    Args:
        model, prepared: the model; see `LogitsModel.for_task`.
        new_tokens: length of an answer.
    """
    context: int | None = model.context_length
    room = _USUAL_PROMPT if context is None else max(1, context - new_tokens)
    return model.batch_size(prepared, min(_USUAL_PROMPT, room), new_tokens)


class RollingBatch:
    """Answers requests with one model under one method.

    Args:
        prepared: the model; see `LogitsModel.for_task`.
        method: what answers are decoded with.
        batch_size: rows of a forward pass at most; halved where memory runs out.
        notice: called with a line where that happens.

    Attributes:
        waiting: requests that have no row yet.
        between_steps: called before each step; may abandon requests, or give them an error.
    """

    def __init__(
        self,
        prepared: TaskModel,
        method: Method,
        *,
        batch_size: int,
        notice: Callable[[str], None] = lambda line: None,
    ) -> None:
        from samplers import denoiser_for

        self.prepared, self.method, self.batch_size = prepared, method, batch_size
        self.waiting: deque[Request] = deque()
        self.between_steps: Callable[[], None] = lambda: None
        self._notice = notice
        self._groups: list[_Group] = []
        denoiser: Any = denoiser_for(prepared.model)
        mask = denoiser.mask_token_id if prepared.mask_token_id is None else prepared.mask_token_id
        if mask is None:
            raise ValueError("the model names no mask token, so nothing can be decoded with it")
        self._mask: int = mask
        self._can_regroup = _can_regroup(denoiser, method)

    @property
    def rows(self) -> int:
        """Requests that have a row."""
        return sum(len(group.rows) for group in self._groups)

    def join(self, requests: Iterable[Request]) -> None:
        """Let requests wait for rows; they get them in this order."""
        self.waiting.extend(requests)

    def go_on(self) -> list[Request]:
        """Decode a block of one group; returns the requests whose answers went on, ended or failed with it.

        Raises:
            RuntimeError: of the model, but for what says that memory ran out.
        """
        dropped = self._admit()
        if not self._groups:
            return dropped
        group = self._next_group()
        try:
            group.decode_block(self)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            failure: str | None = None
        except ValueError as error:
            failure = " ".join(str(error).split())
        else:
            return dropped + self._after_block(group)
        # Outside of the handler, which holds on to the tensors of the frames that failed.
        return dropped + self._split(group, failure)

    def drop_all(self) -> list[Request]:
        """Forget all requests; returns those that had not ended."""
        left = [*self.waiting, *(row for group in self._groups for row in group.rows if not row.is_over)]
        self.waiting.clear()
        self._groups.clear()
        return left

    def running(self, rows: list[Request]) -> _Running:
        """The loop over some rows that stand at the same block."""
        return _Running(rows, self.prepared, self.method, self._mask)

    def _admit(self) -> list[Request]:
        """Give free rows to requests that wait; returns those that nobody waits for any more."""
        dropped: list[Request] = []
        while self.waiting and self.rows < self.batch_size:
            request = self.waiting.popleft()
            if request.abandoned:
                dropped.append(request)
                continue
            request.start(self.method, self.method.build(request.temperature), self._mask)
            self._groups.append(_Group([request]))
        return dropped

    def _next_group(self) -> _Group:
        """The group whose turn it is."""
        self._unite()
        late = [group for group in self._groups if group.passed_over >= _PATIENCE]
        chosen = late[0] if late else min(self._groups, key=lambda group: (-len(group.rows), group.blocks))
        for group in self._groups:
            group.passed_over = 0 if group is chosen else group.passed_over + 1
        return chosen

    def _unite(self) -> None:
        """Make one group of those that have come equally far."""
        first: dict[Any, _Group] = {}
        for group in self._groups:
            other = first.setdefault(group.key, group)
            # A batch that is under way and cannot be put together anew takes nobody in.
            if other is group or (group.blocks and not self._can_regroup):
                continue
            if len(other.rows) + len(group.rows) <= self.batch_size:
                other.take_in(group)
            else:
                first[group.key] = group
        self._groups = [group for group in self._groups if group.rows]

    def _after_block(self, group: _Group) -> list[Request]:
        """Let rows that are done with leave; returns the rows that the block was decoded for."""
        told = [row for row in group.rows if row not in group.ended]
        left = [row for row in group.rows if not row.is_over]
        if not left:
            self._groups.remove(group)
        elif not self._can_regroup:
            group.ended = {row for row in group.rows if row.is_over}
        elif len(left) < len(group.rows):
            group.rows, group.running = left, None
        return told

    def _split(self, group: _Group, failure: str | None) -> list[Request]:
        """Decode the rows of a group again in smaller ones; returns those that failed for good."""
        rows = [row for row in group.rows if not row.is_over]
        self._groups.remove(group)
        group.running = None
        empty_caches()
        if len(rows) <= 1:
            for row in rows:
                row.is_too_large = failure is None
                row.error = failure or _OUT_OF_MEMORY.format(prompt=len(row.prompt), new=row.new_tokens)
            return rows
        size = 1 if failure else len(rows) // 2
        if failure is None:
            self.batch_size = min(self.batch_size, size)
            self._notice(f"{len(rows)} rows did not fit into memory; going on with {size} at a time")
        for row in rows:
            row.alone = failure is not None
            if self._can_regroup:
                row.set_noise_back()
            else:
                row.start(self.method, self.method.build(row.temperature), self._mask)
        parts = [_Group(rows[start : start + size]) for start in range(0, len(rows), size)]
        self._groups = parts + self._groups
        return []


class _Group:
    """Rows that are decoded side by side."""

    def __init__(self, rows: list[Request]) -> None:
        self.rows = rows
        self.running: _Running | None = None
        self.passed_over = 0
        #: Of a batch that stays together to the end, the rows that have ended already.
        self.ended: set[Request] = set()

    @property
    def blocks(self) -> int:
        """How many are finished."""
        return self.rows[0].blocks

    @property
    def key(self) -> tuple[Any, ...]:
        """Groups of one key can be one."""
        first = self.rows[0]
        return first.new_tokens, first.temperature, first.blocks, id(first) if first.alone else None

    def take_in(self, other: _Group) -> None:
        """Take the rows of another group."""
        self.rows, self.running = self.rows + other.rows, None
        other.rows = []

    def decode_block(self, batch: RollingBatch) -> None:
        """Decode a block of all rows, or what of it is wanted still."""
        if self.running is None:
            self.running = batch.running(self.rows)
        self.running.decode_block(batch.between_steps)


class _Running:
    """The loop of `samplers` over some rows, block by block.

    Args:
        rows: all at the same block, with the same length and temperature.
        prepared: the model.
        method: what they are decoded with.
        mask_token_id: the mask token.
    """

    def __init__(self, rows: list[Request], prepared: TaskModel, method: Method, mask_token_id: int) -> None:
        import torch

        from samplers import Decoding, GenerationArguments

        self._rows, self._prepared = rows, prepared
        self._before = [(row.rounds, row.passes) for row in rows]
        tokenizer, device = prepared.tokenizer, prepared.device
        # What stands there is masked, so that any token will do where the tokenizer has none for it.
        pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        input_ids, attention_mask = pad_left([row.prompt for row in rows], pad)
        given = torch.tensor([row.answer for row in rows]).to(device) if rows[0].blocks else None
        self._decoding = Decoding(
            GenerationArguments(
                prepared.model,
                input_ids.to(device),
                attention_mask=attention_mask.to(device),
                mask_token_id=mask_token_id,
                scheduler=method.build(rows[0].temperature),
                max_new_tokens=rows[0].new_tokens,
                block_length=method.decoded_block_length,
                cache=method.cache,
                prefill=given,
                generator=[row.noise.generators[0] for row in rows],
            )
        )
        self._looks = self._decoding.looks()
        self._asked: Any = next(self._looks, None)
        self._revises = getattr(method.build(rows[0].temperature), "scope", "window") == "sequence"

    def decode_block(self, between_steps: Callable[[], None]) -> None:
        """Decode up to the end of the block, unless nobody waits for any of the rows, and let the rows read it."""
        assert self._asked is not None
        window, step = self._asked.window, None
        while self._asked is not None and self._asked.window == window:
            between_steps()
            if all(row.is_over for row in self._rows):
                return
            view = self._decoding.look(self._asked)
            for row, unfinished in zip(self._rows, self._asked.unfinished, strict=True):
                row.noise.before_step(window[0], [unfinished])
            step = self._looks.send(view)
            self._asked = next(self._looks, None)
        assert step is not None
        self._read(step, window[1])

    def _read(self, step: Any, stop: int) -> None:
        tails = [0] * len(self._rows) if step.tails is None else step.tails[:, 0].tolist()
        rounds, passes = step.num_rounds.tolist(), step.num_forward_passes.tolist()
        for number, (row, tokens) in enumerate(zip(self._rows, step.sample.tolist(), strict=True)):
            row.blocks += 1
            if row.is_over:
                continue
            row.rounds = self._before[number][0] + rounds[number]
            row.passes = self._before[number][1] + passes[number]
            row.keep_noise()
            # Of what is revised nothing is final before the end.
            finished = stop - tails[number] if not self._revises or self._asked is None else 0
            row.read(tokens, finished, self._prepared)


def _can_regroup(denoiser: Any, method: Method) -> bool:
    from samplers.denoisers.adapters import ModelDenoiser

    scope = getattr(method.build(0.0), "scope", "window")
    own_session = hasattr(denoiser, "session") and not isinstance(denoiser, ModelDenoiser)
    return method.cache is None and scope == "window" and not own_session
