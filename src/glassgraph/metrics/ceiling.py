r"""How far can a metric be driven by a search for it?

A metric that is measured by calling the model can be searched by calling the model. The order that
such a search finds, measured with the metric, is its *ceiling* on these predictions: no proof of a
maximum, but a number that an explanation is to be read beside. Where the ceiling is at its end on
any model, the metric can be gamed.

The search is greedy. It starts with nothing selected, and adds, time and again, what is best:

* ``sufficiency``, ``fidelity_minus``: what makes ``f(S)_y`` the highest;
* ``necessity``, ``fidelity_plus``: what makes ``f(G \ S)_y`` the lowest;
* ``robust_fidelity_delta``: what makes ``Delta`` the highest, over a few draws.

For the shares of classes (sufficiency, necessity) it looks at the class first, and at the
probability among equals. Ties go to what was better alone, then to what the data list first.

It is bounded: after ``steps`` additions the rest keeps the order of its values alone, and from the
second addition on only the ``candidates`` that were best alone are tried. With one addition
(``top_k=1``) it finds the optimum; so it does where what edges do adds up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from glassgraph.calling.call import Call
from glassgraph.errors import TaskError, UnknownMetricError
from glassgraph.inputs.task import Task
from glassgraph.metrics.chance import in_place_of
from glassgraph.metrics.measured import Measured
from glassgraph.metrics.ranked import UNRANKED, Ranked, rank_edges
from glassgraph.metrics.removal import Removal, check_removal
from glassgraph.metrics.robust import Draws
from glassgraph.metrics.run import DEFAULT_MEMORY_BUDGET, Run, opened
from glassgraph.metrics.states import Answers, StateBatch, States
from glassgraph.results.explanation import Explanations
from glassgraph.results.records import Part

#: Metrics that can be searched for.
Searched = Literal[
    "sufficiency", "necessity", "fidelity_plus", "fidelity_minus", "robust_fidelity_delta"
]
_OF_CLASSES = ("sufficiency", "necessity")


def greedy_scores(
    explanations: Explanations,
    model: nn.Module | Callable[..., Any],
    data: Any,
    metric: Searched,
    *,
    task: str | Task | None = None,
    removal: Removal | None = None,
    in_pairs: bool | None = None,
    steps: int = 25,
    candidates: int = 32,
    samples: int = 5,
    alpha_plus: float = 0.1,
    alpha_minus: float = 0.9,
    seed: int = 0,
    call: Call | None = None,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
) -> Explanations:
    """Explanations of the same predictions whose scores are what a search for a metric finds.

    Measure them with the same metric, at the same ``removal``, to have its ceiling. What the given
    explanations score plays no part: only their predictions, targets and edges do.

    Args:
        explanations: whose place they take.
        model: as in `fidelity`.
        data: the explained graph(s).
        metric: what is searched for.
        task: as in `fidelity`.
        removal: what removing an edge means; None for the default of the metric.
        in_pairs: whether all edges between the same two nodes are taken together; None for the
            metric's own way, which is so for sufficiency and necessity.
        steps: how many edges (or pairs) are added one after the other; at 0 all keep the order of
            their values alone, so that ``"fidelity_plus"`` orders edges by what each one's removal
            costs.
        candidates: how many are tried at each step, from the second on.
        samples: draws for each candidate, of ``robust_fidelity_delta``.
        alpha_plus: as in `robust_fidelity`.
        alpha_minus: as in `robust_fidelity`.
        seed: of the draws.
        call: as in `fidelity`.
        memory_budget: bytes that one pass may take.

    Returns:
        The edges added first have the highest scores; the others lie in (0, 1).

    Raises:
        UnknownMetricError: for a metric that is not searched for, and numbers out of range.
        TaskError: for sufficiency and necessity of a regression.
        GlassgraphError: see `fidelity`.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 2.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2], [0, 0]]))
        >>> model = SimpleConv(aggr="sum")  # node 0 hears 3 for class 0, and 2 for class 1
        >>> explanations = gg.Random(model, progress=False).explain(data, index=[0])
        >>> greedy_scores(explanations, model, data, "fidelity_minus").local(0).edge_score
        tensor([26., 25.])
    """
    if metric not in get_args(Searched):
        known = ", ".join(repr(each) for each in get_args(Searched))
        raise UnknownMetricError(f"a search is there for {known}; got {metric!r}")
    for name, number, least in (("steps", steps, 0), ("candidates", candidates, 1)):
        if number < least:
            raise UnknownMetricError(f"{name} must be at least {least}; got {number}")
    if removal is None and metric in _OF_CLASSES:
        removal = "delete_isolated"
    in_pairs = metric in _OF_CLASSES if in_pairs is None else in_pairs
    draws = Draws(alpha_plus, alpha_minus, samples, seed)
    removal = check_removal(removal)
    with opened(explanations, model, data, task, call, removal, memory_budget) as run:
        if metric in _OF_CLASSES and not run.preparation.task.is_classification:
            raise TaskError(f"{metric} asks whether the class changes; a regression has none")
        units = rank_edges(
            run.locals_,
            run.preparation.graph,
            in_pairs=in_pairs,
            score=lambda local: torch.zeros(local.edge_id.numel(), dtype=torch.float64),
        )
        search = _Search(run, units, _objective(metric, run, draws), steps, candidates)
        score = search.scores()
    return _with_scores(explanations, f"greedy_{metric}", run, units, search.first, score)


def best_of(found: Sequence[Measured]) -> Measured:
    """The best that several searches found of one metric at one level, instance by instance.

    A search that adds edges knows little of the many that it does not get to; the order of what
    each edge costs alone knows them all. Of each prediction the better one counts.

    Args:
        found: measured on the same instances.

    Raises:
        UnknownMetricError: if there is nothing to choose from, or the metrics differ.
    """
    if not found or len({(each.metric, each.level, each.better) for each in found}) > 1:
        raise UnknownMetricError("best_of takes one metric at one level, found by several searches")
    first = found[0]
    values = [each.values for each in found if each.values is not None]
    if len(values) < len(found):
        raise UnknownMetricError(f"{first.metric} is no mean over instances")
    every = torch.stack(values)
    if first.better == "zero":
        every = torch.where(every.isnan(), torch.inf, every.abs())
        chosen = every.argmin(dim=0)
        best = torch.stack(values).gather(0, chosen.unsqueeze(0))[0]
    else:
        sign = 1 if first.better == "higher" else -1
        best = sign * (sign * every).nan_to_num(-torch.inf).amax(dim=0)
        best = torch.where(best.isinf(), torch.nan, best)
    return Measured.of(first.metric, "search", best, level=first.level, better=first.better)


@dataclass(frozen=True)
class _Objective:
    """What is maximized.

    Attributes:
        num_states: how many states a selection is asked in.
        is_present: from numbers of states, instances, edges and whether an edge is selected.
        value: from answers, each ``[num_states, C]``, to values ``[C]``.
    """

    num_states: int
    is_present: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
    value: Callable[[Answers], Tensor]


def _objective(metric: Searched, run: Run, draws: Draws) -> _Objective:
    if metric == "robust_fidelity_delta":
        count = draws.num_minus
        return _Objective(
            count + draws.num_plus,
            draws.of(run.preparation.graph, run.instances),
            lambda found: found.value[:count].mean(dim=0) - found.value[count:].mean(dim=0),
        )
    keeps = metric in ("sufficiency", "fidelity_minus")
    sign, weight = (1 if keeps else -1), (2 if metric in _OF_CLASSES else 0)

    def value(found: Answers) -> Tensor:
        class_first = weight * found.decision[0] if weight else 0
        return sign * (found.value[0].double() + class_first)

    def is_present(_state: Tensor, _instance: Tensor, _edge: Tensor, selected: Tensor) -> Tensor:
        return selected == keeps

    return _Objective(1, is_present, value)


@dataclass
class _Search:
    """The greedy search of all instances at once.

    Attributes:
        run: the instances.
        units: what may be added: rank is the number of an instance's edge or pair.
        objective: what is maximized.
        steps: how many are added.
        candidates: how many are tried from the second on.
    """

    run: Run
    units: Ranked
    objective: _Objective
    steps: int
    candidates: int

    def __post_init__(self) -> None:
        count = self.units.count
        #: ``[b]`` where the units of an instance begin.
        self.first = count.cumsum(0) - count
        self._is_chosen = torch.zeros(int(count.sum()), dtype=torch.bool, device=count.device)

    def scores(self) -> Tensor:
        """Scores of all units of all instances, one after the other."""
        found = torch.zeros(self._is_chosen.numel(), dtype=torch.float64)
        found = found.to(self._is_chosen.device)
        for batch in self.run.batches():
            self._search(batch, found)
        return found

    def _search(self, batch: StateBatch, found: Tensor) -> None:
        instance = batch.position.repeat_interleave(self.units.count[batch.position])
        unit = torch.cat([self._all_units(one) for one in batch.position.tolist()])
        alone = self._values(batch, instance, unit)
        order = _by_value(instance, alone)
        instance, unit, value = instance[order], unit[order], alone[order]
        place = _place_within(instance)
        size = self.units.count[instance]
        found[self.first[instance] + unit] = (size - place).double() / (size + 1)
        pool = place < self.candidates
        instance, unit, value = instance[pool], unit[pool], value[pool]
        for step in range(self.steps):
            left = ~self._is_chosen[self.first[instance] + unit]
            instance, unit, value = instance[left], unit[left], value[left]
            if not instance.numel():
                return
            if step:
                value = self._values(batch, instance, unit)
            order = _by_value(instance, value)
            best = order[_place_within(instance[order]) == 0]
            added = self.first[instance[best]] + unit[best]
            self._is_chosen[added] = True
            found[added] = float(self.steps - step + 1)

    def _all_units(self, instance: int) -> Tensor:
        return torch.arange(int(self.units.count[instance]), device=self.first.device)

    def _values(self, batch: StateBatch, instance: Tensor, unit: Tensor) -> Tensor:
        """``[C]`` what the objective is with one more unit; -inf where nothing is left to ask."""
        size, objective = instance.numel(), self.objective

        def is_present(state: Tensor, edge: Tensor) -> Tensor:
            at, number = instance[state % size], state // size
            own = self.units.find(at, edge)
            known = own != UNRANKED
            earlier = self._is_chosen[self.first[at] + own.where(known, 0)]
            selected = known & (earlier | (own == unit[state % size]))
            return objective.is_present(number, at, edge, selected)

        found = batch.ask(States(instance.repeat(objective.num_states), is_present))
        found = Answers(found.value.view(-1, size), found.decision.view(-1, size))
        value: Tensor = objective.value(found)
        return value.double().nan_to_num(float("-inf"))


def _by_value(instance: Tensor, value: Tensor) -> Tensor:
    """Instance after instance, the highest value first, ties as they come."""
    order = torch.argsort(-value, stable=True)
    return order[torch.argsort(instance[order], stable=True)]


def _place_within(instance: Tensor) -> Tensor:
    """``[C]`` the how-manieth entry of its instance each is; equal instances lie together."""
    count: Tensor = torch.unique_consecutive(instance, return_counts=True)[1]
    start = (count.cumsum(0) - count).repeat_interleave(count)
    return torch.arange(instance.numel(), device=instance.device) - start


def _with_scores(
    explanations: Explanations, method: str, run: Run, units: Ranked, first: Tensor, score: Tensor
) -> Explanations:
    """Explanations with the scores of units as those of their edges."""
    number = torch.full((run.num_all,), -1)
    number[run.place] = torch.arange(len(run))

    def scores(part: Part) -> dict[str, Tensor | None]:
        instance = number[part.position[part.edge_instance]].to(first.device)
        unit = units.find(instance, part.edge.to(first.device))
        return {"edge_score": score[first[instance] + unit].cpu().float()}

    return in_place_of(explanations, method, scores)
