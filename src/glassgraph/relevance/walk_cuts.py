"""One run of a model with every site cut where the states of senders enter ``message()``.

After the cut the layer goes on with copies that gradients do not pass: what autograd finds for them
is what happens at single nodes, between the messages of one layer and the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from glassgraph.calling.precision import full_precision
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.modified_backward import ModifiedBackward
from glassgraph.core.shared_rows import SharedRows
from glassgraph.errors import WalkError
from glassgraph.inputs.node_features import why_no_floats

#: A tensor before a cut, and the leaf that the model goes on with.
Piece = tuple[Tensor, Tensor]


def cut(states: Tensor, pieces: list[Piece]) -> Tensor:
    """The states as a leaf of their own.

    A modified backward pass (`glassgraph.relevance`) sees this function as an operation: it may
    cut the states in several pieces, one for each part that its rules carry.

    Args:
        states: in the autograd graph.
        pieces: receives what was cut: tensors of the shape of ``states`` before and after.

    Returns:
        What the model goes on with.
    """
    if has_torch_function((states,)):
        result: Tensor = handle_torch_function(cut, (states,), states, pieces)
        return result
    leaf = states.detach().requires_grad_()
    pieces.append((states, leaf))
    return leaf


@dataclass
class Cut:
    """One site that was cut.

    Attributes:
        site: position of the site.
        edge_index: ``[2, m]`` its rows as the model numbers nodes.
        row_dim: dimension of all tensors that runs over rows.
        before: the states before the cut, of all nodes.
        lifted: the same with one row per message.
        is_lifted: whether ``before`` is ``lifted`` too, since states of all nodes are not known.
        after: the leaves after it, one row per message.
        sent: the messages made of them.
        sender, receiver, edge: ``[m]`` nodes and edges of the batch (edge -1 for none).
        shared: which messages belong to further edges.
        width: D.
    """

    site: int
    edge_index: Tensor
    row_dim: int
    before: list[Tensor] = field(default_factory=list)
    lifted: list[Tensor] = field(default_factory=list)
    is_lifted: bool = False
    after: list[Tensor] = field(default_factory=list)
    sent: list[Tensor] = field(default_factory=list)
    sender: Tensor = field(default_factory=lambda: torch.empty(0))
    receiver: Tensor = field(default_factory=lambda: torch.empty(0))
    edge: Tensor = field(default_factory=lambda: torch.empty(0))
    shared: SharedRows | None = None

    @property
    def widths(self) -> list[int]:
        """Numbers per row of each piece."""
        return [self.rows(each).size(1) for each in self.after]

    @property
    def width(self) -> int:
        """Numbers D per row."""
        return sum(self.widths)

    def rows(self, value: Tensor) -> Tensor:
        """A tensor of the site as a matrix, rows first."""
        if value.dim() < 2:
            return value.view(-1, 1)
        return value.movedim(self.row_dim, 0).flatten(1)

    def state(self, num_nodes: int) -> Tensor:
        """What each node sends, ``[n, D]``; zeros where that is not known."""
        rows = torch.cat([self.rows(each.detach()) for each in self.before], dim=1)
        if not self.is_lifted:
            return rows
        state = rows.new_zeros((num_nodes, rows.size(1)))
        state[self.sender] = rows  # alike for all messages of a node
        return state

    def shaped(self, rows: Tensor, like: Tensor) -> Tensor:
        """The opposite of `rows`: a matrix in the shape of a tensor of the site."""
        if like.dim() < 2:
            return rows.reshape(like.shape)
        shape = like.movedim(self.row_dim, 0).shape
        return rows.reshape(shape).movedim(0, self.row_dim)


@dataclass
class CutRun:
    """What a run with cuts leaves behind.

    Attributes:
        score: ``[B]`` the explained scalar.
        inputs: the features ``[n_t, F_t]`` of each node type that has them, as leaves.
        input_nodes: for each of them, where its nodes stand in the batch.
        cuts: the sites, by layer.
        layer: the layer of each.
        is_half: whether a part of the model computes in half precision.
    """

    score: Tensor
    inputs: list[Tensor]
    input_nodes: list[Tensor]
    cuts: list[Cut]
    layer: list[int]
    is_half: bool = False


def run_cut(batch: InstanceBatch, backward: ModifiedBackward | None = None) -> CutRun:
    """Run the model on a batch with every site cut.

    Raises:
        WalkError: if a message cannot be cut, or does not run between nodes of the batch.
    """
    _check_sites(batch)
    wiring = batch.wiring
    features = batch.feature_leaves()
    owners = zip(features, batch.packed.node_position, strict=True)
    num_nodes = None if batch.graph.is_heterogeneous else batch.num_nodes
    row_dims = [wiring.channels[site.channel].row_dim for site in wiring.sites]
    scissors = _Scissors(row_dims, num_nodes)
    with torch.enable_grad(), full_precision():
        score = batch.score(features=features, cutter=scissors, backward=backward)
        is_half = batch.model_call.half_rounding > 0
    layer = {each.site: wiring.sites[each.site].layer for each in scissors.cuts.values()}
    cuts = sorted(scissors.cuts.values(), key=lambda each: (layer[each.site], each.site))
    for each in cuts:
        _place(batch, each)
    return CutRun(
        score=score,
        inputs=[x for x in features if x is not None],
        input_nodes=[position for x, position in owners if x is not None],
        cuts=cuts,
        layer=[layer[each.site] for each in cuts],
        is_half=is_half,
    )


def _check_sites(batch: InstanceBatch) -> None:
    """Refuse models whose messages cannot be cut."""
    for site in batch.wiring.sites:
        channel = batch.wiring.channels[site.channel]
        if channel.is_tap or channel.is_adjacency:
            raise WalkError(
                f"{channel.name} is a {type(channel.module).__name__}: walks are read where a PyG "
                "layer's message() takes the states of senders (x_j); write the layer as a "
                "torch_geometric.nn.MessagePassing"
            )
        if not site.is_mapped and batch.graph.num_edges:
            raise WalkError(
                f"the messages of {site.name} do not run between the nodes of the graph (it comes "
                "after a pooling layer), so no walk passes it"
            )
    if all(x is None for x in batch.features):
        raise WalkError(
            "walks start at floating node features, and "
            f"{why_no_floats(batch.graph, batch.feature_names)}; turn indices into "
            "features (one-hot, or rows of the embedding) before the model"
        )


def _place(batch: InstanceBatch, each: Cut) -> None:
    """Find the nodes and edges behind the rows of a site."""
    site, plan = batch.wiring.sites[each.site], batch.intervention.plans[each.site]
    if not each.after:
        raise WalkError(
            f"the messages of {site.name} depend on the features, but not through states of "
            "senders (arguments of message() whose names end in _j), so no walk passes it"
        )
    if len(each.before) != len(each.after):
        each.before, each.is_lifted = each.lifted, True
    channel, fields = batch.wiring.channels[site.channel], batch.fields
    each.edge, each.shared = torch.full_like(each.edge_index[0], -1), plan.shared
    if plan.row_edge is not None:
        each.edge = torch.where(plan.row_edge < batch.num_edges, plan.row_edge, -1)
    if not batch.graph.is_heterogeneous:
        each.receiver = each.edge_index[channel.receiver]
        each.sender = each.edge_index[1 - channel.receiver]
        return
    if bool((each.edge < 0).any()):
        raise WalkError(
            f"{site.name} sends along edges that are not in the graph, and on heterogeneous "
            "graphs their nodes are not known; add self-loops to the data instead"
        )
    ends = fields.source[each.edge], fields.destination[each.edge]
    is_reversed = site.is_flipped != (channel.receiver == 0)
    each.sender, each.receiver = ends[::-1] if is_reversed else ends


class _Scissors:
    """Cuts every site while the model runs."""

    def __init__(self, row_dims: Sequence[int], num_nodes: int | None) -> None:
        self.cuts: dict[int, Cut] = {}
        self._row_dims, self._num_nodes = row_dims, num_nodes

    def cut(self, site: int, edge_index: Tensor, states: Tensor, source: Tensor | None) -> Tensor:
        pieces: list[Piece] = []
        result = cut(states, pieces)
        row_dim = self._row_dims[site]
        found = self.cuts.setdefault(site, Cut(site, edge_index, row_dim))
        found.after += [after for _, after in pieces]
        found.lifted += [before for before, _ in pieces]
        if source is not None and source.size(row_dim) == self._num_nodes:
            pieces = []
            cut(source, pieces)  # nothing goes on with it: only what is before matters
            found.before += [before for before, _ in pieces]
        return result

    def sent(self, site: int, messages: Tensor) -> None:
        if not messages.requires_grad:
            return
        pieces: list[Piece] = []
        cut(messages, pieces)
        found = self.cuts.setdefault(site, Cut(site, messages.new_empty(0), self._row_dims[site]))
        found.sent += [before for before, _ in pieces]
