"""What runs of a model take, in bytes, and how many instances therefore go side by side."""

from __future__ import annotations

from dataclasses import dataclass

from glassgraph.core.sites import Wiring
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.task import Level

#: Bytes of row numbers and sort keys for each edge and node, roughly.
_INDEX_BYTES = 200
#: Nodes side by side in one dense adjacency matrix: k fields cost k * k products of one.
_NODES_IN_MATRIX = 1024


@dataclass(frozen=True)
class Costs:
    """Estimates for one model on one graph.

    Attributes:
        graph: the user's graph.
        wiring: the model's sites.
    """

    graph: TypedGraph
    wiring: Wiring

    def of_run(self, num_nodes: int, num_edges: int, copies: int) -> int:
        """Bytes that a run takes: indices, and ``copies`` of every message and node state."""
        per_edge = 4 * copies * self.wiring.width + _INDEX_BYTES
        per_node = 4 * copies * (self.graph.num_features + self.wiring.width) + _INDEX_BYTES
        return num_edges * per_edge + num_nodes * per_node

    def first_group(self, budget: int, copies: int, level: Level) -> int:
        """How many instances surely fit into a budget of bytes, whatever their size."""
        parts = self.graph.num_graphs if level == "graph" else 1
        nodes, edges = -(-self.graph.num_nodes // parts), -(-self.graph.num_edges // parts)
        most = self.side_by_side(nodes, 1024)
        return max(1, min(budget // self.of_run(nodes, edges, copies), most))

    def side_by_side(self, num_nodes: int, otherwise: int) -> int:
        """How many instances of so many nodes one dense matrix should hold."""
        if not self.wiring.num_matrices:
            return otherwise
        return min(otherwise, _NODES_IN_MATRIX // max(1, num_nodes))
