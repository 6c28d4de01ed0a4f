"""Settings that share states: a forward pass for every distinct one, whichever settings come through it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmark.engine.chunks import Chunk, NoModel, Standing, State, answers_of
from benchmark.engine.clock import WarmUp, decoding_time
from benchmark.engine.memo import bytes_of_state
from benchmark.engine.queues import StateQueues
from benchmark.engine.rows import Questions
from benchmark.engine.sent import SentBatch, some_states
from benchmark.models.interface import Answered, AnswerOptions, Sample
from benchmark.protocol.method import Method

#: Prompts of a model that sees no padding, to the last bit of a logit but for their length, take multiples of this.
_MULTIPLE = 16
# Questions of a chunk: enough for steps to be cheap, few enough for their states to be soon done with.
_LARGEST_CHUNK = 64
# Of the states that settings come through, so many are distinct at most on the tasks of the benchmark.
_DISTINCT = 1 / 3
# So many states keep a GPU busy: a batch of them need not wait for more, and takes no states of other lengths in.
_WORTH_A_PASS = 16
# Batches that are under way at once; a CPU has each done before the host goes on.
_MOST_SENT = {"cuda": 2, "cpu": 1}
# Where prompts of several lengths may go through together; on a CPU that would change the last bit of a logit.
_JOINS_LENGTHS = {"cuda"}


def shares_states(model: Any, scheduler: Any) -> bool:
    """Whether a scheduler's decisions hang on the state alone, and the model's answer to it on nothing else.

    A block-causal model keeps the keys of finished blocks, and a step runs one block of a few tokens: alone it takes
    less than the whole sequence would take that several settings share.
    """
    from samplers import StateReader, denoiser_for

    wants = getattr(scheduler, "wants", None)
    reads_little = wants is not None and not (wants.logits or wants.shadow_logits or wants.attentions)
    return reads_little and StateReader.reads(model) and getattr(denoiser_for(model), "grid_length", None) is None


class SharedStates:
    """Answers the questions of a task under many methods, with one forward pass for every distinct state.

    A state is a question and its partly decoded answer. What a greedy method reads of the model there, a token and a
    few numbers at each masked position, is the same for every method, so it is kept for as long as the chunk of
    questions is being decoded. Every setting's samples are those that it has alone.

    The rows of all methods go on until each waits for a state that nobody has come through; then a batch of these goes
    through the model: a full one where there are enough, of prompts of about one length, from several chunks, and first
    those that have most to go, so that the slowest settings are not left alone at the end. A GPU is sent the next batch
    while it has one in hand, and the host takes the steps that the one before allows.

    Args:
        questions: of the task.
        methods: all of which `shares_states`.
        options: of the run.
        temperature: of the proposals.
        batch_size: states of a forward pass.
        memory: bytes for the states that are kept.
        shrink: called with the size of a batch that found no memory; returns a smaller one, or raises.
    """

    def __init__(
        self,
        questions: Questions,
        methods: Sequence[Method],
        options: AnswerOptions,
        *,
        temperature: float,
        batch_size: int,
        memory: int,
        shrink: Callable[[int], int],
    ) -> None:
        import torch

        from samplers import denoiser_for

        self._questions, self._methods, self._options = questions, list(methods), options
        self._temperature, self._batch_size, self._shrink = temperature, batch_size, shrink
        prepared = questions.prepared
        self._model = NoModel(denoiser_for(prepared.model), prepared.mask_token_id)
        # A block's grid begins at the first token of a prompt, and of other models nobody knows what padding does.
        exact = isinstance(getattr(prepared.model, "attention", None), str) and self._model.grid_length is None
        multiple = _MULTIPLE if exact else 1
        self._lengths = [-(-len(prompt) // multiple) * multiple for prompt in questions.prompts]
        kind = torch.device(prepared.device).type
        # Where keys of prompts are kept, each length has a reader of its own.
        self._joins = kind in _JOINS_LENGTHS and exact and prepared.model.attention == "full"
        #: Of each reader, by its length, the questions whose prompts it has, and where each stands in it.
        self._of_reader: dict[int, dict[int, int]] = {}
        for index, length in enumerate(self._lengths):
            members = self._of_reader.setdefault(self._key(length), {})
            members[index] = len(members)
        self._readers: dict[int, Any] = {}
        self._most_states = max(1, memory // bytes_of_state(options.max_new_tokens))
        self._sent: deque[SentBatch] = deque()
        self._most_sent = _MOST_SENT.get(kind, 1)
        self._queue = StateQueues(self._lengths, joins=self._joins, fill=_WORTH_A_PASS)
        self._visited = self._told = 0
        self._clock, self._warm_up = _Clock(), WarmUp()

    def chunks(self) -> list[list[int]]:
        """Indices of questions that are decoded together, prompts of one length next to each other."""
        states = len(self._methods) * self._options.max_new_tokens * _DISTINCT
        size = max(1, min(_LARGEST_CHUNK, int(self._most_states / states)))
        order = sorted(range(len(self._lengths)), key=self._lengths.__getitem__)
        return [order[start : start + size] for start in range(0, len(order), size)]

    def answers(self) -> Iterator[Answered]:
        """Samples of a method and a chunk of questions, as they are finished."""
        waiting = deque(self.chunks())
        active: list[Chunk] = []
        ready: deque[tuple[Chunk, Standing]] = deque()
        self._clock.start()
        while waiting or active or ready:
            while ready:
                self._options.check_stop()
                chunk, standing = ready.popleft()
                if chunk.go_on(standing):
                    self._share_out(active, standing)
                    samples = self._samples(standing)
                    self._clock.pause()
                    seconds = float(standing.seconds.sum())
                    yield Answered(standing.cohort.method, samples, seconds, self._warm_up.since())
                    self._clock.start()
                else:
                    self._look_up(chunk, standing, ready)
                    # A GPU has to have something in hand while the host is busy here.
                    if self._most_sent > 1 and all(sent.is_there() for sent in self._sent):
                        self._send(worthwhile=True)
            active = self._still_active(active, waiting)
            if waiting and (not active or (len(active) == 1 and len(self._queue) < self._batch_size)):
                active.append(self._begin(waiting.popleft(), ready))
            elif active:
                self._keep_bounded(active)
                self._send()
                ready.extend(self._take_in())
        self._tell(0)

    def _still_active(self, active: list[Chunk], waiting: deque[list[int]]) -> list[Chunk]:
        """The chunks that are not finished; what was read of prompts that are done with is dropped."""
        left = [chunk for chunk in active if chunk.standing]
        if len(left) < len(active):
            open_questions = [index for chosen in (*(chunk.chosen for chunk in left), *waiting) for index in chosen]
            needed = {self._key(self._lengths[index]) for index in open_questions}
            self._readers = {length: reader for length, reader in self._readers.items() if length in needed}
        return left

    def _begin(self, chosen: list[int], ready: deque[tuple[Chunk, Standing]]) -> Chunk:
        chunk = Chunk(self._questions, chosen, self._methods, self._model, self._options, self._temperature)
        for standing in chunk.standing:
            self._look_up(chunk, standing, ready)
        return chunk

    def _look_up(self, chunk: Chunk, standing: Standing, ready: deque[tuple[Chunk, Standing]]) -> None:
        self._queue.put(chunk.look_up(standing))
        self._visited += sum(standing.cohort.asked.unfinished)
        if standing.waits_for == 0:
            ready.append((chunk, standing))

    def _keep_bounded(self, active: list[Chunk]) -> None:
        """Forget where more states are kept than there is memory for; what settings stand at is worked out again."""
        # What settings stand at has to be there whatever the memory, and once more, for them to get on.
        least = 2 * sum(len(chunk.standing) * len(chunk.chosen) for chunk in active)
        if sum(len(chunk.memo) for chunk in active) <= max(self._most_states, least):
            return
        self._sent.clear()
        self._queue.clear()
        for chunk in active:
            self._queue.put(chunk.forget())

    def _send(self, *, worthwhile: bool = False) -> None:
        """Send batches off, as long as each is worth a pass of its own.

        Args:
            worthwhile: whether to let fewer states wait even where the model has nothing in hand.
        """
        least = min(_WORTH_A_PASS, self._batch_size)
        while len(self._sent) < self._most_sent:
            queued = self._queue.ready()
            if not queued or ((self._sent or worthwhile) and queued < least):
                return
            states = self._queue.take(self._batch_size)
            sent = self._read(states)
            if sent is None:
                self._queue.put(states)
                self._batch_size = self._shrink(len(states))
            else:
                self._sent.append(sent)

    def _take_in(self) -> list[tuple[Chunk, Standing]]:
        """Wait for the batch that was sent first; returns the cohorts that can go on."""
        sent = self._sent.popleft()
        states, record = sent.states, sent.record()
        self._tell(len(states))
        ready: list[tuple[Chunk, Standing]] = []
        for chunk in dict.fromkeys(state.chunk for state in states):
            mine = [number for number, state in enumerate(states) if state.chunk is chunk]
            part = record if len(mine) == len(states) else some_states(record, mine)
            ready.extend((chunk, standing) for standing in chunk.write([states[n].place for n in mine], part))
        return ready

    def _read(self, states: list[State]) -> SentBatch | None:
        """Some states on their way through the model; None where memory ran out."""
        import torch

        from benchmark.models.memory import is_out_of_memory

        length = max(self._lengths[state.question] for state in states)
        try:
            reader, members = self._reader(length)
            prompts = torch.tensor([members[state.question] for state in states])
            return SentBatch(states, reader.read(prompts, answers_of(states), length))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None

    def _reader(self, length: int) -> tuple[Any, dict[int, int]]:
        """What reads states of prompts of this length, and which of its prompts each question has."""
        from samplers import StateReader

        key = self._key(length)
        if key not in self._readers:
            prepared = self._questions.prepared
            ids, mask = self._questions.padded(list(self._of_reader[key]), key)
            self._readers[key] = StateReader(
                prepared.model,
                ids.to(prepared.device),
                mask.to(prepared.device),
                max_new_tokens=self._options.max_new_tokens,
                mask_token_id=self._model.mask_token_id,
            )
        return self._readers[key], self._of_reader[key]

    def _key(self, length: int) -> int:
        """Of the reader of a length; where lengths are joined, one has all prompts, and shows what a batch takes."""
        return max(self._lengths) if self._joins else length

    def _tell(self, passes: int) -> None:
        self._options.counted(self._visited - self._told, passes)
        self._told = self._visited

    def _share_out(self, active: list[Chunk], finished: Standing) -> None:
        """Share the time since last time out among the states that rows have come through since."""
        everyone = [finished, *(standing for chunk in active for standing in chunk.standing)]
        visits = sum(int(standing.visits.sum()) for standing in everyone)
        price = self._clock.take() / max(visits, 1)
        for standing in everyone:
            standing.seconds += price * standing.visits
            standing.visits[:] = 0

    def _samples(self, standing: Standing) -> list[Sample]:
        return standing.cohort.samples(standing.seconds.tolist(), shared=True)


class _Clock:
    """A stopwatch, which stands still while something is compiled."""

    def __init__(self) -> None:
        self._taken, self._since = 0.0, 0.0

    def start(self) -> None:
        self._since = decoding_time()

    def pause(self) -> None:
        self._taken += decoding_time() - self._since

    def take(self) -> float:
        """Seconds since it was last asked, pauses not counted; it runs."""
        now = decoding_time()
        taken, self._taken, self._since = self._taken + now - self._since, 0.0, now
        return max(taken, 0.0)
