"""Speed and accuracy of our methods beside a peer, in one process.

For each data set a model is trained, then the same instances are explained by ours (all in one
call) and by a peer (one call per instance, its only way), at the same settings. The peer is PyG's
explainer of the same method where there is one, and otherwise a literal version of the paper
(`glassgraph_studies.reference`). Ours is the median over repeats of the whole call divided by the
number of instances; the peer's is the median over instances. Every peer gets a fresh copy of the
model, since PyG's masks stay on the modules.

The literal version of GNN-LRP makes a pass for each walk: some walks of each instance are timed,
and the median is multiplied by the number of all of them. Ours lists all of them.

Searches make few steps, the same on both sides (`SETTINGS` of the literal searches): with their
defaults a literal version takes minutes for an instance.

The model is the data set's reference model. Attention asks for another one, a GAT, and class
activation mapping for mean pooling alone: such models are trained for a shorter time.

The accuracy is the pooled ROC-AUC of the scores of all edges in the receptive fields, label = edges
of the instance's own motif (for graphs: the ground-truth mask), both directions of an edge
averaged; both sides are scored on the same edges. A literal version that scores nodes has none.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.errors import DatasetError, TaskError, UnknownMethodError, WalkError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.registry import find_method, make_explainer
from glassgraph.models.gnn import GNN
from glassgraph.results.explanation import Explanations, LocalExplanation
from glassgraph_studies import timing
from glassgraph_studies.bench.speed.models import model_name, trained_model
from glassgraph_studies.planted import LeftOutWarning, with_files
from glassgraph_studies.reference.gnn_explainer import PYG
from glassgraph_studies.reference.peers import GAMMAS, PEERS, Instance, Timed, time_peer
from glassgraph_studies.reference.pyg import EPOCHS
from glassgraph_studies.reference.searches import SETTINGS as SEARCH_SETTINGS
from glassgraph_studies.timing import now, seconds

DATASETS = ("tree-cycles", "tree-grid", "ba-shapes", "ba-community", "ba-2motifs", "mutag")
METHODS = tuple(PEERS)
_OURS: dict[str, dict[str, Any]] = {
    "gnn_explainer": {**PYG, "epochs": EPOCHS},
    "excitation_backprop": {"negative": "allow"},
    "gnn_lrp": {"gamma": GAMMAS, "walks": "all"},
    "relex": {"least_r2": None},
    **SEARCH_SETTINGS,
}


def run_speed_bench(
    datasets: Sequence[str] | None = None,
    methods: Sequence[str] = METHODS,
    instances: int = 100,
    repeats: int = 5,
    seed: int = 0,
    root: Path | str | None = None,
    progress: bool = True,
    device: str = "cpu",
    clock: str = "wall",
) -> Iterator[dict[str, Any]]:
    """Measure every method on every data set.

    Args:
        datasets: names; ``mutag`` needs ``root``; None for all whose files are there.
        methods: the gradient methods are held against PyG's Captum saliency; a method without a
            peer, one of your own for example, is measured alone.
        instances: how many predictions to explain at most (node sets name 60).
        repeats: timed calls of ours.
        seed: of the data, the model and the explainers.
        root: folder of raw files for data sets that are not generated.
        progress: show the training's progress bar.
        device: where both sides compute; models are trained on the CPU.
        clock: ``"wall"``, or ``"processor"`` where other programs run beside this one.

    Yields:
        Rows ``{dataset, method, peer, model, instances, ours_s_per_instance, peer_s_per_instance,
        ratio, ours_auc, peer_auc, max_difference, saliency_auc, threads, prepare_s,
        test_accuracy}``; the ratio is peer time over ours. ``max_difference`` is how far the peer's
        scores are from ours, the largest of any instance in parts of the instance's largest score;
        None for those of PyG's methods that are defined in another way. Rows of ``gnn_lrp`` have
        ``num_walks`` and ``literal_walks_timed`` (of all instances) too, and in
        ``plain_s_per_instance`` what the same passes take without any rule; those of
        ``pgm_explainer`` have ``literal_s_per_instance``, the time of the paper's loop.

    Raises:
        MissingExtraError: if captum is not installed.
        UnknownMethodError: for a method that does not exist, or has no peer and is fitted first.

    Warns:
        LeftOutWarning: of a method that cannot explain a data set; it gets no row there.
    """
    if datasets is None:
        datasets = with_files(DATASETS, root)
    for method in methods:
        if method not in METHODS and find_method(method).traits.is_amortized:
            raise UnknownMethodError(
                f"{method} has no peer and learns before it explains, so the time of an "
                f"explanation says little; choose from {', '.join(METHODS)}, or a method of "
                "your own"
            )
    for name in datasets:
        dataset = load_dataset(name, root=root if name.startswith("muta") else None, seed=seed)
        case = _Case(dataset, instances, seed, progress=progress, device=device)
        for method in methods:
            try:
                with timing.clock(clock):
                    row = case.measure(method, repeats)
            except (TaskError, WalkError) as error:
                message = f"{method} is left out on {name}: {error}"
                warnings.warn(message, LeftOutWarning, stacklevel=2)
                continue
            threads = torch.get_num_threads()
            yield {**row, "repeats": repeats, "threads": threads, "device": device, "clock": clock}


class _Case:
    """One data set, its models, and the instances to explain."""

    def __init__(
        self,
        dataset: ExplanationDataset,
        instances: int,
        seed: int,
        *,
        progress: bool,
        device: str = "cpu",
    ) -> None:
        if dataset.explained.numel() == 0:
            raise DatasetError(f"{dataset.name} names no instances to explain")
        self.dataset, self.seed, self.progress = dataset, seed, progress
        self.device = device
        chosen = dataset.explained
        if chosen.numel() > instances:  # evenly spread
            step = torch.linspace(0, chosen.numel() - 1, instances).round().long()
            chosen = chosen[step]
        self.index = chosen
        graphs = [graph.clone().to(device) for graph in dataset.graphs]
        self.data: Any = graphs[0] if dataset.level == "node" else graphs
        self._models: dict[str, tuple[GNN, float, float | None]] = {}

    def model(self, method: str) -> tuple[GNN, float, float | None]:
        """What a method is measured on, its test accuracy, and the AUC that saliency has there."""
        name = model_name(method)
        if name not in self._models:
            model, accuracy = trained_model(name, self.dataset, self.seed, progress=self.progress)
            model = model.to(self.device)
            saliency = make_explainer("saliency", model, self.dataset.level, progress=False)
            auc = self.auc(saliency.explain(self.data, index=self.index))
            self._models[name] = model, accuracy, auc
        return self._models[name]

    def explainer(self, method: str) -> Explainer:
        settings = dict(_OURS.get(method, {}))
        if method == "gnn_explainer" and self.dataset.level == "node":
            # PyG scales the initial mask by the size of the whole graph.
            settings["init_scale"] = (2.0 / int(self.data.num_nodes)) ** 0.5
        model, _, _ = self.model(method)
        return make_explainer(
            method, model, self.dataset.level, seed=self.seed, progress=False, **settings
        )

    def instances(self) -> list[Instance]:
        """What a peer explains one after the other."""
        if self.dataset.level == "node":
            return [(self.data, node) for node in self.index.tolist()]
        return [(self.data[number], None) for number in self.index.tolist()]

    def measure(self, method: str, repeats: int) -> dict[str, Any]:
        model, accuracy, saliency_auc = self.model(method)
        explainer = self.explainer(method)
        start = now()
        explainer.prepare(self.data)
        prepare_s = now() - start

        def run() -> Explanations:
            return explainer.explain(self.data, index=self.index)

        first = seconds(run, repeats)
        explanations = run()
        locals_ = [explanations.local(position) for position in range(len(explanations))]
        peer = self._peer(method, model, locals_)
        ours_s = statistics.median([first, seconds(run, repeats, warm_up=0)]) / len(locals_)
        return {
            "dataset": self.dataset.name,
            "method": method,
            "peer": PEERS.get(method, "none"),
            "model": model.kind,
            "instances": len(locals_),
            "ours_s_per_instance": ours_s,
            "ours_auc": self.auc(explanations),
            "saliency_auc": saliency_auc,
            "prepare_s": prepare_s,
            "test_accuracy": accuracy,
            **_beside(peer, ours_s, locals_),
        }

    def _peer(self, method: str, model: GNN, locals_: list[LocalExplanation]) -> Timed | None:
        if method not in PEERS:
            return None
        return time_peer(method, model, self.instances(), locals_, self.seed)

    def auc(self, explanations: Explanations) -> float | None:
        locals_ = [explanations.local(position) for position in range(len(explanations))]
        scores = [local.edge_score for local in locals_]
        return pooled_auc(locals_, [score for score in scores if score is not None])


def _beside(
    peer: Timed | None, ours_s: float, locals_: Sequence[LocalExplanation]
) -> dict[str, Any]:
    """The columns about the peer."""
    if peer is None:
        names = ("peer_s_per_instance", "ratio", "peer_auc", "max_difference")
        return dict.fromkeys(names)
    return {
        "peer_s_per_instance": peer.seconds,
        "ratio": peer.seconds / ours_s,
        "peer_auc": None if peer.edges is None else pooled_auc(locals_, peer.edges),
        "max_difference": peer.max_difference,
        **peer.columns,
    }


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
