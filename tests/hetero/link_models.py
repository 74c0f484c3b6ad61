"""Models that score links between nodes of two types, the graph they run on, and both by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.nn import GATConv, GraphConv, HeteroConv, HGTConv, SAGEConv, to_hetero
from torch_geometric.nn.conv import MessagePassing

Kind = tuple[str, str, str]
USERS, ITEMS, TAGS, WIDTH = 7, 9, 4, 6
DIMS = {"user": 3, "item": 4, "tag": 2}
LIKES, BUYS = ("user", "likes", "item"), ("user", "buys", "item")
RELATIONS: list[Kind] = [
    BUYS,
    ("item", "bought_by", "user"),
    ("item", "has", "tag"),
    ("tag", "of", "item"),
]
#: Columns of ``edge_label_index``: the first item has no edge, nor has the last user.
LINKS = torch.tensor([[0, 3, 5, 2, 6], [1, 8, 0, 4, 0]])


def link_data() -> HeteroData:
    """Users, items and tags; links of ``likes``, along which nothing is sent."""
    draw = torch.Generator().manual_seed(11)

    def edges(num_source: int, num_target: int, count: int) -> Tensor:
        key = torch.randperm(num_source * num_target, generator=draw)[:count].sort().values
        return torch.stack([key // num_target, key % num_target])

    data = HeteroData()
    for kind, size in (("user", USERS), ("item", ITEMS), ("tag", TAGS)):
        data[kind].x = torch.randn(size, DIMS[kind], generator=draw).double()
    bought = edges(USERS - 1, ITEMS - 1, 17) + torch.tensor([[0], [1]])
    tagged = edges(ITEMS - 1, TAGS, 13) + torch.tensor([[1], [0]])
    data[BUYS].edge_index, data[RELATIONS[1]].edge_index = bought, bought.flip(0)
    data[RELATIONS[2]].edge_index, data[RELATIONS[3]].edge_index = tagged, tagged.flip(0)
    data[LIKES].edge_label_index = LINKS
    data[LIKES].edge_label = torch.tensor([1, 0, 1, 1, 0])
    return data


def dot(z: Mapping[str, Tensor], edge_label_index: Tensor) -> Tensor:
    """Scores of links: the product of the states at their ends."""
    source, target = edge_label_index
    return (z["user"][source] * z["item"][target]).sum(dim=-1)


class TwoLayers(nn.Module):
    """What `to_hetero` turns into a typed model."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x, edge_index):  # PyG 2.6 traces no annotations that are text
        return self.second(self.first(x, edge_index).tanh(), edge_index)


class EncoderDecoder(nn.Module):
    """A typed encoder, and the product as decoder."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x_dict: Any, edge_index_dict: Any, edge_label_index: Tensor) -> Tensor:
        return dot(self.encoder(x_dict, edge_index_dict), edge_label_index)


class HeteroLayers(nn.Module):
    """Two layers of `HeteroConv`: sums of neighbors, and of relations."""

    def __init__(self) -> None:
        super().__init__()
        first = {
            kind: GraphConv((DIMS[kind[0]], DIMS[kind[2]]), WIDTH)
            if kind[1] != "has"
            else SAGEConv((DIMS[kind[0]], DIMS[kind[2]]), WIDTH, aggr="sum")
            for kind in RELATIONS
        }
        second = {kind: GraphConv(WIDTH, WIDTH) for kind in RELATIONS}
        self.convs = nn.ModuleList([HeteroConv(first), HeteroConv(second)])

    def forward(self, x_dict: Any, edge_index_dict: Any) -> dict[str, Tensor]:
        for conv in self.convs:
            x_dict = {kind: x.tanh() for kind, x in conv(x_dict, edge_index_dict).items()}
        return x_dict


class HGTLayers(nn.Module):
    """Two layers of `HGTConv`, which sends along all relations at once."""

    def __init__(self, metadata: Any) -> None:
        super().__init__()
        self.first = HGTConv(DIMS, WIDTH, metadata, heads=2)
        self.second = HGTConv(WIDTH, WIDTH, metadata, heads=1)

    def forward(self, x_dict: Any, edge_index_dict: Any) -> dict[str, Tensor]:
        return self.second(self.first(x_dict, edge_index_dict), edge_index_dict)


class RGCNDistMult(nn.Module):
    """R-GCN (a weight for each relation) and DistMult: a vector for the relation of each link."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = HeteroLayers()
        self.relation = nn.Parameter(torch.randn(3, WIDTH))

    def forward(
        self,
        x_dict: Any,
        edge_index_dict: Any,
        edge_label_index: Tensor,
        edge_label_type: Tensor,
    ) -> Tensor:
        z = self.encoder(x_dict, edge_index_dict)
        source, target = edge_label_index
        return (z["user"][source] * self.relation[edge_label_type] * z["item"][target]).sum(-1)


class ScoresByType(nn.Module):
    """Links of several types in one run, scored with the vector of their type."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = HeteroLayers()
        self.relation = nn.ParameterDict({"likes": torch.randn(WIDTH), "buys": torch.randn(WIDTH)})

    def forward(
        self, x_dict: Any, edge_index_dict: Any, edge_label_index_dict: dict[Kind, Tensor]
    ) -> dict[Kind, Tensor]:
        z = self.encoder(x_dict, edge_index_dict)
        return {
            kind: (z[kind[0]][source] * self.relation[kind[1]] * z[kind[2]][target]).sum(-1)
            for kind, (source, target) in edge_label_index_dict.items()
        }


#: Of these a zero message is as good as no edge.
SUMS = ("sage", "hetero_conv", "rgcn_distmult")
MODELS = (*SUMS, "gat", "hgt")


def link_model(name: str, data: HeteroData) -> nn.Module:
    """A model with fixed weights, in float64."""
    torch.manual_seed(5)
    metadata = (data.node_types, RELATIONS)
    model: nn.Module
    if name == "sage":
        layers = TwoLayers(*(SAGEConv((-1, -1), WIDTH, aggr="sum") for _ in range(2)))
        model = EncoderDecoder(to_hetero(layers, metadata))
    elif name == "gat":
        convs = (GATConv((-1, -1), WIDTH, heads=1, add_self_loops=False) for _ in range(2))
        model = EncoderDecoder(to_hetero(TwoLayers(*convs), metadata))
    elif name == "hetero_conv":
        model = EncoderDecoder(HeteroLayers())
    elif name == "hgt":
        model = EncoderDecoder(HGTLayers(metadata))
    else:
        model = RGCNDistMult()
    model = model.double().eval()
    with torch.no_grad():
        scores(model, data, LINKS)
    return model


def link_set_up(name: str) -> tuple[nn.Module, HeteroData]:
    """A model and data of its own."""
    data = link_data()
    model = link_model(name, data)
    if name == "rgcn_distmult":
        data[LIKES].edge_label_type = torch.tensor([2, 0, 1, 1, 0])
    return model, data


def scores(
    model: nn.Module,
    data: HeteroData,
    links: Tensor,
    edges: Mapping[Kind, Tensor] | None = None,
) -> Tensor:
    """What the model says of links, called by hand."""
    more = []
    if isinstance(model, RGCNDistMult):
        types = data[LIKES].get("edge_label_type", torch.zeros(links.size(1), dtype=torch.long))
        more = [types]
    found: Tensor = model(data.x_dict, edges or data.edge_index_dict, links, *more)
    return found


@contextmanager
def gated(model: nn.Module, data: HeteroData, gates: Mapping[Kind, Tensor]) -> Iterator[None]:
    """Every message times the gate of its edge, with hooks set by hand."""
    handles = []
    together = torch.cat([gates[kind] for kind in RELATIONS])
    for name, module in model.named_modules():
        if isinstance(module, HGTConv):
            own = together
        elif isinstance(module, MessagePassing):
            plain = name.replace("<", "").replace(">", "").replace("___", "__")
            (own,) = [gates[kind] for kind in RELATIONS if "__".join(kind) in plain]
        else:
            continue

        def scale(_: Any, __: Any, out: Tensor, own: Tensor = own) -> Tensor:
            return out * own.view(-1, *[1] * (out.dim() - 1))

        handles.append(module.register_message_forward_hook(scale))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def open_gates(data: HeteroData) -> dict[Kind, Tensor]:
    """A gate of 1 for each edge."""
    return {kind: torch.ones(data[kind].num_edges).double() for kind in RELATIONS}
