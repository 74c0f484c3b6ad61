"""Does PGM-Explainer name the traders whose ratings decide a prediction?

Vu and Thai, "PGM-Explainer" (NeurIPS 2020, https://arxiv.org/abs/2010.05788), explain predictions
on Bitcoin-Alpha and Bitcoin-OTC (`glassgraph.datasets.trust`) and report the precision of the 3, 4
and 5 nodes of smallest p. Their ground truth and features are not available, so their numbers stand
beside ours for orientation alone. Here a node is right if it rated the explained trader, and the
rating has the sign of the prediction. That is what the label is made of; the network reads the mean
of signed messages, so nothing else within two steps should decide.

Explained are test nodes of both classes, as many of each as there are (up to half of `nodes`),
whose prediction is right and that have at least five right nodes, and ten candidates. The explained
node itself is no candidate.

``random``
    the share of right nodes among the candidates.
``causes``
    `pgm_explainer` with ``influence=False``: variables of neighbors say whether they were
    perturbed, not also whether their own prediction changed.
``saliency``
    the gradient, for comparison: it may look inside.

The second table is the paper's on motifs: the share of the motif's nodes among as many nodes of
smallest p, the explained node included (as there). The networks are our reference models.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import GraphConv

from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.datasets.trust import FILES, trust
from glassgraph.errors import DatasetError, UnknownMethodError
from glassgraph.explainers.registry import make_explainer
from glassgraph.models import reference_model
from glassgraph.models.training import train
from glassgraph.results.explanation import Explanations
from glassgraph.results.records import LocalExplanation

NETWORKS = tuple(FILES)
TOP = (3, 4, 5)
#: Precision of the top 3, 4 and 5, in percent, as published.
PUBLISHED = {"bitcoin-alpha": (87.3, 85.7, 84.8), "bitcoin-otc": (83.3, 81.7, 80.8)}
#: Percent of motif nodes found, as published: Syn1, 2, 4 (cycles) and 5 (grids).
PUBLISHED_MOTIFS = {
    "ba-shapes": 96.5, "ba-community": 92.6, "tree-cycles": 95.4, "tree-grid": 87.8,
}  # fmt: skip
#: Rows of the first table, and what they are made with.
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "pgm_explainer": ("pgm_explainer", {}),
    "causes": ("pgm_explainer", {"influence": False}),
    "saliency": ("saliency", {}),
    "random": ("random", {}),
}
_HIDDEN, _EPOCHS = 16, 200


class TrustNet(nn.Module):
    """Two layers that average messages weighted by ratings.

    Args:
        num_features: width of the input.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            [
                GraphConv(num_features, _HIDDEN, aggr="mean"),
                GraphConv(_HIDDEN, _HIDDEN, aggr="mean"),
            ]
        )
        self.head = nn.Linear(2 * _HIDDEN, 2)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        """Logits ``[N, 2]`` from the states after both layers."""
        first = self.convs[0](x, edge_index, edge_weight).relu()
        second = self.convs[1](first, edge_index, edge_weight).relu()
        logits: Tensor = self.head(torch.cat([first, second], dim=1))
        return logits


def run_trust(
    root: str | Path,
    networks: Sequence[str] = NETWORKS,
    seeds: Sequence[int] = range(3),
    rows: Sequence[str] | None = None,
    nodes: int = 100,
    samples: int = 400,
    progress: bool = True,
) -> Iterator[list[dict[str, Any]]]:
    """Precision of the named nodes.

    Args:
        root: see `glassgraph.datasets.trust.trust`.
        networks: names of the networks.
        seeds: each draws a split and trains a network.
        rows: names of `ROWS`; all if None.
        nodes: how many predictions to explain at most.
        samples: of PGM-Explainer.
        progress: show a progress bar while training.

    Yields:
        Rows ``{dataset, seed, row, precision, published, nodes, field_nodes, accuracy,
        least_class_accuracy, seconds_per_node}``; precision and published have one percentage for
        each of `TOP`, accuracies are of test nodes, overall and of the worse class.

    Raises:
        DatasetError: for missing files, or where no node can be explained.
        UnknownMethodError: for an unknown row.
    """
    chosen = list(ROWS) if rows is None else list(rows)
    for name in chosen:
        if name not in ROWS:
            raise UnknownMethodError(f"there is no row {name!r}; there are {', '.join(ROWS)}")
    for network in networks:
        for seed in seeds:
            scene = _Scene(trust(network, root, seed), seed, nodes, progress=progress)
            yield [scene.run(name, samples) for name in chosen]


class _Scene:
    """One network, one seed."""

    def __init__(
        self, dataset: ExplanationDataset, seed: int, nodes: int, *, progress: bool
    ) -> None:
        self.dataset, self.seed = dataset, seed
        self.graph = dataset.graphs[0]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # noqa: TID251 - inside the forked random state
            self.model = TrustNet(dataset.num_features)
        train(self.model, dataset, epochs=_EPOCHS, patience=_EPOCHS, seed=seed, progress=progress)
        with torch.no_grad():
            graph = self.graph
            logits = self.model(graph.x, graph.edge_index, graph.edge_weight)
        self.is_right = logits.argmax(dim=1) == graph.y
        self.nodes = self._explained(nodes)

    def _explained(self, most: int) -> Tensor:
        """Test nodes with enough of both kinds of candidates, evenly from both classes.

        Raises:
            DatasetError: if there is none.
        """
        graph, test = self.graph, self.dataset.split["test"]
        seeds = make_explainer("random", self.model, "node", progress=False)
        right = test[self.is_right[test] & ((graph.true_edges[test] >= 0).sum(dim=1) >= TOP[-1])]
        enough = []
        if right.numel():
            for local in _locals(seeds.explain(graph, right)):
                truth = right_nodes(self.dataset, local)
                others = local.node_id.numel() - 1
                enough.append(int(truth.sum()) >= TOP[-1] and others >= 2 * TOP[-1])
        right = right[torch.tensor(enough, dtype=torch.bool)]
        per_class = [right[graph.y[right] == label] for label in (0, 1)]
        picked = [own[_spread(own.numel(), most // 2)] for own in per_class]
        if not sum(own.numel() for own in picked):
            raise DatasetError(
                f"{self.dataset.name}, seed {self.seed}: no test node has {TOP[-1]} ratings that "
                "speak for a right prediction"
            )
        return torch.cat(picked).sort().values

    def run(self, name: str, samples: int) -> dict[str, Any]:
        """One row."""
        method, settings = ROWS[name]
        if method == "pgm_explainer":
            settings = {"num_samples": samples, **settings}
        explainer = make_explainer(
            method, self.model, "node", seed=self.seed, progress=False, **settings
        )
        start = time.perf_counter()
        explanations = explainer.explain(self.graph, self.nodes)
        seconds = (time.perf_counter() - start) / len(explanations)
        locals_ = _locals(explanations)
        truths = [right_nodes(self.dataset, local) for local in locals_]
        if name == "random":
            share = statistics.fmean(float(truth.sum()) / (truth.numel() - 1) for truth in truths)
            precision = [100 * share] * len(TOP)
        else:
            precision = [
                100
                * statistics.fmean(
                    precision_at(local, truth, top)
                    for local, truth in zip(locals_, truths, strict=True)
                )
                for top in TOP
            ]
        test = self.dataset.split["test"]
        right, label = self.is_right[test].double(), self.graph.y[test]
        return {
            "dataset": self.dataset.name,
            "seed": self.seed,
            "row": name,
            "precision": precision,
            "published": PUBLISHED.get(self.dataset.name) if name == "pgm_explainer" else None,
            "nodes": len(locals_),
            "field_nodes": statistics.fmean(local.node_id.numel() for local in locals_),
            "accuracy": float(right.mean()),
            "least_class_accuracy": min(float(right[label == each].mean()) for each in (0, 1)),
            "seconds_per_node": seconds,
        }


def run_motifs(
    datasets: Sequence[str] = tuple(PUBLISHED_MOTIFS),
    samples: int = 1000,
    seed: int = 0,
    progress: bool = True,
) -> Iterator[dict[str, Any]]:
    """Share of motif nodes found.

    Args:
        datasets: names of node sets with motifs.
        samples: of PGM-Explainer.
        seed: of data, network and samples.
        progress: show a progress bar while training.

    Yields:
        Rows ``{dataset, recall, random, published, nodes, seconds_per_node}``, in percent.
    """
    for name in datasets:
        dataset = load_dataset(name, seed=seed)
        model = reference_model(dataset, seed=seed, progress=progress).model
        explainer = make_explainer(
            "pgm_explainer", model, "node", seed=seed, num_samples=samples, progress=False
        )
        start = time.perf_counter()
        locals_ = _locals(explainer.explain(dataset.graphs[0], dataset.explained))
        seconds = (time.perf_counter() - start) / len(locals_)
        found, chance = [], []
        for local in locals_:
            motif = dataset.graphs[0].node_motif
            is_own = motif[local.node_id] == motif[local.index]
            size = int((motif == motif[local.index]).sum())
            found.append(recall_at(local, is_own, size))
            others = max(1, local.node_id.numel() - 1)
            hits = 1 + min(size - 1, others) * (int(is_own.sum()) - 1) / others
            chance.append(hits / size)
        yield {
            "dataset": name,
            "recall": 100 * statistics.fmean(found),
            "random": 100 * statistics.fmean(chance),
            "published": PUBLISHED_MOTIFS.get(name),
            "nodes": len(locals_),
            "seconds_per_node": seconds,
        }


def right_nodes(dataset: ExplanationDataset, local: LocalExplanation) -> Tensor:
    """Which nodes ``[n]`` of a field rated the explained one with the sign of its class."""
    graph = dataset.graphs[0]
    edges = graph.true_edges[local.index]
    senders = graph.edge_index[0, edges[edges >= 0]]
    is_other = local.node_id != local.index
    return torch.isin(local.node_id, senders) & is_other


def precision_at(local: LocalExplanation, truth: Tensor, top: int) -> float:
    """Share of right nodes among those with the highest scores, without the explained one."""
    assert local.node_score is not None
    score = local.node_score.masked_fill(local.node_id == local.index, float("-inf"))
    return _hits(score, truth, top) / top


def recall_at(local: LocalExplanation, truth: Tensor, size: int) -> float:
    """Share of a motif of ``size`` nodes among as many nodes, the explained one included."""
    assert local.node_score is not None
    score = local.node_score.masked_fill(local.node_id == local.index, float("inf"))
    return _hits(score, truth, min(size, score.numel())) / size


def _hits(score: Tensor, truth: Tensor, top: int) -> float:
    """Right nodes among the highest, on average over all orders of equal scores."""
    border = score.topk(top).values[-1]
    above, tied = score > border, score == border
    left = top - int(above.sum())
    return float(truth[above].sum()) + left * float(truth[tied].double().mean())


def _spread(count: int, most: int) -> Tensor:
    """Up to so many of the numbers below ``count``, evenly."""
    return torch.linspace(0, max(0, count - 1), min(count, most)).round().long()


def _locals(explanations: Explanations) -> list[LocalExplanation]:
    return [explanations.local(position) for position in range(len(explanations))]


def summarize(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], list[float]]:
    """Mean precision over seeds for each network and row, one number for each of `TOP`."""
    found: dict[tuple[str, str], list[list[float]]] = {}
    for row in rows:
        found.setdefault((row["dataset"], row["row"]), []).append(row["precision"])
    return {
        key: [statistics.fmean(each) for each in zip(*own, strict=True)]
        for key, own in found.items()
    }
