"""Gates that read messages: a scorer for each group of messages, and a learned baseline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glassgraph.errors import FitError
from glassgraph.explainers.perturbation.message_gates.gated_batch import GatedBatch
from glassgraph.explainers.perturbation.message_gates.groups import MessageGroup
from glassgraph.learn.bilinear_scorer import BilinearScorer
from glassgraph.learn.message_scorer import MessageScorer

#: Width of a scorer's hidden layer, between these, follows the message.
_NARROW, _WIDE = 16, 256


class MessageGates(nn.Module):
    """A scorer and a baseline for each group of messages.

    Args:
        groups: the groups.
        hidden_channels: width of the scorers' hidden layer, None for that of the message (at least
            16, at most 256).
        with_baselines: learn what a shut message becomes; it starts at the mean message.
    """

    def __init__(
        self,
        groups: Sequence[MessageGroup],
        hidden_channels: int | None = None,
        with_baselines: bool = True,
    ) -> None:
        super().__init__()
        self.groups = list(groups)
        self.scorers = nn.ModuleDict(
            {group.name: _scorer(group, hidden_channels) for group in self.groups}
        )
        self.baselines = nn.ParameterDict(
            {group.name: torch.zeros(group.widths[2]) for group in self.groups if with_baselines}
        )

    @torch.no_grad()
    def start_baselines(self, batches: Iterable[GatedBatch]) -> None:
        """Set every baseline to the mean message of its group (of a matrix: before its weight)."""
        total: dict[str, Any] = {}
        for gated in batches:
            for group, each in zip(self.groups, gated.inputs, strict=bool(gated.num_messages)):
                before, number = total.get(group.name, (0, 0))
                total[group.name] = (before + each.total, number + each.number)
        for name, (value, number) in total.items():
            if name in self.baselines and number:
                self.baselines[name].copy_(value / number)

    def forward(self, gated: GatedBatch) -> Tensor:
        """Raw locations ``[K]`` of the gates of a batch."""
        if not gated.num_messages:
            return torch.zeros(0, dtype=gated.batch.dtype, device=gated.batch.device)
        return gated.collect(
            [
                each.scores(self.scorers[group.name])
                for group, each in zip(self.groups, gated.inputs, strict=True)
            ]
        )

    def site_baselines(self, gated: GatedBatch) -> list[Tensor | None]:
        """What shut messages become, as `InstanceBatch.output` takes it."""
        values = {
            site: self.baselines[group.name]
            for group in self.groups
            if group.name in self.baselines
            for site in group.sites
        }
        return gated.baselines(values)

    def check_finite(self, loss: Tensor, gated: GatedBatch) -> None:
        """Stop where the loss is not finite.

        Raises:
            FitError: naming the first layer whose inputs, gates or baselines are not finite.
        """
        if bool(torch.isfinite(loss)):
            return
        culprit = self._not_finite(gated)
        where = (
            f"the gates of {culprit}"
            if culprit is not None
            else "the model's output under gates (all gates and baselines are finite)"
        )
        raise FitError(
            f"the loss became {float(loss.detach())}: {where} went wrong. What had been learned "
            "before is kept; a smaller learning_rate, or features of a smaller scale, may help"
        )

    @torch.no_grad()
    def _not_finite(self, gated: GatedBatch) -> str | None:
        """The lowest layer with inputs, scores or baselines that are not finite, in words."""
        for group, each in reversed(list(zip(self.groups, gated.inputs, strict=True))):
            site = group.names[0]
            baseline = self.baselines.get(group.name, None)
            for what, is_finite in (
                ("messages or states", each.is_finite()),
                ("scores", bool(each.scores(self.scorers[group.name]).isfinite().all())),
                ("baseline", baseline is None or bool(baseline.isfinite().all())),
            ):
                if not is_finite:
                    return f"layer {group.layer} ({site}), whose {what} are not finite,"
        return None


def _scorer(group: MessageGroup, hidden_channels: int | None) -> nn.Module:
    width = hidden_channels or min(max(group.widths[2], _NARROW), _WIDE)
    if group.is_matrix:
        return BilinearScorer(group.widths[0], width, len(group.sites))
    return MessageScorer(sum(group.widths), width, len(group.sites))
