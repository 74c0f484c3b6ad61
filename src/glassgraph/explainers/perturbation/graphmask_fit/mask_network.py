"""Gates with the numbers that turn a raw score into a location."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from glassgraph.explainers.perturbation.message_gates.gated_batch import GatedBatch
from glassgraph.explainers.perturbation.message_gates.gates import MessageGates
from glassgraph.explainers.perturbation.message_gates.groups import MessageGroup


class MaskNetwork(nn.Module):
    """Gates with the numbers that turn a raw score ``g`` into a location.

        location = location_scale (g - mean) / std + offset

    ``mean`` and ``std`` are running values over training batches. Layers below ``lowest`` have no
    gates yet: everything is open there. Relations that are `shut` have no open gate.

    Args:
        groups: groups of messages.
        hidden_channels: width of the scorers.
    """

    mean: Tensor
    std: Tensor
    location_scale: Tensor
    offset: Tensor
    lowest: Tensor
    shut: Tensor

    def __init__(self, groups: Sequence[MessageGroup], hidden_channels: int | None) -> None:
        super().__init__()
        self.gates = MessageGates(groups, hidden_channels)
        for name, value in (("mean", 0.0), ("std", 1.0), ("location_scale", 1.0), ("offset", 0.0)):
            self.register_buffer(name, torch.tensor(value))
        self.register_buffer("lowest", torch.tensor(0))
        self.relations = [
            (name, kind)
            for group in groups
            for name, kinds in zip(group.names, group.learned or (), strict=False)
            for kind in kinds
        ]
        self.register_buffer("shut", torch.zeros(len(self.relations), dtype=torch.bool))

    def forward(self, gated: GatedBatch) -> Tensor:
        """Locations ``[K]`` of the gates of a batch."""
        return self.location(gated, self.gates(gated))

    def location(self, gated: GatedBatch, raw: Tensor) -> Tensor:
        """Locations ``[K]`` for raw scores ``[K]``."""
        standard = self.location_scale * (raw - self.mean) / self.std
        location: Tensor = standard + self.offset
        if int(self.lowest) > 0:
            location = torch.where(gated.layer >= self.lowest, location, torch.inf)
        if bool(self.shut.any()):
            relation = gated.relation(self.relations)
            is_shut = (relation >= 0) & self.shut[relation.clamp_min(0)]
            location = torch.where(is_shut, -torch.inf, location)
        return gated.open_unseen(location)

    def outputs(self, gated: GatedBatch, value: Tensor) -> Tensor:
        """The model's outputs ``[B, C]`` under gates ``[K]`` with the learned baselines."""
        baselines = self.gates.site_baselines(gated)
        return gated.batch.output(gated.gates(value), baselines=baselines)
