"""Which method finds the motif that a label depends on? Any registered method, six data sets.

A reference model is trained for each data set, and its predictions for nodes of planted motifs (for
graphs that contain one) are cut into two fixed halves. An amortized method is fitted on the first
half: on the model's predictions, with no label and no ground truth. All methods explain the
predicted classes of the second half. With one model only the explainer's seed changes from run to
run; with several (``models``), data, model and halves are drawn again for each, and what is told of
a method is also true of methods without chance.

The row "attention" of Ying et al. needs a network that has any: `network="attention"` trains that
of `glassgraph_studies.reproduce.motifs.attention` instead of the reference model.

The area under the ROC curve is taken over the edges of all explained receptive fields together; the
score of an undirected edge is the mean of its two directions. Two protocols:

``auc``
    every planted edge in the receptive field counts as true, also that of another motif, as in the
    code of Luo et al. (3-hop fields there, as here);
``auc_own``
    only the explained node's own motif is true, as in Ying et al., "GNNExplainer" (NeurIPS 2019,
    https://arxiv.org/abs/1903.03894). For graphs it is the same.

Methods that score nodes or features are read as `glassgraph.metrics.scores` says. An area below 1/2
is an *inverted* explanation: the motif's edges come last. It is reported as it is. Whether a model
needs its motif at all is measured beside it: the mean probability of the predicted class with all
messages, with those of planted edges alone, and without them.

Luo, Cheng, Xu, Yu, Zong, Chen and Zhang, "Parameterized Explainer for Graph Neural Network"
(NeurIPS 2020, https://arxiv.org/abs/2011.04573), table 1. Their explainer is fitted on the
instances it is evaluated on, with their labels; ours never sees the half that is reported.

Settings of ``pg_explainer`` and ``gnn_explainer`` were chosen on data sets and models of other
seeds (`TUNING_SEEDS`, and `glassgraph_studies.reproduce.motif_settings`); those of ``pg_explainer``
on ba-community and mutagenicity are the published ones, see docs/motifs.md. With
``published_settings`` all are (`PUBLISHED_SETTINGS`).

A graph study can be restricted to one predicted class: of both halves only its graphs are taken, so
that they stay those of the study of all classes.
"""

from __future__ import annotations

import itertools
import statistics
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch_geometric.data import Batch

from glassgraph.calling.protect import protected
from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.errors import (
    DatasetError,
    MissingRuleError,
    NegativeActivationError,
    TaskError,
    UnsupportedModelError,
    WalkError,
)
from glassgraph.explainers.amortized import AmortizedExplainer
from glassgraph.explainers.registry import find_method, make_explainer
from glassgraph.metrics.measured import Estimate
from glassgraph.models import TrainedModel, reference_model
from glassgraph_studies.planted import (
    DATASETS,
    GENERATED,
    LeftOutWarning,
    evenly,
    find_files,
    with_files,
)
from glassgraph_studies.reproduce.motifs.areas import areas_by_class, motif_areas, motif_evidence
from glassgraph_studies.reproduce.motifs.attention import attention_model
from glassgraph_studies.reproduce.motifs.settings import (
    AIMS,
    LIMITS,
    METHODS,
    PUBLISHED,
    PUBLISHED_SETTINGS,
    RANKINGS,
    SETTINGS,
)

#: What is trained.
Network = Literal["reference", "attention"]

_OF_NODES = GENERATED[:4]
#: What a method raises where it does not apply.
_LEFT_OUT = (
    TaskError,
    WalkError,
    UnsupportedModelError,
    MissingRuleError,
    NegativeActivationError,
)


def run_motifs(
    datasets: Sequence[str] | None = None,
    methods: Sequence[str] = METHODS,
    seeds: Sequence[int] = range(10),
    *,
    data_seed: int = 0,
    models: int = 1,
    network: Network = "reference",
    instances: int | None = None,
    target: int | None = None,
    published_settings: bool = False,
    root: Path | str | None = None,
    progress: bool = True,
) -> Iterator[dict[str, Any]]:
    """Measure every method on every data set.

    Args:
        datasets: names of `DATASETS`; None for all whose files are there.
        methods: registry names.
        seeds: of the explainer; a method without randomness is run once.
        data_seed: of the data, the model and the halves.
        models: how many of these there are, with seeds from ``data_seed`` on.
        network: the reference model, or the one with attention weights (data sets of nodes).
        instances: how many predictions to explain at most; None for all of the second half, or as
            many as `LIMITS` says.
        target: fit and explain graphs of this predicted class alone; None for all.
        published_settings: take `PUBLISHED_SETTINGS` where there are any, not `SETTINGS`.
        root: folder of the raw files of the molecules, or the folder above.
        progress: show progress bars.

    Yields:
        Rows ``{dataset, data_seed, network, method, seed, target, settings, auc, auc_own,
        auc_by_class, is_inverted, published, aim, fitted, explained, fit_seconds, explain_seconds,
        test_accuracy, evidence}``; see the module. ``auc_by_class`` has the predicted classes of
        graphs, None where one has no ranking.

    Raises:
        UnknownMethodError: if there is no such method.
        DatasetError: if there is no such data set or predicted class, or its files are missing.

    Warns:
        LeftOutWarning: of a method that cannot explain a data set; it gets no row there.
    """
    if datasets is None:
        datasets = with_files(DATASETS, root)
    kinds = [find_method(method) for method in methods]
    for name in datasets:
        if name not in DATASETS:
            raise DatasetError(f"{name!r} has no motifs; there are {', '.join(DATASETS)}")
        if target is not None and name in _OF_NODES:
            raise DatasetError(f"target is for data sets of graphs; {name} is a single graph")
        if network == "attention" and name not in _OF_NODES:
            raise DatasetError(
                f"the network with attention is for data sets of nodes; {name} has graphs"
            )
    for name, number in itertools.product(datasets, range(data_seed, data_seed + models)):
        scene = Scene.make(name, number, root, target, network=network, progress=progress)
        for kind in kinds:
            for seed in seeds if kind.traits.is_random else seeds[:1]:
                try:
                    row = scene.measure(
                        kind.name,
                        seed,
                        instances,
                        published_settings=published_settings,
                        progress=progress,
                    )
                except _LEFT_OUT as error:
                    message = f"{kind.name} is left out on {name}: {error}"
                    warnings.warn(message, LeftOutWarning, stacklevel=2)
                    break
                yield row


@dataclass(frozen=True)
class Scene:
    """A data set, its model, and the two halves.

    Attributes:
        dataset: the data set.
        trained: the model.
        fitted: what amortized methods learn from.
        explained: what is explained.
        evidence: see `motif_evidence`.
        target: the only predicted class of graphs in both halves, None for all.
        seed: of all that.
        network: what was trained.
    """

    dataset: ExplanationDataset
    trained: TrainedModel
    fitted: Tensor
    explained: Tensor
    evidence: list[dict[str, Any]]
    target: int | None = None
    seed: int = 0
    network: Network = "reference"

    @staticmethod
    def make(
        name: str,
        seed: int,
        root: Path | str | None = None,
        target: int | None = None,
        *,
        network: Network = "reference",
        progress: bool = True,
    ) -> Scene:
        """Load, train, and cut into halves.

        Raises:
            DatasetError: if no graph of a half has the predicted class.
        """
        folder = None if name in GENERATED else find_files(name, root)
        dataset = load_dataset(name, root=folder, seed=seed)
        make = attention_model if network == "attention" else reference_model
        trained = make(dataset, seed=seed, progress=progress)
        fitted, explained = halves(dataset.explained, seed)
        if target is not None:
            fitted, explained = (
                half[predicted(trained.model, dataset, half) == target]
                for half in (fitted, explained)
            )
            if not (len(fitted) and len(explained)):
                raise DatasetError(
                    f"{name}: the model predicts class {target} nowhere in one of the halves; "
                    f"classes are 0 to {dataset.num_classes - 1}"
                )
        evidence = motif_evidence(trained.model, dataset, explained)
        return Scene(dataset, trained, fitted, explained, evidence, target, seed, network)

    @property
    def data(self) -> Any:
        """What the explainer is given."""
        return self.dataset.graphs[0] if self.dataset.level == "node" else self.dataset.graphs

    def measure(
        self,
        method: str,
        seed: int,
        instances: int | None = None,
        *,
        published_settings: bool = False,
        progress: bool = False,
    ) -> dict[str, Any]:
        """One row; see `run_motifs`."""
        name = self.dataset.name
        settings = SETTINGS.get(method, {}).get(name, {})
        is_published = published_settings and name in PUBLISHED_SETTINGS.get(method, {})
        if is_published:
            settings = PUBLISHED_SETTINGS[method][name]
        explainer = make_explainer(
            method, self.trained.model, self.dataset.level, seed=seed, progress=progress, **settings
        )
        most = LIMITS.get(method) if instances is None else instances
        index, fit_seconds = evenly(self.explained, most), 0.0
        if isinstance(explainer, AmortizedExplainer) and explainer.needs_fit:
            start = time.perf_counter()
            explainer.fit(self.data, self.fitted)
            fit_seconds = time.perf_counter() - start
        start = time.perf_counter()
        explanations = explainer.explain(self.data, index)
        explain_seconds = time.perf_counter() - start
        auc, auc_own = motif_areas(
            explanations, self.dataset, ranking=RANKINGS.get(method, "signed")
        )
        has_aim = method == "pg_explainer" and self.target is None and not is_published
        return {
            "dataset": name,
            "data_seed": self.seed,
            "network": self.network,
            "method": method,
            "seed": seed,
            "target": self.target,
            "settings": "published" if is_published else "chosen",
            "auc": auc,
            "auc_own": auc_own,
            "auc_by_class": areas_by_class(explanations, self.dataset),
            "is_inverted": auc < 0.5,
            "published": PUBLISHED.get(method, {}).get(name),
            "aim": AIMS.get(name) if has_aim else None,
            "fitted": len(self.fitted) if fit_seconds else 0,
            "explained": len(explanations),
            "fit_seconds": fit_seconds,
            "explain_seconds": explain_seconds,
            "test_accuracy": self.trained.accuracy["test"],
            "evidence": self.evidence,
        }


def halves(index: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """What is fitted and what is explained, each in ascending order."""
    generator = torch.Generator().manual_seed(seed)
    order = index[torch.randperm(len(index), generator=generator)]
    middle = len(index) // 2
    return order[:middle].sort().values, order[middle:].sort().values


@torch.no_grad()
def predicted(model: torch.nn.Module, dataset: ExplanationDataset, index: Tensor) -> Tensor:
    """The classes that a model gives some graphs."""
    graphs = Batch.from_data_list([dataset.graphs[number] for number in index.tolist()])
    with protected(model):
        output = model(graphs.x, graphs.edge_index, batch=graphs.batch)
    return torch.as_tensor(output).argmax(dim=1)


@dataclass(frozen=True)
class Summary:
    """One method on one data set, over all models and seeds.

    Attributes:
        aucs: the area of each.
        mean: their mean.
        std: their standard deviation.
        own: mean area of the own motif.
        interval: of ``own``, 95 %, by the bootstrap over models; None for a single one.
        by_class: mean area of each predicted class of graphs, None where there is none.
        published: the paper's.
        aim: what the mean is to reach, None if there is nothing.
    """

    aucs: list[float]
    mean: float
    std: float
    own: float
    interval: tuple[float, float] | None
    by_class: list[float | None]
    published: float | None
    aim: float | None


def summarize(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Summary]:
    """A `Summary` for each data set and method."""
    found = {}
    for key in dict.fromkeys((row["dataset"], row["method"]) for row in rows):
        own = [row for row in rows if (row["dataset"], row["method"]) == key]
        aucs = [row["auc"] for row in own]
        classes = [row["auc_by_class"] or [] for row in own]
        found[key] = Summary(
            aucs=aucs,
            mean=statistics.fmean(aucs),
            std=statistics.pstdev(aucs),
            interval=_interval(own),
            own=statistics.fmean(row["auc_own"] for row in own),
            by_class=[_mean(areas) for areas in zip(*classes, strict=True)],
            published=own[0]["published"],
            aim=own[0]["aim"],
        )
    return found


def _interval(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float] | None:
    """Runs of one model are not independent of each other: models are what is drawn."""
    found: dict[int, list[float]] = {}
    for row in rows:
        found.setdefault(row["data_seed"], []).append(row["auc_own"])
    if len(found) == 1:
        return None
    estimate = Estimate.of_mean(torch.tensor([statistics.fmean(aucs) for aucs in found.values()]))
    return estimate.low, estimate.high


def _mean(areas: Sequence[float | None]) -> float | None:
    known = [area for area in areas if area is not None]
    return statistics.fmean(known) if known else None
