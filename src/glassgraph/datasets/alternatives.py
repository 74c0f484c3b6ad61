"""True nodes, where any of several explanations of a graph is right.

Two forms of the same. `node_truth [N, K]` holds each alternative as a column. Where every choice of
some substructures is right (two benzene rings: either, or both), there are up to 2^P - 1 of them,
2,047 for one molecule of logic8; `node_truth_parts [N, P]` then holds the substructures, and the
alternatives are the unions of any of them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.errors import DatasetError

#: Substructures of one graph whose unions are written out.
MOST_PARTS = 16


def alternatives(graph: Data) -> Tensor | None:
    """The alternatives of one graph `[N, K]`, boolean; None where it holds no truth about nodes.

    Columns are distinct, and none is empty.

    >>> graph = Data(node_truth_parts=torch.tensor([[True, False], [False, True], [False, False]]))
    >>> alternatives(graph).int().tolist()
    [[1, 0, 1], [0, 1, 1], [0, 0, 0]]

    Raises:
        DatasetError: if there are more than 16 substructures.
    """
    if "node_truth_parts" in graph:
        return unions(graph.node_truth_parts)
    if "node_truth" not in graph:
        return None
    truth: Tensor = graph.node_truth.to(torch.bool)
    truth = truth.unsqueeze(1) if truth.dim() == 1 else truth
    return truth[:, truth.any(dim=0)]


def unions(parts: Tensor) -> Tensor:
    """All distinct unions of one or more of the columns, `[N, P]` to `[N, K]`, boolean.

    Raises:
        DatasetError: if more than 16 columns are not empty.
    """
    parts = parts.to(torch.bool)
    parts = parts[:, parts.any(dim=0)]
    if parts.size(1) > MOST_PARTS:
        raise DatasetError(
            f"node_truth_parts holds {parts.size(1)} substructures of one graph; unions of more "
            f"than {MOST_PARTS} are not written out. Give the alternatives as node_truth [N, K]"
        )
    found = parts[:, :0]
    for part in parts.t():
        found = torch.cat([found, part.unsqueeze(1), found | part.unsqueeze(1)], dim=1)
        found = _distinct(found)
    return found


def substructures(truth: Tensor) -> Tensor:
    """The columns that are not the union of others, `[N, K]` to `[N, P]`.

    Raises:
        DatasetError: if the columns are not all of the unions of these.
    """
    truth = _distinct(truth[:, truth.any(dim=0)])
    if truth.size(1) < 2:
        return truth
    counts = truth.float()
    # Whether column i lies within column j: as many nodes in common as i has.
    within = counts.t() @ counts == counts.sum(dim=0).unsqueeze(1)
    smaller = within.fill_diagonal_(False).float()
    is_union = ((counts @ smaller > 0) == truth).all(dim=0)
    parts = truth[:, ~is_union]
    if unions(parts).size(1) != truth.size(1):
        raise DatasetError("alternatives are not all of the unions of some substructures")
    return parts


def _distinct(columns: Tensor) -> Tensor:
    """Each column once, where it comes first."""
    if columns.size(1) < 2:
        return columns
    inverse = torch.unique(columns, dim=1, return_inverse=True)[1]
    first = torch.full((int(inverse.max()) + 1,), len(inverse)).scatter_reduce(
        0, inverse, torch.arange(len(inverse)), "amin"
    )
    return columns[:, first.sort().values]
