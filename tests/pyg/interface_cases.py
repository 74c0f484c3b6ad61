"""PyG's own tests of explainers with `gg.as_pyg` in the place of PyG's algorithms.

`tests.situations.pyg_cases` asks the same questions of `gg.explain`. Here ``Explainer`` of PyG asks
them: its checks of settings, of targets and of masks run, and what comes out is its explanation. A
single index has to give the scores of `gg.explain`, bit for bit the same model stays behind.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.explain import Explainer, Explanation, fidelity, unfaithfulness

import glassgraph as gg
from glassgraph.errors import PyGAlgorithmError
from tests.coverage.literal import unchanged
from tests.situations import pyg_models as models
from tests.situations.pyg_cases import (
    CAPTUM,
    EDGE_MASKS,
    INDICES,
    LEVELS,
    MASK_PAIRS,
    MODES,
    NODE_MASKS,
    REASONS,
    TWO_INDICES,
    Case,
    Subject,
    gcn,
    hetero,
    in_unit_interval,
    two_hetero,
)
from tests.situations.pyg_further_cases import layer

Masks = tuple[str, str]


def every_case() -> list[Case]:
    """All of them, in a fixed order."""
    kinds = (
        gnn_cases,
        captum_cases,
        typed_captum_cases,
        pg_cases,
        attention_cases,
        graphmask_cases,
        explainer_cases,
        metric_cases,
    )
    return list(itertools.chain.from_iterable(kind() for kind in kinds))


# What is asked, and what has to hold


def pyg_explainer(
    subject: Subject, algorithm: Any, masks: Masks, reason: str, **given: Any
) -> Explainer:
    node, edge = (None if mask == "none" else mask for mask in masks)
    task = subject.task
    return Explainer(
        subject.model,
        algorithm,
        explanation_type=reason,
        node_mask_type=node,
        edge_mask_type=edge,
        model_config={
            "mode": task.mode,
            "task_level": task.level,
            "return_type": task.return_type,
        },
        **given,
    )


def inputs(subject: Subject) -> tuple[Any, Any, dict[str, Any]]:
    """What PyG's tests call the model with."""
    data = subject.data
    if hasattr(data, "x_dict"):
        more: dict[str, Any] = {}
        if subject.task.level == "graph" and isinstance(subject.model, models.TwoHetero):
            more["batch_info"] = {kind: data[kind].batch for kind in data.node_types}
        return data.x_dict, data.edge_index_dict, more
    if isinstance(subject.model, models.GCN):
        more = {"batch": data.batch, "edge_label_index": data.edge_label_index}
    elif subject.task.level == "graph":
        more = {"edge_attr": data.edge_attr, "batch": data.batch}
    else:
        more = {}
    return data.x, data.edge_index, more


def asked(
    make: Callable[..., Subject],
    key: Any,
    method: str,
    masks: Masks,
    index: Any,
    reason: str = "model",
    **settings: Any,
) -> Any:
    """The explanation, after what holds of all."""
    subject = make(*key)
    algorithm = gg.as_pyg(method, **settings)
    explainer = pyg_explainer(subject, algorithm, masks, reason)
    x, edges, more = inputs(subject)
    target = None
    if reason == "phenomenon":
        target = explainer.get_target(explainer.get_prediction(x, edges, **more))
    with unchanged(subject.model):
        found = explainer(x, edges, target=target, index=index, **more)
    assert found.validate(raise_on_error=True)
    for name, kind in zip(("node_mask", "edge_mask"), masks, strict=True):
        assert (name in found.available_explanations) == (kind != "none")
    assert algorithm.explanations is not None
    if isinstance(index, int):
        assert len(algorithm.explanations) == 1
    _are_the_scores(found, list(algorithm.explanations))
    return found


def _are_the_scores(found: Any, each: list[Any]) -> None:
    """The mean of the explanations, which those of a single index are themselves."""
    if isinstance(found, Explanation):
        pairs = [(found, each)]
    else:
        kinds = [*found.node_types, *found.edge_types]
        if any(one[kinds[0]].num_nodes != found[kinds[0]].num_nodes for one in each):
            return  # of graphs side by side, see test_as_pyg
        pairs = [(found[kind], [one[kind] for one in each]) for kind in kinds]
    for store, ones in pairs:
        if "edge_mask" in store:
            mean = torch.stack([one.edge_mask for one in ones]).mean(dim=0)
            torch.testing.assert_close(store.edge_mask, mean)
        if "node_mask" in store and store.node_mask.size(1) > 1:
            mean = torch.stack([one.node_mask for one in ones]).mean(dim=0)
            torch.testing.assert_close(store.node_mask, mean)


def _stores(found: Any) -> tuple[list[Any], list[Any]]:
    if isinstance(found, Explanation):
        return [found], [found]
    return found.node_stores, found.edge_stores


# GNNExplainer


def gnn_explainer(make: Any, key: Any, masks: Masks, reason: str, index: str) -> None:
    found = asked(make, key, "gnn_explainer", masks, INDICES[index], reason, epochs=2)
    nodes, edges = _stores(found)
    for store in nodes:
        shape = (store.x.size(0), 1) if masks[0] == "object" else tuple(store.x.shape)
        in_unit_interval(store.node_mask, shape)
    for store in edges:
        if masks[1] != "none":
            in_unit_interval(store.edge_mask, (store.edge_index.size(1),))


def gnn_cases() -> Iterator[Case]:
    grid = list(itertools.product(NODE_MASKS, EDGE_MASKS, REASONS, INDICES))
    for (mode, returns), level in itertools.product(MODES, LEVELS):
        key = (gg.Task(level, mode=mode, return_type=returns), "chain", 1)
        for node, edge, reason, index in grid:
            check = partial(gnn_explainer, gcn, key, (node, edge), reason, index)
            name = "-".join((mode, returns, level, node, edge, reason, index))
            yield Case("GNNExplainer", name, check)
    for mode, returns in MODES:
        task = gg.Task("node", mode=mode, return_type=returns, node_type=models.PAPER)
        for node, edge, reason, index in grid:
            key = ("SAGEConv, to_hetero", task)
            check = partial(gnn_explainer, hetero, key, (node, edge), reason, index)
            name = "-".join((mode, returns, node, edge, reason, index))
            yield Case("GNNExplainer, heterogeneous", name, check)
    for name in ("ChebConv", "AttentiveFP"):
        masks = ("object", "object")
        check = partial(asked, layer, (name,), "gnn_explainer", masks, None, epochs=2)
        yield Case("GNNExplainer", name, check)


# Captum's methods


def captum(make: Any, key: Any, name: str, masks: Masks, index: str) -> None:
    method, settings = CAPTUM[name]
    found = asked(make, key, method, masks, TWO_INDICES[index], **settings)
    nodes, edges = _stores(found)
    for store in nodes if masks[0] != "none" else []:
        assert store.node_mask.shape == store.x.shape
        assert bool(torch.isfinite(store.node_mask).all())
    for store in edges if masks[1] != "none" else []:
        assert store.edge_mask.shape == (store.edge_index.size(1),)
        assert bool(torch.isfinite(store.edge_mask).all())


def captum_cases() -> Iterator[Case]:
    grid = list(itertools.product(LEVELS, MASK_PAIRS, ("1", "0 and 1")))
    for mode in ("binary_classification", "multiclass_classification"):
        names = CAPTUM if mode[0] == "m" else ["IntegratedGradients"]
        for name, (level, masks, index) in itertools.product(names, grid):
            key = (gg.Task(level, mode=mode, return_type="probs"), "small", 1)  # type: ignore[arg-type]
            words = "-".join((name, mode, level, *masks, index))
            yield Case("CaptumExplainer", words, partial(captum, gcn, key, name, masks, index))
    task = gg.Task("node", mode="regression", node_type=models.PAPER)
    for name, index in itertools.product(CAPTUM, ("1", "0 and 1")):
        key = ("SAGEConv, to_hetero", task)
        check = partial(captum, hetero, key, name, ("attributes", "object"), index)
        yield Case("CaptumExplainer", f"heterogeneous-{name}-{index}", check)
    for form in NODE_MASKS[:2]:
        check = partial(refuses, "integrated_gradients", form)
        yield Case("CaptumExplainer", f"supports-{form}", check)


def refuses(method: str, form: str) -> None:
    """Where PyG's algorithms support no such mask; scores of nodes ours have."""
    subject = gcn(gg.Task("node", return_type="probs"), "small", 1)
    if form == "object" and "node" in gg.methods().loc[method, "scores"].split(", "):
        asked(gcn, (subject.task, "small", 1), method, (form, "object"), 1)
        return
    with pytest.raises(PyGAlgorithmError, match="node_mask_type"):
        pyg_explainer(subject, gg.as_pyg(method), (form, "object"), "model")


def typed_captum_cases() -> Iterator[Case]:
    """Of HGT and HAN: the settings that PyG's ``ModelConfig`` allows."""
    returns = {
        "binary_classification": ("probs", "raw"),
        "multiclass_classification": ("probs", "log_probs", "raw"),
        "regression": ("raw",),
    }
    for conv, mode in itertools.product(("HGTConv", "HANConv"), returns):
        grid = itertools.product(returns[mode], LEVELS, MASK_PAIRS, ("1", "0 and 1"))
        for form, level, masks, index in grid:
            name = "-".join((conv, mode, form, level, *masks, index))
            lacks = "links of heterogeneous graphs" if level == "edge" else ""
            asked_level = "link 0" if level == "edge" else level
            key = (conv, asked_level, mode, form)
            check = partial(captum, two_hetero, key, "IntegratedGradients", masks, index)
            if lacks:
                check = partial(typed_links, key, masks)
            yield Case("CaptumExplainer, HGT and HAN", name, check, lacks)


def typed_links(key: Any, masks: Masks) -> None:
    """A heterogeneous graph and a task of links: refused by name."""
    subject = two_hetero(*key)
    task = gg.Task("edge", subject.task.mode, subject.task.return_type)
    links = Subject(_Links(subject.model), subject.data, task)
    explainer = pyg_explainer(links, gg.as_pyg("integrated_gradients"), masks, "model")
    data = subject.data
    explainer(data.x_dict, data.edge_index_dict, index=1)


class _Links(nn.Module):
    """A paper and an author each."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x_dict: dict[str, Tensor], edge_index_dict: Any) -> Tensor:
        ends = {models.PAPER: torch.arange(3), models.AUTHOR: torch.arange(3) + 1}
        out: Tensor = self.model(x_dict, edge_index_dict, None, ends)
        return out


# Learned methods, attention


def edges_alone(make: Any, key: Any, method: str, index: Any, reason: str, **settings: Any) -> None:
    found = asked(make, key, method, ("none", "object"), index, reason, **settings)
    for store in _stores(found)[1]:
        in_unit_interval(store.edge_mask, (store.edge_index.size(1),))


def pg_cases() -> Iterator[Case]:
    modes = ("binary_classification", "multiclass_classification", "regression")
    for mode, level in itertools.product(modes, ("node", "graph")):
        task = gg.Task(level, mode=mode)  # type: ignore[arg-type]
        check = partial(
            edges_alone, gcn, (task, "chain", 1), "pg_explainer", 0, "phenomenon", epochs=2
        )
        yield Case("PGExplainer", f"{mode}-{level}", check)
        for body in ("SAGEConv, to_hetero", "HGTConv", "HANConv", "HeteroConv"):
            if mode == "regression" and body != "SAGEConv, to_hetero":
                continue
            node_type = models.PAPER if level == "node" else None
            typed = gg.Task(level, mode=mode, node_type=node_type)  # type: ignore[arg-type]
            key = (body, typed)
            check = partial(edges_alone, hetero, key, "pg_explainer", 0, "phenomenon", epochs=2)
            yield Case("PGExplainer, heterogeneous", f"{body}-{mode}-{level}", check)
    yield Case("PGExplainer", "supports-node-mask", partial(refuses, "pg_explainer", "object"))


def attention_cases() -> Iterator[Case]:
    typed = gg.Task("node", node_type=models.PAPER)
    for index in INDICES:
        for name, make, key in (
            ("three kinds", layer, ("attention",)),
            ("to_hetero", hetero, ("attention, to_hetero", typed)),
            ("HeteroConv", hetero, ("attention, HeteroConv", typed)),
        ):
            check = partial(edges_alone, make, key, "attention", INDICES[index], "model")
            yield Case("AttentionExplainer", f"{name}-{index}", check)
    check = partial(edges_alone, layer, ("AttentiveFP",), "attention", None, "model")
    yield Case("AttentionExplainer", "AttentiveFP", check)
    for form in NODE_MASKS:
        yield Case("AttentionExplainer", f"supports-{form}", partial(refuses, "attention", form))


def graphmask_cases() -> Iterator[Case]:
    settings = {"steps": 12, "tolerance": 1e9, "max_changed": 1.0}
    for (mode, returns), level, reason, index in itertools.product(MODES, LEVELS, REASONS, INDICES):
        key = (gg.Task(level, mode=mode, return_type=returns), "chain", 1)
        for node in ("none", *NODE_MASKS):
            name = "-".join((mode, returns, level, node, reason, index))
            if node != "none":
                refusal = partial(refuses_of, key, node)
                lacks = "GraphMask has no mask of features, neither here nor in the paper"
                yield Case("GraphMaskExplainer", name, refusal, lacks)
                continue
            check = partial(edges_alone, gcn, key, "graphmask", INDICES[index], reason, **settings)
            yield Case("GraphMaskExplainer", name, check)


def refuses_of(key: Any, node: str) -> None:
    pyg_explainer(gcn(*key), gg.as_pyg("graphmask"), (node, "object"), "model")


# Explainer and metrics

_PLAIN = (gg.Task("graph", mode="regression"), "chain", 1)
_TYPED = ("HGTConv", gg.Task("graph", mode="regression"))
_GRAPHS: dict[str, tuple[Any, Any]] = {
    "homogeneous": (gcn, _PLAIN),
    "heterogeneous": (hetero, _TYPED),
}


def threshold(kind: str, how: str, value: float, form: str) -> None:
    make, key = _GRAPHS[kind]
    subject = make(*key)
    method = "random" if form == "object" else "saliency"
    explainer = pyg_explainer(
        subject, gg.as_pyg(method), (form, "object"), "model", threshold_config=(how, value)
    )
    x, edges, more = inputs(subject)
    found = explainer(x, edges, index=0, **more)
    plain = pyg_explainer(subject, gg.as_pyg(method), (form, "object"), "model")
    expected = plain(x, edges, index=0, **more).threshold(how, value)
    for name in ("node_mask", "edge_mask"):
        pairs = [(found, expected)]
        if kind != "homogeneous":
            all_kinds = found.node_types if name == "node_mask" else found.edge_types
            pairs = [(found[each], expected[each]) for each in all_kinds]
        for one, other in pairs:
            assert torch.equal(one[name], other[name])


def target(kind: str, reason: str, is_given: bool) -> None:
    make, key = _GRAPHS[kind]
    subject = make(*key)
    explainer = pyg_explainer(subject, gg.as_pyg("random"), ("object", "object"), reason)
    x, edges, more = inputs(subject)
    own = explainer.get_prediction(x, edges, **more)
    if reason == "phenomenon" and not is_given:
        with pytest.raises(ValueError, match="'target' has to be provided"):
            explainer(x, edges, **more)
        return
    if reason == "model" and is_given:
        with pytest.warns(UserWarning, match="should not be provided"):
            found = explainer(x, edges, target=own, **more)
    else:
        found = explainer(x, edges, target=own if is_given else None, **more)
    assert torch.equal(found.target, own)
    assert (found.get("prediction") is None) == (reason == "phenomenon")


def explainer_cases() -> Iterator[Case]:
    for kind in _GRAPHS:
        for reason, is_given in itertools.product(REASONS, (False, True)):
            check = partial(target, kind, reason, is_given)
            yield Case("Explainer", f"{kind}-{reason}-{is_given}", check)
        for form in ("object", "attributes"):
            ways = [("hard", value) for value in (0.2, 0.5, 0.8)]
            ways += [(how, k) for how in ("topk", "topk_hard") for k in (1, 5, 10)]
            for how, value in ways:
                check = partial(threshold, kind, how, value, form)
                yield Case("Explainer", f"{kind}-{how}-{value}-{form}", check)


def measured(metric: Any, method: str, reason: str, returns: Any, more: Any) -> None:
    task = gg.Task("node", return_type=returns)
    subject = gcn(task, "chain", 1)
    masks = ("attributes" if method == "saliency" else "object", "object")
    explainer = pyg_explainer(subject, gg.as_pyg(method), masks, reason)
    x, edges, given = inputs(subject)
    labels = torch.arange(8) % models.CLASSES if reason == "phenomenon" else None
    found = explainer(x, edges, target=labels, index=torch.arange(4), **given)
    values = metric(explainer, found, *more)
    for value in values if isinstance(values, tuple) else (values,):
        assert 0 <= float(value) <= 1


def metric_cases() -> Iterator[Case]:
    for reason, returns in itertools.product(REASONS, ("raw", "probs", "log_probs")):
        for method in ("random", "saliency"):
            check = partial(measured, fidelity, method, reason, returns, ())
            yield Case("fidelity", f"{method}-{reason}-{returns}", check)
            for top_k in (None, 2) if method == "saliency" else (None,):
                check = partial(measured, unfaithfulness, method, reason, returns, (top_k,))
                yield Case("unfaithfulness", f"{method}-{reason}-{returns}-{top_k}", check)
