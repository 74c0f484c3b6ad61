"""A counterfactual: the graph with a few changes, on which a model decides otherwise."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from glassgraph.brief import brief_repr
from glassgraph.inputs.node_features import feature_name
from glassgraph.results.records import LocalExplanation
from glassgraph.results.type_names import edge_type_words

#: Tables of methods that look for counterfactuals: a row for each edge that is deleted, for each
#: that is inserted, for each feature that is changed, and for each instance.
DELETED, INSERTED, FEATURES = "deleted_edges", "inserted_edges", "changed_features"
FOUND = "counterfactual"


@dataclass(frozen=True)
class InsertedEdges:
    """Edges that are not in the user's graph.

    Attributes:
        edge_index: ``[2, k]`` the user's numbers of the nodes that they join.
        attributes: their attributes ``[k, ...]``, by name: the row that most edges have.
    """

    edge_index: Tensor
    attributes: Mapping[str, Tensor] = field(default_factory=dict)

    __repr__ = brief_repr


@dataclass(frozen=True)
class ChangedFeatures:
    """Features of nodes that are set to their baseline.

    Attributes:
        node_id: ``[k]`` the user's numbers of the nodes.
        node_type: ``[k]`` their types, on heterogeneous graphs.
        column: ``[k]`` which feature.
        before: ``[k]``.
        after: ``[k]``.
    """

    node_id: Tensor
    node_type: list[str] | None
    column: Tensor
    before: Tensor
    after: Tensor

    __repr__ = brief_repr


_NO_EDGES = InsertedEdges(torch.zeros(2, 0, dtype=torch.long))
_NONE = torch.zeros(0, dtype=torch.long)
_NO_FEATURES = ChangedFeatures(_NONE, None, _NONE, _NONE.double(), _NONE.double())


@dataclass(frozen=True)
class Counterfactual:
    """What has to change of a graph for the model to decide otherwise?

    Attributes:
        index: the user's number of the instance.
        edge_id: ``[k]`` the user's numbers of the deleted edges in the field of the prediction.
        edge_type: ``[k]`` their types, on heterogeneous graphs.
        size: how many changes there are: edges that are deleted or inserted (undirected ones
            where both directions go as one), and features of nodes.
        num_edges: how many edges there were in the field, counted alike.
        is_valid: whether the decision about the explained class is another.
        new_class: the class predicted then; None for a regression, for instances with several rows
            of output and where nothing is left of the graph.
        before: probability of the explained class (less that of its contrast), or the value.
        after: the same with the changes.
        is_undirected: whether both directions of an edge are one change.
        inserted: edges that are inserted.
        features: features that are changed.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x = torch.tensor([[0.0, 2.0], [1.0, 0.0], [0.0, 3.0], [4.0, 0.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
        >>> explainer = gg.SmallestCounterfactual(SimpleConv(), task="node", progress=False)
        >>> found = explainer.explain(data, [0])[0].counterfactual
        >>> found.is_valid, found.new_class, found.size, found.edge_id.tolist()
        (True, 1, 1, [2])
        >>> found.data.edge_index  # what is left
        tensor([[1, 2],
                [0, 0]])
    """

    index: int
    edge_id: Tensor
    edge_type: list[str] | None
    size: int
    num_edges: int
    is_valid: bool
    new_class: int | None
    before: float
    after: float
    is_undirected: bool
    original: Any = field(repr=False, compare=False)
    inserted: InsertedEdges = field(default=_NO_EDGES, repr=False, compare=False)
    features: ChangedFeatures = field(default=_NO_FEATURES, repr=False, compare=False)

    __repr__ = brief_repr

    @property
    def num_inserted(self) -> int:
        """How many edges are inserted, counted as they are deleted."""
        return self.inserted.edge_index.size(1) // (1 + self.is_undirected)

    @property
    def num_deleted(self) -> int:
        """How many edges are deleted, undirected ones where both directions go as one."""
        return self.size - self.num_inserted - self.features.column.numel()

    @property
    def sparsity(self) -> float:
        """Share of the field's edges that stay; 1 for a field without edges."""
        return 1.0 - self.num_deleted / self.num_edges if self.num_edges else 1.0

    @property
    def proximity(self) -> float:
        """``|E and E'| / |E or E'|`` of the field's edges before and after."""
        union = self.num_edges + self.num_inserted
        return (self.num_edges - self.num_deleted) / union if union else 1.0

    @property
    def feature_distance(self) -> float:
        """Euclidean distance of the features before and after."""
        return float((self.features.after - self.features.before).norm())

    @cached_property
    def data(self) -> Any:
        """The changed graph, a copy of the user's; all nodes stay, and new edges come last."""
        changed = without(self.original, self.edge_id, self.edge_type, both=self.is_undirected)
        if self.inserted.edge_index.size(1):
            changed = with_edges(changed, self.inserted)
        if self.features.column.numel():
            changed = with_features(changed, self.features)
        return changed


def without(data: Any, edge_id: Tensor, edge_type: list[str] | None, *, both: bool) -> Any:
    """A copy of a graph without some edges.

    Args:
        data: the graph.
        edge_id: ``[k]`` which edges, within their type.
        edge_type: ``[k]`` their types, on heterogeneous graphs.
        both: whether all edges between the same two nodes go.
    """
    changed = copy.copy(data)
    names = [None] if edge_type is None else list(data.edge_types)
    words = names if edge_type is None else edge_type_words(data.edge_types)
    for name, word in zip(names, words, strict=True):
        store = changed if name is None else changed[name]
        given = [word] * edge_id.numel() if edge_type is None else edge_type
        rows = torch.tensor([i for i, kind in enumerate(given) if kind == word]).long()
        ends = store["edge_index"]
        goes = torch.zeros(ends.size(1), dtype=torch.bool, device=ends.device)
        goes[edge_id[rows].to(ends.device)] = True
        if both:
            goes = _both_ways(ends, goes)
        plain = data if name is None else data[name]
        for key in plain.edge_attrs():
            value = plain[key]
            dim = data.__cat_dim__(key, value, plain)
            store[key] = value.index_select(dim, (~goes).nonzero().view(-1))
    return changed


def _both_ways(ends: Tensor, goes: Tensor) -> Tensor:
    """Edges between two nodes that an edge which goes joins."""
    low, high = ends.min(dim=0).values, ends.max(dim=0).values
    key = low * (int(ends.max()) + 1 if ends.numel() else 1) + high
    return torch.isin(key, key[goes])


def with_edges(data: Any, inserted: InsertedEdges) -> Any:
    """A copy of a graph with more edges; attributes that the model does not read are left out."""
    changed = copy.copy(data)
    ends, count = inserted.edge_index.to(data.edge_index.device), data.edge_index.size(1)
    changed.edge_index = torch.cat([data.edge_index, ends], dim=1)
    for key in data.edge_attrs():
        value = data[key]
        if key in inserted.attributes:
            row = inserted.attributes[key].to(value.device, value.dtype)
            changed[key] = torch.cat([value, row.view(-1, *value.shape[1:])])
        elif key != "edge_index" and value.size(0) == count:
            del changed[key]
    return changed


def with_features(data: Any, features: ChangedFeatures) -> Any:
    """A copy of a graph with other features of some nodes."""
    changed = copy.copy(data)
    kinds: list[str | None] = [None]
    if features.node_type is not None:
        kinds = list(dict.fromkeys(features.node_type))
    for kind in kinds:
        store = changed if kind is None else changed[kind]
        name = feature_name(store, lambda _: True)
        if name is None:
            continue
        row = torch.arange(features.column.numel())
        if features.node_type is not None:
            row = row[torch.tensor([each == kind for each in features.node_type])]
        value = store[name].clone(memory_format=torch.contiguous_format)
        flat = value.view(value.size(0), -1)
        after = features.after[row].to(value.device, value.dtype)
        flat[features.node_id[row], features.column[row]] = after
        store[name] = value
    return changed


def found_by_method(local: LocalExplanation, data: Any) -> Counterfactual | None:
    """The counterfactual that a method has found; None of a method that looks for none.

    Args:
        local: the explanation.
        data: the user's graph.
    """
    if FOUND not in local.tables:
        return None
    found = {name: value[0] for name, value in local.tables[FOUND].items()}
    deleted = local.tables[DELETED]["edge"]
    after = float(found["after"])
    has_class = "new_class" in found and after == after
    return Counterfactual(
        index=local.index,
        edge_id=local.edge_id[deleted],
        edge_type=None if local.edge_type is None else [local.edge_type[i] for i in deleted],
        size=int(found["size"]),
        num_edges=int(found["num_items"]),
        is_valid=bool(found["valid"]),
        new_class=int(found["new_class"]) if has_class else None,
        before=float(found["before"]),
        after=after,
        is_undirected=bool(found["in_pairs"]),
        original=data,
        inserted=_inserted(local),
        features=_features(local),
    )


def _inserted(local: LocalExplanation) -> InsertedEdges:
    if INSERTED not in local.tables:
        return _NO_EDGES
    columns = dict(local.tables[INSERTED])
    ends = [local.node_id[columns.pop(name)] for name in ("source", "destination")]
    return InsertedEdges(torch.stack(ends), columns)


def _features(local: LocalExplanation) -> ChangedFeatures:
    if FEATURES not in local.tables:
        return _NO_FEATURES
    columns = local.tables[FEATURES]
    node = columns["node"]
    return ChangedFeatures(
        local.node_id[node],
        None if local.node_type is None else [local.node_type[i] for i in node.tolist()],
        *(columns[name] for name in ("column", "before", "after")),
    )
