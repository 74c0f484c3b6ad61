"""Any PyG data set, or list of graphs, as an explanation data set."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.datasets.base import (
    SPLITS,
    ExplanationDataset,
    Level,
    Split,
    check_graph,
    graph_labels,
    motif_components,
    stratified_split,
)
from glassgraph.errors import DatasetError


def from_pyg(
    dataset: Iterable[Data],
    level: Level,
    *,
    name: str | None = None,
    explained: Tensor | None = None,
    split: Split | None = None,
    seed: int = 0,
    license: str = "not stated",  # noqa: A002 - the field's name
    source: str | None = None,
) -> ExplanationDataset:
    """Wrap graphs with class numbers `y`.

    Ground truth is taken over where a graph has `ground_truth_edge_mask` (and `edge_motif`,
    `node_motif`), or the `edge_mask` of PyG's `ExplainerDataset`, whose connected parts become the
    motifs. The graphs are copied; the data set given stays as it is.

    Args:
        dataset: A PyG `Dataset`, or any sequence of `Data`; exactly one graph at node level.
        level: `"node"` or `"graph"`.
        name: The name of the result; the class name of the data set by default.
        explained: Default instances `[B]`; by default the motif nodes or graphs where there is
            ground truth, else the test part.
        split: Ids under "train", "val" and "test"; by default the graph's `train_mask`, `val_mask`
            and `test_mask` (node level, the first column of several), else 80/10/10 by class.
        seed: Seed of the split that is drawn when there is none.
        license: The license of the data.
        source: Where the data come from; the class name by default.

    Raises:
        DatasetError: if the level is unknown, labels are missing or no class numbers, or ids are
            out of range.
    """
    if level not in ("node", "graph"):
        raise DatasetError(f"level must be 'node' or 'graph', got {level!r}")
    graphs = [_with_truth(graph, i) for i, graph in enumerate(dataset)]
    title = type(dataset).__name__ if name is None else name
    if not graphs:
        raise DatasetError(f"{title}: the data set is empty")
    labels = graph_labels(graphs) if level == "graph" else _node_labels(graphs[0])
    if split is None:
        split = _masks(graphs[0]) if level == "node" else None
    if split is None:
        split = stratified_split(labels, seed)
    x = graphs[0].x
    return ExplanationDataset(
        name=title,
        level=level,
        graphs=graphs,
        num_classes=int(labels.max()) + 1,
        num_features=int(x.shape[1]) if isinstance(x, Tensor) and x.dim() == 2 else 0,
        explained=_motif_items(graphs, level, split["test"]) if explained is None else explained,
        split=split,
        license=license,
        source=type(dataset).__name__ if source is None else source,
    )


def _with_truth(graph: object, number: int) -> Data:
    if not isinstance(graph, Data):
        raise DatasetError(
            f"graph {number} is a {type(graph).__name__}; only homogeneous Data can be wrapped"
        )
    copy: Data = Data.from_dict(graph.to_dict())
    check_graph(copy, f"graph {number}")
    if "edge_mask" in copy and "ground_truth_edge_mask" not in copy:
        copy.ground_truth_edge_mask = copy.edge_mask > 0
    if "ground_truth_edge_mask" in copy and "edge_motif" not in copy:
        copy.edge_motif, copy.node_motif = motif_components(
            copy.edge_index, copy.ground_truth_edge_mask, int(copy.num_nodes or 0)
        )
    return copy


def _node_labels(graph: Data) -> Tensor:
    y = graph.y
    if not isinstance(y, Tensor) or y.dtype != torch.long or y.shape != (graph.num_nodes,):
        got = f"{y.dtype} {list(y.shape)}" if isinstance(y, Tensor) else repr(y)
        raise DatasetError(f"y must hold one class number (int64) per node, got {got}")
    return y


def _masks(graph: Data) -> Split | None:
    masks = [graph[f"{part}_mask"] for part in SPLITS if f"{part}_mask" in graph]
    if len(masks) < len(SPLITS):
        return None
    columns = [mask[:, 0] if mask.dim() == 2 else mask for mask in masks]
    return {part: mask.nonzero().view(-1) for part, mask in zip(SPLITS, columns, strict=True)}


def _motif_items(graphs: list[Data], level: Level, otherwise: Tensor) -> Tensor:
    if not all("ground_truth_edge_mask" in graph for graph in graphs):
        return otherwise
    if level == "node":
        found = graphs[0].node_motif >= 0
    else:
        found = torch.tensor([bool(graph.ground_truth_edge_mask.any()) for graph in graphs])
    return found.nonzero().view(-1) if bool(found.any()) else otherwise
