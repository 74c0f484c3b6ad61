"""Negative evidence: which color do most of a node's colored neighbors have?

After Faber, Moghaddam and Wattenhofer, "When Comparing to Ground Truth is Wrong: On Evaluating GNN
Explanation Methods" (KDD 2021, https://dl.acm.org/doi/10.1145/3447548.3467283), where it tests
saturation, with the numbers of He, Rafiey, Mishne and Wang, "Explaining GNN Explanations with Edge
Gradients" (KDD 2025, https://arxiv.org/abs/2508.01048). Of the 2,000 nodes of a graph ten are blue,
ten red, and all others white. Each two white nodes are joined with probability 0.005 (0.015 in
Faber et al.). Each white node is joined to b blue and r red nodes, drawn without replacement; from
one white node to the next, (b, r) runs through the ordered pairs of distinct numbers of 1..10. The
label of a white node is the color of which it has more: 0 for red, 1 for blue. Edges to the color
of the label are evidence for it, edges to the other one evidence against it, and edges between
white nodes say nothing.

`is_asked [N]` marks what is trained on and explained: white nodes with more than one edge to each
color and, of two colors, numbers that differ by more than one. With three colors, He et al. let
(b, r, g) run through ordered triples and take every node whose numbers are above one; labels are
0, 1 and 2. Features are one-hot: white first, then the colors. Edges are undirected.

He et al. number the colors the other way round in two colors (0 blue, 1 red); it makes no
difference.

Several graphs are stored as one without edges between them; `node_graph [N]` tells them apart. The
last one is the test part; a tenth of the nodes of the others are for validation.
"""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.datasets.base import ExplanationDataset, generator, stratified_split
from glassgraph.errors import DatasetError

LICENSE = "generated"
SOURCE = "generated after Faber et al. 2021 and He et al. 2025"


def negative_evidence(
    seed: int = 0,
    num_graphs: int = 5,
    num_nodes: int = 2000,
    num_colors: int = 2,
    nodes_per_color: int = 10,
    edge_probability: float = 0.005,
) -> ExplanationDataset:
    """Graphs whose labels compare numbers of colored neighbors.

    Beside `x [N, num_colors + 1]` and `y [N]` (0 for colored nodes, which are in no part of the
    split) the graph holds the masks above and `count [N, num_colors]`, the colored neighbors.
    Explained by default: the nodes of the test part.

    Args:
        seed: Seed of the graphs and of the validation part.
        num_graphs: Graphs, the last of them for test; 2 or more.
        num_nodes: Nodes of each graph.
        num_colors: Colors beside white: 2, or 3 and more.
        nodes_per_color: Nodes of each color, and the most neighbors of one.
        edge_probability: Share of pairs of white nodes that are joined.

    Raises:
        DatasetError: if a number is out of range.
    """
    num_colored = num_colors * nodes_per_color
    if num_graphs < 2:
        raise DatasetError(f"num_graphs must be 2 or more, one of them for test; got {num_graphs}")
    if num_colors < 2 or nodes_per_color <= num_colors + 1:
        raise DatasetError(
            f"num_colors must be 2 or more, and nodes_per_color more than one larger; got "
            f"{num_colors} and {nodes_per_color}"
        )
    if num_nodes <= num_colored:
        raise DatasetError(f"num_nodes must be above {num_colored}, got {num_nodes}")
    if not 0 <= edge_probability <= 1:
        raise DatasetError(f"edge_probability must lie in [0, 1], got {edge_probability}")
    rng = generator(seed, "negative-evidence")
    counts = _counts(num_nodes - num_colored, num_colors, nodes_per_color)
    color = torch.zeros(num_nodes, dtype=torch.long)
    color[:num_colored] = torch.arange(num_colored) // nodes_per_color + 1
    edges = [
        number * num_nodes + _edges(rng, counts, nodes_per_color, edge_probability)
        for number in range(num_graphs)
    ]
    count = torch.zeros(num_nodes, num_colors, dtype=torch.long)
    count[num_colored:] = torch.from_numpy(counts)
    # Of two colors the first one is class 1, as "blue > red".
    label = (count[:, 0] > count[:, 1]).long() if num_colors == 2 else count.argmax(dim=1)
    is_asked = count.min(dim=1).values > 1
    if num_colors == 2:
        is_asked &= (count[:, 0] - count[:, 1]).abs() > 1
    asked = (is_asked.repeat(num_graphs)).nonzero().view(-1)
    is_test = asked >= (num_graphs - 1) * num_nodes
    y = label.repeat(num_graphs)
    others = stratified_split(y[asked[~is_test]], seed, (0.9, 0.1))
    # What rounding leaves over is trained on.
    train = torch.cat([others["train"], others["test"]]).sort().values
    return ExplanationDataset(
        name="negative-evidence" if num_colors == 2 else f"negative-evidence-{num_colors}",
        level="node",
        graphs=[
            Data(
                x=torch.eye(num_colors + 1)[color].repeat(num_graphs, 1),
                edge_index=torch.cat(edges, dim=1),
                y=y,
                node_graph=torch.arange(num_graphs).repeat_interleave(num_nodes),
                is_asked=is_asked.repeat(num_graphs),
                count=count.repeat(num_graphs, 1),
            )
        ],
        num_classes=num_colors,
        num_features=num_colors + 1,
        explained=asked[is_test],
        split={"train": asked[train], "val": asked[others["val"]], "test": asked[is_test]},
        license=LICENSE,
        source=SOURCE,
    )


def _counts(num_white: int, num_colors: int, most: int) -> np.ndarray[tuple[int, ...], np.dtype]:
    """``[W, num_colors]`` how many nodes of each color a white node is joined to."""
    cycle = np.array(list(permutations(range(1, most + 1), num_colors)))
    return cycle[np.arange(num_white) % math.perm(most, num_colors)]


def _edges(
    rng: np.random.Generator, counts: np.ndarray, nodes_per_color: int, probability: float
) -> Tensor:
    """``[2, E]`` the edges of one graph, both directions; colored nodes come first."""
    num_white, num_colors = counts.shape
    first_white = num_colors * nodes_per_color
    joined = np.triu(rng.random((num_white, num_white)) < probability, 1)
    pairs = [np.stack(joined.nonzero()) + first_white]
    for color in range(num_colors):
        # The rank of a random number among its row: the lowest `count` are a sample.
        rank = rng.random((num_white, nodes_per_color)).argsort(axis=1).argsort(axis=1)
        white, member = (rank < counts[:, [color]]).nonzero()
        pairs.append(np.stack([color * nodes_per_color + member, white + first_white]))
    one_way = torch.from_numpy(np.concatenate(pairs, axis=1))
    both = torch.cat([one_way, one_way.flip(0)], dim=1)
    return both[:, torch.argsort(both[0] * (first_white + num_white) + both[1])]
