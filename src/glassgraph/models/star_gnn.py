"""The network of the GraphMask paper's toy problem: one relational layer that counts colors.

Schlichtkrull, De Cao and Titov, "Interpreting Graph Neural Networks for NLP With Differentiable
Edge Masking" (ICLR 2021, https://arxiv.org/abs/2010.00577), appendix E. With c the color of edge
(u, v),

    h_u  = W_2 ReLU(W_1 x_u)                    an MLP with one hidden layer, biases left out here
    m_uv = ReLU(W_c h_u + b_c)                  the message
    f    = V_2 ReLU(V_1 sum_(u,v) m_uv)         summed over the edges of a graph

States have 50 numbers, hidden layers 100. `f` is one logit: more x than y where it is positive.

The authors' code differs from the paper's text: twice the width, layer normalization in the MLPs
and on the messages, and a residual block around the layer. The network here follows the text; it
reaches an accuracy of 1 without them.
"""

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing, global_add_pool

from glassgraph.errors import HyperParameterError


class ColorConv(MessagePassing):
    """Sums `ReLU(W_c h_u + b_c)` over the incoming edges, c the type of the edge.

    All types share one call of `message`, unlike PyG's `RGCNConv`, which calls it for each type and
    averages.

    Args:
        in_channels: D, the width of the states.
        out_channels: D', the width of the messages.
        num_relations: R, the number of edge types.

    Raises:
        HyperParameterError: if a number is not positive.
    """

    def __init__(self, in_channels: int, out_channels: int, num_relations: int) -> None:
        if min(in_channels, out_channels, num_relations) < 1:
            raise HyperParameterError(
                "in_channels, out_channels and num_relations must be positive, got "
                f"{in_channels}, {out_channels} and {num_relations}"
            )
        super().__init__(aggr="add")
        self.out_channels = out_channels
        self.num_relations = num_relations
        # [W_1 | ... | W_R], side by side: one product gives the messages of all types.
        self.transform = nn.Linear(in_channels, num_relations * out_channels)

    def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor) -> Tensor:
        """The sum of the messages at each node.

        Args:
            x: States `[N, D]`.
            edge_index: Edges `[2, E]`.
            edge_type: The type of each edge `[E]`, in 0..R-1.

        Returns:
            `[N, D']`, zero where no edge ends.
        """
        summed: Tensor = self.propagate(edge_index, x=x, edge_type=edge_type)
        return summed

    def message(self, x_j: Tensor, edge_type: Tensor) -> Tensor:
        """The messages `[M, D']`."""
        by_type = self.transform(x_j).view(-1, self.out_channels)
        row = torch.arange(len(x_j), device=x_j.device) * self.num_relations + edge_type
        message: Tensor = by_type.index_select(0, row).relu()
        return message


class StarGNN(nn.Module):
    """One relational layer between two MLPs, for graphs with colored edges.

    Args:
        in_channels: F, the number of node features.
        num_relations: R, the number of edge types.
        state_channels: The width of states and messages.
        hidden_channels: The width of the MLPs' hidden layers.

    Raises:
        HyperParameterError: if a number is not positive.
    """

    def __init__(
        self,
        in_channels: int,
        num_relations: int,
        state_channels: int = 50,
        hidden_channels: int = 100,
    ) -> None:
        if min(in_channels, hidden_channels) < 1:
            raise HyperParameterError(
                "in_channels and hidden_channels must be positive, got "
                f"{in_channels} and {hidden_channels}"
            )
        super().__init__()
        self.embed = _mlp(in_channels, hidden_channels, state_channels)
        self.conv = ColorConv(state_channels, state_channels, num_relations)
        self.head = _mlp(state_channels, hidden_channels, 1)

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_type: Tensor, batch: Tensor | None = None
    ) -> Tensor:
        """One logit for each graph.

        Args:
            x: Node features `[N, F]`.
            edge_index: Edges `[2, E]`.
            edge_type: The type of each edge `[E]`, in 0..R-1.
            batch: The graph of each node `[N]`; one graph by default.

        Returns:
            Logits `[B, 1]` of the class 1.
        """
        h = self.conv(self.embed(x), edge_index, edge_type)
        logits: Tensor = self.head(global_add_pool(h, batch))
        return logits


def _mlp(before: int, hidden: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(before, hidden), nn.ReLU(), nn.Linear(hidden, after))
