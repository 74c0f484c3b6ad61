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
cross-validation too, see `glassgraph.studies.cross_validation`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import networkx as nx
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.utils import degree, to_undirected

from glassgraph.core.model_explanation import ModelExplanation
from glassgraph.core.protect import protected
from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.datasets.is_acyclic import ACYCLIC, CYCLIC
from glassgraph.datasets.molecules import MUTAG_ATOMS
from glassgraph.errors import DatasetError, HyperParameterError
from glassgraph.explainers.generation import graph_rules
from glassgraph.explainers.generation.xgnn import XGNN
from glassgraph.models import GNN, accuracy, build_model, reference_model, train
from glassgraph.studies.cross_validation import PROTOCOLS, cross_validate, summary
from glassgraph.studies.literal_xgnn import Literal
from glassgraph.studies.motifs import find_files
from glassgraph.studies.timing import num_threads

#: Graphs for each class and size, random ones beside them, folds, and iterations of a fit.
NUMBER, RANDOM, FOLDS, ITERATIONS = 10, 100, 10, 50
#: Roll-outs side by side when their speed is measured.
_EPISODES, _ROLLOUTS = 16, 10
#: What every mean probability is to reach, the share of it that random molecules may have, seconds
#: of a fit, and the speed-up.
PROBABILITY, RANDOM_SHARE, FIT_SECONDS, SPEED_UP = 0.95, 0.5, 60.0, 5.0


@dataclass(frozen=True)
class Problem:
    """What is explained.

    Attributes:
        classes: the explained classes and what they are called.
        max_nodes: largest numbers of nodes, a generator for each.
        judged: those that have bars.
        settings: arguments of `glassgraph.XGNN`.
        accuracy: published, of the classifier; how it was measured is not said.
        required: what the accuracy is to reach.
    """

    classes: Mapping[int, str]
    max_nodes: Sequence[int]
    judged: Sequence[int]
    settings: Mapping[str, Any]
    accuracy: float
    required: float


PROBLEMS: dict[str, Problem] = {
    "is-acyclic": Problem(
        classes={CYCLIC: "cyclic", ACYCLIC: "acyclic"},
        max_nodes=(3, 4, 5, 6),
        judged=(3, 4, 5, 6),
        settings={"node_types": 1, "features": "degree"},
        accuracy=0.978,
        required=0.978,
    ),
    "mutag": Problem(
        classes={1: "mutagenic"},
        max_nodes=(4, 5, 6, 7),
        judged=(7,),
        # The authors' molecules begin with carbon.
        settings={"node_types": MUTAG_ATOMS, "start": "C"},
        accuracy=0.963,
        required=0.90,
    ),
}


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
    datasets: Sequence[str] = ("is-acyclic",),
    seeds: Sequence[int] = range(3),
    *,
    root: Path | str | None = None,
    max_nodes: Sequence[int] | None = None,
    targets: Sequence[int] | None = None,
    iterations: int = ITERATIONS,
    fold_seeds: Sequence[int] = range(3),
    reference: bool = False,
    common_atoms: bool = False,
    threads: int = 1,
    progress: bool = True,
    report: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Train classifiers, fit generators and count what they make.

    Args:
        datasets: names of `PROBLEMS`.
        seeds: of the data, the classifier and the generator together.
        root: folder of MUTAG's raw files, or the folder above.
        max_nodes: largest numbers of nodes; the problem's own if None.
        targets: explained classes; the problem's own if None.
        iterations: of a fit.
        fold_seeds: seeds of cross-validation, on MUTAG; none for no cross-validation.
        reference: explain the reference model of MUTAG, which has no weight decay, in the place of
            this study's; it is not cross-validated.
        common_atoms: molecules have `COMMON_ATOMS` alone.
        threads: torch threads.
        progress: show progress bars.
        report: called with each row.

    Returns:
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
    for name in datasets:
        if name not in PROBLEMS:
            raise DatasetError(f"xgnn has no problem {name!r}; there are {', '.join(PROBLEMS)}")
        if name != "mutag" and (reference or common_atoms):
            raise HyperParameterError(f"reference and common_atoms are about mutag, not {name}")
        _check(name, max_nodes, targets)
    folders = {name: find_files(name, root) if name == "mutag" else None for name in datasets}
    found: list[Outcome] = []

    def add(outcome: Outcome) -> None:
        found.append(outcome)
        if report is not None:
            report(outcome)

    with num_threads(threads):
        for name in datasets:
            problem = PROBLEMS[name]
            sizes = problem.max_nodes if max_nodes is None else max_nodes
            for seed in seeds:
                scene = Scene.make(name, seed, folders[name], reference, progress=progress)
                scene = replace(scene, common_atoms=common_atoms)
                add(Outcome(scene.row()))
                if name == "mutag" and seed == seeds[0] and not reference:
                    for protocol in PROTOCOLS if len(fold_seeds) else ():
                        add(Outcome(_folds_row(scene.dataset, protocol, fold_seeds, progress)))
                for target in problem.classes if targets is None else targets:
                    for size in sizes:
                        add(scene.measure(target, size, iterations))
                if seed == seeds[0]:
                    add(Outcome(scene.speed(max(sizes))))
    return found


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

    def explainer(self, max_nodes: int, **settings: Any) -> XGNN:
        """XGNN for this classifier."""
        rules = [graph_rules.Valence()] if self.name == "mutag" else []
        return XGNN(
            self.model,
            max_nodes=max_nodes,
            rules=rules,
            seed=self.seed,
            progress=self.progress,
            **{**PROBLEMS[self.name].settings, **(_common() if self.common_atoms else {})},
            **settings,
        )

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
        are written out, see `glassgraph.studies.literal_xgnn`, for one episode; steps are counted,
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


# What is in a graph


def has_cycle(graph: nx.Graph[int]) -> bool:
    """Whether there are more edges than a forest of so many trees has."""
    trees = nx.number_connected_components(graph)
    return bool(graph.number_of_edges() > len(graph) - trees)


def motifs(molecule: nx.Graph[int]) -> list[str]:
    """Which of the known motifs of mutagens a molecule has: a carbon ring, NO2."""
    kind = nx.get_node_attributes(molecule, "type")
    found = []
    if has_cycle(molecule.subgraph([atom for atom in molecule if kind[atom] == "C"])):
        found.append("carbon ring")
    for atom in molecule:
        ends = [
            other for other in molecule[atom] if kind[other] == "O" and molecule.degree(other) == 1
        ]
        if kind[atom] == "N" and len(ends) == 2:
            found.append("NO2")
            break
    return found


def is_valid(graph: nx.Graph[int], *, is_molecule: bool) -> bool:
    """Connected and without loops, and no atom has more neighbors than its valence."""
    if not nx.is_connected(graph) or any(graph.has_edge(node, node) for node in graph):
        return False
    limits = graph_rules.VALENCES
    return not is_molecule or all(
        graph.degree(node) <= limits[kind] for node, kind in graph.nodes(data="type")
    )


def _share(holds: Callable[[nx.Graph[int]], object], graphs: Sequence[nx.Graph[int]]) -> float:
    return sum(bool(holds(graph)) for graph in graphs) / len(graphs)


def _told(graph: nx.Graph[int]) -> str:
    return f"{len(graph)} nodes, {graph.number_of_edges()} edges"


def small_graphs(most: int = 7) -> list[Data]:
    """Every connected graph of 3 to so many nodes (7 at most), with degrees and its class."""
    found = []
    for graph in nx.graph_atlas_g():
        if 3 <= len(graph) <= most and nx.is_connected(graph):
            edge_index = to_undirected(torch.tensor(list(graph.edges)).t(), num_nodes=len(graph))
            label = CYCLIC if has_cycle(graph) else ACYCLIC
            x = degree(edge_index[0], len(graph)).view(-1, 1)
            found.append(Data(x=x, edge_index=edge_index, y=torch.tensor([label])))
    return found


@torch.no_grad()
def small_accuracy(model: nn.Module, most: int = 7) -> dict[str, dict[int, float]]:
    """The share of right answers on `small_graphs`, by class and number of nodes."""
    graphs = small_graphs(most)
    batch = Batch.from_data_list(graphs)
    with protected(model):
        output = model(batch.x, batch.edge_index, batch=batch.batch)
    is_right = (torch.as_tensor(output).argmax(dim=1) == batch.y).double()
    size = torch.tensor([int(graph.num_nodes or 0) for graph in graphs])
    return {
        name: {
            nodes: float(is_right[(size == nodes) & (batch.y == label)].mean())
            for nodes in range(3, most + 1)
        }
        for label, name in PROBLEMS["is-acyclic"].classes.items()
    }


# The bars


def missed_bars(row: Mapping[str, Any]) -> list[str]:
    """Which bars a generator misses, in words; none where its size has no bars."""
    if row["max_nodes"] not in PROBLEMS[row["dataset"]].judged:
        return []
    where = f"{row['dataset']}, seed {row['seed']}, {row['name']}, at most {row['max_nodes']} nodes"
    checks = {
        f"probability {row['probability']:.3f}": row["probability"] >= PROBABILITY,
        f"fit in {row['fit_seconds']:.0f} s": row["fit_seconds"] <= FIT_SECONDS,
        f"{row['valid']:.0%} valid": row["valid"] == 1,
    }
    if row["dataset"] == "is-acyclic":
        asked = float(row["target"] == CYCLIC)
        checks[f"{row['with_cycle']:.0%} with a cycle"] = row["with_cycle"] == asked
    elif row["target"] == 1:
        checks["the best has no known motif"] = bool(row["best_motifs"])
        checks[f"random graphs reach {row['random_probability']:.3f}"] = (
            row["random_probability"] <= RANDOM_SHARE * row["probability"]
        )
    return [f"{where}: {words}" for words, is_met in checks.items() if not is_met]


def summarize(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Generator rows over their seeds: means, and the least mean probability of a seed."""
    groups: dict[tuple[str, str, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["kind"] == "generator":
            key = row["dataset"], row["name"], row["max_nodes"]
            groups.setdefault(key, []).append(row)
    found = []
    for (dataset, name, size), own in groups.items():
        averaged = {
            key: statistics.fmean(row[key] for row in own)
            for key in (
                "probability",
                "random_probability",
                "matched_probability",
                "with_cycle",
                "valid",
                "fit_seconds",
            )
        }
        has_motif = [bool(row["best_motifs"]) for row in own]
        found.append(
            {
                "dataset": dataset,
                "name": name,
                "max_nodes": size,
                "seeds": len(own),
                **averaged,
                "least": min(row["probability"] for row in own),
                "best_with_motif": statistics.fmean(has_motif) if dataset == "mutag" else None,
            }
        )
    return found
