"""Reads the walk graph of a batch out of a model, for any model whose messages run along edges.

The model runs once, with every site *cut* where the states of senders enter ``message()``: the
layer goes on with copies that gradients do not pass. What lies between two cuts happens at single
nodes, so one backward pass per column gives, for all nodes at once, how the states sent at a later
site depend on those received before. The cost is that of one small backward pass for each number
that a message consists of, whatever the number of walks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from glassgraph.calling.precision import half_rounding, in_single_precision, single_precision
from glassgraph.core.batch import InstanceBatch, no_gradient
from glassgraph.core.modified_backward import ModifiedBackward
from glassgraph.core.output_rows import OutputRows
from glassgraph.errors import GlassgraphError, WalkError
from glassgraph.relevance.walk_cuts import CutRun, run_cut
from glassgraph.relevance.walk_gradients import Between
from glassgraph.relevance.walks import Step, WalkGraph, WalkLayer


class TooLarge(RuntimeError):
    """The matrices of a batch do not fit; ``num_bytes`` is what they would take."""

    def __init__(self, num_bytes: int) -> None:
        super().__init__(f"the matrices of the walks take {num_bytes} bytes")
        self.num_bytes = num_bytes


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
        NoGradientError: if the score does not depend on any message.
        TooLarge: if the matrices take more than the budget.
    """
    model = batch.model_call.model
    if half_rounding(model):
        # The rounding of half precision adds up over products of gradients: read in float32.
        packed = replace(batch.packed, data=single_precision(batch.packed.data))
        try:
            with in_single_precision(model):
                return _read(replace(batch, packed=packed), budget, backward)
        except (GlassgraphError, TooLarge):
            raise
        except RuntimeError:
            pass  # forward itself turns tensors into half precision: it has to be taken as it is
    return _read(batch, budget, backward)


def _read(batch: InstanceBatch, budget: int | None, backward: ModifiedBackward | None) -> WalkGraph:
    return _Reader(batch, run_cut(batch, backward), budget).read()


class _Reader:
    """From a run with cuts to the walk graph.

    Columns come in groups: one for each cut, and one for the score, which stands first.
    """

    def __init__(self, batch: InstanceBatch, run: CutRun, budget: int | None) -> None:
        self.batch, self.budget = batch, budget
        self.score, self.cuts, self.layer = run.score, run.cuts, run.layer
        self.between = Between(run, batch.num_nodes)
        # Which earlier leaves the score and each cut depend on.
        self.score_sources = self.between.sources([run.score])
        self.cut_sources = [self.between.sources(each.before) for each in run.cuts]
        if batch.has_gated_messages and not self.score_sources - {-1}:
            raise no_gradient("messages")

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
                steps.append(Step(each.site, *ends, before[k], block, state, each.shared))
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
        """Nodes where a walk may end: the explained ones; of a pooled graph, all of them."""
        batch, num_nodes = self.batch, self.batch.num_nodes
        is_end = torch.zeros(num_nodes, dtype=torch.bool, device=start.device)
        if batch.fields.seed.numel():
            is_end[batch.fields.seed.view(-1)] = True
        elif isinstance(batch.output_rows, OutputRows):
            is_end[batch.output_rows.packed] = True
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
        found = self.between.backward(
            [self.score], [torch.ones_like(self.score)], self.score_sources
        )
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
                found = self.between.backward([before], [each.shaped(unit, before)], sources)
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
            if not self.between.is_local(each, each.before, owner, sources):
                raise WalkError(
                    f"what {name} sends from a node depends on other nodes too, and not through "
                    "messages (GraphNorm or another layer over whole graphs?), so its walks are "
                    "not defined"
                )
            earlier = {k for k in range(number) if self.layer[k] < self.layer[number]} | {-1}
            if each.sent and not self.between.is_local(each, each.sent, each.receiver, earlier):
                raise WalkError(
                    f"the messages of {name} depend on their senders in another way than through "
                    "the arguments of message() whose names end in _j (attention that is computed "
                    "from both ends?), so its walks are not defined"
                )


def _range(columns: slice, like: Tensor) -> Tensor:
    return torch.arange(columns.start, columns.stop, device=like.device)


def _first_rows(group: Tensor, num_groups: int) -> Tensor:
    """The first row of each group that has one."""
    count = group.numel()
    first = torch.full((num_groups,), count, dtype=torch.long, device=group.device)
    rows = torch.arange(count, device=group.device)
    first = first.scatter_reduce(0, group, rows, "amin")
    return first[first < count]
