"""What the laws walk over: methods, models, levels, modes and targets, all tiny and in float64."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GATConv, GCNConv, GINConv, RGCNConv, global_mean_pool

import glassgraph as gg
from glassgraph.core.protect import fingerprint
from glassgraph.core.task import Target
from glassgraph.explainers.amortized import AmortizedExplainer, HindsightWarning
from glassgraph.explainers.registry import METHODS
from glassgraph.explainers.scope import Scope

FEATURES, HIDDEN, NODES, EDGES = 5, 7, 23, 53
KINDS = ("gcn", "gat", "gin", "rgcn")
LEVELS = ("node", "graph", "edge")
HETERO = ("hetero_conv", "to_hetero", "hgt", "han")


def scope(method: str) -> Scope:
    """What a method can explain."""
    return METHODS[method].scope


def holds(own: Scope, case: Case) -> bool:
    """Whether a case is within a scope."""
    return (
        (case.kind == "gat" or not own.needs_attention)
        and case.level in own.levels
        and case.return_type in own.return_types
    )


def hetero_models(own: Scope) -> tuple[str, ...]:
    """The heterogeneous models within a scope (see ``tests/hetero``)."""
    if not own.heterogeneous:
        return ()
    return ("hetero_conv",) if own.needs_attention else HETERO


def within_scope(cases: Sequence[Case]) -> list[Any]:
    """All pairs of a method and a case that it can explain, as parameters of a test."""
    return [
        pytest.param(method, case, id=f"{method}-{case}")
        for method in METHODS
        for case in cases
        if holds(scope(method), case)
    ]


class Net(nn.Module):
    """Two message-passing layers and a linear head, for any level, mode and return type."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.case = case
        self.convs = nn.ModuleList([_conv(case.kind, FEATURES), _conv(case.kind, HIDDEN)])
        self.norm = nn.BatchNorm1d(HIDDEN)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(HIDDEN, case.columns)

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        edge_attr: Tensor | None = None,
        edge_type: Tensor | None = None,
        batch: Tensor | None = None,
        edge_label_index: Tensor | None = None,
    ) -> Tensor:
        extra = {"gcn": [edge_weight], "gat": [edge_attr], "gin": [], "rgcn": [edge_type]}
        h = x
        for conv in self.convs:
            h = self.dropout(conv(h, edge_index, *extra[self.case.kind]).tanh())
        h = self.norm(h)
        if self.case.level == "graph":
            h = global_mean_pool(h, batch)
        elif self.case.level == "edge":
            assert edge_label_index is not None
            h = h[edge_label_index[0]] * h[edge_label_index[1]] + h[edge_label_index[0]]
        return self._returned(self.head(h))

    def _returned(self, out: Tensor) -> Tensor:
        if self.case.return_type == "raw":
            return out
        if self.case.mode == "multiclass_classification":
            return out.softmax(-1) if self.case.return_type == "probs" else out.log_softmax(-1)
        return out.sigmoid() if self.case.return_type == "probs" else nn.functional.logsigmoid(out)


def _conv(kind: str, width: int) -> nn.Module:
    if kind == "gcn":
        return GCNConv(width, HIDDEN)
    if kind == "gat":
        return GATConv(width, HIDDEN, heads=2, concat=False, edge_dim=3)
    if kind == "gin":
        return GINConv(nn.Sequential(nn.Linear(width, HIDDEN), nn.Tanh()), train_eps=True)
    return RGCNConv(width, HIDDEN, num_relations=3)


@dataclass(frozen=True)
class Case:
    """One model, one task and what is explained of it."""

    kind: str
    level: str
    mode: str = "multiclass_classification"
    return_type: str = "raw"
    target: Target = None
    columns: int = 3

    def __str__(self) -> str:
        target = "predicted" if self.target is None else str(self.target).replace(" ", "")
        return f"{self.kind}-{self.level}-{self.mode.split('_')[0]}-{self.return_type}-{target}"

    def task(self) -> gg.Task:
        return gg.Task(self.level, self.mode, self.return_type)  # type: ignore[arg-type]

    def model(self, seed: int = 0) -> Net:
        torch.manual_seed(seed)
        net = Net(self).double()
        with torch.no_grad():
            for buffer in (net.norm.running_mean, net.norm.running_var):
                assert buffer is not None
                buffer.copy_(torch.rand(HIDDEN) + 0.5)
        return net.eval()

    def data(self) -> Any:
        torch.manual_seed(11)
        classes = 2 if self.columns == 1 else self.columns
        if self.level == "graph":
            graphs = [graph(size, edges) for size, edges in ((7, 13), (5, 11), (11, 29))]
            for each in graphs:
                each.y = torch.randint(classes, (1,))
            return [self._attributed(each) for each in graphs]
        data = self._attributed(graph(NODES, EDGES))
        if self.level == "node":
            data.y = torch.randint(classes, (NODES,))
        else:
            data.edge_label_index = torch.tensor([[3, 4, 17, 9, 2], [8, 12, 1, 9, 21]])
            data.edge_label = torch.randint(classes, (5,))
        return data

    def _attributed(self, data: Data) -> Data:
        if self.kind == "gcn":
            data.edge_weight = torch.rand(data.num_edges).double() + 0.5
        elif self.kind == "gat":
            data.edge_attr = torch.randn(data.num_edges, 3).double()
        elif self.kind == "rgcn":
            data.edge_type = torch.arange(data.num_edges) % 3
        return data

    @property
    def index(self) -> list[int]:
        """What is explained: the receptive fields overlap, and none is the whole input."""
        return {"node": [4, 17, 9], "graph": [2, 0], "edge": [3, 0, 2]}[self.level]


def graph(num_nodes: int, num_edges: int) -> Data:
    """A random directed graph with parallel edges, two self-loops and, last, an isolated node."""
    ends = torch.randint(num_nodes - 1, (2, num_edges))
    loops = ends[0] == ends[1]
    ends[1, loops] = (ends[1, loops] + 1) % (num_nodes - 1)
    ends[:, [5, 7]] = ends[:, [1, 2]]  # parallel
    ends[:, 9] = ends[:, 1]  # three of them
    ends[1, [4, 8]] = ends[0, [4, 8]] = torch.tensor([0, 2])  # self-loops
    return Data(x=torch.randn(num_nodes, FEATURES).double(), edge_index=ends)


def _cases() -> list[Case]:
    multiclass, binary = "multiclass_classification", "binary_classification"
    setups: dict[str, list[tuple[str, str, Target, int]]] = {
        "node": [
            (multiclass, "raw", None, 3),
            (binary, "raw", None, 1),
            (multiclass, "log_probs", (2, 0), 3),
            ("regression", "raw", None, 1),
        ],
        "graph": [
            (binary, "probs", "label", 1),
            (multiclass, "raw", "label", 3),
            ("regression", "raw", 1, 2),
            (multiclass, "probs", (0, 2), 3),
        ],
        "edge": [
            (multiclass, "raw", 1, 3),
            ("regression", "raw", None, 1),
            (binary, "raw", "label", 1),
            (binary, "log_probs", 0, 1),
        ],
    }
    return [
        Case(kind, level, mode, return_type, target, columns)
        for level, found in setups.items()
        for kind, (mode, return_type, target, columns) in zip(KINDS, found, strict=True)
    ]


CASES = _cases()


def every_mode_and_target() -> list[Case]:
    """All levels, modes, return types and kinds of target on one model."""
    found = []
    for level in ("node", "graph", "edge"):
        for return_type in ("raw", "probs", "log_probs"):
            every = return_type == "raw"
            for target in (None, "label", 1, (2, 0)) if every else (None, (2, 0)):
                found.append(
                    Case("gin", level, "multiclass_classification", return_type, target, 3)
                )
            for target in (None, "label", 0, (1, 0)) if every else (0, (1, 0)):
                found.append(Case("gin", level, "binary_classification", return_type, target, 1))
        found.append(Case("gin", level, "regression", "raw", None, 1))
        found.append(Case("gin", level, "regression", "raw", 1, 2))
    return found


def every_other(cases: Sequence[Case]) -> list[Any]:
    """`within_scope`, but half of it: a method takes every other case, the next one those between.

    Levels begin in turn with the first and the second, so that a method has each mode, return type
    and kind of target at one level at least.
    """
    rank = {method: number for number, method in enumerate(METHODS)}
    turn: dict[int, int] = {}
    for level in LEVELS:
        own = [case for case in cases if case.level == level]
        turn |= {id(case): number + LEVELS.index(level) for number, case in enumerate(own)}
    return [
        each
        for each in within_scope(cases)
        if (rank[each.values[0]] + turn[id(each.values[1])]) % 2 == 0
    ]


#: Builds an explainer for a model and a case; keyword arguments override its settings.
Factory = Callable[..., gg.Explainer]


def factory(method: type[gg.Explainer], **variant: Any) -> Factory:
    """A factory of one method, or of a variant of it, with tiny hyper-parameters."""

    def make(model: nn.Module, case: Case, **settings: Any) -> gg.Explainer:
        given = {**method.test_settings, **variant, **settings}
        return method(model, case.task(), progress=False, **given)

    make.method = method  # type: ignore[attr-defined]
    make.fixed_size = method.fixed_settings  # type: ignore[attr-defined]
    return make


def traits_of(make: Factory) -> Any:
    """Traits of the method that a factory builds."""
    return make.method.traits  # type: ignore[attr-defined]


def scope_of(make: Factory) -> Scope:
    """Scope of the method that a factory builds."""
    return make.method.scope  # type: ignore[attr-defined]


def explained(
    explainer: gg.Explainer,
    case: Case,
    data: Any,
    index: Sequence[int] | None = None,
    *,
    refit: bool = False,
) -> gg.Explanations:
    """Explain the case's instances.

    Amortized methods are fitted on them first: on the case's own data, once for each model and
    seed, as the laws ask how something fitted explains; on the given data if ``refit`` (all of it
    where an index is given).
    """
    if isinstance(explainer, AmortizedExplainer) and explainer.needs_fit:
        if refit:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", HindsightWarning)
                if index is None:
                    explainer.fit(data, index=case.index)
                else:
                    everything = list(range(len(explainer.prepare(data).instances(None))))
                    explainer.fit(data, index=everything, validation=everything)
        else:
            explainer.adopt(_fitted(explainer, case))
    return explainer.explain(data, index=case.index if index is None else index, target=case.target)


_FITTED: dict[Any, AmortizedExplainer] = {}


def _fitted(explainer: AmortizedExplainer, case: Case) -> AmortizedExplainer:
    key = (type(explainer), case, fingerprint(explainer.model), explainer.seed)
    if key not in _FITTED:
        fresh = type(explainer)(
            explainer.model,
            case.task(),
            seed=explainer.seed,
            progress=False,
            **explainer.hyper_parameters,
        )
        dtype = next(explainer.model.parameters()).dtype
        with torch.random.fork_rng():
            data = case.data()
        for each in data if isinstance(data, list) else [data]:
            each.apply(lambda value: value.to(dtype) if value.is_floating_point() else value)
        _FITTED[key] = fresh.fit(data, index=case.index)
    return _FITTED[key]


def scores(explanation: Any) -> dict[str, Tensor]:
    """All dense masks of one explanation."""
    names = ("edge_mask", "layer_edge_mask", "node_mask", "node_score")
    found = {name: explanation[name] for name in names if name in explanation}
    assert found, "the explanation has no scores at all"
    return found


def assert_same(
    got: dict[str, Tensor], expected: dict[str, Tensor], *, rtol: float = 1e-8, atol: float = 1e-11
) -> None:
    """Two explanations have the same masks, up to rounding."""
    assert got.keys() == expected.keys()
    for name, value in got.items():
        torch.testing.assert_close(
            value,
            expected[name],
            rtol=rtol,
            atol=atol,
            msg=lambda text, name=name: f"{name}: {text}",
        )


def differ(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether some mask differs by more than rounding."""
    return any(not torch.allclose(one[k], other[k], rtol=1e-6, atol=1e-12) for k in one)


FACTORIES = {name: factory(method) for name, method in METHODS.items()}
