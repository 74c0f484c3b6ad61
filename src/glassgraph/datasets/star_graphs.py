"""Star graphs: does the centroid have more leaves of color x than of color y?

The toy problem of Schlichtkrull, De Cao and Titov, "Interpreting Graph Neural Networks for NLP With
Differentiable Edge Masking" (GraphMask, ICLR 2021, https://arxiv.org/abs/2010.00577), section 4.
A star has n leaves (6..12, uniform) with one edge each, leaf -> centroid, of a uniform color
(`edge_type`). Every leaf carries the same question in its features, `[one-hot(x) | one-hot(y)]`
with x != y; the features of the centroid are all -1. The label is 1 if more edges have color x than
color y, and 0 otherwise, also where the two tie.

The truth is every edge of color x or y: the answer follows from these counts and nothing else. It
is the same for both labels, as in the authors' evaluation. About a third of the edges are true, and
38 % of the labels are 1.

The paper leaves the number of colors and of graphs open; 6 and 10,000 / 500 / 500 are those of the
authors' code.
"""

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.datasets.base import SPLITS, ExplanationDataset, generator
from glassgraph.errors import DatasetError

LICENSE = "generated"
SOURCE = "generated after Schlichtkrull et al. 2021, https://github.com/MichSchli/GraphMask"

NUM_COLORS = 6
LEAVES = (6, 12)
SIZES = (10_000, 500, 500)


def star_graphs(
    seed: int = 0,
    sizes: tuple[int, int, int] = SIZES,
    num_colors: int = NUM_COLORS,
    leaves: tuple[int, int] = LEAVES,
) -> ExplanationDataset:
    """Stars whose label compares the numbers of edges of two colors.

    Node 0 is the centroid, node i the leaf of edge i - 1. Explained by default: the test graphs.

    Args:
        seed: Seed of the graphs.
        sizes: Graphs for training, validation and test; the ids run on in this order.
        num_colors: C >= 2, the number of edge types; there are 2 C node features.
        leaves: The fewest and the most leaves of a star.

    Raises:
        DatasetError: if a size, the colors or the leaves are out of range.
    """
    if min(sizes) < 0 or sum(sizes) < 1:
        raise DatasetError(f"sizes must not be negative or all zero, got {sizes}")
    if num_colors < 2:
        raise DatasetError(f"num_colors must be at least 2, got {num_colors}")
    if not 1 <= leaves[0] <= leaves[1]:
        raise DatasetError(f"leaves must be a range (fewest, most) from 1 up, got {leaves}")
    ids = torch.arange(sum(sizes)).split(list(sizes))
    return ExplanationDataset(
        name="star-graphs",
        level="graph",
        graphs=_stars(sum(sizes), num_colors, leaves, seed),
        num_classes=2,
        num_features=2 * num_colors,
        explained=ids[2],
        split=dict(zip(SPLITS, ids, strict=True)),
        license=LICENSE,
        source=SOURCE,
    )


def _stars(num_graphs: int, num_colors: int, leaves: tuple[int, int], seed: int) -> list[Data]:
    """All stars as a few long columns, then cut: each graph holds views of them."""
    rng = generator(seed, "star-graphs")
    num_leaves = torch.from_numpy(rng.integers(leaves[0], leaves[1] + 1, num_graphs))
    x = torch.from_numpy(rng.integers(0, num_colors, num_graphs))
    # The second color is drawn among the others.
    y = (x + torch.from_numpy(rng.integers(1, num_colors, num_graphs))) % num_colors
    color = torch.from_numpy(rng.integers(0, num_colors, int(num_leaves.sum())))

    star = torch.arange(num_graphs).repeat_interleave(num_leaves)  # of each edge
    is_x, is_y = color == x[star], color == y[star]
    ahead = is_x.long() - is_y.long()
    surplus = torch.zeros(num_graphs, dtype=torch.long).index_add_(0, star, ahead)

    num_nodes = num_leaves + 1
    first_node = num_nodes.cumsum(0) - num_nodes
    first_edge = num_leaves.cumsum(0) - num_leaves
    leaf = torch.arange(len(star)) - first_edge[star] + 1
    features = torch.full((int(num_nodes.sum()), 2 * num_colors), -1.0)
    features[first_node[star] + leaf] = _questions(x, y, num_colors)[star]
    edge_motif = torch.where(is_x | is_y, 0, -1)
    node_motif = torch.full((len(features),), -1)
    node_motif[first_node[star] + leaf] = edge_motif
    node_motif[first_node[star[edge_motif == 0]]] = 0  # the centroid, where an edge is true

    nodes, edges = num_nodes.tolist(), num_leaves.tolist()
    columns = zip(
        features.split(nodes),
        torch.stack([leaf, torch.zeros_like(leaf)]).split(edges, dim=1),
        color.split(edges),
        (surplus > 0).long().split(1),
        edge_motif.split(edges),
        node_motif.split(nodes),
        (edge_motif >= 0).split(edges),
        strict=True,
    )
    return [
        Data(
            x=x,
            edge_index=edge_index,
            edge_type=edge_type,
            y=y,
            edge_motif=edge_motif,
            node_motif=node_motif,
            ground_truth_edge_mask=mask,
        )
        for x, edge_index, edge_type, y, edge_motif, node_motif, mask in columns
    ]


def _questions(x: Tensor, y: Tensor, num_colors: int) -> Tensor:
    """`[one-hot(x) | one-hot(y)]` for each graph."""
    one_hot = torch.eye(num_colors)
    return torch.cat([one_hot[x], one_hot[y]], dim=1)
