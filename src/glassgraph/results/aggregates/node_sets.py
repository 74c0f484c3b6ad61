"""Sets of nodes as a user names them, in each of many explanations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from glassgraph.errors import ExplanationFileError, InstanceError
from glassgraph.results.aggregates.attributes import node_attribute
from glassgraph.results.aggregates.messages import ScoredSet
from glassgraph.results.records import LocalExplanation

#: Node ids (one, several, or a list for each instance), ids by node type, a mask over the nodes of
#: the data, the name of an attribute, or a function of an explanation that returns ids or a mask.
NodeSet: TypeAlias = (
    "int | Tensor | Sequence[Any] | Mapping[str, Any] | str "
    "| Callable[[LocalExplanation], Any] | None"
)


def find_nodes(explanations: ScoredSet, nodes: NodeSet, what: str) -> list[Tensor]:
    """For each explanation ``[n]`` booleans: which of its nodes are meant; all if None.

    Args:
        explanations: the explanations.
        nodes: the set.
        what: its name in messages.

    Raises:
        InstanceError: if it names no nodes, or none that an explanation has.
        ExplanationFileError: if it is read from data that were not stored.
        GraphError: if an attribute does not say which nodes.
    """
    flat = explanations.flat_nodes()
    rule = _rule(explanations, nodes, what, len(flat))
    found = []
    for number, own in enumerate(flat):
        is_meant = rule(_Instance(number, explanations.local(number), own))
        if is_meant.shape != own.shape:
            raise InstanceError(
                f"{what} has a mask of {is_meant.numel()} nodes for instance {number}; expected "
                f"the {own.numel()} nodes of its field"
            )
        found.append(is_meant)
    if found and not any(bool(each.any()) for each in found):
        raise InstanceError(f"no explanation has a node of {what}; got {nodes!r}")
    return found


@dataclass(frozen=True)
class _Instance:
    """One of the explanations: its number, itself, and its flat nodes."""

    number: int
    local: LocalExplanation
    flat: Tensor


_Rule: TypeAlias = Callable[[_Instance], Tensor]


def _rule(explanations: ScoredSet, nodes: NodeSet, what: str, size: int) -> _Rule:
    """A function that says which nodes of an instance are meant."""
    if nodes is None:
        return lambda at: torch.ones_like(at.flat, dtype=torch.bool)
    if callable(nodes):
        return lambda at: _among(nodes(at.local), at.local, what)
    if isinstance(nodes, str):
        return _attribute(explanations, nodes, what)
    if isinstance(nodes, Mapping):
        return lambda at: _typed(nodes, at.local, what)
    if not isinstance(nodes, int) and _is_list_of_lists(nodes):
        if len(nodes) != size:
            raise InstanceError(
                f"{what} has lists for {len(nodes)} instances; there are {size} explanations"
            )
        return lambda at: _among(nodes[at.number], at.local, what)
    values = _tensor(nodes, what)
    if values.dtype == torch.bool:
        graph = explanations.graph
        total = values.numel() if graph is None else graph.num_nodes
        if values.numel() != total:
            raise InstanceError(
                f"{what} is a mask of {values.numel()} nodes; the data have {total} nodes"
            )
        return lambda at: values[at.flat]
    return lambda at: _among(values, at.local, what)


def _attribute(explanations: ScoredSet, name: str, what: str) -> _Rule:
    """A mask over all nodes, or else the nodes that each graph numbers."""
    graph = explanations.graph
    if graph is None:
        raise ExplanationFileError(
            f"{what}={name!r} is read from the data, which were not stored; pass them to load: "
            "Explanations.load(folder, data=data)"
        )
    stores = graph.node_stores(graph.data)
    if not graph.is_heterogeneous and isinstance(graph.data.get(name), Tensor):
        first = graph.single(0)[name]
        is_mask = first.dtype == torch.bool or "index" not in name
        if not is_mask or first.numel() != int(graph.single(0).num_nodes):
            singles: dict[int, Tensor] = {}

            def numbered(at: _Instance) -> Tensor:
                own = at.local.graph
                if own not in singles:
                    singles[own] = graph.single(own)[name].cpu().view(-1)
                return _among(singles[own], at.local, what)

            return numbered
    if not any(name in store for store in stores):
        raise InstanceError(f"{what}={name!r}: the nodes of the data have no such attribute")
    values = node_attribute(graph, name)
    assert values is not None, "some store has it"
    marks = {None: False, 0: False, 1: True}  # also False and True, 0.0 and 1.0
    if not set(values.tolist()) <= marks.keys():
        raise InstanceError(
            f"{what}={name!r} does not say which nodes are meant: expected True or False, or 0 or "
            f"1, for each of them; give a function, such as lambda local: ..."
        )
    mask = torch.tensor([marks[value] for value in values.tolist()], dtype=torch.bool)
    return lambda at: mask[at.flat]


def _typed(nodes: Mapping[str, Any], local: LocalExplanation, what: str) -> Tensor:
    if local.node_type is None:
        raise InstanceError(f"{what} is given by node type; these graphs have no node types")
    types = np.array(local.node_type, dtype=object)
    found = torch.zeros_like(local.node_id, dtype=torch.bool)
    for name, ids in nodes.items():
        own = torch.from_numpy(types == name)
        found |= own & torch.isin(local.node_id, _tensor(ids, what))
    return found


def _among(nodes: Any, local: LocalExplanation, what: str) -> Tensor:
    """Which nodes of an explanation are meant by ids, or by a mask over them."""
    values = _tensor(nodes, what)
    if values.dtype == torch.bool:
        return values
    if local.node_type is not None:
        raise InstanceError(
            f"{what}: ids say which nodes only with their type; give a dictionary "
            "{'type': ids}, an attribute's name, or a function that returns a mask"
        )
    return torch.isin(local.node_id, values)


def _is_list_of_lists(nodes: Any) -> bool:
    nested = (list, tuple, Tensor, np.ndarray)
    is_list = isinstance(nodes, list | tuple) and len(nodes) > 0
    return is_list and all(isinstance(each, nested) and np.ndim(each) for each in nodes)


def _tensor(nodes: Any, what: str) -> Tensor:
    try:
        values = torch.as_tensor(nodes).detach().cpu().view(-1)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InstanceError(
            f"{what} names nodes by their ids, or by a mask; got {nodes!r}"
        ) from error
    if not values.numel():
        return values.long()
    if values.dtype.is_floating_point or values.dtype.is_complex:
        raise InstanceError(f"{what} names nodes by whole numbers, or by a mask; got {nodes!r}")
    if values.dtype != torch.bool and int(values.min()) < 0:
        raise InstanceError(f"{what} names nodes by numbers from 0; got {nodes!r}")
    return values
