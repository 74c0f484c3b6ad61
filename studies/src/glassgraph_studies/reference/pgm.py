"""PGM-Explainer written out: a pass over the user's graph for each sample of each prediction.

What `glassgraph bench speed` measures `pgm_explainer` beside, in addition to PyG's: the paper's
loop with a correct chi-square test, one pair of variables at a time.
"""

from __future__ import annotations

import torch
from scipy import stats
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.utils import k_hop_subgraph

from glassgraph.models.gnn import GNN
from glassgraph_studies.reference.passes import Scores

_SAMPLES, _PROBABILITY, _DROP, _ONE_IN = 100, 0.5, 0.1, 8


def pgm_explainer(model: GNN, graph: Data, node: int | None) -> Scores:
    """Confidence ``1 - p`` of each node, for a node or (where that is None) the graph."""
    score = 1 - (_of_graph(model, graph) if node is None else _of_node(model, graph, node))
    return Scores(score, score[graph.edge_index].mean(dim=0))


@torch.no_grad()
def _of_node(model: GNN, graph: Data, node: int) -> Tensor:
    hops = len(model.convs)
    nodes = k_hop_subgraph(node, hops, graph.edge_index, num_nodes=graph.num_nodes)[0]
    before = model(graph.x, graph.edge_index).softmax(dim=1)[nodes]
    predicted = before.argmax(dim=1, keepdim=True)
    variables = []
    for _ in range(_SAMPLES):
        perturbed = torch.rand(nodes.numel()) < _PROBABILITY
        x = _perturbed(graph.x, nodes[perturbed])
        after = model(x, graph.edge_index).softmax(dim=1)[nodes]
        changed = (before - after).gather(1, predicted).squeeze(1) > _DROP
        variables.append(2 * perturbed.long() + changed.long())
    samples = torch.stack(variables)
    target = int((nodes == node).nonzero())
    p = torch.ones(graph.num_nodes)
    for position, each in enumerate(nodes.tolist()):
        p[each] = 0.0 if each == node else _p(samples[:, position], samples[:, target])
    return p


@torch.no_grad()
def _of_graph(model: GNN, graph: Data) -> Tensor:
    batch = torch.zeros(graph.num_nodes, dtype=torch.long)
    before = model(graph.x, graph.edge_index, batch=batch).softmax(dim=1)[0]
    predicted = int(before.argmax())
    coins, drops = [], []
    for _ in range(_SAMPLES):
        perturbed = torch.rand(graph.num_nodes) < _PROBABILITY
        x = _perturbed(graph.x, perturbed.nonzero().view(-1))
        after = model(x, graph.edge_index, batch=batch).softmax(dim=1)[0]
        coins.append(perturbed.long())
        drops.append(float((before - after)[predicted]))
    samples = torch.stack(coins)
    changed = torch.zeros(_SAMPLES, dtype=torch.long)
    changed[torch.tensor(drops).topk(_SAMPLES // _ONE_IN).indices] = 1
    return torch.tensor([_p(each, changed) for each in samples.unbind(dim=1)])


def _perturbed(x: Tensor, nodes: Tensor) -> Tensor:
    changed = x.clone()
    changed[nodes] = torch.randint(2, (nodes.numel(), x.size(1))).to(x.dtype)
    return changed


def _p(one: Tensor, other: Tensor) -> float:
    table = stats.contingency.crosstab(one.numpy(), other.numpy()).count
    return float(stats.chi2_contingency(table, correction=False).pvalue)
