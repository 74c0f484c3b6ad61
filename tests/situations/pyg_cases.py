"""PyG's own tests of explainers, as calls on Glassgraph: the same models, tasks and parameters.

PyG 2.8 asks about 1,300 cases under ``test/explain``, and asked for models with several outputs
before; here they are one table. What a case holds of its explanations is more than shapes and
ranges: the index, the prediction, that a named class gives what the predicted one does, that the
model is bit for bit the same, and for gradients the values.

PyG explains several indices together, as one mask for their summed loss; here each has an
explanation of its own.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

import glassgraph as gg
from glassgraph.errors import GlassgraphError, HyperParameterError, TaskError, UnknownMethodError
from glassgraph.inputs.task import probabilities
from tests.coverage.literal import unchanged
from tests.situations import pyg_models as models

MODES: list[tuple[Any, Any]] = [
    ("binary_classification", "probs"),
    ("binary_classification", "raw"),
    ("multiclass_classification", "log_probs"),
    ("multiclass_classification", "probs"),
    ("multiclass_classification", "raw"),
    ("regression", "raw"),
]
LEVELS: tuple[Any, ...] = ("node", "edge", "graph")
NODE_MASKS = ("object", "common_attributes", "attributes")
EDGE_MASKS = ("object", "none")
REASONS = ("model", "phenomenon")
INDICES = {"all": None, "2": 2, "0 to 2": torch.arange(3)}
TWO_INDICES = {"1": 1, "0 and 1": torch.arange(2), "first": 0}

#: Edge gates of GNNExplainer so open that nothing is learned: PyG's ``edge_mask_type=None``.
OPEN = {"init_mean": 40.0, "init_scale": 0.0, "edge_size": 0.0, "edge_entropy": 0.0}


@dataclass(frozen=True)
class Case:
    """One of PyG's cases.

    Attributes:
        kind: what PyG tests.
        name: its parameters.
        check: raises where it does not hold.
        lacks: what is missing here; then ``check`` is a refusal with a named error.
    """

    kind: str
    name: str
    check: Callable[[], None]
    lacks: str = ""

    def __str__(self) -> str:
        return f"{self.kind}-{self.name}"


#: A kind with so many cases is asked in full by `make test`; of others every 31st case, a number
#: that divides no list of parameters.
SMALL, EVERY = 13, 31


def share(cases: list[Case], small: int = SMALL, every: int = EVERY) -> list[Case]:
    """What `make test` asks, the first of each kind among them; all where ``make pyg-cases`` does.

    Args:
        cases: all of them.
        small: kinds with as many cases are asked in full.
        every: of others each such case.
    """
    if os.environ.get("GLASSGRAPH_PYG_CASES") == "all":
        return cases
    size = Counter(case.kind for case in cases)
    seen = Counter[str]()
    found = []
    for case in cases:
        if size[case.kind] <= small or seen[case.kind] % every == 0:
            found.append(case)
        seen[case.kind] += 1
    return found


# Explaining


@dataclass(frozen=True)
class Subject:
    """A model and its data."""

    model: nn.Module
    data: Any
    task: gg.Task
    call: Any = None

    @property
    def prediction(self) -> Tensor:
        """Probabilities (or values) ``[rows, C]`` of all predictions, by calling the model."""
        self.model.eval()
        with torch.no_grad():
            if isinstance(self.data, Batch):  # HAN lets the graphs of a batch see one another
                graphs = self.data.to_data_list()
                out = torch.cat([self.call(self.model, graph) for graph in graphs])
            elif self.call is not None:
                out = self.call(self.model, self.data)
            elif hasattr(self.data, "x_dict"):
                out = self.model(self.data.x_dict, self.data.edge_index_dict)
            else:
                keys = ("batch", "edge_label_index")
                given = {key: self.data[key] for key in keys if key in self.data}
                out = self.model(self.data.x, self.data.edge_index, **given)
        self.model.train()
        return probabilities(self.task, out)


@cache
def gcn(task: gg.Task, graph: str, copies: int) -> Subject:
    torch.manual_seed(12)
    data = models.chain() if graph == "chain" else models.small()
    call = None if copies == 1 else models.first_output
    return Subject(models.GCN(task, copies).train(), data, task, call)


@cache
def hetero(body: str, task: gg.Task) -> Subject:
    torch.manual_seed(12)
    data = models.papers()
    model = models.ready(models.Hetero(body, task), data.x_dict, data.edge_index_dict)
    return Subject(model.train(), data, task)


@cache
def _explainer(make: Callable[..., Subject], key: Any, method: str, settings: Any) -> gg.Explainer:
    from glassgraph.explainers.registry import make_explainer

    subject = make(*key)
    return make_explainer(
        method, subject.model, subject.task, call=subject.call, progress=False, **dict(settings)
    )


def explain(
    make: Callable[..., Subject],
    key: tuple[Any, ...],
    method: str,
    index: Any,
    reason: str = "model",
    **settings: Any,
) -> gg.Explanations:
    """Explanations that hold what all have to; the explainer serves all cases of a setting."""
    subject = make(*key)
    explainer = _explainer(make, key, method, tuple(sorted(settings.items())))
    prediction = subject.prediction
    if explainer.needs_fit and not explainer.is_fitted:  # type: ignore[attr-defined]
        with unchanged(subject.model):
            explainer.fit(subject.data)  # type: ignore[attr-defined]
    rows = torch.arange(len(prediction)) if index is None else torch.as_tensor(index).view(-1)
    target: Any = None
    if reason == "phenomenon" and subject.task.is_classification:
        target = prediction[rows].argmax(dim=-1)  # as in PyG's tests
    with unchanged(subject.model):
        found = explainer.explain(subject.data, index, target)
    assert subject.model.training
    assert [local.index for local in found._locals()] == rows.tolist()
    for row, local in zip(rows, found._locals(), strict=True):
        torch.testing.assert_close(local.prediction, prediction[row], rtol=1e-4, atol=1e-5)
    for each in found:
        each.validate(raise_on_error=True)
    return found


def in_unit_interval(mask: Tensor, shape: tuple[int, ...]) -> None:
    assert mask.shape == shape
    assert bool(torch.isfinite(mask).all())
    assert bool(((mask >= 0) & (mask <= 1)).all())


# GNNExplainer


def gnn_explainer(
    make: Any, key: Any, node_mask: str, edge_mask: str, reason: str, index: str
) -> None:
    settings = {"epochs": 2, "feature_mask": node_mask, **(OPEN if edge_mask == "none" else {})}
    found = explain(make, key, "gnn_explainer", INDICES[index], reason, **settings)
    for each in found:
        is_typed = isinstance(each, gg.HeteroExplanation)
        nodes = each.node_stores if is_typed else [each]
        edges = each.edge_stores if is_typed else [each]
        for store in nodes:
            in_unit_interval(store.node_mask, tuple(store.x.shape))
            _has_its_form(store.node_mask, node_mask)
        for store in edges:
            in_unit_interval(store.edge_mask, (store.edge_index.size(1),))
            assert edge_mask == "object" or not store.edge_mask.any()  # nothing was learned
    if reason == "phenomenon":  # asked for the class that is predicted
        same = explain(make, key, "gnn_explainer", INDICES[index], **settings)
        for one, other in zip(found._locals(), same._locals(), strict=True):
            torch.testing.assert_close(one.edge_score, other.edge_score)
            torch.testing.assert_close(one.feature_score, other.feature_score, equal_nan=True)


def _has_its_form(mask: Tensor, form: str) -> None:
    """One value for each node, or for each column; 0 where features cannot matter."""
    if form == "attributes":
        return
    lines = mask if form == "object" else mask.t()
    for line in lines:
        assert line[line > 0].unique().numel() <= 1


def gnn_cases() -> Iterator[Case]:
    settings = list(itertools.product(NODE_MASKS, EDGE_MASKS, REASONS, INDICES))
    for copies, (mode, returns), level in itertools.product((1, 2), MODES, LEVELS):
        if copies == 2 and mode == "binary_classification":
            continue
        key = (gg.Task(level, mode=mode, return_type=returns), "chain", copies)
        kind = "GNNExplainer" if copies == 1 else "GNNExplainer, several outputs"
        for each in settings:
            name = "-".join((mode, returns, level, *each))
            yield Case(kind, name, partial(gnn_explainer, gcn, key, *each))
    for mode, returns in MODES:
        task = gg.Task("node", mode=mode, return_type=returns, node_type=models.PAPER)
        for each in settings:
            name = "-".join((mode, returns, *each))
            check = partial(gnn_explainer, hetero, ("SAGEConv, to_hetero", task), *each)
            yield Case("GNNExplainer, heterogeneous", name, check)


# Captum's methods

#: PyG's tests give captum a model without ``nn.ReLU`` modules, so that its Deconvolution and guided
#: backpropagation are plain gradients there; here they are what their names say, or the gradient.
CAPTUM: dict[str, tuple[str, dict[str, Any]]] = {
    "Saliency": ("saliency", {}),
    "InputXGradient": (
        "integrated_gradients",
        {"steps": 1, "rule": "riemann_right", "tolerance": 1e9},
    ),
    "Deconvolution": ("saliency", {}),
    "IntegratedGradients": ("integrated_gradients", {"steps": 8, "tolerance": 1e9}),
    "GuidedBackprop": ("guided_backprop", {}),
}
MASK_PAIRS = (("attributes", "object"), ("attributes", "none"), ("none", "object"))


def captum(make: Any, key: Any, name: str, node_mask: str, edge_mask: str, index: str) -> None:
    method, settings = CAPTUM[name]
    if name == "IntegratedGradients" and "none" in (node_mask, edge_mask):
        settings = {**settings, "on": "messages" if node_mask == "none" else "features"}
    for each in explain(make, key, method, TWO_INDICES[index], **settings):
        is_typed = isinstance(each, gg.HeteroExplanation)
        for store in each.node_stores if is_typed else [each]:
            if node_mask != "none":
                assert store.node_mask.shape == store.x.shape
                assert bool(torch.isfinite(store.node_mask).all())
            elif "on" in settings:
                assert "node_mask" not in store
        for store in each.edge_stores if is_typed else [each]:
            if edge_mask != "none":
                assert store.edge_mask.shape == (store.edge_index.size(1),)
                assert bool(torch.isfinite(store.edge_mask).all())
            elif "on" in settings:
                assert "edge_mask" not in store
        if not is_typed and node_mask != "none" and name in ("Saliency", "InputXGradient"):
            _is_the_gradient(make(*key), each, name)


def _is_the_gradient(subject: Subject, explanation: Any, name: str) -> None:
    """By autograd alone, on the whole input."""
    data, local = subject.data, explanation.local
    x = data.x.clone().requires_grad_()
    subject.model.eval()
    out = subject.model(x, data.edge_index, data.batch, data.edge_label_index)[local.index]
    subject.model.train()
    value = out[local.target] if out.numel() > 1 else (out[0] if local.target else 1 - out[0])
    gradient = torch.autograd.grad(value, x)[0]
    expected = gradient.square() if name == "Saliency" else gradient * x.detach()
    torch.testing.assert_close(explanation.node_mask, expected, rtol=1e-3, atol=1e-5)


def shapley(key: Any) -> None:
    subject = gcn(*key)
    gg.explain(subject.model, subject.data, "shapley_value_sampling", subject.task, index=1)


def unsupported(name: str) -> None:
    """Refused by name, as by PyG, or a method of its own."""
    subject = gcn(gg.Task("node", mode="regression"), "small", 1)
    try:
        found = gg.explain(subject.model, subject.data, name, subject.task, index=[1])
    except UnknownMethodError:
        assert name != "occlusion"
    else:
        assert bool(torch.isfinite(found[0].edge_mask).all())


def takes_no_mask(method: str, form: str) -> None:
    """Methods without a choice of masks say so."""
    subject = gcn(gg.Task("node", return_type="probs"), "small", 1)
    with pytest.raises(HyperParameterError, match="feature_mask"):
        gg.explain(subject.model, subject.data, method, subject.task, feature_mask=form)


def captum_cases() -> Iterator[Case]:
    settings = list(itertools.product(LEVELS, MASK_PAIRS, ("1", "0 and 1")))
    for mode in ("binary_classification", "multiclass_classification"):
        names = [*CAPTUM, "ShapleyValueSampling"] if mode[0] == "m" else ["IntegratedGradients"]
        for name, (level, masks, index) in itertools.product(names, settings):
            key = (gg.Task(level, mode=mode, return_type="probs"), "small", 1)  # type: ignore[arg-type]
            words = "-".join((name, mode, level, *masks, index))
            if name in CAPTUM:
                check = partial(captum, gcn, key, name, *masks, index)
                yield Case("CaptumExplainer", words, check)
            else:
                check = partial(shapley, key)
                yield Case("CaptumExplainer", words, check, "Shapley sampling")
    task = gg.Task("node", mode="regression", node_type=models.PAPER)
    for name, index in itertools.product(CAPTUM, ("1", "0 and 1")):
        key = ("SAGEConv, to_hetero", task)
        check = partial(captum, hetero, key, name, "attributes", "object", index)
        yield Case("CaptumExplainer", f"heterogeneous-{name}-{index}", check)
    for name in (
        "feature_ablation",
        "occlusion",
        "deep_lift",
        "deep_lift_shap",
        "gradient_shap",
        "kernel_shap",
        "lime",
    ):
        yield Case("CaptumExplainer", f"unsupported-{name}", partial(unsupported, name))
    for form in NODE_MASKS[:2]:
        check = partial(takes_no_mask, "integrated_gradients", form)
        yield Case("CaptumExplainer", f"supports-{form}", check)


# Captum on HGT and HAN


@cache
def two_hetero(conv: str, level: str, mode: Any, returns: Any) -> Subject:
    torch.manual_seed(12)
    node_type = models.PAPER if level == "node" else None
    task = gg.Task("node" if level == "node" else "graph", mode, returns, node_type)
    data = models.two_of_papers() if level == "graph" else models.papers()
    model = models.ready(models.TwoHetero(conv, task), data.x_dict, data.edge_index_dict)
    call: Any = {"node": None, "graph": call_on_graphs}.get(level)
    if level.startswith("link"):
        call = partial(call_on_links, LINKS[int(level[-1])])
    return Subject(model.train(), data, task, call)


def call_on_graphs(model: nn.Module, data: Any) -> Tensor:
    """One row for each graph."""
    owner = {name: _graph_of(data[name]) for name in data.node_types}
    out: Tensor = model(data.x_dict, data.edge_index_dict, owner)
    return out


#: A paper and an author each.
LINKS = ((0, 2), (1, 3), (2, 1))


def call_on_links(link: tuple[int, int], model: nn.Module, data: Any) -> Tensor:
    """One row for each graph: its link from a paper to an author.

    Links of heterogeneous graphs are no task of their own; a graph task whose model returns one
    link of each graph explains it.
    """
    ends = {}
    for name, number in zip((models.PAPER, models.AUTHOR), link, strict=True):
        owner = _graph_of(data[name])
        first = torch.searchsorted(owner, torch.arange(int(owner.max()) + 1))
        ends[name] = first + number
    out: Tensor = model(data.x_dict, data.edge_index_dict, None, ends)
    return out


def _graph_of(store: Any) -> Tensor:
    owner = store.get("batch", None)
    return torch.zeros(store.num_nodes, dtype=torch.long) if owner is None else owner


def special(key: Any, node_mask: str, edge_mask: str, index: str) -> None:
    """PyG refuses regressions that return probabilities, and so does a `Task`; the rest works."""
    conv, level, mode, returns = key
    if mode == "regression" and returns != "raw":
        with pytest.raises(TaskError, match="a regression model returns 'raw' values"):
            two_hetero(*key)
    elif level != "edge":
        captum(two_hetero, key, "IntegratedGradients", node_mask, edge_mask, index)
    else:
        for link in torch.as_tensor(TWO_INDICES[index]).view(-1).tolist():
            own = (conv, f"link {link}", mode, returns)
            captum(two_hetero, own, "IntegratedGradients", node_mask, edge_mask, "first")


def special_cases() -> Iterator[Case]:
    modes = ("binary_classification", "multiclass_classification", "regression")
    grid = itertools.product(
        ("HGTConv", "HANConv"),
        modes,
        ("probs", "log_probs", "raw"),
        LEVELS,
        MASK_PAIRS,
        ("1", "0 and 1"),
    )
    for conv, mode, returns, level, masks, index in grid:
        name = "-".join((conv, mode, returns, level, *masks, index))
        check = partial(special, (conv, level, mode, returns), *masks, index)
        yield Case("CaptumExplainer, HGT and HAN", name, check)


def refused(case: Case) -> GlassgraphError:
    """The named error of a case that cannot be."""
    try:
        case.check()
    except GlassgraphError as error:
        return error
    raise AssertionError(f"{case} works: take '{case.lacks}' out of the table")
