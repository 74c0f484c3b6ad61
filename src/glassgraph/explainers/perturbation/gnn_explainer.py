"""GNNExplainer: learn a soft mask on edges and features that keeps the prediction.

For each instance, with edge mask logits ``M``, feature mask logits ``F`` and ``s`` the sigmoid,

    min  -log P(c | s(M) on messages, s(F) on features)
         + edge_size * sum s(M) + edge_entropy * mean H(s(M))
         + feature_size * mean s(F) + feature_entropy * mean H(s(F))

where ``H(p) = -p log p - (1 - p) log(1 - p)``. One mask value per directed edge acts on the
messages of that edge at every layer. ``M`` starts at ``init_mean + init_scale * N(0, 1)`` with
``init_scale = sqrt(2) * sqrt(2 / (2 n))`` for a receptive field of n nodes, ``F`` at zero (at
``0.1 * N(0, 1)`` where every node has its own).

All masks of a batch are one flat tensor, their losses are summed, and Adam works on each element
by itself: what an instance learns is what it would learn alone. The penalties have closed
gradients, ``s'(M) * (edge_size - edge_entropy * M / e)``, so autograd runs through the model only.

Defaults are the published ones. Differences to the authors' code: the predicted class is explained
(theirs takes the label), only existing edges carry a mask (theirs penalizes all n^2 pairs), the
mask is not symmetrized, and their Laplacian term on class numbers, which is zero for a fixed
prediction, is left out; their code computes the feature entropy but never adds it, here it is
added with the published coefficient. For PyG's settings pass ``learning_rate=0.01, init_mean=0``.

Ying, Bourgeois, You, Zitnik and Leskovec, "GNNExplainer: Generating Explanations for Graph Neural
Networks" (NeurIPS 2019, https://arxiv.org/abs/1903.03894).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from glassgraph.core import random
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.explanation import Attribution
from glassgraph.core.task import Task
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.base import Explainer, Traits

#: PyG's words: one value per feature; per node and feature; per node; none.
FeatureMask = Literal["common_attributes", "attributes", "object", "none"]


class GNNExplainer(Explainer):
    """Edge and feature masks learned for each prediction.

    Args:
        model: the model.
        task: the task.
        epochs: optimization steps.
        learning_rate: of Adam.
        edge_size: weight of the sum of edge mask values.
        edge_entropy: weight of the mean entropy of edge mask values.
        feature_size: weight of the mean feature mask value.
        feature_entropy: weight of the mean entropy of feature mask values.
        feature_mask: ``"common_attributes"`` (one value per feature, as published),
            ``"attributes"`` (per node and feature), ``"object"`` (per node) or ``"none"``.
        init_mean: mean of the initial edge mask logits.
        **shared: see `Explainer`.

    Raises:
        HyperParameterError: for values out of range.
    """

    name = "gnn_explainer"
    traits = Traits(
        family="perturbation",
        scores=("edge", "node", "feature"),
        is_learned=True,
        is_amortized=False,
        is_black_box=False,
        is_signed=False,
        is_random=True,
        source="Ying et al. 2019, arXiv:1903.03894",
    )

    def __init__(
        self,
        model: nn.Module,
        task: str | Task = "node",
        *,
        epochs: int = 100,
        learning_rate: float = 0.1,
        edge_size: float = 0.005,
        edge_entropy: float = 1.0,
        feature_size: float = 1.0,
        feature_entropy: float = 0.1,
        feature_mask: FeatureMask = "common_attributes",
        init_mean: float = 1.0,
        **shared: Any,
    ) -> None:
        super().__init__(model, task, **shared)
        if epochs < 1 or learning_rate <= 0:
            raise HyperParameterError(
                f"epochs and learning_rate must be positive; got {epochs} and {learning_rate}"
            )
        if feature_mask not in ("common_attributes", "attributes", "object", "none"):
            raise HyperParameterError(
                "feature_mask must be 'common_attributes', 'attributes', 'object' or 'none'; "
                f"got {feature_mask!r}"
            )
        self.epochs = int(epochs)
        self.learning_rate = learning_rate
        self.edge_size = edge_size
        self.edge_entropy = edge_entropy
        self.feature_size = feature_size
        self.feature_entropy = feature_entropy
        self.feature_mask = feature_mask
        self.init_mean = init_mean

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Learn the masks of all instances together."""
        edge = _initial_edge_mask(batch, self.seed, self.init_mean)
        features = _FeatureMasks(batch, self.feature_mask, self.seed)
        parameters = [edge, *features.logits]
        optimizer = torch.optim.Adam(parameters, lr=self.learning_rate, fused=True)
        per_edge = batch.edges_per_instance.to(batch.dtype)[batch.edge_instance]
        entropy_weight = self.edge_entropy / per_edge
        for _ in range(self.epochs):
            with torch.enable_grad():
                gates = edge.sigmoid()
                loss = batch.loss(gates, features.masked()).sum()
            gradients = batch.gradients(loss, parameters)
            with torch.no_grad():
                slope = gates * (1 - gates)
                edge.grad = torch.addcmul(
                    gradients[0], slope, self.edge_size - entropy_weight * edge
                )
                for logits, gradient, count in zip(
                    features.logits, gradients[1:], features.counts, strict=True
                ):
                    value = logits.sigmoid()
                    penalty = (self.feature_size - self.feature_entropy * logits) / count
                    logits.grad = torch.addcmul(gradient, value * (1 - value), penalty)
            optimizer.step()
        scores = features.scores()
        return Attribution(
            edge=edge.detach().sigmoid(),
            node=None if scores is None else batch.mean_features(scores),
            feature=scores,
        )


def _initial_edge_mask(batch: InstanceBatch, seed: int, mean: float) -> Tensor:
    nodes = batch.nodes_per_instance[batch.edge_instance].to(torch.float64)
    scale = math.sqrt(2.0) * torch.sqrt(1.0 / nodes)
    noise = random.normal(seed, batch.key[batch.edge_instance], batch.edge_address())
    return (mean + scale * noise).to(batch.dtype).requires_grad_()


class _FeatureMasks:
    """Mask logits of every node type that has features.

    Attributes:
        logits: one tensor per masked node type.
        counts: for each of them how many mask values an instance has, broadcastable to the logits.
    """

    def __init__(self, batch: InstanceBatch, kind: FeatureMask, seed: int) -> None:
        self._batch = batch
        self._features = batch.features if kind != "none" else [None] * len(batch.features)
        self._is_shared = kind == "common_attributes"
        self.logits: list[Tensor] = []
        self.counts: list[Tensor | float] = []
        owners = batch.node_owners()
        addresses = batch.node_address()
        self._owners: list[Tensor] = []
        for number, x in enumerate(self._features):
            if x is None:
                continue
            owner = owners[number]
            self._owners.append(owner)
            if self._is_shared:
                self.counts.append(float(x.size(1)))
                shape = (batch.num_instances, x.size(1))
                self.logits.append(torch.zeros(shape, dtype=x.dtype, device=x.device))
                continue
            width = 1 if kind == "object" else x.size(1)
            nodes = torch.bincount(owner, minlength=batch.num_instances)
            self.counts.append((nodes * width).to(x.dtype)[owner].view(-1, 1))
            address = addresses[batch.packed.node_position[number]].view(-1, 1)
            column = torch.arange(width, device=x.device)
            noise = random.normal(seed, batch.key[owner].view(-1, 1), address, column)
            self.logits.append((0.1 * noise).to(x.dtype))
        for logits in self.logits:
            logits.requires_grad_()

    def _values(self) -> list[Tensor | None]:
        """Mask values ``[n_t, F_t]`` or ``[n_t, 1]`` of each node type."""
        found: list[Tensor | None] = []
        table = iter(zip(self.logits, self._owners, strict=True))
        for x in self._features:
            if x is None:
                found.append(None)
                continue
            logits, owner = next(table)
            value = logits.sigmoid()
            found.append(value.index_select(0, owner) if self._is_shared else value)
        return found

    def masked(self) -> list[Tensor | None] | None:
        """Features under their mask."""
        if not self.logits:
            return None
        return [
            None if x is None or value is None else x * value
            for x, value in zip(self._features, self._values(), strict=True)
        ]

    @torch.no_grad()
    def scores(self) -> list[Tensor | None] | None:
        """Final mask values ``[n_t, F_t]``."""
        if not self.logits:
            return None
        return [
            None if x is None or value is None else value.expand_as(x).clone()
            for x, value in zip(self._features, self._values(), strict=True)
        ]
