"""Whether an explanation method keeps the laws: for methods of yours, and for Glassgraph's own.

Example:
    >>> import glassgraph as gg
    >>> from glassgraph.testing import check_explainer
    >>> class Gradients(gg.Explainer):
    ...     name = "gradients"
    ...     traits = gg.Traits(family="gradient", scores=("edge",), is_signed=True)
    ...
    ...     def attribute(self, batch):
    ...         return gg.Attribution(edge=batch.gate_gradients(batch.ones()))
    >>> table = check_explainer(Gradients, quick=True)
    >>> bool(table.holds.all())
    True
"""

from __future__ import annotations

from glassgraph.errors import LawBroken
from glassgraph.testing.check import check_explainer, law_names

__all__ = ["LawBroken", "check_explainer", "law_names"]
