"""The networks of the edge gradients study that tell distances from infected nodes.

Four layers of GraphSAGE with 20 channels and sums, trained as in the authors' script of He et al.,
"Explaining GNN Explanations with Edge Gradients" (KDD 2025, https://arxiv.org/abs/2508.01048).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.nn import functional
from torch_geometric.data import Data
from torch_geometric.datasets import InfectionDataset
from torch_geometric.datasets.graph_generator import ERGraph
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GraphSAGE

from glassgraph.datasets import ExplanationDataset
from glassgraph.models.training import accuracy
from glassgraph_studies.reproduce.edge_gradients.models import Network, seeded

#: Epochs of training.
EPOCHS = 100


def infection_network(data: ExplanationDataset, seed: int, epochs: int = EPOCHS) -> Network:
    """Trained on all graphs but the last."""
    graph = data.graphs[0]
    num_graphs = int(graph.node_graph.max()) + 1
    parts = [graph.subgraph(graph.node_graph == number) for number in range(num_graphs - 1)]
    model = seeded(
        seed,
        lambda: GraphSAGE(data.num_features, 20, 4, data.num_classes, aggr="sum"),
    )
    order = torch.Generator().manual_seed(seed)
    _train_as_published(
        model,
        lambda: (parts[i] for i in torch.randperm(len(parts), generator=order).tolist()),
        epochs,
    )
    return Network(model, accuracy(model, data), epochs)


def infection_of_pyg(
    seed: int,
    num_graphs: int = 5,
    num_nodes: int = 1000,
    edge_probability: float = 0.004,
    num_infected: int = 50,
    epochs: int = EPOCHS,
) -> tuple[Data, Network]:
    """The test graph and the network of the authors' script."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251 - inside the forked random state
        drawn = InfectionDataset(
            graph_generator=ERGraph(num_nodes=num_nodes, edge_prob=edge_probability),
            num_graphs=num_graphs,
            num_infected_nodes=num_infected,
            max_path_length=4,
        )
        loader = DataLoader(drawn[:-1], shuffle=True)
        model = GraphSAGE(drawn.num_node_features, 20, 4, drawn.num_classes, aggr="sum")
        _train_as_published(model, lambda: loader, epochs)
    last = drawn[-1]
    graph = Data(x=last.x, edge_index=last.edge_index, y=last.y)
    with torch.no_grad():
        is_right = model(graph.x, graph.edge_index).argmax(dim=1) == graph.y
    return graph, Network(model, {"test": float(is_right.double().mean())}, epochs)


def _train_as_published(model: nn.Module, parts: Callable[[], Iterable[Data]], epochs: int) -> None:
    """A step for each graph in a random order, no validation.

    The authors clip gradients before there are any, which does nothing.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005, weight_decay=3e-4)
    for _ in range(epochs):
        for part in parts():
            optimizer.zero_grad()
            functional.cross_entropy(model(part.x, part.edge_index), part.y).backward()
            optimizer.step()
    model.eval()
