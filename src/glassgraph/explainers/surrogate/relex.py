r"""RelEx: learn to imitate the model around one prediction, then mask the imitation.

*One.* Connected subgraphs around the explained node are drawn at random, and the model is asked
about each (`relex_samples.py`). *Two.* A graph network ``f`` of residual blocks is trained on pairs
of a subgraph and the explained score there, normalized to mean 0 and deviation 1
(`relex_surrogate.py`). *Three.* A mask on the edges of the whole field ``A`` minimizes

.. code-block:: text

    (f(A) - f(A * m))^2 + size * mean(m)          m = sigmoid(M)                        "sigmoid"
                                                  m = sigmoid((M + noise) / temperature)  "gumbel"

with logistic noise drawn anew in each step: the binary form of the Gumbel-softmax. In normalized
scores an average one of E edges accounts for 1 / E of the variance, so with ``size = 1`` the edges
stay that do more. Edges score ``sigmoid(M)``. The surrogate has only seen edges that are there or
not, and between the two it may fall off at any place: read a soft mask as a ranking, and decisions
(above 1/2) from ``"gumbel"``, whose noise keeps the edges near 0 and 1 while it learns.

The model is only asked for predictions; what is differentiated is ``f``. An explanation is as good
as ``f``, so part of the subgraphs is held back: the table ``"surrogate"`` has the share ``r2`` of
their variance that ``f`` explains, and their deviation ``spread`` in the model's units. Below
`least_r2` a `SurrogateWarning` says so. Where the score is the same on all subgraphs there is
nothing to imitate, and all scores are 0.

The authors published no code, and the paper leaves open how many subgraphs are drawn and with what
probability, the width and depth of ``f``, and the optimization; the defaults here are ours.
Subgraphs consist of edges: nodes of a graph stay, and are pooled, when their edges go.

Zhang, DeFazio and Ramesh, "RelEx: A Model-Agnostic Relational Model Explainer" (AIES 2021,
https://arxiv.org/abs/2006.00305).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from glassgraph.core import random
from glassgraph.core.addresses import edge_address
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.task import Task
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.black_box import BlackBoxExplainer
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.surrogate.relex_samples import Samples, draw_samples
from glassgraph.explainers.surrogate.relex_surrogate import Inputs, Layout, Surrogates, lay_out
from glassgraph.explainers.traits import Traits
from glassgraph.results.records import Attribution, Table

#: One subgraph in so many is held back.
_HELD_BACK = 6
#: Rows of nodes that one step should have, were all nodes in all subgraphs.
_ROWS_AT_ONCE = 1 << 15
_MASK, _NOISE = 7, 8


class SurrogateWarning(UserWarning):
    """A surrogate does not imitate the model well, so its explanation says little about it."""


class RelEx(BlackBoxExplainer):
    """Masks on learned imitations of the model.

    Args:
        model: the model, or a function.
        task: the task.
        num_samples: number of subgraphs; a sixth of them is held back.
        keep: the least probability to keep an edge; each subgraph draws its own from here to 1.
        hidden: width of the surrogate.
        layers: its residual blocks.
        epochs: its optimization steps, each on `batch_size` of the subgraphs in turn.
        batch_size: see ``epochs``.
        learning_rate: of the surrogate.
        mask: ``"sigmoid"`` or ``"gumbel"``.
        mask_epochs: optimization steps of the mask.
        mask_learning_rate: of the mask.
        size: weight of the mean mask value.
        temperature: of ``"gumbel"``.
        least_r2: warn below; None never warns.
        **shared: see `BlackBoxExplainer`.

    Raises:
        HyperParameterError: for values out of range.

    Warns:
        SurrogateWarning: of surrogates that do not imitate the model.

    Example:
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> relex = gg.RelEx(GCN(3, 8, 2, 2), task="node", least_r2=None)
        >>> relex.explain(data, index=[2])[0].edge_mask.shape
        torch.Size([3])
    """

    name = "relex"
    traits = Traits(
        family="surrogate",
        scores=("edge",),
        is_learned=True,
        is_amortized=False,
        is_black_box=True,
        is_signed=False,
        is_random=True,
        source="Zhang, DeFazio and Ramesh 2021, arXiv:2006.00305",
    )
    scope = Scope(sees_degrees=True, samples_field=True)
    test_settings: ClassVar[Mapping[str, Any]] = {
        "epochs": 3,
        "num_samples": 12,
        "mask_epochs": 3,
        "layers": 2,
        "hidden": 5,
        "least_r2": None,
    }

    def __init__(
        self,
        model: nn.Module | Callable[..., Tensor],
        task: str | Task = "node",
        *,
        num_samples: int = 120,
        keep: float = 0.4,
        hidden: int = 16,
        layers: int = 3,
        epochs: int = 200,
        batch_size: int = 20,
        learning_rate: float = 0.01,
        mask: Literal["sigmoid", "gumbel"] = "sigmoid",
        mask_epochs: int = 100,
        mask_learning_rate: float = 0.1,
        size: float = 1.0,
        temperature: float = 0.5,
        least_r2: float | None = 0.5,
        **shared: Any,
    ) -> None:
        super().__init__(model, task, **shared)
        for name, value, least in (
            ("num_samples", num_samples, 4),
            ("hidden", hidden, 1),
            ("layers", layers, 1),
            ("epochs", epochs, 1),
            ("batch_size", batch_size, 1),
            ("mask_epochs", mask_epochs, 1),
        ):
            if value < least:
                raise HyperParameterError(f"{name} must be at least {least}; got {value}")
        for name, rate in (
            ("learning_rate", learning_rate),
            ("mask_learning_rate", mask_learning_rate),
            ("temperature", temperature),
        ):
            if not rate > 0:
                raise HyperParameterError(f"{name} must be positive; got {rate}")
        if not size >= 0:
            raise HyperParameterError(f"size must not be negative; got {size}")
        if not 0 < keep < 1:
            raise HyperParameterError(f"keep must lie between 0 and 1; got {keep}")
        if mask not in ("sigmoid", "gumbel"):
            raise HyperParameterError(f"mask must be 'sigmoid' or 'gumbel'; got {mask!r}")
        self.num_samples = num_samples
        self.keep = keep
        self.hidden = hidden
        self.layers = layers
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.mask = mask
        self.mask_epochs = mask_epochs
        self.mask_learning_rate = mask_learning_rate
        self.size = size
        self.temperature = temperature
        self.least_r2 = least_r2

    @property
    def threshold(self) -> float:
        """Half."""
        return 0.5

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Sample, imitate and mask, for instances of about one size at a time."""
        edge = batch.ones() * 0
        r2, spread = edge.new_zeros(batch.num_instances), edge.new_zeros(batch.num_instances)
        for chosen in _groups(batch, self.batch_size):
            part = batch if chosen.numel() == batch.num_instances == 1 else batch.take(chosen)
            score, r2[chosen], spread[chosen] = self._explain(part)
            edge[_edges_of(batch, chosen)] = score
        if self.least_r2 is not None:
            _tell(batch.edges_per_instance > 0, r2, spread, self.least_r2)
        everyone = torch.arange(batch.num_instances, device=batch.device)
        table = Table(everyone, {}, {"r2": r2, "spread": spread})
        return Attribution(edge=edge, tables={"surrogate": table})

    def _explain(self, batch: InstanceBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Scores ``[e]``, r2 ``[B]`` and spread ``[B]``."""
        samples = draw_samples(batch, self.memory_budget, self.num_samples, self.keep, self.seed)
        score = samples.score
        mean, spread = score.mean(dim=1, keepdim=True), score.std(dim=1, keepdim=True)
        varies = spread > 100 * torch.finfo(score.dtype).eps * (1 + mean.abs())
        goal = (score - mean) / torch.where(varies, spread, 1) * varies
        inputs = Inputs.of(batch)
        surrogates = Surrogates(
            random.hash64(self.seed, batch.key),
            inputs.x.size(1),
            self.hidden,
            self.layers,
            batch.fields.seed.size(1),
            batch.dtype,
        )
        r2 = self._imitate(batch, inputs, surrogates, samples, goal)
        edge = self._masked(batch, inputs, surrogates) * varies[batch.edge_instance, 0]
        return edge, r2 * varies[:, 0], (spread * varies)[:, 0]

    def _imitate(
        self,
        batch: InstanceBatch,
        inputs: Inputs,
        surrogates: Surrogates,
        samples: Samples,
        goal: Tensor,
    ) -> Tensor:
        """Train on all subgraphs but those held back, on which r2 ``[B]`` is measured."""
        num_seen = self.num_samples - max(1, self.num_samples // _HELD_BACK)

        def laid_out(some: slice) -> Layout:
            return lay_out(batch, inputs, samples.has_edge[:, some], samples.has_node[:, some])

        parts = [
            slice(first, min(first + self.batch_size, num_seen))
            for first in range(0, num_seen, self.batch_size)
        ]
        layouts = [laid_out(part) for part in parts]
        optimizer = torch.optim.Adam(surrogates.parameters, lr=self.learning_rate, fused=True)
        for epoch in range(self.epochs):
            turn = epoch % len(parts)
            with torch.enable_grad():
                off = surrogates(layouts[turn]) - goal[:, parts[turn]]
                loss = off.square().mean(dim=1).sum()
                gradients = torch.autograd.grad(loss, surrogates.parameters)
            _step(optimizer, surrogates.parameters, gradients)
        held_back = slice(num_seen, None)
        with torch.no_grad():
            unseen = goal[:, held_back]
            off = (surrogates(laid_out(held_back)) - unseen).square().sum(dim=1)
            whole = (unseen - unseen.mean(dim=1, keepdim=True)).square().sum(dim=1)
        return 1 - off / whole.clamp_min(torch.finfo(whole.dtype).eps)

    def _masked(self, batch: InstanceBatch, inputs: Inputs, surrogates: Surrogates) -> Tensor:
        """Learn the masks ``[e]`` of the whole fields."""
        address = random.hash64(self.seed, batch.key[batch.edge_instance], edge_address(batch))
        logits = (0.1 * random.normal(_MASK, address)).to(batch.dtype).requires_grad_()
        layout = lay_out(
            batch,
            inputs,
            torch.ones((batch.num_edges, 1), dtype=torch.bool, device=batch.device),
            torch.ones((batch.num_nodes, 1), dtype=torch.bool, device=batch.device),
        )
        with torch.no_grad():
            whole = surrogates(layout)
        share = self.size / batch.edges_per_instance[batch.edge_instance].to(batch.dtype)
        optimizer = torch.optim.Adam([logits], lr=self.mask_learning_rate, fused=True)
        for epoch in range(self.mask_epochs if batch.num_edges else 0):
            with torch.enable_grad():
                gates = self._gates(logits, address, epoch)
                loss = (surrogates(layout, gates) - whole).square().sum() + (share * gates).sum()
                gradients = torch.autograd.grad(loss, [logits])
            _step(optimizer, [logits], gradients)
        return logits.detach().sigmoid()

    def _gates(self, logits: Tensor, address: Tensor, epoch: int) -> Tensor:
        if self.mask == "sigmoid":
            return logits.sigmoid()
        noise = random.uniform(_NOISE, address, epoch).logit().to(logits.dtype)
        return ((logits + noise) / self.temperature).sigmoid()


def _tell(has_edges: Tensor, r2: Tensor, spread: Tensor, least: float) -> None:
    """Warn of surrogates that do not imitate the model."""
    same = int((has_edges & (spread == 0)).sum())
    poor = int((has_edges & (spread > 0) & (r2 < least)).sum())
    said = []
    if same:
        said.append(f"{same} have the same score on all subgraphs, so all their edges score 0")
    if poor:
        said.append(
            f"the surrogates of {poor} explain less than {least:g} of the variance of unseen "
            "subgraphs: more num_samples or epochs may help (see table('surrogate'))"
        )
    if said:
        message = f"of {int(has_edges.sum())} predictions, {'; '.join(said)}"
        warnings.warn(message, SurrogateWarning, stacklevel=2)


def _step(optimizer: torch.optim.Optimizer, values: list[Tensor], gradients: Any) -> None:
    for value, gradient in zip(values, gradients, strict=True):
        value.grad = gradient
    optimizer.step()


def _groups(batch: InstanceBatch, batch_size: int) -> Iterator[Tensor]:
    """Instances of about one size, as many as a step should have."""
    count = batch.nodes_per_instance
    order = count.argsort(stable=True)
    first = 0
    sizes = (count[order] * batch_size).tolist()
    for stop in range(1, len(sizes) + 1):
        if stop == len(sizes) or sizes[stop] * (stop + 1 - first) > _ROWS_AT_ONCE:
            yield order[first:stop].sort().values
            first = stop


def _edges_of(batch: InstanceBatch, instances: Tensor) -> Tensor:
    """``[k]`` the edges of some instances, ascending."""
    is_chosen = torch.zeros(batch.num_instances, dtype=torch.bool, device=batch.device)
    is_chosen[instances] = True
    return is_chosen[batch.edge_instance].nonzero().view(-1)
