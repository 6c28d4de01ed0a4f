"""The base class of all unmasking schedulers, and what a step returns."""

from __future__ import annotations

import builtins
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from diffusers.utils.outputs import BaseOutput
from torch import Tensor

from .discounts import DiscountedProposal
from .pipelines import DEFAULT_BLOCK_LENGTH, LLaDA2PipelineMixin
from .proposals import Generators, Proposal, propose
from .scores import score
from .speeds import fill_in_speed
from .state import SampleState
from .validation import check_choice, check_count, check_flag, check_range
from .views import JUST_LOGITS, ModelView, Wants

#: The methods of a class that read what the model said.
DECISIONS = ("step", "propose", "score", "select", "revise", "replace")
SAMPLING_METHODS = ("auto", "greedy", "multinomial")


@dataclass
class UnmaskingSchedulerOutput(BaseOutput):
    """What one step of a scheduler returns.

    Attributes:
        prev_sample: (batch, window), long: the sample after this step.
        transfer_index: bool (batch, window): positions committed in this step.
        remask_index: bool (batch, window): positions that this step turned back into masks.
        replace_index: bool (batch, window): positions whose token this step replaced by the proposed one.
        editing_transfer_index: both of these, under the name by which diffusers' `LLaDA2Pipeline` applies them.
        sampled_tokens: (batch, window), long: the proposed tokens, at every position.
        sampled_probs: (batch, window): probability of each proposed token.
        invalid: bool (batch,): rows with a masked position whose score is not finite, as NaN logits make it.
        unsettled: bool (batch,): rows without a masked position that the method wants to look at once more; None for
            a method that never does.
    """

    prev_sample: Tensor
    transfer_index: Tensor
    remask_index: Tensor
    replace_index: Tensor
    editing_transfer_index: Tensor
    sampled_tokens: Tensor
    sampled_probs: Tensor
    invalid: Tensor
    unsettled: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step as the decisions of a scheduler see it.

    Attributes:
        sample: (batch, window), long: the tokens before the step.
        masked: bool (batch, window): the positions that may be committed.
        fresh: bool (batch,): rows seen for the first time, of which nothing is remembered.
        mask_token_id: id of the mask token.
        generator: the noise source, for `uniform`.
        threshold, editing_threshold: what the caller of `step` passed; None if nothing.
        view: all that the look at the model gave; see `Wants`.
        chosen: what `propose` returned, for the decisions after it.
    """

    sample: Tensor
    masked: Tensor
    fresh: Tensor
    mask_token_id: int
    generator: Generators
    view: ModelView
    threshold: float | None = None
    chosen: Proposal | None = None
    editing_threshold: float | None = None

    @property
    def proposal(self) -> Proposal:
        """What `propose` returned; only the decisions after it may ask."""
        if self.chosen is None:
            raise AttributeError("nothing is proposed yet")
        return self.chosen

    def called(self, name: str, own: float | None) -> float:
        """A scheduler's own "threshold" or "editing_threshold"; if that is None, the one passed to `step`.

        Raises:
            ValueError: neither is given.
        """
        called: float | None = getattr(self, name)
        threshold = own if own is not None else called
        if threshold is None:
            raise ValueError(f"{name}=None: give a number to the constructor or to step()")
        return threshold


class UnmaskingScheduler(LLaDA2PipelineMixin, SchedulerMixin, ConfigMixin):  # type: ignore[misc]
    """Decides which masked tokens of a window to commit at each step, and which committed ones to mask again.

    A scheduler never calls the model, never shifts logits and knows nothing of prompts. One step takes four decisions,
    each a method that a subclass may replace: `propose` (which token at each position), `score` (how sure), `select`
    (which positions to commit) and `revise` (which committed positions to mask again; `replace` names those that take
    the proposed token at once).

    Arguments that all schedulers share, all keyword-only:

    Args:
        temperature: of the proposal; 0 is greedy. Left at None it is taken from the call of `step`, else 0.
        top_p: nucleus of the proposal, in (0, 1]; None as for temperature, else no limit.
        top_k: number of tokens the proposal is drawn from, at least 1; None as for `top_p`.
        score_proposal: score the distribution that tokens are drawn from (as Dream's sampler does) instead of the
            model's own. By default confidence, margin and entropy ignore temperature, `top_p` and `top_k`.

    Raises:
        ValueError: an argument lies outside its range.
    """

    order = 1
    score_name = "confidence"
    #: "window": the loop hands over one block at a time; "sequence": everything generated so far, growing by blocks.
    scope = "window"
    #: The argument that sets the speed ("k", "threshold", ...; None: there is none). A class that does not name it has
    #: the one that `fill_in_speed` finds among its arguments, and so with the next two.
    speed_parameter: ClassVar[str | None] = None
    #: Whether a step commits as many tokens as the method is sure of, so that it can be set to any speed between two
    #: measured ones; a method that is told how many cannot.
    adaptive: ClassVar[bool] = False
    #: The values of `speed_parameter` that papers report. None: powers of two for "k", no others are published.
    speed_values: ClassVar[tuple[float, ...] | None] = None
    #: Whether the published protocol decodes in blocks of `k` tokens instead of one block.
    blocks_follow_k: ClassVar[bool] = False
    #: What the decisions read of the model while the method is greedy. A class that replaces a decision of its parent
    #: reads the logits unless it says otherwise.
    _reads: Wants = JUST_LOGITS
    #: What holds where neither the constructor nor the call of `step` says anything.
    _default_temperature = 0.0
    _default_top_p: float | None = None

    #: The constructor's arguments, by name; the one place where they are kept.
    config: Any
    num_inference_steps: int | None
    timesteps: Tensor
    #: Steps that a block takes beyond `num_inference_steps`, because the method inserts them.
    _extra_steps = 0

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        fill_in_speed(cls, cls.__base__)
        home = sys.modules.get(cls.__module__)
        if home is not None and home is not builtins:
            # A pipeline is loaded only if diffusers finds this name in the module that a component's class comes from.
            vars(home).setdefault("SchedulerMixin", SchedulerMixin)
        if "_reads" not in vars(cls) and any(name in vars(cls) for name in DECISIONS):
            cls._reads = replace(cls._reads, logits=True)
        cls.revises = cls.revise is not UnmaskingScheduler.revise or cls.replace is not UnmaskingScheduler.replace

    def __new__(cls, *_: Any, **__: Any) -> Self:
        scheduler = super().__new__(cls)
        if cls.__module__.startswith(f"{__package__}."):
            # A pipeline is saved with its components' modules, and loaded only if they are imported already. Ours are
            # imported when they are asked for, so it names the package, which asks.
            scheduler.__module__ = str(__package__).partition(".")[0]
        return scheduler

    @register_to_config
    def __init__(
        self,
        *,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        self._configure()

    def _configure(self) -> None:
        """Validate the shared arguments, which `config` holds; a constructor calls it, or its parent's, at its end."""
        _check_proposal(self.config.temperature, self.config.top_p, self.config.top_k)
        check_flag("score_proposal", self.config.score_proposal)
        self._state = self._new_state()
        self._state.add(self._counters())
        # A pipeline reads it where its caller names no block length; a loaded config may hold another.
        self.register_to_config(block_length=DEFAULT_BLOCK_LENGTH)  # type: ignore[no-untyped-call]
        self.set_timesteps()

    # -- what a loop calls -------------------------------------------------------------------------------------------

    @property
    def wants(self) -> Wants:
        """What each look at the model has to give; a subclass may set it as a plain attribute of the class."""
        draws = _first(self.config.temperature, None, self._default_temperature) > 0
        return replace(self._reads, logits=True) if draws or self.config.score_proposal else self._reads

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        block_length: int = 32,
    ) -> None:
        """Prepare for decoding windows of `block_length` tokens; forgets every sample seen so far.

        Args:
            num_inference_steps: steps per block, used by schedulers that spread a quota over steps and were not told
                otherwise by their constructor.
            device: where `timesteps` is put.
            block_length: tokens in a window.

        Raises:
            ValueError: a number is below 1.
        """
        check_count("num_inference_steps", num_inference_steps)
        check_count("block_length", block_length, optional=False)
        self.num_inference_steps = self._steps_per_block(num_inference_steps, block_length)
        steps = block_length if self.num_inference_steps is None else self.num_inference_steps
        self.timesteps = torch.arange(steps + self._extra_steps - 1, -1, -1, device=device)
        self._state.reset()
        self._last_step = None

    def start_block(self) -> None:
        """Tell the scheduler that the next sample is a new block (with `scope` "sequence": the old window, grown)."""
        if self.scope == "sequence":
            self._state.restart("step_index")
        else:
            self._state.reset()

    @torch.no_grad()
    def step(
        self,
        model_output: Tensor | ModelView,
        timestep: int | Tensor,
        sample: Tensor,
        *,
        mask_token_id: int,
        generator: Generators = None,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        sampling_method: str = "auto",
        threshold: float | None = None,
        editing_threshold: float | None = None,
        minimal_topk: int | None = None,
        prompt_mask: Tensor | None = None,
        token_discounts: Mapping[int, Tensor | float] | None = None,
        shadow_output: Tensor | None = None,
        return_dict: bool = True,
    ) -> UnmaskingSchedulerOutput | tuple[Tensor, ...]:
        """Commit some masked tokens of `sample`, and mask others again if the method does so.

        Args:
            model_output: (batch, window, vocab) logits aligned with `sample`, any float dtype; or a `ModelView`, which
                may hold more than logits, or a recorded proposal in their place.
            timestep: entry of `timesteps`. The methods here count steps by the samples they see and do not read it.
            sample: (batch, window), long; editable positions hold `mask_token_id`.
            mask_token_id: id of the mask token; it is never proposed.
            generator: noise source for the batch, or a list with one per row (None for a row that is finished).
            temperature, top_p, top_k, threshold, editing_threshold: used where the constructor left its own at None.
            sampling_method: "greedy" proposes the likeliest token whatever the temperature; "auto" and "multinomial"
                draw unless the temperature is 0.
            minimal_topk: accepted because diffusers' `LLaDA2Pipeline` passes it; not used.
            prompt_mask: bool (window,) or (batch, window), positions that were given beforehand, such as those of a
                prompt; they stay as they are.
            token_discounts: token id → factor in [0, 1], one number or (batch,), by which the confidence of that token
                is multiplied wherever it is proposed; see `DiscountedProposal`.
            shadow_output: (batch, window, vocab) logits at the shadow tokens; not with a `ModelView` as `model_output`.
            return_dict: False returns the fields of the output as a tuple.

        Returns:
            The new sample and what was decided; `sample` itself is not changed.

        Raises:
            ValueError: shapes do not fit together, or an argument lies outside its range.
        """
        _check_proposal(temperature, top_p, top_k)
        check_choice("sampling_method", sampling_method, SAMPLING_METHODS)
        view = model_output if isinstance(model_output, ModelView) else ModelView(model_output, shadow_output)
        _check_shape("model_output", view.logits, sample)
        _check_shape("shadow_output", view.shadow_logits, sample)
        masked = sample == mask_token_id
        if prompt_mask is not None:
            masked = masked & ~prompt_mask
        fresh = self._state.follow(sample)

        step = Step(
            sample,
            masked,
            fresh,
            mask_token_id,
            generator,
            view,
            threshold,
            editing_threshold=editing_threshold,
        )
        heat = (
            0.0
            if sampling_method == "greedy"
            else _first(self.config.temperature, temperature, self._default_temperature)
        )
        if view.logits is not None:
            proposal = self.propose(
                step,
                view.logits,
                temperature=heat,
                top_p=_first(self.config.top_p, top_p, self._default_top_p),
                top_k=_first(self.config.top_k, top_k, None),
            )
        elif view.proposal is not None and heat == 0 and not self.wants.logits:
            proposal = Proposal.replayed(view.proposal, mask_token_id)
        else:
            raise ValueError(f"{type(self).__name__} at temperature {heat} reads the logits; the view has none")
        chosen = DiscountedProposal(proposal, token_discounts) if token_discounts else proposal
        step = replace(step, chosen=chosen)
        scores = self.score(step, chosen)
        transfer_index = self.select(step, scores) & masked
        committed = torch.where(transfer_index, proposal.tokens, sample)
        remask_index = self.revise(step, chosen, committed, transfer_index)
        replace_index = self.replace(step, chosen, committed, transfer_index) & ~masked
        if prompt_mask is not None:
            remask_index, replace_index = remask_index & ~prompt_mask, replace_index & ~prompt_mask
        # A token committed and masked again in the same step was, in effect, not committed.
        transfer_index = transfer_index & ~remask_index
        remask_index = remask_index & ~masked
        prev_sample = torch.where(transfer_index | replace_index, proposal.tokens, sample)
        prev_sample = prev_sample.masked_fill(remask_index, mask_token_id)

        self._state["step_index"] = self._state["step_index"] + masked.any(dim=1)
        self._state.returned(prev_sample)
        self._last_step = (prev_sample, mask_token_id, prompt_mask)
        unsettled = self._state.get("unsettled")
        output = UnmaskingSchedulerOutput(
            prev_sample=prev_sample,
            transfer_index=transfer_index,
            remask_index=remask_index,
            replace_index=replace_index,
            editing_transfer_index=remask_index | replace_index,
            sampled_tokens=proposal.tokens,
            sampled_probs=proposal.confidence,
            invalid=(masked & ~(scores.isfinite() & proposal.confidence.isfinite())).any(dim=1),
            unsettled=None if unsettled is None else unsettled > 0,
        )
        return output if return_dict else output.to_tuple()

    # -- the four decisions ------------------------------------------------------------------------------------------

    def propose(
        self, step: Step, model_output: Tensor, *, temperature: float, top_p: float | None, top_k: int | None
    ) -> Proposal:
        """The token that every position would take."""
        return propose(
            model_output,
            mask_token_id=step.mask_token_id,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            score_proposal=self.config.score_proposal,
            generator=step.generator,
        )

    def score(self, step: Step, proposal: Proposal) -> Tensor:
        """How sure the proposal is at every position, (batch, window); higher is surer."""
        return score(self.score_name, proposal, step.generator)

    def select(self, step: Step, scores: Tensor) -> Tensor:
        """The masked positions to commit, bool (batch, window): at least one in every row that has any."""
        raise TypeError(f"{type(self).__name__} does not say which positions to commit: define select(step, scores)")

    def revise(self, step: Step, proposal: Proposal, committed: Tensor, transfer_index: Tensor) -> Tensor:
        """The positions to mask again after committing, bool (batch, window). By default none.

        Args:
            committed: (batch, window), long: the sample with the selected tokens in place.
            transfer_index: bool (batch, window): the positions that were selected.
        """
        return torch.zeros_like(step.masked)

    def replace(self, step: Step, proposal: Proposal, committed: Tensor, transfer_index: Tensor) -> Tensor:
        """The other way to revise: committed positions that take the proposed token instead, bool (batch, window).

        By default none. The arguments are those of `revise`. A method that wants to look once more at a row in which
        nothing is masked remembers that as the integer `unsettled` of its state, 1 or 0 for each row.
        """
        return torch.zeros_like(step.masked)

    # -- state -------------------------------------------------------------------------------------------------------

    def _new_state(self) -> SampleState:
        """What this method remembers; a subclass replaces it. What `_counters` names need not be in it."""
        return SampleState()

    def _counters(self) -> dict[str, int]:
        """Initial values of the integers that the base classes remember of every row."""
        return {"step_index": 0}

    def _steps_per_block(self, num_inference_steps: int | None, block_length: int) -> int | None:
        """Steps that a block takes, where the method fixes them beforehand; None where they depend on the logits."""
        return None

    # -- configuration -----------------------------------------------------------------------------------------------

    @classmethod
    def from_config(cls, config: Any = None, return_unused_kwargs: bool = False, **kwargs: Any) -> Any:
        """Build a scheduler from another's config; keyword arguments win over what the config says.

        `k` and `num_inference_steps` are two ways to say the same thing: naming one sets the other of the config aside.
        """
        for name, other in (("k", "num_inference_steps"), ("num_inference_steps", "k")):
            if kwargs.get(name) is not None and kwargs.get(other) is None and isinstance(config, dict):
                config = {key: value for key, value in config.items() if key != other}
        return super().from_config(config, return_unused_kwargs, **kwargs)

    @classmethod
    def _get_compatibles(cls) -> list[type[Self]]:
        # diffusers looks for these names in its own package only. Its own scheduler of this kind takes our configs.
        from diffusers.schedulers.scheduling_block_refinement import BlockRefinementScheduler

        from . import built_in_scheduler_names, scheduler_class

        classes: list[Any] = [scheduler_class(name) for name in built_in_scheduler_names()]
        return [*([] if cls in classes else [cls]), *classes, BlockRefinementScheduler]


def _check_shape(name: str, logits: Tensor | None, sample: Tensor) -> None:
    if logits is not None and (logits.dim() != 3 or logits.shape[:2] != sample.shape):
        raise ValueError(
            f"{name} has shape {tuple(logits.shape)} and sample {tuple(sample.shape)}; "
            "they should be (batch, window, vocab) and (batch, window)"
        )


def _check_proposal(temperature: float | None, top_p: float | None, top_k: int | None) -> None:
    check_range("temperature", temperature, 0, math.inf, "a finite number of at least 0", upper_open=True)
    check_range("top_p", top_p, 0, 1, "in (0, 1]", lower_open=True)
    check_count("top_k", top_k)


def _first(own: Any, called: Any, default: Any) -> Any:
    """The constructor's value if it was given one, else the call's, else the default."""
    return own if own is not None else called if called is not None else default
