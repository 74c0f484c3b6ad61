"""GInX on graphs where two edges decide the label, and nothing else does."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import MessagePassing, global_add_pool

import glassgraph as gg
from glassgraph.diagnose.ginx import ReducedGraphs
from glassgraph.errors import (
    ExplanationFileError,
    GraphError,
    HyperParameterError,
    InstanceError,
    LabelsMissingError,
    ModelCallError,
    TaskError,
    UnknownMetricError,
)
from glassgraph.metrics.measured import Measured
from glassgraph.models.training import train
from glassgraph.testing.compare import expect_unchanged, snapshot

ginx = gg.diagnose.ginx
SPLIT = {"train": range(12), "val": range(12, 16), "test": range(16, 24)}
#: Ten directed edges, the fourth and the ninth of which carry the label.
TRUE = torch.tensor([0, 0, 0, 1, 0, 0, 0, 0, 1, 0]).float()


class Sums(MessagePassing):  # type: ignore[misc]
    """One logit for each class: a linear map of the sum of all weighted messages."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__(aggr="add")
        self.head = nn.Linear(1, classes, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[-1.0], [1.0]])[2 - classes :])

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor, batch: Tensor) -> Tensor:
        heard = self.propagate(edge_index, x=x, edge_weight=edge_weight)
        logits: Tensor = self.head(global_add_pool(heard, batch))
        return logits

    def message(self, x_j: Tensor, edge_weight: Tensor) -> Tensor:
        return x_j * edge_weight.view(-1, 1)


def graph(label: int) -> Data:
    """A cycle of five in both directions; true edges weigh +1 or -1 by the label, others cancel."""
    around = torch.arange(5)
    edges = torch.stack([around, (around + 1) % 5])
    noise = torch.tensor([0.5, -0.5, 0.5, 0.0, -0.5, 0.5, -0.5, 0.5, 0.0, -0.5])
    return Data(
        x=torch.ones(5, 1),
        edge_index=torch.cat([edges, edges.flip(0)], dim=1),
        edge_weight=noise + TRUE * (2 * label - 1),
        y=torch.tensor([label]),
    )


GRAPHS = [graph(number % 2) for number in range(24)]
TRUTH = [TRUE] * 24
briefly = partial(train, epochs=15, learning_rate=0.05, progress=False)


def values(found: list[Measured], metric: str = "ginx") -> dict[str, float]:
    return {each.level: each.estimate.value for each in found if each.metric == metric}


def test_truth_takes_the_label_away_and_its_inverse_does_not() -> None:
    run = partial(
        ginx, model=Sums(), data=GRAPHS, split=SPLIT, shares=(0.2, 0.5, 0.8), fine_tune=briefly
    )
    truth = run(TRUTH, method="truth")
    # Without the two edges all graphs are the same, and half of them have the one label.
    assert values(truth) == {"0": 0, "0.2": 0.5, "0.5": 0.5, "0.8": 0.5}
    assert values(truth, "edge_rank") == {"": 0.5}
    inverse = run([-TRUE] * 24, method="inverse")
    assert values(inverse) == {"0": 0, "0.2": 0, "0.5": 0, "0.8": 0}
    assert values(inverse, "edge_rank") == {"": 0}
    assert {each.method for each in inverse} == {"inverse"}
    assert all(each.better == "higher" and each.estimate.n == 8 for each in truth)


def test_edge_rank_by_hand() -> None:
    """The first true edge goes with the first half; both are gone after it."""
    late = torch.tensor([9.0, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    found = ginx([late] * 24, Sums(), GRAPHS, split=SPLIT, shares=(0.3, 0.9), fine_tune=briefly)
    assert values(found) == {"0": 0, "0.3": 0, "0.9": 0.5}
    assert values(found, "edge_rank") == {"": pytest.approx((1 - 0.3) * 0.5)}


def test_without_training_it_is_the_accuracy_on_reduced_graphs() -> None:
    draw = torch.Generator().manual_seed(3)
    scores = [torch.rand(10, generator=draw) for _ in GRAPHS]
    model = Sums()
    found = ginx(
        scores, model, GRAPHS, split=SPLIT, shares=(0.4, 0.7), fine_tune=lambda network, data: None
    )
    for share, number in ((0.4, 4), (0.7, 7)):
        wrong = 0
        for i in SPLIT["test"]:
            kept = scores[i].argsort(descending=True)[number:]
            total = float(GRAPHS[i].edge_weight[kept].sum())
            wrong += int(total > 0) != int(GRAPHS[i].y)
        assert values(found)[f"{share}"] == wrong / 8


def test_explanations_are_their_scores() -> None:
    model = Sums()
    explanations = gg.EdgeGradients(model, task="graph", progress=False).explain(GRAPHS)
    run = partial(ginx, model=model, data=GRAPHS, split=SPLIT, shares=(0.3, 0.6), fine_tune=briefly)
    found = run(explanations)
    alone = run([explanations.local(i).edge_score for i in range(24)], method="edge_gradients")
    assert [each.row() for each in found] == [each.row() for each in alone]
    assert found[0].method == "edge_gradients"
    backwards = gg.EdgeGradients(model, task="graph", progress=False).explain(
        GRAPHS, torch.arange(23, -1, -1)
    )
    assert [each.row() for each in run(backwards)] == [each.row() for each in found]


def test_what_belongs_to_edges_goes_with_them_and_nothing_else_does() -> None:
    seen: list[ReducedGraphs] = []
    lone = [
        Data(
            x=torch.ones(3, 1),
            edge_index=torch.tensor([[0, 1, 2], [1, 2, 0]]),
            edge_weight=torch.tensor([1.0, 2.0, 3.0]),
            y=torch.tensor([number % 2]),
            position=torch.eye(3),  # as many rows as there are edges
        )
        for number in range(4)
    ]
    split = {"train": [0], "val": [1], "test": [2, 3]}
    scores = [torch.tensor([1.0, 0.0, 2.0])] * 4
    ginx(
        scores,
        Sums(),
        lone,
        split=split,
        shares=(0.5,),
        fine_tune=lambda _, data: seen.append(data),
    )
    (reduced,) = seen
    for each in reduced.graphs:
        assert each.edge_index.tolist() == [[1], [2]]
        assert each.edge_weight.tolist() == [2.0]
        assert each.num_nodes == 3
        assert torch.equal(each.position, torch.eye(3))
        assert each.y.shape == (1,)
    assert all(each.num_edges == 3 for each in lone)


def test_a_graph_with_one_edge_keeps_its_label() -> None:
    pair = [
        Data(
            x=torch.ones(2, 1),
            edge_index=torch.tensor([[0], [1]]),
            edge_weight=torch.tensor([2.0 * number - 1]),
            y=torch.tensor([number]),
        )
        for number in (0, 1, 1, 1)
    ]
    split = {"train": [0], "val": [1], "test": [2, 3]}
    nothing = partial(ginx, [torch.ones(1)] * 4, Sums(), pair, split=split)
    found = nothing(shares=(0.5,), fine_tune=lambda *_: None)
    assert values(found) == {"0": 0, "0.5": 1}  # without its edge a graph is of class 0


def test_a_model_with_one_logit_and_training_of_ones_own() -> None:
    def fit(network: nn.Module, data: ReducedGraphs) -> None:
        network.head.weight.data.mul_(-1)  # type: ignore[union-attr, operator]

    found = ginx(
        TRUTH,
        Sums(classes=1),
        GRAPHS,
        split=SPLIT,
        shares=(0.1,),
        fine_tune=fit,
        task=gg.Task("graph", mode="binary_classification"),
    )
    assert values(found) == {"0": 0, "0.1": 1}  # one true edge is left, and the sign is wrong


def test_model_and_random_state_stay_as_they_were() -> None:
    model = Sums().train()
    before, state = snapshot(model, GRAPHS), torch.random.get_rng_state()
    run = partial(ginx, TRUTH, model, GRAPHS, split=SPLIT, shares=(0.5,), fine_tune=briefly)
    first = run(seed=5)
    expect_unchanged(before, snapshot(model, GRAPHS))
    assert torch.equal(state, torch.random.get_rng_state())
    assert [each.row() for each in first] == [each.row() for each in run(seed=5)]


def test_a_floor_stands_beside() -> None:
    run = partial(ginx, model=Sums(), data=GRAPHS, split=SPLIT, shares=(0.2,), fine_tune=briefly)
    floor = run([-TRUE] * 24, method="random")
    found = run(TRUTH, floor=floor)
    assert [each.floor for each in found] == [each.estimate for each in floor]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"shares": (0.5, 0.2)}, HyperParameterError, "shares must ascend"),
        ({"shares": (0.0, 0.5)}, HyperParameterError, "shares must ascend"),
        ({"shares": ()}, HyperParameterError, "shares must ascend"),
        ({"split": {"train": [0], "test": [1]}}, HyperParameterError, "split needs train, val"),
        ({"split": {**SPLIT, "val": []}}, HyperParameterError, "the val part must hold ids"),
        ({"split": {**SPLIT, "test": [24]}}, HyperParameterError, "the test part must hold ids"),
        ({"split": {**SPLIT, "test": [0]}}, HyperParameterError, "overlap, or repeat"),
        ({"explanations": TRUTH[:3]}, InstanceError, "scores for 3 of 24 graphs"),
        ({"explanations": [TRUE[:4]] * 24}, InstanceError, "graph 0 has 10 edges"),
        ({"explanations": [TRUE / 0] * 24}, UnknownMetricError, "NaN or infinite"),
        ({"task": gg.Task("node")}, TaskError, "classifiers of graphs"),
        ({"task": gg.Task("graph", mode="regression")}, TaskError, "classifiers of graphs"),
        (
            {"task": gg.Task("graph", mode="binary_classification")},
            TaskError,
            "for raw of a binary_classification pass fine_tune",
        ),
        ({"task": gg.Task("graph", return_type="probs")}, TaskError, "for probs of a multiclass"),
        ({"data": [HeteroData()] * 24}, GraphError, "graph 0 is HeteroData"),
    ],
)
def test_refused(change: dict[str, Any], error: type[Exception], words: str) -> None:
    given = {"explanations": TRUTH, "model": Sums(), "data": GRAPHS, "split": SPLIT, **change}
    with pytest.raises(error, match=words):
        ginx(given.pop("explanations"), given.pop("model"), given.pop("data"), **given)


def test_a_model_that_takes_the_data_needs_training_of_its_own() -> None:
    class Whole(Sums):
        def forward(self, data: Data) -> Tensor:  # type: ignore[override]
            return super().forward(data.x, data.edge_index, data.edge_weight, data.batch)

    run = partial(ginx, TRUTH, Whole(), GRAPHS, split=SPLIT, shares=(0.2,))
    with pytest.raises(ModelCallError, match="pass fine_tune"):
        run()
    assert values(run(fine_tune=lambda *_: None)) == {"0": 0, "0.2": 0.5}


def test_some_graphs_without_an_explanation_are_refused() -> None:
    explanations = gg.EdgeGradients(Sums(), task="graph", progress=False).explain(GRAPHS, [0, 1, 2])
    with pytest.raises(InstanceError, match="graph 3 is in the train part and has no explanation"):
        ginx(explanations, Sums(), GRAPHS, split=SPLIT)


def test_explanations_of_other_graphs_are_refused() -> None:
    explanations = gg.EdgeGradients(Sums(), task="graph", progress=False).explain(GRAPHS)
    with pytest.raises(ExplanationFileError, match="are of data with 120 nodes, these have 60"):
        ginx(explanations, Sums(), GRAPHS[:12], split={"train": [0], "val": [1], "test": [2]})


def test_graphs_without_labels_are_refused() -> None:
    unlabeled = [Data(x=each.x, edge_index=each.edge_index, edge_weight=each.edge_weight)
                 for each in GRAPHS]  # fmt: skip
    with pytest.raises(LabelsMissingError):
        ginx(TRUTH, Sums(), unlabeled, split=SPLIT, shares=(0.5,), fine_tune=lambda *_: None)
