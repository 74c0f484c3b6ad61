"""Binary concrete gates, and what is asked of them besides the prediction.

With location ``a``, uniform noise ``u`` and temperature ``tau``

    x = (log u - log(1 - u) + a) / tau              z = sigmoid(x)

is close to 0 or 1 at low temperatures, and ``P(z > 1/2) = sigmoid(a)`` at any. Functions here take
the gates' logits ``x``, whose logarithms never overflow.

Maddison, Mnih and Teh, "The Concrete Distribution" (ICLR 2017, https://arxiv.org/abs/1611.00712).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def entropy(logit: Tensor) -> Tensor:
    """``H(z) = -z log z - (1 - z) log(1 - z)`` in nats.

    Example:
        >>> entropy(torch.tensor([0.0]))
        tensor([0.6931])
    """
    return F.softplus(logit) - logit * torch.sigmoid(logit)


def connectivity(
    logit: Tensor, source: Tensor, destination: Tensor, instance: Tensor, num_instances: int
) -> Tensor:
    """How much neighboring gates disagree, ``[B]``.

    The mean of ``-z_a log z_b - (1 - z_a) log(1 - z_b)`` over all ordered pairs of two edges that
    meet in a node, once for each node in which they meet; 0 without any. Sums over the edges of a
    node give those over its pairs, so that hubs cost no more than other nodes.

    Args:
        logit: ``[e]`` logits of the gates.
        source: ``[e]`` sender.
        destination: ``[e]`` receiver.
        instance: ``[e]`` instance of each edge; instances share no node.
        num_instances: B.
    """
    if not logit.numel():
        return logit.new_zeros(num_instances)
    is_loop = source == destination
    edge = torch.arange(logit.numel(), device=logit.device)
    node = torch.cat([source, destination[~is_loop]])
    edge = torch.cat([edge, edge[~is_loop]])
    num_nodes = int(node.max()) + 1
    gate, log_open, log_shut = torch.sigmoid(logit), F.logsigmoid(logit), F.logsigmoid(-logit)
    columns = torch.stack([gate, log_open, log_shut, torch.ones_like(gate)], dim=1)[edge]
    gates, opens, shuts, count = columns.new_zeros((num_nodes, 4)).index_add(0, node, columns).T
    owner = torch.zeros(num_nodes, dtype=torch.long, device=logit.device)
    owner[node] = instance[edge]
    pairs = -gates * opens - (count - gates) * shuts
    total = logit.new_zeros(num_instances).index_add(0, owner, pairs)
    total = total.index_add(0, instance[edge], -entropy(logit)[edge])  # an edge with itself
    number = logit.new_zeros(num_instances).index_add(0, owner, count * (count - 1))
    return total / number.clamp_min(1)
