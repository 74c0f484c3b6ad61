r"""Signs of edge gradients on the way: does what speaks for a prediction stay on its side?

With gates ``z`` on messages and the explained score ``y(z)``, an edge gradient is taken where all
messages are open, ``z = 1``. A method that shuts messages goes further, and the gradient says where
it ends up only if it keeps its sign on the way. Two paths are followed, for w from 1 down to 0:

.. code-block:: text

    together   g_e(w) = dy / dz_e at z = w for all edges: all gates close at once
    alone      g_e(w) = dy / dz_e at z_e = w, all other gates at 1: one gate closes

Input-level there is one gate for each edge and all layers; layerwise, one for each edge at each
layer, and "alone" moves a single one of them. An edge flips if ``g_e(w) g_e(1) < 0`` at some of the
points ``w = 0, 1 / steps, ..., 1``. Edges with ``g_e(1) = 0`` have no sign to keep and are not
counted.

"Alone" is the condition of the paper's Proposition 4.2 to the letter: where no edge flips, and
penalties are small, GNNExplainer's mask tends to `glassgraph.PositiveGradients`. For a model that
is linear in its messages a layerwise gate alone never flips, for ``y`` is affine in it; all
together may, as ``y`` is a polynomial. The authors' code measures something else with the same
points: it moves one gate at a time, counts an edge once its gradient differs in sign for any of the
gates moved, and passes all gates through a sigmoid, so that they lie between 0.5 and 0.73.

He, Rafiey, Mishne and Wang, "Explaining GNN Explanations with Edge Gradients" (KDD 2025,
https://arxiv.org/abs/2508.01048).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.copies import edge_copies, repeat_instances
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.inputs.task import Target, Task
from glassgraph.results.explanation import Attribution, Explanations
from glassgraph.results.instance_columns import in_order
from glassgraph.results.records import Part, Table

if TYPE_CHECKING:
    import pandas as pd

#: Which gates move: all of them, or one while the others stay open.
GradientPath = Literal["together", "alone"]


@dataclass(frozen=True, repr=False)
class GradientSigns:
    """Signs of edge gradients of B predictions, and which of them flip.

    Attributes:
        path: which gates moved.
        layerwise: whether every edge has a gate for each layer.
        steps: number of steps from 0 to 1.
        index: ``[B]`` the user's number of each prediction.
        position: ``[n]`` which prediction an edge belongs to, ascending.
        gradient: ``[R, n]`` the gradient at open gates; R = L rows if layerwise, else R = 1.
        sign: ``[R, n]`` its sign, 0 where it is not larger than epsilon.
        flip_at: ``[R, n]`` the point nearest to 1 at which the sign is the opposite, NaN where
            there is none.
    """

    path: GradientPath
    layerwise: bool
    steps: int
    index: Tensor
    position: Tensor
    gradient: Tensor
    sign: Tensor
    flip_at: Tensor
    _explanations: Explanations

    @property
    def flips(self) -> Tensor:
        """``[R, n]`` whether the sign changes on the way."""
        return ~self.flip_at.isnan()

    @property
    def num_signed(self) -> Tensor:
        """``[B]`` how many gradients have a sign to keep."""
        return self._count(self.sign != 0)

    @property
    def num_flips(self) -> Tensor:
        """``[B]`` how many of them do not keep it."""
        return self._count(self.flips)

    @property
    def shares(self) -> Tensor:
        """``[B]`` share of signs that flip; NaN for a prediction without any."""
        return self.num_flips.double() / self.num_signed

    @property
    def share(self) -> float:
        """Share of the signs of all predictions that flip; NaN if there are none."""
        total = int(self.num_signed.sum())
        return int(self.num_flips.sum()) / total if total else float("nan")

    def _count(self, found: Tensor) -> Tensor:
        count = torch.zeros(self.index.numel(), dtype=torch.long)
        return count.index_add_(0, self.position, found.sum(dim=0))

    def frame(self) -> pd.DataFrame:
        """One row for each edge, or edge and layer, of each prediction.

        Columns: ``position``, ``index``, ``graph``, ``edge_id``, ``source``, ``destination``,
        ``edge_type`` (typed graphs), ``layer`` (if layerwise), ``gradient``, ``sign``, ``flips``,
        ``flip_at``.
        """
        import pandas as pd

        edges = self._explanations.to_frame()
        edges = edges[[name for name in edges if not str(name).startswith("layer_")]]
        frames = []
        for layer, row in enumerate(self.gradient):
            frame = edges.assign(layer=layer) if self.layerwise else edges
            frames.append(
                frame.assign(
                    gradient=row.numpy(),
                    sign=self.sign[layer].numpy(),
                    flips=self.flips[layer].numpy(),
                    flip_at=self.flip_at[layer].numpy(),
                )
            )
        found = pd.concat(frames, ignore_index=True)
        return found.sort_values("position", kind="stable", ignore_index=True)

    def __repr__(self) -> str:
        what = "edges at their layers" if self.layerwise else "edges"
        total = int(self.num_signed.sum())
        share = f" ({100 * self.share:.3g} %)" if total else ""
        return (
            f"GradientSigns({self.path}: {int(self.num_flips.sum())} of {total} {what} flip"
            f"{share}, {self.index.numel()} predictions)"
        )


def gradient_signs(
    model: nn.Module,
    data: Any,
    task: str | Task = "node",
    index: Any = None,
    target: Target = None,
    *,
    path: GradientPath = "together",
    layerwise: bool = False,
    steps: int = 20,
    epsilon: float = 0.0,
    **shared: Any,
) -> GradientSigns:
    """Follow the edge gradients from open to shut messages and see which change their sign.

    Args:
        model: a trained model.
        data: the graph(s).
        task: ``"node"``, ``"graph"``, ``"edge"`` or a `glassgraph.Task`.
        index: what to explain, see `Explainer.explain`.
        target: the explained class, see `Explainer.explain`.
        path: ``"together"``: all gates move; ``"alone"``: one gate moves, as the proposition
            asks; it takes a copy of the prediction for each of its edges.
        layerwise: a gate for each edge at each layer, instead of one for all layers.
        steps: the gradient is taken at ``0, 1 / steps, ..., 1``.
        epsilon: a gradient no larger than this counts as zero.
        **shared: as of `Explainer`: ``mode``, ``return_type``, ``call``, ``memory_budget``, ...

    Raises:
        HyperParameterError: for arguments out of range.
        GlassgraphError: see `Explainer.explain`.

    Example:
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SGConv
        >>> model = SGConv(3, 2, K=2)
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> gg.diagnose.gradient_signs(model, data, path="alone", layerwise=True).share
        0.0
    """
    tracker = _Tracker(
        model, task, path=path, layerwise=layerwise, steps=steps, epsilon=epsilon, **shared
    )
    found = tracker.explain(data, index, target)
    rows = found.num_layers if layerwise else 1
    parts = found.own_parts()
    positions = [part.position[part.edge_instance] for part in parts]
    position, order = torch.cat([torch.empty(0, dtype=torch.long), *positions]).sort(stable=True)
    nothing = torch.empty(rows, 0)
    gradient = torch.cat([nothing, *map(_gradient, parts)], dim=1)[:, order]
    flip_at = torch.cat([nothing, *map(_flip_at, parts)], dim=1)[:, order].double()
    return GradientSigns(
        path=path,
        layerwise=layerwise,
        steps=steps,
        index=in_order(found, "index"),
        position=position,
        gradient=gradient,
        sign=_signs(gradient, epsilon).long(),
        flip_at=(flip_at * steps).round() / steps,  # as it was before it took the model's dtype
        _explanations=found,
    )


def _gradient(part: Part) -> Tensor:
    """``[R, e]`` the gradients at open gates."""
    found = part.edge_score if part.layer_edge_score is None else part.layer_edge_score
    assert found is not None
    return found.view(-1, part.edge.numel())


def _flip_at(part: Part) -> Tensor:
    """``[R, e]`` where the sign flips, of the edges that the part keeps."""
    table = part.tables["flips"]
    edge, flip_at = table.values["edge"], table.values["flip_at"]
    span = 1 + int(edge.max()) if edge.numel() else 1
    kept = torch.isin(table.instance * span + edge, part.edge_instance * span + part.edge)
    return flip_at[kept].t()


def _signs(gradient: Tensor, epsilon: float) -> Tensor:
    return gradient.sign() * (gradient.abs() > epsilon)


#: A point, which rows and edges are meant, and their gradients there.
_Found = tuple[float, tuple[Any, Any], Tensor]


class _Tracker(Explainer):
    """Scores are the gradients at open gates; a table holds where, below them, the sign flips."""

    name = "gradient_signs"
    traits = Traits(family="gradient", scores=("edge", "layer edge"), is_signed=True)

    path: GradientPath = setting("which gates move together", default="together")
    layerwise: bool = setting("one gate for each layer and edge", default=False)
    steps: int = setting("points on the path", default=20, at_least=1)
    epsilon: float = setting(
        "gradients up to this are zero", default=0.0, at_least=0, below=math.inf
    )

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Gradients at open gates, then at every point from the nearest to the farthest."""
        start = batch.gate_gradients(batch.ones(layerwise=True))
        if not self.layerwise:
            start = start.sum(dim=0, keepdim=True)
        sign = _signs(start, self.epsilon)
        flip_at = torch.full_like(start, float("nan"))
        way = self._together if self.path == "together" else self._alone
        for point, where, gradient in way(batch):
            is_new = (_signs(gradient, self.epsilon) * sign[where] < 0) & flip_at[where].isnan()
            flip_at[where] = torch.where(is_new, point, flip_at[where])
        edge = batch.fields.edge
        table = Table(batch.edge_instance, {}, {"edge": edge, "flip_at": flip_at.t()})
        layer_edge, own = (start, None) if self.layerwise else (None, start[0])
        return Attribution(edge=own, layer_edge=layer_edge, tables={"flips": table})

    @property
    def _points(self) -> list[float]:
        return [step / self.steps for step in range(self.steps - 1, -1, -1)]

    def _together(self, batch: InstanceBatch) -> Iterator[_Found]:
        """Copies of the whole batch side by side, one for each of several points."""
        copies, times = repeat_instances(batch, self.steps, self.memory_budget)
        rows = batch.num_layers if self.layerwise else 1
        for first in range(0, self.steps, times):
            points = self._points[first : first + times]
            value = torch.tensor([*points, *[1.0] * (times - len(points))])
            gates = value.to(batch.device, batch.dtype).repeat_interleave(batch.num_edges)
            gates = gates.repeat(rows, 1) if self.layerwise else gates
            gradients = copies.gate_gradients(gates).view(rows, times, batch.num_edges)
            for number, point in enumerate(points):
                yield point, (slice(None), slice(None)), gradients[:, number]

    def _alone(self, batch: InstanceBatch) -> Iterator[_Found]:
        """Copies that each move another edge's gate."""
        for turn in edge_copies(batch, self.memory_budget):
            for row in range(batch.num_layers if self.layerwise else 1):
                gates = turn.batch.ones(layerwise=self.layerwise)
                at = (row, turn.shut) if self.layerwise else turn.shut
                for point in self._points:
                    gates[at] = point
                    yield point, (row, turn.edge), turn.batch.gate_gradients(gates)[at]
