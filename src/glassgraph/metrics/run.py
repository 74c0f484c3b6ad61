"""Explanations with their model and data, ready for metrics that remove things."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from glassgraph.black_box.callable_module import as_module
from glassgraph.black_box.probing import prepare_black_box
from glassgraph.calling.call import Call, ModelCall
from glassgraph.calling.protect import protected
from glassgraph.core.own_edges import why_no_edges
from glassgraph.core.prepare import Preparation
from glassgraph.core.told import FallbackWarning, OnUnseen
from glassgraph.errors import (
    ExplanationFileError,
    NoMessagePassingError,
    SparseAdjacencyError,
    TaskError,
    UnsupportedModelError,
)
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.task import Targets, Task
from glassgraph.metrics.ranked import (
    Ranked,
    rank_edges,
    rank_features,
    rank_nodes,
    staying_nodes,
)
from glassgraph.metrics.removal import Of, Removal
from glassgraph.metrics.scores import Ranking
from glassgraph.metrics.states import StateBatch, feature_width, state_batches
from glassgraph.results.again import explained_again
from glassgraph.results.explanation import Explanations
from glassgraph.results.records import LocalExplanation

#: Memory that one batch of instances may take, in bytes.
DEFAULT_MEMORY_BUDGET = 1 << 30


@dataclass(frozen=True)
class Run:
    """Explanations whose predictions can be asked for in any state.

    Attributes:
        preparation: model and graph.
        locals_: the b of B explanations that have something to remove.
        place: ``[b]`` which of the B they are.
        num_all: B.
        instances: the b instances.
        targets: what is explained of them.
        of: what is removed.
        removal: what removing means.
        memory_budget: bytes that one pass may take.
    """

    preparation: Preparation
    locals_: list[LocalExplanation]
    place: Tensor
    num_all: int
    instances: Instances
    targets: Targets
    of: Of
    removal: Removal
    memory_budget: int

    @classmethod
    def of_explanations(
        cls,
        explanations: Explanations,
        preparation: Preparation,
        of: Of,
        removal: Removal,
        memory_budget: int,
    ) -> Run:
        """Find out what each explanation is about.

        Raises:
            ExplanationFileError: if the explanations are of other data.
        """
        graph = preparation.graph
        check_same_data(explanations, graph.num_nodes, graph.num_edges)
        every = [explanations.local(i) for i in range(len(explanations))]
        instances, targets = explained_again(explanations, preparation)
        has = torch.tensor(
            [_has_some(local, of, instances, i) for i, local in enumerate(every)],
            dtype=torch.bool,
        )
        place = has.nonzero().view(-1)
        chosen = place.to(graph.device)
        return cls(
            preparation,
            [every[i] for i in place.tolist()],
            place,
            len(every),
            instances.take(chosen),
            targets.take(chosen),
            of,
            removal,
            memory_budget,
        )

    def __len__(self) -> int:
        return len(self.locals_)

    def ranked(self, ranking: Ranking, *, in_pairs: bool = False) -> Ranked:
        """What is removed, ranked by the explanations' scores.

        Raises:
            UnknownMetricError: for explanations without scores, or without those that are needed.
        """
        graph = self.preparation.graph
        if self.of == "edge":
            return rank_edges(self.locals_, graph, ranking, in_pairs=in_pairs)
        if self.of == "node":
            return rank_nodes(self.locals_, graph, self.instances, ranking)
        return rank_features(self.locals_, graph, feature_width(self.preparation), ranking)

    def batches(self) -> Iterator[StateBatch]:
        """Batches of instances, with the model's answers in any states of theirs."""
        if self.removal in ("zero", "mean"):
            feature_width(self.preparation)  # refuses what has no features
        with warnings.catch_warnings(), torch.no_grad():
            # Explaining has told of instances that cannot be cut out; numbers are right anyhow.
            warnings.simplefilter("ignore", FallbackWarning)
            yield from state_batches(
                self.preparation,
                self.instances,
                self.targets,
                self.of,
                self.removal,
                self.memory_budget,
            )

    def spread(self, value: Tensor) -> Tensor:
        """Values ``[..., b]`` as ``[..., B]``: NaN for instances with nothing to remove."""
        found = torch.full((*value.shape[:-1], self.num_all), float("nan"), dtype=torch.float64)
        found[..., self.place] = value.double().cpu()
        return found


@contextmanager
def opened(
    explanations: Explanations,
    model: nn.Module | Callable[..., Any],
    data: Any,
    task: str | Task | None,
    call: Call | None,
    removal: Removal,
    memory_budget: int,
    of: Of = "edge",
) -> Iterator[Run]:
    """A run for one metric; the model is left as it was."""
    module = as_module(model)
    with protected(module):
        preparation = prepare(explanations, module, data, task, call, removal, of)
        yield Run.of_explanations(explanations, preparation, of, removal, memory_budget)


def _has_some(local: LocalExplanation, of: Of, instances: Instances, number: int) -> bool:
    if of == "edge":
        return bool(local.edge_id.numel())
    if of == "node":
        staying = set(staying_nodes(instances, number).tolist())
        return local.node_id.numel() > len(staying)
    return bool(local.node_id.numel())


def prepare(
    explanations: Explanations,
    model: nn.Module,
    data: Any,
    task: str | Task | None,
    call: Call | None,
    removal: Removal,
    of: Of = "edge",
) -> Preparation:
    """Ready model and data once, for any number of metrics; call it inside ``protected``.

    Raises:
        UnsupportedModelError: if messages are to be shut of a model that is only called, or edges
            are to be removed that the model builds itself.
    """
    model_call, task = ModelCall(model, call), recorded_task(explanations, task)
    preparation = _open(model, model_call, task, data, removal)
    reason = None
    if of == "edge" or removal in ("shut", "delete"):
        reason = why_no_edges(preparation.graph, preparation.wiring)
    if reason is not None:
        raise UnsupportedModelError(f"fidelity removes edges: {reason}")
    return preparation


def _open(
    model: nn.Module, model_call: ModelCall, task: Task, data: Any, removal: Removal
) -> Preparation:
    """Look into the model, or only call it where that is all that can be done."""
    try:
        # Where edges are deleted, whatever is sent along them goes.
        on_unseen: OnUnseen = "warn" if removal == "shut" else "ignore"
        return Preparation.read(model, model_call, task, data, on_unseen=on_unseen)
    except (NoMessagePassingError, SparseAdjacencyError) as error:
        if removal == "shut":
            raise UnsupportedModelError(
                "removal='shut' replaces messages inside of the model, where this one cannot be "
                f"looked into ({error}); use removal='delete', which only calls it"
            ) from error
    return prepare_black_box(model_call, task, data, "auto", None)


def recorded_task(explanations: Explanations, task: str | Task | None) -> Task:
    """The task of explanations, with what the user says about it.

    Raises:
        TaskError: if the level is another.
    """
    if not isinstance(task, Task):
        record = dict(explanations.provenance.get("task", {}))
        record.pop("level", None)
        task = Task.of(explanations.level if task is None else task, **record)
    if task.level != explanations.level:
        raise TaskError(
            f"the explanations are of {explanations.level} predictions; got a {task.level} task"
        )
    return task


def check_same_data(explanations: Explanations, num_nodes: int, num_edges: int) -> None:
    """Refuse data of other sizes than those that were explained."""
    graph = explanations.provenance.get("graph", {})
    for name, got in (("num_nodes", num_nodes), ("num_edges", num_edges)):
        if graph.get(name, got) != got:
            raise ExplanationFileError(
                f"the explanations are of data with {graph[name]} {name[4:]}, these have {got}; "
                "give the data that were explained"
            )
