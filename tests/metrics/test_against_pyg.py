"""The same inputs in PyG's metrics and in ours: 200 random cases, equal to 1e-6."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score, roc_auc_score
from torch import Tensor
from torch_geometric.explain import DummyExplainer, Explainer, Explanation
from torch_geometric.explain import metric as pyg

import glassgraph as gg
from glassgraph.errors import UnknownMetricError
from glassgraph.metrics import (
    characterization_score,
    fidelity_curve_auc,
    groundtruth_metrics,
    soft_fidelity,
    unfaithfulness,
)
from tests.metrics.scenes import CLASSES, FEATURES, TwoLayers, random_graph

GRAPHS, EACH = 25, 8


class Masked(gg.Explainer):
    """Random masks: of edges, and of features or nodes or neither."""

    name = "masked"
    traits = gg.Traits(
        family="baseline", scores=("edge", "node", "feature"), is_black_box=True, is_random=True
    )

    def attribute(self, batch: Any) -> gg.Attribution:
        generator = torch.Generator().manual_seed(self.seed)
        edge, node, feature = (
            torch.rand(*size, generator=generator, dtype=batch.dtype)
            for size in ((batch.num_edges,), (batch.num_nodes,), (batch.num_nodes, FEATURES))
        )
        # A method may have scores of features, and then those of nodes are their sums.
        if self.seed % 2:
            return gg.Attribution(edge=edge, node=node)
        return gg.Attribution(edge=edge, node=feature.sum(dim=1), feature=[feature])


@cache
def case(seed: int) -> tuple[TwoLayers, Any, gg.Explanations, list[Any]]:
    """A model, its data, our explanations, and PyG's."""
    kind = ("gcn", "gin", "gat")[seed % 3]
    level = "graph" if seed % 4 == 3 else "node"
    model = TwoLayers(kind, level).eval()
    if level == "graph":
        data: Any = [random_graph(seed + i, nodes=7, edges=19) for i in range(EACH)]
        for each in data:
            each.y = each.y[:1]
    else:
        data = random_graph(seed, nodes=11, edges=37)
    run = Masked(model, level, seed=seed, progress=False).explain(data, list(range(EACH)))
    explainer = Explainer(
        model,
        DummyExplainer(),
        explanation_type="model",
        node_mask_type="object" if seed % 2 else "attributes",
        edge_mask_type="object",
        model_config={
            "mode": "multiclass_classification",
            "task_level": level,
            "return_type": "raw",
        },
    )
    theirs = []
    for i in range(EACH):
        own, graph = run[i], data[i] if level == "graph" else data
        with torch.no_grad():
            prediction = model(graph.x, graph.edge_index)
        made = Explanation(
            x=graph.x,
            edge_index=graph.edge_index,
            node_mask=own.node_mask.double(),
            edge_mask=own.edge_mask.double(),
            prediction=prediction,
            target=prediction.argmax(dim=-1),
        )
        if level == "node":
            made.index = torch.tensor([i])
        made._model_args = []  # what PyG's own explainer sets
        theirs.append((explainer, made))
    return model, data, run, theirs


@pytest.mark.parametrize("seed", range(GRAPHS))
def test_unfaithfulness_and_fidelity_under_soft_masks(seed: int) -> None:
    model, data, run, theirs = case(seed)
    (found,) = unfaithfulness(run, model, data, direction="code")
    expected = [pyg.unfaithfulness(*each) for each in theirs]
    assert found.values is not None
    assert found.values.tolist() == pytest.approx(expected, abs=1e-6)
    plus, minus = soft_fidelity(run, model, data)
    both = torch.tensor([pyg.fidelity(*each) for each in theirs])
    assert plus.values is not None
    assert minus.values is not None
    assert plus.values.tolist() == both[:, 0].tolist()
    assert minus.values.tolist() == both[:, 1].tolist()


@pytest.mark.parametrize("seed", range(0, GRAPHS, 2))
def test_unfaithfulness_of_the_best_features(seed: int) -> None:
    model, data, run, theirs = case(seed)
    (found,) = unfaithfulness(run, model, data, top_k=2, direction="code")
    expected = [pyg.unfaithfulness(*each, top_k=2) for each in theirs]
    assert found.values is not None
    assert found.values.tolist() == pytest.approx(expected, abs=1e-6)
    assert found.level == "top2"


def test_the_definition_runs_the_other_way() -> None:
    model, data, run, _ = case(0)
    code, definition = (
        unfaithfulness(run, model, data, direction=way)[0].values for way in ("code", "definition")
    )
    assert code is not None
    assert definition is not None
    assert not torch.allclose(code, definition)


@pytest.mark.parametrize("seed", range(200))
def test_scores_of_curves_and_masks(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)

    def drawn(size: int) -> Tensor:
        return torch.rand(size, generator=generator, dtype=torch.float64) * 0.98 + 0.01

    plus, minus, weight = drawn(7), drawn(7), float(drawn(1))
    ours = characterization_score(plus, minus, weight, 1 - weight)
    if weight + (1 - weight) == 1.0:  # PyG asks for this in floating point
        theirs = pyg.characterization_score(plus, minus, weight, 1 - weight)
        assert torch.allclose(ours, theirs, atol=1e-6)
    points = drawn(7).sort().values
    areas = [area(plus, minus, points) for area in (fidelity_curve_auc, pyg.fidelity_curve_auc)]
    assert float(areas[0]) == pytest.approx(float(areas[1]), abs=1e-6)
    mask, truth = drawn(13), drawn(13) > 0.6
    truth[:2] = torch.tensor([True, False])
    hard = mask > 0.5
    expected = [
        accuracy_score(truth, hard),
        recall_score(truth, hard, zero_division=0),
        precision_score(truth, hard, zero_division=0),
        f1_score(truth, hard, zero_division=0),
        roc_auc_score(truth, mask),
    ]
    assert groundtruth_metrics(mask, truth.double()) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_metrics_of_masks_are_those_of_torchmetrics(seed: int) -> None:
    pytest.importorskip("torchmetrics")  # PyG's own function needs it
    generator = torch.Generator().manual_seed(seed)
    mask, truth = torch.rand(2, 13, generator=generator)
    theirs = pyg.groundtruth_metrics(mask, truth)
    assert groundtruth_metrics(mask, truth) == pytest.approx(theirs, abs=1e-6)


def test_of_an_integer_index_pyg_divides_by_the_number_of_classes() -> None:
    model, data, run, theirs = case(0)
    explainer, made = theirs[3]
    made = made.clone()
    made.index = 3  # a row [C], whose first dimension "batchmean" takes for the batch
    (found,) = unfaithfulness(run, model, data, direction="code")
    assert found.values is not None
    kl = -torch.log(1 - found.values[3])
    assert pyg.unfaithfulness(explainer, made) == pytest.approx(
        float(1 - torch.exp(-kl / CLASSES)), abs=1e-6
    )


def test_where_pyg_divides_by_zero() -> None:
    zero, half = torch.tensor(0.0), torch.tensor(0.5)
    assert float(pyg.characterization_score(zero, half)) == 0  # by way of 1 / inf
    assert float(characterization_score(zero, half)) == 0
    assert float(characterization_score(torch.tensor(-0.1), half)) == 0
    assert float(characterization_score(half, torch.tensor(1.0))) == 0
    with pytest.raises(UnknownMetricError, match="fid- is 1"):
        fidelity_curve_auc(half.view(1), torch.ones(1), half.view(1))
    with pytest.raises(UnknownMetricError, match="ascending"):
        fidelity_curve_auc(torch.rand(2), torch.rand(2), torch.tensor([1.0, 0.0]))
    with pytest.raises(UnknownMetricError, match="sum to 1"):
        characterization_score(half, half, 0.5, 0.6)


def test_masks_of_other_sizes_and_unknown_metrics_are_named() -> None:
    with pytest.raises(UnknownMetricError, match="3 and 2 entries"):
        groundtruth_metrics(torch.rand(3), torch.rand(2))
    with pytest.raises(UnknownMetricError, match="unknown metric 'auc'"):
        groundtruth_metrics(torch.rand(3), torch.rand(3), "auc")
    assert groundtruth_metrics(torch.tensor([1.0]), torch.tensor([1.0]), "recall") == 1
