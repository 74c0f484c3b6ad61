"""Messages of layers that multiply by dense adjacency matrices.

Such a layer computes ``A V``: row ``i`` receives ``A[i, j] V[j]`` from every column ``j`` with a
nonzero entry. Those entries are its messages, and none is ever written out: a gate ``z`` on the
message is a gate on the entry, and a baseline ``b`` enters through what the gates took away,

    (Z o A) V + ((J - Z) o A) B

with every row of ``B`` equal to ``b``. The cost stays that of the product. One matrix is one site;
the matrices of several relations are sites of one layer.

Equation 10 of Schlichtkrull, De Cao and Titov, "Interpreting Graph Neural Networks for NLP With
Differentiable Edge Masking" (ICLR 2021, https://arxiv.org/abs/2010.00577).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glassgraph.errors import GraphError, SparseAdjacencyError


class AdjacencyTap(nn.Module):
    """Marks the product with a dense adjacency matrix, so that its edges can be explained.

    Call it in place of ``adjacency @ values``. Every nonzero entry is a message; entries may be
    weights (a normalized adjacency, attention). With gates ``Z`` and a baseline ``b`` in every row
    of ``B`` the product becomes ``(Z o A) V + ((J - Z) o A) B``, and no message is written out:
    equation 10 of Schlichtkrull, De Cao and Titov, "Interpreting Graph Neural Networks for NLP With
    Differentiable Edge Masking" (ICLR 2021, https://arxiv.org/abs/2010.00577).

    The matrix runs over all nodes of ``edge_index``, also where graphs are batched. ::

        class MyLayer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.tap = glassgraph.AdjacencyTap()

            def forward(self, x, edge_index):
                dense = to_dense_adj(edge_index, max_num_nodes=x.size(0))[0]
                return self.tap(dense.t(), x)  # row i of dense.t() receives

    Example:
        >>> import torch
        >>> adjacency = torch.tensor([[0.0, 0.0], [0.5, 0.0]])  # an edge from node 0 to node 1
        >>> AdjacencyTap()(adjacency, torch.tensor([[2.0, 4.0], [1.0, 1.0]]))
        tensor([[0., 0.],
                [1., 2.]])
    """

    def forward(self, adjacency: Tensor, values: Tensor, x: Tensor | None = None) -> Tensor:
        """Return ``adjacency @ values``.

        Args:
            adjacency: ``[N, N]``, or ``[R, N, N]`` with one matrix for each relation; row i
                receives from column j.
            values: ``[N, D]`` what each node sends, or ``[R, N, D]`` if relations differ.
            x: states of the nodes ``[N, S]``, for methods whose gates look at both ends of a
                message (GraphMask); the values if None.

        Returns:
            ``[N, D]``, or ``[R, N, D]``.

        Raises:
            GraphError: if the shapes do not fit together.
            SparseAdjacencyError: for a sparse matrix.
        """
        _check_shapes(adjacency, values, x)
        return adjacency @ values


def _check_shapes(adjacency: Tensor, values: Tensor, x: Tensor | None) -> None:
    if adjacency.layout != torch.strided:
        raise SparseAdjacencyError(
            "an AdjacencyTap takes a dense matrix; for a sparse one, call a MessageTap on the "
            "messages along its edges"
        )
    shape, sent = tuple(adjacency.shape), tuple(values.shape)
    if len(shape) not in (2, 3) or shape[-1] != shape[-2]:
        raise GraphError(
            "an AdjacencyTap takes one adjacency matrix [N, N] over all nodes, or one for each "
            f"relation [R, N, N]; got {list(shape)}"
        )
    fits = len(sent) == 2 or (len(sent) == 3 and len(shape) == 3 and sent[0] == shape[0])
    if not fits or sent[-2] != shape[-1]:
        raise GraphError(
            f"values are [N, D], or [R, N, D] for R relations; got {list(sent)} for an adjacency "
            f"of {list(shape)}"
        )
    if x is not None and (x.dim() != 2 or x.size(0) != shape[-1]):
        raise GraphError(f"x is [N, S] with N = {shape[-1]} nodes; got {list(x.shape)}")


@dataclass(frozen=True)
class Matrix:
    """One adjacency matrix of a product.

    Attributes:
        edge_index: ``[2, M]`` sender j and receiver i of its nonzero entries.
        weight: ``[M]`` the entries.
        values: ``[N, D]`` what it is multiplied with.
        states: ``[N, S]`` states of the nodes.
    """

    edge_index: Tensor
    weight: Tensor
    values: Tensor
    states: Tensor


@dataclass(frozen=True)
class Product:
    """One call of an `AdjacencyTap`.

    Attributes:
        adjacency: ``[R, N, N]``.
        values: ``[N, D]`` or ``[R, N, D]``.
        place: relation, receiver and sender of all nonzero entries.
        matrices: its relations.
        has_relations: whether the result has a dimension for them.
    """

    adjacency: Tensor
    values: Tensor
    place: tuple[Tensor, Tensor, Tensor]
    matrices: list[Matrix]
    has_relations: bool

    @staticmethod
    def read(adjacency: Tensor, values: Tensor, x: Tensor | None = None) -> Product:
        """Find the nonzero entries of the tap's arguments."""
        has_relations = adjacency.dim() == 3
        stacked = adjacency if has_relations else adjacency.unsqueeze(0)
        relation, receiver, sender = stacked.detach().nonzero(as_tuple=True)
        weight = stacked[relation, receiver, sender]
        sizes = torch.bincount(relation, minlength=stacked.size(0)).tolist()
        matrices = []
        for number, (one, source, destination) in enumerate(
            zip(weight.split(sizes), sender.split(sizes), receiver.split(sizes), strict=True)
        ):
            sent = values[number] if values.dim() == 3 else values
            matrices.append(
                Matrix(torch.stack([source, destination]), one, sent, sent if x is None else x)
            )
        return Product(stacked, values, (relation, receiver, sender), matrices, has_relations)

    @property
    def size(self) -> tuple[int, int]:
        """Number of senders and receivers."""
        return self.adjacency.size(2), self.adjacency.size(1)

    def changed(
        self,
        open_weights: Sequence[Tensor],
        weights: Sequence[Tensor],
        baselines: Sequence[Tensor | None],
    ) -> Tensor:
        """The product with other entries.

        Args:
            open_weights: for each matrix ``[M]`` its entries with all gates open.
            weights: for each matrix ``[M]`` its gated entries.
            baselines: for each matrix what the missing weight is multiplied with: None for
                nothing, ``[1, D]``, or ``[M, D]`` with one row for each entry.
        """
        # Writing into the tap's own matrix keeps its strides, and with them the order of sums.
        result = self._product(torch.index_put(self.adjacency, self.place, torch.cat([*weights])))
        if all(baseline is None for baseline in baselines):
            return result
        terms = [
            result.new_zeros(()).expand(result.shape[-2:])
            if baseline is None
            else _missing(matrix, before - after, baseline, result)
            for matrix, before, after, baseline in zip(
                self.matrices, open_weights, weights, baselines, strict=True
            )
        ]
        return result + (torch.stack(terms) if self.has_relations else terms[0])

    def _product(self, adjacency: Tensor) -> Tensor:
        return (adjacency if self.has_relations else adjacency[0]) @ self.values


def _missing(matrix: Matrix, weight: Tensor, baseline: Tensor, result: Tensor) -> Tensor:
    """Sum ``[N, D]`` over the entries of each row: missing weight times baseline."""
    num_nodes, receiver = result.size(-2), matrix.edge_index[1]
    if baseline.dim() < 2 or baseline.size(0) == 1:
        total = weight.new_zeros(num_nodes).index_add(0, receiver, weight)
        return total.unsqueeze(1) * baseline
    rows = weight.unsqueeze(1) * baseline
    return rows.new_zeros((num_nodes, rows.size(1))).index_add(0, receiver, rows)
