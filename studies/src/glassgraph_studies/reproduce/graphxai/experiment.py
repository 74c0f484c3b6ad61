"""GraphXAI's table of benzene rings, computed as its code does, and as its paper defines it.

Agarwal, Queen, Lakkaraju and Zitnik, "Evaluating explainability for graph neural networks"
(Scientific Data 2023, https://doi.org/10.1038/s41597-023-01974-x), table 5; code at
https://github.com/mims-harvard/GraphXAI. A GIN learns whether a molecule holds a benzene ring from
the kinds of its atoms alone. Explained is the predicted class of test molecules that it gets right,
with and without a ring. Two numbers are taken of the scores of the atoms:

* GEA, the best Jaccard index over the true explanations;
* GEF, how far the prediction moves when the unimportant atoms are set to zero, 1 - exp(-KL).

`glassgraph_studies.reference.graphxai` says where the code departs from that. To these slips comes
one of sign: their integrated gradients follow the gradient of the *loss*, so that what speaks for
the class has negative scores and falls below the threshold. ``integrated_gradients_of_loss``
repeats it, and ``random_of_code`` their random scores.

Each molecule is measured in three ways: both numbers as the code has them, on all molecules; GEA on
those with a ring, with the code's threshold; and both as defined, on the best quarter of the atoms.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.datasets.base import generator
from glassgraph.explainers.constant import ConstantScoresWarning
from glassgraph.explainers.gradient.integrated_gradients import IncompletenessWarning
from glassgraph.explainers.registry import make_explainer
from glassgraph.metrics.measured import Estimate
from glassgraph.metrics.scores import node_scores
from glassgraph.models import accuracy, train
from glassgraph_studies.reference import graphxai as literal
from glassgraph_studies.reference.gnn_explainer import PYG
from glassgraph_studies.reproduce.graphxai.network import PlainGIN


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        method: name of the method.
        settings: how it differs from its default.
        change: what becomes of the scores of a molecule's atoms.
    """

    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    change: Callable[[Tensor], Tensor] = Tensor.clone


_INTEGRATED = {"on": "features", "steps": 40}
METHODS = {
    "subgraphx": Row("subgraphx", {"max_nodes": 15, "min_atoms": 3, "rollouts": 10, "samples": 10}),
    "grad_cam": Row("grad_cam", {"layer": "average"}),
    "integrated_gradients": Row("integrated_gradients", _INTEGRATED),
    "integrated_gradients_of_loss": Row("integrated_gradients", _INTEGRATED, Tensor.neg),
    "gnn_explainer": Row("gnn_explainer", {**PYG, "feature_mask": "none"}),
    "random": Row("random"),
    "random_of_code": Row("random", change=literal.random_scores),
}
#: What is searched for a long time is searched on fewer molecules.
FEW = ("subgraphx",)
TRAINING: dict[str, Any] = {"learning_rate": 0.001, "weight_decay": 0.0005, "batch_size": 64}


@dataclass(frozen=True)
class Scene:
    """The network, and the molecules that are explained.

    Attributes:
        seed: of network and sample.
        network: the trained network.
        accuracy: of its parts.
        graphs: molecules that the network gets right, both classes.
    """

    seed: int
    network: PlainGIN
    accuracy: dict[str, float]
    graphs: list[Data]

    @staticmethod
    def make(
        dataset: ExplanationDataset, seed: int, molecules: int, epochs: int, progress: bool = True
    ) -> Scene:
        """Train the network, draw the molecules."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # noqa: TID251 - inside the forked random state
            network = PlainGIN()
        train(network, dataset, epochs=epochs, seed=seed, progress=progress, **TRAINING)
        test = dataset.split["test"]
        order = torch.from_numpy(generator(seed, "graphxai sample").permutation(test.numel()))
        drawn = [dataset.graphs[number] for number in test[order].tolist()]
        predicted = logits_of(network, drawn, [graph.x for graph in drawn]).argmax(dim=1)
        right = [g for g, found in zip(drawn, predicted.tolist(), strict=True) if found == int(g.y)]
        return Scene(seed, network, accuracy(network, dataset), right[:molecules])

    def run(self, name: str, few: int) -> dict[str, Any]:
        """One row; see `run_graphxai`."""
        graphs = self.graphs[:few] if name in FEW else self.graphs
        row = METHODS[name]
        explainer = make_explainer(
            row.method, self.network, "graph", seed=self.seed, progress=False, **row.settings
        )
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", IncompletenessWarning)
            # A molecule of at most 15 atoms is its own best subgraph.
            warnings.simplefilter("ignore", ConstantScoresWarning)
            explanations = explainer.explain(graphs)
        seconds = time.perf_counter() - start
        scores = [row.change(node_scores(explanations.local(i))) for i in range(len(graphs))]
        found = measure(self.network, graphs, scores)
        return {
            "method": name,
            "seed": self.seed,
            "molecules": len(graphs),
            "rings": int(sum(int(graph.y) for graph in graphs)),
            **{key: value.value for key, value in found.items()},
            **{f"{key}_low": value.low for key, value in found.items()},
            **{f"{key}_high": value.high for key, value in found.items()},
            "test_accuracy": self.accuracy["test"],
            "seconds_per_molecule": seconds / len(graphs),
        }


def run_graphxai(
    root: Path | str,
    seeds: Sequence[int] = range(3),
    methods: Sequence[str] | None = None,
    molecules: int = 400,
    few: int = 60,
    epochs: int = 40,
    progress: bool = True,
) -> Iterator[tuple[Scene, list[dict[str, Any]]]]:
    """Measure methods on benzene rings in both ways.

    Args:
        root: folder of ``benzene_graphs.npz``, or above.
        seeds: of network and sample.
        methods: keys of `METHODS`, all if None.
        molecules: how many are explained, of both classes.
        few: how many by the methods of `FEW`.
        epochs: of training.
        progress: show progress bars.

    Yields:
        For each seed a row for each method: the means of `measure` with their intervals, seconds.

    Raises:
        DatasetError: if the file is missing.
    """
    dataset = load_dataset("benzene", root=root, seed=0)
    for seed in seeds:
        scene = Scene.make(dataset, seed, molecules, epochs, progress)
        yield scene, [scene.run(each, few) for each in (METHODS if methods is None else methods)]


def measure(
    network: PlainGIN, graphs: Sequence[Data], scores: Sequence[Tensor]
) -> dict[str, Estimate]:
    """GEA and GEF of node scores, as the code has them and as they are defined."""
    has_ring = torch.tensor([int(graph.y) == 1 for graph in graphs])
    pairs = list(zip(graphs, scores, strict=True))
    gea = torch.tensor([literal.gea(s, g.node_truth) for g, s in pairs])
    best = [_best(score) for score in scores]
    overlap = [_jaccard(chosen, g.node_truth) for g, chosen in zip(graphs, best, strict=True)]
    kept = [graph.x * chosen.unsqueeze(1) for graph, chosen in zip(graphs, best, strict=True)]
    return {
        "gea_code": Estimate.of_mean(gea),
        "gef_code": Estimate.of_mean(
            torch.tensor([_literal_gef(network, *each) for each in pairs])
        ),
        "gea_rings": Estimate.of_mean(gea[has_ring]),
        "gea": Estimate.of_mean(torch.tensor(overlap)[has_ring]),
        "gef": Estimate.of_mean(_moved(network, graphs, kept)),
    }


def _literal_gef(network: PlainGIN, graph: Data, score: Tensor) -> float:
    return literal.gef(score, graph.x, lambda x: logits_of(network, [graph], [x])[0])


def _best(score: Tensor) -> Tensor:
    """``[n]`` the best quarter of the atoms, rounded up."""
    best = torch.zeros_like(score, dtype=torch.bool)
    count = math.ceil(literal.TOP * score.numel())
    best[torch.argsort(-score, stable=True)[:count]] = True
    return best


def _jaccard(chosen: Tensor, truth: Tensor) -> float:
    """The best over the columns of the truth; 0 where there are none."""
    both = (truth & chosen.unsqueeze(1)).sum(dim=0)
    either = (truth | chosen.unsqueeze(1)).sum(dim=0)
    return float((both / either)[truth.any(dim=0)].max()) if bool(truth.any()) else 0.0


def _moved(network: PlainGIN, graphs: Sequence[Data], features: Sequence[Tensor]) -> Tensor:
    """``1 - exp(-KL(y || y'))`` for the predictions on other features."""
    before, after = (
        logits_of(network, graphs, each).double().log_softmax(dim=1)
        for each in ([graph.x for graph in graphs], features)
    )
    return 1 - torch.exp(-(before.exp() * (before - after)).sum(dim=1))


@torch.no_grad()
def logits_of(network: PlainGIN, graphs: Sequence[Data], features: Sequence[Tensor]) -> Tensor:
    """Predictions ``[B, C]`` of graphs with these features."""
    batch = Batch.from_data_list(
        [Data(x=x, edge_index=g.edge_index) for g, x in zip(graphs, features, strict=True)]
    )
    found: Tensor = network(batch.x, batch.edge_index, batch.batch)
    return found
