"""CF-GNNExplainer on its authors' networks: fidelity, size, sparsity, accuracy; and the optimum.

As the authors' evaluation has them, over the explained nodes:

* fidelity: the share whose class no deletion that was found changes (lower is better);
* size: mean number of deleted undirected edges, of the counterfactuals;
* sparsity: mean of 1 - size / number of edges among the nodes within four hops, of these;
* accuracy: of nodes that are predicted to lie in a motif, the mean share of the nodes at deleted
  edges (but the explained one) that are predicted so, too.

Every counterfactual is an edge deletion on which the model, called on the changed graph, predicts
another class. ``exact`` is the share, of the nodes whose smallest counterfactual is known, for
which one of that size was found. It is known where `SmallestCounterfactual` tried every
smaller set; the others are counted as ``unknown``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.utils import k_hop_subgraph

from glassgraph.errors import UnknownMethodError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.registry import make_explainer
from glassgraph.inputs.task import Task
from glassgraph.metrics.counterfactuals import counterfactuals
from glassgraph.results.counterfactual import Counterfactual
from glassgraph_studies.reference.cf_gnn_explainer import literal_counterfactual
from glassgraph_studies.reproduce.counterfactuals.networks import (
    DATASETS,
    PUBLISHED,
    Subject,
    read_subject,
)

TASK = Task("node", return_type="log_probs")
_HOPS = 4
#: The yardstick.
EXACT = "smallest_counterfactual"


@dataclass(frozen=True)
class Entry:
    """One row.

    Attributes:
        method: registry name.
        settings: hyper-parameters.
        is_read: whether counterfactuals are read out of scores.
    """

    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    is_read: bool = False


TABLE: dict[str, Entry] = {
    EXACT: Entry(EXACT),
    "cf_gnn_explainer": Entry("cf_gnn_explainer"),
    "cf2": Entry("cf2"),
    "cf2_read": Entry("cf2", is_read=True),
    "occlusion": Entry("occlusion", is_read=True),
    "edge_gradients": Entry("edge_gradients", is_read=True),
}


def run_counterfactuals(
    root: Path | str,
    datasets: Sequence[str] | None = None,
    rows: Sequence[str] | None = None,
    nodes: int | None = None,
    max_size: int = 5,
    budget: int = 20_000,
    literal: int = 3,
    progress: bool = True,
) -> Iterator[dict[str, Any]]:
    """Measure methods.

    Args:
        root: folder of ``cf_gnnexplainer`` and ``synthetic_reference``.
        datasets: of `DATASETS`; all if None.
        rows: of `TABLE`; all if None. The yardstick always runs, first.
        nodes: how many nodes of each graph; None for all that are explained.
        max_size: undirected edges that a counterfactual may have.
        budget: evaluations of the yardstick for a node.
        literal: nodes on which the literal loop is timed, spread over all.
        progress: show progress bars.

    Yields:
        A row for each data set and method.

    Raises:
        UnknownMethodError: for an unknown row.
        DatasetError: for an unknown data set, or a missing file.
    """
    wanted = list(TABLE) if rows is None else list(rows)
    for row in wanted:
        if row not in TABLE:
            raise UnknownMethodError(f"there is no row {row!r}; there are {', '.join(TABLE)}")
    subjects = [read_subject(root, name, nodes) for name in datasets or DATASETS]
    for subject in subjects:
        scene = Scene.make(subject, max_size, budget, literal, progress=progress)
        for row in dict.fromkeys([EXACT, *wanted]):
            yield scene.row(row)


@dataclass
class Scene:
    """A subject with what is known of it.

    Attributes:
        subject: network, graph, nodes.
        max_size: undirected edges that a counterfactual may have.
        budget: evaluations of the yardstick.
        literal_seconds: CPU seconds of the literal loop, for a node; None if it was not run.
        least: ``[B]`` size of the smallest counterfactual, infinite where there is none up to the
            largest size; NaN where that is not known.
        num_around: ``[B]`` number of undirected edges within four hops.
        predicted: ``[N]`` predicted classes.
    """

    subject: Subject
    max_size: int
    budget: int
    progress: bool
    literal_seconds: float | None
    num_around: Tensor
    predicted: Tensor
    least: Tensor = field(default_factory=lambda: torch.empty(0))

    @classmethod
    def make(
        cls, subject: Subject, max_size: int, budget: int, literal: int, *, progress: bool
    ) -> Scene:
        """Time the literal loop, and look around every node."""
        data = subject.data
        around = [
            k_hop_subgraph(node, _HOPS, data.edge_index, num_nodes=data.num_nodes)[1].size(1) // 2
            for node in subject.index.tolist()
        ]
        with torch.no_grad():
            predicted = subject.model(data.x, data.edge_index).argmax(dim=1)
        seconds = _literal_seconds(subject, literal) if literal else None
        return cls(subject, max_size, budget, progress, seconds, torch.tensor(around), predicted)

    def row(self, name: str) -> dict[str, Any]:
        """Run a method, and measure what it finds."""
        entry = TABLE[name]
        subject = self.subject
        explainer = self._explainer(entry)
        explainer.prepare(subject.data)
        start = time.process_time()
        found = explainer.explain(subject.data, subject.index)
        if entry.is_read:
            read = counterfactuals(found, subject.model, subject.data, max_size=self.max_size)
        else:
            read = [each.counterfactual for each in found]
        seconds = (time.process_time() - start) / len(read)
        if name == EXACT:
            table = found.table("counterfactual")
            tried = torch.tensor(table["tried_up_to"].tolist(), dtype=torch.float64)
            self.least = _least(read, tried, self.max_size)
        published = PUBLISHED[subject.name]
        row = {"dataset": subject.name, "row": name, "nodes": len(read), **self._measured(read)}
        row["seconds_per_node"] = seconds
        row["literal_seconds_per_node"] = self.literal_seconds
        row["speedup"] = None if self.literal_seconds is None else self.literal_seconds / seconds
        row["published"] = published
        row["is_met"] = self._is_met(row, published)
        return row

    def _explainer(self, entry: Entry) -> Explainer:
        settings = dict(entry.settings)
        if not entry.is_read:
            settings["max_size"] = self.max_size
        if entry.method == EXACT:
            settings["budget"] = self.budget
        return make_explainer(
            entry.method, self.subject.model, TASK, progress=self.progress, **settings
        )

    def _measured(self, read: Sequence[Counterfactual]) -> dict[str, Any]:
        valid = torch.tensor([each.is_valid for each in read])
        size = torch.tensor([float(each.size) for each in read], dtype=torch.float64)
        is_known = ~self.least.isnan() & self.least.isfinite()
        is_exact = valid & (size == self.least)
        accuracy = [self._accuracy(each) for each in read if each.is_valid]
        known = [value for value in accuracy if value is not None]
        return {
            "fidelity": 1 - float(valid.double().mean()),
            "size": _mean(size[valid]),
            "sparsity": _mean(1 - size[valid] / self.num_around[valid]),
            "accuracy": sum(known) / len(known) if known else None,
            "exact": _mean(is_exact[is_known].double()),
            "unknown": int(self.least.isnan().sum()),
        }

    def _accuracy(self, found: Counterfactual) -> float | None:
        """Share of the other nodes at deleted edges that are predicted in a motif."""
        if int(self.predicted[found.index]) == 0:
            return None
        ends = torch.unique(self.subject.data.edge_index[:, found.edge_id])
        ends = ends[ends != found.index]
        if not ends.numel():
            return None
        return float((self.predicted[ends] != 0).double().mean())

    @staticmethod
    def _is_met(row: Mapping[str, Any], published: Sequence[float]) -> bool | None:
        """Whether none of four numbers is worse, to two digits as they are published."""
        values = [row[name] for name in ("fidelity", "size", "sparsity", "accuracy")]
        if any(value is None for value in values):
            return None
        rounded = [round(value, 2) for value in values]
        low = all(rounded[k] <= published[k] for k in (0, 1))
        return low and all(rounded[k] >= published[k] for k in (2, 3))


def _literal_seconds(subject: Subject, count: int) -> float:
    """Mean CPU seconds of the literal loop."""
    chosen = torch.linspace(0, subject.index.numel() - 1, count).long()
    start = time.process_time()
    for node in subject.index[chosen].tolist():
        data = subject.data
        literal_counterfactual(subject.dense, data.x, data.edge_index, node, subject.settings)
    return (time.process_time() - start) / count


def _least(read: Sequence[Counterfactual], tried: Tensor, max_size: int) -> Tensor:
    """Sizes of the smallest counterfactuals, NaN where a smaller one may exist."""
    size = torch.tensor([float(each.size) for each in read], dtype=torch.float64)
    count = torch.tensor([float(each.num_edges) for each in read], dtype=torch.float64)
    valid = torch.tensor([each.is_valid for each in read])
    nowhere = torch.full_like(size, float("inf"))
    unknown = torch.full_like(size, float("nan"))
    is_known = torch.where(valid, tried >= size - 1, tried >= count.clamp_max(max_size))
    return torch.where(is_known, torch.where(valid, size, nowhere), unknown)


def _mean(value: Tensor) -> float | None:
    return float(value.mean()) if value.numel() else None
