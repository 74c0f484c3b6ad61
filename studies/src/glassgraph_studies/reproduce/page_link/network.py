"""The authors' user-item-attribute graph, their trained network, and the true paths of its links.

Files are described in their folder: the graph without the relation that is predicted, the weights,
and for each link the edges and paths along which it was generated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.nn import HeteroConv, MessagePassing

from glassgraph.errors import DatasetError

Kind = tuple[str, str, str]
#: What is predicted, and the sizes of the authors' network.
LIKES: Kind = ("user", "likes", "item")
WIDTH, LAYERS = 64, 2
FILES = ("graph.npz", "explained_links.jsonl", "rgcn_weights.npz")


class RelationConv(MessagePassing):
    """One relation of the authors' R-GCN: the mean over senders of a linear map of their states."""

    def __init__(self, width: int) -> None:
        super().__init__(aggr="mean")
        self.linear = nn.Linear(width, width)

    def forward(self, x: tuple[Tensor, Tensor], edge_index: Tensor) -> Tensor:
        """``[N_t, width]`` states of receivers."""
        size = x[0].size(0), x[1].size(0)
        found: Tensor = self.propagate(edge_index, x=self.linear(x[0]), size=size)
        return found

    def message(self, x_j: Tensor) -> Tensor:
        """What a sender says."""
        return x_j


class LinkNetwork(nn.Module):
    """Two layers over all relations, leaky ReLU between them, and the dot product of both ends.

    Args:
        kinds: the relations along which is sent.
        width: of the states, and of the features.
    """

    def __init__(self, kinds: Sequence[Kind], width: int = WIDTH) -> None:
        super().__init__()
        self.own = nn.ModuleList(nn.Linear(width, width) for _ in range(LAYERS))
        self.convs = nn.ModuleList(
            HeteroConv({kind: RelationConv(width) for kind in kinds}) for _ in range(LAYERS)
        )

    def forward(
        self,
        x_dict: Mapping[str, Tensor],
        edge_index_dict: Mapping[Kind, Tensor],
        edge_label_index: Tensor,
    ) -> Tensor:
        """``[B]`` logit of each link."""
        h = dict(x_dict)
        for number, (own, conv) in enumerate(zip(self.own, self.convs, strict=True)):
            sent = conv(h, edge_index_dict)
            h = {kind: own(x) + sent.get(kind, 0) for kind, x in h.items()}
            if number < LAYERS - 1:
                h = {kind: nn.functional.leaky_relu(x) for kind, x in h.items()}
        source, target = edge_label_index
        return (h[LIKES[0]][source] * h[LIKES[2]][target]).sum(dim=-1)


@dataclass(frozen=True)
class Scene:
    """A network, its graph, and what its links were generated along.

    Attributes:
        model: the network.
        data: the graph; ``edge_label_index`` of `LIKES` lists the links.
        edges: for each link its true edges, as sets of ``(relation, source, target)``.
        paths: for each link its true paths, as lists of nodes ``(type, number)``.
    """

    model: nn.Module
    data: HeteroData
    edges: list[set[tuple[str, int, int]]]
    paths: list[list[list[tuple[str, int]]]]


def load(root: Path | str) -> Scene:
    """Read the authors' graph and network.

    Raises:
        DatasetError: if a file is missing.
    """
    folder = Path(root)
    for name in FILES:
        if not (folder / name).is_file():
            raise DatasetError(f"{folder / name} is missing; --root names the folder of {FILES}")
    stored = dict(np.load(folder / FILES[0]))
    weights = {name: torch.from_numpy(each) for name, each in np.load(folder / FILES[2]).items()}
    data = HeteroData()
    for kind in ("user", "item", "attr"):
        data[kind].x = weights[f"encoder__emb__embeds__{kind}__weight"]
    kinds: list[Kind] = []
    for name, value in stored.items():
        if not name.startswith("edges_"):
            continue
        source, relation, target = name.removeprefix("edges_").split("__")
        edge_index = torch.from_numpy(value).long()
        if (source, relation, target) == LIKES:
            data[LIKES].edge_label_index = edge_index
        else:
            kinds.append((source, relation, target))
            data[source, relation, target].edge_index = edge_index
    model = LinkNetwork(kinds)
    model.load_state_dict(_state(weights, model))
    lines = (folder / FILES[1]).read_text().splitlines()
    links = [json.loads(line) for line in lines]
    asked = [(link["user"], link["item"]) for link in links]
    if asked != list(map(tuple, data[LIKES].edge_label_index.t().tolist())):
        data[LIKES].edge_label_index = torch.tensor(asked).t().contiguous()
    return Scene(
        model.eval(),
        data,
        [_true_edges(link["edges"]) for link in links],
        [[_nodes(path) for path in link["paths"]] for link in links],
    )


def _state(weights: Mapping[str, Tensor], model: LinkNetwork) -> dict[str, Tensor]:
    """The authors' weights under the names of this network."""
    found = {}
    for name in model.state_dict():
        room, layer, *rest = name.split(".")
        part = rest[-1]
        where = f"encoder__layer{int(layer) + 1}__weight"
        if room == "own":
            found[name] = weights[f"{where}0__{part}"]
        else:
            relation = next(word for word in rest if "___" in word).strip("<>").split("___")[1]
            found[name] = weights[f"{where}__{relation}__{part}"]
    return found


def _true_edges(edges: Mapping[str, Sequence[tuple[int, int]]]) -> set[tuple[str, int, int]]:
    return {(kind, source, target) for kind, pairs in edges.items() for source, target in pairs}


def _nodes(path: Sequence[tuple[str, int, int]]) -> list[tuple[str, int]]:
    """The nodes that a path visits."""
    first = path[0]
    nodes = [(first[0].split("__")[0], first[1])]
    return nodes + [(kind.split("__")[2], target) for kind, _, target in path]
