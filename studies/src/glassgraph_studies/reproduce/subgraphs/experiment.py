"""Which nodes make up the motif? Relevant subgraphs of BA-2Motifs, by GNN-LRP.

For 200 graphs a subgraph grows node by node, always by the node with which it is most relevant; the
earlier a node joins, the higher its score. Measured is the ROC-AUC of the five nodes of the motif
within each graph, averaged, for several weights alpha of visits outside the subgraph. The protocol,
the network (`glassgraph.models.negative_gin`) and the published numbers are those of Xiong et al.,
"Efficient Computation of Higher-Order Subgraph Attribution via Message Passing" (ICML 2022,
https://proceedings.mlr.press/v162/xiong22a.html), whose trained network is not published: every
seed trains its own. A start from which nothing is learned (all ReLUs shut) is replaced by the next.

The authors explain the logit of the true class. Of two classes only the difference of logits is
learned, so the second question is "why this class rather than the other".

The authors' network has 20 channels. Here it has 64, for more starts learn something, and it is
trained in two ways: plainly, and with a small penalty on the sum over nodes of what each adds to
the lead of a class (`total_evidence`), so that it rests on few nodes. Neither looks at the motif.

A network may know one class by the absence of the other's motif. Then the motif of that class is
no evidence, and no explanation of the network can find it. So each row also says how far the
difference of logits falls, on average, if the motif's nodes are taken out of the graphs
(`evidence`): about 100 percent or more where the class rests on its motif, 0 or less where it does
not.

Where the first five nodes are not the motif, either the greedy growth missed the more relevant set,
or the network's relevance prefers another one. So the relevance of both sets is held against each
other (`missed`, `more_relevant`): where those that were found have more, no search by relevance
would have come back with the motif.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch_geometric.utils import subgraph

from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.explainers.decomposition.gnn_lrp import GNNLRP
from glassgraph.models.negative_gin import NegativeGIN, negative_gin, total_evidence
from glassgraph.models.training import Penalty, Training, train

#: Percent of area under the curve that Xiong et al. report (200 graphs), by alpha.
PUBLISHED = {0.0: 99.28, 0.05: 99.62, 0.1: 99.49, 0.3: 97.72, 0.5: 93.73, 1.0: 68.03}
ALPHAS = (0.0, 0.05, 0.1)
#: Epochs of training.
EPOCHS = 300
#: Weight of the penalty on evidence.
PENALTIES = {"plain": 0.0, "sparse": 0.01}
#: Starts that are tried at most for each seed.
ATTEMPTS = 12
#: Validation accuracy below which a network has not learned the classes.
LEARNED = 0.99
#: Features of BA-2Motifs are ten times 0.1: scaled so that ``x W`` starts at variance 1.
_SCALE = 10.0


def run_subgraphs(
    seeds: Sequence[int] = range(5),
    alphas: Sequence[float] = ALPHAS,
    graphs: int = 200,
    epochs: int = EPOCHS,
    progress: bool = True,
) -> Iterator[list[dict[str, Any]]]:
    """Measure every seed.

    Args:
        seeds: of the networks; the data set is the same for all.
        alphas: weights of visits outside.
        graphs: how many graphs, evenly spread over the data set.
        epochs: of training.
        progress: show the training's progress bar.

    Yields:
        Rows ``{seed, training, start, question, alpha, auc, auc_by_class, missed, more_relevant,
        evidence, published, val_accuracy}``; areas and evidence (one number for each class) in
        percent; numbers of graphs whose first nodes are not the motif, and of those among them
        where these nodes are at least as relevant as the motif.
    """
    dataset = load_dataset("ba-2motifs", seed=0)
    chosen = torch.linspace(0, len(dataset.graphs) - 1, graphs).round().long()
    for seed, weight in itertools.product(seeds, PENALTIES.values()):
        start, network, training = learn(dataset, seed, epochs, weight, progress=progress)
        evidence = motif_evidence(dataset, network, chosen)
        yield [
            {
                "seed": seed,
                "training": "plain" if weight == 0 else "sparse",
                "start": start,
                "question": question,
                "alpha": alpha,
                **motif_auc(dataset, network, chosen, alpha, question == "contrast"),
                "evidence": evidence,
                "published": PUBLISHED.get(alpha),
                "val_accuracy": training.val_accuracy,
            }
            for question in ("contrast", "logit")
            for alpha in alphas
        ]


def learn(
    dataset: ExplanationDataset,
    seed: int,
    epochs: int,
    weight: float = 0.0,
    *,
    progress: bool = False,
) -> tuple[int, NegativeGIN, Training]:
    """Train until a start has learned the classes; test labels are not read.

    Returns:
        How many starts it took, the network, and its training.
    """
    for attempt in range(ATTEMPTS):
        network = negative_gin(
            dataset.num_features,
            dataset.num_classes,
            seed * ATTEMPTS + attempt,
            feature_scale=_SCALE,
        )
        # One look at a start that learns nothing is enough.
        settings: dict[str, Any] = {"learning_rate": 0.003, "seed": seed, "progress": progress}
        first = train(network, dataset, epochs=min(25, epochs), **settings)
        if first.val_accuracy < 0.6 and attempt + 1 < ATTEMPTS:
            continue
        penalty = None if weight == 0 else _weighted(weight)
        training = train(network, dataset, epochs=epochs, penalty=penalty, **settings)
        if training.val_accuracy >= LEARNED or attempt + 1 == ATTEMPTS:
            return attempt + 1, network, training
    raise AssertionError("the last attempt returns")  # pragma: no cover


def _weighted(weight: float) -> Penalty:
    return lambda model, graph: weight * total_evidence(model, graph)


def motif_evidence(
    dataset: ExplanationDataset, network: NegativeGIN, chosen: Tensor
) -> list[float]:
    """For each class, how far in percent its lead over the other falls without its motif."""
    found = []
    for label in range(dataset.num_classes):
        lead = {True: 0.0, False: 0.0}
        for number in chosen.tolist():
            graph = dataset.graphs[number]
            if int(graph.y) != label:
                continue
            for with_motif in lead:
                kept = (graph.node_motif < 0) | with_motif
                edge_index, _ = subgraph(kept, graph.edge_index, relabel_nodes=True)
                with torch.no_grad():
                    logits = network(graph.x[kept], edge_index)[0]
                lead[with_motif] += float(logits[label] - logits[1 - label])
        found.append(100 * (1 - lead[False] / lead[True]))
    return found


def summarize(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of each question and alpha together.

    Returns:
        ``{training, question, alpha, published, mean, supported, by_class, missed,
        more_relevant}``; ``supported`` is the mean over the classes that rest on their motif, None
        if there are none; the last two are sums over seeds.
    """
    found = []
    names = ("training", "question", "alpha")
    for key in dict.fromkeys(tuple(row[name] for name in names) for row in rows):
        own = [row for row in rows if tuple(row[name] for name in names) == key]
        supported = [
            area
            for row in own
            for area, is_supported in zip(row["auc_by_class"], rests_on_motif(row), strict=True)
            if is_supported
        ]
        found.append(
            {
                **dict(zip(names, key, strict=True)),
                "published": own[0]["published"],
                "mean": statistics.mean(row["auc"] for row in own),
                "supported": statistics.mean(supported) if supported else None,
                "by_class": [row["auc_by_class"] for row in own],
                "missed": sum(row["missed"] for row in own),
                "more_relevant": sum(row["more_relevant"] for row in own),
            }
        )
    return found


def rests_on_motif(row: Mapping[str, Any]) -> list[bool]:
    """For each class of a row whether it rests on its motif: at least half of its lead does."""
    return [share >= 50 for share in row["evidence"]]


def motif_auc(
    dataset: ExplanationDataset,
    network: NegativeGIN,
    chosen: Tensor,
    alpha: float,
    is_contrast: bool,
) -> dict[str, Any]:
    """Mean area under the curve of the motif's nodes, in percent, and what misses are made of.

    Args:
        dataset: BA-2Motifs.
        network: the network.
        chosen: numbers of graphs.
        alpha: weight of visits outside.
        is_contrast: ask for the class rather than the other one.

    Returns:
        ``{auc, auc_by_class, missed, more_relevant}``.
    """
    explainer = GNNLRP(network, "graph", gamma=(3.0, 0.0), progress=False)
    found: list[float] = []
    missed = more_relevant = 0
    for label in range(dataset.num_classes):
        own = [i for i in chosen.tolist() if int(dataset.graphs[i].y) == label]
        target = (label, 1 - label) if is_contrast else label
        orders = explainer.node_order(dataset.graphs, own, target, alpha=alpha)
        areas = []
        for number, (_, step) in zip(own, orders, strict=True):
            graph = dataset.graphs[number]
            truth = graph.node_motif >= 0
            areas.append(float(roc_auc_score(truth.numpy(), (-step).numpy())))
            first = step < truth.sum()
            if not torch.equal(first, truth):
                sets = torch.stack([first, truth])
                both = explainer.subgraph_relevance(graph, sets, target=target, alpha=alpha)
                missed += 1
                more_relevant += int(both[0] >= both[1])
        found.append(100 * statistics.mean(areas))
    return {
        "auc": statistics.mean(found),
        "auc_by_class": found,
        "missed": missed,
        "more_relevant": more_relevant,
    }
