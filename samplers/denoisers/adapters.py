"""Adapters: one call that gives logits aligned with the tokens of a window, whatever model stands behind it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..models.calling import Calling
from ..models.configuration import CheckpointConfig
from ..models.masks import token_positions, visible_keys
from ..models.registry import family_of
from ..models.uniform_lm import adapter_of
from ..models.unwrapping import unwrapped
from ..schedulers.views import ModelView
from .graphs import PassGraphs, graphs_of
from .interface import (
    DecodingSession,
    Denoiser,
    SessionRequest,
    StatelessSession,
    no_cache,
    not_given,
)
from .sending import sent
from .sessions import CachedSession
from .shadows import with_shadows


class ModelDenoiser:
    """A model behind the `Denoiser` interface.

    The model is any callable whose output has `.logits` of shape (batch, length, vocab). It is handed `position_ids`
    and `logits_to_keep` only where its signature names them, and `attention_mask` where it may take it; before the
    first padded batch it is asked whether padding changes what it says of a row (`samplers.models.padding`). A model
    of `samplers.models` decodes with a KV cache, see `samplers.denoisers.sessions.CachedSession`. Of a model in
    wrappers (torch.compile, data parallelism, PEFT) the outermost is called, and the innermost says what it is.

    Args:
        model: the callable.
        shift: 0 where row i of the logits describes token i, 1 where it describes token i + 1.
    """

    def __init__(self, model: Any, *, shift: int = 0) -> None:
        self.model = model
        self.shift = shift
        self.mask_token_id: int | None = model_attribute(model, "mask_token_id")
        self.block_length: int | None = model_attribute(model, "block_length")
        #: Length of the blocks that a block-causal model counts from the first token of a prompt, else None.
        self._calling = Calling(model, shift=shift)
        self._takes = self._calling.takes
        bare = self._calling.bare
        self._causal_context = getattr(bare, "attention", None) == "causal_context"
        self.grid_length = self.block_length if getattr(bare, "attention", None) == "block_causal" else None

    def window_logits(self, input_ids: Tensor, attention_mask: Tensor | None, start: int, stop: int) -> Tensor:
        return self._window_logits(input_ids, attention_mask, start, stop)

    def _window_logits(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        start: int,
        stop: int,
        captured: CapturedPasses | None = None,
    ) -> Tensor:
        if self._causal_context:
            # The open block ends what is seen.
            input_ids = input_ids[:, :stop]
            attention_mask = None if attention_mask is None else attention_mask[:, :stop]
        arguments: dict[str, Any] = self._calling.arguments(input_ids, attention_mask)
        if self._causal_context:
            arguments["prompt_length"] = start
        if self.shift == 0 and "logits_to_keep" not in self._takes:
            return self._run(input_ids, None, **arguments)[0][:, start:stop]
        # Row 0 of a shifted model is all there is for token 0.
        rows = torch.arange(start - self.shift, stop - self.shift, device=input_ids.device).clamp(min=0)
        return self._run(input_ids, rows, captured, **arguments)[0]

    def position_logits(
        self, input_ids: Tensor, attention_mask: Tensor | None, sequence: Tensor, position: Tensor
    ) -> Tensor:
        """Logits for single positions, (kept, vocab): of each, which sequence and where in it, (kept,), on the CPU.

        The output layer runs on these alone where the model can do that, else on all from the first to the last.
        """
        if not (getattr(self._calling.bare, "keeps_single_positions", False) and "logits_to_keep" in self._takes):
            start, stop = int(position.min()), int(position.max()) + 1
            logits = self.window_logits(input_ids, attention_mask, start, stop)
            return logits[sequence.to(logits.device), (position - start).to(logits.device)]
        arguments: dict[str, Any] = self._calling.arguments(input_ids, attention_mask)
        return self._run(input_ids, sent(torch.stack([sequence, position]), input_ids.device), **arguments)[0][0]

    def look(
        self,
        sequences: Tensor,
        start: int,
        stop: int,
        request: SessionRequest,
        captured: CapturedPasses | None = None,
    ) -> ModelView:
        """One forward pass over everything that gives what `request.wants`, for positions `start` to `stop`.

        Raises:
            ValueError: the model cannot give it; see `session`.
        """
        wants, mask = request.wants, request.attention_mask
        if not wants.shadow_logits and not wants.attentions:
            return ModelView(self._window_logits(sequences, mask, start, stop, captured))
        if wants.attentions and not self._records_attentions:
            return self._look_at_all_weights(sequences, start, stop, request)
        if self._causal_context:
            sequences, mask = sequences[:, :stop], None if mask is None else mask[:, :stop]
        length, window = sequences.shape[1], stop - start
        real = torch.ones_like(sequences, dtype=torch.bool) if mask is None else mask.bool()
        ids, positions = sequences, token_positions(real)
        visible = visible_keys(
            getattr(self._calling.bare, "attention", None) or "full",
            queries=(0, length),
            keys=length,
            real=None if mask is None else real,
            block_length=self.block_length,
            prompt_length=start if self._causal_context else request.prompt_length,
            device=ids.device,
        )
        rows = torch.arange(start - self.shift, stop - self.shift).clamp(min=0)
        arguments: dict[str, Any] = {}
        if wants.shadow_logits:
            assert request.mask_token_id is not None
            ids, positions, visible = with_shadows(
                ids, positions, visible, (start, stop), keys=length, mask_token_id=request.mask_token_id
            )
            # A wrapper may share a batch out among devices, and takes every tensor for one.
            visible = self._as_it_is_read(visible.expand(len(ids), -1, -1, -1))
            rows = torch.cat([rows, torch.arange(length, length + window)])
        if wants.attentions:
            arguments = {
                "attention_layers": wants.layers(self._calling.bare.num_layers),
                "attention_window": (start, stop),
            }
        logits, attentions = self._run(
            ids,
            rows.to(ids.device),
            None if wants.attentions else captured,
            attention_mask=visible,
            position_ids=positions + self._calling.first_position,
            **arguments,
        )
        return ModelView(logits[:, :window], logits[:, window:] if wants.shadow_logits else None, attentions)

    def session(self, request: SessionRequest) -> DecodingSession:
        """With a KV cache where the model takes one, else one that keeps nothing.

        Raises:
            ValueError: an approximate cache is asked for, and the model has no KV cache; or the scheduler wants what
                the model cannot give.
        """
        wants = request.wants
        if wants.shadow_logits and (self.shift != 0 or not takes_any_attention(self.model)):
            raise not_given(
                "shadow tokens", self.model, "they take aligned logits, position_ids and a mask (batch, 1, query, key)"
            )
        if wants.attentions:
            if self._records_attentions:
                wants.layers(self._calling.bare.num_layers)
            else:
                wants.layers(layers_of_encoder(self.model, wants.shadow_logits))
        if getattr(self.model, "has_kv_cache", False) and (request.cache or self.model.attention != "full"):
            return CachedSession(self.model, request)
        if request.cache is not None:
            raise no_cache(request.cache, self)
        graphs = graphs_of(self.model, request.compile)
        if graphs is not None:
            return CapturedSession(self, request, CapturedPasses(graphs, at_once=request.compile == "graphs"))
        return StatelessSession(self, request)

    def _as_it_is_read(self, visible: Tensor) -> Tensor:
        """A finished mask, bool, as the model's attention takes it: eager attention of transformers adds it."""
        bare = self._calling.bare
        if isinstance(getattr(bare, "attention", None), str) or implementation_of(bare) != "eager":
            return visible
        added = torch.zeros(visible.shape, dtype=bare.dtype, device=visible.device)
        return added.masked_fill(~visible, torch.finfo(bare.dtype).min)

    @property
    def _records_attentions(self) -> bool:
        return bool(getattr(self._calling.bare, "records_attentions", False))

    def _look_at_all_weights(self, sequences: Tensor, start: int, stop: int, request: SessionRequest) -> ModelView:
        """The view of an encoder of transformers, whose eager attention forms the weights of every layer anyway."""
        arguments = self._calling.arguments(sequences, request.attention_mask)
        output = self.model(sequences, output_attentions=True, **arguments)
        layers = request.wants.layers(len(output.attentions))
        window = slice(start, stop)
        weights = [output.attentions[number][:, :, window, window].float().mean(dim=1) for number in layers]
        return ModelView(self._logits(output)[:, window], attentions=torch.stack(weights, dim=1))

    def _run(
        self, input_ids: Tensor, rows: Tensor | None, captured: CapturedPasses | None = None, **arguments: Any
    ) -> tuple[Tensor, Tensor | None]:
        """Chosen rows of the model's logits, (batch, rows, vocab), and attentions if asked for, in one forward pass.

        Args:
            input_ids: (batch, length), long.
            rows: (rows,), long: which ones, in the model's own numbering; None means all.
            captured: where passes are captured that give logits alone; None makes them eagerly.
            arguments: what else the model is called with; None counts as not given.
        """
        arguments = {name: value for name, value in arguments.items() if value is not None}
        if rows is not None and "logits_to_keep" in self._takes:
            arguments["logits_to_keep"] = rows
        if captured is not None and "logits_to_keep" in arguments:
            return captured.logits(self.model, input_ids, arguments), None
        output = self.model(input_ids, **arguments)
        logits = self._logits(output)
        if "logits_to_keep" not in arguments:
            if logits.shape[:2] != input_ids.shape:
                raise ValueError(
                    f"{type(self.model).__name__} returned logits of shape {tuple(logits.shape)} for input_ids of "
                    f"shape {tuple(input_ids.shape)}; they should be (batch, length, vocab)"
                )
            logits = logits if rows is None else logits.index_select(1, rows)
        # What it is called with decides whether there are any: other models' outputs use the name for something else.
        return logits, output.attentions if "attention_layers" in arguments else None

    def _logits(self, output: Any) -> Tensor:
        logits = getattr(output, "logits", None)
        if not isinstance(logits, Tensor):
            raise TypeError(
                f"{type(self.model).__name__} returned {type(output).__name__}, which has no tensor .logits"
            )
        return logits


@dataclass(frozen=True, slots=True)
class CapturedPasses:
    """Forward passes that keep nothing, captured.

    Attributes:
        graphs: of the model.
        at_once: whether a shape is captured when it is first seen.
    """

    graphs: PassGraphs
    at_once: bool

    def logits(self, model: Any, input_ids: Tensor, arguments: Mapping[str, Tensor]) -> Tensor:
        """The logits of `model(input_ids, **arguments)`."""

        def call(given: Mapping[str, Tensor]) -> Tensor:
            others = {name: given[name] for name in arguments}
            logits: Tensor = model(given["ids"], **others).logits
            return logits

        inputs = {"ids": input_ids, **arguments}
        return self.graphs.run("all", inputs, call, lambda: call(inputs), at_once=self.at_once)


class CapturedSession(StatelessSession):
    """Asks the model afresh at every step, by captured passes where there are any.

    Args:
        denoiser: of the model.
        request: what is known of the generation.
        captured: the passes.
    """

    def __init__(self, denoiser: ModelDenoiser, request: SessionRequest, captured: CapturedPasses) -> None:
        super().__init__(denoiser, request)
        self._captured = captured

    def look(self, sequences: Tensor, start: int, stop: int) -> ModelView:
        view: ModelView = self._denoiser.look(sequences, start, stop, self._request, self._captured)
        return view


def denoiser_for(model: Any) -> Denoiser:
    """The adapter for `model`, chosen by the records of `samplers.models.families`, as `samplers.models.load` is.

    A `Denoiser`, or what has a method `session(request)` beside its attributes, is returned as it is.

    Raises:
        ValueError: the model's own code leaves an attention mask to its caller which is not made here, or nothing says
            what a token of it may see.
    """
    if isinstance(model, Denoiser) or hasattr(model, "session"):
        denoiser: Denoiser = model
        return denoiser
    bare = unwrapped(model)
    if isinstance(getattr(bare, "attention", None), str):
        # A model of samplers.models aligns its logits and builds its masks itself.
        return ModelDenoiser(model)
    config = _config_of(bare)
    family = family_of(config)
    if family is None:
        return ModelDenoiser(model)
    if family.adapter is not None:
        adapted: Denoiser = adapter_of(family)(model)
        return adapted
    attention = family.attention if family.raw_attention is None else family.raw_attention(config)
    if attention not in ("full", "prompt_first"):
        raise ValueError(
            f"model_type {config.get('model_type')!r} needs {attention.replace('_', '-')} attention, which the code of "
            f"{family.name} leaves to the caller; load it with samplers.models.load"
        )
    return ModelDenoiser(model, shift=family.shift)


def _config_of(model: Any) -> CheckpointConfig:
    """What a raw model's config says of its family; a class says its architecture where the config does not."""
    config: Any = getattr(model, "config", None)
    values = dict(config.to_dict() if hasattr(config, "to_dict") else getattr(config, "__dict__", {}))
    if not isinstance(values.get("architectures"), list):
        values["architectures"] = [type(model).__name__]
    name = getattr(config, "_name_or_path", None) or type(model).__name__
    return CheckpointConfig(values, str(name))


def takes_any_attention(model: Any) -> bool:
    """Whether each query of the model may see any keys, as an attention mask (batch, 1, query, key) says.

    True of models of `samplers.models` that predict no token to the right, and of the encoders of transformers.
    """
    model = unwrapped(model)
    parameters = inspect.signature(getattr(model, "forward", model)).parameters
    if not {"attention_mask", "position_ids"} <= set(parameters):
        return False
    if getattr(model, "attention", None) is not None:
        # Where the tokens of a block choose their experts together, shadows would choose with them.
        return getattr(model, "shift", 0) == 0 and getattr(model, "expert_capacity", None) is None
    # Code that comes with a checkpoint has another home than transformers, and promises nothing.
    own = type(model).__module__.startswith("transformers.")
    return own and not getattr(getattr(model, "config", None), "is_decoder", False)


def layers_of_encoder(model: Any, with_shadows: bool = False) -> int:
    """How many layers' attention weights an encoder of transformers gives with `output_attentions`.

    Raises:
        ValueError: it is no such encoder, or forms no weights, or shadow tokens are wanted with them.
    """
    bare = unwrapped(model)
    config = getattr(bare, "config", None)
    layers = getattr(config, "num_hidden_layers", None)
    ours = not type(bare).__module__.startswith("transformers.") or getattr(config, "is_decoder", False)
    if ours or not isinstance(layers, int):
        reason = "families of samplers.models have them, and encoders of transformers with eager attention"
        raise not_given("attentions", model, reason)
    if with_shadows:
        raise not_given("attentions", model, "it has them, or shadow tokens, and not both in one pass")
    implementation = implementation_of(bare)
    if implementation != "eager":
        raise not_given(
            "attentions", model, f"its {implementation} attention forms none; load it with attn_implementation='eager'"
        )
    return layers


def implementation_of(bare: Any) -> str | None:
    """Which attention a model of transformers runs, such as "sdpa" or "eager"; None of other models."""
    implementation: str | None = getattr(getattr(bare, "config", None), "_attn_implementation", None)
    return implementation


def model_attribute(model: Any, name: str) -> int | None:
    """A whole number that the model or its config carries under `name`, else None."""
    bare = unwrapped(model)
    for holder in (model, bare, getattr(bare, "config", None)):
        value = getattr(holder, name, None)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None
