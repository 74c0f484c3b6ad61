"""Reads the walk graph of a batch out of a model, for any model whose messages run along edges.

The model runs once, with every site *cut* where the states of senders enter ``message()``: the
layer goes on with copies that gradients do not pass. What lies between two cuts happens at single
nodes, so one backward pass per column gives, for all nodes at once, how the states sent at a later
site depend on those received before. The cost is that of one small backward pass for each number
that a message consists of, whatever the number of walks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.rules.modified import ModifiedBackward
from glassgraph.core.walks import Step, WalkGraph, WalkLayer
from glassgraph.errors import WalkError

#: Share of the largest gradient that may reach a wrong node by rounding.
_TOLERANCE = {torch.float64: 1e-9}


class TooLarge(RuntimeError):
    """The matrices of a batch do not fit; ``num_bytes`` is what they would take."""

    def __init__(self, num_bytes: int) -> None:
        super().__init__(f"the matrices of the walks take {num_bytes} bytes")
        self.num_bytes = num_bytes


#: A tensor before a cut, and the leaf that the model goes on with.
Piece = tuple[Tensor, Tensor]


def cut(states: Tensor, pieces: list[Piece]) -> Tensor:
    """The states as a leaf of their own.

    A modified backward pass (`glassgraph.core.rules`) sees this function as an operation: it may
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
class _Cut:
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


class _Scissors:
    """Cuts every site while the model runs."""

    def __init__(self, row_dims: Sequence[int], num_nodes: int | None) -> None:
        self.cuts: dict[int, _Cut] = {}
        self._row_dims, self._num_nodes = row_dims, num_nodes

    def cut(self, site: int, edge_index: Tensor, states: Tensor, source: Tensor | None) -> Tensor:
        pieces: list[Piece] = []
        result = cut(states, pieces)
        row_dim = self._row_dims[site]
        found = self.cuts.setdefault(site, _Cut(site, edge_index, row_dim))
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
        found = self.cuts.setdefault(site, _Cut(site, messages.new_empty(0), self._row_dims[site]))
        found.sent += [before for before, _ in pieces]


def read_walks(
    batch: InstanceBatch,
    *,
    budget: int | None = None,
    backward: ModifiedBackward | None = None,
) -> WalkGraph:
    """Run the model once and read how information travels between messages.

    The relevance of a walk is the product of gradients along it, started with the features. Without
    ``backward``, these are plain gradients: on networks of linear layers and ReLU, LRP-0 exactly.

    Args:
        batch: the instances.
        budget: bytes that the matrices may take.
        backward: another backward pass, such as `InstanceBatch.tape` with rules.

    Raises:
        WalkError: if the model's walks are not defined.
        TooLarge: if the matrices take more than the budget.
    """
    _check_sites(batch)
    wiring = batch.wiring
    features = [None if x is None else x.detach().requires_grad_() for x in batch.features]
    inputs = [x for x in features if x is not None]
    num_nodes = None if batch.graph.is_heterogeneous else batch.num_nodes
    row_dims = [wiring.channels[site.channel].row_dim for site in wiring.sites]
    scissors = _Scissors(row_dims, num_nodes)
    with torch.enable_grad():
        score = batch.score(features=features, cutter=scissors, backward=backward)
    cuts = sorted(
        scissors.cuts.values(), key=lambda each: (wiring.sites[each.site].layer, each.site)
    )
    for each in cuts:
        _place(batch, each)
    return _Reader(batch, score, cuts, inputs, budget).read()


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
            "walks start at floating node features, and the graph has none; turn indices into "
            "features (one-hot, or rows of the embedding) before the model"
        )


def _place(batch: InstanceBatch, each: _Cut) -> None:
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
    each.edge = torch.full_like(each.edge_index[0], -1)
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


class _Reader:
    """From a run with cuts to the walk graph.

    Columns come in groups: one for each cut, and one for the score, which stands first.
    """

    def __init__(
        self,
        batch: InstanceBatch,
        score: Tensor,
        cuts: list[_Cut],
        inputs: list[Tensor],
        budget: int | None,
    ) -> None:
        self.batch, self.score, self.cuts, self.inputs = batch, score, cuts, inputs
        self.budget = budget
        self.layer = [batch.wiring.sites[each.site].layer for each in cuts]
        owners = zip(batch.features, batch.packed.node_position, strict=True)
        self.input_nodes = [position for x, position in owners if x is not None]
        # For the score and for each cut: which earlier leaves it depends on. A source is a cut, or
        # -1 for the features.
        self.score_sources = self._sources([score])
        self.cut_sources = [self._sources(each.before) for each in cuts]

    # Which pieces depend on which

    def _sources(self, values: Sequence[Tensor]) -> set[int]:
        found = self._backward(values, [torch.ones_like(value) for value in values], None)
        return {source for source, gradients in found.items() if gradients is not None}

    def _backward(
        self, values: Sequence[Tensor], cotangents: Sequence[Tensor], sources: set[int] | None
    ) -> dict[int, Tensor | None]:
        """Gradients with respect to each source: ``[m, D]`` rows of a cut, ``[n, F]`` features."""
        wanted = range(-1, len(self.cuts)) if sources is None else sorted(sources)
        leaves = {key: self.inputs if key < 0 else self.cuts[key].after for key in wanted}
        flat = [leaf for key in wanted for leaf in leaves[key]]
        kept = [(v, c) for v, c in zip(values, cotangents, strict=True) if v.requires_grad]
        if not flat or not kept:
            return dict.fromkeys(wanted)
        gradients = torch.autograd.grad(
            [value for value, _ in kept],
            flat,
            [cotangent for _, cotangent in kept],
            retain_graph=True,
            allow_unused=True,
        )
        found: dict[int, Tensor | None] = {}
        start = 0
        for key in wanted:
            own = gradients[start : start + len(leaves[key])]
            start += len(leaves[key])
            found[key] = None if all(each is None for each in own) else self._join(key, own)
        return found

    def _join(self, key: int, gradients: Sequence[Tensor | None]) -> Tensor:
        if key >= 0:
            each = self.cuts[key]
            filled = [
                torch.zeros_like(leaf) if one is None else one
                for leaf, one in zip(each.after, gradients, strict=True)
            ]
            return torch.cat([each.rows(one) for one in filled], dim=1)
        # Features of all node types times their gradients, summed: what a node starts with.
        total = self.score.new_zeros((self.batch.num_nodes, 1))
        for x, node, one in zip(self.inputs, self.input_nodes, gradients, strict=True):
            if one is not None:
                total[node] = (x.detach() * one).sum(1, keepdim=True).to(total.dtype)
        return total

    # The layout of columns

    def _groups(self, position: int) -> list[int]:
        """The groups of columns at a position: -1 for the score, else the number of a cut."""
        early = {-1} | {k for k, layer in enumerate(self.layer) if layer < position}
        found = [-1] if early & self.score_sources else []
        return found + [
            k
            for k, layer in enumerate(self.layer)
            if layer >= position and early & self.cut_sources[k]
        ]

    def _columns(self, groups: list[int]) -> tuple[dict[int, slice], int]:
        where, start = {}, 0
        for group in groups:
            width = 1 if group < 0 else self.cuts[group].width
            where[group] = slice(start, start + width)
            start += width
        return where, start

    def read(self) -> WalkGraph:
        """Build the walk graph."""
        num_layers = self.batch.num_layers
        layout = [self._columns(self._groups(position)) for position in range(num_layers + 1)]
        self._check_budget([width for _, width in layout])
        self._check_nodes()
        start = self.score.new_zeros((self.batch.num_nodes, layout[0][1]))
        # While they are filled, columns come first.
        blocks = [
            self.score.new_zeros((layout[layer + 1][1], each.sender.numel(), each.width))
            for each, layer in zip(self.cuts, self.layer, strict=True)
        ]
        self._fill_score(layout, start, blocks)
        for number in range(len(self.cuts)):
            self._fill_cut(number, layout, start, blocks)
        is_end = self._ends(start, layout, blocks)
        layers = []
        for position in range(num_layers):
            (before, _), (after, _) = layout[position], layout[position + 1]
            steps = []
            for k, each in enumerate(self.cuts):
                if self.layer[k] != position:
                    continue
                if k not in before:
                    continue  # nothing comes from the features
                state = each.state(self.batch.num_nodes).to(start.dtype)
                ends = each.sender, each.receiver, each.edge
                block = blocks[k].permute(1, 2, 0).contiguous()
                blocks[k] = block[:0]
                steps.append(Step(each.site, *ends, before[k], block, state))
            if not steps:
                names = [s.name for s in self.batch.wiring.sites if s.layer == position]
                raise WalkError(
                    f"the messages of {', '.join(names)} do not depend on the features through "
                    "states of senders, so no walk passes them"
                )
            stay = [
                torch.arange(self.batch.num_nodes, device=start.device)[:0].expand(2, 0),
                *(
                    torch.stack([_range(before[group], start), _range(after[group], start)])
                    for group in before
                    if group in after
                ),
            ]
            layers.append(WalkLayer(tuple(steps), torch.cat(stay, dim=1)))
        return WalkGraph(
            node_instance=self.batch.node_instance,
            num_instances=self.batch.num_instances,
            score=self.score.detach(),
            start=start,
            layers=tuple(layers),
            is_end=is_end,
        )

    def _check_budget(self, widths: list[int]) -> None:
        numbers = sum(
            each.sender.numel() * each.width * widths[layer + 1]
            for each, layer in zip(self.cuts, self.layer, strict=True)
        )
        num_bytes = numbers * self.score.element_size()
        if self.budget is not None and num_bytes > self.budget:
            raise TooLarge(num_bytes)

    def _ends(self, start: Tensor, layout: Any, blocks: list[Tensor]) -> Tensor:
        """Nodes where a walk may end: the explained ones; of a graph task, all of them."""
        batch, num_nodes = self.batch, self.batch.num_nodes
        is_end = torch.zeros(num_nodes, dtype=torch.bool, device=start.device)
        if batch.fields.seed.numel():
            is_end[batch.fields.seed.view(-1)] = True
        elif not batch.is_whole:
            is_end[:] = True
        # A readout may look further (a mean over all nodes, say).
        for k, each in enumerate(self.cuts):
            where = layout[self.layer[k] + 1][0].get(-1)
            if where is not None:
                is_end[each.receiver[blocks[k][where][0].ne(0).any(1)]] = True
        where = layout[0][0].get(-1)
        if where is not None:
            is_end |= start[:, where].ne(0).any(1)
        return is_end

    # Backward passes

    def _fill_score(self, layout: Any, start: Tensor, blocks: list[Tensor]) -> None:
        found = self._backward([self.score], [torch.ones_like(self.score)], self.score_sources)
        for source, gradient in found.items():
            if gradient is None:
                continue
            if source < 0:
                start[:, layout[0][0][-1]] = gradient
            else:
                where = layout[self.layer[source] + 1][0][-1]
                blocks[source][where] = gradient

    def _fill_cut(self, number: int, layout: Any, start: Tensor, blocks: list[Tensor]) -> None:
        """One backward pass for each column, for all nodes at once."""
        each, sources = self.cuts[number], self.cut_sources[number]
        row: Tensor | slice = slice(None)
        if each.is_lifted:
            row = _first_rows(each.sender, self.batch.num_nodes)
        column = 0
        for before, width in zip(each.before, each.widths, strict=True):
            for at in range(width):
                unit = torch.zeros_like(each.rows(before))
                unit[row, at] = 1
                found = self._backward([before], [each.shaped(unit, before)], sources)
                for source, gradient in found.items():
                    if gradient is None:
                        continue
                    if source < 0:
                        where = layout[0][0][number]
                        start[:, where.start + column] = gradient[:, 0]
                    else:
                        where = layout[self.layer[source] + 1][0][number]
                        blocks[source][where.start + column] = gradient
                column += 1

    # Does everything between two messages happen at single nodes?

    def _check_nodes(self) -> None:
        for number, each in enumerate(self.cuts):
            name = self.batch.wiring.sites[each.site].name
            sources = self.cut_sources[number]
            everyone = torch.arange(self.batch.num_nodes, device=each.sender.device)
            owner = each.sender if each.is_lifted else everyone
            if not self._is_local(each, each.before, owner, sources):
                raise WalkError(
                    f"what {name} sends from a node depends on other nodes too, and not through "
                    "messages (GraphNorm or another layer over whole graphs?), so its walks are "
                    "not defined"
                )
            earlier = {k for k in range(number) if self.layer[k] < self.layer[number]} | {-1}
            if each.sent and not self._is_local(each, each.sent, each.receiver, earlier):
                raise WalkError(
                    f"the messages of {name} depend on their senders in another way than through "
                    "the arguments of message() whose names end in _j (attention that is computed "
                    "from both ends?), so its walks are not defined"
                )

    def _is_local(self, each: _Cut, values: list[Tensor], node: Tensor, sources: set[int]) -> bool:
        """Whether row r of ``values`` depends on earlier messages to ``node[r]`` alone.

        If rows are weighted by their node, so must be all gradients.
        """
        number = torch.arange(self.batch.num_nodes, device=node.device)
        weight = 1.5 + torch.cos(2.4 * number.to(self.score.dtype))
        plain, weighted = [], []
        for value in values:
            direction = torch.linspace(0.5, 1.5, each.rows(value).size(1)).to(value)
            plain.append(each.shaped(direction.expand(node.numel(), -1), value))
            rows = weight[node].unsqueeze(1).to(value) * direction
            weighted.append(each.shaped(rows, value))
        one = self._backward(values, plain, sources)
        other = self._backward(values, weighted, sources)
        limit = _TOLERANCE.get(self.score.dtype, 1e-3)
        for source, gradient in one.items():
            again = other[source]
            if gradient is None or again is None:
                continue
            owner = number if source < 0 else self.cuts[source].receiver
            if not gradient.numel():
                continue
            expected = gradient * weight[owner].unsqueeze(1)
            size = torch.maximum(expected.abs(), again.abs()).max()
            if bool((again - expected).abs().max() > limit * size):
                return False
        return True


def _range(columns: slice, like: Tensor) -> Tensor:
    return torch.arange(columns.start, columns.stop, device=like.device)


def _first_rows(group: Tensor, num_groups: int) -> Tensor:
    """The first row of each group that has one."""
    count = group.numel()
    first = torch.full((num_groups,), count, dtype=torch.long, device=group.device)
    rows = torch.arange(count, device=group.device)
    first = first.scatter_reduce(0, group, rows, "amin")
    return first[first < count]
