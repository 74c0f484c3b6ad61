"""Bitcoin-Alpha and Bitcoin-OTC: can a trader be trusted, by the ratings of others?

Kumar, Spezzano, Subrahmanian and Faloutsos, "Edge Weight Prediction in Weighted Signed Networks"
(ICDM 2016, https://snap.stanford.edu/data/soc-sign-bitcoin-alpha.html). Traders rate each other
from -10 to 10. An edge runs from who rates to who is rated, `edge_weight` is the rating / 10.

A trader counts as trustworthy (class 1) where the mean of the ratings received is above 0, as not
(class 0) where it is below; others, among them all who received none, are in no part of the split.
Features say how a trader rates: a constant 1, the logarithm of one more than the number of ratings
given, their mean / 10, and the share of negative ones. So a class can only be known through edges.

The truth about a trader is the ratings that speak for the class, positive ones for 1 and negative
ones for 0: `true_edges`. Vu and Thai ("PGM-Explainer", NeurIPS 2020) explain predictions on these
graphs too; the files of their ground truth contradict themselves (positive and negative evidence
are the same, byte for byte), and their features are not published.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.datasets.base import ExplanationDataset, stratified_split
from glassgraph.errors import DatasetError

FILES = {"bitcoin-alpha": "bitcoinalpha.csv", "bitcoin-otc": "bitcoinotc.csv"}
LICENSE = "none stated (SNAP)"
SOURCE = "Kumar et al. 2016, https://snap.stanford.edu/data/soc-sign-bitcoin-alpha.html"
_COLUMNS = ("SOURCE", "TARGET", "RATING")
_LARGEST = 10


def trust(name: str, root: str | Path, seed: int = 0) -> ExplanationDataset:
    """A signed graph of ratings, and whom to trust.

    Args:
        name: ``"bitcoin-alpha"`` or ``"bitcoin-otc"``.
        root: a folder with the file of that network, in it or in a folder of it: comma-separated
            values with the columns SOURCE, TARGET and RATING.
        seed: of the split.

    Returns:
        The data set; explained are the test nodes.

    Raises:
        DatasetError: if the name is unknown, the file is missing, or it holds something else.
    """
    if name not in FILES:
        raise DatasetError(f"unknown network {name!r}; known are {', '.join(FILES)}")
    found = sorted(Path(root).rglob(FILES[name]))
    if not found:
        raise DatasetError(f"{name}: there is no {FILES[name]} in {root}")
    graph, mean = _graph(_read(found[0]))
    labeled = (mean != 0).nonzero().view(-1)
    split = {
        part: labeled[chosen] for part, chosen in stratified_split(graph.y[labeled], seed).items()
    }
    return ExplanationDataset(
        name=name,
        level="node",
        graphs=[graph],
        num_classes=2,
        num_features=graph.x.size(1),
        explained=split["test"],
        split=split,
        license=LICENSE,
        source=SOURCE,
    )


def _read(file: Path) -> pd.DataFrame:
    """The ratings ``source``, ``target``, ``rating``; traders numbered in the order of their ids.

    Raises:
        DatasetError: if the file is something else.
    """
    try:
        table = pd.read_csv(file)
        ratings = table.loc[:, list(_COLUMNS)].astype("int64")
    except (KeyError, ValueError) as error:
        raise DatasetError(f"{file} must have whole numbers under {', '.join(_COLUMNS)}") from error
    outside = ~ratings.RATING.between(-_LARGEST, _LARGEST)
    if outside.any() or ratings.empty:
        got = f"{ratings.RATING[outside].iloc[0]}" if outside.any() else "none"
        raise DatasetError(f"{file}: ratings must lie in [-10, 10]; got {got}")
    traders = pd.Index(pd.unique(ratings[["SOURCE", "TARGET"]].to_numpy().ravel())).sort_values()
    return pd.DataFrame(
        {
            "source": traders.get_indexer(ratings.SOURCE),
            "target": traders.get_indexer(ratings.TARGET),
            "rating": ratings.RATING / _LARGEST,
        }
    )


def _graph(ratings: pd.DataFrame) -> tuple[Data, Tensor]:
    """The graph, and the mean rating ``[N]`` that each trader received (0 for none)."""
    source, target = torch.tensor(ratings[["source", "target"]].to_numpy()).t().contiguous()
    rating = torch.tensor(ratings.rating.to_numpy())
    num_nodes = int(torch.stack([source, target]).max()) + 1

    def mean(value: Tensor, at: Tensor) -> Tensor:
        return value.new_zeros(num_nodes).scatter_reduce(0, at, value, "mean", include_self=False)

    given = torch.bincount(source, minlength=num_nodes).double()
    x = torch.stack(
        [
            torch.ones_like(given),
            given.log1p(),
            mean(rating, source),
            mean((rating < 0).double(), source),
        ],
        dim=1,
    )
    received = mean(rating, target)
    y = (received > 0).long()
    speaks = torch.where(y[target] == 1, rating > 0, rating < 0) & (received[target] != 0)
    graph = Data(
        x=x.float(),
        edge_index=torch.stack([source, target]),
        edge_weight=rating.float(),
        y=y,
        ground_truth_edge_mask=speaks,
        true_edges=_listed(speaks.nonzero().view(-1), target, num_nodes),
    )
    return graph, received


def _listed(edges: Tensor, target: Tensor, num_nodes: int) -> Tensor:
    """``[N, K]`` the edges into each node, filled up with -1."""
    edges = edges[target[edges].argsort(stable=True)]
    count = torch.bincount(target[edges], minlength=num_nodes)
    place = torch.arange(edges.numel()) - (count.cumsum(0) - count)[target[edges]]
    listed = torch.full((num_nodes, max(1, int(count.max()))), -1)
    listed[target[edges], place] = edges
    return listed
