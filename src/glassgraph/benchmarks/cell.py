"""One cell: a method on a subject, fitted, explained and measured; and the rows that come of it.

`measure_cell` sends what it finds as it finds it, `cell_rows` turns whatever was sent into rows. So
a method that runs into its time limit while it is measured keeps what was measured by then, and
every metric that was asked for has a row: a number, or why there is none.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from glassgraph import errors
from glassgraph.benchmarks.cases import Asked, Case
from glassgraph.benchmarks.metrics import better, ceiling, measure
from glassgraph.benchmarks.processes import Outcome, Send
from glassgraph.benchmarks.rows import Row
from glassgraph.benchmarks.subjects import Subject, check_disjoint
from glassgraph.explainers.amortized import AmortizedExplainer
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.registry import find_method
from glassgraph.metrics.measured import Measured
from glassgraph.metrics.scores import Ranking
from glassgraph.processes import describe
from glassgraph.results.explanation import Explanations

#: Errors by which a method or metric says that it is not for this model, graph or task.
NOT_APPLICABLE = (
    errors.UnsupportedModelError,
    errors.NoGradientError,
    errors.MissingRuleError,
    errors.NegativeActivationError,
    errors.NoMessagePassingError,
    errors.UnseenMessagesError,
    errors.SparseAdjacencyError,
    errors.WalkError,
    errors.TaskError,
    errors.UnknownMetricError,
)
#: Random scores of the floor are others than those of the method "random".
FLOOR_SEED = 1_000_003
HINDSIGHT = "fitted in hindsight, on what it explains"


@dataclass(frozen=True)
class Explained:
    """That a method has explained, and how long it took."""

    fit_seconds: float | None
    seconds: float
    count: int
    note: str = ""


@dataclass(frozen=True)
class Found:
    """What came of one group of metrics."""

    asked: Asked
    measured: tuple[Measured, ...] = ()
    status: str = "measured"
    reason: str = ""


@dataclass(frozen=True)
class Refused:
    """That a method does not explain this, and why."""

    status: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """How cells are measured.

    Attributes:
        metrics: what is measured.
        ranking: how signed scores are ranked.
    """

    metrics: tuple[Asked, ...]
    ranking: Ranking = "signed"


# What a process does


def measure_cell(
    subject: Subject,
    method: str | type[Explainer],
    settings: Mapping[str, Any],
    plan: Plan,
    send: Send,
) -> Explanations | None:
    """Fit, explain and measure one method; what is found is sent.

    Returns:
        The explanations; None where there are none.
    """
    cls = find_method(method)
    reason = why_not(cls, subject)
    if reason:
        send(Refused("not_applicable", reason))
        return None
    try:
        explainer, fit_seconds = make(subject, cls, settings, subject.seed)
        clock = _clock(subject.model)
        start = clock()
        explanations = explainer.explain(subject.data, index=subject.index)
        seconds = clock() - start
    except errors.LeakError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a method raises is what its row says
        send(Refused(_status(error), describe(error)))
        return None
    is_hindsight = fit_seconds is not None and subject.hindsight
    send(Explained(fit_seconds, seconds, len(explanations), HINDSIGHT if is_hindsight else ""))
    case = Case(
        explanations,
        subject,
        explainer,
        lambda model, seed: make(replace(subject, model=model), cls, settings, seed)[0],
        plan.ranking,
        subject.seed,
    )
    for asked in plan.metrics:
        send(find(asked, case))
    return explanations


def why_not(method: type[Explainer], subject: Subject) -> str:
    """Why a method does not explain such predictions, by what it says of itself."""
    scope, task = method.scope, subject.task
    if task.level not in scope.levels:
        return f"{method.name} explains {' and '.join(scope.levels)} predictions, not {task.level}s"
    if task.return_type not in scope.return_types:
        wanted = ", ".join(scope.return_types)
        return f"{method.name} explains models that return {wanted}, not {task.return_type}"
    if not (task.is_classification or scope.regression):
        return f"{method.name} explains classifications, not regressions"
    first = subject.data[0] if isinstance(subject.data, (list, tuple)) else subject.data
    if not scope.heterogeneous and len(getattr(first, "node_types", (None,))) > 1:
        return f"{method.name} explains homogeneous graphs only"
    return ""


def make(
    subject: Subject, method: type[Explainer], settings: Mapping[str, Any], seed: int
) -> tuple[Explainer, float | None]:
    """A method, ready to explain, and the seconds it took to learn; None if it learns nothing.

    Raises:
        LeakError: if it would learn from what it explains.
        GlassgraphError: of the method.
    """
    explainer = method(
        subject.model, subject.task, call=subject.call, seed=seed, progress=False, **settings
    )
    preparation = explainer.prepare(subject.data)
    if not explainer.needs_fit:
        return explainer, None
    assert isinstance(explainer, AmortizedExplainer)
    learned_from = _learned_from(subject, explainer)
    explained = preparation.instances(subject.index).index
    check_disjoint(subject, explained, preparation.instances(learned_from).index)
    clock = _clock(subject.model)
    start = clock()
    explainer.fit(subject.data, index=learned_from)
    return explainer, clock() - start


def _clock(model: Any) -> Callable[[], float]:
    """Seconds of computing, whatever else the machine does; on another device those that pass."""
    parameters = model.parameters() if isinstance(model, torch.nn.Module) else ()
    is_here = all(each.device.type == "cpu" for each in parameters)
    return time.process_time if is_here else time.perf_counter


def check_learned(
    subject: Subject,
    methods: Sequence[type[Explainer]],
    settings: Mapping[str, Mapping[str, Any]],
    *,
    was_named: bool,
) -> None:
    """Find out that a learned method has nothing honest to learn from, before anything runs.

    Args:
        subject: what is explained and learned from.
        methods: the methods.
        settings: of each.
        was_named: whether the user named the methods; of all that there are, those without anything
            to learn from say so in their row.

    Raises:
        LeakError: naming the method and what to give.
    """
    if subject.hindsight:
        return
    for method in methods:
        if not issubclass(method, AmortizedExplainer) or why_not(method, subject):
            continue
        if subject.fit_index is None and not was_named:
            continue
        explainer = method(subject.model, subject.task, call=subject.call, **settings[method.name])
        if explainer.needs_fit:
            preparation = explainer.prepare(subject.data)
            learned_from = preparation.instances(_learned_from(subject, explainer)).index
            check_disjoint(subject, preparation.instances(subject.index).index, learned_from)
            return  # the same for all of them


def _learned_from(subject: Subject, explainer: Explainer) -> Any:
    """The predictions that a method learns from.

    Raises:
        LeakError: if there are none but those it explains.
    """
    if subject.fit_index is not None and len(subject.fit_index) > 0:
        return subject.fit_index
    if subject.hindsight:
        return subject.index
    raise errors.LeakError(
        f"{explainer.name} learns from predictions before it explains others, and there are none "
        "to learn from: give fit_index, or hindsight=True to have it learn from what it explains, "
        "which its rows then say"
    )


def find(asked: Asked, case: Case) -> Found:
    """Measure one group, or say why that is not possible."""
    try:
        measured = tuple(replace(each, values=None) for each in measure(asked, case))
    except errors.NoTruthError as error:
        return Found(asked, (), "no_truth", describe(error))
    except Exception as error:  # noqa: BLE001 - whatever a metric raises is what its row says
        return Found(asked, (), _status(error), describe(error))
    if not measured:
        return Found(asked, (), "not_applicable", f"{asked.group} says nothing about it")
    return Found(asked, measured)


def _status(error: Exception) -> str:
    return "not_applicable" if isinstance(error, NOT_APPLICABLE) else "failed"


# Floor and ceiling


@dataclass(frozen=True)
class References:
    """What chance and a search get on the same instances, by metric and level."""

    floor: Mapping[tuple[str, str], Measured] = field(default_factory=dict)
    ceiling: Mapping[tuple[str, str], Measured] = field(default_factory=dict)

    @classmethod
    def of(cls, floor: Sequence[Measured], ceiling: Sequence[Measured]) -> References:
        """By metric and level."""
        floors, ceilings = (
            {(each.metric, each.level): each for each in found} for found in (floor, ceiling)
        )
        return cls(floors, ceilings)

    def beside(self, found: Measured) -> Measured:
        """A number with its floor and ceiling; those that it has already stay."""
        key = found.metric, found.level
        return found.beside(
            floor=self.floor.get(key) if found.floor is None else None,
            ceiling=self.ceiling.get(key) if found.ceiling is None else None,
        )


def random_case(subject: Subject, plan: Plan) -> Case:
    """Random scores on the explained predictions, others than those of the method "random"."""
    cls = find_method("random")
    seed = subject.seed + FLOOR_SEED
    explainer = make(subject, cls, {}, seed)[0]
    explanations = explainer.explain(subject.data, index=subject.index)

    def again(model: Any, other: int) -> Explainer:
        return make(replace(subject, model=model), cls, {}, other + FLOOR_SEED)[0]

    return Case(explanations, subject, explainer, again, plan.ranking, seed)


def floors(subject: Subject, plan: Plan, send: Send) -> None:
    """Send what random scores get for each group."""
    case = random_case(subject, plan)
    for asked in plan.metrics:
        send(find(asked, case))


def ceilings(subject: Subject, plan: Plan, asked: Asked, send: Send) -> None:
    """Send what a search for the metrics of a group gets, if there is one."""
    case = replace(random_case(subject, plan), seed=subject.seed)
    for found in ceiling(asked, case):
        send(replace(found, values=None))


# From what was sent to rows


def cell_rows(
    outcome: Outcome, about: Mapping[str, Any], plan: Plan, references: References
) -> list[Row]:
    """The rows of a cell, whatever became of it.

    Args:
        outcome: what was sent, and how it ended.
        about: the columns that all rows share.
        plan: what was asked for.
        references: floor and ceiling.
    """
    explained = next((each for each in outcome.sent if isinstance(each, Explained)), None)
    refused = next((each for each in outcome.sent if isinstance(each, Refused)), None)
    status, reason = ("failed", outcome.reason) if outcome.end != "done" else ("", "")
    if outcome.end == "timeout":
        status = "timeout"
    if refused is not None:
        status, reason = refused.status, refused.reason
    if explained is None:
        return [{**about, "status": status or "failed", "reason": reason or "nothing came of it"}]
    shared = {**about, **_times(explained)}
    done = [each for each in outcome.sent if isinstance(each, Found)]
    rows: list[Row] = []
    for found in done:
        rows += _found_rows(found, shared, explained.note, references)
    for asked in plan.metrics[len(done) :]:
        missing = Found(asked, (), status or "failed", reason or "it ended before it was measured")
        rows += _found_rows(missing, shared, "", references)
    return rows


def _times(explained: Explained) -> dict[str, Any]:
    return {
        "fit_seconds": explained.fit_seconds,
        "seconds": explained.seconds,
        "seconds_per_instance": explained.seconds / explained.count if explained.count else None,
    }


def _found_rows(
    found: Found, shared: Mapping[str, Any], note: str, references: References
) -> list[Row]:
    if found.status != "measured":
        return [
            {**shared, "metric": name, "better": better(name)}
            | {"status": found.status, "reason": found.reason}
            for name in found.asked.names
        ]
    rows = []
    for each in found.measured:
        row = {**references.beside(each).row(), **shared, "metric": each.metric}
        if row["value"] is None:
            state = {"status": "not_applicable", "reason": "no instance that it could be about"}
        else:
            state = {"status": "measured", "reason": note}
        rows.append({**row, **state})
    silent = set(found.asked.names) - {each.metric for each in found.measured}
    return rows + [
        {**shared, "metric": name, "better": better(name)}
        | {"status": "not_applicable", "reason": f"{found.asked.group} says nothing about it"}
        for name in found.asked.names
        if name in silent
    ]


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings as JSON, always in the same order."""
    return json.dumps(dict(settings), sort_keys=True, default=str)
