"""Explained predictions, run again with some of their messages shut.

A shut message becomes the explainer's own baseline where it learned some, else zero; the layer's
degrees, means and softmaxes still count the edge (``"shut"`` in `glassgraph.metrics.removal`).
Self-loops that a layer adds by itself, and messages behind a pooling layer, stay as they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from glassgraph.calling.protect import protected
from glassgraph.core import random
from glassgraph.core.addresses import edge_address
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.prepare import Preparation
from glassgraph.core.reachability import near_messages
from glassgraph.core.told import FallbackWarning
from glassgraph.errors import HyperParameterError, InstanceError
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.labels import find_labels
from glassgraph.inputs.task import Target, Targets
from glassgraph.masking.same_data import check_same, check_same_predictions
from glassgraph.progress import progress_bar
from glassgraph.results.again import explained_again
from glassgraph.results.aggregates.decisions import Rule, ScoreTable
from glassgraph.results.explanation import Explanations
from glassgraph.results.instance_columns import rows_in_order


class Runnable(Protocol):
    """What is read of an explainer here."""

    name: ClassVar[str]
    model: Any
    memory_budget: int
    progress: bool

    def explain(self, data: Any, index: Any = None, target: Target = None) -> Explanations:
        """Explain predictions."""

    def open(self, data: Any) -> Preparation:
        """The data, and the model with its messages in view."""

    def baselines(self, batch: InstanceBatch) -> Sequence[Tensor | None] | None:
        """What the method puts in the place of shut messages."""


@dataclass(frozen=True)
class Piece:
    """Some of the instances, ready to be run again.

    Attributes:
        batch: the instances.
        position: ``[b]`` which of all instances they are.
        reach: ``[L, e]`` which edges send a message at a layer that can reach the prediction.
        baselines: what shut messages become, for each site; None for zero.
        labels: ``[R]``, of each row of the output, or None.
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

    @property
    def row_instance(self) -> Tensor:
        """``[R]`` which of all instances a row of the model's output belongs to."""
        rows = self.batch.targets.rows
        return self.position if rows is None else self.position[rows.instance]

    def locate(self, table: ScoreTable) -> tuple[Tensor, Tensor]:
        """``[e]`` the table's column of each edge, and whether it has one."""
        return table.locate(self.position[self.instance], self.batch.fields.edge)

    def items(self, table: ScoreTable, num_rows: int) -> Tensor:
        """``[R, e]`` what is decided about: pairs of a layer and an edge, or (R = 1) edges.

        Only what can reach the prediction, and only edges that the explanations know.
        """
        is_layerwise = num_rows == len(self.reach)
        reach = self.reach if is_layerwise else self.reach.any(dim=0, keepdim=True)
        return reach & self.locate(table)[1]

    def decide(self, table: ScoreTable, rule: Rule | None) -> tuple[Tensor, Tensor, Tensor]:
        """Items, retained items (none without a rule) and scores, each ``[R, e]``."""
        item = self.items(table, len(self.reach) if table.is_layerwise else 1)
        score = item.new_zeros(item.shape, dtype=torch.float64)
        if table.key.numel():
            score = torch.where(item, table.score[:, self.locate(table)[0]], 0.0)
        if rule is None:
            return item, torch.zeros_like(item), score
        return item, rule.retained(score, item, self.instance, self.size), score

    def output(self, is_open: Tensor) -> Tensor:
        """The model's output ``[R, C]`` with messages open where ``is_open [1 or L, e]`` says."""
        gates = is_open.to(self.batch.dtype)
        return self.batch.output(gates if len(gates) > 1 else gates[0], baselines=self.baselines)

    def noise(self, num_rows: int, seed: int, stream: int, repeat: int) -> Tensor:
        """A uniform number for each edge, or pair of a layer and an edge, ``[R, e]``.

        It depends on the seed, the instance, the endpoints of the edge and the row alone.
        """
        row = torch.arange(num_rows, device=self.batch.device).view(-1, 1)
        key, address = self.batch.key[self.instance], edge_address(self.batch)
        return random.uniform(seed, stream, repeat, key, address, row)


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

    explainer: Runnable
    explanations: Explanations
    preparation: Preparation
    instances: Instances
    targets: Targets

    @staticmethod
    def of(
        explainer: Runnable,
        data: Any,
        index: Any = None,
        target: Target = None,
        explanations: Explanations | None = None,
    ) -> Rerun:
        """Explain, unless there are explanations, and find the predictions again.

        Raises:
            HyperParameterError: if ``explanations`` are something else, or come with an index or a
                target.
            ExplanationFileError: if they are of other data, or of another model or method.
            InstanceError: if there is nothing to measure.
        """
        if explanations is None:
            explanations = explainer.explain(data, index, target)
        elif index is not None or target is not None:
            raise HyperParameterError(
                "explanations know their predictions and targets; give them, or index and target"
            )
        if not isinstance(explanations, Explanations):
            raise HyperParameterError(
                "explanations are what explain returned, or a slice of it (explanations[3:4] for "
                f"a single one); got {type(explanations).__name__}"
            )
        if len(explanations) == 0:
            raise InstanceError("there are no explanations; give at least one prediction")
        preparation = explainer.open(data)
        if explanations.graph is None:  # read from a folder that holds none
            explanations = replace(explanations, graph=preparation.graph)
        check_same(explanations, explainer, preparation)
        instances, targets = explained_again(explanations, preparation)
        return Rerun(explainer, explanations, preparation, instances, targets)

    @property
    def device(self) -> torch.device:
        """Where the graph lies."""
        return self.preparation.graph.device

    @property
    def num_layers(self) -> int:
        """Number L of the model's message-passing steps."""
        return self.preparation.wiring.num_layers

    def __len__(self) -> int:
        return len(self.instances)

    @contextmanager
    def pieces(self, *, baselines: bool = True) -> Iterator[Iterator[Piece]]:
        """The predictions piece by piece, within the explainer's memory budget.

        The model is protected, and no gradients are kept, for the duration of the ``with`` block.

        Args:
            baselines: whether shut messages become what the method puts in their place, else zero.

        Raises:
            ExplanationFileError: while they are read, if the model predicts something else than
                when it was explained.
        """
        with protected(self.explainer.model), torch.no_grad(), warnings.catch_warnings():
            # Explaining has told of instances that cannot be cut out; the numbers are right anyhow.
            warnings.simplefilter("ignore", FallbackWarning)
            with progress_bar(
                total=len(self),
                desc="running again",
                disable=not self.explainer.progress,
                delay=1.0,
                leave=False,
            ) as bar:
                yield self._pieces(baselines, bar)

    def _pieces(self, baselines: bool, bar: Any) -> Iterator[Piece]:
        preparation, explainer = self.preparation, self.explainer
        explained = rows_in_order(self.explanations, "prediction")
        largest = float(explained.abs().max()) if explained.numel() else 0.0
        batches = preparation.batches(self.instances, self.targets.chosen, explainer.memory_budget)
        for position, batch in batches:
            batch.targets = self.targets.take(position)  # with what they are held against
            check_same_predictions(batch, explained[self.targets.rows_of(position).cpu()], largest)
            yield Piece(
                batch=batch,
                position=position,
                reach=near_messages(batch),
                baselines=explainer.baselines(batch) if baselines else None,
                labels=find_labels(
                    preparation.graph, preparation.task, self.instances.take(position)
                ),
            )
            bar.update(batch.num_instances)
