"""The graphs that episodes begin with, and whether any first move keeps the rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from glassgraph.errors import HyperParameterError
from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs
from glassgraph.explainers.graph_generation.rule import Rule

#: None for a node of any type, a type by name or number, or a graph (node_type, edge_index).
Start = None | str | int | tuple[Any, Any]


def node_type_names(node_types: int | Sequence[str]) -> tuple[str, ...]:
    """Names of the node types; numbers where only their count is given.

    Raises:
        HyperParameterError: if there is none, or a name occurs twice.
    """
    if isinstance(node_types, int) and not isinstance(node_types, bool):
        names = tuple(map(str, range(node_types)))
    elif isinstance(node_types, Sequence) and not isinstance(node_types, str):
        names = tuple(map(str, node_types))
    else:
        names = ()
    if not names or len(set(names)) < len(names):
        raise HyperParameterError(
            "node_types is the number of node types, or a list of their names, each once; got "
            f"{node_types!r}"
        )
    return names


def read_initial_graphs(
    start: Start, names: Sequence[str], max_nodes: int, device: torch.device
) -> DenseGraphs:
    """The graphs that an episode may begin with.

    Raises:
        HyperParameterError: if the start is not understood or has no room.
    """
    if isinstance(start, tuple):
        return _given_graph(start, names, max_nodes, device)
    if start is None:
        kinds = list(range(len(names)))
    elif isinstance(start, str) and start in names:
        kinds = [list(names).index(start)]
    elif isinstance(start, int) and not isinstance(start, bool) and 0 <= start < len(names):
        kinds = [start]
    else:
        raise HyperParameterError(
            f"start is None, a node type ({', '.join(names)}), its number, or a graph "
            f"(node_type, edge_index); got {start!r}"
        )
    types = torch.full((len(kinds), max_nodes), -1, device=device)
    types[:, 0] = torch.tensor(kinds, device=device)
    nothing = torch.zeros((len(kinds), max_nodes, max_nodes), dtype=torch.bool, device=device)
    return DenseGraphs(types, nothing, len(names))


def _given_graph(
    start: tuple[Any, Any], names: Sequence[str], max_nodes: int, device: torch.device
) -> DenseGraphs:
    if len(start) != 2:
        raise HyperParameterError(
            f"a graph to start with is (node_type, edge_index); got {len(start)} parts"
        )
    node_type = torch.as_tensor(start[0], device=device).long().view(-1)
    edge_index: Tensor = torch.as_tensor(start[1], device=device).long().reshape(2, -1)
    size = node_type.numel()
    if not 1 <= size <= max_nodes:
        raise HyperParameterError(
            f"the graph to start with has {size} nodes; 1 to max_nodes={max_nodes} have room"
        )
    if int(node_type.min()) < 0 or int(node_type.max()) >= len(names):
        raise HyperParameterError(f"node types of the start lie in 0..{len(names) - 1}")
    is_outside = edge_index.numel() and not 0 <= int(edge_index.min()) <= edge_index.max() < size
    if is_outside or bool((edge_index[0] == edge_index[1]).any()):
        raise HyperParameterError(
            f"edges of the start join two different nodes among its {size}; got "
            f"{edge_index.tolist()}"
        )
    return DenseGraphs.from_edges(node_type, edge_index, max_nodes, len(names))


def with_a_first_move(initial: DenseGraphs, rules: Sequence[Rule]) -> DenseGraphs:
    """Those graphs from which some move keeps all rules.

    Raises:
        HyperParameterError: if there is none; names the rules that stand in the way.
    """
    row, start, end = initial.moves().nonzero(as_tuple=True)
    if not row.numel():
        raise HyperParameterError(
            "the graph to start with is full: no edge and no node can be added; raise max_nodes"
        )
    after = initial.take(row).after(start, end)
    verdicts = [rule.holds(after) for rule in rules]
    everything = torch.ones_like(row, dtype=torch.bool)
    kept = torch.stack([everything, *verdicts]).all(dim=0)
    if not kept.any():
        raise HyperParameterError(
            f"no graph can keep the rules: {_who_forbids(rules, verdicts)} every first move "
            f"({row.numel()} were tried, from every node that growing may begin with); rules hold "
            "for every partial graph, not only for the last one. Relax the rule, or give another "
            "start"
        )
    return initial.take(torch.unique(row[kept]))


def _who_forbids(rules: Sequence[Rule], verdicts: Sequence[Tensor]) -> str:
    """Rules that allow no first move at all; all rules where only together they allow none."""
    alone = [rule.name for rule, verdict in zip(rules, verdicts, strict=True) if not verdict.any()]
    names = " and ".join(alone or [rule.name for rule in rules])
    verb = "forbids" if len(alone) == 1 else "each forbid" if alone else "together forbid"
    return f"{names} {verb}"
