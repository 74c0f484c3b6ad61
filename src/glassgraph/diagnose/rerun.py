"""Run an explained model again with some of its messages shut, and tell what that changed.

A shut message becomes the explainer's own baseline where it learned some, else zero; the layer's
degrees, means and softmaxes still count the edge (``"shut"`` in `glassgraph.metrics.removal`).
Self-loops that a layer adds by itself, and messages behind a pooling layer, stay as they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor
from tqdm.auto import tqdm

from glassgraph.calling.protect import fingerprint, protected
from glassgraph.core import random
from glassgraph.core.addresses import edge_address
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.prepare import FallbackWarning, Preparation
from glassgraph.core.reachability import near_messages
from glassgraph.diagnose.decisions import Replacement, Rule, ScoreTable
from glassgraph.errors import ExplanationFileError, HyperParameterError, InstanceError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.divergence import divergence, resolve_divergence
from glassgraph.inputs import task as tasks
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.labels import find_labels
from glassgraph.inputs.task import Target, Targets, Task
from glassgraph.metrics.vectors import in_order
from glassgraph.results.explanation import Explanations

#: What `Piece.effect` measures, in its order.
EFFECTS = ("changed", "divergence", "score_change", "accuracy")


@dataclass(frozen=True)
class Piece:
    """Some of the instances, ready to be run again.

    Attributes:
        batch: the instances.
        position: ``[b]`` which of all instances they are.
        reach: ``[L, e]`` which edges send a message at a layer that can reach the prediction.
        baselines: what shut messages become, for each site; None for zero.
        labels: ``[b]``, or None.
    """

    batch: InstanceBatch
    position: Tensor
    reach: Tensor
    baselines: Sequence[Tensor | None] | None
    labels: Tensor | None

    @property
    def instance(self) -> Tensor:
        """``[e]`` which of the piece's instances an edge belongs to."""
        return self.batch.edge_instance

    @property
    def size(self) -> int:
        """Number b of instances."""
        return self.batch.num_instances

    def decide(self, table: ScoreTable, rule: Rule | None) -> tuple[Tensor, Tensor, Tensor]:
        """Items, retained items (none without a rule) and scores, each ``[R, e]``."""
        position = self.position[self.instance]
        column, is_known = table.locate(position, self.batch.fields.edge)
        item = self.reach if table.is_layerwise else self.reach.any(dim=0, keepdim=True)
        item = item & is_known
        score = item.new_zeros(item.shape, dtype=torch.float64)
        if table.key.numel():
            score = torch.where(item, table.score[:, column], 0.0)
        if rule is None:
            return item, torch.zeros_like(item), score
        return item, rule.retained(score, item, self.instance, self.size), score

    def output(self, is_open: Tensor) -> Tensor:
        """The model's output ``[b, C]`` with messages open where ``is_open [R, e]`` says so."""
        gates = is_open.to(self.batch.dtype)
        return self.batch.output(gates if len(gates) > 1 else gates[0], baselines=self.baselines)

    def effect(self, output: Tensor) -> Tensor:
        """What changed with an output, ``[4, b]`` in float64 on the CPU, see `EFFECTS`.

        Whether another class is predicted; divergence from the model's own prediction; change of
        the explained score; whether the label is predicted. NaN where it does not exist.
        """
        batch = self.batch
        nan = torch.full((self.size,), float("nan"), dtype=torch.float64, device=batch.device)
        changed = accuracy = nan
        if batch.task.is_classification:
            after = predictions(batch.task, output, batch.targets)
            before = predictions(batch.task, batch.reference, batch.targets)
            changed = (after != before).double()
            if self.labels is not None and not is_multilabel(batch.task, output):
                labels = self.labels.to(batch.device)
                accuracy = torch.where(labels >= 0, (after == labels).double(), nan)
        kind = resolve_divergence(batch.task, None)
        distance = divergence(batch.task, kind, output, batch.reference, batch.targets)
        score_change = tasks.score(batch.task, output, batch.targets) - tasks.score(
            batch.task, batch.reference, batch.targets
        )
        columns = [changed, distance.double(), score_change.double(), accuracy]
        return torch.stack(columns).detach().cpu()


def is_multilabel(task: Task, output: Tensor) -> bool:
    """Whether the columns are independent yes-or-no questions."""
    return task.mode == "binary_classification" and output.size(1) > 1


def predictions(task: Task, output: Tensor, targets: Targets) -> Tensor:
    """The predicted class ``[b]``; for multi-label outputs whether the explained one is chosen."""
    if is_multilabel(task, output):
        column = targets.chosen.view(-1, 1)
        return (tasks.probabilities(task, output).gather(1, column)[:, 0] > 0.5).long()
    return tasks.predicted_class(task, output)


@dataclass(frozen=True)
class Rerun:
    """Explained predictions, ready to be run again.

    Attributes:
        explainer: whose explanations they are.
        explanations: one for each prediction.
        preparation: model and graph.
        instances: the predictions.
        targets: the explained classes.
    """

    explainer: Explainer
    explanations: Explanations
    preparation: Preparation
    instances: Instances
    targets: Targets

    @staticmethod
    def of(
        explainer: Explainer,
        data: Any,
        index: Any = None,
        target: Target = None,
        explanations: Explanations | None = None,
    ) -> Rerun:
        """Explain, unless there are explanations, and find the predictions again.

        Raises:
            HyperParameterError: if ``explanations`` come with an index or a target.
            ExplanationFileError: if they are of other data, or of another model or method.
            InstanceError: if there is nothing to measure.
        """
        if explanations is None:
            explanations = explainer.explain(data, index, target)
        elif index is not None or target is not None:
            raise HyperParameterError(
                "explanations know their predictions and targets; give them, or index and target"
            )
        if len(explanations) == 0:
            raise InstanceError("there are no explanations; give at least one prediction")
        preparation = explainer.open(data)
        _check_same(explanations, explainer, preparation)
        index_, target_, contrast = (
            in_order(explanations, name).to(preparation.graph.device)
            for name in ("index", "target", "contrast")
        )
        return Rerun(
            explainer=explainer,
            explanations=explanations,
            preparation=preparation,
            instances=preparation.instances(index_),
            targets=Targets(target_, contrast if bool((contrast >= 0).any()) else None),
        )

    @property
    def device(self) -> torch.device:
        """Where the graph lies."""
        return self.preparation.graph.device

    def __len__(self) -> int:
        return len(self.instances)

    @contextmanager
    def pieces(self, replacement: Replacement = "own") -> Iterator[Iterator[Piece]]:
        """The predictions piece by piece, within the explainer's memory budget.

        The model is protected, and no gradients are kept, for the duration of the ``with`` block.

        Raises:
            HyperParameterError: for an unknown replacement.
        """
        if replacement not in get_args(Replacement):
            raise HyperParameterError(f"replacement must be 'own' or 'zero'; got {replacement!r}")
        with protected(self.explainer.model), torch.no_grad(), warnings.catch_warnings():
            # Explaining has told of instances that cannot be cut out; the numbers are right anyhow.
            warnings.simplefilter("ignore", FallbackWarning)
            with tqdm(
                total=len(self),
                desc="running again",
                disable=not self.explainer.progress,
                delay=1.0,
                leave=False,
            ) as bar:
                yield self._pieces(replacement, bar)

    def _pieces(self, replacement: Replacement, bar: Any) -> Iterator[Piece]:
        preparation, explainer = self.preparation, self.explainer
        batches = preparation.batches(self.instances, self.targets.chosen, explainer.memory_budget)
        for position, batch in batches:
            batch.targets = self.targets.take(position)  # with what they are held against
            yield Piece(
                batch=batch,
                position=position,
                reach=near_messages(batch),
                baselines=explainer.baselines(batch) if replacement == "own" else None,
                labels=find_labels(
                    preparation.graph, preparation.task, self.instances.take(position)
                ),
            )
            bar.update(batch.num_instances)


def item_noise(piece: Piece, num_rows: int, seed: int, stream: int, repeat: int) -> Tensor:
    """A uniform number for each item, ``[R, e]``.

    It depends on the seed, the instance, the endpoints of the edge and the row alone.
    """
    row = torch.arange(num_rows, device=piece.batch.device).view(-1, 1)
    key, address = piece.batch.key[piece.instance], edge_address(piece.batch)
    return random.uniform(seed, stream, repeat, key, address, row)


def _check_same(explanations: Explanations, explainer: Explainer, preparation: Preparation) -> None:
    """Refuse explanations of another method, level, data or model."""
    if explanations.method != explainer.name or explanations.level != preparation.task.level:
        raise ExplanationFileError(
            f"the explanations are {explanations.method}'s of {explanations.level} predictions, "
            f"the explainer is {explainer.name} with task {preparation.task.level!r}; give the "
            "explainer that made them"
        )
    graph = explanations.provenance.get("graph", {})
    sizes = {
        "num_nodes": preparation.graph.num_nodes,
        "num_edges": preparation.graph.num_edges,
    }
    for name, got in sizes.items():
        if graph.get(name, got) != got:
            raise ExplanationFileError(
                f"the explanations are of data with {graph[name]} {name[4:]}, these have {got}; "
                "give the data that were explained"
            )
    made = explanations.provenance.get("model_fingerprint")
    if made is not None and made != fingerprint(explainer.model):
        raise ExplanationFileError(
            "the explanations are of a model with other weights; explain this one first"
        )
