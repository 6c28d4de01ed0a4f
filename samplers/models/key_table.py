"""From a checkpoint's tensors to a network's: one table per family, and the plan that it gives for a checkpoint.

Transformers' own weight converters say which tensors are missing or misshapen only when all shards are open and have
been read, draw what is missing at random, and hold stacked experts twice while they merge them. Their part that is
public since 5.0 also cannot cut a fused projection into parts of unequal size, which LLaDA2's checkpoints need.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """The tensor's rows go to several targets, in this order; each takes as many as it has."""

    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expert:
    """The tensor is expert {e} of a target that stacks all experts, or one of `parts` equal parts of its rows."""

    target: str
    part: int = 0
    parts: int = 1


#: Name in the checkpoint, with {i} for the layer and {e} for the expert → where the tensor goes.
KeyTable = Mapping[str, str | Rows | Expert]

#: Tensors that a network computes by itself.
COMPUTED = ("*.rotary_emb.inv_freq",)


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of a checkpoint's tensor and the place in the network where they go.

    Attributes:
        target: name in the network.
        rows: which rows of the checkpoint's tensor; all where None.
        expert: index along the target's first dimension; None where the target stacks no experts.
        target_rows: which rows of the target (of one expert's part of it); all where None.
    """

    target: str
    rows: slice | None = None
    expert: int | None = None
    target_rows: slice | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Where each tensor of a checkpoint goes, and whether the embedding serves as the head."""

    pieces: Mapping[str, Sequence[Piece]]
    tied: bool


def plan(
    table: KeyTable,
    network: Mapping[str, Shape],
    checkpoint: Mapping[str, Shape],
    *,
    layers: int,
    experts: int = 0,
    tied: bool | None = False,
    source: str = "the checkpoint",
) -> Plan:
    """Assign every tensor of a checkpoint to the network, and see that nothing is missing, left over or misshapen.

    Args:
        table: the family's names.
        network: shapes of the network's parameters, the head `lm_head.weight` among them.
        checkpoint: shapes of the tensors in the files.
        tied: as in `Blueprint.tied`.

    Raises:
        ValueError: tensors are missing, left over, or of another shape; the message lists them by name.
    """
    pieces: dict[str, list[Piece]] = {}
    shapes: dict[str, Shape] = {}
    head = next(name for name, target in table.items() if target == "lm_head.weight")
    if tied is None:
        tied = head not in checkpoint
    for name, places, shape in expected_tensors(table, network, layers, experts):
        pieces[name], shapes[name] = places, shape
    if tied:
        pieces.pop(head)
    missing = [name for name in pieces if name not in checkpoint]
    left_over = [
        name
        for name in checkpoint
        if name not in pieces
        and not (tied and name == head)
        and not any(fnmatchcase(name, pattern) for pattern in COMPUTED)
    ]
    misshapen = [
        f"{name} {list(checkpoint[name])} instead of {list(shapes[name])}"
        for name in pieces
        if name in checkpoint and tuple(checkpoint[name]) != shapes[name]
    ]
    problems = [
        f"{what}: {listed(names)}"
        for what, names in (("missing", missing), ("left over", left_over), ("of another shape", misshapen))
        if names
    ]
    if problems:
        raise ValueError(f"{source} does not fit its config; tensors {'; tensors '.join(problems)}")
    filled = {piece.target for places in pieces.values() for piece in places} | ({"lm_head.weight"} if tied else set())
    if unfilled := [name for name in network if name not in filled]:
        raise ValueError(f"{source}: this family's table has no tensor for {listed(unfilled)}")
    return Plan(pieces, tied)


def expected_tensors(
    table: KeyTable, network: Mapping[str, Shape], layers: int, experts: int
) -> Iterable[tuple[str, list[Piece], Shape]]:
    """Every tensor that a checkpoint of this network should hold, with its places and its shape."""
    for pattern, rule in table.items():
        for i in range(layers) if "{i}" in pattern else (0,):
            for e in range(experts) if "{e}" in pattern else (0,):
                placed = _places(rule, i, e, network)
                if placed is not None:
                    yield pattern.replace("{i}", str(i)).replace("{e}", str(e)), *placed


def _places(
    rule: str | Rows | Expert, layer: int, expert: int, network: Mapping[str, Shape]
) -> tuple[list[Piece], Shape] | None:
    """None where this layer has no such parameter, as a dense layer has no experts."""
    if isinstance(rule, Rows):
        targets = [target.replace("{i}", str(layer)) for target in rule.targets]
        if any(target not in network for target in targets):
            return None
        pieces, start = [], 0
        for target in targets:
            pieces.append(Piece(target, rows=slice(start, start + network[target][0])))
            start += network[target][0]
        return pieces, (start, *network[targets[0]][1:])
    target = (rule.target if isinstance(rule, Expert) else rule).replace("{i}", str(layer))
    if target not in network:
        return None
    shape = network[target]
    if isinstance(rule, str):
        return [Piece(target)], shape
    rows = shape[1] // rule.parts
    place = slice(rule.part * rows, (rule.part + 1) * rows)
    return [Piece(target, expert=expert, target_rows=place)], (rows, *shape[2:])


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names in a message, not more than `most`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
