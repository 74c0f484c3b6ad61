"""GNNExplainer: learn a soft mask on edges and features that keeps the prediction.

For each instance, with edge mask logits ``M``, feature mask logits ``F`` and ``s`` the sigmoid,

    min  -log P(c | s(M) on messages, s(F) on features)
         + edge_size * sum s(M) + edge_entropy * mean H(s(M))
         + feature_size * mean s(F) + feature_entropy * mean H(s(F))

where ``H(p) = -p log p - (1 - p) log(1 - p)``. One mask value per directed edge acts on the
messages of that edge at every layer. ``M`` starts at ``init_mean + init_scale * N(0, 1)`` with
``init_scale = sqrt(2) * sqrt(2 / (2 n))`` for a receptive field of n nodes, ``F`` at zero (at
``0.1 * N(0, 1)`` where every node has its own).

``layerwise=True`` learns a mask for each layer, ``M[l, e]`` on the messages of edge ``e`` at layer
``l``, all of them together; the penalties then run over (layer, edge) pairs, and the score of an
edge is its mean over the layers. Layer 0 starts where the single mask starts, so both are the same
for a model with one layer. The authors of the layerwise version train in a schedule instead: masks
join layer by layer, for as many rounds of ``epochs`` as there are layers, while those that have not
joined are held at zeros and ones.

All masks of a batch are one flat tensor, their losses are summed, and Adam works on each element
by itself: what an instance learns is what it would learn alone. The penalties have closed
gradients, ``s'(M) * (edge_size - edge_entropy * M / e)``, so autograd runs through the model only.

The first step follows the prediction alone, as in PyG: Adam's steps have one size at first, and
with the penalties in it every mask would just shrink.

An entry for which the explained score has a gradient of exactly zero at the start cannot change the
prediction (an edge behind dead units, a feature that is zero). It is left out of the penalties and
scores zero; the means above run over the other entries of the instance. PyG looks at the gradient
of the loss instead, which also vanishes where a prediction is so sure that its softmax is 1.

Defaults are those of PyG's implementation. The authors' code takes ``learning_rate=0.1,
init_mean=1, feature_mask="common_attributes"``; with these the masks of our reference models
saturate before they separate the edges. Differences to the authors' code: the predicted class is
explained (theirs takes the label), only existing edges carry a mask (theirs penalizes all n^2
pairs), the mask is not symmetrized, and their Laplacian term on class numbers, which is constant
for a fixed prediction, is left out; their code computes the feature entropy but never adds it, here
it is added with its coefficient, as in PyG.

Ying, Bourgeois, You, Zitnik and Leskovec, "GNNExplainer: Generating Explanations for Graph Neural
Networks" (NeurIPS 2019, https://arxiv.org/abs/1903.03894). Layerwise masks: He, Rafiey, Mishne and
Wang, "Explaining GNN Explanations with Edge Gradients" (KDD 2025,
https://arxiv.org/abs/2508.01048).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from glassgraph.core import random
from glassgraph.core.addresses import edge_address, node_address
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.feature_scores import mean_features
from glassgraph.core.task import Task
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.traits import Traits
from glassgraph.results.explanation import Attribution

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
        feature_mask: ``"attributes"`` (one value per node and feature), ``"common_attributes"``
            (per feature), ``"object"`` (per node) or ``"none"``.
        layerwise: learn an edge mask for each layer instead of one for all.
        init_mean: mean of the initial edge mask logits.
        init_scale: their standard deviation; None for the published one (see the module).
        **shared: see `Explainer`.

    Raises:
        HyperParameterError: for values out of range.
    """

    name = "gnn_explainer"
    traits = Traits(
        family="perturbation",
        scores=("edge", "layer edge", "node", "feature"),
        is_learned=True,
        is_amortized=False,
        is_black_box=False,
        is_signed=False,
        is_random=True,
        source="Ying et al. 2019, arXiv:1903.03894",
    )
    test_settings: ClassVar[Mapping[str, Any]] = {"epochs": 3}
    fixed_settings: ClassVar[Mapping[str, Any]] = {"init_scale": 0.7}

    def __init__(
        self,
        model: nn.Module,
        task: str | Task = "node",
        *,
        epochs: int = 100,
        learning_rate: float = 0.01,
        edge_size: float = 0.005,
        edge_entropy: float = 1.0,
        feature_size: float = 1.0,
        feature_entropy: float = 0.1,
        feature_mask: FeatureMask = "attributes",
        layerwise: bool = False,
        init_mean: float = 0.0,
        init_scale: float | None = None,
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
        self.layerwise = layerwise
        self.init_mean = init_mean
        self.init_scale = init_scale

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Learn the masks of all instances together."""
        edge = _EdgeMask(batch, self)
        features = _FeatureMasks(batch, self)
        masks: list[_Mask] = [edge, *features.masks]
        logits = [mask.logits for mask in masks]
        optimizer = torch.optim.Adam(logits, lr=self.learning_rate, fused=True)
        with torch.enable_grad():
            score = batch.score(edge.gates(), features.masked())
            for mask, gradient in zip(masks, batch.gradients(score, logits), strict=True):
                mask.settle(gradient)
        for epoch in range(self.epochs):
            with torch.enable_grad():
                loss = batch.loss(edge.gates(), features.masked())
                gradients = batch.gradients(loss, logits)
            for mask, gradient in zip(masks, gradients, strict=True):
                mask.logits.grad = gradient.add_(mask.penalty_gradient()) if epoch else gradient
            optimizer.step()
        scores = features.scores()
        layer_edge = edge.scores().view(edge.num_masks, -1)
        return Attribution(
            edge=layer_edge.mean(dim=0),
            layer_edge=layer_edge if self.layerwise else None,
            node=None if scores is None else mean_features(batch, scores),
            feature=scores,
        )


class _Mask:
    """Mask logits and their penalties.

    Args:
        logits: initial values.
        owner: which instance each row of the logits belongs to.
        num_instances: number of instances.
        size: weight of the mask values: of their sum if ``size_is_sum``, else of their mean.
        entropy: weight of their mean entropy.
        size_is_sum: see ``size``.
    """

    def __init__(
        self,
        logits: Tensor,
        owner: Tensor,
        num_instances: int,
        size: float,
        entropy: float,
        *,
        size_is_sum: bool,
    ) -> None:
        self.logits = logits.requires_grad_()
        self._owner, self._num_instances = owner, num_instances
        self._size, self._entropy, self._size_is_sum = size, entropy, size_is_sum
        self._is_live = torch.ones_like(logits, dtype=torch.bool)
        self._size_weight = self._entropy_weight = torch.zeros_like(logits)

    def settle(self, gradient: Tensor) -> None:
        """Leave out the entries that cannot change the score: their gradient is zero."""
        self._is_live = gradient != 0
        live = self._is_live.to(self.logits.dtype)
        per_row = live if live.dim() == 1 else live.sum(dim=1)
        count = per_row.new_zeros(self._num_instances).index_add_(0, self._owner, per_row)
        count = count.clamp_min(1)[self._owner].view(-1, *[1] * (live.dim() - 1))
        self._entropy_weight = self._entropy * live / count
        self._size_weight = self._size * live / (1 if self._size_is_sum else count)

    @torch.no_grad()
    def penalty_gradient(self) -> Tensor:
        """``s'(M) * (size - entropy * M)``, weighted."""
        value = self.logits.sigmoid()
        inner = torch.addcmul(self._size_weight, self._entropy_weight, self.logits, value=-1)
        return inner.mul_(value).mul_(1 - value)

    @torch.no_grad()
    def scores(self) -> Tensor:
        """Final mask values, zero for entries that were left out."""
        return self.logits.sigmoid() * self._is_live


class _EdgeMask(_Mask):
    """One value for each edge, or for each edge at each layer, layer after layer."""

    def __init__(self, batch: InstanceBatch, settings: GNNExplainer) -> None:
        self.num_masks = batch.num_layers if settings.layerwise else 1
        owner = batch.edge_instance.repeat(self.num_masks)
        address = edge_address(batch)
        higher = [random.hash64(layer, address) for layer in range(1, self.num_masks)]
        address = torch.cat([address, *higher])
        if settings.init_scale is None:
            scale = math.sqrt(2.0) * batch.nodes_per_instance[owner].double().rsqrt()
        else:
            scale = torch.full_like(owner, 1, dtype=torch.double) * settings.init_scale
        noise = random.normal(settings.seed, batch.key[owner], address)
        super().__init__(
            (settings.init_mean + scale * noise).to(batch.dtype),
            owner,
            batch.num_instances,
            settings.edge_size,
            settings.edge_entropy,
            size_is_sum=True,
        )

    def gates(self) -> Tensor:
        """Mask values ``[e]``, or ``[L, e]``."""
        value = self.logits.sigmoid()
        return value if self.num_masks == 1 else value.view(self.num_masks, -1)


class _FeatureMasks:
    """Masks on the features of every node type that has any."""

    def __init__(self, batch: InstanceBatch, settings: GNNExplainer) -> None:
        kind = settings.feature_mask
        self.masks: list[_Mask] = []
        self._table: list[tuple[Tensor, _Mask, Tensor | None] | None] = []
        addresses = node_address(batch) if kind in ("attributes", "object") else None
        for x, position in zip(batch.features, batch.packed.node_position, strict=True):
            if x is None or kind == "none":
                self._table.append(None)
                continue
            owner = batch.node_instance[position]
            everyone = torch.arange(batch.num_instances, device=x.device)
            if addresses is None:
                logits = x.new_zeros((batch.num_instances, x.size(1)))
            else:
                column = torch.arange(1 if kind == "object" else x.size(1), device=x.device)
                address = addresses[position].view(-1, 1)
                key = batch.key[owner].view(-1, 1)
                logits = (0.1 * random.normal(settings.seed, key, address, column)).to(x.dtype)
            mask = _Mask(
                logits,
                everyone if addresses is None else owner,
                batch.num_instances,
                settings.feature_size,
                settings.feature_entropy,
                size_is_sum=False,
            )
            self.masks.append(mask)
            self._table.append((x, mask, owner if addresses is None else None))

    def masked(self) -> list[Tensor | None] | None:
        """Features under their masks."""
        if not self.masks:
            return None
        return [
            entry and entry[0] * _spread(entry[1].logits.sigmoid(), entry) for entry in self._table
        ]

    def scores(self) -> list[Tensor | None] | None:
        """Final mask values ``[n_t, F_t]``."""
        if not self.masks:
            return None
        return [
            entry and _spread(entry[1].scores(), entry).expand_as(entry[0]).clone()
            for entry in self._table
        ]


def _spread(value: Tensor, entry: tuple[Tensor, _Mask, Tensor | None]) -> Tensor:
    """Values of a mask for each node."""
    owner = entry[2]
    return value if owner is None else value.index_select(0, owner)
