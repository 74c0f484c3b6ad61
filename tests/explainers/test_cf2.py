"""CF2 against its loop written out, and by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv, SimpleConv

import glassgraph as gg
from glassgraph.errors import HyperParameterError, NoGradientError, TaskError
from glassgraph.explainers.constant import ConstantScoresWarning

NODES, EPOCHS, RATE = 9, 25, 0.1


class Net(nn.Module):
    """Two normalized layers, which take weights of edges."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.first, self.second = GCNConv(3, 7), GCNConv(7, columns)
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Any:
        hidden = self.first(x, edge_index, edge_weight).tanh()
        return 5 * self.second(hidden, edge_index, edge_weight)


def graph() -> Data:
    draw = torch.Generator().manual_seed(3)
    pairs = torch.combinations(torch.arange(NODES))
    ends = pairs[torch.randperm(len(pairs), generator=draw)[:13]].t()
    x = torch.randn(NODES, 3, generator=draw).double()
    return Data(x=x, edge_index=torch.cat([ends, ends.flip(0)], dim=1))


def star(others: list[tuple[float, float]], own: tuple[float, float] = (0.0, 0.0)) -> Data:
    """Node 0 hears what the others have: sums for two classes."""
    x = torch.tensor([own, *others], dtype=torch.float)
    ends = torch.stack([torch.arange(1, len(x)), torch.zeros(len(x) - 1, dtype=torch.long)])
    return Data(x=x, edge_index=ends)


def literal(
    model: nn.Module, data: Data, node: int, *, pairs: bool, **settings: Any
) -> dict[tuple[int, int], float]:
    """The objective as it stands, for one node on the user's whole graph, by autograd."""
    ends, half = data.edge_index, data.edge_index.size(1) // 2
    logits = torch.zeros(half if pairs else 2 * half).double().requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=RATE, betas=(0.9, 0.95))

    def probabilities(weight: Tensor) -> list[Tensor]:
        row = model(data.x, ends, weight)[node]
        if row.numel() == 1:
            return [1 - row[0].sigmoid(), row[0].sigmoid()]
        return list(row.softmax(dim=0))

    before = torch.stack(probabilities(torch.ones(2 * half).double()))
    label = int(before.argmax())
    alpha, gamma, prediction = settings["alpha"], settings["gamma"], settings["prediction"]
    felt = torch.zeros(2 * half, dtype=torch.bool)
    for _ in range(EPOCHS):
        mask = logits.sigmoid()
        on_edges = torch.cat([mask, mask]) if pairs else 1 * mask
        on_edges.retain_grad()
        kept, left = probabilities(on_edges), probabilities(1 - on_edges)
        best_kept = torch.stack(kept[:label] + kept[label + 1 :]).max()
        best_left = torch.stack(left[:label] + left[label + 1 :]).max()
        factual = torch.relu(gamma + best_kept - kept[label])
        counterfactual = torch.relu(gamma + left[label] - best_left)
        loss = prediction * (alpha * factual + (1 - alpha) * counterfactual)
        optimizer.zero_grad()
        (loss + mask.sum()).backward()
        optimizer.step()
        assert on_edges.grad is not None
        felt |= on_edges.grad != 0
    mask = logits.detach().sigmoid()
    value = torch.cat([mask, mask]) if pairs else mask
    reached = felt | torch.cat([felt[half:], felt[:half]]) if pairs else felt
    edges = zip(ends.t().tolist(), (value * reached).tolist(), strict=True)
    return {(source, destination): score for (source, destination), score in edges}


@pytest.mark.parametrize("pairs", [True, False])
@pytest.mark.parametrize("columns", [1, 3])
def test_masks_are_those_of_the_loop(columns: int, pairs: bool) -> None:
    model, data, nodes = Net(columns), graph(), [0, 4, 7]
    mode = "binary_classification" if columns == 1 else "multiclass_classification"
    settings = {"alpha": 0.3, "gamma": 0.4, "prediction": 30.0}
    explainer = gg.CF2(
        model, gg.Task("node", mode), epochs=EPOCHS, learning_rate=RATE, pairs=pairs,
        relaxation="edge_weight", progress=False, **settings,
    )  # fmt: skip
    for node, found in zip(nodes, explainer.explain(data, nodes), strict=True):
        expected = literal(model, data, node, pairs=pairs, **settings)
        field = found.local.edge_id  # of a pair one direction may lie outside
        for edge in field.tolist():
            ends = tuple(data.edge_index[:, edge].tolist())
            assert float(found.edge_mask[edge]) == pytest.approx(expected[ends], abs=1e-9)
        assert found.edge_mask.count_nonzero() == found.edge_mask[field].count_nonzero() > 0


def test_what_is_enough_and_needed_is_found_and_held_against_real_deletions() -> None:
    data = star([(1, 0), (0, 3), (6, 0)], own=(0, 2))
    found = gg.CF2(SimpleConv(combine_root="sum"), progress=False).explain(data, [0])
    assert (found[0].edge_mask > 0.5).tolist() == [False, False, True]
    row = found.table("counterfactual").iloc[0]
    assert (row["size"], row["valid"], row["factual"], row["new_class"]) == (1, True, True, 1)
    assert row["before"] == pytest.approx(float(torch.tensor([7.0, 5.0]).softmax(0)[0]))
    assert row["after"] == pytest.approx(float(torch.tensor([1.0, 5.0]).softmax(0)[0]))
    one = found[0].counterfactual
    assert one.edge_id.tolist() == [2]
    assert one.data.edge_index.tolist() == [[1, 2], [0, 0]]


@pytest.mark.slow("both questions at once: test_masks_are_those_of_the_loop")
def test_alpha_says_which_question_is_asked() -> None:
    """One edge has to go for the class to change, and two have to stay for it to stay."""
    data = star([(4, 0), (1, 0)], own=(0, 4.5))
    model = SimpleConv(combine_root="sum")
    needed = gg.CF2(model, alpha=0.0, gamma=0.9, progress=False).explain(data, [0])
    assert needed.table("counterfactual")["size"].tolist() == [1]  # 1 to 4.5
    assert needed.table("counterfactual")["valid"].all()
    assert not needed.table("counterfactual")["factual"].any()  # 4 to 4.5
    enough = gg.CF2(model, alpha=1.0, gamma=0.1, progress=False).explain(data, [0])
    assert enough.table("counterfactual")["size"].tolist() == [2]  # 5 to 4.5
    assert enough.table("counterfactual")["factual"].all()


def test_a_class_that_is_not_predicted_becomes_so() -> None:
    data = star([(3, 0), (0, 2)])
    found = gg.CF2(SimpleConv(), progress=False).explain(data, [0], target=1)
    assert found[0].counterfactual.new_class == 1
    assert found[0].edge_mask[0] > 0.5 > found[0].edge_mask[1]


@pytest.mark.slow("the question itself: test_alpha_says_which_question_is_asked")
def test_the_highest_stay_of_a_set_that_is_too_large() -> None:
    data = star([(4, 0), (4, 0), (5, 0)], own=(0, 2))
    model = SimpleConv(combine_root="sum")
    whole = gg.CF2(model, alpha=0.0, progress=False).explain(data, [0])
    assert whole.table("counterfactual")["size"].tolist() == [3]
    part = gg.CF2(model, alpha=0.0, max_size=2, progress=False).explain(data, [0])
    assert torch.equal(part[0].edge_mask, whole[0].edge_mask)
    assert part.table("counterfactual")["size"].tolist() == [2]
    chosen = part[0].edge_mask[part[0].counterfactual.edge_id]
    assert sorted(chosen.tolist()) == sorted(part[0].edge_mask.tolist())[1:]


def test_a_class_that_no_deletion_changes_is_said() -> None:
    data = star([(1, 0), (0.5, 0)], own=(0.5, 0))
    found = gg.CF2(SimpleConv(combine_root="sum"), progress=False).explain(data, [0])
    assert not found.table("counterfactual")["valid"].any()
    assert (found[0].edge_mask > 0.5).tolist() == [True, True]  # comes nearest
    assert "does not change the decision" in found.remarks()[0]
    assert found[0].counterfactual.new_class == 0


def test_a_sure_prediction_without_gradients_is_said() -> None:
    data = star([(90, 0), (0, 9), (1, 0)])
    with pytest.warns(ConstantScoresWarning, match="if the prediction is sure"):
        found = gg.CF2(SimpleConv(), alpha=0.0, progress=False).explain(data, [0])
    assert not found.table("counterfactual")["valid"].any()
    assert "cf_gnn_explainer, which goes by log-odds" in found.remarks()[0]
    learned = gg.CFGNNExplainer(SimpleConv(), progress=False).explain(data, [0])
    assert learned.table("counterfactual")["valid"].all()


@pytest.mark.slow("order and company of instances: the laws")
@pytest.mark.parametrize("method", [gg.CF2, gg.CFGNNExplainer])
def test_neither_order_nor_company_says_what_masks_act_on(method: Any) -> None:
    data = graph()  # GCN adds missing self-loops: one of weight 0 is none that is gone
    loop = torch.tensor([[0], [0]])
    data.edge_index = torch.cat([data.edge_index, loop], dim=1)
    order = torch.randperm(data.num_edges, generator=torch.Generator().manual_seed(8))
    turned = Data(x=data.x, edge_index=data.edge_index[:, order])
    explainer = method(Net(3), "node", epochs=15, progress=False)
    whole = explainer.explain(data)
    for node, other in enumerate(explainer.explain(turned)):
        torch.testing.assert_close(other.edge_mask, whole[node].edge_mask[order])
        alone = explainer.explain(data, [node])[0]
        torch.testing.assert_close(alone.edge_mask, whole[node].edge_mask)


@pytest.mark.parametrize(
    ("name", "value"),
    [("alpha", 1.1), ("alpha", -0.1), ("gamma", 2), ("max_size", 0), ("epochs", 0)],
)
def test_values_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(HyperParameterError, match=name):
        gg.CF2(Net(2), "node", **{name: value})


def test_a_regression_is_refused() -> None:
    with pytest.raises(TaskError, match="a regression has no classes"):
        gg.CF2(Net(1), gg.Task("node", mode="regression"))


def test_a_model_without_gradients_is_named() -> None:
    class Detached(Net):
        def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Any = None) -> Any:
            return super().forward(x, edge_index, edge_weight).detach()

    with pytest.raises(NoGradientError, match="does not depend differentiably"):
        gg.CF2(Detached(3), "node", progress=False).explain(graph(), [0])
