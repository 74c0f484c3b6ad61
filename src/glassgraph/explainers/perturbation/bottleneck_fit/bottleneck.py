"""Gates that let a part of each message through, and count what passes.

With ``lambda = sigmoid(a)`` the gate of a message ``m`` of ``D`` numbers, ``mu`` and ``sigma`` the
mean and standard deviation of all messages of its group in the training data,

    p(m' | m) = N(lambda m + (1 - lambda) mu, (1 - lambda)^2 sigma^2)        q(m') = N(mu, sigma^2)

    KL(p || q) = sum_d  softplus(a) - lambda + (1 + ((m - mu) / sigma)^2) lambda^2 / 2

in nats: ``softplus(a)`` is ``-log(1 - lambda)``, so an open gate costs much but never infinitely
much. A number that is the same in all training messages says nothing: it costs nothing and gets no
noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgraph.explainers.perturbation.message_gates.gated_batch import GatedBatch
from glassgraph.explainers.perturbation.message_gates.gates import MessageGates
from glassgraph.explainers.perturbation.message_gates.groups import MessageGroup

#: A spread below this share of the group's largest number is rounding, not information.
_CONSTANT = 1e-6


class Bottleneck(nn.Module):
    """A gate for each message, and what messages look like in general.

    Args:
        groups: groups of messages.
        hidden_channels: width of the gate networks' hidden layer, see `MessageGates`.
    """

    def __init__(self, groups: Sequence[MessageGroup], hidden_channels: int | None) -> None:
        super().__init__()
        self.gates = MessageGates(groups, hidden_channels, with_baselines=False)
        for group in groups:
            self.register_buffer(f"{group.name}_mean", torch.zeros(group.widths[2]))
            self.register_buffer(f"{group.name}_std", torch.zeros(group.widths[2]))

    def forward(self, gated: GatedBatch) -> Tensor:
        """Locations ``a``, ``[K]``, of the messages of a batch."""
        location: Tensor = self.gates(gated)
        return gated.open_unseen(location)

    def mean(self, group: MessageGroup) -> Tensor:
        """Mean message ``[D]``."""
        return self.get_buffer(f"{group.name}_mean")

    def std(self, group: MessageGroup) -> Tensor:
        """Standard deviation ``[D]`` of the messages, 0 where they are all the same."""
        return self.get_buffer(f"{group.name}_std")

    @torch.no_grad()
    def read_statistics(self, batches: Iterable[GatedBatch]) -> None:
        """Set mean and standard deviation to those of all messages of the batches."""
        found: dict[str, _Statistics] = {}
        for gated in batches:
            for group, message, _ in gated.messages():
                if message.size(0):
                    found.setdefault(group.name, _Statistics.none(message)).add(message.double())
        for group in self.gates.groups:
            if group.name in found:
                self.mean(group).copy_(found[group.name].mean)
                self.std(group).copy_(found[group.name].std)

    def information(self, gated: GatedBatch, location: Tensor) -> Tensor:
        """Nats ``[K]`` that pass each gate, over all rows it stands on."""
        nats = torch.zeros_like(location)
        for group, message, slot in gated.messages():
            nats = nats.index_add(0, slot, self._nats(group, message, location[slot]))
        return nats

    def _nats(self, group: MessageGroup, message: Tensor, location: Tensor) -> Tensor:
        varies = self.std(group) > 0
        score = (message - self.mean(group))[:, varies] / self.std(group)[varies]
        return gaussian_information(location, score)

    def num_numbers(self, gated: GatedBatch) -> int:
        """How many numbers that vary the messages of a batch are made of."""
        return sum(
            message.size(0) * int((self.std(group) > 0).sum())
            for group, message, _ in gated.messages()
        )

    def noise(self, gated: GatedBatch, generator: torch.Generator) -> list[Tensor | None]:
        """What shut messages become, drawn from ``q``, as `InstanceBatch.output` takes it."""
        values = {}
        for site, group, count in self._rows(gated):
            mean = self.mean(group)
            # Drawn on the processor: the same numbers on any device.
            drawn = torch.randn((count, mean.numel()), generator=generator, dtype=mean.dtype)
            values[site] = mean + self.std(group) * drawn.to(mean.device)
        return gated.baselines(values)

    def mean_messages(self, gated: GatedBatch) -> list[Tensor | None]:
        """The mean message at each site, as `InstanceBatch.output` takes it."""
        return gated.baselines({site: self.mean(group) for site, group, _ in self._rows(gated)})

    def _rows(self, gated: GatedBatch) -> Iterator[tuple[int, MessageGroup, int]]:
        """Sites that can be gated, their group and their number of messages."""
        groups = {site: group for group in self.gates.groups for site in group.sites}
        for site, edge in gated.site_edges():
            if site in groups:
                yield site, groups[site], edge.numel()


@dataclass
class _Statistics:
    """Of the messages seen so far.

    Two sets are merged by their means and sums of squared deviations: differences of large sums of
    squares would lose small spreads (Chan, Golub and LeVeque 1979).
    """

    number: int
    mean: Tensor
    squares: Tensor
    largest: float

    @staticmethod
    def none(message: Tensor) -> _Statistics:
        """Of no messages."""
        zeros = torch.zeros_like(message[0], dtype=torch.float64)
        return _Statistics(0, zeros, zeros, 0.0)

    def add(self, message: Tensor) -> None:
        """Take in messages ``[m, D]``, m > 0."""
        count, before, own = message.size(0), self.number, message.mean(dim=0)
        gap = own - self.mean
        self.number = before + count
        self.mean = own - gap * before / self.number
        self.squares = (
            self.squares
            + (message - own).square().sum(dim=0)
            + gap.square() * before * count / self.number
        )
        self.largest = max(self.largest, float(message.abs().max()) if message.numel() else 0.0)

    @property
    def std(self) -> Tensor:
        """Standard deviation ``[D]``, 0 where it is mere rounding."""
        std = (self.squares / self.number).sqrt()
        return torch.where(std > _CONSTANT * self.largest, std, torch.zeros_like(std))


def gaussian_information(location: Tensor, score: Tensor) -> Tensor:
    """``KL(p || q)`` in nats of messages with standard scores ``(m - mu) / sigma``.

    Args:
        location: ``[m]`` the gates' locations.
        score: ``[m, D]`` the messages' standard scores.

    Returns:
        ``[m]``, summed over the D numbers.

    Example:
        >>> gate = torch.tensor([0.5]).logit()
        >>> gaussian_information(gate, torch.tensor([[1.0]]))  # KL(N(1/2, 1/4) || N(0, 1))
        tensor([0.4431])
    """
    gate = torch.sigmoid(location)
    whole = F.softplus(location) - gate + gate.square() / 2
    return score.size(1) * whole + gate.square() * score.square().sum(dim=1) / 2
