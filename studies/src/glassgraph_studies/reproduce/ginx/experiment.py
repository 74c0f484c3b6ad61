"""GInX-Eval on graphs whose class is a planted motif.

Amara, El-Assady and Ying, "GInX-Eval: Towards In-Distribution Evaluation of Graph Neural Network
Explanations" (2023, https://arxiv.org/abs/2309.16223): the best share of the edges is dropped from
every graph of ba-2motifs, a copy of the network is trained on what is left, and tested on what is
left (`glassgraph.diagnose.ginx`). Beside the methods stand the truth (edges of the motif come
first), its inverse (they come last) and random scores: the first should take the class away as soon
as all edges of the motif are gone, the second should leave it until the motif is reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.diagnose import ginx
from glassgraph.explainers.registry import find_method, make_explainer
from glassgraph.metrics.measured import Measured
from glassgraph.models import TrainedModel, reference_model, train
from glassgraph.results.explanation import Explanations

#: Scores that come from no method.
TRUTH, INVERSE = "truth", "inverse_truth"
METHODS = (TRUTH, INVERSE, "random", "edge_gradients", "saliency", "occlusion", "gnn_explainer")
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)


def run_ginx(
    seeds: Sequence[int] = range(3),
    methods: Sequence[str] | None = None,
    shares: Sequence[float] | None = None,
    epochs: int = 20,
    progress: bool = True,
) -> Iterator[tuple[int, TrainedModel, list[dict[str, Any]]]]:
    """Measure methods by what a network that is trained again loses.

    Args:
        seeds: of data, network, methods and training.
        methods: registry names, `TRUTH` and `INVERSE`; `METHODS` if None.
        shares: of edges that are dropped; `SHARES` if None.
        epochs: of training without the edges.
        progress: show progress bars.

    Yields:
        For each seed its number, the network, and rows ``{seed, accuracy, method, metric, level,
        value, low, high, n, floor, ...}``; the floor is that of random scores.

    Raises:
        UnknownMethodError: if a method is unknown.
    """
    methods = METHODS if methods is None else methods
    for method in methods:
        if method not in (TRUTH, INVERSE):
            find_method(method)
    for seed in seeds:
        dataset = load_dataset("ba-2motifs", seed=seed)
        trained = reference_model(dataset, seed=seed, progress=progress)
        measured = partial(
            ginx,
            model=trained.model,
            data=dataset.graphs,
            split=dataset.split,
            shares=SHARES if shares is None else shares,
            fine_tune=partial(train, epochs=epochs, learning_rate=0.003, progress=False),
            seed=seed,
        )
        floor = measured(scores_of("random", dataset, trained, seed))
        found: list[Measured] = []
        for method in methods:
            scores = scores_of(method, dataset, trained, seed, progress=progress)
            found += measured(scores, floor=floor, method=method)
        rows = [
            {"seed": seed, "accuracy": trained.accuracy["test"], **each.row()} for each in found
        ]
        yield seed, trained, rows


def scores_of(
    method: str,
    dataset: ExplanationDataset,
    trained: TrainedModel,
    seed: int,
    progress: bool = False,
) -> Explanations | list[Tensor]:
    """Explanations of every graph, or scores of its edges, by a method or by the truth."""
    if method in (TRUTH, INVERSE):
        sign = 1.0 if method == TRUTH else -1.0
        return [sign * graph.ground_truth_edge_mask.float() for graph in dataset.graphs]
    explainer = make_explainer(method, trained.model, "graph", seed=seed, progress=progress)
    return explainer.explain(dataset.graphs)
