"""The models a run can name, each behind one small interface."""

from __future__ import annotations

from pathlib import Path

from benchmark.protocol.operating_points import IN_PROCESS, SERVICE

from . import ideal, reference
from .autoregressive import AutoregressiveModel
from .hub import HubModel
from .ideal import IdealModel
from .interface import BenchmarkModel, ModelOptions, TaskModel
from .own import OwnModel, is_own, load_own, runs_user_code
from .service import ServiceModel

__all__ = [
    "AutoregressiveModel",
    "BenchmarkModel",
    "HubModel",
    "IdealModel",
    "ModelOptions",
    "OwnModel",
    "ServiceModel",
    "TaskModel",
    "default_models",
    "load_logits_model",
    "load_model",
    "runs_user_code",
]

IDEAL, IDEAL_GREEDY = ideal.NAME, ideal.GREEDY


def load_model(name: str, options: ModelOptions | None = None) -> BenchmarkModel:
    """The model called `name`.

    Args:
        name: `ideal`; `ideal:NAME`, the ideal model in the tokens of another; `ideal-greedy` and `ideal-greedy:NAME`,
            the same run greedily; `reference`, the model that ships with the project; a directory; `owner/name` on
            the Hub, with `@revision` if need be; `package.module:factory`, with options as in `factory(size=2)`;
            `ar:` before a directory or a name on the Hub, for an autoregressive model; or `api:NAME`, with `@URL` if
            need be, for one behind a server.
        options: of models with weights.

    Raises:
        ValueError: there is none of that name, or it lacks what a run needs.
    """
    options = options or ModelOptions()
    kind, colon, lender = name.partition(":")
    if name.startswith(IN_PROCESS):
        return AutoregressiveModel(lender, options)
    if name.startswith(SERVICE):
        return ServiceModel(lender, options)
    if kind in (IDEAL, IDEAL_GREEDY):
        return IdealModel(_with_weights(lender, options) if colon else None, greedy=kind == IDEAL_GREEDY)
    return _with_weights(name, options)


def load_logits_model(name: str, options: ModelOptions | None = None) -> HubModel | OwnModel:
    """The model called `name`, of those that a method decodes whatever they are asked.

    Raises:
        ValueError: there is none of that name, or it has no schedulers, or it knows the benchmark's questions alone.
    """
    if name.startswith((IN_PROCESS, SERVICE)):
        raise ValueError(f"{name} is no diffusion model, so no method decodes it")
    if name.partition(":")[0] in (IDEAL, IDEAL_GREEDY):
        raise ValueError(f"{name} is a table of right answers, and no diffusion model that others can ask")
    return _with_weights(name, options or ModelOptions())


def default_models() -> list[str]:
    """The models of a run that names none: the reference model beside the ideal one in its tokens, if it is there."""
    return [f"{IDEAL}:{reference.NAME}", reference.NAME] if reference.is_here() else [IDEAL]


def _with_weights(name: str, options: ModelOptions) -> HubModel | OwnModel:
    if is_own(name) and not Path(name).exists():
        return load_own(name, options)
    if name == reference.NAME and not Path(name).is_dir():
        if not reference.is_here():
            raise ValueError(f"the reference model is not here: there are no weights in {reference.DIRECTORY}")
        return HubModel(str(reference.DIRECTORY), options, name=name, answer_length=reference.ANSWER_LENGTH)
    if "/" not in name and not Path(name).expanduser().exists():
        raise ValueError(
            f"unknown model {name!r}; write {IDEAL}, {reference.NAME}, a directory, owner/name as on the Hub, "
            "or package.module:factory"
        )
    return HubModel(name, options)
