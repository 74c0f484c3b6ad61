"""Methods as algorithms of ``torch_geometric.explain``: the same numbers, by PyG's interface."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.explain import (
    Explainer,
    Explanation,
    HeteroExplanation,
    characterization_score,
    fidelity,
    unfaithfulness,
)
from torch_geometric.nn import GATConv, GCNConv, GraphConv, global_add_pool

import glassgraph as gg
from glassgraph.errors import (
    HyperParameterError,
    PyGAlgorithmError,
    TargetError,
    TaskError,
    UnknownMethodError,
)
from glassgraph.explainers.registry import METHODS
from tests.situations import pyg_models as models

pytestmark = pytest.mark.filterwarnings("ignore::glassgraph.explainers.amortized.HindsightWarning")


class Net(nn.Module):
    """Attention that reads weights of edges; what a level of predictions needs after it."""

    def __init__(self, level: str, outputs: int = 3) -> None:
        super().__init__()
        self.conv1, self.conv2 = GATConv(3, 5, edge_dim=1), GraphConv(5, outputs)
        self.level = level

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        batch: Tensor | None = None,
    ) -> Tensor:
        weight = x.new_ones(edge_index.size(1)) if edge_weight is None else edge_weight
        x = self.conv1(x, edge_index, weight.view(-1, 1)).relu()
        x = self.conv2(x, edge_index, edge_weight)
        if self.level == "edge":  # a row for each edge
            return x[edge_index[0]] * x[edge_index[1]]
        return global_add_pool(x, batch) if self.level == "graph" else x


def graph() -> Data:
    torch.manual_seed(4)
    edges = torch.tensor([[0, 1, 2, 3, 1, 4, 2], [1, 2, 3, 4, 0, 3, 0]])
    return Data(x=torch.randn(5, 3), edge_index=edges, edge_weight=torch.rand(7) + 0.5)


def explainer(algorithm: Any, model: nn.Module, level: str = "node", **changes: Any) -> Explainer:
    config = {"mode": "multiclass_classification", "task_level": level, "return_type": "raw"}
    given = {"explanation_type": "model", "edge_mask_type": "object"} | changes
    config |= given.pop("model_config", {})
    return Explainer(model, algorithm, model_config=config, **given)


def masks_of(method: str) -> dict[str, str | None]:
    scores = METHODS[method].traits.scores
    node = "attributes" if "feature" in scores else "object" if "node" in scores else None
    return {
        "node_mask_type": node,
        "edge_mask_type": "object" if "edge" in scores else None,
    }


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_numbers_are_those_of_explain(method: str) -> None:
    level = METHODS[method].scope.levels[0]
    torch.manual_seed(8)
    model, data = Net(level).eval(), graph()
    index = 0 if level == "graph" else 3
    settings = dict(METHODS[method].test_settings)
    (direct,) = gg.explain(model, data, method, level, index=[index], progress=False, **settings)
    by_pyg = explainer(gg.as_pyg(method, **settings), model, level, **masks_of(method))
    found = by_pyg(data.x, data.edge_index, index=index, edge_weight=data.edge_weight)
    assert isinstance(found, Explanation)
    assert found.validate()
    for name, kind in (("edge_mask", "edge"), ("node_mask", "node")):
        assert (name in found) == (masks_of(method)[f"{kind}_mask_type"] is not None)
        if name in found:
            torch.testing.assert_close(found[name], direct[name])


# What the model is given


class Renamed(nn.Module):
    """Names of its own, a flag, an argument that may be None but has to be given."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = GCNConv(3, 4)

    def forward(
        self, features: Tensor, edges: Tensor, mask: Tensor | None, w: Tensor, *, double: bool
    ) -> Tensor:
        out = self.conv(features, edges, w)
        return 2 * out if double and mask is None else out


def test_arguments_arrive_whatever_they_are_called() -> None:
    model, data = Renamed().eval(), graph()
    arguments = {"mask": None, "w": data.edge_weight, "double": True}
    found = explainer(gg.as_pyg("saliency"), model, node_mask_type="attributes")(
        data.x, data.edge_index, index=2, **arguments
    )
    x = data.x.clone().requires_grad_()
    out = model(x, data.edge_index, **arguments)[2]
    (gradient,) = torch.autograd.grad(out[out.argmax()], x)
    torch.testing.assert_close(found.node_mask, gradient.square())


def test_graphs_side_by_side() -> None:
    """A batch vector: one of two graphs, and the mean of both."""
    model, one = Net("graph").eval(), graph()
    x = torch.cat([one.x, one.x.flip(0)])
    edges = torch.cat([one.edge_index, one.edge_index + 5], dim=1)
    batch, weight = torch.arange(10) // 5, torch.cat([one.edge_weight, one.edge_weight.flip(0)])
    by_pyg = explainer(gg.as_pyg("edge_gradients"), model, "graph")
    each = [by_pyg(x, edges, index=i, batch=batch, edge_weight=weight).edge_mask for i in (0, 1)]
    both = by_pyg(x, edges, batch=batch, edge_weight=weight).edge_mask
    (alone,) = gg.explain(model, one, "edge_gradients", "graph", progress=False)
    torch.testing.assert_close(each[0], torch.cat([alone.edge_mask, torch.zeros(7)]))
    assert not each[1][:7].any()
    assert bool(each[1][7:].any())
    torch.testing.assert_close(both, (each[0] + each[1]) / 2)


@pytest.mark.parametrize("name", ["edge_label_index", "pairs"])
def test_links_by_any_name(name: str) -> None:
    torch.manual_seed(2)

    class Links(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = GCNConv(3, 4)

        def score(self, x: Tensor, edge_index: Tensor, pairs: Tensor) -> Tensor:
            h = self.conv(x, edge_index)
            return (h[pairs[0]] * h[pairs[1]]).sum(-1)

    class ByName(Links):
        def forward(self, x: Tensor, edge_index: Tensor, edge_label_index: Tensor) -> Tensor:
            return self.score(x, edge_index, edge_label_index)

    class ByPairs(Links):
        def forward(self, x: Tensor, edge_index: Tensor, pairs: Tensor) -> Tensor:
            return self.score(x, edge_index, pairs)

    model, data = (ByName() if name == "edge_label_index" else ByPairs()).eval(), graph()
    pairs = torch.tensor([[0, 2, 1], [3, 4, 2]])
    mode = {"mode": "binary_classification"}
    found = explainer(gg.as_pyg("occlusion"), model, "edge", model_config=mode)(
        data.x, data.edge_index, index=1, **{name: pairs}
    )
    data.edge_label_index = pairs
    task = gg.Task("edge", "binary_classification")

    def call(model: Any, data: Any) -> Tensor:
        return model.score(data.x, data.edge_index, data.edge_label_index)

    (direct,) = gg.explain(model, data, "occlusion", task, index=[1], call=call, progress=False)
    torch.testing.assert_close(found.edge_mask, direct.edge_mask)
    assert bool(found.edge_mask.any())


# What is explained


@pytest.mark.parametrize("returns", ["raw", "probs"])
def test_a_phenomenon_is_the_given_class(returns: str) -> None:
    class Binary(Net):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:  # type: ignore[override]
            out = super().forward(x, edge_index)
            return out if returns == "raw" else out.sigmoid()

    torch.manual_seed(1)
    model, data = Binary("node", 1).eval(), graph()
    config = {"mode": "binary_classification", "return_type": returns}
    target, index = torch.tensor([1, 0, 0, 1, 1]), torch.tensor([2, 4])
    by_pyg = explainer(
        gg.as_pyg("edge_gradients"), model, explanation_type="phenomenon", model_config=config
    )
    found = by_pyg(data.x, data.edge_index, target=target, index=index)
    task = gg.Task("node", "binary_classification", returns)  # type: ignore[arg-type]
    direct = gg.explain(
        model, data, "edge_gradients", task, index=index, target=target[index], progress=False
    )
    expected = torch.stack([each.edge_mask for each in direct]).mean(0)
    torch.testing.assert_close(found.edge_mask, expected)
    kept = by_pyg.algorithm.explanations
    assert [each.local.target for each in kept] == [0, 1]


def test_a_regression_explains_its_own_values() -> None:
    model, data = Net("node", 1).eval(), graph()
    by_pyg = explainer(
        gg.as_pyg("saliency"),
        model,
        explanation_type="phenomenon",
        model_config={"mode": "regression"},
    )
    own = by_pyg.get_prediction(data.x, data.edge_index)
    assert bool(by_pyg(data.x, data.edge_index, target=own, index=1).edge_mask.any())
    with pytest.raises(TargetError, match="the model's own values"):
        by_pyg(data.x, data.edge_index, target=own + 1, index=1)


def test_a_contrast_and_a_column() -> None:
    model, data = Net("node").eval(), graph()
    for mode, target in (("multiclass_classification", (2, 0)), ("regression", 1)):
        config = {"mode": mode}
        found = explainer(gg.as_pyg("edge_gradients", target=target), model, model_config=config)(
            data.x, data.edge_index, index=3
        )
        del data.edge_weight
        task = gg.Task("node", mode)  # type: ignore[arg-type]
        (direct,) = gg.explain(
            model, data, "edge_gradients", task, index=[3], target=target, progress=False
        )
        torch.testing.assert_close(found.edge_mask, direct.edge_mask)
        data = graph()


@pytest.mark.parametrize("body", ["SAGEConv, to_hetero", "HGTConv"])
def test_heterogeneous(body: str) -> None:
    task = gg.Task("node", "regression", node_type=models.PAPER)
    data = models.papers()
    model = models.ready(models.Hetero(body, task), data.x_dict, data.edge_index_dict)
    config = {"mode": "regression"}
    found = explainer(
        gg.as_pyg("saliency"), model, node_mask_type="attributes", model_config=config
    )(data.x_dict, data.edge_index_dict, index=torch.tensor([2]))
    assert isinstance(found, HeteroExplanation)
    (direct,) = gg.explain(model, data, "saliency", task, index=[2], progress=False)
    for kind in data.node_types:
        torch.testing.assert_close(found[kind].node_mask, direct[kind].node_mask)
    for kind in data.edge_types:
        torch.testing.assert_close(found[kind].edge_mask, direct[kind].edge_mask)


@pytest.mark.parametrize("name", ["batch_dict", "batch_info"])
def test_heterogeneous_graphs_side_by_side(name: str) -> None:
    """Edges of both graphs in turn: masks come back to where they stand."""
    task = gg.Task("graph", "regression")

    class Pooled(models.Hetero):
        if name == "batch_info":

            def forward(self, x_dict: Any, edge_index_dict: Any, batch_info: Any) -> Tensor:  # type: ignore[override]
                return super().forward(x_dict, edge_index_dict, batch_info)

    graphs = [models.papers(5, 4, 5), models.papers(6, 4, 5)]
    data = models.two_of_papers()
    order = torch.arange(20).view(2, 10).t().reshape(-1)
    edges = {kind: data[kind].edge_index[:, order] for kind in data.edge_types}
    owner = {kind: data[kind].batch for kind in data.node_types}
    model = models.ready(Pooled("HGTConv", task), data.x_dict, edges, owner)
    by_pyg = explainer(
        gg.as_pyg("saliency"),
        model,
        "graph",
        node_mask_type="attributes",
        model_config={"mode": "regression"},
    )
    found = by_pyg(data.x_dict, edges, index=1, **{name: owner})

    def call(model: Any, data: Any) -> Tensor:
        return model(data.x_dict, data.edge_index_dict, data.batch_dict)

    (direct,) = gg.explain(model, graphs, "saliency", task, [1], call=call, progress=False)
    for kind in data.edge_types:
        assert not found[kind].edge_mask[0::2].any()
        torch.testing.assert_close(found[kind].edge_mask[1::2], direct[kind].edge_mask)
    for kind in data.node_types:
        half = owner[kind] == 1
        torch.testing.assert_close(found[kind].node_mask[half], direct[kind].node_mask)
        assert not found[kind].node_mask[~half].any()


def test_the_predicted_type_has_to_be_clear() -> None:
    task = gg.Task("node", "regression", node_type=models.PAPER)
    data = models.papers(num_papers=4, num_authors=4)
    model = models.ready(models.Hetero("HGTConv", task), data.x_dict, data.edge_index_dict)
    config = {"mode": "regression"}
    with pytest.raises(TaskError, match=r"as_pyg\('saliency', node_type=\.\.\.\)"):
        explainer(gg.as_pyg("saliency"), model, model_config=config)(
            data.x_dict, data.edge_index_dict, index=1
        )
    algorithm = gg.as_pyg("saliency", node_type=models.PAPER)
    found = explainer(algorithm, model, model_config=config)(
        data.x_dict, data.edge_index_dict, index=1
    )
    assert algorithm.explanations is not None
    assert algorithm.explanations.local(0).seeds.tolist() == [1]
    assert set(found.edge_types) == set(data.edge_types)


# PyG's own tools


@pytest.mark.parametrize("method", ["occlusion", "gnn_explainer"])
def test_metrics_of_pyg(method: str) -> None:
    torch.manual_seed(8)
    model, data = Net("node").eval(), graph()
    by_pyg = explainer(gg.as_pyg(method), model, threshold_config=("topk_hard", 2))
    found = by_pyg(data.x, data.edge_index, index=3, edge_weight=data.edge_weight)
    assert found.edge_mask.sum() == 2
    plus, minus = fidelity(by_pyg, found)
    with torch.no_grad():
        full = model(data.x, data.edge_index, data.edge_weight)
        some = by_pyg.get_masked_prediction(
            data.x, data.edge_index, None, found.edge_mask, edge_weight=data.edge_weight
        )
    assert minus == float(full[3].argmax() != some[3].argmax())
    score = characterization_score(torch.tensor([plus]), torch.tensor([minus]))
    assert score.isfinite().all()
    assert 0 <= unfaithfulness(by_pyg, found) <= 1


def test_an_explainer_that_is_fitted() -> None:
    torch.manual_seed(8)
    model, data = Net("node").eval(), graph()
    ready = gg.PGExplainer(model, task="node", epochs=2, progress=False)
    ready.fit(data, index=[0, 1])
    by_pyg = explainer(gg.as_pyg(ready), model)
    found = by_pyg(data.x, data.edge_index, edge_weight=data.edge_weight, index=3)
    torch.testing.assert_close(found.edge_mask, ready.explain(data, [3])[0].edge_mask)
    other = explainer(gg.as_pyg(ready), Net("node").eval())
    with pytest.raises(HyperParameterError, match="of another model"):
        other(data.x, data.edge_index, index=3)


def test_the_model_is_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from glassgraph.core.prepare import Preparation

    calls = []
    read = Preparation.read
    monkeypatch.setattr(
        Preparation, "read", staticmethod(lambda *given: calls.append(1) or read(*given))
    )
    model, data = Net("node").eval(), graph()
    by_pyg = explainer(gg.as_pyg("saliency"), model)
    for index in range(3):
        by_pyg(data.x, data.edge_index, index=index)
    assert len(calls) == 1
    before = by_pyg(data.x, data.edge_index, index=3).edge_mask
    data.x.mul_(2.0)  # written to in place: read anew
    assert not torch.equal(before, by_pyg(data.x, data.edge_index, index=3).edge_mask)


# What is refused


@pytest.mark.parametrize(
    ("method", "level", "given", "message"),
    [
        ("cam", "node", {}, "cam explains graph predictions, not those of nodes"),
        ("graph_lime", "node", {}, "graph_lime scores features; leave edge_mask_type out"),
        ("relex", "node", {"node_mask_type": "object"}, "leave node_mask_type out"),
        ("random", "node", {"node_mask_type": "attributes"}, "give node_mask_type='object'"),
        ("saliency", "node", {"node_mask_type": "common_attributes"}, "'attributes', and sum"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_runs(
    method: str, level: str, given: dict[str, str], message: str, caplog: Any
) -> None:
    algorithm = gg.as_pyg(method)
    with pytest.raises(PyGAlgorithmError, match=message) as raised:
        explainer(algorithm, Net(level), level, **given)
    assert isinstance(raised.value, ValueError)  # as PyG's own
    assert not algorithm.supports()
    assert message.replace("\\", "") in caplog.text


def test_settings_are_checked_at_once() -> None:
    with pytest.raises(HyperParameterError, match="epochs"):
        gg.as_pyg("gnn_explainer", epochs="five")
    with pytest.raises(HyperParameterError, match="did you mean 'epochs'"):
        gg.as_pyg("gnn_explainer", epoch=5)
    with pytest.raises(HyperParameterError, match="return_type is said by model_config"):
        gg.as_pyg("saliency", return_type="probs")
    with pytest.raises(UnknownMethodError, match="did you mean 'saliency'"):
        gg.as_pyg("sailency")
    with pytest.raises(UnknownMethodError, match="explains a model"):
        gg.as_pyg("xgnn")
