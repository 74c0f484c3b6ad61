"""Speed and accuracy side by side with ``torch_geometric.explain``, in one process.

For each data set the reference model is trained, then the same instances are explained by ours (all
in one call) and by PyG's explainer of the same method (one call per instance, its only way), at the
same settings and epochs. Ours is the median over repeats of the whole call divided by the number of
instances; the peer's is the median over instances. Every peer gets a fresh copy of the model, since
its masks stay on the modules.

The accuracy is the pooled ROC-AUC of the scores of all edges in the receptive fields, label = edges
of the instance's own motif (for graphs: the ground-truth mask), both directions of an edge
averaged; both sides are scored on the same edges.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from glassgraph.core.explanation import Explanations, LocalExplanation
from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.errors import DatasetError, MissingExtraError, UnknownMethodError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.registry import make_explainer
from glassgraph.models import reference_model
from glassgraph.studies.timing import num_threads, seconds

DATASETS = ("tree-cycles", "tree-grid", "ba-shapes", "ba-community", "ba-2motifs", "mutag")
METHODS = ("saliency", "edge_gradients", "gnn_explainer")
#: Epochs of GNNExplainer on both sides; its other defaults are PyG's.
EPOCHS = 100
_OURS: dict[str, dict[str, Any]] = {"gnn_explainer": {"epochs": EPOCHS}}
#: Calls of the peer that are timed, at most; the others are made for their scores alone.
_TIMED_CALLS = 60


def run_speed_bench(
    datasets: Sequence[str] = DATASETS,
    methods: Sequence[str] = METHODS,
    instances: int = 100,
    repeats: int = 5,
    threads: int = 2,
    seed: int = 0,
    root: Path | str | None = None,
    progress: bool = True,
    report: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """Measure every method on every data set.

    Args:
        datasets: names; ``mutag`` needs ``root``.
        methods: of ours; the gradient methods are held against PyG's Captum saliency.
        instances: how many predictions to explain at most (node sets name 60).
        repeats: timed calls of ours.
        threads: torch threads for both sides.
        seed: of the data, the model and the explainers.
        root: folder of raw files for data sets that are not generated.
        progress: show the training's progress bar.
        report: called with each row as soon as it is measured.

    Returns:
        Rows ``{dataset, method, instances, ours_s_per_instance, peer_s_per_instance, ratio,
        ours_auc, peer_auc, saliency_auc, threads, prepare_s, test_accuracy}``; the ratio is peer
        time over ours.

    Raises:
        MissingExtraError: if captum is not installed.
        UnknownMethodError: for a method that has no peer.
    """
    for method in methods:
        if method not in METHODS:
            raise UnknownMethodError(f"{method} has no peer in PyG; choose from {METHODS}")
    rows = []
    with num_threads(threads):
        for name in datasets:
            dataset = load_dataset(name, root=root if name.startswith("muta") else None, seed=seed)
            trained = reference_model(dataset, seed=seed, progress=progress)
            case = _Case(dataset, trained.model, instances, seed)
            saliency_auc = case.auc(case.explain("saliency"))
            for method in methods:
                row = case.measure(method, repeats)
                row["saliency_auc"] = saliency_auc
                row["threads"] = threads
                row["test_accuracy"] = trained.accuracy["test"]
                rows.append(row)
                if report is not None:
                    report(row)
    return rows


class _Case:
    """One data set, its model, and the instances to explain."""

    def __init__(
        self, dataset: ExplanationDataset, model: nn.Module, instances: int, seed: int
    ) -> None:
        if dataset.explained.numel() == 0:
            raise DatasetError(f"{dataset.name} names no instances to explain")
        self.dataset, self.model, self.seed = dataset, model, seed
        chosen = dataset.explained
        if chosen.numel() > instances:  # evenly spread
            step = torch.linspace(0, chosen.numel() - 1, instances).round().long()
            chosen = chosen[step]
        self.index = chosen
        self.data: Any = dataset.graphs[0] if dataset.level == "node" else dataset.graphs

    def explainer(self, method: str) -> Explainer:
        settings = dict(_OURS.get(method, {}))
        if method == "gnn_explainer" and self.dataset.level == "node":
            # PyG scales the initial mask by the size of the whole graph.
            settings["init_scale"] = (2.0 / int(self.data.num_nodes)) ** 0.5
        return make_explainer(
            method, self.model, self.dataset.level, seed=self.seed, progress=False, **settings
        )

    def explain(self, method: str) -> Explanations:
        return self.explainer(method).explain(self.data, index=self.index)

    def measure(self, method: str, repeats: int) -> dict[str, Any]:
        explainer = self.explainer(method)
        start = time.perf_counter()
        explainer.prepare(self.data)
        prepare_s = time.perf_counter() - start

        def run() -> Explanations:
            return explainer.explain(self.data, index=self.index)

        first = seconds(run, repeats)
        explanations = run()
        locals_ = [explanations.local(position) for position in range(len(explanations))]
        peer_masks, peer_s = self._run_peer(method)
        ours_s = statistics.median([first, seconds(run, repeats, warm_up=0)]) / len(locals_)
        peer_scores = [mask[local.edge_id] for mask, local in zip(peer_masks, locals_, strict=True)]
        return {
            "dataset": self.dataset.name,
            "method": method,
            "instances": len(locals_),
            "ours_s_per_instance": ours_s,
            "peer_s_per_instance": peer_s,
            "ratio": peer_s / ours_s,
            "ours_auc": self.auc(explanations),
            "peer_auc": pooled_auc(locals_, peer_scores),
            "prepare_s": prepare_s,
        }

    def auc(self, explanations: Explanations) -> float | None:
        locals_ = [explanations.local(position) for position in range(len(explanations))]
        scores = [local.edge_score for local in locals_]
        return pooled_auc(locals_, [score for score in scores if score is not None])

    def _run_peer(self, method: str) -> tuple[list[Tensor], float]:
        is_node = self.dataset.level == "node"
        model = copy.deepcopy(self.model)
        peer = _peer_explainer(method, model if is_node else _OneGraph(model), self.dataset.level)
        masks, times = [], []
        for position, number in enumerate(self.index.tolist()):
            graph = self.data if is_node else self.data[number]
            extra = {"index": number} if is_node else {}
            torch.manual_seed(self.seed + position)  # noqa: TID251 - the peer draws globally
            if position == 0:
                peer(graph.x, graph.edge_index, **extra)  # warm up
            start = time.perf_counter()
            found = peer(graph.x, graph.edge_index, **extra)
            if position < _TIMED_CALLS:
                times.append(time.perf_counter() - start)
            masks.append(found.edge_mask.detach())
        return masks, statistics.median(times)


class _OneGraph(nn.Module):
    """A graph model called with a ``batch`` of zeros, as it was trained.

    PyG hands extra arguments to Captum by position, whatever their names, so the peer cannot pass
    ``batch`` itself; without it maximum pooling takes another path, whose gradient differs at ties.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        batch = torch.zeros(x.size(0), dtype=torch.long, device=x.device)
        output: Tensor = self.model(x, edge_index, batch=batch)
        return output


def _peer_explainer(method: str, model: nn.Module, level: str) -> Any:
    from torch_geometric import explain as pyg

    config = {
        "mode": "multiclass_classification",
        "task_level": level,
        "return_type": "raw",
    }
    if method == "gnn_explainer":
        algorithm: Any = pyg.GNNExplainer(epochs=EPOCHS, lr=0.01)
        masks = {"node_mask_type": "attributes", "edge_mask_type": "object"}
    else:
        try:
            algorithm = pyg.CaptumExplainer("Saliency")
        except ImportError as error:
            raise MissingExtraError(
                "PyG's saliency needs captum: pip install 'glassgraph[bench]'"
            ) from error
        masks = {"edge_mask_type": "object"}
    return pyg.Explainer(model, algorithm, explanation_type="model", model_config=config, **masks)


def pooled_auc(locals_: Sequence[LocalExplanation], scores: Sequence[Tensor]) -> float | None:
    """ROC-AUC over the edges of all instances, both directions of an edge averaged.

    Args:
        locals_: instances with their edges and ground truth.
        scores: ``[e]`` scores of each instance's edges; compared by absolute value.

    Returns:
        The area, None where there is no ground truth.
    """
    all_scores, all_truth = [], []
    for local, score in zip(locals_, scores, strict=True):
        if local.edge_truth is None or not score.numel():
            continue
        key = local.edge_index.sort(dim=0).values
        pair, inverse = torch.unique(key, dim=1, return_inverse=True)
        count = torch.bincount(inverse, minlength=pair.size(1))
        total = torch.zeros(pair.size(1), dtype=torch.double)
        total.index_add_(0, inverse, score.detach().abs().double())
        truth = torch.zeros(pair.size(1), dtype=torch.long)
        truth[inverse] = local.edge_truth.long()
        all_scores.append(total / count)
        all_truth.append(truth)
    if not all_truth:
        return None
    truth, score = torch.cat(all_truth), torch.cat(all_scores)
    if int(truth.min()) == int(truth.max()):
        return None
    return float(roc_auc_score(truth.numpy(), score.numpy()))
