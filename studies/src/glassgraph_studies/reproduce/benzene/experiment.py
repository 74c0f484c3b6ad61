"""Which methods find the benzene ring that a network has seen?

The molecules, labels and split of Sanchez-Lengeling et al., "Evaluating Attribution for Graph
Neural Networks" (NeurIPS 2020, https://github.com/google-research/graph-attribution): see
`glassgraph.datasets.benzene`. A network learns whether a molecule holds a benzene ring. Explained
is a random sample of the test molecules that hold one and that the network gets right.

Measured is the ROC-AUC of node scores against the atoms of the ring, for each molecule the best
over the alternatives where it has several rings, averaged over molecules
(`glassgraph.metrics.node_truth_accuracy`). Scores count with their sign, as in that paper: what
speaks against the ring comes last. Methods that score edges alone give an atom the sum of the
absolute scores of its bonds. The paper judges all molecules with a ring; here the network has to be
right, since there is nothing to be found in a wrong prediction.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.datasets.base import generator
from glassgraph.errors import DatasetError
from glassgraph.explainers.registry import find_method, make_explainer
from glassgraph.metrics import node_truth_accuracy
from glassgraph.models import TrainedModel, reference_model
from glassgraph_studies.reference.gnn_explainer import PYG

METHODS = (
    "saliency",
    "guided_backprop",
    "cam",
    "grad_cam",
    "lrp",
    "excitation_backprop",
    "integrated_gradients",
    "gnn_explainer",
    "random",
)
#: Hyper-parameters that differ from the defaults: GNNExplainer is judged by its edges,
#: and has PyG's.
SETTINGS: dict[str, dict[str, Any]] = {"gnn_explainer": {**PYG, "feature_mask": "none"}}


@dataclass(frozen=True)
class Scene:
    """The molecules, the network, and what is explained.

    Attributes:
        seed: seed of the network, of the validation part and of the sample.
        dataset: the molecules.
        trained: the network.
        sample: ``[K]`` the molecules to explain, ascending.
    """

    seed: int
    dataset: ExplanationDataset
    trained: TrainedModel
    sample: Tensor

    @staticmethod
    def make(root: Path | str, seed: int, molecules: int, *, progress: bool = True) -> Scene:
        """Read the molecules, train the network, draw the sample."""
        dataset = load_dataset("benzene", root=root, seed=seed)
        trained = reference_model(dataset, seed=seed, progress=progress)
        return Scene(seed, dataset, trained, draw_sample(dataset, trained, molecules, seed))

    @property
    def graphs(self) -> list[Data]:
        """The molecules of the sample."""
        return [self.dataset.graphs[number] for number in self.sample.tolist()]

    def run(self, method: str, *, progress: bool = True) -> dict[str, Any]:
        """One row; see `run_benzene`."""
        graphs = self.graphs
        explainer = make_explainer(
            method,
            self.trained.model,
            "graph",
            seed=self.seed,
            progress=progress,
            **SETTINGS.get(method, {}),
        )
        start = time.perf_counter()
        explanations = explainer.explain(graphs)
        seconds = time.perf_counter() - start
        found = node_truth_accuracy(explanations)
        return {
            "method": method,
            "seed": self.seed,
            "auc": found.auc_mean,
            "molecules": len(graphs),
            "scored": found.num_scored,
            "seconds_per_molecule": seconds / len(graphs),
            "test_accuracy": self.trained.accuracy["test"],
        }


def run_benzene(
    root: Path | str,
    seeds: Sequence[int] = range(3),
    methods: Sequence[str] | None = None,
    molecules: int = 300,
    progress: bool = True,
) -> Iterator[tuple[Scene, list[dict[str, Any]]]]:
    """Measure methods on molecules.

    Args:
        root: folder of ``benzene_graphs.npz``.
        seeds: each trains its own network and draws its own sample.
        methods: registry names; `METHODS` if None.
        molecules: size of the sample, or fewer if the network gets fewer right.
        progress: show progress bars.

    Yields:
        For each seed and method a row ``{method, seed, auc, molecules, scored,
        seconds_per_molecule, test_accuracy}``: the mean ROC-AUC over ``scored`` molecules (None
        without any; molecules that are a ring and nothing else have no ranking), seconds.

    Raises:
        UnknownMethodError: if a method is unknown.
        DatasetError: if the file is missing, or the network gets no molecule with a ring right.
    """
    methods = METHODS if methods is None else methods
    for method in methods:
        find_method(method)
    for seed in seeds:
        scene = Scene.make(root, seed, molecules, progress=progress)
        yield scene, [scene.run(method, progress=progress) for method in methods]


@torch.no_grad()
def draw_sample(
    dataset: ExplanationDataset, trained: TrainedModel, molecules: int, seed: int
) -> Tensor:
    """Some of the explained molecules that the network gets right, ascending ids.

    Raises:
        DatasetError: if there is none.
    """
    batch = Batch.from_data_list([dataset.graphs[number] for number in dataset.explained.tolist()])
    logits = trained.model(
        x=batch.x, edge_index=batch.edge_index, edge_type=batch.edge_type, batch=batch.batch
    )
    right = dataset.explained[logits.argmax(dim=1) == batch.y]
    if not right.numel():
        raise DatasetError(f"seed {seed}: the network finds no ring, so none can be explained")
    order = torch.from_numpy(generator(seed, "benzene sample").permutation(right.numel()))
    return right[order[:molecules]].sort().values
