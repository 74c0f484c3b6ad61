"""The networks of Sanchez-Lengeling et al. (2020), layer by layer as in their repository.

Atoms `x [N, 14]` and bonds `edge_attr [E, 5]` are mapped linearly to `h [N, 50]` and `e [E, 20]`.
Three layers follow, with `f` two linear maps, a ReLU behind each, and a layer normalization::

    gcn      h_v <- f([h_v | sum_u e_uv | sum_u h_u])                         e stays as it is
    mpnn     e_uv <- g([e_uv | h_u | h_v]),   h_v <- f([h_v | sum_u e_uv])

    readout  H_v = softmax(A h_v + a) + sum_u softmax(B e_uv + b)             [N, 100]
    logit    s = w . sum_v H_v

Their readout adds the sum over all nodes and the sum over all bonds; here bonds are handed to the
atom that receives them first, which is the same number. It is also how they read the scores of
bonds: an atom gets those of the bonds that it receives. A sigmoid of one logit is a softmax of two,
one of which is 0: `forward` returns `[0, s]`, so that class 1 has the logit of the paper.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing, global_add_pool

Block = Literal["gcn", "mpnn"]


def two_layers(before: int, after: int) -> nn.Sequential:
    """Two linear maps, a ReLU behind each, and a layer normalization."""
    return nn.Sequential(
        nn.Linear(before, after), nn.ReLU(), nn.Linear(after, after), nn.ReLU(), nn.LayerNorm(after)
    )


class GCNBlock(MessagePassing):
    """Nodes hear their neighbors and their bonds; bonds stay."""

    def __init__(self, node_size: int, edge_size: int) -> None:
        super().__init__(aggr="add")
        self.node = two_layers(2 * node_size + edge_size, node_size)

    def forward(self, h: Tensor, edge_index: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        """States of nodes and of bonds."""
        heard = self.propagate(edge_index, h=h, e=e)
        return self.node(torch.cat([h, heard], dim=1)), e

    def message(self, h_j: Tensor, e: Tensor) -> Tensor:
        """Sender and bond, side by side."""
        return torch.cat([e, h_j], dim=1)


class MPNNBlock(MessagePassing):
    """Bonds hear their ends, and nodes their bonds."""

    def __init__(self, node_size: int, edge_size: int) -> None:
        super().__init__(aggr="add")
        self.edge = two_layers(2 * node_size + edge_size, edge_size)
        self.node = two_layers(node_size + edge_size, node_size)

    def forward(self, h: Tensor, edge_index: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        """States of nodes and of bonds."""
        e = self.edge_updater(edge_index, h=h, e=e)
        heard = self.propagate(edge_index, e=e)
        return self.node(torch.cat([h, heard], dim=1)), e

    def edge_update(self, h_i: Tensor, h_j: Tensor, e: Tensor) -> Tensor:
        """The state of each bond."""
        updated: Tensor = self.edge(torch.cat([e, h_j, h_i], dim=1))
        return updated

    def message(self, e: Tensor) -> Tensor:
        """The bond itself."""
        return e


class ReceivedBonds(MessagePassing):
    """The sum over the bonds that an atom receives."""

    def __init__(self) -> None:
        super().__init__(aggr="add")

    def forward(self, edge_index: Tensor, e: Tensor, num_nodes: int) -> Tensor:
        """``[N, D]`` from bonds ``[E, D]``."""
        received: Tensor = self.propagate(edge_index, e=e, size=(num_nodes, num_nodes))
        return received

    def message(self, e: Tensor) -> Tensor:
        """The bond itself."""
        return e


BLOCKS: dict[Block, type[GCNBlock] | type[MPNNBlock]] = {"gcn": GCNBlock, "mpnn": MPNNBlock}


class MoleculeNetwork(nn.Module):
    """Encoder, blocks, and a readout that every atom adds to.

    Args:
        block: ``"gcn"`` or ``"mpnn"``.
        num_atoms, num_bonds: kinds of atoms and bonds.
        node_size, edge_size, global_size: widths of atoms, bonds and readout.
        num_layers: blocks.
    """

    def __init__(
        self,
        block: Block,
        num_atoms: int = 14,
        num_bonds: int = 5,
        *,
        node_size: int = 50,
        edge_size: int = 20,
        global_size: int = 100,
        num_layers: int = 3,
    ) -> None:
        super().__init__()
        self.encode_node = nn.Linear(num_atoms, node_size)
        self.encode_edge = nn.Linear(num_bonds, edge_size)
        blocks: list[Any] = [BLOCKS[block](node_size, edge_size) for _ in range(num_layers)]
        self.blocks = nn.ModuleList(blocks)
        self.read_node = nn.Linear(node_size, global_size)
        self.read_edge = nn.Linear(edge_size, global_size)
        self.received = ReceivedBonds()
        self.head = nn.Linear(global_size, 1, bias=False)

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, batch: Tensor | None = None
    ) -> Tensor:
        """Logits ``[B, 2]``, of which the first is 0."""
        h, e = self.encode_node(x), self.encode_edge(edge_attr)
        for block in self.blocks:
            h, e = block(h, edge_index, e)
        bonds = self.received(edge_index, self.read_edge(e).softmax(dim=1), x.size(0))
        activations = self.read_node(h).softmax(dim=1) + bonds
        logit: Tensor = self.head(global_add_pool(activations, batch))
        return torch.cat([torch.zeros_like(logit), logit], dim=1)
