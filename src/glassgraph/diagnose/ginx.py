r"""GInX: can a network that is trained again still tell the classes without the best edges?

Metrics that remove edges run the model on graphs of a kind that it never saw, and mix what the
edges mean with that shift. Here the best share ``t`` of the directed edges is dropped from *every*
graph, those that the model learns from as well as those that it is tested on; a copy of the model
is trained on what is left, from the weights that it has, and tested on what is left:

.. code-block:: text

    GInX(t)  = 1 - test accuracy after training on graphs without their best t;  GInX(0) as it is
    EdgeRank = sum_k (1 - t_k) (GInX(t_{k+1}) - GInX(t_k))                       t_0 = 0

Both are high where the edges hold what the label depends on and nothing else in the graph tells it,
and where the best edges matter most. Random scores are the floor. The truth itself need not be far
above them: where two edges say the same, dropping one of them loses nothing.

Explain the predicted class, not the label: which edges are missing then tells the answer to the
network that is trained, and accuracy stays where it should fall.

Amara, El-Assady and Ying, "GInX-Eval: Towards In-Distribution Evaluation of Graph Neural Network
Explanations" (2023, https://arxiv.org/abs/2309.16223).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from glassgraph.black_box.probing import prepare_black_box
from glassgraph.calling.call import Call, ModelCall
from glassgraph.calling.out_of_memory import let_through
from glassgraph.calling.protect import protected
from glassgraph.errors import (
    GlassgraphError,
    GraphError,
    HyperParameterError,
    InstanceError,
    ModelCallError,
    TaskError,
    UnknownMetricError,
)
from glassgraph.inputs.links import edge_attributes
from glassgraph.inputs.task import Task, decision
from glassgraph.metrics.measured import Measured
from glassgraph.metrics.run import DEFAULT_MEMORY_BUDGET, check_same_data, recorded_task
from glassgraph.metrics.scores import Level, Ranking, edge_scores
from glassgraph.models.training import Trainable, train
from glassgraph.results.explanation import Explanations

#: Shares of the edges that are dropped in the paper.
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
#: Trains a copy of the model, in place, on graphs that lack edges.
FineTune = Callable[[nn.Module, Trainable], object]

_PARTS = ("train", "val", "test")
#: Tasks that `train` is for.
_LEARNED = ("multiclass_classification", "raw")
_AGAIN: FineTune = partial(train, epochs=50, patience=15, learning_rate=0.001, progress=False)


@dataclass(frozen=True)
class ReducedGraphs:
    """A data set of graphs without some of their edges, as `glassgraph.models.train` takes it.

    Attributes:
        graphs: the graphs, in the user's order.
        split: ids of graphs under "train", "val" and "test".
        name: for a progress bar.
        level: always ``"graph"``.
    """

    graphs: list[Data]
    split: dict[str, Tensor]
    name: str = "without the best edges"
    level: Literal["node", "graph"] = "graph"


def ginx(
    explanations: Explanations | Sequence[Tensor],
    model: nn.Module,
    data: Sequence[Data],
    *,
    split: Mapping[str, Any],
    shares: Sequence[float] = SHARES,
    ranking: Ranking = "signed",
    fine_tune: FineTune = _AGAIN,
    floor: Sequence[Measured] = (),
    method: str | None = None,
    task: Task | None = None,
    call: Call | None = None,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
    seed: int = 0,
) -> list[Measured]:
    """Drop the best edges of every graph, train a copy of the model again, and test it.

    Args:
        explanations: of every graph of the split, of classes that the model predicts; or scores
            ``[E_g]`` of the edges of each graph, such as a truth (``truth.float()``) or its
            inverse.
        model: the trained graph classifier; it is left as it was.
        data: the graphs, with labels ``y``.
        split: ids of graphs under "train", "val" and "test", as
            `glassgraph.datasets.ExplanationDataset` has them.
        shares: shares ``t`` of the directed edges that are dropped, rounded up, ascending.
        ranking: ``"signed"`` or ``"absolute"`` scores.
        fine_tune: ``fine_tune(copy_of_model, reduced_data)`` trains the copy in place; the data
            have ``graphs`` and ``split``. By default `glassgraph.models.train` for 50 epochs at a
            learning rate of 0.001; ``functools.partial(train, epochs=10)`` sets what else it takes.
            It learns logits of classes and calls ``forward`` with attributes of the data by name; a
            model of another kind needs training of its own.
        floor: what this function found for random scores on the same graphs; put beside.
        method: whose scores they are, where there are no explanations to say it.
        task: of the model; as recorded in the explanations, or a multi-class graph task.
        call: how to call the model.
        memory_budget: bytes that one batch of test graphs may take.
        seed: seed of everything that ``fine_tune`` draws from torch's global generator, which is
            put back afterwards.

    Returns:
        ``"ginx"`` for the share 0 and each of ``shares``, in [0, 1], a mean over test graphs, and
        ``"edge_rank"``; high is good.

    Raises:
        HyperParameterError: for shares out of (0, 1) or out of order, or a split with an empty or
            unknown part.
        InstanceError: if a graph of the split has no explanation, or scores of another number of
            edges.
        TaskError: if the task is not one of classes of graphs, or `glassgraph.models.train` cannot
            learn it.
        ModelCallError: if `glassgraph.models.train` cannot call the model.
        GraphError: for heterogeneous graphs.
        ExplanationFileError: if the explanations are of other data.
        LabelsMissingError: if test graphs have no labels.
        UnknownMetricError: for scores that are not finite.

    Example:
        >>> import glassgraph as gg
        >>> from torch_geometric.nn import GCN, global_add_pool
        >>> class Net(GCN):
        ...     def forward(self, x, edge_index, batch):
        ...         return global_add_pool(super().forward(x, edge_index), batch)
        >>> edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
        >>> graphs = [Data(x=torch.ones(3, 2), edge_index=edges, y=torch.tensor([0]))] * 4
        >>> model = Net(2, 4, 1, 2).eval()
        >>> explanations = gg.Saliency(model, task="graph").explain(graphs)
        >>> split = {"train": [0, 1], "val": [2], "test": [3]}
        >>> found = gg.diagnose.ginx(explanations, model, graphs, split=split, shares=(0.5,))
        >>> [(each.metric, each.level, each.estimate.n) for each in found]
        [('ginx', '0', 1), ('ginx', '0.5', 1), ('edge_rank', '', 1)]
    """
    levels = (0.0, *_check_shares(shares))
    if isinstance(explanations, Explanations):
        method = method or explanations.method
        task = recorded_task(explanations, task)
    task = _check_task(task or Task("graph"), fine_tune)
    graphs, parts = _check_graphs(data), _check_split(split, len(data))
    orders = _orders(explanations, graphs, parts, ranking)
    test = partial(_wrong, task=task, call=call, memory_budget=memory_budget)
    wrong = []
    for share in levels:
        network, reduced = model, ReducedGraphs(graphs, parts)
        if share:
            reduced = ReducedGraphs(
                [_without_best(*each, share) for each in zip(graphs, orders, strict=True)], parts
            )
            network = _trained_again(model, reduced, fine_tune, seed)
        wrong.append(test(network, [reduced.graphs[number] for number in parts["test"].tolist()]))
    name = method or "scores"
    found = [
        Measured.of("ginx", name, value, level=f"{share:g}", better="higher")
        for share, value in zip(levels, wrong, strict=True)
    ]
    found.append(Measured.of("edge_rank", name, _edge_rank(levels, wrong), better="higher"))
    beside = {(each.metric, each.level): each for each in floor}
    return [each.beside(floor=beside.get((each.metric, each.level))) for each in found]


def _edge_rank(levels: Sequence[float], wrong: Sequence[Tensor]) -> Tensor:
    """What each test graph adds to EdgeRank, which is a mean as its terms are."""
    steps = zip(pairwise(levels), pairwise(wrong), strict=True)
    return torch.stack([(1 - t) * (after - before) for (t, _), (before, after) in steps]).sum(dim=0)


def _without_best(graph: Data, order: Tensor | None, share: float) -> Data:
    """A graph without the best share of its edges; graphs outside of the split stay."""
    if order is None:
        return graph
    count = torch.tensor(order.numel())
    best = int(Level(sparsity=1 - share).num_kept(count))
    kept = order[best:].sort().values
    reduced = copy.copy(graph)
    reduced.num_nodes = graph.num_nodes
    reduced.edge_index = graph.edge_index[:, kept]
    for name in edge_attributes(graph):
        # A label and the like have one row too, where there is one edge.
        if graph.num_edges > 1 or "edge" in name:
            reduced[name] = graph[name][kept]
    return reduced


def _trained_again(
    model: nn.Module, reduced: ReducedGraphs, fine_tune: FineTune, seed: int
) -> nn.Module:
    network = copy.deepcopy(model)
    devices = sorted({p.device.index for p in network.parameters() if p.device.type == "cuda"})
    with torch.random.fork_rng(devices=devices), torch.enable_grad():
        torch.manual_seed(seed)  # noqa: TID251 - inside the forked random state
        try:
            fine_tune(network, reduced)
        except (TypeError, KeyError, ValueError, RuntimeError, IndexError) as error:
            let_through(error)
            if not _is_ours(fine_tune) or isinstance(error, GlassgraphError):
                raise
            raise ModelCallError(
                "glassgraph.models.train, which calls a model with attributes of the data by name, "
                f"failed ({type(error).__name__}: {error}); pass fine_tune, a function that trains "
                "the model in place"
            ) from error
    return network.eval()


def _is_ours(fine_tune: FineTune) -> bool:
    return getattr(fine_tune, "func", fine_tune) is train


def _wrong(
    network: nn.Module, graphs: list[Data], *, task: Task, call: Call | None, memory_budget: int
) -> Tensor:
    """``[B]`` 1 where the predicted class is not the label, else 0."""
    with protected(network), torch.no_grad():
        preparation = prepare_black_box(ModelCall(network, call), task, graphs, "auto", None)
        instances = preparation.instances(None)
        wrong = torch.empty(len(instances), dtype=torch.float64)
        for position, batch in preparation.batches(instances, "label", memory_budget):
            right = decision(batch.task, batch.reference, batch.targets)
            wrong[position.cpu()] = 1 - right.double().cpu()
    return wrong


def _orders(
    explanations: Explanations | Sequence[Tensor],
    graphs: Sequence[Data],
    split: Mapping[str, Tensor],
    ranking: Ranking,
) -> list[Tensor | None]:
    """The edges of each graph, the best first; None for graphs that have no explanation."""
    found: list[Tensor | None] = [None] * len(graphs)
    if isinstance(explanations, Explanations):
        num_nodes = sum(int(graph.num_nodes or 0) for graph in graphs)
        check_same_data(explanations, num_nodes, sum(graph.num_edges for graph in graphs))
        for number in range(len(explanations)):
            local = explanations.local(number)
            score = torch.full((graphs[local.graph].num_edges,), float("nan"), dtype=torch.float64)
            score[local.edge_id] = edge_scores(local, ranking)
            found[local.graph] = _order(score, graphs[local.graph], local.graph)
    else:
        if len(explanations) != len(graphs):
            raise InstanceError(f"got scores for {len(explanations)} of {len(graphs)} graphs")
        for number, graph in enumerate(graphs):
            value = explanations[number].detach().cpu().double()
            found[number] = _order(value.abs() if ranking == "absolute" else value, graph, number)
    for part in _PARTS:
        for number in split[part].tolist():
            if found[number] is None:
                raise InstanceError(
                    f"graph {number} is in the {part} part and has no explanation; ginx drops "
                    "edges of every graph, so explain all graphs of the split"
                )
    return found


def _order(score: Tensor, graph: Data, number: int) -> Tensor:
    if score.shape != (graph.num_edges,):
        raise InstanceError(
            f"graph {number} has {graph.num_edges} edges; got scores {tuple(score.shape)}"
        )
    if not bool(score.isfinite().all()):
        raise UnknownMetricError(f"graph {number}: scores that are NaN or infinite have no rank")
    return torch.argsort(-score, stable=True)


def _check_shares(shares: Sequence[float]) -> tuple[float, ...]:
    found = tuple(float(share) for share in shares)
    if not found or not all(0 < share < 1 for share in found) or list(found) != sorted(set(found)):
        raise HyperParameterError(f"shares must ascend within (0, 1); got {tuple(shares)}")
    return found


def _check_task(task: Task, fine_tune: FineTune) -> Task:
    if task.level != "graph" or task.rows is not None or not task.is_classification:
        raise TaskError(
            f"ginx trains classifiers of graphs again; this is a {task.mode} at level "
            f"{task.level!r}"
        )
    if _is_ours(fine_tune) and (task.mode, task.return_type) != _LEARNED:
        raise TaskError(
            f"glassgraph.models.train learns {_LEARNED[1]} scores of a {_LEARNED[0]}; for "
            f"{task.return_type} of a {task.mode} pass fine_tune, a function that trains the model "
            "in place"
        )
    return task


def _check_graphs(data: Sequence[Data]) -> list[Data]:
    graphs = list(data) if isinstance(data, Sequence) else [data]
    for number, graph in enumerate(graphs):
        if not isinstance(graph, Data) or graph.edge_index is None:
            raise GraphError(
                f"ginx takes a list of Data with edge_index; graph {number} is "
                f"{type(graph).__name__}"
            )
    return graphs


def _check_split(split: Mapping[str, Any], number: int) -> dict[str, Tensor]:
    if set(split) != set(_PARTS):
        raise HyperParameterError(f"split needs {', '.join(_PARTS)}; got {', '.join(split)}")
    parts = {part: torch.as_tensor(split[part], dtype=torch.long).view(-1) for part in _PARTS}
    for part, ids in parts.items():
        if not ids.numel() or int(ids.min()) < 0 or int(ids.max()) >= number:
            raise HyperParameterError(
                f"the {part} part must hold ids of the {number} graphs, at least one; got "
                f"{ids.tolist()[:5]}"
            )
    together = torch.cat(list(parts.values()))
    if together.unique().numel() < together.numel():
        raise HyperParameterError("the parts of the split overlap, or repeat a graph")
    return parts
