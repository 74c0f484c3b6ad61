"""Whether receptive fields of a large graph give the model's predictions, learned from a few.

What lies around a field has many times its edges, so on a large graph the model is run there for
the first instances and then for one in so many. These runs tell two things: whether predictions
on fields are right, and by which formula the arguments follow that a field would get wrong at its
boundary (`glassgraph.core.normalization`). All formulas that ever differed from a run, in a
single bit, are out; those that are left decide only where they agree with one another. Where they
do not, the instances in question are run with what lies around them, which leaves fewer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from glassgraph.core.intercept import PlanMismatch
from glassgraph.core.normalization import (
    WITHOUT_LOOPS,
    AsInField,
    Formula,
    NodeSums,
    Symmetric,
    formulas,
)
from glassgraph.core.plan import SiteConstants, SiteRows
from glassgraph.core.sites import Wiring
from glassgraph.inputs.graph import TypedGraph

#: Groups of which several instances are held against what lies around their fields, and how many.
FIRST_CHECKS, AT_FIRST = 2, 4
#: Afterwards one instance in so many.
ONE_IN = 64


class Undecided(RuntimeError):
    """Formulas that were never told apart differ on some instances.

    Args:
        instances: ``[k]`` positions of these.
    """

    def __init__(self, instances: Tensor) -> None:
        super().__init__("formulas differ that were never told apart")
        self.instances = instances


@dataclass
class Trust:
    """What is known so far of one model on one graph.

    Attributes:
        graph: the user's graph.
        wiring: the model's sites.
        num_checks: how often fields were found to be right.
        num_given: instances that were explained without a check of their own.
        is_lost: whether fields were found to be wrong.
        is_misled: whether an argument turned out to follow no formula after it had followed one.
    """

    graph: TypedGraph
    wiring: Wiring
    num_checks: int = 0
    num_given: int = 0
    is_lost: bool = False
    is_misled: bool = False
    _unchecked: int = 0
    _compares: bool = False
    _tested: set[tuple[int, str]] = field(default_factory=set)
    _left: dict[tuple[int, str], list[Formula]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sums = NodeSums(self.graph)
        for position, site in enumerate(self.wiring.sites):
            if site.is_mapped:
                for name in site.constant_arguments:
                    self._left[position, name] = formulas(self.graph)

    @property
    def has_formulas(self) -> bool:
        """Whether a formula is left for each argument."""
        return all(self._left.values())

    @property
    def is_given(self) -> bool:
        """Whether fields need no check of their own."""
        return not self.is_lost and self.num_checks > 0

    @property
    def is_due(self) -> bool:
        """Whether some instances should be held against what lies around them."""
        most = 1 if self.num_checks < FIRST_CHECKS else ONE_IN
        return not self.is_lost and (not self.num_checks or self._unchecked >= most)

    @property
    def sampled(self) -> int:
        """How many instances a check takes."""
        return 1 if self.num_checks >= FIRST_CHECKS else AT_FIRST

    def found(self, *, is_right: bool) -> None:
        """What came of a check."""
        self._unchecked = 0
        self.num_checks += is_right
        self.is_lost |= not is_right

    def skip(self) -> None:
        """No check can be afforded; the next one is not due at once."""
        self._unchecked = 0

    def give(self, num_instances: int) -> None:
        """Instances are explained without a check of their own."""
        self._unchecked += num_instances
        self.num_given += num_instances

    def learning(self, known: Mapping[int, SiteConstants]) -> Mapping[int, SiteConstants]:
        """What is known from a run on what lies around fields; formulas are held against it."""
        return {at: _Learning(self, at, known.get(at)) for at in {at for at, _ in self._left}}

    def constants(self) -> Mapping[int, SiteConstants]:
        """What follows from the formulas."""
        return {position: _Learned(self, position) for position in {at for at, _ in self._left}}

    @contextmanager
    def comparing(self) -> Iterator[None]:
        """Hold what formulas give against one another, and against the run on whole fields."""
        self._compares = True
        try:
            yield
        finally:
            self._compares = False

    def keep(self, position: int, site: SiteRows, known: Mapping[str, Tensor]) -> None:
        """Drop the formulas of a site that give other numbers than are known."""
        had_followed = (position, "lacking") in self._tested
        for kind in self._untested(position, site):
            self._tested.add((position, kind))
        for name, own in site.own.items():
            wanted = known.get(name, own)
            left = self._left.get((position, name), [])
            self._left[position, name] = [
                formula
                for formula in left
                if _is_same(formula.values(site, name, self._sums), wanted)
            ]
            self.is_misled |= had_followed and bool(left) and not self._left[position, name]

    def decide(self, position: int, site: SiteRows) -> dict[str, Tensor]:
        """Arguments of some rows.

        Raises:
            Undecided: while `comparing`, if the formulas that are left differ.
            PlanMismatch: likewise, if they are not what the field has where it has all edges.
        """
        found = {}
        if self._compares:
            for rows in self._untested(position, site).values():
                raise Undecided(_owners(site, rows))
        for name, own in site.own.items():
            first, *others = self._left[position, name]
            value = first.values(site, name, self._sums)
            if value is None:
                raise PlanMismatch("a layer has other rows on this receptive field than before")
            if self._compares:
                for other in others:
                    self._agree(site, value, other.values(site, name, self._sums))
                if isinstance(first, Symmetric):
                    self._check_inside(site, first, value, own)
            if not isinstance(first, AsInField):
                found[name] = value
        return found

    def _agree(self, site: SiteRows, value: Tensor, other: Tensor | None) -> None:
        if _is_same(other, value):
            return
        differs = torch.ones_like(value, dtype=torch.bool)
        if other is not None and other.shape == value.shape:
            differs = other != value
        raise Undecided(_owners(site, differs.view(value.size(0), -1).any(dim=1)))

    def _untested(self, position: int, site: SiteRows) -> dict[str, Tensor]:
        """Rows ``[M]`` of kinds on which no formula of a site was held against a run so far."""
        kinds = {"lacking": self._lacking, "looped": self._looped}
        todo = {kind: find for kind, find in kinds.items() if (position, kind) not in self._tested}
        found = {kind: find(site) for kind, find in todo.items()} if site.own else {}
        return {kind: rows for kind, rows in found.items() if bool(rows.any())}

    def _lacking(self, site: SiteRows) -> Tensor:
        """Rows with an end of which the field lacks some edges."""
        graph, fields = site.graph, site.fields
        lacking = torch.zeros_like(fields.node, dtype=torch.bool)
        for index, ends in ((graph.incoming, fields.destination), (graph.outgoing, fields.source)):
            degree = index.pointer[fields.node + 1] - index.pointer[fields.node]
            lacking |= torch.bincount(ends, minlength=fields.node.numel()) < degree
        return _at_ends(site, lacking)

    def _looped(self, site: SiteRows) -> Tensor:
        """Rows with an end that has a self-loop of the user's, which layers treat differently."""
        if site.graph.is_heterogeneous:
            return torch.zeros_like(site.edge, dtype=torch.bool)
        return _at_ends(site, self._sums.of(site.fields, WITHOUT_LOOPS)[1] == 1)

    def _check_inside(self, site: SiteRows, formula: Symmetric, value: Tensor, own: Tensor) -> None:
        """Inside a field the run's own numbers are right, and have to be the formula's."""
        if formula.end == 0 and not self.wiring.needs_both_directions:
            return
        inside = (site.fields.distance < self.wiring.num_hops)[site.rows].all(dim=0)
        if not torch.equal(value[inside], own[inside]):
            raise PlanMismatch("a layer follows another formula on this receptive field")


def _at_ends(site: SiteRows, nodes: Tensor) -> Tensor:
    """Which rows have one of some nodes ``[n]`` at an end."""
    if site.graph.is_heterogeneous:  # rows are numbered by type: go through the edges
        ends = torch.stack([site.fields.source, site.fields.destination])
        is_there, is_inside = nodes[ends[:, site.edge.clamp_min(0)]], site.edge >= 0
    else:
        is_there = nodes[site.rows.clamp_max(nodes.numel() - 1)]
        is_inside = site.rows < nodes.numel()
    return (is_there & is_inside).any(dim=0)


def _owners(site: SiteRows, rows: Tensor) -> Tensor:
    """Which instances some rows belong to."""
    fields = site.fields
    if site.graph.is_heterogeneous:
        edge = site.edge[rows]
        owner = fields.edge_instance[edge[edge >= 0]]
    else:
        node = site.rows[:, rows].flatten()
        owner = fields.node_instance[node[node < fields.node.numel()]]
    found: Tensor = owner.unique()
    return found


def _is_same(one: Tensor | None, other: Tensor) -> bool:
    return one is not None and one.dtype == other.dtype and torch.equal(one, other)


@dataclass(frozen=True)
class _Learning:
    """Knows a site from a larger run, against which formulas are held."""

    trust: Trust
    position: int
    known: SiteConstants | None

    def look_up(self, site: SiteRows) -> dict[str, Tensor]:
        found = {} if self.known is None else self.known.look_up(site)
        self.trust.keep(self.position, site, found)
        return found


@dataclass(frozen=True)
class _Learned:
    """Knows a site from formulas."""

    trust: Trust
    position: int

    def look_up(self, site: SiteRows) -> dict[str, Tensor]:
        return self.trust.decide(self.position, site)
