"""`gg.benchmark`: which explanation should I trust on my model?"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn
from torch_geometric.explain import ExplainerAlgorithm

from glassgraph.benchmarks.cases import Asked
from glassgraph.benchmarks.cell import (
    Found,
    Plan,
    References,
    ceilings,
    cell_rows,
    check_learned,
    floors,
    measure_cell,
    settings_text,
)
from glassgraph.benchmarks.metrics import GROUPS, ask
from glassgraph.benchmarks.processes import Outcome, Send, run_one
from glassgraph.benchmarks.result import BenchmarkResult, agreement
from glassgraph.benchmarks.subjects import Subject
from glassgraph.benchmarks.suite import check_settings
from glassgraph.calling.call import Call
from glassgraph.errors import GlassgraphError, SuiteError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.registry import METHODS, find_method
from glassgraph.inputs.task import Task
from glassgraph.metrics.scores import Ranking
from glassgraph.processes import describe
from glassgraph.results.explanation import Explanations

#: What is measured unless the caller says otherwise.
METRICS = ("robust_fidelity", "fidelity", "sparsity", "accuracy")


def benchmark(
    model: nn.Module | Callable[..., Any],
    data: Any,
    methods: Sequence[str | type[Explainer] | ExplainerAlgorithm] | str = "all",
    metrics: Sequence[str] = METRICS,
    *,
    task: str | Task = "node",
    index: Any = None,
    fit_index: Any = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    sparsity: float | Sequence[float] = (0.5, 0.7, 0.9),
    top_k: int | Sequence[int] | None = None,
    ranking: Ranking = "signed",
    call: Call | None = None,
    seed: int = 0,
    time_limit: float | None = None,
    hindsight: bool = False,
    name: str = "own",
) -> BenchmarkResult:
    """Hold methods against each other on a model of your own.

    Every method explains the same predictions, and every number stands beside what random scores
    and a search for that number get on them.

    Args:
        model: the trained model; it is left as it was.
        data: the graph(s), as `Explainer.explain` takes them.
        methods: names, classes, or algorithms of ``torch_geometric.explain``; ``"all"`` for every
            method there is (those that do not apply say so in their row).
        metrics: names of metrics or groups of them, see `glassgraph.benchmarks.metrics`.
        task: ``"node"``, ``"graph"``, ``"edge"`` or a `Task`.
        index: the predictions to explain; everything if None.
        fit_index: the predictions that learned methods learn from; they must be others.
        settings: for each method, settings other than its defaults.
        sparsity: shares of edges that are left out, for metrics that have levels.
        top_k: numbers of edges instead.
        ranking: ``"signed"`` or ``"absolute"`` scores.
        call: how to call the model.
        seed: of everything random.
        time_limit: seconds of computing for each method; each then runs in a process of its own.
        hindsight: let learned methods learn from what they explain where there is no ``fit_index``;
            their rows and the verdict say so.
        name: of the data, in rows.

    Returns:
        Rows, a data frame, and a verdict in words.

    Raises:
        SuiteError: for an unknown method, metric or setting, with the nearest that is known.
        LeakError: if a learned method has nothing to learn from but what it explains.
        GlassgraphError: see `glassgraph.errors`.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> edges = torch.tensor([[0, 1, 2, 3, 4, 0], [1, 2, 3, 4, 0, 2]])
        >>> data = Data(x=torch.rand(5, 3), edge_index=edges)
        >>> found = gg.benchmark(GCN(3, 8, 2, 2), data, ["random", "occlusion"], ["fidelity_plus"])
        >>> found.frame()[["method", "level", "n"]].values.tolist()[3:]
        [['occlusion', '0.5', 5], ['occlusion', '0.7', 5], ['occlusion', '0.9', 5]]
    """
    classes = _classes(methods)
    chosen = _settings(classes, settings or {})
    levels = _levels(sparsity, top_k)
    plan = Plan(tuple(_ask(each, levels) for each in _listed(metrics, "metrics")), ranking)
    subject = Subject(
        dataset=name,
        seed=seed,
        model=model,
        data=data,
        task=Task.of(task),
        index=index,
        fit_index=fit_index,
        call=call,
        hindsight=hindsight,
    )
    check_learned(subject, list(classes.values()), chosen, was_named=methods != "all")
    references = _references(subject, plan, time_limit)
    rows, explanations = [], dict[str, Explanations]()
    for method, cls in classes.items():
        work = functools.partial(measure_cell, subject, cls, chosen[method], plan)
        outcome, found = _run(work, time_limit)
        if found is not None:
            explanations[method] = found
        about = {
            "suite": "own",
            "dataset": name,
            "seed": seed,
            "method": method,
            "settings": settings_text(chosen[method]),
            "command": _command(method, metrics, seed),
        }
        rows += cell_rows(outcome, about, plan, references)
    return BenchmarkResult(rows, agreement(explanations, ranking))


def _run(
    work: Callable[[Send], Any], time_limit: float | None
) -> tuple[Outcome, Explanations | None]:
    """Do a piece of work here, or in a process that ends at its time limit."""
    if time_limit is None:
        outcome = Outcome(None)
        try:
            return outcome, work(outcome.sent.append)
        except GlassgraphError as error:
            outcome.end, outcome.reason = "failed", describe(error)
            return outcome, None

    def send_all(send: Send) -> None:
        found = work(send)
        if found is not None:
            send(_Whole(replace(found, graph=None)))

    outcome = run_one(send_all, time_limit)
    whole = [each for each in outcome.sent if isinstance(each, _Whole)]
    return outcome, whole[0].explanations if whole else None


class _Whole:
    """Explanations on their way out of a process, without the graph."""

    def __init__(self, explanations: Explanations) -> None:
        self.explanations = explanations


def _references(subject: Subject, plan: Plan, time_limit: float | None) -> References:
    floor = _run(functools.partial(floors, subject, plan), time_limit)[0]
    measured = [m for each in floor.sent if isinstance(each, Found) for m in each.measured]
    highest = []
    for asked in plan.metrics:
        if GROUPS[asked.group].searched:
            highest += _run(functools.partial(ceilings, subject, plan, asked), time_limit)[0].sent
    return References.of(measured, highest)


# What the caller says


def _classes(
    methods: Sequence[str | type[Explainer] | ExplainerAlgorithm] | str,
) -> dict[str, type[Explainer]]:
    if methods == "all":
        return dict(METHODS)
    classes: dict[str, type[Explainer]] = {}
    for cls in map(find_method, _listed(methods, "methods")):
        if classes.setdefault(cls.name, cls) is not cls and not _is_same_method(cls, classes):
            raise SuiteError(
                f"methods: two are named {cls.name!r}; glassgraph.from_pyg(algorithm, name=...) "
                "gives one another name"
            )
    return classes


def _is_same_method(cls: type[Explainer], known: Mapping[str, type[Explainer]]) -> bool:
    """Whether a class is that of the same name, or the same algorithm of PyG's given twice."""
    own = getattr(cls, "algorithm", None)
    return own is not None and own is getattr(known[cls.name], "algorithm", None)


def _listed(given: Any, what: str) -> list[Any]:
    found = [given] if isinstance(given, (str, type, ExplainerAlgorithm)) else list(given)
    if not found:
        raise SuiteError(f"{what}: name at least one")
    return found


def _settings(
    classes: Mapping[str, type[Explainer]], given: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    for method in given:
        if method not in classes:
            raise SuiteError(f"settings: {method!r} is not among the methods {', '.join(classes)}")
    return {
        method: check_settings(cls, given.get(method, {}), f"settings[{method!r}]")
        for method, cls in classes.items()
    }


def _levels(sparsity: float | Sequence[float], top_k: int | Sequence[int] | None) -> dict[str, Any]:
    if top_k is not None:
        return {"top_k": (top_k,) if isinstance(top_k, int) else tuple(top_k)}
    return {"sparsity": (sparsity,) if isinstance(sparsity, (int, float)) else tuple(sparsity)}


def _ask(metric: str, levels: dict[str, Any]) -> Asked:
    asked = ask(metric)
    is_taken = set(levels) <= set(GROUPS[asked.group].takes)
    return ask(metric, **levels) if is_taken else asked


def _command(method: str, metrics: Sequence[str], seed: int) -> str:
    asked = _listed(metrics, "metrics")
    return f"gg.benchmark(model, data, [{method!r}], {asked!r}, seed={seed}, ...)"
