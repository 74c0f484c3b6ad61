"""Methods of few passes, written out: one prediction at a time, on the user's whole graph.

This is how the papers put them and how they are mostly implemented: a forward pass on all nodes,
then a backward pass, for every prediction again; for GNN-LRP even for every walk. No receptive
fields, nothing side by side. The versions here are what `glassgraph bench speed` measures beside
ours, and what ours are compared with.

They are written for the networks of `glassgraph.models`, layer by layer, so that no hook is needed.
The explained score is the logit of the predicted class. Scores of nodes outside of the receptive
field come out as zero by themselves.

Sources: see the methods of the same names. Relevance is handed down by the rules of
`glassgraph.relevance`, which both sides share; `tests/relevance/test_rules.py` holds those against
their formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import Data

from glassgraph.core.modified_backward import ModifiedBackward
from glassgraph.inputs.task import Targets, Task
from glassgraph.models.gnn import GNN, POOLS
from glassgraph.relevance.guided import Guided
from glassgraph.relevance.module_scope import RuleAt
from glassgraph.relevance.rules import Epsilon, Rule, Zero
from glassgraph.relevance.signed_rules import Excitation, Gamma
from glassgraph.relevance.tape import Tape


@dataclass(frozen=True)
class Scores:
    """What is said of one prediction, on the whole graph.

    Attributes:
        node: ``[N]`` scores of nodes, None if there are none.
        edge: ``[E]`` scores of edges, None if there are none.
    """

    node: Tensor | None = None
    edge: Tensor | None = None


#: ``method(model, graph, node)`` explains a node of a graph, or the graph where that is None.
Literal = Callable[[GNN, Data, "int | None"], Scores]

#: ``between(position, states)`` changes what layer ``position`` reads, or what follows the last.
Between = Callable[[int, list[Tensor]], list[Tensor]]


@dataclass
class Passed:
    """One forward pass, layer by layer.

    Attributes:
        returned: ``[N, D]`` what each layer's module returns.
        states: ``[N, D]`` node states after each layer, as the next one reads them.
        read: ``[N, D']`` what the pooling or the head reads of every node.
        logits: ``[C]``.
    """

    returned: list[Tensor] = field(default_factory=list)
    states: list[Tensor] = field(default_factory=list)
    read: Tensor = field(default_factory=lambda: torch.empty(0))
    logits: Tensor = field(default_factory=lambda: torch.empty(0))


def forward(
    model: GNN, graph: Data, node: int | None, x: Tensor, between: Between | None = None
) -> Passed:
    """The model in evaluation mode, written out.

    Args:
        model: the network.
        graph: a graph.
        node: the node whose logits are wanted; None for those of the graph.
        x: ``[N, F]`` features in the place of the graph's own.
        between: sees ``[state, outputs of all earlier layers]``, the latter if the model hands them
            to its head.
    """
    passed, known = Passed(), [x]
    for layer, (conv, activation) in enumerate(zip(model.convs, model.activations, strict=True)):
        known = known if between is None else between(layer, known)
        returned = conv(known[0], graph.edge_index)
        h = functional.normalize(returned, dim=-1) if model.body.l2_normalize else returned
        h = activation(h)
        passed.returned.append(returned)
        passed.states.append(h)
        known = [h, *known[1:], h] if model.body.concat else [h]
    known = known if between is None else between(len(model.convs), known)
    passed.read = torch.cat(known[1:], dim=-1) if model.body.concat else known[0]
    if node is None:
        batch = torch.zeros(x.size(0), dtype=torch.long, device=x.device)
        pooled = [POOLS[name](passed.read, batch) for name in model.body.pool]
        passed.logits = model.head(torch.cat(pooled, dim=-1))[0]
    else:
        passed.logits = model.head(passed.read)[node]
    return passed


def cam(model: GNN, graph: Data, node: int | None) -> Scores:
    """The head's weights on each node's last state; for mean or sum pooling and a graph."""
    with torch.no_grad():
        passed = forward(model, graph, node, graph.x)
        weight = model.head.weight[int(passed.logits.argmax())]
        return _of_nodes(graph, (passed.read @ weight).relu())


def grad_cam(model: GNN, graph: Data, node: int | None) -> Scores:
    """Gradients times hidden states: the last ones for a graph, the mean over layers for a node."""
    passed = forward(model, graph, node, graph.x.detach().clone().requires_grad_())
    if node is None:
        (gradient,) = torch.autograd.grad(passed.logits.max(), passed.read)
        return _of_nodes(graph, (passed.read @ gradient.mean(dim=0)).relu().detach())
    hidden = [*passed.states[:-1], passed.returned[-1]]
    gradients = torch.autograd.grad(passed.logits.max(), hidden)
    maps = [(h * g).sum(dim=1).relu() for h, g in zip(hidden, gradients, strict=True)]
    return _of_nodes(graph, torch.stack(maps).mean(dim=0).detach())


def guided_backprop(model: GNN, graph: Data, node: int | None) -> Scores:
    """Positive gradients, cut to zero where they are negative behind a ReLU."""
    x, score = _score_under(Guided(), model, graph, node)
    (gradient,) = torch.autograd.grad(score.sum(), x)
    return Scores(node=gradient.clamp(min=0).sum(dim=1))


def lrp(model: GNN, graph: Data, node: int | None) -> Scores:
    """Layer-wise relevance propagation with the epsilon rule."""
    x, score = _score_under(_tape(model, lambda _: Epsilon()), model, graph, node)
    return Scores(node=_times_gradient(x, score).sum(dim=1))


def excitation_backprop(model: GNN, graph: Data, node: int | None) -> Scores:
    """Winning probabilities; two negative numbers excite as well, what is below zero is dropped."""
    tape = _tape(model, lambda _: Excitation())
    x, _ = _score_under(tape, model, graph, node)
    excitation = tape.contributions[0]  # what excites the logit shares a probability of 1
    score = torch.where(excitation > 0, excitation, 1.0).log()
    return Scores(node=_times_gradient(x, score).clamp(min=0).sum(dim=1))


#: The methods by the names of ours.
LITERAL: Mapping[str, Literal] = {
    "cam": cam,
    "grad_cam": grad_cam,
    "guided_backprop": guided_backprop,
    "lrp": lrp,
    "excitation_backprop": excitation_backprop,
}


def walk_relevance(
    model: GNN, graph: Data, node: int | None, walk: Sequence[int], gammas: Sequence[float] | None
) -> float:
    """Relevance of one walk by one masked pass, as GNN-LRP is defined.

    At each position a single node passes gradients on:
    ``h = mask * h + (1 - mask) * h.detach()``. What reaches the features of the walk's first node
    is its relevance (Schnake et al. 2022, https://arxiv.org/abs/2006.03589).

    Args:
        model: the network.
        graph: a graph.
        node: the explained node, None for the graph.
        walk: the nodes at its L + 1 positions.
        gammas: of the gamma rule at each layer, and behind the last; None for plain gradients,
            without any rule.
    """
    masks = [functional.one_hot(torch.tensor(n), graph.num_nodes).view(-1, 1) for n in walk]

    def only_the_walk(position: int, states: list[Tensor]) -> list[Tensor]:
        mask = masks[position].to(graph.x.dtype)
        return [h * mask + h.detach() * (1 - mask) for h in states]

    backward = None
    if gammas is not None:
        rules: list[Rule] = [Gamma(gamma) if gamma else Zero() for gamma in gammas]
        backward = _tape(model, lambda place: rules[min(place.depth, len(rules) - 1)])
    x, score = _score_under(backward, model, graph, node, only_the_walk)
    return float(_times_gradient(x, score).sum())


def _tape(model: GNN, rule_at: RuleAt) -> Tape:
    layers: dict[nn.Module, list[int]] = {conv: [n] for n, conv in enumerate(model.convs)}
    return Tape(model, rule_at, layers)


def _times_gradient(x: Tensor, score: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(score.sum(), x, materialize_grads=True, allow_unused=True)
    return x.detach() * gradient


def _score_under(
    backward: ModifiedBackward | None,
    model: GNN,
    graph: Data,
    node: int | None,
    between: Between | None = None,
) -> tuple[Tensor, Tensor]:
    """Features, and the explained logit ``[1]``, with the gradient of a modified backward pass."""
    x = graph.x.detach().clone().requires_grad_()
    if backward is None:
        return x, forward(model, graph, node, x, between).logits.max().view(1)
    with backward:
        logits = forward(model, graph, node, x, between).logits.view(1, -1)
        target = Targets(logits.detach().argmax(dim=1))
        return x, backward.score(Task("graph" if node is None else "node"), logits, target)


def _of_nodes(graph: Data, node: Tensor) -> Scores:
    """Scores of nodes, and their means over the ends of edges."""
    return Scores(node, node[graph.edge_index].mean(dim=0))
