"""What is in a generated graph: cycles, motifs of mutagens, valences; all small graphs."""

from __future__ import annotations

import networkx as nx
import torch
from torch import nn
from torch_geometric.data import Batch, Data
from torch_geometric.utils import degree, to_undirected

from glassgraph import graph_rules
from glassgraph.calling.protect import protected
from glassgraph.datasets.is_acyclic import ACYCLIC, CYCLIC

#: The classes of Is_Acyclic.
CLASSES = {CYCLIC: "cyclic", ACYCLIC: "acyclic"}


def has_cycle(graph: nx.Graph[int]) -> bool:
    """Whether there are more edges than a forest of so many trees has."""
    trees = nx.number_connected_components(graph)
    return bool(graph.number_of_edges() > len(graph) - trees)


def motifs(molecule: nx.Graph[int]) -> list[str]:
    """Which of the known motifs of mutagens a molecule has: a carbon ring, NO2."""
    kind = nx.get_node_attributes(molecule, "type")
    found = []
    if has_cycle(molecule.subgraph([atom for atom in molecule if kind[atom] == "C"])):
        found.append("carbon ring")
    for atom in molecule:
        ends = [
            other for other in molecule[atom] if kind[other] == "O" and molecule.degree(other) == 1
        ]
        if kind[atom] == "N" and len(ends) == 2:
            found.append("NO2")
            break
    return found


def is_valid(graph: nx.Graph[int], *, is_molecule: bool) -> bool:
    """Connected and without loops, and no atom has more neighbors than its valence."""
    if not nx.is_connected(graph) or any(graph.has_edge(node, node) for node in graph):
        return False
    limits = graph_rules.VALENCES
    return not is_molecule or all(
        graph.degree(node) <= limits[kind] for node, kind in graph.nodes(data="type")
    )


def small_graphs(most: int = 7) -> list[Data]:
    """Every connected graph of 3 to so many nodes (7 at most), with degrees and its class."""
    found = []
    for graph in nx.graph_atlas_g():
        if 3 <= len(graph) <= most and nx.is_connected(graph):
            edge_index = to_undirected(torch.tensor(list(graph.edges)).t(), num_nodes=len(graph))
            label = CYCLIC if has_cycle(graph) else ACYCLIC
            x = degree(edge_index[0], len(graph)).view(-1, 1)
            found.append(Data(x=x, edge_index=edge_index, y=torch.tensor([label])))
    return found


@torch.no_grad()
def small_accuracy(model: nn.Module, most: int = 7) -> dict[str, dict[int, float]]:
    """The share of right answers on `small_graphs`, by class and number of nodes."""
    graphs = small_graphs(most)
    batch = Batch.from_data_list(graphs)
    with protected(model):
        output = model(batch.x, batch.edge_index, batch=batch.batch)
    is_right = (torch.as_tensor(output).argmax(dim=1) == batch.y).double()
    size = torch.tensor([int(graph.num_nodes or 0) for graph in graphs])
    return {
        name: {
            nodes: float(is_right[(size == nodes) & (batch.y == label)].mean())
            for nodes in range(3, most + 1)
        }
        for label, name in CLASSES.items()
    }
