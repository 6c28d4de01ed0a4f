"""The model `parallelbench` of lm-eval: a diffusion model of ours under a method, for the tasks of lm-eval.

lm-eval looks up models in a registry that only imports fill: it reads no entry points, and imports nothing before it
looks (0.4.13). So whoever wants the model imports this module first, which `parallelbench lm-eval` does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.models.utils import normalize_gen_kwargs

from benchmark.engine.likelihood import LikelihoodReader
from benchmark.engine.requests import Request
from benchmark.engine.rolling import RollingBatch, usual_batch_size
from benchmark.models.interface import ModelOptions
from benchmark.protocol.method import Method, expand, read_call

NAME = "parallelbench"
#: Tokens of an answer where neither the task nor the user says.
_ANSWER_LENGTH = 256
# lm-eval shows what its own loggers say.
_log = logging.getLogger("lm_eval.models.parallelbench")


@dataclass(slots=True)
class Cost:
    """What the answers of a task took.

    Attributes:
        requests: answers, or pairs whose likelihood was asked for.
        forward_passes: states that went through the model.
        steps: how often an answer waited for the model; 0 for likelihoods.
        tokens: generated, up to the end of the block in which an answer ended.
        seconds: of this process.
    """

    requests: int = 0
    forward_passes: int = 0
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """With tokens per step, where anything was generated."""
        found: dict[str, Any] = {**asdict(self), "seconds": round(self.seconds, 3)}
        if self.steps:
            found["tokens_per_step"] = round(self.tokens / self.steps, 4)
        return found


@register_model(NAME)
class ParallelBenchLM(TemplateLM):  # type: ignore[misc]
    """A diffusion model under a method.

    Args:
        pretrained: as `parallelbench run --model` takes it: a directory, `owner/name` on the Hub, `reference`, or
            `package.module:factory`.
        scheduler: the method, as `parallelbench run --scheduler` takes it.
        block_length: of the method.
        max_new_tokens: length of an answer; None: what the task asks for (`max_gen_toks`, 256 where it does not say),
            or what the model needs at least.
        temperature: of the proposals, where a task does not sample; None: the model's own.
        seed: of the noise, and of what is drawn for likelihoods.
        draws: partly masked states for a log-likelihood; see `benchmark.engine.likelihood`.
        check_greedy: whether a log-likelihood comes with whether greedy decoding would give this answer, which takes
            up to a forward pass for each of its tokens.
        batch_size: rows of a forward pass; "auto": as many as there is memory for.
        max_batch_size: at most so many.
        device, dtype, revision: of the weights.
        chat_options: what the chat template is told, name → value.
        parameters: of the scheduler, by name, where `scheduler` does not name them.

    Raises:
        ValueError: there is no such model or method, or the model has no schedulers.
    """

    def __init__(
        self,
        pretrained: str,
        scheduler: str = "confidence",
        block_length: int | None = None,
        max_new_tokens: int | None = None,
        temperature: float | None = None,
        seed: int = 0,
        draws: int = 128,
        check_greedy: bool = True,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        device: str | None = None,
        dtype: str | None = None,
        revision: str | None = None,
        chat_options: Mapping[str, Any] | None = None,
        **parameters: Any,
    ) -> None:
        super().__init__()
        from benchmark.models import load_logits_model

        for name, number in (("draws", draws), ("max_new_tokens", max_new_tokens)):
            if number is not None and (not isinstance(number, int) or number < 1):
                raise ValueError(f"{name}={number!r} should be a number of at least 1")
        options = ModelOptions(dtype, _device(device), revision, chat_options=chat_options or {}, chats=False)
        self.model = load_logits_model(pretrained, options)
        self.method = _method(scheduler, block_length, parameters)
        self._max_new_tokens, self._temperature, self._seed = max_new_tokens, temperature, seed
        self._draws, self._check_greedy = draws, check_greedy
        self._prepared = self.model.for_task([], _ANSWER_LENGTH)
        self.tokenizer = self._prepared.tokenizer
        self._context: int | None = self.model.context_length
        self.batch_size_per_gpu = self._rows(batch_size, max_batch_size)
        self._device = self._prepared.device
        self._templated = False
        self._costs: dict[str, Cost] = {}

    # -- what lm-eval asks of a model with templates -----------------------------------------------------------------

    @property
    def batch_size(self) -> int:
        """Rows of a forward pass."""
        return self.batch_size_per_gpu

    @property
    def eot_token_id(self) -> int:
        """The end token."""
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """What stands before an answer without a prompt."""
        first = self.tokenizer.bos_token_id
        return self.eot_token_id if first is None else int(first)

    @property
    def tokenizer_name(self) -> str:
        """The model's name, which tells lm-eval's cached prompts from those of other models."""
        return self.model.name.replace("/", "__")

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **unused: Any) -> list[int]:
        """The tokens of a text; those that open one are added unless a chat template has done so."""
        if add_special_tokens is None:
            opening = self.tokenizer.bos_token
            add_special_tokens = not self._templated and not (opening and string.startswith(opening))
        tokens: list[int] = self.tokenizer(string, add_special_tokens=add_special_tokens)["input_ids"]
        return tokens

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Messages as one text."""
        self._templated = True
        text: str = self.tokenizer.apply_chat_template(
            chat_history,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
            **self._prepared.chat_options,
        )
        return text

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The template, for lm-eval's records.

        Raises:
            ValueError: there is none.
        """
        if not getattr(self.tokenizer, "chat_template", None):
            raise ValueError(f"{self.model.name} has no chat template; leave --apply_chat_template out")
        return str(self.tokenizer.get_chat_template())

    def get_model_info(self) -> dict[str, Any]:
        """What goes into the results' `config`: the model, the method and, by task, what the answers took."""
        costs = {task: cost.as_dict() for task, cost in self._costs.items()}
        return {"parallelbench": {"model": self.model.record(), "method": str(self.method), "cost": costs}}

    # -- requests ----------------------------------------------------------------------------------------------------

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """The answers, decoded side by side; each ends with the block in which a stop text or an end token stands."""
        from tqdm import tqdm

        asked = [self._request(instance) for instance in requests]
        # Long prompts first: what does not fit into memory turns out at once.
        order = sorted(range(len(asked)), key=lambda index: (-asked[index].new_tokens, -len(asked[index].prompt)))
        batch = RollingBatch(self._prepared, self.method, batch_size=self.batch_size_per_gpu, notice=_log.warning)
        place = {asked[index]: index for index in order}
        batch.join(asked[index] for index in order)
        with tqdm(total=len(asked), desc="Decoding", disable=disable_tqdm or not asked) as bar:
            while batch.waiting or batch.rows:
                began = time.monotonic()
                told = batch.go_on()
                share = (time.monotonic() - began) / max(1, len(told))
                for request in told:
                    instance = requests[place[request]]
                    self._cost(instance).seconds += share
                    if request.error is not None:
                        raise ValueError(f"{_task_of(instance)}: {request.error}")
                    if request.is_over:
                        self._count(instance, request)
                        self.cache_hook.add_partial("generate_until", instance.args, request.text)
                        bar.update()
        self.batch_size_per_gpu = batch.batch_size
        self._tell(requests)
        return [request.text for request in asked]

    def _loglikelihood_tokens(
        self,
        requests: list[tuple[tuple[str, str], list[int], list[int]]],
        disable_tqdm: bool = False,
        **unused: Any,
    ) -> list[tuple[float, bool]]:
        pairs = [(self._fitting(prompt, len(answer)), answer) for _, prompt, answer in requests]
        reader = LikelihoodReader(
            self._prepared, draws=self._draws, batch_size=self.batch_size_per_gpu, seed=self._seed
        )
        likelihoods = reader.log_likelihoods(pairs)
        self._passes = reader.passes
        greedy = self._greedy(pairs) if self._check_greedy else [False] * len(pairs)
        found = list(zip(likelihoods, greedy, strict=True))
        for (texts, _, _), result in zip(requests, found, strict=True):
            self.cache_hook.add_partial("loglikelihood", texts, result)
        return found

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Monte Carlo estimates of the answers' log-likelihoods, and whether greedy decoding would give them."""
        began = time.monotonic()
        found: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm=disable_tqdm)
        share = (time.monotonic() - began) / max(1, len(requests))
        for instance in requests:
            cost = self._cost(instance)
            cost.requests, cost.seconds = cost.requests + 1, cost.seconds + share
            # Requests of several tasks come together; each has its share.
            cost.forward_passes += round(self._passes / len(requests))
        self._tell(requests)
        return found

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Refused: perplexities of running text go from token to token, and these models do not."""
        raise ValueError(
            "perplexity of running text (loglikelihood_rolling) goes from token to token, which a diffusion model does "
            "not; run tasks that generate, or whose answers have a log-likelihood"
        )

    # -- inside ------------------------------------------------------------------------------------------------------

    def _request(self, instance: Any) -> Request:
        text, told = instance.args
        wanted = normalize_gen_kwargs(dict(told), _ANSWER_LENGTH)
        new_tokens = self._max_new_tokens or max(int(wanted["max_gen_toks"]), self.model.answer_length or 0)
        given = self.model.default_temperature if self._temperature is None else self._temperature
        temperature = float(wanted["temperature"]) if wanted.get("do_sample") else given
        prompt = self._fitting(self.tok_encode(text), new_tokens)
        stop = tuple(stop for stop in wanted["until"] if stop)
        return Request(prompt, new_tokens, temperature, seed=self._seed, id=_identity(instance), stop=stop)

    def _fitting(self, prompt: list[int], new_tokens: int) -> list[int]:
        """The end of a prompt, as much of it as the model's context holds beside the answer.

        Raises:
            ValueError: the context does not even hold the answer.
        """
        if self._context is None or len(prompt) + new_tokens <= self._context:
            return prompt
        if new_tokens >= self._context:
            raise ValueError(
                f"an answer of {new_tokens} tokens does not fit into the context of {self.model.name}, which is "
                f"{self._context} tokens; give max_new_tokens=… in --model_args"
            )
        _log.warning(
            "a prompt of %d tokens is cut on the left: with %d new ones it does not fit into the context of %d",
            len(prompt), new_tokens, self._context,
        )  # fmt: skip
        return prompt[new_tokens - self._context :]

    def _greedy(self, pairs: Sequence[tuple[list[int], list[int]]]) -> list[bool]:
        """Whether greedy decoding, one token a step, gives each of the answers; it ends at the first other token."""
        import torch

        from samplers import ConfidenceScheduler, stream

        found = []
        for prompt, answer in pairs:
            wanted = torch.tensor([answer], device=self._device)
            agrees = True
            if answer:
                steps = stream(
                    self._prepared.model,
                    torch.tensor([prompt], device=self._device),
                    scheduler=ConfidenceScheduler(k=1),
                    max_new_tokens=len(answer),
                    mask_token_id=self._prepared.mask_token_id,
                )
                for step in steps:
                    self._passes += 1
                    agrees = bool((step.masked | (step.sample == wanted)).all())
                    if not agrees:
                        break
            found.append(agrees)
        return found

    def _rows(self, batch_size: int | str | None, most: int | None) -> int:
        if batch_size is None or str(batch_size).startswith("auto"):
            usual = max(_ANSWER_LENGTH, self.model.answer_length or 0)
            rows = usual_batch_size(self.model, self._prepared, self._max_new_tokens or usual)
        elif str(batch_size).isdecimal() and int(batch_size) >= 1:
            rows = int(batch_size)
        else:
            raise ValueError(f"batch_size={batch_size!r} is neither auto nor a number of at least 1")
        return rows if most is None else min(rows, int(most))

    def _cost(self, instance: Any) -> Cost:
        return self._costs.setdefault(_task_of(instance), Cost())

    def _count(self, instance: Any, request: Request) -> None:
        cost = self._cost(instance)
        cost.requests += 1
        cost.forward_passes += request.passes
        cost.steps += request.rounds
        cost.tokens += request.finished

    def _tell(self, requests: Sequence[Any]) -> None:
        for task in dict.fromkeys(map(_task_of, requests)):
            cost = self._costs[task].as_dict()
            speed = f", {cost['tokens_per_step']:.2f} tokens per step" if "tokens_per_step" in cost else ""
            _log.info("%s under %s: %d forward passes%s", task, self.method, cost["forward_passes"], speed)


def _device(given: str | None) -> str | None:
    """The device to load on; lm-eval says cuda:0 where its user says nothing, whatever there is."""
    import torch

    if given is not None and given.startswith("cuda") and not torch.cuda.is_available():
        _log.warning("torch sees no GPU here: the model goes to the CPU in place of %s", given)
        return None
    return given


def _method(scheduler: str, block_length: int | None, parameters: Mapping[str, Any]) -> Method:
    """The one method that a name, its parameters and a block length stand for."""
    name, values = read_call(str(scheduler))
    for key in parameters:
        if key in values:
            raise ValueError(f"{key} is given twice, in scheduler={scheduler} and beside it")
    inside = ", ".join(f"{key}={value!r}" for key, value in {**values, **parameters}.items())
    methods = expand(f"{name}({inside})", 1, block_length, sweep=False)
    if len(methods) != 1:
        raise ValueError(f"scheduler={scheduler} stands for {len(methods)} methods; name one")
    return methods[0]


def _task_of(instance: Any) -> str:
    return str(getattr(instance, "task_name", None) or "requests")


def _identity(instance: Any) -> str:
    """What seeds a request's noise; the rows of this project's tasks have the noise that they have in a run."""
    doc = instance.doc if isinstance(instance.doc, dict) else {}
    return str(doc["id"]) if "id" in doc else f"{_task_of(instance)}/{instance.doc_id}"
