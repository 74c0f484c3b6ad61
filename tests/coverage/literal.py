"""What the library claims, once more and by hand: plain loops, no hooks, the user's whole graph.

A layer's own ``message`` and ``propagate`` are wrapped on a copy of the model, so that nothing is
shared with the way the library reaches into a model.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

import glassgraph as gg

#: ``carries(data, layer name, call number, rows [2, M])`` gives the user edge of each message row,
#: -1 for a row that the layer added.
Carries = Callable[[Any, str, int, Tensor], "list[int]"]


def by_endpoints(data: Any, name: str, call: int, rows: Tensor) -> list[int]:
    """A row belongs to the next unused edge with its endpoints."""
    waiting = defaultdict(list)
    for edge, ends in enumerate(data.edge_index.t().tolist()):
        waiting[tuple(ends)].append(edge)
    found = []
    for ends in rows.t().tolist():
        same = waiting[tuple(ends)]
        found.append(same.pop(0) if same else -1)
    return found


def against_the_edges(data: Any, name: str, call: int, rows: Tensor) -> list[int]:
    """Every message runs from the receiver of its edge to the sender."""
    return by_endpoints(data, name, call, rows.flip(0))


def there_and_back(data: Any, name: str, call: int, rows: Tensor) -> list[int]:
    """A hypergraph layer: first from nodes to hyperedges, then back."""
    return by_endpoints(data, name, call, rows if call % 2 == 0 else rows.flip(0))


def out_is_backwards(data: Any, name: str, call: int, rows: Tensor) -> list[int]:
    """DirGNN: its second half gets the reversed graph."""
    return by_endpoints(data, name, call, rows.flip(0) if name.endswith("out") else rows)


def by_relation(data: Any, name: str, call: int, rows: Tensor) -> list[int]:
    """Call number r carries the edges of relation r, in the user's order."""
    found: list[int] = (data.edge_type == call).nonzero().view(-1).tolist()
    return found


def by_position(data: Any, name: str, call: int, rows: Tensor) -> list[int]:
    """Row e is edge e."""
    return list(range(rows.size(1)))


def by_sign(data: Any, name: str, call: int, rows: Tensor) -> list[int]:
    """Positive and negative edges take turns."""
    wanted = data.sign > 0 if call % 2 == 0 else data.sign < 0
    found: list[int] = wanted.nonzero().view(-1).tolist()
    return found


def predict(model: nn.Module, data: Any, names: tuple[str, ...]) -> Tensor:
    """The model on one graph or batch, its arguments spelled out: ``[rows, C]``."""
    arguments = {name: data[name] for name in names}
    edge_index = data.edge_index
    if type(edge_index) is not Tensor:  # PyG's EdgeIndex
        edge_index = edge_index.as_tensor()
    out: Tensor = model(data.x, edge_index, **arguments)
    return out


class Gated:
    """A copy of a model in which each message is multiplied by its edge's gate.

    Args:
        model: the model.
        data: one graph.
        names: the model's arguments beside ``x`` and ``edge_index``.
        carries: the user edge of each row.
    """

    def __init__(self, model: nn.Module, data: Any, names: tuple[str, ...], carries: Carries):
        self._model = copy.deepcopy(model).eval()
        self._data, self._names, self._carries = data, names, carries
        self._edges: dict[tuple[str, int], Tensor] = {}
        self._calls: dict[str, int] = {}
        for name, module in self._model.named_modules():
            if getattr(module, "cached", False):
                module.cached = False
            if isinstance(module, MessagePassing):
                self._wrap_layer(name, module)
            elif isinstance(module, gg.MessageTap):
                self._wrap_tap(name, module)

    def __call__(self, gates: Tensor) -> Tensor:
        """The output under gates ``[E]``, or ``[S, E]`` for the S message calls in their order."""
        self._gates, self._site, self._calls = gates, -1, {}
        out = predict(self._model, self._data, self._names)
        assert gates.dim() == 1 or gates.size(0) == self._site + 1
        return out

    def _next(self, name: str, rows: Tensor) -> Tensor:
        """The factor of each row of the message call that begins."""
        self._site += 1
        call = self._calls[name] = self._calls.get(name, -1) + 1
        gates = self._gates if self._gates.dim() == 1 else self._gates[self._site]
        if (name, call) not in self._edges:
            self._edges[name, call] = torch.tensor(self._carries(self._data, name, call, rows))
        edges = self._edges[name, call].long()
        assert edges.numel() == rows.size(1)
        return torch.cat([gates, gates.new_ones(1)])[edges]  # -1 picks the appended one

    def _wrap_layer(self, name: str, module: Any) -> None:
        propagate, message = module.propagate, module.message
        current: dict[str, Tensor] = {}

        def wrapped_propagate(edge_index: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            current["factor"] = self._next(name, edge_index)
            out: Tensor = propagate(edge_index, *args, **kwargs)
            return out

        def wrapped_message(*args: Any, **kwargs: Any) -> Tensor:
            out: Tensor = message(*args, **kwargs)
            shape = [1] * out.dim()
            shape[module.node_dim] = -1
            return out * current["factor"].view(shape)

        module.propagate, module.message = wrapped_propagate, wrapped_message

    def _wrap_tap(self, name: str, module: Any) -> None:
        def wrapped(messages: Tensor, edge_index: Tensor) -> Tensor:
            factor = self._next(name, edge_index)
            return messages * factor.view(-1, *[1] * (messages.dim() - 1))

        module.forward = wrapped


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Assert that a block leaves a model as it was, to the last bit.

    Parameters, buffers, ``requires_grad``, gradients, training flags, hooks, every attribute of
    every module, and the global random state.
    """
    before = _state(model)
    yield
    after = _state(model)
    assert before.keys() == after.keys(), before.keys() ^ after.keys()
    for key, value in before.items():
        other = after[key]
        same = _same_bits(value, other) if isinstance(value, Tensor) else value == other
        assert same, f"{key} changed from {value} to {other}"


def _same_bits(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same bytes; some layers leave weights as the memory was, NaN."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    pair = (each.contiguous().view(-1).view(torch.uint8) for each in (one, other))
    return one.numel() == 0 or torch.equal(*pair)


def _state(model: nn.Module) -> dict[str, Any]:
    found: dict[str, Any] = {"random": torch.random.get_rng_state()}
    for key, value in model.state_dict(keep_vars=True).items():
        found[f"value of {key}"] = value.detach().clone()
        found[f"requires_grad of {key}"] = value.requires_grad
        found[f"whether {key} has a gradient"] = value.grad is not None
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            if key.endswith("_hooks"):
                found[f"hooks {name}.{key}"] = len(value)
            elif isinstance(value, (bool, int, float, str, type(None))):
                found[f"attribute {name}.{key}"] = value
            else:
                found[f"attribute {name}.{key}"] = id(value)
    return found
