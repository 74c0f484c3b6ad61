"""What the user is told about a model once: that it falls back, mixes, pools or varies, and why."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from glassgraph.calling.call import ModelCall
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.context import own_data, run_on, single_graph
from glassgraph.core.own_edges import own_edges
from glassgraph.core.sites import Wiring
from glassgraph.core.tracing import trace_piece
from glassgraph.core.unseen import find_unseen
from glassgraph.errors import UnseenMessagesError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.node_tables import NodeTables
from glassgraph.inputs.task import Task

#: What is done about messages that are sent beside the known ones.
OnUnseen = Literal["raise", "warn", "ignore"]

#: Why predictions fall back to the full graph.
UNCUT = "the model could not run on receptive fields"
DIFFERENT = "predictions on receptive fields differ from those on the full graph"
BEYOND = (
    "the model looks beyond the receptive fields of its messages: in one hop more of the graph "
    "it predicts something else"
)
MIXED = "predictions on receptive fields depend on what lies beside them"
POOLED = "the nodes or edges that the model makes depend on all nodes of the graph"
#: The same of graph tasks, whose graphs are not cut but lie side by side.
_OF_GRAPHS = {
    UNCUT: "the model could not run on several graphs at once",
    MIXED: "predictions for several graphs at once depend on each other",
    DIFFERENT: "predictions for several graphs at once differ from those on the full graph alone",
}


class FallbackWarning(UserWarning):
    """Instances could not be cut out of their graph and are explained on the full graph."""


class PooledMessagesWarning(UserWarning):
    """Some messages run between other nodes than the user's; their gates stay open."""


class UnstableModelWarning(UserWarning):
    """The model gives other outputs for the same input."""


class UncheckedFieldsWarning(UserWarning):
    """Predictions on receptive fields turned out to be wrong after some had been trusted."""


class UnseenWarning(UserWarning):
    """A part of the model is not among the messages that are scored."""


@dataclass
class Told:
    """What has been looked for and said, each thing once.

    Attributes:
        graph: the user's graph(s).
        task: the task.
        on_unseen: what is done about messages beside the known ones.
    """

    graph: TypedGraph
    task: Task
    on_unseen: OnUnseen
    _said: set[str] = field(default_factory=set)
    _searched: set[bool] = field(default_factory=set)
    _addition: str = ""

    def sample(self, model_call: ModelCall) -> Any:
        """The user's data; of a graph task one graph, of a large graph on disk a small piece."""
        if self.task.level == "graph":
            return single_graph(self.graph, 0, model_call, self.task)
        if self.graph.must_stay_cut:
            piece = trace_piece(self.graph, model_call, self.task)
            if piece is not None:
                return piece.data
        return own_data(self.graph, self.task, model_call)

    def search_unseen(self, batch: InstanceBatch) -> None:
        """Look once, cut and uncut, for what the known messages do not show.

        Raises:
            UnseenMessagesError: if there are other messages, unless that is to be a warning.
        """
        if self.on_unseen == "ignore" or batch.is_whole in self._searched or not batch.num_edges:
            return
        found = find_unseen(batch)
        if found is not None and found.are_messages and self.on_unseen == "raise":
            raise UnseenMessagesError(f"{found}; or pass on_unseen='warn' to score the known ones")
        self._searched.add(batch.is_whole)
        if found is None:
            return
        if batch.is_whole and not found.reads_edges:
            self._addition = f"; {found}"  # to falling back, which is told of
        elif "unseen" not in self._said:
            self._said.add("unseen")
            warnings.warn(str(found), UnseenWarning, stacklevel=2)

    def own_edges(self, wiring: Wiring) -> None:
        """Say what the model sends along edges that it builds itself, as the user wants it said.

        Raises:
            UnseenMessagesError: if scores would mislead, unless that is to be a warning.
        """
        found = None if self.on_unseen == "ignore" else own_edges(wiring)
        if found is None:
            return
        what, is_misleading = found
        if is_misleading and self.on_unseen == "raise":
            raise UnseenMessagesError(f"{what}; or pass on_unseen='warn' to score the known ones")
        warnings.warn(what, UnseenWarning, stacklevel=2)

    def is_unstable(self, model_call: ModelCall) -> bool:
        """Whether the model gives another output for the same input, which is said once."""
        if "unstable" in self._said:
            return True
        data = self.sample(model_call)
        with torch.no_grad():
            one, other = (run_on(model_call, data) for _ in range(2))
        if _is_same_output(one, other):
            return False
        self._said.add("unstable")
        warnings.warn(
            f"{type(model_call.model).__name__} gives other outputs when it is called again "
            "on the same data (dropout or sampling that stays on in evaluation mode, or a state "
            "kept between calls): every explanation is about one of these outputs, and none of "
            "them is tested. Make forward repeatable first",
            UnstableModelWarning,
            stacklevel=2,
        )
        return True

    def fall_back(self, model_call: ModelCall, what: str, error: Exception | None = None) -> None:
        """Warn of a fall-back, once; of a model that does not repeat itself nothing is promised."""
        if what in self._said:
            return
        self._said.add(what)
        what = _OF_GRAPHS.get(what, what) if self.task.level == "graph" else what
        self.is_unstable(model_call)
        reason = "" if error is None else f" ({type(error).__name__}: {error})"
        promise = "" if self._said & {"unstable", "unseen"} else "the result is right, but "
        tables = NodeTables.of(model_call.model, self.graph)
        advice = "" if tables is None else f". {tables.advice}"
        warnings.warn(
            f"{what}{reason}; falling back to the full graph, one instance at a time: {promise}"
            f"slower{self._addition}{advice}",
            FallbackWarning,
            stacklevel=2,
        )

    def lost_trust(self, num_given: int) -> None:
        """Warn that fields which were not checked themselves may be wrong, once."""
        if num_given and "trust" not in self._said:
            self._said.add("trust")
            warnings.warn(
                f"the model looks beyond the receptive fields of some instances, and not of those "
                f"that were checked first: the {num_given:,} explained so far may be wrong. "
                "Explain them again with check='local', which checks each",
                UncheckedFieldsWarning,
                stacklevel=2,
            )


def tell_of_pooling(wiring: Wiring) -> None:
    """Warn of messages between nodes, or along edges, that the model makes itself."""
    is_mapped = any(site.is_mapped for site in wiring.sites)
    names = [
        site.name
        for site in wiring.sites
        if site.is_derived and (is_mapped or not site.builds_edges)
    ]
    if names:
        warnings.warn(
            f"the messages of {', '.join(names)} run between nodes or along edges that the model "
            "makes itself (it pools, chooses neighbors by their states, or draws edges at random), "
            "so none of them belongs to an edge of the graph: they have no gates, and no scores of "
            "their own. What is scored are the messages along the graph's edges; their effect on "
            "what the model makes counts",
            PooledMessagesWarning,
            stacklevel=2,
        )


def _is_same_output(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and bool(torch.allclose(one, other, equal_nan=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return all(_is_same_output(one[name], other.get(name)) for name in one)
    return True  # what is neither is refused elsewhere
