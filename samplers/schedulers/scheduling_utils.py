"""The base class of all unmasking schedulers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .discounts import DiscountedProposal
from .noise import DiffusionGemmaPipelineMixin
from .pipelines import DEFAULT_BLOCK_LENGTH, LLaDA2PipelineMixin
from .proposals import Generators, Proposal, propose
from .saving import SavingMixin
from .scores import score
from .speeds import fill_in_speed
from .state import SampleState
from .step import Step, UnmaskingSchedulerOutput
from .validation import check_choice, check_count, check_flag, check_proposal, check_shape
from .views import JUST_LOGITS, ModelView, Wants

__all__ = ["Step", "UnmaskingScheduler", "UnmaskingSchedulerOutput"]

#: The methods of a class that read what the model said.
DECISIONS = ("step", "propose", "score", "select", "revise", "replace")
#: Those that say how many tokens a quota is.
COUNTS = ("quota", "schedule_index")
SAMPLING_METHODS = ("auto", "greedy", "multinomial")


class UnmaskingScheduler(LLaDA2PipelineMixin, DiffusionGemmaPipelineMixin, SavingMixin):  # type: ignore[misc]
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
    #: Whether noise decides nothing but which of the masked positions come first, and how many do does not depend on
    #: it. As with `_reads`, a class that replaces a decision says so itself.
    _ranks_by_noise = False
    #: Whether a decision draws noise while the method is greedy and its score is not `random`. A class that replaces a
    #: decision of its parent is taken to, unless it says otherwise.
    _draws_noise = False
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
        if "_reads" not in vars(cls) and any(name in vars(cls) for name in DECISIONS):
            cls._reads = replace(cls._reads, logits=True)
        if "_ranks_by_noise" not in vars(cls) and any(name in vars(cls) for name in (*DECISIONS, *COUNTS)):
            cls._ranks_by_noise = False
        if "_draws_noise" not in vars(cls) and any(name in vars(cls) for name in DECISIONS):
            cls._draws_noise = True
        cls.revises = cls.revise is not UnmaskingScheduler.revise or cls.replace is not UnmaskingScheduler.replace

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
        check_proposal(self.config.temperature, self.config.top_p, self.config.top_k)
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
        draws = _first_given(self.config.temperature, None, self._default_temperature) > 0
        return replace(self._reads, logits=True) if draws or self.config.score_proposal else self._reads

    @property
    def draws_an_order(self) -> bool:
        """Whether all that its noise decides is the order in which masked positions are committed, each of them once.

        Then drawing that order anew for what is left at every step, and keeping the one drawn first for the whole
        block, are the same in distribution: a uniform order of what is left does not depend on what came before.
        """
        greedy = _first_given(self.config.temperature, None, self._default_temperature) == 0
        return self._ranks_by_noise and greedy and self.score_name == "random"

    @property
    def draws_noise(self) -> bool:
        """Whether the generator that `step` is given may have a part in what is decided."""
        greedy = _first_given(self.config.temperature, None, self._default_temperature) == 0
        return self._draws_noise or not greedy or self.score_name == "random"

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
        self._last_step, self._asked_steps, self._canvas = None, num_inference_steps, None

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
        mask_token_id: int | None,
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
            mask_token_id: id of the mask token; it is never proposed. None, as diffusers' `DiffusionGemmaPipeline` has
                it, means that open positions hold random tokens; see `samplers.schedulers.noise`.
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
        if mask_token_id is None:
            shaping = {"temperature": temperature, "top_p": top_p, "top_k": top_k, "sampling_method": sampling_method}
            limits = {"threshold": threshold, "editing_threshold": editing_threshold, "generator": generator}
            return self._step_of_noise(model_output, timestep, sample, return_dict=return_dict, **shaping, **limits)
        check_proposal(temperature, top_p, top_k)
        check_choice("sampling_method", sampling_method, SAMPLING_METHODS)
        view = model_output if isinstance(model_output, ModelView) else ModelView(model_output, shadow_output)
        check_shape("model_output", view.logits, sample)
        check_shape("shadow_output", view.shadow_logits, sample)
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
        temperature = _first_given(self.config.temperature, temperature, self._default_temperature)
        if sampling_method == "greedy":
            temperature = 0.0
        if view.logits is not None:
            proposal = self.propose(
                step,
                view.logits,
                temperature=temperature,
                top_p=_first_given(self.config.top_p, top_p, self._default_top_p),
                top_k=_first_given(self.config.top_k, top_k, None),
            )
        elif view.proposal is not None and temperature == 0 and not self.wants.logits:
            proposal = Proposal.replayed(view.proposal, mask_token_id)
        else:
            raise ValueError(f"{type(self).__name__} at temperature {temperature} reads the logits; the view has none")
        chosen = DiscountedProposal(proposal, token_discounts) if token_discounts else proposal
        step = replace(step, chosen=chosen)
        scores = self.score(step, chosen)
        selected = self.select(step, scores)
        if not isinstance(selected, Tensor) or selected.dtype != torch.bool or selected.shape != masked.shape:
            has = f"{selected.dtype} {tuple(selected.shape)}" if isinstance(selected, Tensor) else repr(selected)
            raise ValueError(
                f"{type(self).__name__}.select returned {has}; it should be a bool tensor {tuple(masked.shape)}, "
                "True where a token is committed"
            )
        transfer_index = selected & masked
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
        return self._proposal(step, model_output, temperature=temperature, top_p=top_p, top_k=top_k)

    def _proposal(self, step: Step, model_output: Tensor, **options: Any) -> Proposal:
        """What `propose` returns by default; `options` may hold whatever `proposals.propose` takes."""
        return propose(
            model_output,
            mask_token_id=step.mask_token_id,
            score_proposal=self.config.score_proposal,
            generator=step.generator,
            **options,
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


def _first_given(own: Any, called: Any, default: Any) -> Any:
    """The constructor's value if it was given one, else the call's, else the default."""
    return own if own is not None else called if called is not None else default
