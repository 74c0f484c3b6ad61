"""Which method finds the path along which an infection reached a node?

He, Rafiey, Mishne and Wang, "Explaining GNN Explanations with Edge Gradients" (KDD 2025,
https://arxiv.org/abs/2508.01048), on the data of Faber, Moghaddam and Wattenhofer, "When Comparing
to Ground Truth is Wrong" (KDD 2021): `glassgraph.datasets.infection`. A network predicts how many
steps a node is away from the nearest infected one. Explained are the nodes of the graph that was
held out whose label is 1 to `max_path`, whose prediction is right, and which have one infected node
within their distance y. A method names one walk of the length of the network; it is

``found``
    if the walk begins at an infected node and has y + 1 distinct nodes, as the authors count;
``true``
    if it is the shortest path itself, stays left out. Only nodes with one shortest path count.

What is asked comes in two forms. The authors explain the logit of the predicted class. But a
network may say "3" for want of anything nearer, and logits are only defined up to what is added to
all of them; so the second question is why the distance is y *rather than one step more*, the
difference of two logits. The infected node within y steps, and the path from it, are the reason.

Walks come from searches of `gnn_lrp`, or from scores of edges at each layer: the walk with the
largest sum, where staying at a node scores nothing (`Explanation.paths`). ``random`` gives each
edge at each layer a uniform number between -1/2 and 1/2.

``longest_path``
    He et al.'s search: products of Jacobians, one best end kept for each node and layer.
``amp_ave``
    AMP-ave of Xiong, Schnake, Gastegger, Montavon, Müller and Nakajima, "Relevant Walk Search for
    Explaining Graph Neural Networks" (ICML 2023,
    https://proceedings.mlr.press/v202/xiong23b.html): the same search on the matrices of LRP-gamma.
    Its messages are vectors, and what is compared is the mean over their numbers; with gamma 0, on
    a network of ReLUs, that is the longest path.
``amp_ave_sum``
    what the code of He et al. compares with under that name: each step is averaged over the numbers
    of its receiver, and a path is the sum of its steps.
``gnn_lrp``
    the walk with the largest absolute relevance of all, which the others approximate.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.datasets import ExplanationDataset
from glassgraph.datasets.infection import infection
from glassgraph.errors import DatasetError, UnknownMethodError
from glassgraph.explainers.registry import make_explainer
from glassgraph.models import TrainedModel, reference_model
from glassgraph.results.layer_paths import layer_paths

#: ``"logit"``: why class y; ``"step"``: why class y rather than y + 1.
Question = Literal["logit", "step"]


@dataclass(frozen=True)
class Entry:
    """One row of the table.

    Attributes:
        title: what it is called.
        question: what is asked.
        method: registry name, or ``"random"``.
        published: percent found, where He et al. report it.
        settings: hyper-parameters that differ from the method's defaults.
    """

    title: str
    question: Question
    method: str
    published: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


_LONGEST = {"search": "longest", "gamma": 0.0, "walks": 1}
_AMP_AVE = {"search": "longest", "walks": 1}
_AMP_AVE_SUM = {"search": "amp_ave", "gamma": 0.0, "walks": 1}

TABLE: dict[str, Entry] = {
    "longest_path": Entry("longest path", "step", "gnn_lrp", 99.08, _LONGEST),
    "longest_path_logit": Entry("longest path", "logit", "gnn_lrp", 99.08, _LONGEST),
    "amp_ave": Entry("AMP-ave", "step", "gnn_lrp", 91.13, _AMP_AVE),
    "amp_ave_logit": Entry("AMP-ave", "logit", "gnn_lrp", 91.13, _AMP_AVE),
    "amp_ave_sum": Entry("AMP-ave, sum", "step", "gnn_lrp", 91.13, _AMP_AVE_SUM),
    "amp_ave_sum_logit": Entry("AMP-ave, sum", "logit", "gnn_lrp", 91.13, _AMP_AVE_SUM),
    "gnn_lrp": Entry("best walk", "step", "gnn_lrp", None, {"gamma": 0.0, "walks": 1}),
    "edge_gradients": Entry("edge gradients", "step", "edge_gradients"),
    "edge_gradients_logit": Entry("edge gradients", "logit", "edge_gradients"),
    "occlusion": Entry("occlusion", "step", "occlusion", None, {"layerwise": True}),
    "random": Entry("random", "step", "random"),
}


@dataclass(frozen=True)
class Scene:
    """The graphs of one seed, the network, and the nodes to explain.

    Attributes:
        seed: the seed of all of it.
        dataset: the graphs.
        trained: the network.
        nodes: ``[K]`` the nodes to explain.
    """

    seed: int
    dataset: ExplanationDataset
    trained: TrainedModel
    nodes: Tensor

    @staticmethod
    def make(seed: int, *, progress: bool = True, **sizes: Any) -> Scene:
        """Draw the graphs, train the network, choose the nodes; ``sizes`` are those of the data."""
        dataset = infection(seed, **sizes)
        trained = reference_model(dataset, seed=seed, progress=progress)
        return Scene(seed, dataset, trained, explained_nodes(dataset, trained))

    @property
    def graph(self) -> Data:
        """The graph."""
        return self.dataset.graphs[0]

    def run(self, name: str) -> dict[str, Any]:
        """One row; see `run_infection`."""
        entry = TABLE[name]
        start = time.perf_counter()
        walks: dict[int, list[int]] = {}
        for label in self.graph.y[self.nodes].unique().tolist():
            nodes = self.nodes[self.graph.y[self.nodes] == label]
            target = (label, label + 1) if entry.question == "step" else label
            walks.update(self._walks(entry, nodes, target))
        seconds = time.perf_counter() - start
        found = {node: is_found(self.graph, node, walk) for node, walk in walks.items()}
        true = {
            node: is_true(self.graph, node, walk)
            for node, walk in walks.items()
            if bool(self.graph.has_unique_path[node])
        }
        labels = {node: int(self.graph.y[node]) for node in walks}
        return {
            "row": name,
            "seed": self.seed,
            "found": _percent(found.values()),
            "found_by_label": {
                label: _percent(ok for node, ok in found.items() if labels[node] == label)
                for label in sorted(set(labels.values()))
            },
            "true": _percent(true.values()),
            "published": entry.published,
            "nodes": len(found),
            "nodes_with_one_path": len(true),
            "seconds_per_node": seconds / len(found),
            "test_accuracy": self.trained.accuracy["test"],
        }

    def _walks(self, entry: Entry, nodes: Tensor, target: Any) -> dict[int, list[int]]:
        """A walk of node ids for each node, the explained node last."""
        is_random = entry.method == "random"
        explainer = make_explainer(
            "edge_gradients" if is_random else entry.method,
            self.trained.model,
            "node",
            seed=self.seed,
            progress=False,
            **entry.settings,
        )
        explanations = explainer.explain(self.graph, nodes, target)
        generator = torch.Generator().manual_seed(self.seed)
        found = {}
        for local in map(explanations.local, range(len(explanations))):
            if is_random:
                assert local.layer_edge_score is not None
                noise = torch.rand(local.layer_edge_score.shape, generator=generator) - 0.5
                local = replace(local, layer_edge_score=noise)
            if local.walks is not None:
                walk = local.node_id[local.walks[0]]
            else:
                walk = layer_paths(local, None, None, 1).nodes[0]
            found[local.index] = walk.tolist()
        return found


def run_infection(
    seeds: Sequence[int] = range(5),
    rows: Sequence[str] | None = None,
    progress: bool = True,
    **sizes: Any,
) -> Iterator[tuple[Scene, list[dict[str, Any]]]]:
    """Let every method name its paths.

    Args:
        seeds: each draws its own graphs and trains its own network.
        rows: names of `TABLE`; all of it if None.
        progress: show a progress bar while training.
        **sizes: arguments of `glassgraph.datasets.infection.infection`.

    Yields:
        For each seed and row ``{row, seed, found, found_by_label, true, published, nodes,
        nodes_with_one_path, seconds_per_node, test_accuracy}``: percent (None without nodes) and
        seconds, from the model's run to the walk; the accuracy of the network in [0, 1].

    Raises:
        UnknownMethodError: if there is no such row.
        DatasetError: if there is no node to explain.
    """
    names = list(TABLE) if rows is None else list(rows)
    for name in names:
        if name not in TABLE:
            raise UnknownMethodError(f"there is no row {name!r}; there are {', '.join(TABLE)}")
    for seed in seeds:
        scene = Scene.make(seed, progress=progress, **sizes)
        if not scene.nodes.numel():
            raise DatasetError(f"seed {seed}: the held-out graph has no node to explain")
        yield scene, [scene.run(name) for name in names]


@torch.no_grad()
def explained_nodes(dataset: ExplanationDataset, trained: TrainedModel) -> Tensor:
    """Nodes ``[K]`` of the test part with label 1 to max_path, one source, a right prediction."""
    graph, test = dataset.graphs[0], dataset.split["test"]
    predicted = trained.model(x=graph.x, edge_index=graph.edge_index).argmax(dim=1)
    is_asked = graph.has_unique_source & (graph.y > 0) & (predicted == graph.y)
    return test[is_asked[test]]


def is_found(graph: Data, node: int, walk: Sequence[int]) -> bool:
    """Whether a walk begins at an infected node and has one node more than the distance."""
    return int(graph.y[walk[0]]) == 0 and len(set(walk)) == int(graph.y[node]) + 1


def is_true(graph: Data, node: int, walk: Sequence[int]) -> bool:
    """Whether a walk is the one shortest path, where it stays left out."""
    moved = [here for at, here in enumerate(walk) if at == 0 or here != walk[at - 1]]
    path: list[int] = [each for each in graph.true_path[node].tolist() if each >= 0]
    return moved == path


@dataclass(frozen=True)
class Summary:
    """What one row found over all seeds.

    Attributes:
        found: percent of each seed.
        mean: their mean.
        true: mean percent of true paths.
        seconds_per_node: mean over seeds.
    """

    found: list[float]
    mean: float
    true: float | None
    seconds_per_node: float


def summarize(rows: Sequence[Mapping[str, Any]]) -> dict[str, Summary]:
    """A `Summary` for each row of the table."""
    summaries = {}
    for name in dict.fromkeys(row["row"] for row in rows):
        own = [row for row in rows if row["row"] == name]
        found = [row["found"] for row in own]
        true = [row["true"] for row in own if row["true"] is not None]
        summaries[name] = Summary(
            found=found,
            mean=statistics.fmean(found),
            true=statistics.fmean(true) if true else None,
            seconds_per_node=statistics.fmean(row["seconds_per_node"] for row in own),
        )
    return summaries


def _percent(outcomes: Any) -> float | None:
    outcomes = list(outcomes)
    return 100.0 * sum(outcomes) / len(outcomes) if outcomes else None
