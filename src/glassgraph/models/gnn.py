"""Reference graph neural networks: ordinary PyG modules for node and graph classification.

One recipe for five layers. With h_0 = x and layer l = 1..L,

    h_l = act(norm(conv_l(h_{l-1})))        act = ReLU, in the last layer if asked
    norm(h) = h / |h|_2, or batch normalization, if asked
    z = [h_1 | ... | h_L] if concat else h_L
    logits = head(z)                        level "node":  [N, C]
    logits = head([pool_1(z) | pool_2(z)])  level "graph": [B, C]

The papers' node model is `GCN(normalize=False, l2_normalize=True)` with 20 channels: a plain sum
over neighbors without the node itself (Ying et al., "GNNExplainer", 2019,
https://arxiv.org/abs/1903.03894).

Every activation is a module of its own and every aggregation happens in a `MessagePassing` layer,
so methods that hook activations or messages work on these models as on any other.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import (
    GATConv,
    GCNConv,
    GINConv,
    RGCNConv,
    SAGEConv,
    global_add_pool,
    global_max_pool,
    global_mean_pool,
)

from glassgraph.errors import HyperParameterError

Level = Literal["node", "graph"]
Aggregation = Literal["mean", "add", "max"]

POOLS: dict[str, Callable[[Tensor, Tensor | None], Tensor]] = {
    "add": global_add_pool,
    "max": global_max_pool,
    "mean": global_mean_pool,
}


@dataclass(frozen=True)
class Body:
    """What all kinds of models share besides their channels.

    Attributes:
        num_layers: L.
        concat: Hand the outputs of all layers to the head, not just the last one.
        l2_normalize: Scale every node's output of every layer to length 1.
        pool: How a graph's nodes become one vector, concatenated; read at level `"graph"` only.
        dropout: The share of outputs that training sets to zero after every layer.
        activate_last: A ReLU behind the last layer too, so that what is pooled is not negative, as
            in class activation mapping.
        batch_norm: Batch normalization (Ioffe & Szegedy 2015, https://arxiv.org/abs/1502.03167) of
            every layer before its activation.

    Raises:
        HyperParameterError: if a value is out of range or a pool is unknown.
    """

    num_layers: int = 3
    concat: bool = True
    l2_normalize: bool = False
    pool: tuple[str, ...] = ("mean", "max")
    dropout: float = 0.0
    activate_last: bool = False
    batch_norm: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        if self.num_layers < 1:
            raise HyperParameterError(f"num_layers must be positive, got {self.num_layers}")
        if not self.pool or not set(self.pool) <= set(POOLS):
            raise HyperParameterError(f"pool must name some of {sorted(POOLS)}, got {self.pool}")
        if not 0 <= self.dropout < 1:
            raise HyperParameterError(f"dropout must lie in [0, 1), got {self.dropout}")


BODY = Body()


#: What a layer is built with besides its channels.
Option = int | bool | str | None


class GNN(nn.Module):
    """Layers, activations, readout and head; a subclass says which layer, and calls it.

    Called with node features `x` `[N, F]`, edges `edge_index` `[2, E]`, what else the layer reads
    and, at level `"graph"`, `batch` `[N]`, the graph of each node (one graph by default). Returns
    class scores before the softmax: logits `[N, C]` at node level, `[B, C]` at graph level.

    Args:
        in_channels: F, the number of node features.
        hidden_channels: D, the width of every layer.
        out_channels: C, the number of classes.
        level: `"node"` or `"graph"`.
        body: Depth, readout and the like.
        **options: What `layer` takes besides its channels.

    Attributes:
        architecture: The arguments that build this model again, as JSON-able values.

    Raises:
        HyperParameterError: if a channel number is not positive, or the level is unknown.
    """

    kind: ClassVar[str]

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        level: Level,
        body: Body,
        **options: Option,
    ) -> None:
        super().__init__()
        channels = (in_channels, hidden_channels, out_channels)
        if min(channels) < 1:
            raise HyperParameterError(f"in, hidden and out channels must be positive: {channels}")
        if level not in ("node", "graph"):
            raise HyperParameterError(f"level must be 'node' or 'graph', got {level!r}")
        self.level = level
        self.body = body
        self.architecture: dict[str, object] = {
            "kind": self.kind,
            "in_channels": in_channels,
            "hidden_channels": hidden_channels,
            "out_channels": out_channels,
            "level": level,
            **options,
            "body": {**asdict(body), "pool": list(body.pool)},
        }
        widths = [in_channels, *[hidden_channels] * body.num_layers]
        self.convs = nn.ModuleList(
            self.layer(before, after, **options) for before, after in pairwise(widths)
        )
        self.activations = nn.ModuleList(nn.ReLU() for _ in range(body.num_layers - 1))
        self.activations.append(nn.ReLU() if body.activate_last else nn.Identity())
        self.norms = (
            nn.ModuleList(nn.BatchNorm1d(hidden_channels) for _ in range(body.num_layers))
            if body.batch_norm
            else None
        )
        self.dropout = nn.Dropout(body.dropout)
        width = hidden_channels * (body.num_layers if body.concat else 1)
        self.head = nn.Linear(width * (len(body.pool) if level == "graph" else 1), out_channels)

    def layer(self, before: int, after: int, **options: Any) -> Any:
        """A layer of PyG, which comes without types, from `before` to `after` channels."""
        raise NotImplementedError

    def _logits(
        self, x: Tensor, batch: Tensor | None, step: Callable[[nn.Module, Tensor], Tensor]
    ) -> Tensor:
        outputs = []
        for layer, conv in enumerate(self.convs):
            x = step(conv, x)
            if self.body.l2_normalize:
                x = functional.normalize(x, dim=-1)
            if self.norms is not None:
                x = self.norms[layer](x)
            x = self.dropout(self.activations[layer](x))
            outputs.append(x)
        if self.body.concat:
            x = torch.cat(outputs, dim=-1)
        if self.level == "graph":
            x = torch.cat([POOLS[name](x, batch) for name in self.body.pool], dim=-1)
        logits: Tensor = self.head(x)
        return logits


class GCN(GNN):
    """Graph convolutions (Kipf & Welling 2017, https://arxiv.org/abs/1609.02907).

    Args:
        in_channels, hidden_channels, out_channels, level, body: See `GNN`.
        normalize: Add self-loops and divide by the degrees; without it, a layer sums its neighbors.
    """

    kind = "gcn"

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        level: Level = "node",
        normalize: bool = True,
        body: Body = BODY,
    ) -> None:
        super().__init__(
            in_channels, hidden_channels, out_channels, level, body, normalize=normalize
        )

    def layer(self, before: int, after: int, **options: Any) -> Any:
        """PyG's layer."""
        return GCNConv(before, after, **options)

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        batch: Tensor | None = None,
    ) -> Tensor:
        """Logits, see `GNN`; `edge_weight` is a factor per edge `[E]`, 1 by default."""
        return self._logits(x, batch, lambda conv, h: conv(h, edge_index, edge_weight))


class _OfEdges(GNN):
    """A network that reads edges alone, neither their weights nor their types."""

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        """Logits, see `GNN`."""
        return self._logits(x, batch, lambda conv, h: conv(h, edge_index))


class GIN(_OfEdges):
    """Sum aggregation and a two-layer perceptron (Xu et al. 2019, arxiv.org/abs/1810.00826).

    Args:
        in_channels, hidden_channels, out_channels, level, body: See `GNN`.
    """

    kind = "gin"

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        level: Level = "node",
        body: Body = BODY,
    ) -> None:
        super().__init__(in_channels, hidden_channels, out_channels, level, body)

    def layer(self, before: int, after: int, **options: Any) -> Any:
        """PyG's layer around two linear maps."""
        perceptron = nn.Sequential(nn.Linear(before, after), nn.ReLU(), nn.Linear(after, after))
        return GINConv(perceptron, **options)


class GAT(_OfEdges):
    """Attention over neighbors (Velickovic et al. 2018, https://arxiv.org/abs/1710.10903).

    Args:
        in_channels, hidden_channels, out_channels, level, body: See `GNN`; a layer is
            `hidden_channels` wide with all heads together.
        heads: H, attention heads per layer; must divide `hidden_channels`.

    Raises:
        HyperParameterError: if the heads do not divide the hidden channels.
    """

    kind = "gat"

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        level: Level = "node",
        heads: int = 4,
        body: Body = BODY,
    ) -> None:
        if heads < 1 or hidden_channels % heads:
            raise HyperParameterError(
                f"heads must divide hidden_channels {hidden_channels}, got {heads}"
            )
        super().__init__(in_channels, hidden_channels, out_channels, level, body, heads=heads)

    def layer(self, before: int, after: int, **options: Any) -> Any:
        """PyG's layer, whose heads lie side by side."""
        return GATConv(before, after // options["heads"], **options)


class RGCN(GNN):
    """One weight matrix per relation (Schlichtkrull et al. 2018, https://arxiv.org/abs/1703.06103).

    Args:
        in_channels, hidden_channels, out_channels, level, body: See `GNN`.
        num_relations: R, the number of edge types.
        num_bases: Build the R matrices from this many; None gives each relation its own.
        aggr: How the messages of one relation are joined, `"mean"` (the paper's), `"add"` or
            `"max"`; relations are added.

    Raises:
        HyperParameterError: if the number of relations is not positive, or `aggr` is unknown.
    """

    kind = "rgcn"

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_relations: int,
        level: Level = "node",
        num_bases: int | None = None,
        aggr: Aggregation = "mean",
        body: Body = BODY,
    ) -> None:
        if num_relations < 1:
            raise HyperParameterError(f"num_relations must be positive, got {num_relations}")
        _check_aggr(aggr)
        own = {"num_relations": num_relations, "num_bases": num_bases, "aggr": aggr}
        super().__init__(in_channels, hidden_channels, out_channels, level, body, **own)

    def layer(self, before: int, after: int, **options: Any) -> Any:
        """PyG's layer."""
        return RGCNConv(before, after, **options)

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_type: Tensor, batch: Tensor | None = None
    ) -> Tensor:
        """Logits, see `GNN`; `edge_type` is the relation of each edge `[E]`, in 0..R-1."""
        return self._logits(x, batch, lambda conv, h: conv(h, edge_index, edge_type))


class SAGE(_OfEdges):
    """Neighbors and the node itself, each with weights of its own (Hamilton et al. 2017).

    "Inductive Representation Learning on Large Graphs", https://arxiv.org/abs/1706.02216.

    Args:
        in_channels, hidden_channels, out_channels, level, body: See `GNN`.
        aggr: How the neighbors are joined, `"mean"` (the paper's), `"add"` or `"max"`.

    Raises:
        HyperParameterError: if `aggr` is unknown.
    """

    kind = "sage"

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        level: Level = "node",
        aggr: Aggregation = "mean",
        body: Body = BODY,
    ) -> None:
        _check_aggr(aggr)
        super().__init__(in_channels, hidden_channels, out_channels, level, body, aggr=aggr)

    def layer(self, before: int, after: int, **options: Any) -> Any:
        """PyG's layer."""
        return SAGEConv(before, after, **options)


def _check_aggr(aggr: str) -> None:
    if aggr not in get_args(Aggregation):
        raise HyperParameterError(f"aggr must be 'mean', 'add' or 'max', got {aggr!r}")


MODELS: dict[str, type[GCN] | type[GIN] | type[GAT] | type[RGCN] | type[SAGE]] = {
    model.kind: model for model in (GCN, GIN, GAT, RGCN, SAGE)
}
