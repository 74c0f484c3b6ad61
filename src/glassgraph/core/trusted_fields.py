"""Fields of a large graph without a run of their own on what lies around them.

`glassgraph.core.trust` decides whether they are right; here the runs are made that it learns from,
as many as a budget allows, and fields are packed with what it has learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from glassgraph.calling.out_of_memory import let_through
from glassgraph.core.constant_tables import read_tables
from glassgraph.core.context import local_context, rows_agree, without_nan
from glassgraph.core.costs import COPIES, affordable, refuse_large_fields, small_fields
from glassgraph.core.intercept import PlanMismatch
from glassgraph.core.packer import Packer, Packing
from glassgraph.core.plan import SiteConstants
from glassgraph.core.told import Told
from glassgraph.core.trust import AT_FIRST, Trust, Undecided
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.receptive import Fields
from glassgraph.inputs.task import Target, Targets

#: Instances among which those are looked for that a check can afford.
_SAMPLED_FROM = 16
#: How often formulas may be told apart by further runs for one group; each round leaves fewer.
_ROUNDS = 32


@dataclass
class TrustedFields:
    """Packs fields that need no check of their own, and checks a few.

    Attributes:
        told: what the user has been told.
        trust: what is known of the model on this graph.
    """

    told: Told
    trust: Trust
    _tables: Mapping[int, SiteConstants] | None = field(default=None, repr=False)

    def are_given(self, packer: Packer, chosen: Instances, budget: int | None) -> bool:
        """Whether fields need no run on what lies around them.

        The first ones are held against it, and then one in so many.

        Args:
            packer: the model on the graph.
            chosen: instances that are to be explained.
            budget: bytes that a check may take.
        """
        trust = self.trust
        if trust.is_due and self._known_constants(packer) is not None:
            self._check_some(packer, chosen, budget)
        return trust.is_given and self._known_constants(packer) is not None

    def pack(
        self,
        packer: Packer,
        chosen: Instances,
        position: Tensor,
        target: Target | Targets,
        fields: Fields,
        budget: int | None,
    ) -> Packing | None:
        """Receptive fields side by side, whose predictions are the model's; None if they are not.

        Raises:
            FieldTooLargeError: if that has to be found out, and what lies around is too large.
        """
        try:
            return self._pack(packer, chosen, position, target, fields, budget)
        except PlanMismatch:
            self.trust.is_lost = True
            self.told.lost_trust(self.trust.num_given)
            return None

    def _pack(
        self,
        packer: Packer,
        chosen: Instances,
        position: Tensor,
        target: Target | Targets,
        fields: Fields,
        budget: int | None,
    ) -> Packing | None:
        trust, graph = self.trust, packer.graph
        nothing = Targets(torch.zeros_like(chosen.index))
        reference = fields.node.new_zeros((len(chosen), 1), dtype=torch.get_default_dtype())
        for _ in range(_ROUNDS):
            constants = self._known_constants(packer)
            if trust.is_lost or constants is None:
                break
            try:
                with trust.comparing():
                    batch = packer.assemble(chosen, fields, nothing, reference, constants)
            except Undecided as undecided:
                few = chosen.take(undecided.instances[:_SAMPLED_FROM])
                if budget is not None and graph.must_stay_cut:
                    cheap = affordable(packer.costs, few, budget, COPIES)
                    if not cheap.numel():
                        refuse_large_fields(packer.costs, few, budget, COPIES)
                    few = few.take(cheap)
                self._check(packer, few.take(_spread(len(few), AT_FIRST, graph.device)))
                continue
            trust.give(len(chosen))
            with torch.no_grad():
                batch.reference = without_nan(batch.output(gates=batch.ones()))
            batch.targets = packer.targets(chosen, position, target, batch.reference)
            return batch, torch.ones(len(chosen), dtype=torch.bool, device=graph.device)
        return None

    def _known_constants(self, packer: Packer) -> Mapping[int, SiteConstants] | None:
        """What fields would get wrong at their boundary: by formulas, or tabulated."""
        if self.trust.has_formulas:
            return self.trust.constants()
        if self._tables is None and packer.graph.must_stay_cut:
            self._tables = read_tables(packer.graph, packer.model_call, packer.wiring)
        return self._tables

    def _check_some(self, packer: Packer, chosen: Instances, budget: int | None) -> None:
        """Check fields of a few instances, or else of other nodes, that a budget allows."""
        device = packer.graph.device
        few = chosen.take(_spread(len(chosen), _SAMPLED_FROM, device))
        if budget is not None:
            few = few.take(affordable(packer.costs, few, budget, COPIES))
            if not len(few):
                others = small_fields(packer.costs, packer.task)
                few = Instances.of_nodes(packer.graph, packer.task, others)
                few = few.take(affordable(packer.costs, few, budget, COPIES))
        if len(few):
            self._check(packer, few.take(_spread(len(few), self.trust.sampled, device)))
        else:
            self.trust.skip()

    def _check(self, packer: Packer, few: Instances) -> None:
        """Hold a few fields against what lies around them, and learn from it."""
        trust = self.trust

        def packed(way: Packer) -> Packing:
            context = local_context(way.graph, way.wiring, way.model_call, way.task, few)
            nothing = Targets(torch.zeros_like(few.index))
            learning = trust.learning(context.constants)
            batch = way.assemble(few, way.fields(few), nothing, context.output, learning)
            output = batch.output(gates=batch.ones())
            return batch, rows_agree(output, context.output, way.model_call)

        try:
            with torch.no_grad():
                is_right = bool(packer.on_fields(packed)[1].all())
        except Exception as error:  # noqa: BLE001 - without trust the same fails, and is told of
            let_through(error)
            is_right = False
        trust.found(is_right=is_right)
        if trust.is_lost or trust.is_misled:
            self.told.lost_trust(trust.num_given)


def _spread(size: int, most: int, device: torch.device) -> Tensor:
    """At most so many positions out of ``size``, at even distances."""
    if size <= most:
        return torch.arange(size, device=device)
    return torch.linspace(0, size - 1, most, device=device).long()
