"""Literal counterparts of what the library does: plain loops, own hooks, the user's whole graph."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import MessagePassing

from glassgraph.testing.cases import Case


def predict(model: nn.Module, case: Case, data: Any) -> Tensor:
    """The model on everything the user has: ``[rows, C]``."""
    return case.predict(model, data)


def predict_one(model: nn.Module, case: Case, data: Data, x: Tensor | None = None) -> Tensor:
    """The model on one data object, with the arguments it takes spelled out."""
    return case.predict_one(model, data, x)


def rows_of_edges(case: Case, data: Data) -> list[tuple[int, int]]:
    """For each edge which message call of a layer carries it, and in which row.

    GIN sends along the user's edges. GCN and GAT drop self-loops and append one for each node, in
    node order. R-GCN makes one call per relation, with the edges of that relation in order.
    """
    ends = data.edge_index.t().tolist()
    if case.kind == "gin":
        return [(0, edge) for edge in range(len(ends))]
    rows: Counter[int] = Counter()  # so far, of each call
    if case.kind == "rgcn":
        found = []
        for kind in data.edge_type.tolist():
            found.append((kind, rows[kind]))
            rows[kind] += 1
        return found
    num_others = sum(source != destination for source, destination in ends)
    found = []
    for source, destination in ends:
        found.append((0, num_others + source if source == destination else rows[0]))
        rows[0] += source != destination
    return found


def gated(
    model: nn.Module, case: Case, data: Data, gates: Tensor, x: Tensor | None = None
) -> Tensor:
    """The model's output where the messages of each user edge are multiplied by ``gates [L, E]``.

    Other features may be given; gradients flow to gates and features.
    """
    layers = [module for module in model.modules() if isinstance(module, MessagePassing)]
    assert gates.shape == (len(layers), data.num_edges)
    carried: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for edge, (number, row) in enumerate(rows_of_edges(case, data)):
        carried[number].append((edge, row))
    handles = []
    for layer, module in enumerate(layers):
        calls = [-1]

        def hook(_: Any, __: Any, messages: Tensor, layer: int = layer, n: Any = calls) -> Tensor:
            n[0] += 1
            factor = torch.ones(messages.size(0), dtype=messages.dtype)
            if n[0] in carried:
                edge, row = torch.tensor(carried[n[0]]).t()
                factor = factor.index_put((row,), gates[layer, edge])
            return messages * factor.view(-1, *[1] * (messages.dim() - 1))

        handles.append(module.register_message_forward_hook(hook))
    try:
        return predict_one(model, case, data, x)
    finally:
        for handle in handles:
            handle.remove()


#: The row of the model's output that is explained; None for all rows of a graph.
Row = Any
#: The explained class, and what it is held against; of several rows one such pair for each.
Chosen = Any


def one_graph(case: Case, data: Any, position: int) -> tuple[Data, Row]:
    """The graph of the case's n-th instance, and the row of the model's output that explains it."""
    if case.level == "graph":
        return data[case.index[position]], 0 if case.rows is None else None
    return data, case.index[position]


def target(case: Case, output: Tensor, data: Data, row: Row) -> Chosen:
    """The explained class, and what it is held against."""
    if row is None:
        return [target(case, output, data, each) for each in range(len(output))]
    if isinstance(case.target, tuple):
        return case.target
    if isinstance(case.target, int):
        return case.target, None
    if case.target == "label":
        labels = data.edge_label if case.level == "edge" else data.y
        return int(labels[row]), None
    if case.mode == "regression":
        return 0, None
    if case.columns == 1:
        bound = {"raw": 0.0, "probs": 0.5, "log_probs": -0.6931471805599453}[case.return_type]
        return int(output[row, 0] > bound), None
    return int(output[row].argmax()), None


def score(case: Case, output: Tensor, row: Row, chosen: Chosen) -> Tensor:
    """The explained scalar, spelled out for every mode; the sum over several rows."""
    if row is None:
        return torch.stack([score(case, output, *each) for each in enumerate(chosen)]).sum()

    def of(number: int) -> Tensor:
        if case.mode != "binary_classification" or case.columns > 1 or number == 1:
            return output[row, number if case.columns > 1 else 0]
        value = output[row, 0]
        if case.return_type == "raw":
            return -value
        return 1 - value if case.return_type == "probs" else torch.log(1 - torch.exp(value))

    return of(chosen[0]) if chosen[1] is None else of(chosen[0]) - of(chosen[1])


def log_probability(case: Case, output: Tensor, row: int, number: int) -> Tensor:
    """``log P`` of a class, spelled out for every classification mode."""
    value = output[row]
    if case.mode == "multiclass_classification":
        if case.return_type == "raw":
            return torch.log(value.exp()[number] / value.exp().sum())
        return value[number].log() if case.return_type == "probs" else value[number]
    one = value[0]
    if case.return_type == "raw":
        one = 1 / (1 + torch.exp(-one))
    elif case.return_type == "log_probs":
        one = one.exp()
    return torch.log(one if number == 1 else 1 - one)
