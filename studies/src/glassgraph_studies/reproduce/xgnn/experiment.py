"""Which graphs does a classifier take for the best of a class? Is_Acyclic and MUTAG, as in XGNN.

Yuan, Tang, Hu and Ji, "XGNN: Towards Model-Level Explanations of Graph Neural Networks" (KDD 2020,
https://arxiv.org/abs/2006.02587) train a classifier on each data set and a generator for a class
and a largest number of nodes. What is published are drawings, with probabilities close to 1: cyclic
graphs have a cycle, acyclic ones have none, and mutagenic molecules show rings of carbon and NO2.

Here the same is counted: of ten graphs for each class and size the mean probability of the class,
how many have a cycle, how many are valid, and which of the two motifs the best one has. Validity is
looked up once more on the finished graphs, atom by atom, not taken from the generator.

Tiny graphs are far from the data, and a classifier may find any of them convincing. So random
graphs stand beside, grown under the same rules: some until they have the largest number of nodes
(``random``), others with as many nodes and edges as the generated ones (``matched``). The first
tell whether any graph of that size would do, the second whether density alone does; on Is_Acyclic
nodes and edges decide the class, so there the second say nothing. And the classifier of Is_Acyclic
is asked about every connected graph of 3 to 7 nodes that there is, 994 of them, nearly none of
which it has seen.

The classifier is trained once for each seed, on the training part of the data, its epoch chosen on
the validation part. That of Is_Acyclic is the reference model. That of MUTAG sums over neighbors
and pools by mean, sum and maximum, with weight decay: of the set-ups tried it had the best accuracy
on inner validation folds, see docs/xgnn.md. Without decay, what a network says of iodine (one atom
in all data) and bromine (two) is what it was initialized with, and that is what a generator finds.

On MUTAG with its 188 molecules a single test part says little, so accuracy is measured by
cross-validation too, see `glassgraph_studies.reproduce.xgnn.cross_validation`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import networkx as nx
import torch
from torch import Tensor, nn

from glassgraph import graph_rules
from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.datasets.molecules import MUTAG_ATOMS
from glassgraph.errors import DatasetError, HyperParameterError
from glassgraph.explainers.generation.xgnn import XGNN
from glassgraph.models import GNN, accuracy, build_model, reference_model, train
from glassgraph.results.model_explanation import ModelExplanation
from glassgraph_studies.planted import find_files, with_files
from glassgraph_studies.reference.xgnn import Literal
from glassgraph_studies.reproduce.xgnn.bars import PROBLEMS, SPEED_UP, missed_bars
from glassgraph_studies.reproduce.xgnn.cross_validation import PROTOCOLS, cross_validate, summary
from glassgraph_studies.reproduce.xgnn.graphs import has_cycle, is_valid, motifs, small_accuracy

#: Graphs for each class and size, random ones beside them, folds, and iterations of a fit.
NUMBER, RANDOM, FOLDS, ITERATIONS = 10, 100, 10, 50
#: Roll-outs side by side when their speed is measured.
_EPISODES, _ROLLOUTS = 16, 10
#: Layers and readout of the classifier of MUTAG, and its training.
MUTAG_MODEL: dict[str, Any] = {
    "kind": "gcn",
    "hidden_channels": 20,
    "normalize": False,
    "body": {"concat": True, "pool": ("mean", "add", "max")},
}
MUTAG_TRAINING: dict[str, Any] = {
    "epochs": 100,
    "patience": 100,
    "learning_rate": 0.01,
    "weight_decay": 0.002,
}
#: Atoms that at least ten molecules of MUTAG have; eight have F, two Br and one I.
COMMON_ATOMS = ("C", "N", "O", "Cl")


@dataclass(frozen=True)
class Outcome:
    """One row, and the graphs it is about where there are any."""

    row: dict[str, Any]
    generated: ModelExplanation | None = None
    random: ModelExplanation | None = None
    matched: ModelExplanation | None = None


def run_xgnn(
    datasets: Sequence[str] | None = None,
    seeds: Sequence[int] = range(3),
    *,
    root: Path | str | None = None,
    max_nodes: Sequence[int] | None = None,
    targets: Sequence[int] | None = None,
    iterations: int = ITERATIONS,
    fold_seeds: Sequence[int] = range(3),
    reference: bool = False,
    common_atoms: bool = False,
    progress: bool = True,
) -> Iterator[Outcome]:
    """Train classifiers, fit generators and count what they make.

    Args:
        datasets: names of `PROBLEMS`; None for all whose files are there.
        seeds: of the data, the classifier and the generator together.
        root: folder of MUTAG's raw files, or the folder above.
        max_nodes: largest numbers of nodes; the problem's own if None.
        targets: explained classes; the problem's own if None.
        iterations: of a fit.
        fold_seeds: seeds of cross-validation, on MUTAG; none for no cross-validation.
        reference: explain the reference model of MUTAG, which has no weight decay, in the place of
            this study's; it is not cross-validated.
        common_atoms: molecules have `COMMON_ATOMS` alone.
        progress: show progress bars.

    Yields:
        Rows by their ``kind``. ``"classifier"``: ``{dataset, seed, accuracy, published, required,
        small}``, the last of Is_Acyclic: the share of right answers by class and number of nodes.
        ``"folds"``: ``{dataset, protocol, folds, seeds, mean, std, least, published, required}``.
        ``"generator"``: ``{dataset, seed, target, name, max_nodes, graphs, probability,
        least_probability, random_probability, matched_probability, best, best_probability,
        best_motifs, with_cycle, with_motif, valid, random_with_cycle, fit_seconds}``.
        ``"speed"``: ``{dataset, max_nodes, rollouts, seconds, one_at_a_time_seconds, times}``. All
        have ``missed``, the bars that they miss, in words.

    Raises:
        DatasetError: if there is no such problem, or its files are missing.
        HyperParameterError: if a class or a number of nodes is out of range.
    """
    if datasets is None:
        datasets = with_files(PROBLEMS, root)
    for name in datasets:
        if name not in PROBLEMS:
            raise DatasetError(f"xgnn has no problem {name!r}; there are {', '.join(PROBLEMS)}")
        if name != "mutag" and (reference or common_atoms):
            raise HyperParameterError(f"reference and common_atoms are about mutag, not {name}")
        _check(name, max_nodes, targets)
    folders = {name: find_files(name, root) if name == "mutag" else None for name in datasets}
    for name in datasets:
        problem = PROBLEMS[name]
        sizes = problem.max_nodes if max_nodes is None else max_nodes
        for seed in seeds:
            scene = Scene.make(name, seed, folders[name], reference, progress=progress)
            scene = replace(scene, common_atoms=common_atoms)
            yield Outcome(scene.row())
            if name == "mutag" and seed == seeds[0] and not reference:
                for protocol in PROTOCOLS if len(fold_seeds) else ():
                    yield Outcome(_folds_row(scene.dataset, protocol, fold_seeds, progress))
            for target in problem.classes if targets is None else targets:
                for size in sizes:
                    yield scene.measure(target, size, iterations)
            if seed == seeds[0]:
                yield Outcome(scene.speed(max(sizes)))


def _check(name: str, sizes: Sequence[int] | None, targets: Sequence[int] | None) -> None:
    for target in targets or ():
        if target not in (0, 1):
            raise HyperParameterError(f"{name} has the classes 0 and 1; got {target}")
    for size in sizes or ():
        if size < 3:
            raise HyperParameterError(f"max_nodes must be at least 3, got {size}")


@dataclass(frozen=True)
class Scene:
    """A data set, its classifier, and how accurate that is in each part of the data."""

    name: str
    seed: int
    dataset: ExplanationDataset
    model: nn.Module
    accuracy: dict[str, float]
    progress: bool = False
    common_atoms: bool = False

    @staticmethod
    def make(
        name: str,
        seed: int,
        folder: Path | None = None,
        reference: bool = False,
        *,
        progress: bool = False,
    ) -> Scene:
        """Load and train."""
        dataset = load_dataset(name, root=folder, seed=seed)
        if reference or name == "is-acyclic":
            trained = reference_model(dataset, seed=seed, progress=progress)
            return Scene(name, seed, dataset, trained.model, trained.accuracy, progress)
        model = mutag_model(seed)
        train(model, dataset, seed=seed, progress=progress, **MUTAG_TRAINING)
        return Scene(name, seed, dataset, model, accuracy(model, dataset), progress)

    def row(self) -> dict[str, Any]:
        """What is known of the classifier."""
        problem, reached = PROBLEMS[self.name], self.accuracy["test"]
        is_judged = self.name == "is-acyclic"  # MUTAG by cross-validation
        missed = [f"{self.name}, seed {self.seed}: test accuracy {reached:.3f}"]
        return {
            "kind": "classifier",
            "dataset": self.name,
            "seed": self.seed,
            "accuracy": self.accuracy,
            "published": problem.accuracy,
            "required": problem.required if is_judged else None,
            "small": small_accuracy(self.model) if is_judged else None,
            "missed": missed if is_judged and reached < problem.required else [],
        }

    def arguments(self, max_nodes: int) -> dict[str, Any]:
        """Those of a method that generates graphs for this classifier."""
        return {
            "model": self.model,
            "max_nodes": max_nodes,
            "rules": [graph_rules.Valence()] if self.name == "mutag" else [],
            "seed": self.seed,
            "progress": self.progress,
            **PROBLEMS[self.name].settings,
            **(_common() if self.common_atoms else {}),
        }

    def explainer(self, max_nodes: int, **settings: Any) -> XGNN:
        """XGNN for this classifier."""
        return XGNN(**self.arguments(max_nodes), **settings)

    def measure(self, target: int, max_nodes: int, iterations: int = ITERATIONS) -> Outcome:
        """Fit a generator and count what is in its graphs and in random ones."""
        xgnn = self.explainer(max_nodes, iterations=iterations)
        start = time.perf_counter()
        xgnn.fit(target)
        fit_seconds = time.perf_counter() - start
        generated = xgnn.explain(NUMBER)
        random, matched = xgnn.random(RANDOM), xgnn.random(RANDOM, like=generated)
        graphs = [generated.to_networkx(i) for i in range(len(generated))]
        others = [random.to_networkx(i) for i in range(len(random))]
        is_molecule = self.name == "mutag"
        row: dict[str, Any] = {
            "kind": "generator",
            "dataset": self.name,
            "seed": self.seed,
            "target": target,
            "name": PROBLEMS[self.name].classes.get(target, str(target)),
            "max_nodes": max_nodes,
            "graphs": len(generated),
            "probability": float(generated.probability.mean()),
            "least_probability": float(generated.probability.min()),
            "random_probability": float(random.probability.mean()),
            "matched_probability": float(matched.probability.mean()),
            "best": generated.formula(0) if is_molecule else _told(graphs[0]),
            "best_probability": float(generated.probability[0]),
            "best_motifs": motifs(graphs[0]) if is_molecule else [],
            "with_cycle": _share(has_cycle, graphs),
            "with_motif": _share(motifs, graphs) if is_molecule else None,
            "valid": _share(partial(is_valid, is_molecule=is_molecule), graphs),
            "random_with_cycle": _share(has_cycle, others),
            "fit_seconds": fit_seconds,
        }
        return Outcome({**row, "missed": missed_bars(row)}, generated, random, matched)

    def speed(self, max_nodes: int) -> dict[str, Any]:
        """Seconds of some roll-outs side by side, and of as many one at a time.

        Side by side are all roll-outs of a step of all episodes, as in a fit. One at a time they
        are written out (`glassgraph_studies.reference.xgnn`), for one episode; steps are counted,
        as episodes differ in length.
        """
        target = next(iter(PROBLEMS[self.name].classes))
        xgnn = self.explainer(max_nodes, iterations=1, episodes=1, num_rollouts=_ROLLOUTS)
        xgnn.fit(target)
        start = time.perf_counter()
        together = sum(len(graph.steps) for graph in xgnn.explain(_EPISODES))
        seconds = (time.perf_counter() - start) / together
        literal = Literal(xgnn)
        literal.policy = xgnn.make_policy()
        start = time.perf_counter()
        alone = sum(len(steps) for steps in literal.explain(target, 1))
        alone_seconds = (time.perf_counter() - start) / alone
        times = alone_seconds / seconds
        return {
            "kind": "speed",
            "dataset": self.name,
            "max_nodes": max_nodes,
            "rollouts": _EPISODES * _ROLLOUTS,
            "seconds": _EPISODES * seconds,
            "one_at_a_time_seconds": _EPISODES * alone_seconds,
            "times": times,
            "missed": [f"roll-outs: {times:.1f} times as fast"] if times < SPEED_UP else [],
        }


def _common() -> dict[str, Any]:
    """Fewer node types, whose features have the columns of all."""
    column = torch.tensor([MUTAG_ATOMS.index(atom) for atom in COMMON_ATOMS])

    def columns_of_all(node_type: Tensor, _: Tensor) -> Tensor:
        return torch.eye(len(MUTAG_ATOMS))[column[node_type]]

    return {"node_types": COMMON_ATOMS, "features": columns_of_all}


def mutag_model(seed: int) -> GNN:
    """The classifier of MUTAG before training; the caller's random state is not touched."""
    channels = {"in_channels": len(MUTAG_ATOMS), "out_channels": 2, "level": "graph"}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251 - inside the forked random state
        return build_model({**MUTAG_MODEL, **channels})


def _folds_row(
    dataset: ExplanationDataset, protocol: Any, seeds: Sequence[int], progress: bool
) -> dict[str, Any]:
    problem = PROBLEMS[dataset.name]
    runs = [
        cross_validate(
            dataset,
            mutag_model,
            MUTAG_TRAINING,
            number=FOLDS,
            seed=seed,
            protocol=protocol,
            progress=progress,
        )
        for seed in seeds
    ]
    found = summary(runs)
    is_short = protocol != "test" and found["mean"] < problem.required
    return {
        "kind": "folds",
        "dataset": dataset.name,
        "protocol": protocol,
        "folds": FOLDS,
        "seeds": len(runs),
        **found,
        "published": problem.accuracy,
        "required": problem.required,
        "missed": [f"{dataset.name}: accuracy {found['mean']:.3f} by cross-validation ({protocol})"]
        if is_short
        else [],
    }


def _share(holds: Callable[[nx.Graph[int]], object], graphs: Sequence[nx.Graph[int]]) -> float:
    return sum(bool(holds(graph)) for graph in graphs) / len(graphs)


def _told(graph: nx.Graph[int]) -> str:
    return f"{len(graph)} nodes, {graph.number_of_edges()} edges"
