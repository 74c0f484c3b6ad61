"""How much more does a training iteration of GraphMask cost than one of the model it explains?

Schlichtkrull, De Cao and Titov, "Interpreting Graph Neural Networks for NLP With Differentiable
Edge Masking" (ICLR 2021, https://arxiv.org/abs/2010.00577) report less than twice as much. Both
iterations are measured in one process, in turns, on the same predictions:

* node data sets: all nodes that the model is trained on. The model's step runs on the whole graph,
  GraphMask's on the union of their receptive fields (which is the graph, but for rows that reach no
  prediction);
* graph data sets: the same 64 graphs, packed before.

An iteration of the model is forward, cross-entropy, backward and a step of Adam. One of GraphMask
is the solver's own: gates, noise, forward with gates, divergence, backward and a step of Adam. What
gates read comes from an unmasked run, once for a whole fit; its time stands beside, and
``ratio_with_unmasked`` is what an iteration would cost that had to repeat it.

All times are seconds of the processor, not of the clock: iterations take a few milliseconds, and
what else runs on a machine would decide about the ratio. There is one thread.

GraphMask measures its validation predictions after every tenth iteration or so. This falls into the
time of the next iteration; the median leaves it out.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import Batch

from glassgraph.calling.protect import protected
from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.datasets.star_graphs import star_graphs
from glassgraph.explainers.perturbation.graphmask import GraphMask
from glassgraph.explainers.perturbation.message_gates.gated_batch import GatedBatch
from glassgraph.explainers.shared_batches import shared_batches
from glassgraph.inputs.task import Task
from glassgraph.models import reference_model, train_star_gnn
from glassgraph_studies.planted import with_files

DATASETS = ("star-graphs", "ba-shapes", "ba-2motifs", "mutag")
#: The paper's claim.
BAR = 2.0
#: Graphs in an iteration on both sides.
GRAPHS = 64
#: Star graphs to draw; what their network has learned does not change how long it takes.
_STARS = (256, 32, 32)
#: Iterations that are not counted.
_WARM_UP = 10
#: How often the unmasked run is timed.
_READINGS = 30
#: Predictions that are measured on.
_MEASURED = 8


def run_cost_bench(
    datasets: Sequence[str] | None = None,
    iterations: int = 500,
    repeats: int = 3,
    seed: int = 0,
    root: Path | str | None = None,
    progress: bool = True,
) -> Iterator[dict[str, Any]]:
    """Measure both iterations on every data set.

    Args:
        datasets: names; ``mutag`` needs ``root``; None for all whose files are there.
        iterations: in each repeat, on both sides.
        repeats: fits, from the beginning.
        seed: of the data, the model and the explainer.
        root: folder of raw files for data sets that are not generated.
        progress: show the training's progress bar.

    Yields:
        Rows ``{dataset, predictions, messages, model_s, graphmask_s, ratio, is_met, unmasked_s,
        ratio_with_unmasked, iterations}``: medians in seconds, ``messages`` that have a
        gate, ``is_met`` whether the ratio is within `BAR`.
    """
    if datasets is None:
        datasets = with_files(DATASETS, root)
    for name in datasets:
        case = _Case.make(name, seed, root, progress)
        yield case.measure(iterations, repeats)


@dataclass(frozen=True)
class _Case:
    """A model, and the predictions that both sides learn from."""

    dataset: ExplanationDataset
    model: nn.Module
    task: Task
    seed: int

    @staticmethod
    def make(name: str, seed: int, root: Path | str | None, progress: bool) -> _Case:
        if name == "star-graphs":
            stars = star_graphs(seed, _STARS)
            network = train_star_gnn(stars, seed, epochs=1, progress=progress).model
            return _Case(stars, network, Task("graph", mode="binary_classification"), seed)
        dataset = load_dataset(name, root=root if name.startswith("muta") else None, seed=seed)
        model = reference_model(dataset, seed=seed, progress=progress).model
        return _Case(dataset, model, Task(dataset.level), seed)

    @property
    def data(self) -> Any:
        return self.dataset.graphs[0] if self.task.level == "node" else self.dataset.graphs

    @property
    def index(self) -> Tensor:
        learned = self.dataset.split["train"]
        return learned if self.task.level == "node" else learned[:GRAPHS]

    def measure(self, iterations: int, repeats: int) -> dict[str, Any]:
        watch = _Stopwatch(_training_step(self))
        for _ in range(repeats):
            self._explainer(watch, iterations).fit(
                self.data, self.index, validation=self.index[:_MEASURED]
            )
        model_s, graphmask_s = statistics.median(watch.model), statistics.median(watch.graphmask)
        messages, unmasked_s = self._unmasked()
        return {
            "dataset": self.dataset.name,
            "predictions": len(self.index),
            "messages": messages,
            "model_s": model_s,
            "graphmask_s": graphmask_s,
            "ratio": graphmask_s / model_s,
            "is_met": graphmask_s <= BAR * model_s,
            "unmasked_s": unmasked_s,
            "ratio_with_unmasked": (graphmask_s + unmasked_s) / model_s,
            "iterations": len(watch.model),
        }

    def _explainer(self, watch: _Stopwatch, steps: int) -> GraphMask:
        # Any solution will do: measuring is then over after a single run.
        return _timed_by(watch)(
            self.model,
            self.task,
            tolerance=float("inf"),
            max_changed=1.0,
            steps=steps + _WARM_UP,
            batch_size=None if self.task.level == "node" else GRAPHS,
            seed=self.seed,
            progress=False,
        )

    def _unmasked(self) -> tuple[int, float]:
        """Messages with a gate, and the seconds of the run that reads them."""
        explainer = self._explainer(_Stopwatch(lambda: None), 1)
        with protected(self.model):
            preparation = explainer.prepare(self.data)
            instances = preparation.instances(self.index)
            size, budget = len(instances), explainer.memory_budget
            _, batch = next(shared_batches(preparation, instances, None, budget, size))
            gated = GatedBatch.read(batch)
            times = []
            for _ in range(_READINGS):
                start = time.process_time()
                GatedBatch.read(batch, gated.groups)
                times.append(time.process_time() - start)
            return gated.num_messages, statistics.median(times)


@dataclass
class _Stopwatch:
    """Stands where the progress bar does: at its ticks the model takes a step of its own."""

    step: Callable[[], object]
    model: list[float] = field(default_factory=list)
    graphmask: list[float] = field(default_factory=list)
    _ticks: int = 0
    _start: float = 0.0

    def start(self) -> None:
        self._ticks, self._start = 0, time.process_time()

    def update(self, _: int) -> None:
        between = time.process_time()
        self.step()
        end = time.process_time()
        self._ticks += 1
        if self._ticks > _WARM_UP:
            self.graphmask.append(between - self._start)
            self.model.append(end - between)
        self._start = time.process_time()


def _timed_by(watch: _Stopwatch) -> type[GraphMask]:
    """GraphMask with a stopwatch for a progress bar."""

    class Timed(GraphMask):
        @contextmanager
        def _bar(self, total: int, *, is_fit: bool = False) -> Iterator[Any]:
            watch.start()
            yield watch

    return Timed


def _training_step(case: _Case) -> Callable[[], object]:
    """One iteration of a copy of the model, on a batch that is ready."""
    model = copy.deepcopy(case.model).train().requires_grad_(True)
    is_node = case.task.level == "node"
    data: Any = case.data
    if not is_node:
        data = Batch.from_data_list([case.data[number] for number in case.index.tolist()])
    inputs = {name: data[name] for name in signature(model.forward).parameters if name in data}
    labels = data.y[case.index] if is_node else data.y
    rows = case.index if is_node else torch.arange(len(case.index))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        with torch.enable_grad():
            output = model(**inputs)
            if is_node:
                output = output[rows]
            if case.task.mode == "binary_classification":
                loss = functional.binary_cross_entropy_with_logits(output[:, 0], labels.float())
            else:
                loss = functional.cross_entropy(output, labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
        optimizer.step()

    return step
