"""Gates that let a part of each message through, and count what passes.

With ``lambda = sigmoid(a)`` the gate of a message ``m`` of ``D`` numbers, ``mu`` and ``sigma`` the
mean and standard deviation of all messages of its kind in the training data,

    p(m' | m) = N(lambda m + (1 - lambda) mu, (1 - lambda)^2 sigma^2)        q(m') = N(mu, sigma^2)

    KL(p || q) = sum_d  softplus(a) - lambda + (1 + ((m - mu) / sigma)^2) lambda^2 / 2

in nats: ``softplus(a)`` is ``-log(1 - lambda)``, so an open gate costs much but never infinitely
much. A number that is the same in all training messages says nothing: it costs nothing and gets no
noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgraph.explainers.gates import Kind, Lesson, MessageGates

#: A spread below this share of the kind's largest number is rounding, not information.
_CONSTANT = 1e-6


class Bottleneck(nn.Module):
    """A gate for each message, and what messages look like in general.

    Args:
        kinds: kinds of messages.
        hidden_channels: width of the gate networks' hidden layer, see `MessageGates`.
    """

    def __init__(self, kinds: Sequence[Kind], hidden_channels: int | None) -> None:
        super().__init__()
        self.gates = MessageGates(kinds, hidden_channels, with_baselines=False)
        for kind in kinds:
            self.register_buffer(f"{kind.name}_mean", torch.zeros(kind.widths[2]))
            self.register_buffer(f"{kind.name}_std", torch.zeros(kind.widths[2]))

    def forward(self, lesson: Lesson) -> Tensor:
        """Locations ``a``, ``[K]``, of the messages of a batch."""
        location: Tensor = self.gates(lesson)
        return location

    def mean(self, kind: Kind) -> Tensor:
        """Mean message ``[D]``."""
        return self.get_buffer(f"{kind.name}_mean")

    def std(self, kind: Kind) -> Tensor:
        """Standard deviation ``[D]`` of the messages, 0 where they are all the same."""
        return self.get_buffer(f"{kind.name}_std")

    @torch.no_grad()
    def read_statistics(self, lessons: Iterable[Lesson]) -> None:
        """Set mean and standard deviation to those of all messages of the lessons."""
        number: dict[str, int] = {}
        mean: dict[str, Tensor] = {}
        squares: dict[str, Tensor] = {}
        largest: dict[str, float] = {}
        for lesson in lessons:
            for kind, message, _ in lesson.messages():
                if not message.size(0):
                    continue
                # Two sets are merged by their means and sums of squared deviations: differences of
                # large sums of squares would lose small spreads (Chan, Golub and LeVeque 1979).
                name, message, count = kind.name, message.double(), message.size(0)
                own = message.mean(dim=0)
                before = number.get(name, 0)
                gap = own - mean.get(name, torch.zeros_like(own))
                number[name] = before + count
                mean[name] = own - gap * before / number[name]
                squares[name] = (
                    squares.get(name, torch.zeros_like(own))
                    + (message - own).square().sum(dim=0)
                    + gap.square() * before * count / number[name]
                )
                size = float(message.abs().max()) if message.numel() else 0.0
                largest[name] = max(largest.get(name, 0.0), size)
        for kind in self.gates.kinds:
            name = kind.name
            if name in number:
                std = (squares[name] / number[name]).sqrt()
                std = torch.where(std > _CONSTANT * largest[name], std, torch.zeros_like(std))
                self.mean(kind).copy_(mean[name])
                self.std(kind).copy_(std)

    def information(self, lesson: Lesson, location: Tensor) -> Tensor:
        """Nats ``[K]`` that pass each gate, over all rows it stands on."""
        nats = torch.zeros_like(location)
        for kind, message, slot in lesson.messages():
            nats = nats.index_add(0, slot, self._nats(kind, message, location[slot]))
        return nats

    def _nats(self, kind: Kind, message: Tensor, location: Tensor) -> Tensor:
        varies = self.std(kind) > 0
        score = (message - self.mean(kind))[:, varies] / self.std(kind)[varies]
        return gaussian_information(location, score)

    def num_numbers(self, lesson: Lesson) -> int:
        """How many numbers that vary the messages of a batch are made of."""
        return sum(
            message.size(0) * int((self.std(kind) > 0).sum())
            for kind, message, _ in lesson.messages()
        )

    def noise(self, lesson: Lesson, generator: torch.Generator) -> list[Tensor | None]:
        """What shut messages become, drawn from ``q``, as `InstanceBatch.output` takes it."""
        values = {}
        for site, kind, count in self._rows(lesson):
            mean = self.mean(kind)
            drawn = torch.randn(
                (count, mean.numel()), generator=generator, dtype=mean.dtype, device=mean.device
            )
            values[site] = mean + self.std(kind) * drawn
        return lesson.site_values(values)

    def mean_values(self, lesson: Lesson) -> list[Tensor | None]:
        """The mean message at each site, as `InstanceBatch.output` takes it."""
        return lesson.site_values({site: self.mean(kind) for site, kind, _ in self._rows(lesson)})

    def _rows(self, lesson: Lesson) -> Iterator[tuple[int, Kind, int]]:
        """Sites that can be gated, their kind and their number of messages."""
        kinds = {site: kind for kind in self.gates.kinds for site in kind.sites}
        for site, edge in lesson.rows():
            if site in kinds:
                yield site, kinds[site], edge.numel()


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
