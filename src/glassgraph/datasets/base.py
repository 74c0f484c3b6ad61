"""What an explanation data set is: graphs, a split, instances to explain, and their truth.

Ground truth lives on the graphs themselves, aligned with `edge_index` (E directed edges, N nodes):

- `edge_motif [E]`: the number of the motif that an edge belongs to, -1 for none;
- `node_motif [N]`: the same for nodes;
- `ground_truth_edge_mask [E]`: `edge_motif >= 0`;
- `true_edges [N, K]`: in the place of motifs, where the truths of nodes overlap: the numbers of the
  edges that explain each node, filled up with -1;
- `node_truth [N, K]`: the nodes that explain a graph, in up to K alternatives any of which is
  right; columns without a true node are no alternatives;
- `node_truth_parts [N, P]`: in the place of `node_truth`, substructures any union of which is right
  (`datasets.alternatives`).

The truth about a node is the edges of *its own* motif (Ying et al., "GNNExplainer", 2019, score the
motif of the explained node and count those of its neighbors as wrong); the truth about a graph is
the whole mask. Undirected graphs store each edge in both directions, and both carry the truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.brief import brief_repr
from glassgraph.errors import DatasetError

Level = Literal["node", "graph"]
Split = dict[str, Tensor]

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class ExplanationDataset:
    """Graphs with labels, a split, default instances to explain, and (where known) ground truth.

    Attributes:
        name: The name that `load_dataset` knows, or the one given to `from_pyg`.
        level: `"node"` (one graph, one label per node) or `"graph"` (one label per graph).
        graphs: The graphs; exactly one at node level.
        num_classes: C, the number of classes.
        num_features: F, the number of node features.
        explained: Node ids or graph ids `[B]` of the default instances; each loader says how it
            picks.
        split: Node ids or graph ids under `"train"`, `"val"` and `"test"`; the three do not
            overlap.
        license: The license as its source states it.
        source: Where the graphs come from.

    Raises:
        DatasetError: if the parts do not fit together.
    """

    name: str
    level: Level
    graphs: list[Data]
    num_classes: int
    num_features: int
    explained: Tensor
    split: Split
    license: str
    source: str

    __repr__ = brief_repr

    def __post_init__(self) -> None:
        """Check the parts against each other."""
        if self.level not in ("node", "graph"):
            raise DatasetError(f"level must be 'node' or 'graph', got {self.level!r}")
        if not self.graphs:
            raise DatasetError(f"{self.name}: the list of graphs is empty")
        if self.level == "node" and len(self.graphs) != 1:
            raise DatasetError(
                f"{self.name}: a node-level data set holds one graph, got {len(self.graphs)}; "
                "join them with torch_geometric.data.Batch.from_data_list"
            )
        for number, graph in enumerate(self.graphs):
            check_graph(graph, f"{self.name}: graph {number}")
        if set(self.split) != set(SPLITS):
            raise DatasetError(f"{self.name}: split needs {SPLITS}, got {tuple(self.split)}")
        for part, ids in (*self.split.items(), ("explained", self.explained)):
            _check_ids(ids, self.num_items, f"{self.name}: {part}")
        together = torch.cat([self.split[part] for part in SPLITS])
        if together.unique().numel() != together.numel():
            raise DatasetError(f"{self.name}: the parts of the split overlap or repeat an id")

    @property
    def num_items(self) -> int:
        """The number of nodes (node level) or graphs (graph level) that carry a label."""
        if self.level == "graph":
            return len(self.graphs)
        return int(self.graphs[0].num_nodes or 0)

    def truth(self, index: int) -> Tensor:
        """Which edges explain one instance.

        Args:
            index: A node id (node level) or a graph id (graph level).

        Returns:
            A boolean mask `[E]` over the edges of the instance's graph. All false for a node
            outside every motif, or with no true edges.

        Raises:
            DatasetError: if the index is out of range, or the data set carries no ground truth.
        """
        if not 0 <= index < self.num_items:
            raise DatasetError(f"{self.name}: index must lie in [0, {self.num_items}), got {index}")
        graph = self.graphs[0 if self.level == "node" else index]
        if "ground_truth_edge_mask" not in graph:
            raise DatasetError(f"{self.name} carries no ground truth (ground_truth_edge_mask)")
        mask: Tensor = graph.ground_truth_edge_mask
        if self.level == "graph":
            return mask
        if "true_edges" in graph:
            listed: Tensor = graph.true_edges[index]
            return torch.zeros_like(mask).index_fill(0, listed[listed >= 0], True)
        if "edge_motif" not in graph or "node_motif" not in graph:
            raise DatasetError(
                f"{self.name}: the truth about a node needs edge_motif [E] and node_motif [N], or "
                "true_edges [N, K]"
            )
        own_motif: Tensor = graph.node_motif[index]
        own: Tensor = (graph.edge_motif == own_motif) & (own_motif >= 0)
        return own


def check_graph(graph: Data, where: str) -> None:
    """Refuse a graph whose tensors contradict each other.

    Args:
        graph: The graph; `edge_index [2, E]` is required, everything else optional.
        where: The beginning of the error message.

    Raises:
        DatasetError: naming the attribute, what it is and what it should be.
    """
    edge_index = graph.edge_index
    if not isinstance(edge_index, Tensor) or edge_index.dtype != torch.long:
        raise DatasetError(
            f"{where}: edge_index must be a tensor of int64 [2, E], got "
            f"{getattr(edge_index, 'dtype', type(edge_index).__name__)}"
        )
    if edge_index.dim() != 2 or edge_index.shape[0] != 2:
        raise DatasetError(f"{where}: edge_index must be [2, E], got {list(edge_index.shape)}")
    num_nodes, num_edges = graph.num_nodes or 0, edge_index.shape[1]
    if num_edges and not 0 <= int(edge_index.min()) <= int(edge_index.max()) < num_nodes:
        raise DatasetError(
            f"{where}: edge_index must lie in [0, {num_nodes}), got values from "
            f"{int(edge_index.min())} to {int(edge_index.max())}"
        )
    for key, size in (
        ("x", num_nodes),
        ("node_motif", num_nodes),
        ("true_edges", num_nodes),
        ("node_truth", num_nodes),
        ("node_truth_parts", num_nodes),
        ("edge_motif", num_edges),
        ("ground_truth_edge_mask", num_edges),
        ("edge_attr", num_edges),
        ("edge_type", num_edges),
        ("edge_weight", num_edges),
    ):
        value = graph.get(key)
        if value is not None and (not isinstance(value, Tensor) or value.shape[:1] != (size,)):
            got = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise DatasetError(f"{where}: {key} must have {size} rows, got {got}")
    mask = graph.get("ground_truth_edge_mask")
    if mask is not None and mask.dtype != torch.bool:
        raise DatasetError(f"{where}: ground_truth_edge_mask must be bool [E], got {mask.dtype}")
    if graph.x is not None and not bool(torch.isfinite(graph.x).all()):
        raise DatasetError(f"{where}: x holds values that are not finite")


def stratified_split(
    labels: Tensor, seed: int, fractions: tuple[float, float] = (0.8, 0.1)
) -> Split:
    """Cut the items into train, validation and test so that every class is spread evenly.

    The sizes are those of the reference files: `int(0.8 * N)`, `int(0.1 * N)` and the rest.

    Args:
        labels: The class of each item `[N]`.
        seed: Seed of the generator; the global random state is not touched.
        fractions: The shares of train and validation.

    Returns:
        Sorted item ids under `"train"`, `"val"` and `"test"`.
    """
    rng = generator(seed, "split")
    classes = labels.numpy()
    place = np.empty(len(classes))
    for label in np.unique(classes):
        members = rng.permutation(np.flatnonzero(classes == label))
        # The share of its class that stands before an item; cutting the order of these shares
        # cuts every class at the same share. The random offset keeps small classes fair.
        place[members] = (np.arange(len(members)) + rng.random()) / len(members)
    order = torch.from_numpy(np.argsort(place, kind="stable"))
    first = int(fractions[0] * len(classes))
    second = first + int(fractions[1] * len(classes))
    return {
        "train": order[:first].sort().values,
        "val": order[first:second].sort().values,
        "test": order[second:].sort().values,
    }


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A random generator of its own for every purpose, so that one never shifts another.

    Args:
        seed: A non-negative integer.
        purpose: A word; different words give independent streams.

    Raises:
        DatasetError: if the seed is negative or no integer.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise DatasetError(f"seed must be an integer >= 0, got {seed!r}")
    return np.random.default_rng([seed, *purpose.encode()])


def evenly_spread(motif_of_node: npt.NDArray[np.int64], count: int) -> Tensor:
    """Motif nodes spread over the motifs, and over the positions inside a motif.

    Instance i comes from motif `i * M // count` (M motifs) and takes position `i mod size` in it.
    Taking every k-th motif node instead would visit the same position each time: with 60 cycles of
    6 nodes, always the node that hangs on the tree.

    Args:
        motif_of_node: `[N]` motif numbers, -1 for none; each motif's nodes in ascending order.
        count: How many nodes to pick.

    Returns:
        Node ids `[count]`.
    """
    num_motifs = int(motif_of_node.max()) + 1
    picked = []
    for i in range(count):
        members = np.flatnonzero(motif_of_node == i * num_motifs // count)
        picked.append(int(members[i % len(members)]))
    return torch.tensor(picked)


def _check_ids(ids: Tensor, size: int, where: str) -> None:
    if ids.dtype != torch.long or ids.dim() != 1:
        raise DatasetError(f"{where}: ids must be int64 [B], got {ids.dtype} {list(ids.shape)}")
    if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < size:
        raise DatasetError(
            f"{where}: ids must lie in [0, {size}), got {int(ids.min())} to {int(ids.max())}"
        )


def motif_components(edge_index: Tensor, mask: Tensor, num_nodes: int) -> tuple[Tensor, Tensor]:
    """Number the connected parts of a ground-truth mask.

    Args:
        edge_index: `[2, E]`, both directions present.
        mask: `[E]` bool, the ground-truth edges.
        num_nodes: N.

    Returns:
        `edge_motif [E]` and `node_motif [N]`; parts are numbered by their smallest node.
    """
    part = torch.arange(num_nodes)
    source, target = edge_index[:, mask]
    while True:  # every round carries the smallest node id one hop further
        smaller = part.scatter_reduce(0, target, part[source], "amin")
        smaller = smaller.scatter_reduce(0, source, smaller[target], "amin")
        if torch.equal(smaller, part):
            break
        part = smaller
    node_motif = torch.full((num_nodes,), -1)
    touched = torch.cat([source, target]).unique()
    node_motif[touched] = part[touched].unique(return_inverse=True)[1]
    edge_motif = torch.where(mask, node_motif[edge_index[0]], -1)
    return edge_motif, node_motif


def graph_labels(graphs: Sequence[Data]) -> Tensor:
    """The classes of a list of graphs, `[B]`.

    Raises:
        DatasetError: if a graph has no `y` of one int64 value.
    """
    for number, graph in enumerate(graphs):
        y = graph.y
        if not isinstance(y, Tensor) or y.dtype != torch.long or y.numel() != 1:
            raise DatasetError(
                f"graph {number}: y must hold one class number (int64), got "
                f"{f'{y.dtype} {list(y.shape)}' if isinstance(y, Tensor) else y!r}"
            )
    return torch.cat([graph.y.view(1) for graph in graphs])
