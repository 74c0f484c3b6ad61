"""Molecules whose bonds are nodes, so that methods score the features of both.

Integrated gradients score features of nodes. Sanchez-Lengeling et al. follow the gradients of atoms
and of bonds, and hand those of a bond to the atom that receives it. With a node for each directed
bond, between its two atoms, one method does both: atoms have the first columns of `x`, bonds the
others, and the network reads of each what is its own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from glassgraph_studies.reproduce.molecules.network import MoleculeNetwork


def with_bonds_as_nodes(graph: Data) -> Data:
    """Atoms first, then a node for each directed bond; an edge leads into it and one out of it.

    Args:
        graph: with `x [N, A]`, `edge_attr [E, B]`.

    Returns:
        `x [N + E, A + B]`, `is_bond [N + E]`, `edge_index [2, 2 E]`, `y`.
    """
    atoms, bonds = graph.x, graph.edge_attr
    sender, receiver = graph.edge_index
    bond = atoms.size(0) + torch.arange(bonds.size(0))
    return Data(
        x=torch.block_diag(atoms, bonds),
        is_bond=torch.arange(atoms.size(0) + bonds.size(0)) >= atoms.size(0),
        edge_index=torch.stack([torch.cat([sender, bond]), torch.cat([bond, receiver])]),
        y=graph.y,
    )


def scores_of_atoms(score: Tensor, graph: Data) -> Tensor:
    """``[N]`` from scores of atoms and bonds ``[N + E]``: an atom and the bonds it receives."""
    atoms, bonds = score[: graph.num_nodes], score[graph.num_nodes :]
    return atoms.index_add(0, graph.edge_index[1], bonds)


class BondsAsNodes(nn.Module):
    """A network for molecules, called on atoms and bonds as nodes.

    Args:
        network: the network for molecules; it is shared, not copied.
    """

    def __init__(self, network: MoleculeNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, edge_index: Tensor, is_bond: Tensor, batch: Tensor) -> Tensor:
        """Logits ``[B, 2]`` of the network."""
        source, destination = edge_index
        into, out = is_bond[destination], is_bond[source]
        sender, receiver = torch.zeros(2, x.size(0), dtype=torch.long, device=x.device)
        sender[destination[into]], receiver[source[out]] = source[into], destination[out]
        atom = torch.cumsum(~is_bond, dim=0) - 1
        num_atoms = self.network.encode_node.in_features
        logits: Tensor = self.network(
            x[~is_bond, :num_atoms],
            torch.stack([atom[sender[is_bond]], atom[receiver[is_bond]]]),
            x[is_bond, num_atoms:],
            batch[~is_bond],
        )
        return logits
