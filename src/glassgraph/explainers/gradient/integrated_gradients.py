"""Integrated gradients, of messages and of features."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from glassgraph.calling.protect import protected
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.copies import repeat_instances
from glassgraph.core.feature_scores import sum_features
from glassgraph.errors import GraphError, HyperParameterError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.inputs.node_features import why_no_floats
from glassgraph.inputs.task import Target
from glassgraph.results.explanation import Attribution

if TYPE_CHECKING:
    import pandas as pd

Rule = Literal["gauss_legendre", "midpoint", "riemann_right", "trapezoid"]
On = Literal["both", "messages", "features"]


class IncompletenessWarning(UserWarning):
    """Integrated gradients do not sum to the change of the explained score."""


class IntegratedGradients(Explainer):
    r"""What does each message, and each feature, add on the way from nothing to the prediction?

    With ``y`` the explained score, ``z[l, e]`` the gate on the message along edge ``e`` at layer
    ``l``, ``x`` the node features and ``b`` their baseline, two straight paths are followed for
    ``a`` from 0 to 1: all messages fade in together (``z = a`` everywhere, features as they are),
    or the features move from the baseline to what they are (all gates open)::

        layer edge score  S[l, e] = int_0^1 dy/dz[l, e] (z = a) da
        edge score        S[e]    = sum_l S[l, e]     (that of one gate per edge for all layers)
        feature score     S[n, f] = (x[n, f] - b[f]) * int_0^1 dy/dx[n, f] (b + a (x - b)) da
        node score        S[n]    = sum_f S[n, f]

    Completeness: the edge scores of an instance sum to ``y(z = 1) - y(z = 0)``, its feature scores
    to ``y(x) - y(b)``, up to the error of the quadrature, which `completeness` tells and a warning
    reports where it is large. Scores are signed and have the unit of the model's output; the
    messages' baseline is zero, and degrees, normalization weights and the self-loops that a layer
    appends stay as they are.

    Lower layers get less than their due: while upper messages are half open, what passes through
    them is attenuated (Schlichtkrull et al., appendix F).

    Of the rules ``"gauss_legendre"`` converges fastest on smooth models and never meets the
    baseline itself; ``"riemann_right"`` is GraphMask's, with 40 steps; ``"trapezoid"`` needs two.

    Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks" (ICML 2017,
    https://arxiv.org/abs/1703.01365); on messages, Schlichtkrull, De Cao and Titov, "Interpreting
    Graph Neural Networks for NLP With Differentiable Edge Masking" (ICLR 2021,
    https://arxiv.org/abs/2010.00577). The latter's code departs from its formula in two points
    that are not repeated here: it differentiates by a parameter that is multiplied by ``a``
    afterwards, so that each point of the path is weighted by ``a`` once more and the sum is
    another one; and it explains the loss. It also scales to [-1, 1], drops signs and tunes a
    threshold; that is left to the caller.

    Raises:
        HyperParameterError: if a value is out of range or a word unknown.
        GraphError: if only features are to be explained and there are none.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> explainer = gg.IntegratedGradients(GCN(3, 8, 2, 2, act="tanh"), task="node")
        >>> explainer.explain(data, [2])[0].layer_edge_mask.shape  # [L, E]
        torch.Size([2, 3])
        >>> bool(explainer.completeness(data, [2])["gap"].abs().max() < 1e-5)
        True
    """

    name = "integrated_gradients"
    traits = Traits(
        family="gradient",
        scores=("edge", "layer edge", "node", "feature"),
        is_signed=True,
        source="Sundararajan, Taly and Yan 2017, arXiv:1703.01365",
    )

    steps: int = setting("gradients taken along each path", default=32, at_least=1)
    rule: Rule = setting("where on the path they are taken", default="gauss_legendre")
    on: On = setting(
        "'messages' for edge scores, 'features' for node and feature scores, or 'both'",
        default="both",
    )
    baseline: float | Sequence[float] = setting(
        "where features start: one number, or one for each feature", default=0.0
    )
    tolerance: float = setting(
        "warn where scores miss their sum by more than this share of their absolute sum",
        default=0.05,
        above=0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rule == "trapezoid" and self.steps < 2:
            raise HyperParameterError(
                f"{self.name}: steps must be at least 2 with rule='trapezoid'; got {self.steps}"
            )

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """``steps`` forward and backward passes for each path, several at once where they fit."""
        messages, features = self._paths(batch)
        for path in (messages, features):
            if path is not None:
                self._warn(path)
        layer_edge = None if messages is None else messages.layer_edge
        feature = None if features is None else features.feature
        return Attribution(
            edge=None if layer_edge is None else layer_edge.sum(dim=0),
            layer_edge=layer_edge,
            node=None if feature is None else sum_features(batch, feature),
            feature=feature,
        )

    def completeness(self, data: Any, index: Any = None, target: Target = None) -> pd.DataFrame:
        """How well the scores add up: one row for each instance and path.

        Args:
            data: the graph(s), as in `explain`.
            index: the instances, as in `explain`.
            target: the explained class, as in `explain`.

        Returns:
            Columns ``index``, ``path`` (``"messages"`` or ``"features"``), ``change`` (of the
            explained score along the path), ``total`` (sum of the scores), ``size`` (sum of their
            absolute values) and ``gap`` (``total - change``, 0 for a perfect quadrature).
        """
        import pandas as pd

        preparation = self.prepare(data)
        instances = preparation.instances(index)
        rows: list[tuple[Any, ...]] = []
        with protected(self.model):
            for position, batch in preparation.batches(instances, target, self.memory_budget):
                for path in self._paths(batch):
                    if path is not None:
                        gap = path.total - path.change
                        numbers = torch.stack([path.change, path.total, path.size, gap], dim=1)
                        names = [path.name] * len(position)
                        rows += zip(position.tolist(), names, numbers.tolist(), strict=True)
        rows.sort(key=lambda row: row[0])
        return pd.DataFrame(
            [(int(instances.index[place]), name, *numbers) for place, name, numbers in rows],
            columns=["index", "path", "change", "total", "size", "gap"],
        )

    def _paths(self, batch: InstanceBatch) -> tuple[_Path | None, _Path | None]:
        """The integrals over messages and over features."""
        has_features = any(x is not None for x in batch.features)
        if self.on == "features" and not has_features:
            raise GraphError(
                "on='features' needs floating node features, and "
                f"{why_no_floats(batch.graph, batch.feature_names)}; take on='messages'"
            )
        copies, times = repeat_instances(batch, self.steps, self.memory_budget)
        alphas, weights = (
            torch.from_numpy(each).to(batch.device, batch.dtype)
            for each in quadrature(self.rule, self.steps)
        )
        missing = -self.steps % times  # the last pass is filled up with points of no weight
        alphas = torch.cat([alphas, alphas[-1:].expand(missing)]).split(times)
        weights = torch.cat([weights, weights.new_zeros(missing)]).split(times)
        points = list(zip(alphas, weights, strict=True))
        messages, features = None, None
        if self.on != "features":
            messages = _over_messages(batch, copies, points)
        if self.on != "messages" and has_features:
            features = _over_features(batch, copies, points, self._starts(batch.features))
        return messages, features

    def _starts(self, features: list[Tensor | None]) -> list[Tensor | None]:
        """Where the features of each node type start.

        Raises:
            GraphError: if the baseline does not fit them.
        """
        found: list[Tensor | None] = []
        for x in features:
            if x is not None:
                start = torch.as_tensor(self.baseline, dtype=x.dtype, device=x.device)
                if start.dim() > 1 or (start.dim() == 1 and start.numel() != x.size(1)):
                    raise GraphError(
                        f"baseline has {start.numel()} numbers and the features have {x.size(1)} "
                        "columns; give one number, or one for each column"
                    )
            found.append(None if x is None else start.expand_as(x))
        return found

    def _warn(self, path: _Path) -> None:
        gap = (path.total - path.change).abs()
        size = torch.maximum(path.size, path.change.abs())
        is_wide = gap > self.tolerance * size + path.rounding
        if bool(is_wide.any()):
            warnings.warn(
                f"the scores of {int(is_wide.sum())} of {gap.numel()} instances do not sum to the "
                f"change of the explained score along the path of {path.name}; they miss it by up "
                f"to {float((gap / size)[is_wide].max()):.1%} of their absolute sum. Take more "
                f"steps (now {self.steps}, {self.rule}), and see completeness()",
                IncompletenessWarning,
                stacklevel=2,
            )


def quadrature(rule: Rule, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Points in [0, 1] and their weights, which sum to 1."""
    if rule == "gauss_legendre":
        points, weights = np.polynomial.legendre.leggauss(steps)
        return (points + 1) / 2, weights / 2
    if rule == "trapezoid":
        weights = np.full(steps, 1 / (steps - 1))
        weights[[0, -1]] /= 2
        return np.linspace(0, 1, steps), weights
    shift = 0.5 if rule == "midpoint" else 1.0
    return (np.arange(steps) + shift) / steps, np.full(steps, 1 / steps)


@dataclass(frozen=True)
class _Path:
    """One integral over a batch of B instances.

    Attributes:
        name: ``"messages"`` or ``"features"``.
        change: ``[B]`` of the explained score along the path.
        total: ``[B]`` sum of the scores.
        size: ``[B]`` sum of their absolute values.
        rounding: ``[B]`` how much of a gap may be rounding.
        layer_edge: ``[L, e]``, of messages.
        feature: ``[n_t, F_t]`` for each node type, of features.
    """

    name: str
    change: Tensor
    total: Tensor
    size: Tensor
    rounding: Tensor
    layer_edge: Tensor | None = None
    feature: list[Tensor | None] | None = None


#: For each pass, the points ``a`` on the path that are evaluated side by side, and their weights.
_Points = list[tuple[Tensor, Tensor]]


def _over_messages(batch: InstanceBatch, copies: InstanceBatch, points: _Points) -> _Path:
    num_layers, num_edges = batch.num_layers, batch.num_edges
    ones = batch.ones()
    layer_edge = torch.zeros_like(ones).repeat(num_layers, 1)
    for alpha, weight in points:
        gates = alpha.repeat_interleave(num_edges).repeat(num_layers, 1).requires_grad_()
        with torch.enable_grad():
            (gradient,) = copies.gradients(copies.score(gates), [gates])
        gradient = gradient.view(num_layers, alpha.numel(), num_edges)
        layer_edge += (weight.view(-1, 1) * gradient).sum(dim=1)
    with torch.no_grad():
        start, end = batch.score(torch.zeros_like(ones)), batch.score(ones)
    total, size = (
        torch.zeros_like(end).index_add(0, batch.edge_instance, each.sum(dim=0))
        for each in (layer_edge, layer_edge.abs())
    )
    rounding = _rounding(start, end)
    return _Path("messages", end - start, total, size, rounding, layer_edge=layer_edge)


def _over_features(
    batch: InstanceBatch, copies: InstanceBatch, points: _Points, starts: list[Tensor | None]
) -> _Path:
    gates, features = copies.ones(), batch.features
    sums = [None if x is None else torch.zeros_like(x) for x in features]
    for alpha, weight in points:
        moved = [
            None if x is None or start is None else _between(start, x, alpha).requires_grad_()
            for start, x in zip(starts, features, strict=True)
        ]
        with torch.enable_grad():
            score = copies.score(gates, moved)
            gradients = iter(
                copies.gradients(score, [x for x in moved if x is not None], gates_first=False)
            )
        for total in sums:
            if total is not None:
                gradient = next(gradients).view(alpha.numel(), *total.shape)
                total += (weight.to(total.dtype).view(-1, 1, 1) * gradient).sum(dim=0)
    found = [
        None if x is None or start is None or total is None else (x - start) * total
        for x, start, total in zip(features, starts, sums, strict=True)
    ]
    with torch.no_grad():
        start_score, end = batch.score(batch.ones(), starts), batch.score(batch.ones(), features)
    total, size = (
        torch.zeros_like(end).index_add(
            0, batch.node_instance, sum_features(batch, each).to(end.dtype)
        )
        for each in (found, [None if each is None else each.abs() for each in found])
    )
    rounding = _rounding(start_score, end)
    return _Path("features", end - start_score, total, size, rounding, feature=found)


def _between(start: Tensor, x: Tensor, alpha: Tensor) -> Tensor:
    """``start + a (x - start)`` for each ``a``, one after the other."""
    return (start + alpha.to(x.dtype).view(-1, 1, 1) * (x - start)).flatten(0, 1).detach()


def _rounding(start: Tensor, end: Tensor) -> Tensor:
    eps = float(torch.finfo(end.dtype).eps)
    return (start.abs() + end.abs()).mul(eps**0.75)
