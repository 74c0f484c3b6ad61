"""Which methods find the atoms that a molecule's class depends on?

The molecules, labels, splits and networks of Sanchez-Lengeling et al., "Evaluating Attribution for
Graph Neural Networks" (NeurIPS 2020, https://github.com/google-research/graph-attribution): see
`glassgraph.datasets` and `network`. Their protocol:

* explained are all test molecules of label 1, whether the network gets them right or not, and
  always for class 1 (molecules of label 0 have no true atom, so their ROC-AUC does not exist);
* an atom has one signed score; scores of bonds go to the atom that receives them;
* the ROC-AUC of a molecule is the best over its alternative truths, and the mean over molecules
  counts, as in `glassgraph.metrics.node_truth_accuracy`.

Their methods, in ours: CAM without its ReLU; Grad-CAM at the last layer, element by element and
without its ReLU (of atoms alone; theirs adds what the last states of bonds say); integrated
gradients of atoms and bonds on the way from their null molecule, of atoms ``*`` and unspecified
bonds (see `bonds`), and, beside it, of atoms alone; gradient times input, which is integrated
gradients from 0 on with one step at the end of the path. They differentiate the probability, here
it is the logit: for one point of a path that is a factor.

Training differs: theirs is 300 epochs at batches of 256 and a learning rate of 0.0003, on the whole
training part; here a tenth of it chooses the epoch, see `TRAINING`.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch_geometric.data import Batch, Data

from glassgraph.core.told import PooledMessagesWarning
from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.datasets.alternatives import alternatives
from glassgraph.explainers.gradient.integrated_gradients import IncompletenessWarning
from glassgraph.explainers.registry import make_explainer
from glassgraph.metrics.measured import Estimate
from glassgraph.metrics.scores import node_scores
from glassgraph.models import train
from glassgraph_studies.reproduce.molecules.bonds import (
    BondsAsNodes,
    scores_of_atoms,
    with_bonds_as_nodes,
)
from glassgraph_studies.reproduce.molecules.network import BLOCKS, Block, MoleculeNetwork

DATASETS = ("benzene", "logic7", "logic8")
#: The atom ``*``, and a bond of kind "unspecified".
_NULL_ATOM, _NULL_BOND = (*([0.0] * 13), 1.0), (0.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        method: name of the method.
        settings: how it differs from its default.
        scores_bonds: whether bonds are scored too, and atoms get what they receive.
    """

    method: str
    settings: Mapping[str, Any]
    scores_bonds: bool = False


_FEATURES = {"on": "features"}
METHODS = {
    "cam": Row("cam", {"relu": False}),
    "integrated_gradients": Row(
        "integrated_gradients",
        {**_FEATURES, "steps": 200, "baseline": (*_NULL_ATOM, *_NULL_BOND)},
        scores_bonds=True,
    ),
    "integrated_gradients_of_atoms": Row(
        "integrated_gradients", {**_FEATURES, "steps": 200, "baseline": _NULL_ATOM}
    ),
    "gradient_x_input": Row(
        "integrated_gradients",
        {**_FEATURES, "steps": 1, "rule": "riemann_right"},
        scores_bonds=True,
    ),
    "grad_cam": Row(
        "grad_cam", {"relu": False, "average_gradients": False, "layer": "blocks.2.node"}
    ),
    "random": Row("random", {}),
}
#: Chosen by the validation accuracy of one data set and seed; see docs/molecules.md.
TRAINING: dict[str, Any] = {"learning_rate": 0.001, "batch_size": 64, "patience": 20}
EPOCHS = {"benzene": 15, "logic7": 40, "logic8": 60}


@dataclass(frozen=True)
class Scene:
    """A data set, a network, and how good it is.

    Attributes:
        dataset: the molecules.
        block: which network.
        seed: of its initialization and training.
        network: the trained network.
        val_accuracy, test_accuracy, test_auroc: of the network, as a classifier.
    """

    dataset: ExplanationDataset
    block: Block
    seed: int
    network: MoleculeNetwork
    val_accuracy: float
    test_accuracy: float
    test_auroc: float

    @staticmethod
    def make(
        dataset: ExplanationDataset,
        block: Block,
        seed: int,
        epochs: int | None = None,
        progress: bool = True,
    ) -> Scene:
        """Train a network."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # noqa: TID251 - inside the forked random state
            network = MoleculeNetwork(block)
        found = train(
            network,
            dataset,
            epochs=EPOCHS[dataset.name] if epochs is None else epochs,
            seed=seed,
            progress=progress,
            **TRAINING,
        )
        logit, label = logits_of_test_part(network, dataset)
        return Scene(
            dataset,
            block,
            seed,
            network,
            val_accuracy=found.val_accuracy,
            test_accuracy=float(((logit > 0) == label.bool()).double().mean()),
            test_auroc=float(roc_auc_score(label.numpy(), logit.numpy())),
        )

    @property
    def graphs(self) -> list[Data]:
        """The test molecules of label 1."""
        return [self.dataset.graphs[number] for number in self.dataset.explained.tolist()]

    def run(self, name: str) -> dict[str, Any]:
        """One row; see `run_molecules`."""
        start = time.perf_counter()
        scores = scores_of(self.network, self.graphs, METHODS[name], self.seed)
        seconds = time.perf_counter() - start
        each = torch.tensor(
            [best_auc(*pair) for pair in zip(self.graphs, scores, strict=True)],
            dtype=torch.float64,
        )
        mean, right = Estimate.of_mean(each), Estimate.of_mean(each[self._is_right()])
        return {
            "dataset": self.dataset.name,
            "network": self.block,
            "seed": self.seed,
            "method": name,
            "auc": mean.value,
            "low": mean.low,
            "high": mean.high,
            "molecules": mean.n,
            "auc_where_right": right.value if right.n else None,
            "val_accuracy": self.val_accuracy,
            "test_accuracy": self.test_accuracy,
            "test_auroc": self.test_auroc,
            "seconds_per_molecule": seconds / len(each),
        }

    def _is_right(self) -> Tensor:
        return _logits(self.network, self.graphs) > 0


def run_molecules(
    root: Path | str,
    seeds: Sequence[int] = range(3),
    datasets: Sequence[str] | None = None,
    networks: Sequence[Block] | None = None,
    methods: Sequence[str] | None = None,
    epochs: int | None = None,
    progress: bool = True,
) -> Iterator[tuple[Scene, list[dict[str, Any]]]]:
    """Measure methods on molecules.

    Args:
        root: folder of the molecules, or above the folders of several data sets.
        seeds: of networks; the data and their parts are the same for all.
        datasets: of `DATASETS`, all if None.
        networks: ``"gcn"`` and ``"mpnn"``, both if None.
        methods: keys of `METHODS`, all if None.
        epochs: of training, `EPOCHS` if None.
        progress: show progress bars.

    Yields:
        For each data set, network and seed a row for each method: the mean ROC-AUC ``auc`` of
        atoms over ``molecules`` with its 95 % interval (``low``, ``high``, bootstrap over
        molecules), the same over those that the network gets right, and what the network is worth.

    Raises:
        DatasetError: if a file is missing.
    """
    for name in DATASETS if datasets is None else datasets:
        dataset = load_dataset(name, root=root, seed=0)
        for block in tuple(BLOCKS) if networks is None else networks:
            for seed in seeds:
                scene = Scene.make(dataset, block, seed, epochs, progress)
                yield scene, [scene.run(each) for each in (METHODS if methods is None else methods)]


def scores_of(
    network: MoleculeNetwork, graphs: Sequence[Data], row: Row, seed: int
) -> list[Tensor]:
    """Scores ``[N]`` of the atoms of each molecule, for class 1."""
    model: torch.nn.Module = network
    given, settings = list(graphs), dict(row.settings)
    if row.scores_bonds:
        model, given = BondsAsNodes(network).eval(), [with_bonds_as_nodes(g) for g in graphs]
        # Bonds as nodes send along edges that the model makes; features alone are asked about.
        settings["on_unseen"] = "ignore"
    explainer = make_explainer(row.method, model, "graph", seed=seed, progress=False, **settings)
    with warnings.catch_warnings():
        # One step is no integral, and layer normalization is steep beside the null molecule.
        warnings.simplefilter("ignore", IncompletenessWarning)
        warnings.simplefilter("ignore", PooledMessagesWarning)
        explanations = explainer.explain(given, target=1)
    found = [node_scores(explanations.local(i)) for i in range(len(given))]
    if not row.scores_bonds:
        return found
    return [scores_of_atoms(score, g) for score, g in zip(found, graphs, strict=True)]


def best_auc(graph: Data, score: Tensor) -> float:
    """The best ROC-AUC over the alternative truths; NaN where there is none to rank by.

    As `glassgraph.metrics.node_truth_accuracy`, of scores that are no explanations of a method.
    """
    truth = alternatives(graph)
    ranked = () if truth is None else truth[:, ~truth.all(dim=0)].t().unbind()
    areas = [float(roc_auc_score(column.numpy(), score.numpy())) for column in ranked]
    return max(areas, default=float("nan"))


def logits_of_test_part(
    network: MoleculeNetwork, dataset: ExplanationDataset
) -> tuple[Tensor, Tensor]:
    """Logits of class 1 and labels of the test part."""
    graphs = [dataset.graphs[number] for number in dataset.split["test"].tolist()]
    return _logits(network, graphs), torch.cat([graph.y for graph in graphs])


@torch.no_grad()
def _logits(network: MoleculeNetwork, graphs: Sequence[Data]) -> Tensor:
    batch = Batch.from_data_list(
        [Data(x=g.x, edge_index=g.edge_index, edge_attr=g.edge_attr) for g in graphs]
    )
    found: Tensor = network(batch.x, batch.edge_index, batch.edge_attr, batch.batch)
    return found[:, 1]
