"""Metrics by name, as suites and `gg.benchmark` ask for them.

A *group* is a function that measures several metrics at once (``fidelity`` runs the model for
``fidelity_plus`` and ``fidelity_minus`` together); a suite may name either. Whatever it is asked
about, a function of a group reads one `Case` and returns one `Measured` for each level.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from glassgraph.benchmarks.cases import Asked, Case, Group, Measure
from glassgraph.benchmarks.stability_groups import stability_groups
from glassgraph.errors import SuiteError, UnknownMetricError
from glassgraph.metrics.ceiling import best_of, greedy_scores
from glassgraph.metrics.characterization import characterization
from glassgraph.metrics.deletion import deletion_area
from glassgraph.metrics.faithfulness import gef, unfaithfulness
from glassgraph.metrics.fidelity import fidelity
from glassgraph.metrics.measured import Measured
from glassgraph.metrics.robust import robust_fidelity
from glassgraph.metrics.scores import edge_scores, read_levels
from glassgraph.metrics.subgraphs import SIZES, necessity, sufficiency
from glassgraph.metrics.truth_metrics import gea, truth_metrics
from glassgraph.results.explanation import Explanations
from glassgraph.words import nearest


def measure(asked: Asked, case: Case) -> list[Measured]:
    """Measure what is asked for.

    Raises:
        GlassgraphError: of the metric.
    """
    found = GROUPS[asked.group].measure(case, asked)
    return [each for each in found if each.metric in asked.names]


def ceiling(asked: Asked, case: Case) -> list[Measured]:
    """What a search for these very metrics gets; nothing where there is no search.

    Raises:
        GlassgraphError: of the search.
    """
    about, found = GROUPS[asked.group], list[Measured]()
    for name in asked.names:
        if name not in about.searched:
            continue
        levels: dict[str, list[Measured]] = {}
        for order in _searched_orders(name, asked, case):
            for each in about.measure(replace(case, explanations=order), asked):
                if each.metric == name:
                    levels.setdefault(each.level, []).append(each)
        found += [best_of(each) for each in levels.values()]
    return found


def _searched_orders(name: str, asked: Asked, case: Case) -> Iterator[Explanations]:
    """A greedy search for a metric, and edges by what each one's removal costs."""
    subject, of_classes = case.subject, name in ("sufficiency", "necessity")
    search = functools.partial(
        greedy_scores,
        case.explanations,
        subject.model,
        subject.data,
        task=subject.task,
        removal=asked.options.get("removal"),
        in_pairs=of_classes,
        seed=case.seed,
        call=subject.call,
    )
    yield search(name)  # type: ignore[arg-type]
    yield search("necessity" if of_classes else "fidelity_plus", steps=0)


def needs_truth(asked: Asked) -> bool:
    """Whether it asks the data what is true."""
    return GROUPS[asked.group].needs_truth


def metric_names() -> tuple[str, ...]:
    """All metrics and groups."""
    names = [name for group in GROUPS.values() for name in group.metrics]
    return tuple(dict.fromkeys([*GROUPS, *names]))


def better(metric: str) -> str:
    """Which way a metric is good."""
    return next(group.metrics[metric] for group in GROUPS.values() if metric in group.metrics)


def ask(
    name: str,
    *,
    sparsity: tuple[float, ...] | None = None,
    top_k: tuple[int, ...] | None = None,
    options: Mapping[str, Any] | None = None,
    where: str = "metrics",
) -> Asked:
    """What a name and its levels ask for.

    Args:
        name: of a metric, or of a group for all of its metrics.
        sparsity: shares of edges that are left out.
        top_k: numbers of edges instead.
        options: further arguments of the metric.
        where: the beginning of errors.

    Raises:
        SuiteError: for a name or option that is not known, or levels out of range.

    Example:
        >>> ask("fidelity_plus", sparsity=(0.7,)).names
        ('fidelity_plus',)
    """
    group, names = _find(name, where)
    about = GROUPS[group]
    if (sparsity is not None or top_k is not None) and not about.has_levels:
        raise SuiteError(f"{where}: {name} has no levels: leave sparsity and top_k out")
    for kind, value in (("sparsity", sparsity), ("top_k", top_k)):
        if value is not None and kind not in about.takes:
            raise SuiteError(
                f"{where}: {name} has levels of {' or '.join(about.takes)}, not {kind}"
            )
    if sparsity is not None and top_k is not None:
        raise SuiteError(f"{where}: {name}: give sparsity or top_k, not both")
    levels: Mapping[str, tuple[Any, ...]] = about.default_levels if about.has_levels else {}
    if sparsity is not None or top_k is not None:
        levels = {"sparsity": sparsity} if sparsity is not None else {"top_k": top_k or ()}
        try:
            read_levels(sparsity or (), top_k)
        except UnknownMetricError as error:
            raise SuiteError(f"{where}: {name}: {error}") from error
    given = dict(options or {})
    for key, value in given.items():
        if key not in about.options:
            raise SuiteError(
                f"{where}: {name} has no option {key!r}{nearest(key, sorted(about.options))}"
            )
        wanted = about.options[key]
        is_number = wanted is float and type(value) is int
        if type(value) is not wanted and not is_number:
            raise SuiteError(
                f"{where}: {name}: {key} must be of type {wanted.__name__}; got {value!r}"
            )
    return Asked(group, names, **levels, options=given)


def _find(name: str, where: str) -> tuple[str, tuple[str, ...]]:
    key = name.lower().replace("-", "_")
    if key in GROUPS:
        return key, tuple(GROUPS[key].metrics)
    for group, about in GROUPS.items():
        if key in about.metrics:
            return group, (key,)
    raise SuiteError(f"{where}: there is no metric {name!r}{nearest(name, sorted(metric_names()))}")


def register_metric(group: str, about: Group) -> None:
    """Make metrics of your own known by name, for this process.

    Raises:
        UnknownMetricError: if a name is taken.
    """
    taken = set(metric_names()) - set(GROUPS[group].metrics if group in _own else ()) - {group}
    shared = taken & {group, *about.metrics}
    if shared or (group in GROUPS and group not in _own):
        raise UnknownMetricError(f"there is a metric {sorted(shared) or group} already")
    GROUPS[group] = about
    _own.add(group)


_own: set[str] = set()


# What each group calls


def _calls(function: Callable[..., list[Measured]]) -> Measure:
    """A metric with the arguments that all of them share, as far as it takes them."""
    known = inspect.signature(function).parameters

    def measure(case: Case, asked: Asked) -> list[Measured]:
        subject = case.subject
        shared = {"ranking": case.ranking, "seed": case.seed}
        return function(
            case.explanations,
            subject.model,
            subject.data,
            task=subject.task,
            call=subject.call,
            **{name: value for name, value in shared.items() if name in known},
            **asked.levels,
            **asked.options,
        )

    return measure


def _fidelity(case: Case, asked: Asked) -> list[Measured]:
    subject = case.subject
    found = fidelity(
        case.explanations,
        subject.model,
        subject.data,
        task=subject.task,
        ranking=case.ranking,
        call=subject.call,
        **asked.levels,
        **asked.options,
    )
    columns = {
        "fidelity_plus": found.plus_prob,
        "fidelity_minus": found.minus_prob,
        "fidelity_plus_acc": found.plus_acc,
        "fidelity_minus_acc": found.minus_acc,
    }
    method = case.explanations.method
    return [
        Measured.of(name, method, values[k], level=level, better=GROUPS["fidelity"].metrics[name])
        for name, values in columns.items()
        for k, level in enumerate(found.levels)
    ]


def _accuracy(case: Case, _: Asked) -> list[Measured]:
    return truth_metrics(case.explanations, ranking=case.ranking, seed=case.seed)


def _node_accuracy(case: Case, _: Asked) -> list[Measured]:
    return truth_metrics(case.explanations, over="node", ranking=case.ranking, seed=case.seed)


def _gea(case: Case, asked: Asked) -> list[Measured]:
    return gea(case.explanations, ranking=case.ranking, seed=case.seed, **asked.options)


def _sparsity(case: Case, _: Asked) -> list[Measured]:
    """The share of edges that score at most half as much as the best one of their prediction.

    Of masks in [0, 1] that select something this is the survey's sparsity at the threshold 0.5;
    scores of other methods have no scale to put a threshold on, so it goes by the best score.
    """
    shares = []
    for i in range(len(case.explanations)):
        score = edge_scores(case.explanations.local(i), "absolute")
        best = score.max() if score.numel() else score.new_tensor(0.0)
        shares.append(float((score <= best / 2).double().mean()) if best > 0 else float("nan"))
    values = torch.tensor(shares, dtype=torch.float64)
    return [Measured.of("sparsity", case.explanations.method, values, level=">best/2")]


_BOTH = ("sparsity", "top_k")

#: Groups by name; a metric belongs to one.
GROUPS: dict[str, Group] = {
    "fidelity": Group(
        {
            "fidelity_plus": "higher",
            "fidelity_minus": "lower",
            "fidelity_plus_acc": "higher",
            "fidelity_minus_acc": "lower",
        },
        _fidelity,
        searched=("fidelity_plus", "fidelity_minus"),
        takes=_BOTH,
        options={"removal": str},
    ),
    "robust_fidelity": Group(
        {
            "robust_fidelity_plus": "higher",
            "robust_fidelity_minus": "lower",
            "robust_fidelity_delta": "higher",
        },
        _calls(robust_fidelity),
        searched=("robust_fidelity_delta",),
        takes=_BOTH,
        options={"removal": str, "samples": int, "alpha_plus": float, "alpha_minus": float},
    ),
    "sufficiency": Group(
        {"sufficiency": "higher"},
        _calls(sufficiency),
        searched=("sufficiency",),
        takes=("top_k",),
        default_levels={"top_k": SIZES},
        options={"removal": str},
    ),
    "necessity": Group(
        {"necessity": "higher"},
        _calls(necessity),
        searched=("necessity",),
        takes=("top_k",),
        default_levels={"top_k": SIZES},
        options={"removal": str},
    ),
    "sparsity": Group({"sparsity": "higher"}, _sparsity),
    "deletion_area": Group(
        {"deletion_area": "higher"},
        _calls(deletion_area),
        options={"removal": str, "steps": int, "draws": int},
    ),
    "accuracy": Group(
        {
            "auc": "higher",
            "average_precision": "higher",
            "auc_mean": "higher",
            "average_precision_mean": "higher",
            "precision_at_k": "higher",
            "recall_at_k": "higher",
        },
        _accuracy,
        needs_truth=True,
    ),
    "node_accuracy": Group({"node_auc": "higher"}, _node_accuracy, needs_truth=True),
    "gea": Group(
        {"gea": "higher"},
        _gea,
        needs_truth=True,
        options={"over": str, "top_k": int, "share": float, "threshold": float},
    ),
    "gef": Group(
        {"gef": "lower"},
        _calls(gef),
        options={"over": str, "keep": float, "direction": str},
    ),
    "unfaithfulness": Group(
        {"unfaithfulness": "lower"},
        _calls(unfaithfulness),
        options={"top_k": int, "direction": str},
    ),
    "characterization": Group(
        {"characterization": "higher"},
        _calls(characterization),
        takes=_BOTH,
        options={"removal": str, "of": str, "pos_weight": float, "neg_weight": float},
    ),
    **stability_groups(),
}
