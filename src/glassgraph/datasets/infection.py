"""Infection: how many steps from the nearest infected node, and along which path?

After Faber, Moghaddam and Wattenhofer, "When Comparing to Ground Truth is Wrong: On Evaluating GNN
Explanation Methods" (KDD 2021, https://dl.acm.org/doi/10.1145/3447548.3467283), with the numbers of
He, Rafiey, Mishne and Wang, "Explaining GNN Explanations with Edge Gradients" (KDD 2025,
https://arxiv.org/abs/2508.01048): directed Erdos-Renyi graphs of 1,000 nodes, each ordered pair
joined with probability 0.004, 50 nodes infected. A node's label is the length of the shortest
directed path that leads to it from an infected node, at most `max_path + 1`, which also stands for
"no path at all": 0 for infected nodes, 1 to 4, and 5. Features are one-hot: healthy, infected. The
graphs of He et al. are undirected: pairs of nodes are joined, in both directions.

What a network has to find is known where the answer has one cause. Two notions of that, both here:

- `has_unique_source [N]`: one infected node within the node's distance, by however many paths;
- `has_unique_path [N]`: one shortest path, which implies one source.

Every infected node has both, by itself. The truth about a node with a unique path are its edges.

Several graphs are stored as one without edges between them, as node-level data sets hold one graph:
`node_graph [N]` tells them apart. The last one is the test part; a tenth of the nodes of the others
are for validation. Explained by default: the nodes of the last graph that a unique path of one edge
or more leads to.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.datasets.base import ExplanationDataset, Split, generator, stratified_split
from glassgraph.errors import DatasetError

LICENSE = "generated"
SOURCE = "generated after Faber et al. 2021 and He et al. 2025"

HEALTHY, INFECTED = 0, 1


def infection(
    seed: int = 0,
    num_graphs: int = 5,
    num_nodes: int = 1000,
    edge_probability: float = 0.004,
    num_infected: int = 50,
    max_path: int = 4,
    *,
    directed: bool = True,
) -> ExplanationDataset:
    """Random graphs whose labels are distances from infected nodes.

    Beside `x [N, 2]`, `y [N]` and the masks above, the graph holds `true_path [N, max_path + 1]`,
    the nodes of the unique path from the source to the node itself, and `true_edges [N, max_path]`,
    its edges in the same order; both are filled up with -1.

    Args:
        seed: Seed of the graphs and of the validation part.
        num_graphs: Graphs, the last of them for test; 2 or more.
        num_nodes: Nodes of each graph.
        edge_probability: Share of pairs of nodes that are joined.
        num_infected: Infected nodes of each graph.
        max_path: The longest distance with a label of its own; there are `max_path + 2` classes.
        directed: Whether pairs are ordered; otherwise edges run both ways.

    Raises:
        DatasetError: if a number is out of range.
    """
    if num_graphs < 2:
        raise DatasetError(f"num_graphs must be 2 or more, one of them for test; got {num_graphs}")
    if not 1 <= num_infected <= num_nodes:
        raise DatasetError(f"num_infected must lie in [1, {num_nodes}], got {num_infected}")
    if not 0 <= edge_probability <= 1:
        raise DatasetError(f"edge_probability must lie in [0, 1], got {edge_probability}")
    if max_path < 1:
        raise DatasetError(f"max_path must be positive, got {max_path}")
    rng = generator(seed, "infection")
    edges, infected = [], []
    for number in range(num_graphs):
        joined = torch.from_numpy(rng.random((num_nodes, num_nodes)) < edge_probability)
        joined = joined.fill_diagonal_(False) if directed else joined.triu(1) | joined.triu(1).t()
        edges.append(number * num_nodes + joined.nonzero().t())
        chosen = torch.from_numpy(rng.permutation(num_nodes)[:num_infected])
        infected.append(number * num_nodes + chosen.sort().values)
    size = num_graphs * num_nodes
    edge_index = torch.cat(edges, dim=1)
    x = torch.zeros(size, 2)
    x[:, HEALTHY] = 1
    x[torch.cat(infected)] = torch.tensor([0.0, 1.0])
    spread = trace(edge_index, x[:, INFECTED] > 0, max_path)
    node_graph = torch.arange(num_graphs).repeat_interleave(num_nodes)
    is_explained = (node_graph == num_graphs - 1) & (spread.distance > 0) & spread.has_unique_path
    on_a_path = torch.zeros(edge_index.size(1), dtype=torch.bool)
    on_a_path[spread.edges[spread.edges >= 0]] = True
    return ExplanationDataset(
        name="infection",
        level="node",
        graphs=[
            Data(
                x=x,
                edge_index=edge_index,
                y=spread.distance,
                node_graph=node_graph,
                has_unique_source=spread.has_unique_source,
                has_unique_path=spread.has_unique_path,
                true_path=spread.path,
                true_edges=spread.edges,
                ground_truth_edge_mask=on_a_path,
            )
        ],
        num_classes=max_path + 2,
        num_features=2,
        explained=is_explained.nonzero().view(-1),
        split=_split(spread.distance, num_nodes, seed),
        license=LICENSE,
        source=SOURCE,
    )


@dataclass(frozen=True)
class Spread:
    """How infected nodes reach the others along directed edges.

    Attributes:
        distance: ``[N]`` length of the shortest path from an infected node, `max_path + 1` where
            there is none so short.
        has_unique_source: ``[N]`` whether one infected node alone is that near.
        has_unique_path: ``[N]`` whether there is one such path alone.
        path: ``[N, max_path + 1]`` nodes of the unique path, the source first, then -1.
        edges: ``[N, max_path]`` its edges, then -1.
    """

    distance: Tensor
    has_unique_source: Tensor
    has_unique_path: Tensor
    path: Tensor
    edges: Tensor


def trace(edge_index: Tensor, is_infected: Tensor, max_path: int) -> Spread:
    """Follow the shortest paths from infected nodes, all of one length at a time.

    Args:
        edge_index: ``[2, E]``; paths run from the first row to the second.
        is_infected: ``[N]`` where they begin.
        max_path: the longest that are followed.
    """
    source, target = edge_index
    size = is_infected.numel()
    here = torch.arange(size)
    distance = torch.where(is_infected, 0, max_path + 1)
    # The sources of a node's shortest paths lie between the lowest and the highest.
    lowest, highest = (torch.where(is_infected, here, end) for end in (size, -1))
    num_paths = is_infected.long()
    path = torch.full((size, max_path + 1), -1)
    path[is_infected, 0] = here[is_infected]
    edges = torch.full((size, max_path), -1)
    for length in range(1, max_path + 1):
        last = ((distance[source] == length - 1) & (distance[target] >= length)).nonzero().view(-1)
        start, end = source[last], target[last]
        distance[end] = length
        num_paths.index_add_(0, end, num_paths[start])
        lowest = lowest.scatter_reduce(0, end, lowest[start], "amin")
        highest = highest.scatter_reduce(0, end, highest[start], "amax")
        is_only = num_paths[end] == 1
        last, start, end = last[is_only], start[is_only], end[is_only]
        path[end] = path[start]
        path[end, length] = end
        edges[end] = edges[start]
        edges[end, length - 1] = last
    return Spread(distance, lowest == highest, num_paths == 1, path, edges)


def _split(labels: Tensor, num_nodes: int, seed: int) -> Split:
    """The last graph's nodes for test, a tenth of the others for validation."""
    first_test = labels.numel() - num_nodes
    split = stratified_split(labels[:first_test], seed, (0.9, 0.1))
    # What rounding leaves over of the others is trained on.
    train = torch.cat([split["train"], split["test"]]).sort().values
    return {"train": train, "val": split["val"], "test": torch.arange(first_test, labels.numel())}
