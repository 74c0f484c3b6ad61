"""Do few bonds of a molecule suffice for its class, and does the class change without them?

Kosan et al., "GNNX-BENCH: Unravelling the Utility of Perturbation-based GNN Explainers through
In-depth Benchmarking" (ICLR 2024, https://arxiv.org/abs/2310.01794), on Mutagenicity. Explained is
the predicted class of test molecules. Two numbers, at k = 5, 10, ... 25 bonds:

* sufficiency, the share of molecules of the same class with the k best bonds alone;
* necessity, the share of molecules of another class without them.

Beside every number stand that of random scores and that of a greedy search for the metric on the
same molecules. Of methods that draw anything (or are fitted) the best ten edges are also compared
between seeds, beside the same for random scores.

Methods that are fitted learn from the training part, which is never explained.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import Data

from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.datasets.base import generator
from glassgraph.diagnose import stability
from glassgraph.explainers.amortized import AmortizedExplainer
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.constant import ConstantScoresWarning
from glassgraph.explainers.gradient.integrated_gradients import IncompletenessWarning
from glassgraph.explainers.registry import make_explainer
from glassgraph.metrics import greedy_scores, necessity, random_scores, sufficiency
from glassgraph.metrics.measured import Measured
from glassgraph.metrics.subgraphs import SIZES
from glassgraph.results.explanation import Explanations
from glassgraph_studies.reproduce.gnnx_bench.network import Network, network


@dataclass(frozen=True)
class Method:
    """A row of the table.

    Attributes:
        name: of the method.
        settings: how it differs from its default.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


_ISOLATED = {"removal": "delete_isolated"}
METHODS = {
    "random": Method("random"),
    "saliency": Method("saliency"),
    "edge_gradients": Method("edge_gradients"),
    "occlusion": Method("occlusion"),
    "occlusion_isolated": Method("occlusion", {"pairs": True, **_ISOLATED}),
    "integrated_gradients": Method("integrated_gradients"),
    "grad_cam": Method("grad_cam"),
    "gnn_explainer": Method("gnn_explainer"),
    "pg_explainer": Method("pg_explainer"),
    "rc_explainer": Method("rc_explainer", {"factual": 1.0}),
    "subgraphx": Method("subgraphx"),
    "causal_screening": Method("causal_screening", {"pairs": True}),
    "causal_screening_isolated": Method("causal_screening", {"pairs": True, **_ISOLATED}),
    "erasure_search": Method("erasure_search"),
    "erasure_search_isolated": Method("erasure_search", {"pairs": True, **_ISOLATED}),
    # Bonds outside of the set come in the order in which they went, where they are 0 above.
    "erasure_search_isolated_greedy": Method(
        "erasure_search", {"pairs": True, "exact_up_to": 0, **_ISOLATED}
    ),
}
#: Methods that take seconds for a molecule are asked by name.
LONG = ("subgraphx",)
#: The seed of random scores that stand beside other methods.
_FLOOR_SEED = 1000


@dataclass(frozen=True)
class Scene:
    """The network, and the molecules that are explained.

    Attributes:
        seed: of split, network, sample and methods.
        dataset: all molecules.
        network: the trained network.
        sample: ``[n]`` numbers of the molecules that are explained.
    """

    seed: int
    dataset: ExplanationDataset
    network: Network
    sample: torch.Tensor

    @property
    def graphs(self) -> list[Data]:
        """The molecules that are explained."""
        return [self.dataset.graphs[number] for number in self.sample.tolist()]

    def fitted(self, method: Method, number: int, seed: int) -> Explainer:
        """A method on the network; it learns from the first molecules of the training part."""
        explainer = make_explainer(
            method.name, self.network.model, "graph", seed=seed, progress=False, **method.settings
        )
        if isinstance(explainer, AmortizedExplainer) and explainer.needs_fit:
            part = self.dataset.split["train"][:number]
            explainer.fit([self.dataset.graphs[each] for each in part.tolist()])
        return explainer


def run_gnnx_bench(
    root: Path | str,
    seeds: Sequence[int] = range(1),
    methods: Sequence[str] | None = None,
    molecules: int = 150,
    fitted: int = 500,
    stable: int = 50,
    epochs: int | None = None,
    cache: Path | str | None = None,
    progress: bool = True,
) -> Iterator[tuple[Scene, list[dict[str, Any]]]]:
    """Measure methods on molecules of the test part.

    Args:
        root: folder of Mutagenicity's raw files, or above.
        seeds: of split, network, sample and methods.
        methods: keys of `METHODS`; all but `LONG` if None.
        molecules: how many are explained.
        fitted: molecules of the training part that methods learn from.
        stable: molecules on which seeds are compared; 0 leaves that out.
        epochs: of training, where the network is not meant to be good.
        cache: folder of trained networks; None trains.
        progress: show progress bars.

    Yields:
        For each seed and method rows as `Measured.row` has them, and ``{seed, test_accuracy,
        seconds_per_molecule, seconds_of_fit}``.

    Raises:
        DatasetError: if files are missing.
    """
    if methods is None:
        methods = [name for name in METHODS if name not in LONG]
    for seed in seeds:
        dataset = load_dataset("mutagenicity", root=root, seed=seed)
        trained = network(dataset, seed, cache, epochs, progress=progress)
        test = dataset.split["test"]
        drawn = generator(seed, "gnnx-bench sample").permutation(test.numel())[:molecules]
        scene = Scene(seed, dataset, trained, test[torch.from_numpy(drawn)])
        references: dict[tuple[str, str], tuple[Measured, Measured]] = {}
        for name in methods:
            yield scene, _rows(scene, name, fitted, stable, references)


def _rows(
    scene: Scene,
    name: str,
    fitted: int,
    stable: int,
    references: dict[tuple[str, str], tuple[Measured, Measured]],
) -> list[dict[str, Any]]:
    """All numbers of one method; floors and ceilings are measured with the first one."""
    method = METHODS[name]
    with warnings.catch_warnings():
        # Signs of gradients integrated in few steps, and molecules that need no bond at all.
        warnings.simplefilter("ignore", IncompletenessWarning)
        warnings.simplefilter("ignore", ConstantScoresWarning)
        begin = time.perf_counter()
        explainer = scene.fitted(method, fitted, scene.seed)
        middle = time.perf_counter()
        explanations = explainer.explain(scene.graphs)
        end = time.perf_counter()
        if not references:
            references |= _references(scene, explanations)
        found = [
            each.beside(floor=floor, ceiling=ceiling)
            for each in _measured(scene, explanations)
            for floor, ceiling in [references[each.metric, each.level]]
        ]
        if stable and (explainer.traits.is_random or explainer.needs_fit):
            found += _stability(scene, method, explainer, fitted, stable)
    shared = {
        "seed": scene.seed,
        "test_accuracy": scene.network.accuracy["test"],
        "seconds_per_molecule": (end - middle) / len(scene.graphs),
        "seconds_of_fit": middle - begin,
    }
    return [{**each.row(), "method": name, **shared} for each in found]


def _measured(scene: Scene, explanations: Explanations) -> list[Measured]:
    model, graphs = scene.network.model, scene.graphs
    return [
        *sufficiency(explanations, model, graphs, top_k=SIZES),
        *necessity(explanations, model, graphs, top_k=SIZES),
    ]


def _references(
    scene: Scene, explanations: Explanations
) -> dict[tuple[str, str], tuple[Measured, Measured]]:
    """For each metric and level its floor and its ceiling."""
    model, graphs = scene.network.model, scene.graphs
    floor = _measured(scene, random_scores(explanations, seed=_FLOOR_SEED + scene.seed))
    ceiling = [
        *sufficiency(greedy_scores(explanations, model, graphs, "sufficiency"), model, graphs),
        *necessity(greedy_scores(explanations, model, graphs, "necessity"), model, graphs),
    ]
    return {(low.metric, low.level): (low, high) for low, high in zip(floor, ceiling, strict=True)}


def _stability(
    scene: Scene, method: Method, explainer: Explainer, fitted: int, stable: int
) -> list[Measured]:
    """Overlap of the best ten edges, between this seed and two others."""
    others = [scene.fitted(method, fitted, scene.seed + 100 * k) for k in (1, 2)]
    found = stability(explainer, scene.graphs[:stable], under="seeds", others=others, seeds=3)
    return [each for each in found if each.metric == "stability_seeds_overlap"]
