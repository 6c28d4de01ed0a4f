"""A checkpoint's config.json: read as it stands, with errors that name the key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

#: Ways of scaling rotary positions that transformers' blocks compute.
ROPE_TYPES = ("default", "linear", "dynamic", "yarn", "longrope", "llama3")
#: Keys that change no forward pass in evaluation, whatever the family: what transformers 4 kept in every config, what
#: training left behind, and how (not what) attention is computed. Those of transformers 5 are asked for.
HARMLESS = (
    *("auto_map", "torch_dtype", "attn_implementation", "tokenizer_class", "name_or_path", "num_labels"),
    *("finetuning_task", "task_specific_params", "prefix", "sep_token_id", "torchscript", "tf_legacy_loss"),
    *("use_bfloat16", "gradient_checkpointing", "unsloth_version", "pretraining_tp"),
    *("initializer_range", "attention_dropout", "embedding_dropout", "output_dropout", "residual_dropout"),
    *("output_router_logits", "router_aux_loss_coef"),
    "answer_length",  # tokens that an answer takes at least, which the benchmark reads
)


class CheckpointConfig:
    """The keys of a config.json as attributes; a key that is not there is an AttributeError, as in transformers.

    Args:
        values: the keys.
        source: where they come from, for messages.
    """

    def __init__(self, values: Mapping[str, Any], source: str) -> None:
        self._values, self._source = dict(values), source
        self._read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._values:
            raise AttributeError(f"this config has no key {name!r}")
        return self._value(name)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __repr__(self) -> str:
        return f"CheckpointConfig({self._values!r})"

    @property
    def source(self) -> str:
        """Where the keys come from."""
        return self._source

    def to_dict(self) -> dict[str, Any]:
        """A copy of all keys."""
        return dict(self._values)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of `key`; `default` where it is missing or null."""
        value = self._value(key)
        return default if value is None else value

    def _value(self, key: str) -> Any:
        self._read.add(key)
        return self._values.get(key)

    def require(self, key: str) -> Any:
        """The value of `key`.

        Raises:
            ValueError: it is missing or null.
        """
        value = self._value(key)
        if value is None:
            raise ValueError(f"{self._source}: {key} is missing, and has no default")
        return value

    def count(self, key: str, default: int | None = None) -> int:
        """The value of `key`, a whole number of at least 1; `default` where it is missing or null.

        Raises:
            ValueError: it is something else, or missing without a default.
        """
        value = self.require(key) if default is None else self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.refusal(key, "a whole number of at least 1")
        return value

    def at_most(self, key: str, most: int) -> int:
        """The value of `key`, a whole number from 1 to `most`.

        Raises:
            ValueError: it is something else, or missing.
        """
        value = self.count(key)
        if value > most:
            raise self.refusal(key, f"at most {most}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """The value of `key`, a positive number; `default` where it is missing or null.

        Raises:
            ValueError: it is something else, or missing without a default.
        """
        value = self.require(key) if default is None else self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise self.refusal(key, "a positive number")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """The value of `key`, true or false; `default` where it is missing or null.

        Raises:
            ValueError: it is something else.
        """
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise self.refusal(key, "true or false")
        return value

    def only(self, key: str, *allowed: Any) -> None:
        """Refuse a value that the blocks cannot express; a key that is missing or null is fine.

        Raises:
            ValueError: the value is none of `allowed`.
        """
        value = self._value(key)
        if value is not None and not any(
            value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed
        ):
            raise self.refusal(key, " or ".join(repr(one) for one in allowed))

    def refusal(self, key: str, expected: str) -> ValueError:
        """The error for a key whose value the blocks cannot express."""
        return ValueError(
            f"{self._source}: {key} is {self._values.get(key)!r}, which this family's blocks cannot express; "
            f"it should be {expected}"
        )

    def refuse_unread(self, harmless: Iterable[str] = ()) -> None:
        """Refuse every key that was not read: it may change what the model computes.

        To be called when all that is built from the config has been decided. Null, an empty list and an empty object
        say the same as a missing key.

        Args:
            harmless: keys that change nothing where they are not read, beside those of `HARMLESS` and transformers.

        Raises:
            ValueError: there are such keys; the message names them.
        """
        # Keys that transformers 4 wrote into every config.
        for key in ("is_decoder", "add_cross_attention", "tie_encoder_decoder"):
            self.only(key, False)
        known = self._read | {*HARMLESS, *harmless} | keys_of_transformers()
        unread = [
            key
            for key, value in self._values.items()
            if key not in known and not key.startswith("_") and value is not None and value not in ([], {})
        ]
        if unread:
            entries = " and ".join(f"{key} is {self._values[key]!r}" for key in unread)
            raise ValueError(
                f"{self._source}: {entries}, which this family's blocks do not know; it may change what the model "
                "computes (if it does not, take it out of a copy of the file)"
            )

    def rope_parameters(self, *, partial: bool = False, more: Iterable[str] = ()) -> dict[str, Any]:
        """Rotary positions as transformers 5 wants them, from the keys of 5 or of 4.

        Args:
            partial: whether the blocks can turn a part of each head alone, and want to be told which.
            more: keys of the object that these blocks know beside transformers' own.

        Raises:
            ValueError: the base is missing, the kind of scaling or one of its keys is unknown, or two keys of the
                config contradict each other.
        """
        from transformers.modeling_rope_utils import RopeParameters

        key = "rope_scaling" if self.get("rope_parameters") is None else "rope_parameters"
        given = self.get(key, {})
        if given is False:  # as some configs say that nothing is scaled
            given = {}
        if not isinstance(given, dict):
            raise self.refusal(key, "an object")
        known = {*RopeParameters.__annotations__, "type", *more} - {"mrope_section"}
        if unknown := [name for name in given if name not in known]:
            raise self.refusal(key, f"an object without {', '.join(unknown)}")
        parameters = {name: value for name, value in given.items() if name != "type"}
        parameters.setdefault("rope_type", given.get("type", "default"))
        if parameters["rope_type"] not in ROPE_TYPES:
            raise ValueError(
                f"{self._source}: {key} asks for rope type {parameters['rope_type']!r}; "
                f"the blocks know {', '.join(ROPE_TYPES)}"
            )
        base = parameters.get("rope_theta")
        if base is None:
            base = self.number("rope_theta")
        elif isinstance(base, bool) or not isinstance(base, int | float) or not base > 0:
            raise self.refusal(key, "an object whose rope_theta is a positive number")
        parameters["rope_theta"] = base
        if self.get("rope_theta", base) != base:
            raise self.refusal("rope_theta", f"{base!r}, as in {key}")
        inside = parameters.pop("partial_rotary_factor", None)
        share = self.number("partial_rotary_factor", 1.0 if inside is None else inside)
        if inside is not None and inside != share:
            raise self.refusal(key, f"an object whose partial_rotary_factor is {share!r}")
        if share > 1 or not (partial or share == 1):
            where = "partial_rotary_factor" if inside is None else key
            raise self.refusal(where, f"a partial_rotary_factor of {'at most 1' if partial else '1'}")
        return parameters | ({"partial_rotary_factor": share} if partial else {})


@cache
def keys_of_transformers() -> frozenset[str]:
    """Keys of config.json that belong to transformers itself: those of every config, and those of text generation."""
    from transformers import GenerationConfig, PreTrainedConfig

    generation: dict[str, Any] = GenerationConfig().to_dict()  # type: ignore[no-untyped-call]
    return frozenset({*PreTrainedConfig().to_dict(), *generation})


@contextmanager
def one_line_refusal(source: str, what: str) -> Iterator[None]:
    """Turns what transformers raises about values that it cannot build `what` from into one `ValueError`."""
    from huggingface_hub.errors import StrictDataclassError

    try:
        yield
    except (StrictDataclassError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{source}: {what} cannot be built from it ({reason})") from error
