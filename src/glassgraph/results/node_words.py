"""What nodes are, in words: the types that rules about graphs speak of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.errors import GraphError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.results.aggregates.attributes import node_attribute


@dataclass(frozen=True)
class NodeWords:
    """The words of ``node_names``, as `glassgraph.datasets.name_atoms` writes them for molecules.

    Attributes:
        words: the different words of all graphs, in alphabetical order; ``["node"]`` without names.
        kind: ``[N]`` which of them each node has.
    """

    words: list[str]
    kind: Tensor

    @classmethod
    def of(cls, graph: TypedGraph) -> NodeWords:
        """Those of a graph, or of several.

        Raises:
            GraphError: of graphs with types, and if there is not one name for each node.
        """
        if graph.is_heterogeneous:
            raise GraphError(
                "rules are for graphs with one type of nodes and edges; this one has several"
            )
        names = node_attribute(graph, "node_names") if "node_names" in graph.data else None
        if names is None:
            return cls(["node"], torch.zeros(graph.num_nodes, dtype=torch.long))
        words = sorted(set(map(str, names)))
        number = {word: kind for kind, word in enumerate(words)}
        return cls(words, torch.tensor([number[str(name)] for name in names]))
