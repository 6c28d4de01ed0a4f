"""An autoregressive model in process: transformers' `generate` in batches, as a baseline that takes no server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from benchmark.protocol.method import Method
from benchmark.protocol.operating_points import AUTOREGRESSIVE, IN_PROCESS
from benchmark.protocol.questions import Row

from .hub import HubModel
from .interface import Answered, AnswerOptions, ModelOptions, Sample, new_sample
from .memory import RowDoesNotFit, empty_caches, free_memory, is_out_of_memory
from .noise import noise_source

#: Tokens that an answer may take at most where nobody says; an end token ends it before (arXiv 2510.04767).
ANSWER_LENGTH = 1024
_LARGEST_BATCH = {"cpu": 16, "cuda": 64}
_SHARE_OF_MEMORY = 0.5


class AutoregressiveModel(HubModel):
    """Any model that transformers' `AutoModelForCausalLM` loads, greedy unless the user says otherwise.

    Prompts are those that diffusion models get, padded on the left. Nothing of what the checkpoint recommends for its
    generation is used (penalties, top-k, temperature), but its end tokens. At a temperature every row has noise of its
    own, so that answers do not depend on what else is in a batch.

    Args:
        source: a directory, `owner/name` on the Hub, or `owner/name@revision`.
        options: dtype, device, revision and what the chat template is told.

    Raises:
        ValueError: there is no such model, it is not causal, or the device does not exist.
    """

    def __init__(self, source: str, options: ModelOptions) -> None:
        super().__init__(source, options, name=f"{IN_PROCESS}{source}", answer_length=ANSWER_LENGTH)
        _check_causal(self._config, source)
        if options.compile:
            raise ValueError(f"--compile: {self.name} is decoded by transformers, which does not compile it here")
        if options.quantization is not None:
            raise ValueError(f"--quantization: {self.name} is decoded by transformers; quantise its checkpoint instead")
        self._fitting: int | None = None

    # Tasks come one after the other: the weights have the device to themselves.
    concurrent = False
    # By transformers, as it stands.
    compiled = False

    def answers(
        self, questions: Sequence[Row], methods: Sequence[Method], options: AnswerOptions
    ) -> Iterator[Answered]:
        """Batch by batch, prompts of like length together; a batch that does not fit into memory is halved.

        Raises:
            ValueError: a method is another than `autoregressive`, or a single row does not fit into memory.
        """
        from .prompts import tokenize_prompts

        other = next((method for method in methods if method.name != AUTOREGRESSIVE), None)
        if other is not None:
            raise ValueError(f"{self.name} is not run with {other}; name {AUTOREGRESSIVE}")
        model = self._loaded()
        prompts = tokenize_prompts(self.tokenizer, questions, self.chat_options)
        # Padding costs what tokens cost.
        order = sorted(range(len(questions)), key=lambda place: -len(prompts[place]))
        size = self._rows_at_a_time(model, len(prompts[order[0]]), options)
        for method in methods:
            done = 0
            while done < len(order):
                options.check_stop()
                places = order[done : done + size]
                started = time.monotonic()
                found = self._answer(
                    model, [questions[place] for place in places], [prompts[place] for place in places], method, options
                )
                if found is None:
                    size = self._halved(len(places), len(prompts[places[0]]), options)
                    continue
                seconds = time.monotonic() - started
                for sample in found:
                    sample["seconds"] = round(seconds / len(found), 6)
                yield Answered(method, found, seconds)
                done += len(places)

    def _answer(
        self, model: Any, rows: Sequence[Row], prompts: list[list[int]], method: Method, options: AnswerOptions
    ) -> list[Sample] | None:
        """Samples of a batch, or None where memory ran out."""
        import torch

        from .prompts import pad_left

        ends = self._end_tokens()
        input_ids, attention_mask = pad_left(prompts, ends[0])
        library = _transformers()
        config = library.GenerationConfig(
            max_new_tokens=options.max_new_tokens, do_sample=False, eos_token_id=ends, pad_token_id=ends[0]
        )
        temperature = self.default_temperature if options.temperature is None else options.temperature
        noise = [_Noise(temperature, [noise_source(options.seed, row["id"], str(method)) for row in rows])]
        try:
            with torch.no_grad():
                sequences = model.generate(
                    input_ids.to(model.device),
                    attention_mask=attention_mask.to(model.device),
                    generation_config=config,
                    logits_processor=library.LogitsProcessorList(noise if temperature > 0 else []),
                    stopping_criteria=library.StoppingCriteriaList([_Stops(options)]),
                )
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None
        answers = sequences[:, input_ids.shape[1] :].tolist()
        return [self._sample(row, answer, ends) for row, answer in zip(rows, answers, strict=True)]

    def _sample(self, row: Row, tokens: list[int], ends: Sequence[int]) -> Sample:
        from samplers.loop.streaming import cut_answer

        answer = cut_answer(tokens, self.tokenizer, ends)
        # What stands behind the end token is padding of the batch, for which nothing was run.
        generated = min(len(answer) + 1, len(tokens))
        return new_sample(
            row,
            self.tokenizer.decode(answer, skip_special_tokens=True),
            num_tokens=generated,
            num_forward_passes=generated,
            num_answer_tokens=len(answer),
        )

    def _end_tokens(self) -> list[int]:
        """What ends an answer: the tokenizer's end token, and what the checkpoint names beside it."""
        named = (self._source.read_json("generation_config.json") or {}).get("eos_token_id")
        more = named if isinstance(named, list) else [named]
        return list(dict.fromkeys([self.tokenizer.eos_token_id, *(token for token in more if isinstance(token, int))]))

    def _loaded(self) -> Any:
        with self._loading:
            if self._model is None:
                self._model = self._load()
        return self._model

    def _check_files(self) -> None:
        """Weights are found when they are loaded; `transformers` says then what is missing."""

    def _build(self) -> Any:
        """The model by transformers, on its device."""
        import torch

        library = _transformers()
        where = {"device_map": "auto"} if self.device == "auto" else {}
        try:
            model = library.AutoModelForCausalLM.from_pretrained(
                self._source.name, revision=self._source.revision, dtype=getattr(torch, self.dtype), **where
            )
        except (OSError, ValueError) as error:
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise ValueError(f"{self.name} cannot be loaded: {first}") from None
        # `generate` would fill up from it whatever a call leaves open.
        model.generation_config = library.GenerationConfig()
        return (model if where else model.to(self.device)).eval()

    def _rows_at_a_time(self, model: Any, prompt_length: int, options: AnswerOptions) -> int:
        if options.batch_size is not None:
            size = options.batch_size
        else:
            largest = _LARGEST_BATCH["cuda" if model.device.type == "cuda" else "cpu"]
            per_row = _bytes_per_row(model, prompt_length + options.max_new_tokens)
            size = max(1, min(largest, int(free_memory(model.device) * _SHARE_OF_MEMORY / per_row)))
        return size if self._fitting is None else min(size, self._fitting)

    def _halved(self, rows: int, prompt_length: int, options: AnswerOptions) -> int:
        empty_caches()
        if rows == 1:
            raise RowDoesNotFit(
                f"the memory of {self.device_name()} is too small for a single row of {prompt_length} prompt and "
                f"{options.max_new_tokens} new tokens; try --dtype bfloat16 or another --device"
            )
        self._fitting = rows // 2
        options.notice(f"{self.name}: {rows} rows did not fit into memory; going on with {self._fitting} at a time")
        return self._fitting


class _Stops:
    """Asks before every token whether the run is to stop, which raises; by itself it stops nothing."""

    def __init__(self, options: AnswerOptions) -> None:
        self._check = options.check_stop

    def __call__(self, input_ids: Any, scores: Any, **more: Any) -> Any:
        import torch

        self._check()
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


class _Noise:
    """Gumbel noise on the logits, so that the largest is a draw from the softmax at a temperature; each row has its own
    generator.
    """

    def __init__(self, temperature: float, generators: Sequence[Any]) -> None:
        self._temperature = temperature
        self._generators = generators

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import torch

        size = scores.shape[1]
        uniform = torch.stack([torch.rand(size, generator=one, dtype=torch.float64) for one in self._generators])
        # Neither logarithm is taken of 0.
        exponential = (-torch.log(uniform.clamp(min=1e-300))).clamp(min=1e-300)
        gumbel = -torch.log(exponential)
        return scores.float() / self._temperature + gumbel.to(scores.device, torch.float32)


def _transformers() -> Any:
    """The library, whose own types say less than it takes."""
    import transformers

    return transformers


def _check_causal(config: dict[str, Any], source: str) -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    kind, classes = config.get("model_type"), config.get("architectures") or [""]
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or "MaskedLM" in str(classes[0]):
        raise ValueError(f"{IN_PROCESS}{source} is no causal model of transformers (model_type {kind!r}, {classes[0]})")


def _bytes_per_row(model: Any, length: int) -> int:
    """Keys and values of a sequence, and the float32 logits of its last token, a few times over."""
    config = model.config.get_text_config(decoder=True)
    heads = config.num_attention_heads
    width = (getattr(config, "num_key_value_heads", None) or heads) * (
        getattr(config, "head_dim", None) or config.hidden_size // heads
    )
    cache: int = 2 * config.num_hidden_layers * width * length * model.dtype.itemsize
    logits: int = 4 * config.vocab_size * 4
    return cache + logits
