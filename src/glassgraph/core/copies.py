"""Copies of instances that differ in one edge each, for methods that shut one edge at a time.

Shutting the edge ``u -> v`` changes the state of ``v`` and of what ``v`` can reach on the way to
the prediction; everything else is as before. Where nodes interact along edges only, a copy
therefore needs the *affected* nodes alone, and reads the rest from one shared original. With K
message-passing steps a node ``w`` is affected if

    steps(v -> w) + distance(w) <= K - 1.

Whether the model can be shared like this is seen from the copies' own predictions with open gates,
while messages and features of every second copy are disturbed; if they differ (and always for graph
tasks, whose readout needs every node) whole instances are copied, each copy taking its turn with
several edges. If copies side by side are wrong even so, edges are shut one at a time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.calling.call import refuse_chance
from glassgraph.calling.out_of_memory import let_through
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.context import rows_agree
from glassgraph.errors import ModelCallError
from glassgraph.inputs.graph import CompressedIndex
from glassgraph.inputs.node_features import with_others
from glassgraph.inputs.receptive import Fields, expand

#: Message rows per layer that one pass over copies works on, about a cache's worth.
_ROWS_AT_ONCE = 1 << 14
#: The same where all nodes share a dense adjacency matrix, which grows with their square.
_ROWS_WITH_MATRIX = 1 << 10
#: Rounds that a group of whole copies serves: packing costs about as much as two passes.
_ROUNDS = 12
#: Nodes that may all lie where a ReLU is flat.
_FEW_NODES = 64


@dataclass(frozen=True)
class Turn:
    """Copies that are evaluated together, each with one edge to change.

    Attributes:
        batch: the copies (and, where they share it, the original) as one batch.
        copy: ``[C]`` number of each copy among the batch's instances.
        shut: ``[C]`` the edge of ``batch`` that a copy changes.
        instance: ``[C]`` the original instance.
        edge: ``[C]`` the original edge.
    """

    batch: InstanceBatch
    copy: Tensor
    shut: Tensor
    instance: Tensor
    edge: Tensor


def edge_copies(batch: InstanceBatch, budget: int) -> Iterator[Turn]:
    """Visit every edge of every instance once, many at a time.

    Args:
        batch: the instances.
        budget: bytes that the copies of one turn may take.
    """
    if not batch.num_edges:
        return
    most_rows = rows_at_once(batch, budget)
    # An explained edge has its row among those of its receiver, which originals would share.
    can_share = batch.task.level != "graph" and not batch.task.is_about_edges
    can_share = can_share and not batch.is_whole and not batch.keeps_graphs
    if can_share and not batch.wiring.needs_both_directions:
        turns = _if_right(lambda: _shared_copies(batch, most_rows), batch)
        if turns is not None:
            yield from turns
            return
    turns = _if_right(lambda: _whole_copies(batch, most_rows), batch)
    if turns is not None:
        yield from turns
    else:  # the model mixes what lies side by side, or is for one at a time
        yield from _whole_copies(batch, 1)


def rows_at_once(batch: InstanceBatch, budget: int, bytes_per_channel: int = 16) -> int:
    """How many rows, of edges and nodes together, one pass over copies should have."""
    most = _ROWS_WITH_MATRIX if batch.wiring.num_matrices else _ROWS_AT_ONCE
    return max(1, min(most, budget // (bytes_per_channel * (batch.wiring.width + 8))))


def repeat_instances(batch: InstanceBatch, most: int, budget: int) -> tuple[InstanceBatch, int]:
    """All instances several times over, for methods that evaluate them at several points.

    Args:
        batch: the instances.
        most: how many copies of each are of use.
        budget: bytes that a forward and backward pass over the copies may take.

    Returns:
        The copies, and how many of each there are: as many as pay. First comes the whole batch,
        then the whole batch again. One copy is the batch itself, also where instances cannot be
        copied or a model mixes what lies side by side.
    """
    rows = max(1, batch.num_edges + batch.num_nodes)
    times = 1 if batch.is_whole else min(most, rows_at_once(batch, budget, 24) // rows)
    if times < 2:
        return batch, 1
    times = -(-most // -(-most // times))  # as few as do with the same number of passes
    owner = torch.arange(batch.num_instances, device=batch.device).repeat(times)

    def taken() -> tuple[InstanceBatch, bool]:
        copies = batch.take(owner)
        return copies, are_apart(copies, batch.reference_of(owner))

    try:
        copies, is_right = taken()
    except Exception as error:  # noqa: BLE001 - a model for one graph at a time
        let_through(error)
        refuse_chance(taken, error)
        return batch, 1
    return (copies, times) if is_right else (batch, 1)


def are_apart(copies: InstanceBatch, reference: Tensor) -> bool:
    """Whether a model leaves copies alone that lie side by side.

    Every second copy is disturbed; the others must still give their predictions.

    Args:
        copies: the copies.
        reference: ``[K, C]`` the prediction that each should give.
    """
    every = torch.arange(copies.num_instances, device=copies.device)
    return _are_calm(copies, every[1::2], reference)


def instances_are_apart(batch: InstanceBatch) -> bool:
    """Whether a model leaves instances alone that lie side by side.

    As they are they may give their predictions even to a model that mixes them: side by side they
    can be the user's graph, or several of it, and have its mean. So every second one is disturbed;
    a single one lies beside a copy of itself.
    """
    if batch.num_instances == 1:
        batch = batch.take(torch.zeros(2, dtype=torch.long, device=batch.device))
    return are_apart(batch, batch.reference)


def _if_right(make: Callable[[], Iterator[Turn]], batch: InstanceBatch) -> Iterator[Turn] | None:
    """Turns, if the first one's copies, and the originals that they share, leave each other alone.

    Args:
        make: begins the turns.
        batch: the instances.
    """

    def begun() -> Iterator[Turn] | None:
        turns = make()
        first = next(turns)
        is_right = batch.is_whole or _are_calm(first.batch, first.copy[::2], first.batch.reference)
        return itertools.chain([first], turns) if is_right else None

    try:
        return begun()
    except Exception as error:  # noqa: BLE001 - the copies are ours
        let_through(error)
        refuse_chance(begun, error)
        return None


@torch.no_grad()
def _are_calm(batch: InstanceBatch, disturbed: Tensor, reference: Tensor) -> bool:
    """Whether all instances but the disturbed ones give their predictions.

    Of a few nodes all may lie where a ReLU is flat, so these are asked twice, with what lies beside
    them moved to either side.
    """
    is_calm = torch.ones(batch.num_instances, dtype=torch.bool, device=batch.device)
    is_calm[disturbed] = False
    is_few = int(is_calm[batch.node_instance].sum()) <= _FEW_NODES
    rows = batch.targets.rows_of(is_calm.nonzero().view(-1))
    for side in (1, -1) if is_few else (1,):
        output = _disturbed_output(batch, ~is_calm, side)[rows]
        if not bool(rows_agree(output, reference[rows], batch.model_call).all()):
            return False
    return True


def _disturbed_output(batch: InstanceBatch, is_disturbed: Tensor, side: int) -> Tensor:
    """The model's output with other messages and features in some instances.

    Open copies of one instance would give their predictions even to a model that takes a mean over
    all; shut ones beside them would leave it a maximum. Messages times 3 and -3 move both. To
    either side go features: were messages to go as well, their product would stay. Without
    features it is messages.

    Args:
        batch: the instances.
        is_disturbed: ``[B]`` which.
        side: 1 or -1, which are opposite to each other.
    """
    features = batch.all_features
    gates = torch.full_like(batch.ones(), 3)
    gates[1::2] = -3
    if all(x is None for x in features):
        gates *= side
    gates[~is_disturbed[batch.edge_instance]] = 1
    nodes = is_disturbed[batch.node_instance]

    def output(is_scaled: bool) -> Tensor:
        position = batch.packed.node_position
        return batch.output(
            gates, with_others(features, nodes, position, side, is_scaled=is_scaled)
        )

    try:
        return output(True)
    except ModelCallError:
        raise
    except Exception as error:  # noqa: BLE001 - such features are ours, those of other nodes not
        let_through(error)
        refuse_chance(lambda: output(True), error)
        return output(False)


def _shared_copies(batch: InstanceBatch, most_rows: int) -> Iterator[Turn]:
    """Copies of the affected nodes, beside one original of each instance."""
    rows = _affected(batch.fields, batch.fields.destination, batch.wiring.num_hops).rows
    filled = rows.cumsum(0)
    first, num_edges = 0, batch.num_edges
    while first < num_edges:
        before = int(filled[first - 1]) if first else 0
        last = int(torch.searchsorted(filled, before + most_rows, right=True))
        last = min(max(last, first + 1), num_edges)
        yield _share(batch, first, last)
        first = last


@dataclass(frozen=True)
class _Affected:
    """The affected nodes behind some edges.

    Attributes:
        root: ``[r]`` which group of nodes each edge's receiver has.
        pointer: ``[R + 1]`` and ``node``: the groups, as positions in the fields, ascending.
        incoming: the fields' edges by receiver.
    """

    root: Tensor
    pointer: Tensor
    node: Tensor
    incoming: CompressedIndex

    @property
    def rows(self) -> Tensor:
        """``[r]`` how many messages a copy of each edge recomputes in a step, at most."""
        degree = self.incoming.pointer.diff()[self.node]
        running = torch.cat([degree.new_zeros(1), degree.cumsum(0)])
        return running[self.pointer].diff()[self.root]


def _affected(fields: Fields, receiver: Tensor, num_hops: int) -> _Affected:
    num_nodes = max(1, fields.node.numel())
    outgoing = CompressedIndex.build(fields.source, fields.node.numel())
    start, root = torch.unique(receiver, return_inverse=True)
    group = torch.arange(start.numel(), device=start.device)
    frontier = group * num_nodes + start
    found = frontier
    for step in range(1, num_hops):
        position, origin = expand(outgoing.pointer, frontier % num_nodes)
        reached = fields.destination[outgoing.edge[position]]
        key = (frontier // num_nodes)[origin] * num_nodes + reached
        key = torch.unique(key[fields.distance[reached] <= num_hops - 1 - step])
        frontier = key[~torch.isin(key, found)]
        if not frontier.numel():
            break
        found = torch.cat([found, frontier])
    found = found.sort().values
    pointer = torch.searchsorted(
        found, torch.arange(start.numel() + 1, device=start.device) * num_nodes
    )
    incoming = CompressedIndex.build(fields.destination, fields.node.numel())
    return _Affected(root, pointer, found % num_nodes, incoming)


def _share(batch: InstanceBatch, first: int, last: int) -> Turn:
    """Build the copies for the edges ``first`` to ``last - 1``."""
    device = batch.device
    every_edge = torch.arange(first, last, device=device)
    instance = batch.edge_instance[first:last]
    low, high = int(instance[0]), int(instance[-1]) + 1
    originals = torch.arange(low, high, device=device)
    base = batch.fields.take(originals)
    own_edge = every_edge - int(torch.searchsorted(batch.edge_instance, low))
    fields, shut = _with_copies(base, own_edge, instance - low, batch.wiring.num_hops)
    return Turn(
        batch=batch.with_fields(fields, torch.cat([originals, instance])),
        copy=high - low + torch.arange(last - first, device=device),
        shut=shut,
        instance=instance,
        edge=every_edge,
    )


def _with_copies(
    base: Fields, own_edge: Tensor, instance: Tensor, num_hops: int
) -> tuple[Fields, Tensor]:
    """Fields, and beside them for each of some edges a copy of the nodes that it affects.

    Args:
        base: the originals.
        own_edge: ``[C]`` the edge that each copy is to change.
        instance: ``[C]`` the original of each copy.
        num_hops: message-passing steps K.

    Returns:
        All fields, and where in them the copies of ``own_edge`` stand.
    """
    num_nodes, num_copies = base.node.numel(), own_edge.numel()
    affected = _affected(base, base.destination[own_edge], num_hops)
    position, copy = expand(affected.pointer, affected.root)
    node = affected.node[position]
    row, receiver = expand(affected.incoming.pointer, node)
    edge, edge_copy = affected.incoming.edge[row], copy[receiver]
    own = _OwnNodes(copy * num_nodes + node, num_nodes)
    every_copy = torch.arange(num_copies, device=own_edge.device)
    fields = Fields(
        num_instances=base.num_instances + num_copies,
        node_instance=torch.cat([base.node_instance, base.num_instances + copy]),
        node=torch.cat([base.node, base.node[node]]),
        distance=torch.cat([base.distance, base.distance[node]]),
        edge_instance=torch.cat([base.edge_instance, base.num_instances + edge_copy]),
        edge=torch.cat([base.edge, base.edge[edge]]),
        source=torch.cat([base.source, own.or_original(edge_copy, base.source[edge])]),
        destination=torch.cat([base.destination, num_nodes + receiver]),
        seed=torch.cat([base.seed, own.or_original(every_copy.view(-1, 1), base.seed[instance])]),
    )
    shut = (edge == own_edge[edge_copy]).nonzero().view(-1)
    return fields, base.edge.numel() + shut


@dataclass(frozen=True)
class _OwnNodes:
    """The nodes that copies have for themselves, behind those of the originals.

    Attributes:
        key: ``[r]`` ascending, ``copy * num_nodes + node`` for each.
        num_nodes: nodes of the originals.
    """

    key: Tensor
    num_nodes: int

    def or_original(self, copy: Tensor, node: Tensor) -> Tensor:
        """The copy's own node if it has one, else the original's."""
        wanted = copy * self.num_nodes + node
        place = torch.searchsorted(self.key, wanted).clamp_max(self.key.numel() - 1)
        return torch.where(self.key[place] == wanted, self.num_nodes + place, node)


def _whole_copies(batch: InstanceBatch, most_rows: int) -> Iterator[Turn]:
    """Copies of whole instances, each taking its turn with some of the edges."""
    count = batch.edges_per_instance
    order = torch.argsort(count, stable=True)
    order = order[count[order] > 0]
    size = count[order]
    rounds = min(_ROUNDS, max(1, int((size * size).sum()) // most_rows))
    stride = torch.minimum(-(-size // rounds), (most_rows // size).clamp_min(1))
    if batch.is_whole:
        stride = torch.ones_like(size)
    filled = (stride * size).cumsum(0)
    first_edge = count.cumsum(0) - count
    first = 0
    while first < order.numel():
        before = int(filled[first - 1]) if first else 0
        last = int(torch.searchsorted(filled, before + most_rows, right=True))
        last = max(first + 1, last)
        yield from _rounds(batch, order[first:last], stride[first:last], first_edge)
        first = last


def _rounds(
    batch: InstanceBatch, instances: Tensor, stride: Tensor, first_edge: Tensor
) -> Iterator[Turn]:
    position = torch.repeat_interleave(stride)
    owner, width = instances[position], stride[position]
    turn = torch.arange(owner.numel(), device=batch.device) - (stride.cumsum(0) - stride)[position]
    copies = batch if batch.is_whole else batch.take(owner)
    count = copies.edges_per_instance
    start = count.cumsum(0) - count
    while (active := (turn < count).nonzero().view(-1)).numel():
        yield Turn(
            batch=copies,
            copy=active,
            shut=start[active] + turn[active],
            instance=owner[active],
            edge=first_edge[owner[active]] + turn[active],
        )
        turn = turn + width
