"""PGExplainer beside PyG's, in one process: fitting, and explaining in batches.

Both sides are fitted on the same predictions of the same model for the same number of epochs, with
networks of the same width. *An epoch* is one visit of each prediction on both sides: its masked
prediction is computed once, and the gradient of its loss once. Ours takes one step of Adam for
every `BATCH` predictions, PyG one for each prediction, its only way. ``one_by_one_s`` is what ours
takes with as many steps as PyG.

Both explain the predictions they were fitted on: ours all in one call, PyG each by itself.

Ours includes everything: checking the data, tracing the model, packing, reading the hidden states.
All times are seconds of the processor, not of the clock, on one thread: medians over the repeats,
in which the sides take turns.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from glassgraph.datasets import load_dataset
from glassgraph.explainers.perturbation.pg_explainer import PGExplainer
from glassgraph.models import reference_model
from glassgraph.models.gnn import GNN
from glassgraph_studies.planted import DATASETS, GENERATED, evenly, find_files, with_files
from glassgraph_studies.reference.pyg import OneGraph

#: What each ratio is to reach.
BAR = 5.0
#: Predictions that are fitted on and explained.
INSTANCES = 60
#: Predictions in one of our steps.
BATCH = 10
#: PyG's defaults, on both sides.
_RATE, _SIZE, _ENTROPY, _TEMPERATURE, _BIAS = 0.003, 0.05, 1.0, (5.0, 2.0), 0.01


def run_pg_explainer_bench(
    datasets: Sequence[str] | None = None,
    epochs: int = 10,
    instances: int = INSTANCES,
    repeats: int = 3,
    seed: int = 0,
    root: Path | str | None = None,
    progress: bool = True,
) -> Iterator[dict[str, Any]]:
    """Measure both sides on every data set.

    Args:
        datasets: names of `planted.DATASETS`; None for all whose files are there.
        epochs: visits of each prediction.
        instances: predictions, at most.
        repeats: fits, from the beginning.
        seed: of the data, the model and the explainer.
        root: folder of the raw files of the molecules, or the folder above.
        progress: show the training's progress bar.

    Yields:
        Rows ``{dataset, instances, epochs, fit_s, one_by_one_s, pyg_fit_s, fit_ratio,
        one_by_one_ratio, explain_ms, pyg_explain_ms, explain_ratio}``; ratios are PyG's time over
        ours, milliseconds are those of one prediction.
    """
    if datasets is None:
        datasets = with_files(DATASETS, root)
    for name in datasets:
        folder = find_files(name, root) if name in DATASETS and name not in GENERATED else None
        dataset = load_dataset(name, root=folder, seed=seed)
        model = reference_model(dataset, seed=seed, progress=progress).model
        index = evenly(dataset.explained, instances)
        case = _Case(model, dataset.graphs, index, dataset.level, epochs, seed)
        row = {"dataset": name, "instances": len(index), "epochs": epochs}
        yield row | case.measure(repeats)


class _Case:
    """A model, and what both sides explain."""

    def __init__(
        self,
        model: GNN,
        graphs: Sequence[Data],
        index: Tensor,
        level: str,
        epochs: int,
        seed: int,
    ) -> None:
        self.model, self.level, self.epochs, self.seed = model, level, epochs, seed
        if level == "node":
            self.data: Any = graphs[0]
            self.index = index
        else:  # the graphs in question alone: the others only have to be looked through
            self.data = [graphs[number] for number in index.tolist()]
            self.index = torch.arange(len(index))

    def measure(self, repeats: int) -> dict[str, float]:
        times: dict[str, list[float]] = {
            name: [] for name in ("fit", "one", "pyg", "explain", "pyg_explain")
        }
        for _ in range(repeats + 1):  # the first is not counted
            fit, explain = self._ours(BATCH)
            one, _ = self._ours(1)
            pyg, pyg_explain = self._pyg()
            for name, value in zip(times, (fit, one, pyg, explain, pyg_explain), strict=True):
                times[name].append(value)
        found = {name: statistics.median(each[1:]) for name, each in times.items()}
        each = 1000 / len(self.index)
        return {
            "fit_s": found["fit"],
            "one_by_one_s": found["one"],
            "pyg_fit_s": found["pyg"],
            "fit_ratio": found["pyg"] / found["fit"],
            "one_by_one_ratio": found["pyg"] / found["one"],
            "explain_ms": found["explain"] * each,
            "pyg_explain_ms": found["pyg_explain"] * each,
            "explain_ratio": found["pyg_explain"] / found["explain"],
        }

    def _ours(self, batch_size: int) -> tuple[float, float]:
        """Seconds of a fit and of an explanation of everything."""
        explainer = PGExplainer(
            self.model,
            self.level,
            epochs=self.epochs,
            learning_rate=_RATE,
            batch_size=batch_size,
            size=_SIZE,
            entropy=_ENTROPY,
            temperature=_TEMPERATURE,
            noise_bias=_BIAS,
            standardize=False,
            seed=self.seed,
            progress=False,
        )
        fit = _seconds(lambda: explainer.fit(self.data, self.index))
        return fit, _seconds(lambda: explainer.explain(self.data, self.index))

    def _pyg(self) -> tuple[float, float]:
        from torch_geometric import explain as pyg

        model: nn.Module = copy.deepcopy(self.model)
        if self.level == "graph":
            model = OneGraph(model)
        torch.manual_seed(self.seed)  # noqa: TID251 - the peer draws globally
        algorithm: Any = pyg.PGExplainer(
            epochs=self.epochs,
            lr=_RATE,
            edge_size=_SIZE,
            edge_ent=_ENTROPY,
            temp=list(_TEMPERATURE),
            bias=_BIAS,
        )
        explainer = pyg.Explainer(
            model,
            algorithm,
            explanation_type="phenomenon",
            edge_mask_type="object",
            model_config={
                "mode": "multiclass_classification",
                "task_level": self.level,
                "return_type": "raw",
            },
        )
        calls = self._calls(model)

        def fit() -> None:
            for epoch in range(self.epochs):
                for graph, arguments in calls:
                    algorithm.train(epoch, model, graph.x, graph.edge_index, **arguments)

        def explain() -> None:
            for graph, arguments in calls:
                explainer(graph.x, graph.edge_index, **arguments)

        return _seconds(fit), _seconds(explain)

    @torch.no_grad()
    def _calls(self, model: nn.Module) -> list[tuple[Data, dict[str, Any]]]:
        """Each prediction's graph, and its target and node as PyG takes them."""
        if self.level == "node":
            target = model(self.data.x, self.data.edge_index).argmax(dim=1)
            return [(self.data, {"target": target, "index": node}) for node in self.index.tolist()]
        return [
            (graph, {"target": model(graph.x, graph.edge_index).argmax(dim=1)})
            for graph in self.data
        ]


def _seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start
