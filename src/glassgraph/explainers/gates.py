"""Gates that read messages: from a batch to one location for each message, and back to the model.

A `Lesson` is a batch with the inputs of its gates, read once from an unmasked run; a `MessageGates`
module holds a scorer for each kind of messages, and a learned baseline. Kinds are the sites of one
layer whose messages have the same widths: all relations of an R-GCN are one kind (with a term of
its own for each relation), the edge types of a heterogeneous layer may be several.

Messages that are entries of dense adjacency matrices are not written out; their scorer reads the
states of all nodes at once.

Where two sites of one layer send along the same edge, the edge's location is the mean of theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.messages import MatrixMessages, SiteMessages, read_messages
from glassgraph.core.reachability import near_messages
from glassgraph.errors import FitError, GraphError
from glassgraph.learn.bilinear_scorer import BilinearScorer
from glassgraph.learn.message_scorer import MessageScorer

#: Width of a scorer's hidden layer, between these, follows the message.
_NARROW, _WIDE = 16, 256
_T = TypeVar("_T")
#: Rows are shared where there are this many times fewer than messages.
_FEW = 2


@dataclass(frozen=True)
class Kind:
    """Messages that share a scorer and a baseline.

    Attributes:
        layer: message-passing step.
        sites: their sites, in execution order; each is a relation of its own.
        widths: of sender state, receiver state and message.
        is_matrix: whether they are entries of dense adjacency matrices.
    """

    layer: int
    sites: tuple[int, ...]
    widths: tuple[int, int, int]
    is_matrix: bool = False

    @property
    def name(self) -> str:
        """A key for its parameters."""
        return f"layer{self.layer}_site{self.sites[0]}"


def find_kinds(messages: Sequence[SiteMessages]) -> list[Kind]:
    """Group sites by layer and widths, the last layer first."""
    found: dict[tuple[int, tuple[int, int, int], bool], list[int]] = {}
    for each in messages:
        key = (each.layer, each.widths, each.matrix is not None)
        found.setdefault(key, []).append(each.site)
    kinds = [
        Kind(layer, tuple(sites), widths, is_matrix)
        for (layer, widths, is_matrix), sites in found.items()
    ]
    return sorted(kinds, key=lambda kind: (-kind.layer, kind.sites))


@dataclass
class _Inputs:
    """What the scorer of one kind reads on a batch."""

    inputs: Tensor
    relation: Tensor | None
    slot: Tensor  # [m] place of each message among the K
    total: Tensor  # sum of the messages
    number: int
    pair: tuple[Tensor, Tensor, Tensor] | None = None  # relation, receiver and sender of entries
    values: Tensor | None = None  # of matrices: what nodes send, [N, D] or [R, N, D]
    row: Tensor | None = None  # of messages among which many are alike: row of each in `inputs`

    def scores(self, scorer: nn.Module) -> Tensor:
        """One number for each row, or each entry of a matrix; a message's stands at its `place`."""
        if self.pair is None:
            return torch.as_tensor(scorer(self.inputs, self.relation))
        return torch.as_tensor(scorer(self.inputs)[self.pair])

    @property
    def num_scores(self) -> int:
        """How many there are."""
        return self.inputs.size(0) if self.pair is None else self.number

    def place(self) -> Tensor:
        """``[m]`` where each message's score stands."""
        if self.row is not None:
            return self.row
        return torch.arange(self.number, device=self.inputs.device)

    def messages(self, width: int) -> Tensor:
        if self.pair is None:
            messages = self.inputs[:, self.inputs.size(1) - width :]
            return messages if self.row is None else messages.index_select(0, self.row)
        assert self.values is not None
        relation, _, sender = self.pair
        return self.values[sender] if self.values.dim() == 2 else self.values[relation, sender]


@dataclass
class Lesson:
    """A batch and what gates look at on it.

    Attributes:
        batch: the batch.
        where: ``[K]`` position of each message among the ``L * e`` gates.
        layer: ``[K]`` its layer.
        count: ``[K]`` how many rows stand for it, None if one everywhere.
        kinds: the kinds of messages.
    """

    batch: InstanceBatch
    where: Tensor
    layer: Tensor
    count: Tensor | None
    kinds: Sequence[Kind]
    _inputs: list[_Inputs]
    _messages: list[SiteMessages]
    _source: Tensor | None = None  # of `collect`

    @staticmethod
    def read(batch: InstanceBatch, kinds: Sequence[Kind] | None = None) -> Lesson:
        """Run the model once and read what its sites send.

        Raises:
            GraphError: if the messages have other widths than the gates were made for.
        """
        messages = read_messages(batch)
        kinds = kinds or find_kinds(messages)
        by_site = {each.site: each for each in messages}
        has_message = near_messages(batch).reshape(-1)
        where = has_message.nonzero().view(-1)
        if not where.numel():
            return Lesson(batch, where, where, None, kinds, [], [])
        slots = has_message.cumsum(0) - 1
        inputs: list[_Inputs] = []
        for kind in kinds:
            found = [by_site[site] for site in kind.sites if site in by_site]
            wrong = [each.widths for each in found if each.widths != kind.widths]
            if wrong or len(found) != len(kind.sites):
                raise GraphError(
                    f"the gates of layer {kind.layer} were fitted on states and messages of widths "
                    f"{kind.widths}; here they have {wrong[0] if wrong else 'none'}"
                )
            place = kind.layer * batch.num_edges + torch.cat([each.edge for each in found])
            kept = has_message[place]  # a site that cannot be trimmed sends messages of no use
            inputs.append(_read_inputs(found, batch.dtype, kept, slots[place[kept]]))
        count = torch.zeros(where.numel(), dtype=torch.long, device=batch.device)
        for each in inputs:
            count.index_add_(0, each.slot, torch.ones_like(each.slot))
        is_single = bool((count == 1).all())
        return Lesson(
            batch=batch,
            where=where,
            layer=where // max(1, batch.num_edges),
            count=None if is_single else count.clamp_min(1).to(batch.dtype),
            kinds=kinds,
            _inputs=inputs,
            _messages=[_without_numbers(each) for each in messages],
            _source=_source(inputs, is_single),
        )

    @property
    def num_messages(self) -> int:
        """Number K of messages that can be gated."""
        return self.where.numel()

    @property
    def num_bytes(self) -> int:
        """Memory that the inputs take."""
        return sum(each.inputs.numel() * each.inputs.element_size() for each in self._inputs)

    def collect(self, scores: Sequence[Tensor]) -> Tensor:
        """Values ``[K]`` from those of each kind's rows; the mean where several rows are one."""
        flat = torch.cat(list(scores)) if len(scores) > 1 else scores[0]
        if self._source is not None:
            flat = flat.index_select(0, self._source)
        if self.count is None:
            return flat
        zeros = flat.new_zeros(self.num_messages)
        return zeros.index_add(0, torch.cat([e.slot for e in self._inputs]), flat) / self.count

    def gates(self, value: Tensor) -> Tensor:
        """Gates ``[L, e]`` for values ``[K]``; 1 where there is no message to gate."""
        batch = self.batch
        if value.numel() == batch.num_layers * batch.num_edges:
            return value.view(batch.num_layers, batch.num_edges)
        ones = value.new_ones(batch.num_layers * batch.num_edges)
        return ones.index_copy(0, self.where, value).view(batch.num_layers, batch.num_edges)

    def scores(self, value: Tensor) -> Tensor:
        """Scores ``[L, e]`` for values ``[K]``; 0 where there is no message."""
        batch = self.batch
        zeros = value.new_zeros(batch.num_layers * batch.num_edges)
        return zeros.index_copy(0, self.where, value).view(batch.num_layers, batch.num_edges)

    def site_values(self, values: dict[int, Tensor]) -> list[Tensor | None]:
        """Baselines for `InstanceBatch.output` from flat values of each site."""
        found: list[Tensor | None] = [None] * len(self.batch.wiring.sites)
        for each in self._messages:
            if each.site in values:
                found[each.site] = each.baseline(values[each.site])
        return found

    def mean_messages(self) -> dict[str, Tensor]:
        """For each kind, each instance's mean message ``[B, D]``."""
        found = {}
        batch = self.batch
        owners = batch.edge_instance[self.where % max(1, batch.num_edges)]
        for kind, message, slot in self.messages():
            owner = owners[slot]
            count = torch.bincount(owner, minlength=batch.num_instances).clamp_min(1)
            total = message.new_zeros((batch.num_instances, kind.widths[2]))
            found[kind.name] = total.index_add_(0, owner, message).div_(count.view(-1, 1))
        return found

    def messages(self) -> Iterator[tuple[Kind, Tensor, Tensor]]:
        """For each kind its messages ``[m, D]``, and which of the K gates is on each, ``[m]``.

        Entries of matrices are written out here, before their weight.
        """
        for kind, each in zip(self.kinds, self._inputs, strict=bool(self._inputs)):
            yield kind, each.messages(kind.widths[2]), each.slot

    def rows(self) -> Iterable[tuple[int, Tensor]]:
        """For each site, the batch's edge behind each of its messages."""
        return ((each.site, each.edge) for each in self._messages)


def _source(inputs: Sequence[_Inputs], is_single: bool) -> Tensor | None:
    """Which of all kinds' scores is whose: the messages', or (where several share one) the rows'.

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


def _read_inputs(
    messages: Sequence[SiteMessages], dtype: torch.dtype, kept: Tensor, slot: Tensor
) -> _Inputs:
    matrices = [each.matrix for each in messages if each.matrix is not None]
    if matrices:
        return _read_matrices(matrices, dtype, kept, slot)
    inputs = torch.cat(
        [torch.cat([each.sender, each.receiver, each.message], dim=1) for each in messages]
    )
    relation = None
    if len(messages) > 1:
        size = torch.tensor([each.edge.numel() for each in messages], device=inputs.device)
        relation = torch.repeat_interleave(size)
    if not bool(kept.all()):
        inputs, relation = inputs[kept], None if relation is None else relation[kept]
    inputs = inputs.to(dtype)
    total = inputs[:, inputs.size(1) - messages[0].widths[2] :].sum(dim=0)
    return _without_copies(_Inputs(inputs, relation, slot, total, inputs.size(0)))


def _without_copies(found: _Inputs) -> _Inputs:
    """Messages that are alike share a row: what a scorer costs follows how many there are.

    Where features are few and discrete (atoms, a constant) there are far fewer than messages. They
    are found by sorting one number for each; whether two are the same is then looked up, so that
    numbers that meet by chance do no harm.
    """
    inputs, relation = found.inputs, found.relation
    generator = torch.Generator().manual_seed(0)
    weight = torch.rand(inputs.size(1), generator=generator, dtype=torch.float64)
    key = inputs.double() @ weight.to(inputs.device)
    if relation is not None:
        key = key + relation
    key, row = torch.unique(key, return_inverse=True)
    if _FEW * key.numel() > inputs.size(0):
        return found
    first = torch.empty_like(key, dtype=torch.long)
    first[row] = torch.arange(row.numel(), device=row.device)
    same = torch.equal(inputs[first][row], inputs)
    if relation is not None:
        same = same and torch.equal(relation[first][row], relation)
        relation = relation[first]
    return replace(found, inputs=inputs[first], relation=relation, row=row) if same else found


def _read_matrices(
    matrices: Sequence[MatrixMessages], dtype: torch.dtype, kept: Tensor, slot: Tensor
) -> _Inputs:
    """Node states ``[N, S]`` once, or once for each matrix ``[R, N, S]`` where they differ."""
    states = matrices[0].states
    if not all(torch.equal(states, each.states) for each in matrices[1:]):
        states = torch.stack([each.states for each in matrices])
    size = torch.tensor([each.sender.numel() for each in matrices], device=states.device)
    relation = torch.repeat_interleave(size)[kept]
    receiver = torch.cat([each.receiver for each in matrices])[kept]
    sender = torch.cat([each.sender for each in matrices])[kept]
    total = torch.zeros(matrices[0].values.size(1), dtype=dtype, device=states.device)
    for number, each in enumerate(matrices):
        times = torch.bincount(sender[relation == number], minlength=each.values.size(0))
        total += times.to(dtype) @ each.values.to(dtype)
    values = matrices[0].values
    if not all(torch.equal(values, each.values) for each in matrices[1:]):
        values = torch.stack([each.values for each in matrices])
    pair = (relation, receiver, sender)
    return _Inputs(states.to(dtype), None, slot, total, sender.numel(), pair, values.to(dtype))


def _without_numbers(messages: SiteMessages) -> SiteMessages:
    empty = messages.message.new_empty((0, 0))
    return replace(messages, sender=empty, receiver=empty, message=empty, matrix=None)


class MessageGates(nn.Module):
    """A scorer and a baseline for each kind of messages.

    Args:
        kinds: the kinds.
        hidden_channels: width of the scorers' hidden layer, None for that of the message (at least
            16, at most 256).
        with_baselines: learn what a shut message becomes; it starts at the mean message.
    """

    def __init__(
        self, kinds: Sequence[Kind], hidden_channels: int | None = None, with_baselines: bool = True
    ) -> None:
        super().__init__()
        self.kinds = list(kinds)
        self.scorers = nn.ModuleDict(
            {
                kind.name: _scorer(
                    kind, hidden_channels or min(max(kind.widths[2], _NARROW), _WIDE)
                )
                for kind in self.kinds
            }
        )
        self.baselines = nn.ParameterDict(
            {kind.name: torch.zeros(kind.widths[2]) for kind in self.kinds if with_baselines}
        )

    @torch.no_grad()
    def start_baselines(self, lessons: Iterable[Lesson]) -> None:
        """Set every baseline to the mean message of its kind (of a matrix: before its weight)."""
        total: dict[str, Any] = {}
        for lesson in lessons:
            for kind, each in zip(self.kinds, lesson._inputs, strict=bool(lesson.num_messages)):
                before, number = total.get(kind.name, (0, 0))
                total[kind.name] = (before + each.total, number + each.number)
        for name, (value, number) in total.items():
            if name in self.baselines and number:
                self.baselines[name].copy_(value / number)

    def forward(self, lesson: Lesson) -> Tensor:
        """Raw locations ``[K]`` of the messages of a batch."""
        if not lesson.num_messages:
            return torch.zeros(0, dtype=lesson.batch.dtype, device=lesson.batch.device)
        return lesson.collect(
            [
                each.scores(self.scorers[kind.name])
                for kind, each in zip(self.kinds, lesson._inputs, strict=True)
            ]
        )

    @torch.no_grad()
    def find_not_finite(self, lesson: Lesson) -> str | None:
        """The lowest layer with inputs, scores or baselines that are not finite, in words."""
        for kind, each in reversed(list(zip(self.kinds, lesson._inputs, strict=True))):
            site = lesson.batch.wiring.sites[kind.sites[0]].name
            baseline = self.baselines.get(kind.name, None)
            for what, value in (
                ("messages or states", each.inputs),
                ("scores", each.scores(self.scorers[kind.name])),
                ("baseline", baseline),
            ):
                if value is not None and not bool(torch.isfinite(value).all()):
                    return f"layer {kind.layer} ({site}), whose {what} are not finite,"
        return None

    def check_finite(self, loss: Tensor, lesson: Lesson) -> None:
        """Stop where the loss is not finite.

        Raises:
            FitError: naming the first layer whose inputs, gates or baselines are not finite.
        """
        if bool(torch.isfinite(loss)):
            return
        culprit = self.find_not_finite(lesson)
        where = (
            f"the gates of {culprit}"
            if culprit is not None
            else "the model's output under gates (all gates and baselines are finite)"
        )
        raise FitError(
            f"the loss became {float(loss.detach())}: {where} went wrong. What had been learned "
            "before is kept; a smaller learning_rate, or features of a smaller scale, may help"
        )

    def shut_values(self, lesson: Lesson) -> list[Tensor | None]:
        """The learned baselines, as `InstanceBatch.output` takes them."""
        values = {
            site: self.baselines[kind.name]
            for kind in self.kinds
            if kind.name in self.baselines
            for site in kind.sites
        }
        return lesson.site_values(values)


def visits(lessons: Sequence[_T], steps: int, seed: int) -> Iterator[_T]:
    """Lessons in a new random order each round."""
    generator = torch.Generator().manual_seed(seed)
    done = 0
    while True:
        for number in torch.randperm(len(lessons), generator=generator).tolist():
            if done == steps:
                return
            done += 1
            yield lessons[number]


def _scorer(kind: Kind, hidden_channels: int) -> nn.Module:
    if kind.is_matrix:
        return BilinearScorer(kind.widths[0], hidden_channels, len(kind.sites))
    return MessageScorer(sum(kind.widths), hidden_channels, len(kind.sites))
