"""From columns to one instance on its own receptive field, in the user's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glassgraph.results.contents import Contents
from glassgraph.results.names import Names, num_outputs
from glassgraph.results.records import ROWS, LocalExplanation, Part, Table
from glassgraph.results.titles import node_words, target_name, title
from glassgraph.results.truth import edge_truth, node_truth
from glassgraph.results.type_names import edge_type_words

#: Of each part read so far: where the nodes, and the edges, of its instances begin.
Bounds = dict[int, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class InstanceReader:
    """Reads instances.

    Attributes:
        contents: the columns, and what they are about.
        bounds: filled part by part, for instances that are read later.
        names: of whatever has one.
    """

    contents: Contents
    bounds: Bounds
    names: Names

    def read(self, number: int, row: int) -> LocalExplanation:
        """One instance, by its part and its row there."""
        part = self.contents.parts[number]
        nodes, edges = self._rows(number, row)
        node, edge = part.node[nodes], part.edge[edges]
        order = torch.argsort(node)
        contrast, target, label = (
            int(column[row]) for column in (part.contrast, part.target, part.label)
        )
        tables = {
            name: _table(table, row, node[order], order) for name, table in part.tables.items()
        }
        rows = tables.get(ROWS)
        return LocalExplanation(
            index=int(part.index[row]),
            graph=int(part.graph[row]),
            target=_target(target, contrast),
            prediction=part.prediction[row] if rows is None else rows["prediction"],
            label=None if label < 0 else label,
            **self._names(part, row, node, edge),
            edge_index=_edge_index(part, edges, node, order),
            edge_score=None if part.edge_score is None else part.edge_score[edges],
            layer_edge_score=(
                None if part.layer_edge_score is None else part.layer_edge_score[:, edges]
            ),
            node_score=None if part.node_score is None else part.node_score[nodes],
            feature_score=None if part.feature_score is None else part.feature_score[nodes],
            **self._truth(part.seed[row], node, edge),
            total=None if part.total is None else float(part.total[row]),
            **_walks(part, row, node[order], order),
            tables=tables,
            remark=(part.remark[row] or None) if part.remark else None,
            **self._words(part, row, node, edge),
        )

    def _rows(self, number: int, row: int) -> tuple[slice, slice]:
        """Where an instance's nodes and edges stand in its part."""
        if number not in self.bounds:
            part = self.contents.parts[number]
            each = torch.arange(part.position.numel() + 1)
            self.bounds[number] = (
                torch.searchsorted(part.node_instance, each),
                torch.searchsorted(part.edge_instance, each),
            )
        nodes, edges = (bound[row : row + 2].tolist() for bound in self.bounds[number])
        return slice(*nodes), slice(*edges)

    def _names(self, part: Part, row: int, node: Tensor, edge: Tensor) -> dict[str, Any]:
        """Nodes and edges by the user's numbers, and the names of their types."""
        graph, seeds = int(part.graph[row]), part.seed[row]
        node_type, node_id = self._typed(node, graph, is_node=True)
        edge_type, edge_id = self._typed(edge, graph, is_node=False)
        seed_type, seed_id = self._typed(seeds, graph, is_node=True)
        return {
            "seeds": seed_id,
            "seed_type": seed_type,
            "node_id": node_id,
            "node_type": node_type,
            "edge_id": edge_id,
            "edge_type": edge_type,
        }

    def _words(self, part: Part, row: int, node: Tensor, edge: Tensor) -> dict[str, Any]:
        """What has a name by its name, and the instance in words."""
        contents, names = self.contents, self.names
        graph, seeds = int(part.graph[row]), part.seed[row]
        seed_type, seed_id = self._typed(seeds, graph, is_node=True)
        explained = node_words(seed_id.tolist(), seed_type, _named(names.nodes, seeds))
        several = int(contents.provenance.get("graph", {}).get("num_graphs", 1)) > 1
        graph_name = (names.graphs[graph] or None) if names.graphs else None
        index = int(part.index[row])
        return {
            "node_names": _named(names.nodes, node),
            "edge_names": _named(names.edges, edge),
            "class_names": None if names.classes is None else list(names.classes),
            "feature_names": names.features,
            "graph_name": graph_name,
            "title": title(
                contents.level, index, explained, graph_name, graph if several else None
            ),
            "target_name": target_name(
                _target(int(part.target[row]), int(part.contrast[row])),
                names.classes,
                num_outputs(contents),
                is_value=(contents.provenance.get("task") or {}).get("mode") == "regression",
            ),
        }

    def _typed(self, flat: Tensor, graph: int, *, is_node: bool) -> tuple[list[str] | None, Tensor]:
        """Type names (None if there are none) and ids within the type, or within one graph."""
        contents = self.contents
        names: Sequence[Any] = contents.node_types if is_node else contents.edge_types
        if list(names) == [None]:
            key = "node_start" if is_node else "edge_start"
            starts = contents.provenance.get("graph", {}).get(key)
            return None, flat - int(starts[graph]) if starts else flat
        offset = torch.tensor(self._offsets(is_node=is_node))
        kind = torch.searchsorted(offset[1:], flat, right=True)
        words = list(names) if is_node else edge_type_words(names)
        start = self._typed_start(graph, is_node=is_node)[kind]
        return [words[i] for i in kind.tolist()], flat - offset[kind] - start

    def _typed_start(self, graph: int, *, is_node: bool) -> Tensor:
        """``[types]`` how many nodes or edges of each type belong to earlier graphs."""
        known, contents = self.contents.graph, self.contents
        if known is not None and known.is_split:
            starts = known.typed_starts[0 if is_node else 1]
        else:
            key = "typed_node_start" if is_node else "typed_edge_start"
            starts = contents.provenance.get("graph", {}).get(key)
        if starts is None:
            return torch.zeros(len(self._offsets(is_node=is_node)) - 1, dtype=torch.long)
        return torch.tensor([each[graph] for each in starts], dtype=torch.long)

    def _offsets(self, *, is_node: bool) -> list[int]:
        graph = self.contents.graph
        if graph is not None:
            return graph.node_offset if is_node else graph.edge_offset
        key = "node_offset" if is_node else "edge_offset"
        stored: list[int] = self.contents.provenance["graph"][key]
        return stored

    def _truth(self, seeds: Tensor, node: Tensor, edge: Tensor) -> dict[str, Any]:
        """Ground truth of the instance, where the data have one."""
        graph, level = self.contents.graph, self.contents.level
        if graph is None:
            return {"edge_truth": None, "node_truth": None}
        device = graph.device
        edges = edge_truth(graph, level, seeds.to(device), edge.to(device))
        nodes = node_truth(graph, level, node.to(device))
        return {
            "edge_truth": None if edges is None else edges.cpu(),
            "node_truth": None if nodes is None else nodes.cpu(),
        }


def _target(target: int, contrast: int) -> int | tuple[int, int] | None:
    if target < 0:
        return None
    return target if contrast < 0 else (target, contrast)


def _named(names: Sequence[str] | None, flat: Tensor) -> list[str] | None:
    return None if names is None else [names[each] for each in flat.tolist()]


def _edge_index(part: Part, edges: slice, node: Tensor, order: Tensor) -> Tensor:
    """``[2, e]`` endpoints as positions among an instance's nodes."""
    ends = torch.stack([part.source[edges], part.destination[edges]])
    place = torch.searchsorted(node[order], ends)
    return order[place] if node.numel() else place


def _table(table: Table, row: int, node: Tensor, order: Tensor) -> dict[str, Tensor]:
    """Columns of an instance's table, nodes as positions (``node`` ascending)."""
    first, last = torch.searchsorted(table.instance, torch.tensor([row, row + 1])).tolist()
    found = {}
    for name, flat in table.nodes.items():
        own = flat[first:last]
        place = torch.searchsorted(node, own).clamp_max(max(0, node.numel() - 1))
        found[name] = torch.where(own < 0, -1, order[place]) if node.numel() else own
    return found | {name: value[first:last] for name, value in table.values.items()}


def _walks(part: Part, row: int, node: Tensor, order: Tensor) -> dict[str, Any]:
    """Walks of an instance, as positions among its nodes (``node`` ascending)."""
    if part.walk is None or part.walk_instance is None or part.walk_score is None:
        return {}
    first, last = torch.searchsorted(part.walk_instance, torch.tensor([row, row + 1])).tolist()
    walks = torch.searchsorted(node, part.walk[first:last].contiguous())
    walks = order[walks] if node.numel() else walks
    return {"walks": walks, "walk_scores": part.walk_score[first:last]}
