r"""Sets of messages, as expressions: ``ALL - layer(1)``, ``KEPT.share(0.75)``.

A set is a question that has an answer for each explained prediction: which of its messages belong.
A message is a pair of a layer and an edge. Sets are joined as Python joins sets: ``a | b``,
``a & b``, ``a - b`` and ``~a``.

Messages that cannot reach a prediction are neither drawn nor counted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, TypeAlias

import torch
from torch import Tensor

from glassgraph.core import random
from glassgraph.errors import HyperParameterError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.masking.rerun import Piece, Rerun
from glassgraph.results.aggregates.columns import column
from glassgraph.results.aggregates.decisions import Rule, ScoreTable, count, rank
from glassgraph.results.aggregates.edge_scores import Ranking
from glassgraph.results.aggregates.messages import Messages
from glassgraph.results.explanation import Explanations

#: Streams of random numbers.
ORDER, ROUNDING = 1, 2
_MOST = 2**63

#: Which messages of a piece belong, ``[R, e]`` bool: R = L rows, or one that holds at every layer.
Members: TypeAlias = "Callable[[Piece], Tensor]"


def _number(name: str, value: Any) -> float | None:
    """A number as a float, None as None."""
    if value is None:
        return None
    try:
        if not isinstance(value, str | bool):
            return float(value)
    except (TypeError, ValueError, RuntimeError):
        pass
    raise HyperParameterError(f"{name} must be a number; got {value!r}")


@dataclass(frozen=True)
class Scene:
    """What sets of messages are about.

    Attributes:
        explanations: one for each prediction.
        table: their scores.
        rule: how scores become decisions; None if nothing says.
        graph: the user's graph(s).
        num_layers: number L of message-passing steps.
        seed: of everything drawn at random.
        repeat: which of several draws.
    """

    explanations: Explanations
    table: ScoreTable
    rule: Rule | None
    graph: TypedGraph
    num_layers: int
    seed: int = 0
    repeat: int = 0

    @staticmethod
    def of(
        rerun: Rerun,
        threshold: float | None = None,
        top_share: float | None = None,
        ranking: Ranking = "signed",
        seed: int = 0,
    ) -> Scene:
        """Read scores and decisions of explanations that are run again.

        Raises:
            HyperParameterError: for arguments out of range.
            UnknownMetricError: if there are no scores, or some are not finite.
        """
        if isinstance(seed, bool) or not isinstance(seed, Integral) or not -_MOST <= seed < _MOST:
            raise HyperParameterError(f"seed must be an integer of 64 bits; got {seed!r}")
        return Scene(
            explanations=rerun.explanations,
            table=ScoreTable.read(rerun.explanations, ranking, rerun.device),
            rule=Rule.find(
                rerun.explanations,
                _number("threshold", threshold),
                _number("top_share", top_share),
            ),
            graph=rerun.preparation.graph,
            num_layers=rerun.num_layers,
            seed=int(seed),
        )

    def decided(self) -> Rule:
        """The rule, for those who cannot do without.

        Raises:
            HyperParameterError: if there is none.
        """
        return Rule.of(self.explanations, None, None) if self.rule is None else self.rule

    def column(self, name: str, columns: Mapping[str, Any]) -> Any:
        """``[n]`` a value for each column of the table, see `Explanations.aggregate`.

        Raises:
            HyperParameterError: if there is no such column.
            GraphError: if it has not one value for each edge.
        """
        messages = Messages.read(self.explanations, None, None)
        return column(self.explanations, messages, name, columns)

    def spread(self, columns: Tensor) -> Members:
        """Members from what belongs of the table, ``[R, n]``; of edges it lacks, nothing does."""
        columns = columns.to(self.graph.device)

        def members(piece: Piece) -> Tensor:
            place, is_known = piece.locate(self.table)
            if not columns.size(1):
                return torch.zeros_like(is_known).unsqueeze(0)
            return columns[:, place] & is_known

        return members

    def items(self, piece: Piece, members: Tensor) -> tuple[Tensor, Tensor]:
        """What can be drawn or counted, and which of it belongs; both with the same rows."""
        item = piece.items(self.table, self.num_layers if self.table.is_layerwise else len(members))
        return item, members.expand_as(item)


class MessageSet(ABC):
    """Which messages of each prediction?

    Made by the names of `glassgraph.messages` and joined as sets are: ``a | b``, ``a & b``,
    ``a - b``, ``~a``.

    Example:
        >>> from glassgraph import messages
        >>> messages.ALL - messages.layer(1)
        ALL - layer(1)
        >>> messages.KEPT.share(0.75) | messages.edges(edge_type=2)
        KEPT.share(0.75) | edges(edge_type=2)
    """

    @abstractmethod
    def bind(self, scene: Scene) -> Members:
        """Find the members for some explanations.

        Raises:
            HyperParameterError: if the set does not exist there.
        """

    def share(self, share: float) -> MessageSet:
        """A random share of it, drawn for each prediction by itself.

        Of K messages ``floor(share * K + u)`` are drawn, ``u`` uniform in (0, 1), so that the share
        is right in the mean also where K is small. With one seed a larger share holds a smaller
        one. Of a method with one score for each edge, edges are drawn, with all their messages.

        Raises:
            HyperParameterError: for a share outside of [0, 1].
        """
        return Share(self, share)

    def as_many_as(self, other: MessageSet) -> MessageSet:
        """As many of it, drawn at random, as the other set has for the prediction; all if fewer.

        Raises:
            HyperParameterError: if the other is no such set.
        """
        if not isinstance(other, MessageSet):
            raise HyperParameterError(
                "as_many_as takes a set of glassgraph.messages, such as messages.KEPT; got "
                f"{type(other).__name__}"
            )
        return AsMany(self, other)

    def __or__(self, other: MessageSet) -> MessageSet:
        return Joined(self, "|", other) if isinstance(other, MessageSet) else NotImplemented

    def __and__(self, other: MessageSet) -> MessageSet:
        return Joined(self, "&", other) if isinstance(other, MessageSet) else NotImplemented

    def __sub__(self, other: MessageSet) -> MessageSet:
        return Joined(self, "-", other) if isinstance(other, MessageSet) else NotImplemented

    def __invert__(self) -> MessageSet:
        return Joined(ALL, "-", self)


@dataclass(frozen=True, repr=False)
class Everything(MessageSet):
    """All messages, or none."""

    is_full: bool

    def bind(self, scene: Scene) -> Members:
        """One row that holds at every layer."""
        return lambda piece: torch.full_like(piece.reach[:1], self.is_full)

    def __repr__(self) -> str:
        return "ALL" if self.is_full else "NONE"


@dataclass(frozen=True, repr=False)
class Retained(MessageSet):
    """What the explanations retain, and what cannot reach the prediction anyhow."""

    def bind(self, scene: Scene) -> Members:
        """By the scene's rule."""
        rule = scene.decided()

        def members(piece: Piece) -> Tensor:
            item, retained, _ = piece.decide(scene.table, rule)
            return retained | ~item

        return members

    def __repr__(self) -> str:
        return "KEPT"


ALL: MessageSet = Everything(True)
NONE: MessageSet = Everything(False)
KEPT: MessageSet = Retained()


@dataclass(frozen=True, repr=False)
class Joined(MessageSet):
    """Two sets as one.

    Attributes:
        one: the first.
        sign: ``"|"``, ``"&"`` or ``"-"``.
        other: the second.
    """

    one: MessageSet
    sign: str
    other: MessageSet

    def bind(self, scene: Scene) -> Members:
        """Bind both."""
        one, other = self.one.bind(scene), self.other.bind(scene)
        if self.sign == "|":
            return lambda piece: one(piece) | other(piece)
        if self.sign == "&":
            return lambda piece: one(piece) & other(piece)
        return lambda piece: one(piece) & ~other(piece)

    def __repr__(self) -> str:
        one, other = (
            f"({each!r})" if isinstance(each, Joined) else repr(each)
            for each in (self.one, self.other)
        )
        return f"{one} {self.sign} {other}"


@dataclass(frozen=True, repr=False)
class Layers(MessageSet):
    """The messages at some layers, counted from 0."""

    numbers: tuple[int, ...]

    def bind(self, scene: Scene) -> Members:
        """Check that the model has these layers."""
        is_number = all(type(each) is int for each in self.numbers)
        if (
            not self.numbers
            or not is_number
            or not set(self.numbers) <= set(range(scene.num_layers))
        ):
            raise HyperParameterError(
                f"{self!r}: the model has {scene.num_layers} layers of messages, from 0; give one "
                "or several of their numbers"
            )

        def members(piece: Piece) -> Tensor:
            found = torch.zeros_like(piece.reach)
            found[list(self.numbers)] = True
            return found

        return members

    def __repr__(self) -> str:
        return f"layer({', '.join(map(repr, self.numbers))})"


@dataclass(frozen=True, repr=False)
class Share(MessageSet):
    """A random share of a set, see `MessageSet.share`."""

    messages: MessageSet
    amount: float

    def __post_init__(self) -> None:
        amount = self.amount
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount <= 1:
            raise HyperParameterError(f"a share is a number in [0, 1]; got {amount!r}")

    def bind(self, scene: Scene) -> Members:
        """Draw by address: seed, repeat, instance, endpoints of the edge, layer."""
        found = self.messages.bind(scene)

        def members(piece: Piece) -> Tensor:
            item, chosen = scene.items(piece, found(piece))
            size = count(chosen & item, piece.instance, piece.size)
            rounding = random.uniform(scene.seed, ROUNDING, scene.repeat, piece.batch.key)
            number = (self.amount * size + rounding).floor().long().minimum(size)
            return _draw(scene, piece, item, chosen, number)

        return members

    def __repr__(self) -> str:
        return f"{_bracketed(self.messages)}.share({self.amount!r})"


@dataclass(frozen=True, repr=False)
class AsMany(MessageSet):
    """As many of a set as another has, see `MessageSet.as_many_as`."""

    messages: MessageSet
    other: MessageSet

    def bind(self, scene: Scene) -> Members:
        """Draw as `Share` does."""
        found, other = self.messages.bind(scene), self.other.bind(scene)

        def members(piece: Piece) -> Tensor:
            item, chosen = scene.items(piece, found(piece))
            counted, rival = scene.items(piece, other(piece))
            if len(item) != len(counted):  # edges, and pairs of a layer and an edge
                item = counted = piece.items(scene.table, scene.num_layers)
                chosen, rival = chosen.expand_as(item), rival.expand_as(item)
            number = count(rival & counted, piece.instance, piece.size)
            return _draw(scene, piece, item, chosen, number)

        return members

    def __repr__(self) -> str:
        return f"{_bracketed(self.messages)}.as_many_as({self.other!r})"


def _draw(scene: Scene, piece: Piece, item: Tensor, chosen: Tensor, number: Tensor) -> Tensor:
    """Some of what is chosen: ``number [b]`` items of each instance; what is no item stays."""
    noise = piece.noise(len(item), scene.seed, ORDER, scene.repeat)
    place = rank(chosen & item, noise, piece.instance, piece.size)
    return (chosen & ~item) | (place < number[piece.instance])


def _bracketed(found: MessageSet) -> str:
    return f"({found!r})" if isinstance(found, Joined) else repr(found)
