"""What runs of a model take, in bytes, and how many instances therefore go side by side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.core.sites import Wiring
from glassgraph.errors import FieldTooLargeError
from glassgraph.inputs.field_sizes import FieldSizes, field_sizes
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.task import Level, Task

#: Copies of each message that a forward and backward pass keeps, roughly.
COPIES = 6
#: Bytes of row numbers and sort keys for each edge and node, roughly.
_INDEX_BYTES = 200
#: Nodes side by side in one dense adjacency matrix: k fields cost k * k products of one.
_NODES_IN_MATRIX = 1024
#: Nodes of which some with small fields are taken, and what is small.
_LOOKED_AT, _SMALL_FIELD = 64, 20_000


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


def refuse_large_fields(
    costs: Costs,
    chosen: Instances,
    budget: int,
    copies: int,
    hops: int | None = None,
    *,
    around: bool = True,
) -> Tensor:
    """Count the fields of instances before they are read.

    Args:
        costs: what runs take.
        chosen: the instances.
        budget: bytes that each may take.
        copies: of every message and node state of a field; of what lies around it there is one.
        hops: how far fields reach; as far as messages if None.
        around: whether the model also runs on what lies around fields.

    Returns:
        ``[B]`` bytes that each takes, roughly: of its field, or of a run on what lies around it.

    Raises:
        FieldTooLargeError: for the first one that takes more than the budget.
    """
    hops = costs.wiring.num_hops if hops is None else hops
    sizes, own, outside = _counted(costs, chosen, budget, copies, hops)
    found = torch.maximum(own, outside) if around else own
    for position in (found > budget).nonzero().view(-1)[:1].tolist():
        index, edges, around_it, num_bytes = (
            int(each[position]) for each in (chosen.index, sizes.edges, sizes.around, found)
        )
        least = "" if bool(sizes.is_exact[position]) else "at least "
        raise FieldTooLargeError(
            f"what instance {index} depends on has {least}{edges:,} edges within {hops} hops "
            f"({least}{around_it:,} enter or leave its nodes): to explain it takes {least}"
            f"{num_bytes / 1e9:.3g} GB, the memory budget is {budget / 1e9:.3g} GB; give a larger "
            "memory_budget= (bytes), or leave it out",
            index=index,
            num_edges=edges,
            num_bytes=num_bytes,
        )
    return found


def affordable(costs: Costs, chosen: Instances, budget: int, copies: int) -> Tensor:
    """Positions ``[k]`` of instances whose fields, and what lies around them, a budget allows."""
    _, own, outside = _counted(costs, chosen, budget, copies, costs.wiring.num_hops)
    return (torch.maximum(own, outside) <= budget).nonzero().view(-1)


def _counted(
    costs: Costs, chosen: Instances, budget: int, copies: int, hops: int
) -> tuple[FieldSizes, Tensor, Tensor]:
    """Sizes of fields, ``[B]`` bytes that each takes, and ``[B]`` that what lies around takes."""
    most = budget // costs.of_run(1, 1, copies) + 1
    both = costs.wiring.needs_both_directions
    sizes = field_sizes(costs.graph, chosen.seeds, hops, both, most)
    own, outside = (
        costs.of_run(0, 1, count) * edges + costs.of_run(1, 0, count) * (edges + 1)
        for edges, count in ((sizes.edges, copies), (sizes.around, 1))
    )
    return sizes, own, outside


def small_fields(costs: Costs, task: Task) -> Tensor:
    """A few nodes ``[k]`` of the explained type with small receptive fields, its first and last.

    Args:
        costs: what runs take.
        task: a task about nodes.
    """
    graph, wiring = costs.graph, costs.wiring
    number = graph.type_position(task.node_type)
    first, stop = graph.node_offset[number : number + 2]
    node = torch.linspace(first, stop - 1, _LOOKED_AT, device=graph.device).long()
    hops, both = wiring.num_hops, wiring.needs_both_directions
    sizes = field_sizes(graph, node.view(-1, 1), hops, both, _SMALL_FIELD)
    small = node[sizes.around <= _SMALL_FIELD]
    return torch.cat([small[:1], small[-1:]])
