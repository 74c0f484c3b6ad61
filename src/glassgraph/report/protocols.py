"""What a report reads: the few fields of an explanation that a picture needs.

The report computes no explanation and imports none; anything with these fields can be drawn.
``glassgraph.Explanations`` and its ``local(i)`` have them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor

from glassgraph.errors import GlassgraphError

__all__ = ["LocalLike", "RunLike"]


class ReportError(GlassgraphError, ValueError):
    """The explanations do not belong into one report."""


class LocalLike(Protocol):
    """One instance in its own receptive field: n nodes, e edges, L layers, F features, C outputs.

    All tensors are on the CPU; ``None`` where a method does not give that kind of score.
    """

    @property
    def index(self) -> int:
        """Node id, graph id or column of ``edge_label_index``."""

    @property
    def graph(self) -> int:
        """Which graph of the user's list (0 for one graph)."""

    @property
    def target(self) -> int | tuple[int, int] | None:
        """The explained class, or (a, b) for "a rather than b"; None where rows have several."""

    @property
    def prediction(self) -> Tensor:
        """[C] probabilities (classification) or values (regression); [rows, C] of many rows."""

    @property
    def label(self) -> int | None:
        """The true class, where the data has it."""

    @property
    def seeds(self) -> Tensor:
        """[1], [2] or [0] node ids that the instance is about."""

    @property
    def seed_type(self) -> list[str] | None:
        """Names of their types, where there are types."""

    @property
    def node_id(self) -> Tensor:
        """[n] the user's node ids (within the type, where there are types)."""

    @property
    def node_type(self) -> list[str] | None:
        """[n] names of node types."""

    @property
    def edge_id(self) -> Tensor:
        """[e] the user's edge ids (within the type, where there are types)."""

    @property
    def edge_type(self) -> list[str] | None:
        """[e] names of relations."""

    @property
    def edge_index(self) -> Tensor:
        """[2, e] source and destination as positions in ``node_id``."""

    @property
    def edge_score(self) -> Tensor | None:
        """[e], may be negative."""

    @property
    def layer_edge_score(self) -> Tensor | None:
        """[L, e], may be negative."""

    @property
    def node_score(self) -> Tensor | None:
        """[n], may be negative."""

    @property
    def feature_score(self) -> Tensor | None:
        """[n, F], may be negative."""

    @property
    def edge_truth(self) -> Tensor | None:
        """[e] bool: part of the planted or annotated explanation."""

    @property
    def total(self) -> float | None:
        """What the node scores sum to if nothing is lost on the way."""

    @property
    def absorbed(self) -> float | None:
        """Share of `total` that no node received."""

    @property
    def walks(self) -> Tensor | None:
        """[W, S] positions in ``node_id``, the best walk first; a repeated node: it stays there."""

    @property
    def walk_scores(self) -> Tensor | None:
        """[W], may be negative."""

    @property
    def tables(self) -> Mapping[str, Mapping[str, Tensor]]:
        """What else was found, by name: columns, with nodes as positions in ``node_id``."""

    @property
    def node_names(self) -> Sequence[str] | None:
        """[n] words."""

    @property
    def edge_names(self) -> Sequence[str] | None:
        """[e] words."""

    @property
    def class_names(self) -> Sequence[str] | None:
        """[C] words."""

    @property
    def feature_names(self) -> Sequence[str] | Mapping[str, Sequence[str]] | None:
        """[F] words; by node type, where there are types."""

    @property
    def title(self) -> str:
        """What is explained, in words; empty where nothing says so."""

    @property
    def target_name(self) -> str | None:
        """The explained output, in words."""


class RunLike(Protocol):
    """The explanations of one method over a list of instances."""

    @property
    def method(self) -> str:
        """Registry name of the method."""

    @property
    def provenance(self) -> Mapping[str, object]:
        """JSON-able record of how the explanations were made."""

    @property
    def level(self) -> str:
        """``"node"``, ``"graph"`` or ``"edge"``."""

    @property
    def num_layers(self) -> int:
        """Message-passing steps of the explained model."""

    def __len__(self) -> int:
        """Number of explained instances."""

    def local(self, i: int) -> LocalLike:
        """The i-th instance in its receptive field."""
