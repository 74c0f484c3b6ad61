"""RCExplainer against a literal version, and what it promises."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import SimpleConv, global_add_pool

import glassgraph as gg
from glassgraph.errors import HyperParameterError, NotFittedError, TaskError
from glassgraph.explainers.perturbation.edge_gates.boundaries import Boundaries, sides
from glassgraph.explainers.perturbation.edge_gates.edge_states import EdgeStates
from glassgraph.hidden.node_states import NodeStates
from glassgraph.inputs.task import Targets, Task
from glassgraph.learn.edge_scorer import EdgeScorer


class Net(nn.Module):
    """A sum over neighbors, and a linear head of three classes."""

    def __init__(self, pools: bool = False) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(2)
            self.conv, self.head = SimpleConv(combine_root="sum"), nn.Linear(5, 3)
        self.pools = pools
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Any:
        hidden = self.conv(x, edge_index).tanh()
        return self.head(global_add_pool(hidden, batch) if self.pools else hidden)


def make_graph(seed: int = 0, num_nodes: int = 7) -> Data:
    draw = torch.Generator().manual_seed(seed)
    pairs = torch.combinations(torch.arange(num_nodes))
    ends = pairs[torch.randperm(len(pairs), generator=draw)[: num_nodes + 4]].t()
    x = torch.randn(num_nodes, 5, generator=draw).double()
    return Data(x=x, edge_index=torch.cat([ends, ends.flip(0)], dim=1))


def embedding(net: Net, data: Data, gate: list[float]) -> Tensor:
    """What the head reads of the whole graph, message by message."""
    total = [row.clone() for row in data.x]
    for edge, (u, v) in enumerate(data.edge_index.t().tolist()):
        total[v] = total[v] + gate[edge] * data.x[u]
    return torch.stack(total).tanh().sum(dim=0)


@pytest.mark.parametrize("factual", [1.0, 0.3, 0.0])
def test_the_loss_is_that_of_the_paper(factual: float) -> None:
    net, graphs = Net(pools=True), [make_graph(seed) for seed in range(3)]
    explainer = gg.RCExplainer(net, "graph", progress=False)
    preparation = explainer.prepare(graphs)
    instances = preparation.instances([0, 1, 2])
    ((_, batch),) = preparation.batches(instances, None, None)
    edges = EdgeStates.read(batch, NodeStates("all", "auto", 1 << 30))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        scorer = EdgeScorer(edges.states.size(1), 0, 4).double()
    found = Boundaries(factual, 0.01, 0.1, None).loss(scorer, edges, 0)

    losses = []
    locations = torch.sigmoid(edges.location(scorer))
    for number, data in enumerate(graphs):
        own = locations[batch.edge_instance == number].tolist()
        ends = data.edge_index.t().tolist()
        gate = [(own[e] + own[ends.index([v, u])]) / 2 for e, (u, v) in enumerate(ends)]
        start = embedding(net, data, [1.0] * len(gate))
        kept = embedding(net, data, gate)
        left = embedding(net, data, [1 - each for each in gate])
        c = int(net.head(start).argmax())
        others = [j for j in range(3) if j != c]

        def side(phi: Tensor, j: int, c: int = c) -> float:
            """Of a hyperplane in the embedding."""
            weight, bias = (each[c] - each[j] for each in (net.head.weight, net.head.bias))
            return float((weight @ phi + bias).detach())

        same = [1 / (1 + math.exp(side(start, j) * side(kept, j))) for j in others]
        opposite = [1 / (1 + math.exp(-side(start, j) * side(left, j))) for j in others]
        entropy = [-z * math.log(z) - (1 - z) * math.log(1 - z) for z in own]
        losses.append(
            factual * sum(same) / 2
            + (1 - factual) * min(opposite)
            + 0.01 * sum(gate)
            + 0.1 * sum(entropy) / len(own)
        )
    assert float(found.detach()) == pytest.approx(sum(losses) / 3)


@pytest.mark.parametrize(
    ("task", "output", "chosen", "contrast", "expected"),
    [
        (Task("node"), [[3.0, 1.0, 0.5]], 0, None, [2.0, 2.5]),
        (Task("node"), [[3.0, 1.0, 0.5]], 1, None, [-2.0, 0.5]),
        (Task("node"), [[3.0, 1.0, 0.5]], 1, 0, [-2.0]),
        (Task("node", return_type="log_probs"), [[-1.0, -2.0]], 0, None, [1.0]),
        (Task("node", return_type="probs"), [[0.8, 0.2]], 1, None, [-math.log(4)]),
        (Task("node", mode="binary_classification"), [[2.0]], 1, None, [2.0]),
        (Task("node", mode="binary_classification"), [[2.0]], 0, None, [-2.0]),
        (Task("node", mode="binary_classification"), [[2.0, -3.0]], 1, None, [-3.0]),
        (
            Task("node", mode="binary_classification", return_type="probs"),
            [[0.8]],
            1,
            None,
            [math.log(4)],
        ),
    ],
)
def test_boundaries_by_hand(
    task: Task, output: Any, chosen: int, contrast: int | None, expected: list[float]
) -> None:
    other = None if contrast is None else torch.tensor([contrast])
    far, exists = sides(task, torch.tensor(output), Targets(torch.tensor([chosen]), other))
    assert far[exists].tolist() == pytest.approx(expected)


def test_it_learns_and_explains_what_it_never_saw(tmp_path: Path) -> None:
    net, data = Net(), make_graph(num_nodes=17)
    explainer = gg.RCExplainer(net, "node", epochs=20, learning_rate=0.02, progress=False)
    with pytest.raises(NotFittedError):
        explainer.explain(data, [3])
    explainer.fit(data, index=range(12))
    loss = explainer.history["loss"]
    assert loss.iloc[-1] < loss.iloc[0]
    (one,) = explainer.explain(data, [15])
    assert float(one.edge_mask.std()) > 0
    path = explainer.save(tmp_path / "rc.safetensors")
    again = gg.RCExplainer.load(path, net, progress=False).explain(data, [15])
    assert torch.equal(again[0].edge_mask, one.edge_mask)


def test_directions_have_gates_of_their_own_where_they_are_not_one() -> None:
    net, data = Net(pools=True), [make_graph(seed) for seed in range(4)]
    ends = data[3].edge_index.t().tolist()
    back = [ends.index([v, u]) for u, v in ends]
    for pairs, is_same in ((None, True), (False, False)):
        explainer = gg.RCExplainer(net, "graph", epochs=2, pairs=pairs, progress=False)
        mask = explainer.fit(data, index=[0, 1, 2]).explain(data, [3])[0].edge_mask
        assert torch.equal(mask, mask[back]) is is_same


def test_bad_settings_are_refused() -> None:
    with pytest.raises(TaskError, match="a regression has none"):
        gg.RCExplainer(Net(), Task("node", mode="regression"))
    with pytest.raises(HyperParameterError, match="factual must be a number from 0 to 1"):
        gg.RCExplainer(Net(), factual=1.5)
    with pytest.raises(HyperParameterError, match="read_target"):
        gg.RCExplainer(Net(), "graph", read_target=True)
