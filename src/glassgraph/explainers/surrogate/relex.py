"""RelEx: masks on learned imitations of the model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from glassgraph.core import random
from glassgraph.core.addresses import edge_address
from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.black_box import BlackBoxExplainer
from glassgraph.explainers.constant import saturated
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.settings import setting
from glassgraph.explainers.surrogate.imitation.inputs import Inputs
from glassgraph.explainers.surrogate.imitation.layout import Layout, lay_out, lay_out_whole
from glassgraph.explainers.surrogate.imitation.networks import Surrogates
from glassgraph.explainers.surrogate.imitation.subgraphs import Samples, draw_samples
from glassgraph.explainers.traits import Traits
from glassgraph.results.records import Attribution, Reason, Table

#: One subgraph in so many is held back.
_HELD_BACK = 6
#: Rows of nodes that one step should have, were all nodes in all subgraphs; more only if at least
#: half of them are of nodes, others filling smaller instances up, and never more than the second.
_ROWS_AT_ONCE, _MOST_ROWS = 1 << 15, 1 << 18
_MASK, _NOISE = 7, 8


class SurrogateWarning(UserWarning):
    """A surrogate does not imitate the model well, so its explanation says little about it."""


class RelEx(BlackBoxExplainer):
    r"""Which edges does a learned imitation of the model need, near one prediction?

    *One.* ``num_samples`` connected subgraphs around the explained node are drawn at random, and
    the model is asked about each. *Two.* A graph network ``f`` of residual blocks is trained on
    pairs of a subgraph and the explained score there, normalized to mean 0 and deviation 1.
    *Three.* A mask ``m`` with logits ``M [E]`` on the edges of the whole field ``A`` minimizes::

        (f(A) - f(A * m))^2 + size * mean(m)      m = sigmoid(M)                        "sigmoid"
                                                  m = sigmoid((M + noise) / temperature) "gumbel"

    with logistic noise drawn anew in each step: the binary form of the Gumbel-softmax. The edge
    score is ``S[e] = sigmoid(M[e])``, in (0, 1). In normalized scores an average one of E edges
    accounts for 1 / E of the variance, so with ``size = 1`` the edges stay that do more. The
    surrogate has only seen edges that are there or not, and between the two it may fall off at any
    place: read a soft mask as a ranking, and decisions (above 1/2) from ``"gumbel"``, whose noise
    keeps the edges near 0 and 1 while it learns.

    The model is only asked for predictions; what is differentiated is ``f``. An explanation is as
    good as ``f``, so a sixth of the subgraphs is held back: the table ``"surrogate"`` has the share
    ``r2`` of their variance that ``f`` explains, and their deviation ``spread`` in the model's
    units. Below ``least_r2`` a `SurrogateWarning` says so. Where the score is the same on all
    subgraphs there is nothing to imitate, and all scores are 0.

    The authors published no code, and the paper leaves open how many subgraphs are drawn and with
    what probability, the width and depth of ``f``, and the optimization; the defaults here are
    ours. Subgraphs consist of edges: nodes of a graph stay, and are pooled, when their edges go.

    Hold it against random scores on your model: by robust fidelity its order of edges was better
    than theirs on fewer than half of the survey's data sets (``docs/survey.md``).

    Zhang, DeFazio and Ramesh, "RelEx: A Model-Agnostic Relational Model Explainer" (AIES 2021,
    https://arxiv.org/abs/2006.00305).

    Raises:
        HyperParameterError: for values out of range.

    Warns:
        SurrogateWarning: of surrogates that do not imitate the model.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> relex = gg.RelEx(GCN(3, 8, 2, 2), task="node", least_r2=None)
        >>> relex.explain(data, index=[2])[0].edge_mask.shape  # [E]
        torch.Size([3])
    """

    name = "relex"
    traits = Traits(
        family="surrogate",
        scores=("edge",),
        is_learned=True,
        is_black_box=True,
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
    evidence_settings: ClassVar[Mapping[str, Any]] = {
        "num_samples": 60,
        "epochs": 150,
        "mask_epochs": 60,
        "hidden": 12,
    }

    num_samples: int = setting(
        "number of subgraphs; a sixth of them is held back", default=120, at_least=4
    )
    keep: float = setting(
        "the least probability to keep an edge; each subgraph draws its own from here to 1",
        default=0.4,
        above=0,
        below=1,
    )
    hidden: int = setting("width of the surrogate", default=16, at_least=1)
    layers: int = setting("its residual blocks", default=3, at_least=1)
    epochs: int = setting(
        "its optimization steps, each on batch_size of the subgraphs in turn",
        default=200,
        at_least=1,
    )
    batch_size: int = setting("subgraphs in one step", default=20, at_least=1)
    learning_rate: float = setting("of the surrogate", default=0.01, above=0)
    mask: Literal["sigmoid", "gumbel"] = setting(
        "'gumbel' learns the mask under noise", default="sigmoid"
    )
    mask_epochs: int = setting("optimization steps of the mask", default=100, at_least=1)
    mask_learning_rate: float = setting("of the mask", default=0.1, above=0)
    size: float = setting("weight of the mean mask value", default=1.0, at_least=0)
    temperature: float = setting("of mask='gumbel'", default=0.5, above=0)
    least_r2: float | None = setting(
        "warn of surrogates that explain less of the variance; None never warns", default=0.5
    )

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
        same = Reason(
            "the explained score is the same on all subgraphs",
            spread == 0,
            is_told=self.least_r2 is not None,
        )
        reasons = (same, *saturated(batch, edge))
        everyone = torch.arange(batch.num_instances, device=batch.device)
        table = Table(everyone, {}, {"r2": r2, "spread": spread})
        return Attribution(edge=edge, tables={"surrogate": table}, reasons=reasons)

    def _explain(self, batch: InstanceBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Scores ``[e]``, r2 ``[B]`` and spread ``[B]``."""
        samples = draw_samples(batch, self.memory_budget, self.num_samples, self.keep, self.seed)
        score = samples.score
        mean, spread = score.mean(dim=1, keepdim=True), score.std(dim=1, keepdim=True)
        varies = spread > 100 * torch.finfo(score.dtype).eps * (1 + mean.abs())
        goal = (score - mean) / torch.where(varies, spread, 1) * varies
        inputs = Inputs.of(batch, self.layers)
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
            has_edge, has_node = samples.has_edge[:, some], samples.has_node[:, some]
            return lay_out(batch, inputs, has_edge, has_node, self.layers)

        parts = [
            slice(first, min(first + self.batch_size, num_seen))
            for first in range(0, num_seen, self.batch_size)
        ]
        layouts = [laid_out(part) for part in parts]
        optimizer = torch.optim.Adam([surrogates.flat], lr=self.learning_rate, fused=True)
        for epoch in range(self.epochs):
            turn = epoch % len(parts)
            run = surrogates.run(layouts[turn])
            off = run.output - goal[:, parts[turn]]
            of_output = off.mul_(2 / off.size(1))
            surrogates.flat.grad = surrogates.of_weights(layouts[turn], run, of_output)
            optimizer.step()
        held_back = slice(num_seen, None)
        unseen = goal[:, held_back]
        off = (surrogates.run(laid_out(held_back)).output - unseen).square().sum(dim=1)
        whole = (unseen - unseen.mean(dim=1, keepdim=True)).square().sum(dim=1)
        return 1 - off / whole.clamp_min(torch.finfo(whole.dtype).eps)

    def _masked(self, batch: InstanceBatch, inputs: Inputs, surrogates: Surrogates) -> Tensor:
        """Learn the masks ``[e]`` of the whole fields."""
        address = random.hash64(self.seed, batch.key[batch.edge_instance], edge_address(batch))
        logits = (0.1 * random.normal(_MASK, address)).to(batch.dtype)
        layout = lay_out_whole(batch, inputs, self.layers)
        entered = surrogates.entered(layout)
        whole = surrogates.run(layout).output
        share = self.size / batch.edges_per_instance[batch.edge_instance].to(batch.dtype)
        optimizer = torch.optim.Adam([logits], lr=self.mask_learning_rate, fused=True)
        for epoch in range(self.mask_epochs if batch.num_edges else 0):
            gates = self._gates(logits, address, epoch)
            run = surrogates.run_under(layout, gates, entered)
            of_output = 2 * (run.output - whole)
            of_gates = surrogates.of_gates(layout, run, entered, of_output, batch.num_edges)
            logits.grad = (of_gates + share) * gates * (1 - gates) / self._temperature
            optimizer.step()
        return logits.sigmoid()

    @property
    def _temperature(self) -> float:
        return self.temperature if self.mask == "gumbel" else 1.0

    def _gates(self, logits: Tensor, address: Tensor, epoch: int) -> Tensor:
        if self.mask == "sigmoid":
            return logits.sigmoid()
        noise = random.uniform(_NOISE, address, epoch).logit().to(logits.dtype)
        return ((logits + noise) / self._temperature).sigmoid()


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


def _groups(batch: InstanceBatch, batch_size: int) -> Iterator[Tensor]:
    """Instances of about one size, as many as a step should have."""
    count = batch.nodes_per_instance
    order = count.argsort(stable=True)
    sizes = (count[order] * batch_size).tolist()
    first = total = 0
    for stop, size in enumerate(sizes):
        filled = size * (stop + 1 - first)
        if stop > first and filled > min(max(_ROWS_AT_ONCE, 2 * (total + size)), _MOST_ROWS):
            yield order[first:stop].sort().values
            first, total = stop, 0
        total += size
    if sizes:
        yield order[first:].sort().values


def _edges_of(batch: InstanceBatch, instances: Tensor) -> Tensor:
    """``[k]`` the edges of some instances, ascending."""
    is_chosen = torch.zeros(batch.num_instances, dtype=torch.bool, device=batch.device)
    is_chosen[instances] = True
    return is_chosen[batch.edge_instance].nonzero().view(-1)
