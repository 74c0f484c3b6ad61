"""The rest of PyG's tests: learned and attention explainers, results, thresholds and metrics."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from torch import nn
from torch_geometric.explain import (
    DummyExplainer,
    Explainer,
    characterization_score,
    fidelity_curve_auc,
    unfaithfulness,
)
from torch_geometric.nn import AttentiveFP, ChebConv

import glassgraph as gg
from glassgraph.errors import LabelsMissingError, NotFittedError
from glassgraph.metrics import fidelity, ground_truth_accuracy
from tests.situations import pyg_models as models
from tests.situations.pyg_cases import (
    INDICES,
    LEVELS,
    MODES,
    REASONS,
    Case,
    Subject,
    captum_cases,
    explain,
    gcn,
    gnn_cases,
    hetero,
    in_unit_interval,
    special_cases,
    takes_no_mask,
)

BINARY: Any = "binary_classification"
MULTI: Any = "multiclass_classification"


def edges_in_unit_interval(found: gg.Explanations) -> None:
    for each in found:
        stores = each.edge_stores if isinstance(each, gg.HeteroExplanation) else [each]
        for store in stores:
            in_unit_interval(store.edge_mask, (store.edge_index.size(1),))
        assert "node_mask" not in each.available_explanations


# PGExplainer


def pg_explainer(make: Any, key: Any) -> None:
    """Refused before it is fitted; afterwards every edge has a probability."""
    subject = make(*key)
    new = gg.PGExplainer(subject.model, subject.task, call=subject.call, progress=False, epochs=2)
    with pytest.raises(NotFittedError):
        new.explain(subject.data, 0)
    edges_in_unit_interval(explain(make, key, "pg_explainer", 0, epochs=2))


def explains_links() -> None:
    """PyG's does not."""
    key = (gg.Task("edge", mode=BINARY), "chain", 1)
    edges_in_unit_interval(explain(gcn, key, "pg_explainer", 0, epochs=2))


def pg_cases() -> Iterator[Case]:
    for mode, level in itertools.product((BINARY, MULTI, "regression"), ("node", "graph")):
        task = gg.Task(level, mode=mode)  # type: ignore[arg-type]
        check = partial(pg_explainer, gcn, (task, "chain", 1))
        yield Case("PGExplainer", f"{mode}-{level}", check)
        for body in ("SAGEConv, to_hetero", "HGTConv", "HANConv", "HeteroConv"):
            if mode == "regression" and body != "SAGEConv, to_hetero":
                continue
            node_type = models.PAPER if level == "node" else None
            typed = gg.Task(level, mode=mode, node_type=node_type)  # type: ignore[arg-type]
            check = partial(pg_explainer, hetero, (body, typed))
            yield Case("PGExplainer, heterogeneous", f"{body}-{mode}-{level}", check)
    yield Case("PGExplainer", "supports-links", explains_links)
    predicted = partial(pg_explainer, gcn, (gg.Task("node", mode=BINARY), "chain", 1))
    yield Case("PGExplainer", "supports-model", predicted)
    yield Case(
        "PGExplainer", "supports-node-mask", partial(takes_no_mask, "pg_explainer", "object")
    )


# Attention, layers in the place of models


@cache
def layer(name: str) -> Subject:
    """ChebConv by itself, AttentiveFP with its edge features, three kinds of attention."""
    torch.manual_seed(12)
    if name == "AttentiveFP":
        model: nn.Module = AttentiveFP(3, 16, 1, edge_dim=5, num_layers=2, num_timesteps=2)
        return Subject(model, models.chain(), gg.Task("graph", mode=BINARY), _with_edges)
    if name == "ChebConv":
        model = ChebConv(models.FEATURES, 1, K=2)
        return Subject(model, models.chain(), gg.Task("node", mode=BINARY), _alone)
    return Subject(models.Attentive(), models.chain(), gg.Task("node"), _alone)


def _with_edges(model: nn.Module, data: Any) -> Any:
    return model(data.x, data.edge_index, data.edge_attr, data.batch)


def _alone(model: nn.Module, data: Any) -> Any:
    return model(data.x, data.edge_index)


def attention(make: Any, key: Any, index: str) -> None:
    edges_in_unit_interval(explain(make, key, "attention", INDICES[index]))


def on_a_layer(name: str) -> None:
    found = explain(layer, (name,), "gnn_explainer", None, epochs=2, feature_mask="object")
    for each in found:
        in_unit_interval(each.edge_mask, (each.edge_index.size(1),))
        in_unit_interval(each.node_score, (each.num_nodes,))


def attention_cases() -> Iterator[Case]:
    typed = gg.Task("node", node_type=models.PAPER)
    for index in INDICES:
        for name, make, key in (
            ("three kinds", layer, ("attention",)),
            ("to_hetero", hetero, ("attention, to_hetero", typed)),
            ("HeteroConv", hetero, ("attention, HeteroConv", typed)),
        ):
            yield Case(
                "AttentionExplainer", f"{name}-{index}", partial(attention, make, key, index)
            )
    check = partial(attention, layer, ("AttentiveFP",), "all")
    yield Case("AttentionExplainer", "AttentiveFP", check)
    for form, reason in itertools.product(("object", "common_attributes", "attributes"), REASONS):
        refuses = partial(takes_no_mask, "attention", form)
        yield Case("AttentionExplainer", f"supports-{form}-{reason}", refuses)
    for name in ("ChebConv", "AttentiveFP"):
        yield Case("GNNExplainer", name, partial(on_a_layer, name))


# GraphMask


def graphmask(key: Any, reason: str, index: str) -> None:
    """Scores of edges at each layer; PyG's has a mask of features beside, the paper has none."""
    settings = {"steps": 12, "tolerance": 1e9, "max_changed": 1.0}
    found = explain(gcn, key, "graphmask", INDICES[index], reason, **settings)
    edges_in_unit_interval(found)
    for each in found:
        in_unit_interval(each.layer_edge_mask, (2, each.edge_index.size(1)))


def graphmask_cases() -> Iterator[Case]:
    grid = itertools.product(MODES, LEVELS, REASONS, INDICES)
    for (mode, returns), level, reason, index in grid:
        key = (gg.Task(level, mode=mode, return_type=returns), "chain", 1)
        check = partial(graphmask, key, reason, index)
        yield Case("GraphMaskExplainer", "-".join((mode, returns, level, reason, index)), check)


# Explainer: predictions, targets, thresholds

_PLAIN = (gg.Task("graph", mode="regression"), "chain", 1)
_TYPED = ("HGTConv", gg.Task("graph", mode="regression"))
_GRAPHS = {"homogeneous": (gcn, _PLAIN), "heterogeneous": (hetero, _TYPED)}
#: Methods that score nodes, and each feature of each node.
_WITH_NODES = {"object": "random", "attributes": "saliency"}


def target(kind: str, reason: str, is_given: bool) -> None:
    """A regression explains its own value, whatever the label; without labels there is no class."""
    make, key = _GRAPHS[kind]
    found = explain(make, key, "random", 0, reason)
    for store in found[0].node_stores if kind != "homogeneous" else [found[0]]:
        assert store.node_mask.size(0) == store.x.size(0)
    if reason == "phenomenon" and not is_given:
        subject = gcn(gg.Task("graph", mode=BINARY), "chain", 1)
        with pytest.raises(LabelsMissingError):
            gg.explain(subject.model, subject.data, "random", subject.task, target="label")


def threshold(kind: str, how: str, value: float, form: str) -> None:
    """PyG's thresholds on our explanations."""
    make, key = _GRAPHS[kind]
    (found,) = explain(make, key, _WITH_NODES[form], [0])
    cut = found.threshold(how, value)
    assert {"node_mask", "edge_mask"} <= set(cut.available_explanations)
    for name in ("node_mask", "edge_mask"):
        before = found.collect(name).values() if kind != "homogeneous" else [found[name]]
        after = cut.collect(name).values() if kind != "homogeneous" else [cut[name]]
        for old, new in zip(before, after, strict=True):
            if how == "hard":
                assert torch.equal(new, (old > value).to(new.dtype))
            else:
                kept = min(int(value), old.numel(), int((old != 0).sum()))
                assert int((new > 0).sum()) >= min(kept, int((old > 0).sum()))
                assert how == "topk" or set(new.unique().tolist()) <= {0, 1}


def explainer_cases() -> Iterator[Case]:
    for kind in _GRAPHS:
        yield Case("Explainer", f"{kind}-prediction", partial(target, kind, "model", False))
        for reason, is_given in itertools.product(REASONS, (False, True)):
            check = partial(target, kind, reason, is_given)
            yield Case("Explainer", f"{kind}-{reason}-{is_given}", check)
        for form in _WITH_NODES:
            for value in (0.2, 0.5, 0.8):
                check = partial(threshold, kind, "hard", value, form)
                yield Case("Explainer", f"{kind}-hard-{value}-{form}", check)
            for how, top in itertools.product(("topk", "topk_hard"), (1, 5, 10)):
                check = partial(threshold, kind, how, top, form)
                yield Case("Explainer", f"{kind}-{how}-{top}-{form}", check)


# Explanation


_AVAILABLE: dict[tuple[str | None, str | None], tuple[str, dict[str, Any]]] = {
    (None, "object"): ("positive_gradients", {}),
    ("object", "object"): ("random", {}),
    ("common_attributes", "object"): (
        "gnn_explainer",
        {"epochs": 2, "feature_mask": "common_attributes"},
    ),
    ("attributes", "object"): ("saliency", {}),
    ("attributes", None): (
        "integrated_gradients",
        {"steps": 2, "on": "features", "tolerance": 1e9},
    ),
}


def available(kind: str, masks: tuple[str | None, str | None]) -> None:
    make, key = _GRAPHS[kind]
    method, settings = _AVAILABLE[masks]
    (found,) = explain(make, key, method, [0], **settings)
    names = {name for name in found.available_explanations if name != "layer_edge_mask"}
    wanted = zip(("node_mask", "edge_mask"), masks, strict=True)
    assert names == {name for name, mask in wanted if mask is not None}


def is_validated(kind: str) -> None:
    """PyG's own check: of ours nothing is wrong; of a spoiled one it finds what."""
    make, key = _GRAPHS[kind]
    (found,) = explain(make, key, "saliency", [0])
    if kind == "homogeneous":
        found.x = torch.randn(5, 5)
    else:
        found[models.PAPER].x = torch.randn(8, 5)
    with pytest.raises(ValueError, match="with 5"):
        found.validate(raise_on_error=True)


def parts(kind: str, method: str) -> None:
    """The explanation and its complement share out what has a score and what has none."""
    make, key = _GRAPHS[kind]
    (found,) = explain(make, key, method, [0])
    inside, outside = found.get_explanation_subgraph(), found.get_complement_subgraph()
    pairs = [(found, inside, outside)]
    if kind != "homogeneous":
        pairs = [(found[each], inside[each], outside[each]) for each in found.edge_types]
    for all_, one, other in pairs:
        assert bool((one.edge_mask > 0).all())
        assert int((all_.edge_mask > 0).sum()) >= one.edge_index.size(1)
        assert not bool((other.edge_mask > 0).any())


def is_drawn(kind: str, form: str, top: int | None) -> None:
    make, key = _GRAPHS[kind]
    method = "saliency" if form == "attributes" else "positive_gradients"
    (found,) = explain(make, key, method, [0])
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of matplotlib, about layouts
        path = Path(folder) / "drawn.png"
        if form == "none":
            with pytest.raises((ValueError, KeyError), match="node_mask"):
                found.visualize_feature_importance(str(path), top_k=top)
        else:
            found.visualize_feature_importance(str(path), top_k=top)
            assert path.exists()


def graph_is_drawn(kind: str) -> None:
    make, key = _GRAPHS[kind]
    (found,) = explain(make, key, "random", [0])
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "drawn.png"
        if kind == "homogeneous":
            found.visualize_graph(str(path), backend="networkx")
        else:
            found.visualize_graph(str(path))
        assert path.exists()


def explanation_cases() -> Iterator[Case]:
    for kind in _GRAPHS:
        for masks in _AVAILABLE:
            check = partial(available, kind, masks)
            yield Case("Explanation", f"{kind}-available-{masks[0]}-{masks[1]}", check)
        yield Case("Explanation", f"{kind}-validate", partial(is_validated, kind))
        for method in ("random", "positive_gradients"):
            yield Case("Explanation", f"{kind}-parts-{method}", partial(parts, kind, method))
        for form, top in itertools.product(("none", "attributes"), (2, None)):
            yield Case(
                "Explanation", f"{kind}-features-{form}-{top}", partial(is_drawn, kind, form, top)
            )
        yield Case("Explanation", f"{kind}-drawing", partial(graph_is_drawn, kind))


# Metrics


def pyg_unfaithfulness(method: str, reason: str, returns: Any, top_k: int | None) -> None:
    """PyG's metric reads our explanations."""
    task = gg.Task("node", return_type=returns)
    subject = gcn(task, "chain", 1)
    (found, *_) = explain(gcn, (task, "chain", 1), method, torch.arange(4), reason)
    explainer = Explainer(
        subject.model,
        algorithm=DummyExplainer(),
        explanation_type=reason,
        node_mask_type="attributes" if method == "saliency" else "object",
        edge_mask_type="object",
        model_config={"mode": MULTI, "task_level": "node", "return_type": returns},
    )
    assert 0 <= float(unfaithfulness(explainer, found, top_k)) <= 1


def no_fidelity_where_edges_do_nothing(reason: str) -> None:
    """A model that looks at each node alone: nothing is necessary, and nothing is needed."""
    torch.manual_seed(1)
    model, data, task = _Deaf(), models.chain(), gg.Task("node")
    wanted = None if reason == "model" else torch.tensor([1, 2, 0, 1])
    found = gg.explain(model, data, "random", task, index=torch.arange(4), target=wanted)
    for row in fidelity(found, model, data, top_k=2).means():
        assert row["fidelity_plus"] == row["fidelity_minus"] == 0.0


class _Deaf(nn.Module):
    """Its messages are sent, and come to nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = ChebConv(models.FEATURES, models.FEATURES, K=2)

    def forward(self, x: Any, edge_index: Any) -> Any:
        return x + 0 * self.conv(x, edge_index)


def characterization() -> None:
    values = [torch.tensor([1.0, 0.6, 0.5, 1.0]), torch.tensor([0.0, 0.2, 0.5, 1.0])]
    assert characterization_score(*values, 0.2, 0.8).tolist() == [1.0, 0.75, 0.5, 0.0]


def area() -> None:
    values = torch.tensor([1.0, 1.0, 0.5, 1.0]), torch.tensor([0.0, 0.5, 0.5, 0.9])
    assert float(fidelity_curve_auc(*values, torch.arange(4))) == pytest.approx(8.5)


def truth(kind: str) -> None:
    """Held against anything, against the best edges themselves, and without a true edge."""
    subject = gcn(gg.Task("node"), "chain", 1)
    score = gg.explain(subject.model, subject.data, "random", subject.task, index=[3])[0].edge_mask
    best = score >= score.topk(3).values.min()
    anything = torch.arange(score.numel()) % 2 == 0
    data = subject.data.clone()
    truths = {"anything": anything, "the same": best, "nothing": best & False}
    data.ground_truth_edge_mask = truths[kind]
    found = gg.explain(subject.model, data, "random", subject.task, index=[3])
    result = ground_truth_accuracy(found)
    values = (result.auc, result.average_precision, result.precision_at_k, result.recall_at_k)
    if kind == "nothing":
        assert values == (None, None, None, None)
    else:
        assert all(each is not None and 0 <= each <= 1 for each in values)
        assert kind == "anything" or values == (1.0, 1.0, 1.0, 1.0)


def metric_cases() -> Iterator[Case]:
    grid = itertools.product(
        ("random", "saliency"), REASONS, ("raw", "probs", "log_probs"), (None, 2)
    )
    for method, reason, returns, top_k in grid:
        if method == "random" and top_k is not None:
            continue  # PyG's metric takes the best features, which a mask of nodes has not
        check = partial(pyg_unfaithfulness, method, reason, returns, top_k)
        yield Case("metrics", f"unfaithfulness-{method}-{reason}-{returns}-{top_k}", check)
    for reason in REASONS:
        check = partial(no_fidelity_where_edges_do_nothing, reason)
        yield Case("metrics", f"fidelity-{reason}", check)
    yield Case("metrics", "characterization", characterization)
    yield Case("metrics", "area", area)
    for kind in ("anything", "the same", "nothing"):
        yield Case("metrics", f"truth-{kind}", partial(truth, kind))


def every_case() -> list[Case]:
    """All of them."""
    made = (
        gnn_cases,
        captum_cases,
        special_cases,
        pg_cases,
        attention_cases,
        graphmask_cases,
        explainer_cases,
        explanation_cases,
        metric_cases,
    )
    return [case for cases in made for case in cases()]
