"""What a family of models is: its names, special tokens and attention, and how its checkpoints become blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from .configuration import CheckpointConfig
from .key_table import KeyTable

Attention = Literal["full", "block_causal", "prompt_first", "causal_context"]


@dataclass(frozen=True, slots=True)
class PublishedCheckpoint:
    """A checkpoint that people can download.

    Sizes are worked out from the dimensions of the models, and agree with the published files where we could read how
    large those are (not of LLaDA2-flash: its publisher says 100). Licences are what the model card said in the copy
    that `licence_source` names. The card on the Hub decides, and may change: DiffuCoder's said "unknown" at first, and
    LLaDA-8B-Instruct's apache-2.0.

    Attributes:
        name: its repository on the Hub.
        parameters: how many, in billions.
        licence: identifier on its model card; None where no page that we could read names one.
        licence_source: where the licence was read; None together with it.
        chat_options: (name, value) pairs that its chat template is to be told where answers are to be short.
    """

    name: str
    parameters: float
    licence: str | None = None
    licence_source: str | None = None
    chat_options: tuple[tuple[str, Any], ...] = ()

    @property
    def memory_gb(self) -> float:
        """Memory of the weights in bfloat16, in 10⁹ bytes; activations come on top."""
        return 2 * self.parameters


@dataclass(frozen=True, slots=True)
class Blueprint:
    """How to build the network that a config describes.

    Attributes:
        blocks: which of transformers' decoders, by its `model_type`, such as "llama" or "qwen3_moe".
        config: keyword arguments of that decoder's config class.
        table: names in the checkpoint → names in the network.
        tied: whether the embedding is the output head too; None where the presence of a head in the file decides.
        block_length: length of the blocks of block-causal attention.
        attention: None means the family's.
        expert_capacity: how many experts the tokens of a block may use between them; None means as many as they like.
        withheld_token_ids: tokens that the model is not let propose, because what they ask for is not done here.
    """

    blocks: str
    config: dict[str, Any]
    table: KeyTable
    tied: bool | None
    block_length: int | None = None
    attention: Attention | None = None
    expert_capacity: int | None = None
    withheld_token_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """One row of the table of families; the ids are those of the published checkpoints.

    Attributes:
        name: short name.
        model_types: values of `model_type` in config.json.
        architectures: values of `architectures[0]`; where two families share a model type, these decide.
        attention: "full", "block_causal", "prompt_first" (the prompt never looks at the answer), or "causal_context"
            (what stands before the block is causal, the block sees itself and what is before it).
        mask_token_id, eos_token_id, vocab_size: of the published checkpoints; None where there is no fixed one.
        stop_token_ids: end of text and end of turn.
        block_length: length of a block; None where any will do.
        paper: where the family comes from.
        blueprint: reads a config, and refuses what the blocks cannot express.
        checked: what its logits were compared with, in a few words.
        shift: 1 where row i of the decoder's raw logits describes token i + 1, else 0.
        by_architecture: whether the architecture alone decides: the model type is a stranger's too, or was not read.
        own_key: a key of its configs that no other family of its model type has, where such families exist; it decides
            where a config names no architecture.
        own_class: class of transformers that is taken as it is, in the place of what a blueprint would build.
        adapter: "module:class" of the `Denoiser` that such a model takes, raw or loaded; None means the usual one.
        raw_attention: attention that the family's own code leaves to its caller, where the config decides; raises
            ValueError where it does not. None means `attention`.
        checkpoints: what is published.
        harmless_keys: keys of its configs that change nothing that is computed here, beside those of
            `configuration.HARMLESS` and of transformers; any other key that is not read is refused.
    """

    name: str
    model_types: tuple[str, ...]
    architectures: tuple[str, ...]
    attention: Attention
    mask_token_id: int | None
    eos_token_id: int | None
    stop_token_ids: tuple[int, ...]
    vocab_size: int | None
    block_length: int | None
    paper: str
    blueprint: Callable[[CheckpointConfig], Blueprint] = field(repr=False, compare=False)
    checked: str = ""
    shift: int = 0
    by_architecture: bool = False
    own_key: str | None = None
    own_class: str | None = None
    adapter: str | None = None
    raw_attention: Callable[[CheckpointConfig], Attention] | None = field(default=None, repr=False, compare=False)
    checkpoints: tuple[PublishedCheckpoint, ...] = ()
    harmless_keys: tuple[str, ...] = ()
