"""A counterfactual: the graph without some edges, on which a model decides otherwise."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from glassgraph.brief import brief_repr
from glassgraph.results.records import LocalExplanation
from glassgraph.results.type_names import edge_type_words

#: Tables of methods that look for counterfactuals: a row for each edge that is deleted, and one for
#: each instance.
DELETED, FOUND = "deleted_edges", "counterfactual"


@dataclass(frozen=True)
class Counterfactual:
    """What has to be deleted of a graph for the model to decide otherwise?

    Attributes:
        index: the user's number of the instance.
        edge_id: ``[k]`` the user's numbers of the deleted edges in the field of the prediction.
        edge_type: ``[k]`` their types, on heterogeneous graphs.
        size: how many edges that is, or undirected edges where these are deleted as one.
        num_edges: how many there were in the field, counted alike.
        is_valid: whether the decision about the explained class is another.
        new_class: the class predicted then; None for a regression, for instances with several rows
            of output and where nothing is left of the graph.
        before: probability of the explained class (less that of its contrast), or the value.
        after: the same without the edges.
        is_undirected: whether both directions of an edge are deleted.

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

    __repr__ = brief_repr

    @property
    def sparsity(self) -> float:
        """Share of the field's edges that stay; 1 for a field without edges."""
        return 1.0 - self.size / self.num_edges if self.num_edges else 1.0

    @cached_property
    def data(self) -> Any:
        """The changed graph, a copy of the user's; all nodes stay."""
        return without(self.original, self.edge_id, self.edge_type, both=self.is_undirected)


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
    )
