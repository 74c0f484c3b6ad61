"""Algorithms of ``torch_geometric.explain`` as methods: PyG's own numbers."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
import torch_geometric
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.explain import (
    AttentionExplainer,
    CaptumExplainer,
    DummyExplainer,
    Explainer,
    ExplainerAlgorithm,
    Explanation,
    GNNExplainer,
    GraphMaskExplainer,
    HeteroExplanation,
    PGExplainer,
)

import glassgraph as gg
from glassgraph.errors import (
    MethodDefinitionError,
    PyGAlgorithmError,
    SuiteError,
    TargetError,
    UnsupportedModelError,
)
from glassgraph.explainers.registry import unregister
from tests.coverage.literal import unchanged
from tests.pyg.test_as_pyg import Net, graph
from tests.situations import pyg_models as models


def pyg_explainer(model: nn.Module, algorithm: Any, level: str = "node", **given: Any) -> Explainer:
    config = {"mode": "multiclass_classification", "task_level": level, "return_type": "raw"}
    config |= given.pop("model_config", {})
    given = {"explanation_type": "model", "edge_mask_type": "object"} | given
    return Explainer(model, algorithm, model_config=config, **given)


def trained(model: nn.Module, data: Data) -> PGExplainer:
    algorithm = PGExplainer(epochs=3)
    by_pyg = pyg_explainer(model, algorithm, explanation_type="phenomenon")
    target = by_pyg.get_target(by_pyg.get_prediction(data.x, data.edge_index))
    for epoch in range(3):
        for index in (1, 3):
            algorithm.train(epoch, model, data.x, data.edge_index, target=target, index=index)
    return algorithm


ALGORITHMS: dict[str, tuple[Any, dict[str, Any]]] = {
    "pyg_gnn_explainer": (lambda *_: GNNExplainer(epochs=4), {"node_mask_type": "attributes"}),
    "pyg_captum_saliency": (
        lambda *_: CaptumExplainer("Saliency"),
        {"node_mask_type": "attributes"},
    ),
    "pyg_captum_integrated_gradients": (
        lambda *_: CaptumExplainer("IntegratedGradients", n_steps=4),
        {"node_mask_type": "attributes"},
    ),
    "pyg_pg_explainer": (trained, {"explanation_type": "phenomenon"}),
    "pyg_graph_mask_explainer": (
        lambda *_: GraphMaskExplainer(2, epochs=2, log=False),
        {"node_mask_type": "attributes"},
    ),
    "pyg_attention_explainer": (lambda *_: AttentionExplainer(), {}),
    "pyg_dummy_explainer": (lambda *_: DummyExplainer(), {"node_mask_type": "attributes"}),
}


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad:UserWarning")  # train()
@pytest.mark.parametrize("method", ALGORITHMS)
def test_the_numbers_are_those_of_pyg(method: str) -> None:
    """Node 3 sees nodes 1 to 4 of a ring with a chord, all but edges 4 and 6 into node 0."""
    make, given = ALGORITHMS[method]
    torch.manual_seed(8)
    is_graphmask = method == "pyg_graph_mask_explainer"  # PyG's cannot explain attention
    model = models.GCN(gg.Task("node")).eval() if is_graphmask else Net("node").eval()
    data = graph()
    del data.edge_weight
    algorithm = make(model, data)
    with unchanged(model):
        (found,) = gg.explain(model, data, algorithm, index=[3], seed=5, progress=False)
    assert gg.from_pyg(algorithm).name == method
    by_pyg = pyg_explainer(model, algorithm, **given)
    target = by_pyg.get_target(by_pyg.get_prediction(data.x, data.edge_index))
    torch.manual_seed(5)
    extra = {"target": target} if "explanation_type" in given else {}
    expected = by_pyg(data.x, data.edge_index, index=3, **extra)
    for name in ("edge_mask", "node_mask"):
        if name in expected:  # Captum 0.7 integrates in float64
            expected[name] = expected[name].to(data.x.dtype)
    local = found.local
    assert sorted(local.edge_id.tolist()) != list(range(7))
    torch.testing.assert_close(local.edge_score, expected.edge_mask[local.edge_id])
    if "node_mask_type" in given:
        mask = expected.node_mask[local.node_id]
        torch.testing.assert_close(local.feature_score, mask)
        torch.testing.assert_close(local.node_score, mask.sum(dim=1))
    else:
        assert local.feature_score is None


def test_one_after_the_other_on_a_model() -> None:
    """What GNNExplainer leaves on layers makes PyG's Captum fail; not here."""
    model, data = Net("node").eval(), graph()
    del data.edge_weight
    captum = CaptumExplainer("Saliency")
    (before,) = gg.explain(model, data, captum, index=[3], progress=False)
    pyg_explainer(model, GNNExplainer(epochs=1))(data.x, data.edge_index, index=3)
    gg.explain(model, data, GNNExplainer(epochs=1), index=[3], progress=False)
    (after,) = gg.explain(model, data, captum, index=[3], progress=False)
    torch.testing.assert_close(before.edge_mask, after.edge_mask)


class Degrees(ExplainerAlgorithm):
    """An algorithm of a user's own: in-degrees of receivers, and which of several graphs it saw."""

    def __init__(self, width: int = 1) -> None:
        super().__init__()
        self.width = width

    def supports(self) -> bool:
        if self.explainer_config.node_mask_type is None:
            logging.error("'Degrees' scores nodes")
            return False
        return True

    def forward(
        self,
        model: nn.Module,
        x: Any,
        edge_index: Any,
        *,
        target: Tensor,
        index: Any = None,
        **kwargs: Any,
    ) -> Any:
        if isinstance(x, dict):
            found = HeteroExplanation()
            for kind, edges in edge_index.items():
                found[kind].edge_mask = torch.arange(edges.size(1)).float()
            for kind, each in x.items():
                found[kind].node_mask = torch.arange(each.size(0)).view(-1, 1).float()
            return found
        degree = torch.bincount(edge_index[1], minlength=x.size(0)).float()
        return Explanation(
            node_mask=degree.view(-1, 1).repeat(1, self.width), edge_mask=degree[edge_index[1]]
        )


def test_an_algorithm_of_ones_own() -> None:
    model, data = Net("node").eval(), graph()
    (found,) = gg.explain(model, data, Degrees(), index=[3], progress=False)
    degree = torch.bincount(data.edge_index[1], minlength=5).float()
    local = found.local
    torch.testing.assert_close(local.node_score, degree[local.node_id])
    torch.testing.assert_close(local.edge_score, degree[data.edge_index[1][local.edge_id]])
    (wide,) = gg.explain(model, data, Degrees(3), index=[3], progress=False)
    torch.testing.assert_close(wide.local.node_score, 3 * degree[local.node_id])


def test_graphs_of_a_list_are_seen_alone() -> None:
    model, one = Net("graph").eval(), graph()
    other = Data(x=one.x[:3], edge_index=torch.tensor([[0, 1], [2, 2]]))
    other.edge_weight = torch.ones(2)
    found = gg.explain(model, [one, other], Degrees(), "graph", progress=False)
    assert found[1].edge_mask.tolist() == [2, 2]
    assert found[1].node_score.tolist() == [0, 0, 2]
    assert found[0].edge_mask.size(0) == 7


def test_heterogeneous() -> None:
    task = gg.Task("node", "regression", node_type=models.PAPER)
    data = models.papers()
    model = models.ready(
        models.Hetero("SAGEConv, to_hetero", task), data.x_dict, data.edge_index_dict
    )
    (found,) = gg.explain(model, data, Degrees(), task, index=[2], progress=False)
    for position, (kind, number) in enumerate(
        zip(found.local.edge_type, found.local.edge_id.tolist(), strict=True)
    ):
        assert found.local.edge_score[position] == number, kind
    torch.testing.assert_close(found.local.node_score, found.local.node_id.float())
    ask = {"task": task, "index": [2], "progress": False}
    if torch_geometric.__version__ < "2.7":  # what PyG cannot do is told in its words
        with pytest.raises(PyGAlgorithmError, match="Heterogeneous graphs not yet supported"):
            gg.explain(model, data, GNNExplainer(epochs=2), **ask)
        return
    (learned,) = gg.explain(model, data, GNNExplainer(epochs=2), **ask)
    assert bool(learned.local.edge_score.any())


@pytest.mark.parametrize("returns", ["raw", "probs", "log_probs"])
def test_two_classes_in_one_column(returns: str) -> None:
    """Captum's Saliency of a probability, whatever the model returns; PyG refuses raw ones."""

    class Binary(Net):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:  # type: ignore[override]
            out = super().forward(x, edge_index)
            finish = {"raw": lambda x: x, "probs": torch.sigmoid}
            return finish.get(returns, nn.functional.logsigmoid)(out)

    torch.manual_seed(3)
    model, data = Binary("node", 1).eval(), graph()
    task = gg.Task("node", "binary_classification", returns)  # type: ignore[arg-type]
    algorithm = CaptumExplainer("Saliency")
    if returns == "raw":
        with pytest.raises(PyGAlgorithmError, match="'return_type' to be 'probs' for binary"):
            gg.explain(model, data, algorithm, task, index=[3], progress=False)
        return
    for target in (0, 1):
        (found,) = gg.explain(
            model, data, algorithm, task, index=[3], target=target, progress=False
        )
        x = data.x.clone().requires_grad_()
        out = model(x, data.edge_index)[3]
        probability = out.exp() if returns == "log_probs" else out
        (gradient,) = torch.autograd.grad(probability.sum(), x)
        torch.testing.assert_close(found.node_mask, gradient.abs())


def test_a_column_of_several_values() -> None:
    """Of which PyG knows nothing."""
    model, data = Net("node", 4).eval(), graph()
    (found,) = gg.explain(
        model,
        data,
        CaptumExplainer("Saliency"),
        gg.Task("node", "regression"),
        index=[3],
        target=2,
        progress=False,
    )
    x = data.x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(x, data.edge_index, data.edge_weight)[3, 2], x)
    torch.testing.assert_close(found.node_mask, gradient.abs())


def test_links() -> None:
    task = gg.Task("edge", "binary_classification", "probs")
    torch.manual_seed(3)
    model, data = models.GCN(task).eval(), models.small()
    (found,) = gg.explain(model, data, CaptumExplainer("Saliency"), task, index=[2], progress=False)
    x = data.x.clone().requires_grad_()
    out = model(x, data.edge_index, data.batch, data.edge_label_index)[2]
    (gradient,) = torch.autograd.grad(out.sum(), x)
    torch.testing.assert_close(found.node_mask, gradient.abs())


def test_words_of_integers_get_no_mask() -> None:
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.net = nn.Embedding(9, 3), Net("node")

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.net(self.words(x.view(-1)), edge_index)

    data = graph()
    data.x = torch.arange(5).view(-1, 1)
    (found,) = gg.explain(Words(), data, GNNExplainer(epochs=2), index=[3], progress=False)
    assert found.local.feature_score is None
    assert bool(found.edge_mask.any())


# As a method everywhere


def test_benchmarks_and_reports(tmp_path: Path) -> None:
    model, data = Net("node").eval(), graph()
    two = [DummyExplainer(), "random", gg.from_pyg(DummyExplainer(), name="another")]
    result = gg.benchmark(model, data, two, ["sparsity"], task="node", index=[1, 3])
    names = {"pyg_dummy_explainer", "random", "another"}
    assert names <= set(result.frame()["method"])
    found = gg.explain(model, data, DummyExplainer(), index=[1, 3], progress=False)
    assert found.to_html(tmp_path / "report.html").exists()
    loaded = gg.Explanations.load(found.save(tmp_path / "saved"))
    assert loaded.method == "pyg_dummy_explainer"
    with pytest.raises(SuiteError, match="two are named 'pyg_dummy_explainer'"):
        gg.benchmark(model, data, [DummyExplainer(), DummyExplainer()], ["sparsity"], task="node")


def test_registered_by_a_name() -> None:
    model, data = Net("node").eval(), graph()
    gg.register(gg.from_pyg(Degrees(), name="degrees"))
    try:
        found = gg.explain(model, data, "degrees", index=[3], progress=False)
        assert found.provenance["hyper_parameters"]["algorithm"] == "Degrees"
        assert found.provenance["hyper_parameters"]["width"] == 1
    finally:
        unregister("degrees")


def test_the_algorithm_and_the_log_are_left_alone(capsys: Any) -> None:
    algorithm, before = GNNExplainer(epochs=1), list(logging.getLogger().handlers)
    model, data = Net("node").eval(), graph()
    gg.explain(model, data, algorithm, index=[3], progress=False)
    gg.explain(model, data, Degrees(), index=[3], progress=False)
    with pytest.raises(ValueError, match="not yet connected"):
        _ = algorithm.explainer_config
    assert not dict(algorithm.named_parameters())
    assert logging.getLogger().handlers == before
    assert capsys.readouterr().err == ""


# What is refused


class Wrong(Degrees):
    def forward(self, model: Any, x: Any, edge_index: Any, **_: Any) -> Any:  # type: ignore[override]
        if self.width == 0:
            raise KeyError("no such thing")
        return Explanation(edge_mask=torch.ones(self.width))


def test_what_goes_wrong_has_a_name() -> None:
    model, data = Net("node").eval(), graph()

    def explain(algorithm: Any, **given: Any) -> Any:
        return gg.explain(model, data, algorithm, index=[3], progress=False, **given)

    with pytest.raises(PyGAlgorithmError, match="PyG's Wrong failed: KeyError: 'no such thing'"):
        explain(Wrong(0))
    with pytest.raises(PyGAlgorithmError, match="edge_mask of 2 rows; expected 7"):
        explain(Wrong(2))
    with pytest.raises(PyGAlgorithmError, match="not yet fully trained"):
        explain(PGExplainer(epochs=3))
    with pytest.raises(PyGAlgorithmError, match=r"supports none of .*: 'Degrees' scores nodes"):
        explain(Degrees(), node_mask_type="none")
    with pytest.raises(TargetError, match="PyG explains one class, not a pair"):
        explain(Degrees(), target=(0, 1))
    task = gg.Task("graph", rows="nodes")
    with pytest.raises(UnsupportedModelError, match="one row of a model's output"):
        gg.explain(model, data, DummyExplainer(), task, progress=False)
    with pytest.raises(MethodDefinitionError, match="from_pyg takes an algorithm"):
        gg.from_pyg("gnn_explainer")  # type: ignore[arg-type]
    with pytest.raises(MethodDefinitionError, match="in lower case"):
        gg.from_pyg(Degrees(), name="My Method")(model)
