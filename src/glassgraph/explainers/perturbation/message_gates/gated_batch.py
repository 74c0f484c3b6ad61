"""A batch with what gates read on its messages, from one unmasked run.

Gates are a flat tensor of K values, one for each place ``(layer, edge)`` with a message that can
reach a prediction. Where two sites of one layer send along the same edge, the value of the edge is
the mean of theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.messages import EndStates, SiteMessages, read_messages
from glassgraph.core.reachability import near_messages
from glassgraph.errors import GraphError
from glassgraph.explainers.perturbation.message_gates.groups import MessageGroup, find_groups
from glassgraph.explainers.perturbation.message_gates.inputs import (
    Inputs,
    no_inputs,
    read_inputs,
)
from glassgraph.explainers.perturbation.message_gates.relations import edge_types, is_unseen


@dataclass(frozen=True)
class GatedBatch:
    """A batch and what gates read on it.

    Attributes:
        batch: the batch.
        place: ``[K]`` position of each gate among the ``L * e`` of layers and edges.
        layer: ``[K]`` its layer.
        count: ``[K]`` how many messages it is on, None if one everywhere.
        groups: the groups of messages.
        inputs: what the scorer of each group reads; none where there is no gate.
        is_unseen: ``[K]`` which gates are on a relation that was not learned from, None for none.
    """

    batch: InstanceBatch
    place: Tensor
    layer: Tensor
    count: Tensor | None
    groups: Sequence[MessageGroup]
    inputs: Sequence[Inputs]
    _messages: Sequence[SiteMessages]
    _number: Mapping[int, int]  # for each site here, the one that a group knows it as
    _source: Tensor | None = None  # of `collect`
    is_unseen: Tensor | None = None

    @staticmethod
    def read(batch: InstanceBatch, groups: Sequence[MessageGroup] | None = None) -> GatedBatch:
        """Run the model once and read what its sites send.

        Args:
            batch: the batch.
            groups: the groups that gates were made for; None to find them.

        Raises:
            GraphError: if the messages have other widths than the gates were made for.
        """
        messages = read_messages(batch)
        names = [site.name for site in batch.wiring.sites]
        groups = groups or find_groups(messages, names)
        has_message = near_messages(batch).reshape(-1)
        place = has_message.nonzero().view(-1)
        if not place.numel():
            return GatedBatch(batch, place, place, None, groups, [], [], {})
        number = {
            site: group.sites[at] for group in groups for site, at in group.numbers(names).items()
        }
        inputs = _read_groups(batch, groups, messages, has_message)
        count = torch.zeros(place.numel(), dtype=torch.long, device=batch.device)
        for each in inputs:
            count.index_add_(0, each.slot, torch.ones_like(each.slot))
        is_single = bool((count == 1).all())
        return GatedBatch(
            batch=batch,
            place=place,
            layer=place // max(1, batch.num_edges),
            count=None if is_single else count.clamp_min(1).to(batch.dtype),
            groups=groups,
            inputs=inputs,
            _messages=[_without_numbers(each) for each in messages],
            _number=number,
            _source=_source(inputs, is_single),
            is_unseen=_unseen(batch, groups, messages, number, has_message),
        )

    @property
    def num_messages(self) -> int:
        """Number K of gates."""
        return self.place.numel()

    @property
    def num_bytes(self) -> int:
        """Memory that the inputs take."""
        return sum(each.num_bytes for each in self.inputs)

    @property
    def edge(self) -> Tensor:
        """``[K]`` the batch's edge of each gate."""
        return self.place % max(1, self.batch.num_edges)

    def relation(self, known: Sequence[tuple[str, int]]) -> Tensor:
        """``[K]`` which of some relations each gate is on, -1 for none of them.

        Where messages of several share a gate, the last counts.
        """
        num_edges = max(1, self.batch.num_edges)
        found = self.place.new_full((self.batch.num_layers * num_edges,), -1)
        for each in self._messages:
            name = self.batch.wiring.sites[each.site].name
            place, kinds = each.layer * num_edges + each.edge, edge_types(each)
            for number, (site, kind) in enumerate(known):
                if site == name:
                    found[place[kinds == kind]] = number
        return found[self.place]

    def collect(self, scores: Sequence[Tensor]) -> Tensor:
        """Values ``[K]`` from those of each group's rows; the mean where a gate has several."""
        flat = torch.cat(list(scores)) if len(scores) > 1 else scores[0]
        if self._source is not None:
            flat = flat.index_select(0, self._source)
        if self.count is None:
            return flat
        zeros = flat.new_zeros(self.num_messages)
        return zeros.index_add(0, torch.cat([e.slot for e in self.inputs]), flat) / self.count

    def gates(self, value: Tensor) -> Tensor:
        """Gates ``[L, e]`` for values ``[K]``; 1 where there is no message to gate."""
        batch = self.batch
        if value.numel() == batch.num_layers * batch.num_edges:
            return value.view(batch.num_layers, batch.num_edges)
        ones = value.new_ones(batch.num_layers * batch.num_edges)
        return ones.index_copy(0, self.place, value).view(batch.num_layers, batch.num_edges)

    def scores(self, value: Tensor) -> Tensor:
        """Scores ``[L, e]`` for values ``[K]``; 0 where there is no message."""
        batch = self.batch
        zeros = value.new_zeros(batch.num_layers * batch.num_edges)
        return zeros.index_copy(0, self.place, value).view(batch.num_layers, batch.num_edges)

    def baselines(self, values: dict[int, Tensor]) -> list[Tensor | None]:
        """Baselines as `InstanceBatch.output` takes them, from values of each site."""
        found: list[Tensor | None] = [None] * len(self.batch.wiring.sites)
        for each in self._messages:
            number = self._number.get(each.site)
            if number in values:
                found[each.site] = each.baseline(values[number])
        return found

    def open_unseen(self, location: Tensor) -> Tensor:
        """Locations ``[K]``, infinite on relations that were not learned from."""
        if self.is_unseen is None:
            return location
        return torch.where(self.is_unseen, torch.inf, location)

    def relations(self, *, unseen: bool = False) -> set[tuple[str, int]]:
        """Sites and edge types of messages with a gate; of those that were not learned from."""
        gate = self.place.new_full((self.batch.num_layers * self.batch.num_edges,), -1)
        gate[self.place] = torch.arange(self.num_messages, device=gate.device)
        found = set()
        for each in self._messages:
            slot = gate[each.layer * self.batch.num_edges + each.edge]
            is_meant = slot >= 0
            if unseen:
                is_meant &= False if self.is_unseen is None else self.is_unseen[slot]
            name = self.batch.wiring.sites[each.site].name
            found |= {(name, kind) for kind in edge_types(each)[is_meant].unique().tolist()}
        return found

    def mean_messages(self) -> dict[str, Tensor]:
        """For each group, each instance's mean message ``[B, D]``."""
        found = {}
        batch = self.batch
        owners = batch.edge_instance[self.edge]
        for group, message, slot in self.messages():
            owner = owners[slot]
            count = torch.bincount(owner, minlength=batch.num_instances).clamp_min(1)
            total = message.new_zeros((batch.num_instances, group.widths[2]))
            found[group.name] = total.index_add_(0, owner, message).div_(count.view(-1, 1))
        return found

    def messages(self) -> Iterator[tuple[MessageGroup, Tensor, Tensor]]:
        """For each group its messages ``[m, D]``, and which of the K gates is on each, ``[m]``.

        Entries of matrices are written out here, before their weight.
        """
        for group, each in zip(self.groups, self.inputs, strict=bool(self.inputs)):
            yield group, each.messages(), each.slot

    def site_edges(self) -> Iterable[tuple[int, Tensor]]:
        """For each site of the groups, the batch's edge behind each of its messages."""
        return (
            (self._number[each.site], each.edge)
            for each in self._messages
            if each.site in self._number
        )


class GateReader:
    """Reads batch after batch; groups are those of the first."""

    def __init__(self) -> None:
        self._groups: Sequence[MessageGroup] | None = None

    def __call__(self, batch: InstanceBatch) -> GatedBatch:
        """Read one batch."""
        found = GatedBatch.read(batch, self._groups)
        self._groups = found.groups
        return found


def _read_groups(
    batch: InstanceBatch,
    groups: Sequence[MessageGroup],
    messages: Sequence[SiteMessages],
    has_message: Tensor,
) -> list[Inputs]:
    """What the scorer of each group reads."""
    names = [site.name for site in batch.wiring.sites]
    slots = has_message.cumsum(0) - 1
    inputs: list[Inputs] = []
    for group in groups:
        number = group.numbers(names)
        found = {number[each.site]: each for each in messages if each.site in number}
        wrong = [each.widths for each in found.values() if each.widths != group.widths]
        if wrong or (group.is_matrix and len(found) != len(group.sites)):
            raise GraphError(
                f"the gates of layer {group.layer} were fitted on states and messages of widths "
                f"{group.widths}; here they have {wrong[0] if wrong else 'none'}"
            )
        if not found:  # no edge of its relations is here
            inputs.append(no_inputs(group, batch.reference))
            continue
        place = torch.cat([each.layer * batch.num_edges + each.edge for each in found.values()])
        kept = has_message[place]  # a site that cannot be trimmed sends messages of no use
        size = len(group.sites)
        inputs.append(read_inputs(found, size, batch.dtype, kept, slots[place[kept]]))
    return inputs


def _unseen(
    batch: InstanceBatch,
    groups: Sequence[MessageGroup],
    messages: Sequence[SiteMessages],
    number: Mapping[int, int],
    has_message: Tensor,
) -> Tensor | None:
    """``[K]`` which gates are on a message of a relation that was not learned from."""
    learned = {
        site: group.learned[at] if group.learned is not None else None
        for group in groups
        for at, site in enumerate(group.sites)
    }
    found = torch.zeros_like(has_message)
    for each in messages:
        known = learned[number[each.site]] if each.site in number else ()
        found[each.layer * batch.num_edges + each.edge[is_unseen(each, known)]] = True
    found = found[has_message]
    return found if bool(found.any()) else None


def _source(inputs: Sequence[Inputs], is_single: bool) -> Tensor | None:
    """Which of all groups' scores is whose: the gates', or (where several share one) the messages'.

    None if that is their own order.
    """
    offset, places = 0, []
    for each in inputs:
        places.append(offset + each.place())
        offset += each.num_scores
    source = torch.cat(places)
    if is_single:
        source = torch.empty_like(source).index_copy(
            0, torch.cat([each.slot for each in inputs]), source
        )
    own = torch.arange(offset, device=source.device)
    return None if torch.equal(source, own) else source


def _without_numbers(messages: SiteMessages) -> SiteMessages:
    empty = messages.message.new_empty((0, 0))
    nobody = EndStates(empty, messages.edge[:0])
    return replace(messages, senders=nobody, receivers=nobody, message=empty, matrix=None)
