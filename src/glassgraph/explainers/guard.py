"""What a method is and what it returns, held against what it promises.

`check_class` looks at a class once, when its first explainer is built; `check_attribution` at every
`Attribution`, against the batch it was computed for. A score that would be dropped, spread over
edges it does not belong to, or written out as NaN ends here, with the method, the field, what was
got and what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import AttributionError, MethodDefinitionError
from glassgraph.explainers.traits import SCORES, Traits
from glassgraph.results.records import Attribution, Table

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Described(Protocol):
    """What is read of a method here."""

    name: ClassVar[str]
    traits: ClassVar[Traits]


def check_class(method: type[Any]) -> None:
    """Whether a class declares what every method has to.

    Raises:
        MethodDefinitionError: if it has no proper ``name`` or ``traits``.
    """
    title, name = method.__qualname__, getattr(method, "name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise MethodDefinitionError(
            f"{title}.name must be the method's name in lower case, such as 'my_method'; got "
            f"{name!r}"
        )
    traits = getattr(method, "traits", None)
    if not isinstance(traits, Traits):
        raise MethodDefinitionError(
            f"{title}.traits must be glassgraph.Traits(family=..., scores=(...)); got {traits!r}"
        )
    scores = traits.scores
    if not isinstance(scores, tuple) or not scores or not set(scores) <= set(SCORES):
        raise MethodDefinitionError(
            f"{title}.traits.scores must be a tuple of some of {', '.join(map(repr, SCORES))}; "
            f"got {scores!r}"
        )


def check_attribution(method: Described, found: Any, batch: InstanceBatch) -> Attribution:
    """Hold what ``attribute`` returned against its batch.

    Args:
        method: the explainer.
        found: what it returned.
        batch: what it was given.

    Raises:
        AttributionError: for another type, a wrong shape, numbers that are not finite or not
            floating, scores that ``traits.scores`` does not promise, or none that it does.
    """
    if not isinstance(found, Attribution):
        raise AttributionError(
            f"{method.name}: attribute must return a glassgraph.Attribution; got "
            f"{type(found).__name__}"
        )
    try:
        _check_promise(method.traits, found)
        for field, value, shape in _expected(found, batch):
            _check_scores(field, value, shape)
        _check_walks(found, batch)
        _check_reasons(found, batch)
        for name, table in found.tables.items():
            _check_table(f"tables[{name!r}]", table, batch)
    except _Wrong as wrong:
        raise AttributionError(f"{method.name}: {wrong}") from None
    return found


class _Wrong(ValueError):
    """Which field is wrong, and how."""


def _check_promise(traits: Traits, found: Attribution) -> None:
    given = {
        "edge": found.edge,
        "layer edge": found.layer_edge,
        "node": found.node,
        "feature": found.feature,
    }
    kinds = [kind for kind, value in given.items() if value is not None]
    for kind in kinds:
        if kind not in traits.scores:
            raise _Wrong(
                f"attribute returned {kind} scores, but traits.scores promises "
                f"{', '.join(traits.scores)}"
            )
    if not kinds and found.walk is None:
        raise _Wrong(f"attribute returned no scores; expected {', '.join(traits.scores)}")


def _expected(
    found: Attribution, batch: InstanceBatch
) -> Iterator[tuple[str, Any, tuple[tuple[str, int], ...]]]:
    """Each field of scores with its value and the sizes that it should have."""
    edges, nodes = ("edges", batch.num_edges), ("nodes", batch.num_nodes)
    layers, instances = ("layers", batch.num_layers), ("instances", batch.num_instances)
    yield "edge", found.edge, (edges,)
    yield "layer_edge", found.layer_edge, (layers, edges)
    yield "node", found.node, (nodes,)
    yield "total", found.total, (instances,)
    if found.feature is None:
        return
    features, rows = batch.features, batch.all_features
    if not isinstance(found.feature, Sequence) or len(found.feature) != len(features):
        size = len(found.feature) if isinstance(found.feature, (Sequence, Tensor)) else "no"
        raise _Wrong(
            f"feature must be a list with one entry for each of {len(features)} node types; got "
            f"{type(found.feature).__name__} with {size} entries"
        )
    for number, (value, known) in enumerate(zip(found.feature, features, strict=True)):
        x = rows[number]  # integers have no gradient, but can be exchanged as a whole
        if x is None or known is None:
            if value is None:
                continue
            if x is None or not isinstance(value, Tensor) or value.shape != x.shape:
                raise _Wrong(f"feature[{number}] must be None: that type has no floating features")
        yield f"feature[{number}]", value, (("nodes", x.size(0)), ("features", x.size(1)))


def _check_scores(field: str, value: Any, shape: tuple[tuple[str, int], ...]) -> None:
    """Whether scores are a finite floating tensor of the right shape."""
    if value is None:
        return
    sizes = tuple(size for _, size in shape)
    wanted = "[" + ", ".join(name for name, _ in shape) + f"] = {sizes}"
    if not isinstance(value, Tensor):
        raise _Wrong(f"{field} must be a tensor of shape {wanted}; got {type(value).__name__}")
    if tuple(value.shape) != sizes:
        raise _Wrong(f"{field} has shape {tuple(value.shape)}; expected {wanted}")
    if not value.is_floating_point():
        raise _Wrong(f"{field} has type {value.dtype}; expected floating-point scores")
    is_finite = torch.isfinite(value)
    if not bool(is_finite.all()):
        raise _Wrong(
            f"{field} holds {int((~is_finite).sum())} of {value.numel()} numbers that are not "
            "finite (NaN or infinite); expected finite scores"
        )


def _check_walks(found: Attribution, batch: InstanceBatch) -> None:
    walk, score = found.walk, found.walk_score
    if walk is None and score is None:
        return
    if walk is None or score is None:
        raise _Wrong("walk and walk_score belong together; got one of them")
    length = batch.num_layers + 1
    if walk.dim() != 2 or walk.size(1) != length or walk.is_floating_point():
        raise _Wrong(
            f"walk has shape {tuple(walk.shape)} and type {walk.dtype}; expected integers "
            f"[walks, {length}]: a node for each end of {batch.num_layers} layers"
        )
    _check_rows("walk", walk, batch.num_nodes, least=0)
    _check_scores("walk_score", score, (("walks", walk.size(0)),))
    _check_ascending("walk", batch.node_instance[walk[:, 0]])


def _check_reasons(found: Attribution, batch: InstanceBatch) -> None:
    for number, reason in enumerate(found.reasons):
        if reason.holds.dtype != torch.bool or reason.holds.shape != (batch.num_instances,):
            raise _Wrong(
                f"reasons[{number}].holds has shape {tuple(reason.holds.shape)} and type "
                f"{reason.holds.dtype}; expected torch.bool [instances] = ({batch.num_instances},)"
            )


def _check_table(field: str, table: Table, batch: InstanceBatch) -> None:
    _check_rows(f"{field}.instance", table.instance, batch.num_instances, least=0)
    _check_ascending(field, table.instance)
    rows = table.instance.numel()
    for name, value in (*table.nodes.items(), *table.values.items()):
        if value.dim() == 0 or value.size(0) != rows:
            raise _Wrong(
                f"{field}: column {name!r} has shape {tuple(value.shape)}; expected {rows} rows"
            )
    for name, value in table.nodes.items():
        _check_rows(f"{field}: column {name!r}", value, batch.num_nodes, least=-1)


def _check_rows(field: str, value: Tensor, size: int, *, least: int) -> None:
    """Whether row numbers are within ``[least, size)``."""
    if value.numel() and (int(value.min()) < least or int(value.max()) >= size):
        raise _Wrong(
            f"{field} holds numbers from {int(value.min())} to {int(value.max())}; expected "
            f"{least} to {size - 1}"
        )


def _check_ascending(field: str, instance: Tensor) -> None:
    if bool((instance.diff() < 0).any()):
        raise _Wrong(f"{field}: rows must be sorted by instance")
