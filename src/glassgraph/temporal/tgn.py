"""`TGN`: a temporal model made of the parts that PyG's example has."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import TemporalData
from torch_geometric.nn.models.tgn import LastNeighborLoader, TGNMemory

from glassgraph.errors import HyperParameterError, UnsupportedModelError
from glassgraph.temporal.stream import Parts, Stream


class TGN:
    """What does a temporal graph network with these parts say about links?

    The parts are those of PyG's ``examples/tgn.py``, and are called as it calls them: the memory
    is updated with a batch of events, then the neighbor loader is; the score of a link is
    ``link_predictor(z[src], z[dst])`` with ``z = gnn(memory, last_update, edge_index, t, msg)`` on
    the latest neighbors of both ends. The object keeps a state of its own: that of ``memory`` and
    of the loader is not read and never written.

    Without a memory (TGAT and its like, which see past events alone) nodes have the states ``x``,
    and in the place of ``last_update`` the network is given the time that is asked about.

    Args:
        memory: a `torch_geometric.nn.models.tgn.TGNMemory`, or None.
        gnn: ``gnn(x [n, H], last_update [n], edge_index [2, m], t [m], msg [m, D])`` gives the
            embeddings ``[n, Z]``.
        link_predictor: ``link_predictor(z_src [B, Z], z_dst [B, Z])`` gives scores ``[B]`` or
            ``[B, 1]``; what it gives is explained, so end it with a logit.
        neighbors: how many latest events of a node the network sees, or the loader that says so.
        hops: how often the loader is asked for neighbors of what it gave; 1 in PyG's example.
        x: states of nodes ``[N, H]`` of a model without memory.

    Raises:
        UnsupportedModelError: if the memory is another class than PyG's; see `TemporalModel`.
        HyperParameterError: if there are neither memory nor ``x``, or both, or a number is below 1.

    Source: Rossi et al., "Temporal Graph Networks for Deep Learning on Dynamic Graphs", 2020,
    https://arxiv.org/abs/2006.10637; Xu et al., "Inductive Representation Learning on Temporal
    Graphs" (TGAT), 2020, https://arxiv.org/abs/2002.07962

    Example:
        >>> import torch
        >>> from torch_geometric.nn.models.tgn import IdentityMessage, LastAggregator, TGNMemory
        >>> from glassgraph.models import TemporalAttention, LinkPredictor
        >>> memory = TGNMemory(5, 2, 4, 3, IdentityMessage(2, 4, 3), LastAggregator())
        >>> gnn = TemporalAttention(4, 6, msg_dim=2, time_enc=memory.time_enc)
        >>> model = TGN(memory, gnn, LinkPredictor(6), neighbors=3)
        >>> one = torch.tensor([1])
        >>> model.score(one, one + 1, one + 7).shape
        torch.Size([1])
    """

    def __init__(
        self,
        memory: TGNMemory | None,
        gnn: nn.Module,
        link_predictor: nn.Module,
        neighbors: int | LastNeighborLoader = 10,
        *,
        hops: int = 1,
        x: Tensor | None = None,
    ) -> None:
        if memory is not None and type(memory) is not TGNMemory:
            raise UnsupportedModelError(
                f"memory must be a torch_geometric.nn.models.tgn.TGNMemory; got "
                f"{type(memory).__name__}. A model with another memory is explained if it has the "
                "methods reset, replay and score, see glassgraph.temporal.TemporalModel"
            )
        if (memory is None) == (x is None):
            raise HyperParameterError(
                "nodes have either a memory or states x [N, H]; got "
                + ("neither" if memory is None else "both")
            )
        size = neighbors.size if isinstance(neighbors, LastNeighborLoader) else neighbors
        if min(size, hops) < 1:
            raise HyperParameterError(f"neighbors and hops must be >= 1; got {size} and {hops}")
        self.memory, self.gnn, self.link_predictor = memory, gnn, link_predictor
        self.loader = neighbors if isinstance(neighbors, LastNeighborLoader) else None
        self.parts = Parts(memory, gnn, link_predictor, x, size, hops)
        self.reset()

    @property
    def device(self) -> torch.device:
        """Where it works."""
        memory, x = self.parts.memory, self.parts.x
        return memory.memory.device if memory is not None else x.device  # type: ignore[union-attr]

    def reset(self) -> None:
        """Forget every event."""
        self.stream = self.blank()

    def replay(self, events: TemporalData) -> None:
        """See the next batch of events, in their order."""
        self.stream.see(events.src, events.dst, events.t, events.msg)

    def score(self, src: Tensor, dst: Tensor, t: Tensor) -> Tensor:
        """Scores ``[B]`` of links at times ``t``, by the events seen so far."""
        if self.memory is not None:
            return self.stream.score(src, dst, t)
        columns = zip(src.split(1), dst.split(1), t.split(1), strict=True)
        alone = [self.stream.score(*each) for each in columns]
        return torch.cat(alone)

    def blank(self) -> Stream:
        """A state that has seen nothing."""
        return Stream(self.parts, self.parts.num_nodes, self.device)

    def __repr__(self) -> str:
        """Its parts in a line."""
        memory = "no memory" if self.memory is None else f"memory of {self.parts.num_nodes} nodes"
        return (
            f"TGN({memory}, {type(self.gnn).__name__}, {type(self.link_predictor).__name__}, "
            f"neighbors={self.parts.neighbors}, hops={self.parts.hops})"
        )
