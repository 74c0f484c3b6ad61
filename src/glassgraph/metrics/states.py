"""The model's answers in many states of many instances, side by side.

A *state* is an instance with some of its edges, nodes or features missing. Any number of them, of
any instances, is asked for at once; as many go into one pass of the model as the memory budget
bears, on the same packing as the methods' own. What missing means is `glassgraph.metrics.removal`'s
subject:

* messages are shut, and features replaced, in copies of the packed instances, which are packed once
  and take their turn with all states;
* what is deleted takes one hop more than the receptive field, so that the degrees at its boundary
  are the graph's own; where the uncut prediction does not come out there (global operations), the
  instance runs on the full graph, alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from glassgraph.black_box.variants import on_a_part
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.copies import repeat_instances
from glassgraph.core.prepare import Preparation
from glassgraph.errors import UnknownMetricError, UnsupportedModelError
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.node_features import (
    all_features,
    feature_names,
    float_features,
    why_no_floats,
)
from glassgraph.inputs.receptive import Fields
from glassgraph.inputs.rows import mean_rows
from glassgraph.inputs.task import Targets, decision, explained_probability, predicted_class
from glassgraph.metrics.reduced_graphs import Asker, Piece, full, is_reproduced, run, surroundings
from glassgraph.metrics.removal import (
    DELETIONS,
    Of,
    Removal,
    newly_isolated,
    without_edges,
    without_nodes,
)


@dataclass(frozen=True)
class States:
    """Which states are asked for.

    Attributes:
        instance: ``[S]`` the instance that each is of.
        is_present: from ``[k]`` numbers of states and ``[k]`` items (flat edges or nodes; for a
            feature ``node * width + column``) to ``[k]`` bool, whether the state has the item.
    """

    instance: Tensor
    is_present: Callable[[Tensor, Tensor], Tensor]

    @staticmethod
    def of_each(
        instance: Tensor, num_states: int, is_present: Callable[[Tensor, Tensor, Tensor], Tensor]
    ) -> States:
        """The same states of each instance: first number 0 of all, then number 1 of all.

        Args:
            instance: ``[b]`` the instances.
            num_states: of each.
            is_present: from numbers below ``num_states``, instances and items, each ``[k]``.
        """
        size = max(1, instance.numel())

        def present(state: Tensor, item: Tensor) -> Tensor:
            return is_present(state // size, instance[state % size], item)

        return States(instance.repeat(num_states), present)


@dataclass(frozen=True)
class Answers:
    """What a model says in each of S states.

    Attributes:
        value: ``[S]`` probability of the explained class (less that of its contrast), or the value
            of a regression; NaN where nothing is left of the graph.
        decision: ``[S]`` 1 where the explained class is decided for, else 0 (a share, of instances
            with several rows); NaN for a regression.
        predicted: ``[S]`` the predicted class; -1 for a regression, for instances with several rows
            and where nothing is left of the graph. Empty where it was not asked for.
    """

    value: Tensor
    decision: Tensor
    predicted: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))


def state_batches(
    preparation: Preparation,
    instances: Instances,
    targets: Targets,
    of: Of,
    removal: Removal,
    budget: int,
) -> Iterator[StateBatch]:
    """Batches of instances whose states can be asked for; call it inside ``protected``.

    Args:
        preparation: model and graph.
        instances: the instances.
        targets: what is explained of each.
        of: what is removed.
        removal: what removing it means.
        budget: bytes that one pass may take.
    """
    if not len(instances):
        return
    shared = Asker(preparation, instances, targets, of, removal, budget)
    for position, batch in preparation.batches(instances, targets.chosen, budget):
        yield StateBatch(shared, position, batch)


@dataclass
class StateBatch:
    """Some instances, and the model's answers in any states of theirs.

    Attributes:
        position: ``[b]`` which of all instances they are.
        before: the answers ``[b]`` in the state where nothing is missing.
    """

    _shared: Asker = field(repr=False)
    position: Tensor
    _batch: InstanceBatch = field(repr=False)
    before: Answers = field(init=False)
    _copies: dict[int, tuple[InstanceBatch, int]] = field(default_factory=dict, repr=False)
    _fields: list[Piece] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.before = self._answers(self._batch.reference, self.position)

    @torch.no_grad()
    def ask(self, states: States) -> Answers:
        """The model's answers in states of these instances.

        Raises:
            UnsupportedModelError: if the model fails on a part of the graph.
            UnknownMetricError: if the graph cannot be rebuilt without an edge.
        """
        size = states.instance.numel()
        value = self.before.value.new_full((size,), float("nan"))
        decided = self.before.decision.new_full((size,), float("nan"))
        predicted = self.before.predicted.new_full((size,), -1)
        place = torch.empty(len(self._shared.instances), dtype=torch.long, device=value.device)
        place[self.position] = torch.arange(self.position.numel(), device=value.device)
        local = place[states.instance]
        deletes = self._shared.removal in DELETIONS
        for number, output in (self._deleted if deletes else self._replaced)(states, local):
            found = self._answers(output, states.instance[number])
            value[number], decided[number] = found.value, found.decision
            predicted[number] = found.predicted
        return Answers(value, decided, predicted)

    def _answers(self, output: Tensor, instance: Tensor) -> Answers:
        task, asked = self._shared.preparation.task, self._shared.targets.take(instance)
        value = explained_probability(task, output, asked)
        none = torch.full_like(value, -1, dtype=torch.long)
        if not task.is_classification:
            unknown = torch.full_like(value, float("nan"), dtype=torch.float64)
            return Answers(value, unknown, none)
        decided = mean_rows(asked.rows, decision(task, output, asked).double())
        has_one = asked.rows is None
        return Answers(value, decided, predicted_class(task, output) if has_one else none)

    # Messages shut, and features replaced

    def _replaced(self, states: States, local: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Numbers of states, and the output for them, pass after pass."""
        if not local.numel():
            return
        size = self._batch.num_instances
        turn = _number_within(local)
        most = int(turn.max()) + 1
        if most not in self._copies:
            self._copies = {most: repeat_instances(self._batch, most, self._shared.budget)}
        copies, times = self._copies[most]
        for first in range(0, most, times):
            now = ((turn >= first) & (turn < first + times)).nonzero().view(-1)
            state = torch.full((size * times,), -1, device=local.device)
            state[(turn[now] - first) * size + local[now]] = now
            output = self._changed_output(copies, states, state)
            slot = (state >= 0).nonzero().view(-1)
            yield state[slot], output[copies.targets.rows_of(slot)]

    def _changed_output(self, copies: InstanceBatch, states: States, state: Tensor) -> Tensor:
        """The output of copies, each in its state (-1 for all there)."""
        if self._shared.removal != "shut":
            with on_a_part():
                return copies.output(None, self._features(copies, states, state))
        fields = copies.fields
        if self._shared.of == "edge":
            present = _present(states, state[fields.edge_instance], fields.edge)
        else:
            nodes = _present(states, state[fields.node_instance], fields.node)
            nodes |= self._stays(fields, self._owner(copies))
            present = nodes[fields.source] & nodes[fields.destination]
        return copies.output(gates=present.to(copies.dtype))

    def _features(
        self, copies: InstanceBatch, states: States, state: Tensor
    ) -> list[Tensor | None]:
        fields = copies.fields
        replaced: list[Tensor | None] = []
        for x, base, position in zip(
            copies.features, self._baseline(), copies.packed.node_position, strict=True
        ):
            if x is None or base is None:
                replaced.append(None)
                continue
            number, node = state[fields.node_instance[position]], fields.node[position]
            if self._shared.of == "node":
                stays = self._stays(fields, self._owner(copies))[position]
                present = (_present(states, number, node) | stays).view(-1, 1)
            else:
                item = node.view(-1, 1) * feature_width(self._shared.preparation) + _columns(x)
                present = _present(states, number.view(-1, 1).expand_as(item), item)
            replaced.append(torch.where(present, x, base))
        return replaced

    def _baseline(self) -> list[Tensor | None]:
        """For each node type what stands in the place of a missing feature, ``[F_t]``."""
        batch = self._batch
        found = float_features(batch.graph, batch.graph.data, batch.feature_names)
        if self._shared.removal == "zero":
            return [None if x is None else torch.zeros_like(x[0]) for x in found]
        return [None if x is None else x.mean(dim=0) for x in found]

    # Edges and nodes deleted

    def _deleted(self, states: States, local: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        if self._fields is None:
            self._fields = self._cut()
        for piece in self._fields:
            place = local.new_full((self._batch.num_instances,), -1)
            place[piece.rows] = torch.arange(piece.rows.numel(), device=local.device)
            mine = (place[local] >= 0).nonzero().view(-1)
            for number in piece.parts(mine, place[local[mine]], self._batch, self._shared.budget):
                yield from self._deleted_together(states, piece, number, place[local[number]])

    def _deleted_together(
        self, states: States, piece: Piece, number: Tensor, owner: Tensor
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The states ``number``, of the instances ``owner`` of a piece, in one pass."""
        fields = self._reduced(states, number, piece.fields.take(owner))
        if self._shared.preparation.task.level == "graph":
            sizes = torch.bincount(fields.node_instance, minlength=number.numel())
            left = (sizes > 0).nonzero().view(-1)
            if left.numel() < number.numel():
                fields, number = fields.take(left), number[left]
        if number.numel():
            with on_a_part():
                output = run(self._shared, fields, states.instance[number])
            yield number, output

    def _reduced(self, states: States, number: Tensor, fields: Fields) -> Fields:
        stays = self._stays(fields, states.instance[number])
        if self._shared.of == "node":
            present = _present(states, number[fields.node_instance], fields.node)
            return without_nodes(fields, present | stays)
        kept = without_edges(fields, _present(states, number[fields.edge_instance], fields.edge))
        if self._shared.removal == "delete":
            return kept
        return without_nodes(kept, ~newly_isolated(fields, kept) | stays)

    def _owner(self, copies: InstanceBatch) -> Tensor:
        """The instance of each copy."""
        return self.position.repeat(copies.num_instances // self._batch.num_instances)

    def _stays(self, fields: Fields, instance: Tensor) -> Tensor:
        """``[n]`` whether a prediction is about a node, so that it cannot be taken away.

        Args:
            fields: of some instances, which may come several times.
            instance: which instance each is.
        """
        found = torch.zeros(fields.node.numel(), dtype=torch.bool, device=fields.node.device)
        found[fields.seed.flatten()] = True
        rows = self._shared.instances.rows
        if rows is None:
            return found
        span = max(1, self._shared.preparation.graph.num_nodes)
        own = instance[fields.node_instance] * span + fields.node
        return found | torch.isin(own, rows.instance * span + rows.node)

    def _cut(self) -> list[Piece]:
        """Fields on which edges can be deleted: together where that is right, else alone."""
        shared, batch = self._shared, self._batch
        done = torch.zeros(batch.num_instances, dtype=torch.bool, device=batch.device)
        found = []
        if not batch.is_whole:
            for rows, fields in surroundings(shared, self.position):
                if is_reproduced(shared, fields, self.position[rows], batch.reference_of(rows)):
                    found.append(Piece(rows, fields, is_alone=False))
                    done[rows] = True
        for rows in (~done).nonzero():
            fields = full(shared, self.position[rows])
            if not is_reproduced(shared, fields, self.position[rows], batch.reference_of(rows)):
                raise UnknownMetricError(
                    f"removal={shared.removal!r} cannot rebuild the graph for this model (it reads "
                    "something that does not follow edge_index); use removal='shut'"
                )
            found.append(Piece(rows, fields, is_alone=True))
        return found


def feature_width(preparation: Preparation) -> int:
    """Most features that a node of the user's data has.

    Raises:
        UnsupportedModelError: if features are integers, which cannot be replaced, or missing.
    """
    graph = preparation.graph
    names = feature_names(graph, preparation.model_call.needs)
    floats = float_features(graph, graph.data, names)
    every = all_features(graph, graph.data, names)
    if all(x is None for x in floats) or any(
        x is None and other is not None for x, other in zip(floats, every, strict=True)
    ):
        raise UnsupportedModelError(
            "features are replaced by zero or by their mean, which takes floating numbers; "
            f"{why_no_floats(graph, names)}. Use of='edge', or of='node' with removal='shut'"
        )
    return max(x.size(1) for x in floats if x is not None)


def _present(states: States, state: Tensor, item: Tensor) -> Tensor:
    """Whether items are there; all of them in state -1."""
    found = torch.ones_like(item, dtype=torch.bool)
    known = state >= 0
    found[known] = states.is_present(state[known], item[known])
    return found


def _number_within(group: Tensor) -> Tensor:
    """``[S]`` how many earlier entries are equal."""
    order = torch.argsort(group, stable=True)
    count = torch.bincount(group)
    start = count.cumsum(0) - count
    number = torch.empty_like(group)
    number[order] = torch.arange(group.numel(), device=group.device) - start[group[order]]
    return number


def _columns(x: Tensor) -> Tensor:
    return torch.arange(x.size(1), device=x.device)
