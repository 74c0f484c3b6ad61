"""XGNN and GNNInterpreter for the same classifiers, and random graphs under the same rules.

The classifiers, rules and features are those of `glassgraph_studies.reproduce.xgnn.experiment`: one
of Is_Acyclic, one of MUTAG for each seed. For each class and largest number of nodes each method
generates ten graphs, of which are counted: the mean and the least probability of the class, nodes
and edges, cycles, validity (looked up atom by atom), how many are different (up to isomorphism),
and edges that a rule refused. Random graphs stand beside: with the largest number of nodes
(``random``, 100 of them, the same for all methods), and with as many nodes and edges as the
generated ones (``matched``), which tells whether density alone does it.

GNNInterpreter runs with and without examples, the training graphs: with them the embedding of the
class is a part of what it maximizes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from glassgraph.errors import DatasetError, HyperParameterError
from glassgraph.explainers.generation.gnn_interpreter import GNNInterpreter
from glassgraph.explainers.generation.xgnn import XGNN
from glassgraph.results.model_explanation import ModelExplanation
from glassgraph_studies.planted import find_files, with_files
from glassgraph_studies.reproduce.xgnn.experiment import NUMBER, RANDOM, Scene
from glassgraph_studies.reproduce.xgnn.graphs import CLASSES, has_cycle, is_valid, motifs

METHODS = ("xgnn", "gnn_interpreter", "gnn_interpreter+examples")
#: Largest numbers of nodes, and what classes are called.
MAX_NODES: Mapping[str, Sequence[int]] = {"is-acyclic": (7, 8, 9, 10), "mutag": (7, 10)}
NAMES: Mapping[str, Mapping[int, str]] = {
    "is-acyclic": CLASSES,
    "mutag": {1: "mutagenic", 0: "not mutagenic"},
}


@dataclass(frozen=True)
class Outcome:
    """One row, and the graphs it is about."""

    row: dict[str, Any]
    generated: ModelExplanation


def run_generation(
    datasets: Sequence[str] | None = None,
    seeds: Sequence[int] = range(1),
    *,
    root: Path | str | None = None,
    max_nodes: Sequence[int] | None = None,
    targets: Sequence[int] | None = None,
    methods: Sequence[str] = METHODS,
    iterations: int = 50,
    progress: bool = False,
) -> Iterator[Outcome]:
    """Fit every method for every class and size.

    Args:
        datasets: of ``"is-acyclic"`` and ``"mutag"``; both by default.
        seeds: of data, classifier and generators.
        root: folder with the files of MUTAG.
        max_nodes: largest numbers of nodes.
        targets: classes.
        methods: of `METHODS`.
        iterations: of a fit, of either method.
        progress: show progress.

    Yields:
        Rows ``{dataset, seed, target, name, max_nodes, method, graphs, probability,
        least_probability, random_probability, matched_probability, nodes, edges, with_cycle, valid,
        distinct, refused, best, best_motifs, fit_seconds}``.

    Raises:
        DatasetError: if there is no such problem, or its files are missing.
        HyperParameterError: if a class, a number of nodes or a method does not exist.
    """
    datasets = with_files(MAX_NODES, root) if datasets is None else datasets
    _check(datasets, max_nodes, targets, methods)
    folders = {name: find_files(name, root) if name == "mutag" else None for name in datasets}
    for name in datasets:
        for seed in seeds:
            scene = Scene.make(name, seed, folders[name], progress=progress)
            for target in NAMES[name] if targets is None else targets:
                for size in MAX_NODES[name] if max_nodes is None else max_nodes:
                    for method in methods:
                        yield _measure(scene, method, target, size, iterations)


def _check(
    datasets: Sequence[str],
    sizes: Sequence[int] | None,
    targets: Sequence[int] | None,
    methods: Sequence[str],
) -> None:
    for name in datasets:
        if name not in MAX_NODES:
            known = ", ".join(MAX_NODES)
            raise DatasetError(f"generation has no problem {name!r}; there are {known}")
    for target in targets or ():
        if target not in (0, 1):
            raise HyperParameterError(f"there are the classes 0 and 1; got {target}")
    for size in sizes or ():
        if size < 3:
            raise HyperParameterError(f"max_nodes must be at least 3, got {size}")
    for method in methods:
        if method not in METHODS:
            raise HyperParameterError(f"there are the methods {'; '.join(METHODS)}; got {method!r}")


def _measure(scene: Scene, method: str, target: int, size: int, iterations: int) -> Outcome:
    arguments = {**scene.arguments(size), "iterations": iterations}
    explainer: XGNN | GNNInterpreter
    start = time.perf_counter()
    if method == "xgnn":
        explainer = XGNN(**arguments).fit(target)
    else:
        train = scene.dataset.split["train"].tolist()
        examples = [scene.dataset.graphs[number] for number in train]
        given = examples if method.endswith("examples") else None
        explainer = GNNInterpreter(**arguments).fit(target, examples=given)
    seconds = time.perf_counter() - start
    generated = explainer.explain(NUMBER)
    random, matched = explainer.random(RANDOM), explainer.random(RANDOM, like=generated)
    graphs = [generated.to_networkx(position) for position in range(len(generated))]
    is_molecule = scene.name == "mutag"
    valid = partial(is_valid, is_molecule=is_molecule)
    row = {
        "dataset": scene.name,
        "seed": scene.seed,
        "target": target,
        "name": NAMES[scene.name][target],
        "max_nodes": size,
        "method": method,
        "graphs": len(generated),
        "probability": float(generated.probability.mean()),
        "least_probability": float(generated.probability.min()),
        "random_probability": float(random.probability.mean()),
        "matched_probability": float(matched.probability.mean()),
        "nodes": fmean(map(len, graphs)),
        "edges": fmean(graph.number_of_edges() for graph in graphs),
        "with_cycle": fmean(map(has_cycle, graphs)),
        "valid": fmean(map(valid, graphs)),
        "distinct": len(generated) - generated.duplicates,
        "refused": sum(not step.is_valid for graph in generated.graphs for step in graph.steps),
        "best": generated.formula(0) if is_molecule else "",
        "best_motifs": motifs(graphs[0]) if is_molecule else [],
        "fit_seconds": seconds,
    }
    return Outcome(row, generated)
