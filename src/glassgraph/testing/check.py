"""`check_explainer`: whether a method keeps the laws."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from glassgraph.calling.call import Call
from glassgraph.errors import HyperParameterError, LawBroken
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.guard import check_class
from glassgraph.inputs.task import Target, Task
from glassgraph.testing.cases import AnyCase
from glassgraph.testing.law import Law
from glassgraph.testing.laws import LAWS
from glassgraph.testing.own_case import own_case
from glassgraph.testing.subject import Subject

if TYPE_CHECKING:
    import pandas as pd


def check_explainer(
    method: type[Explainer],
    model: nn.Module | None = None,
    data: Any = None,
    task: str | Task = "node",
    index: Any = None,
    target: Target = None,
    *,
    call: Call | None = None,
    laws: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    quick: bool = False,
    on_failure: Literal["raise", "collect"] = "raise",
) -> pd.DataFrame:
    """Ask a method every law, on tiny cases of all kinds or on a model and data of yours.

    Without a model the laws walk small graphs and networks within the method's ``scope``: node,
    graph and link tasks, classification and regression, four kinds of layers, graphs at the limits.
    The method is built with its ``test_settings``, which should make it explain in moments. With a
    model those laws are asked that need no other graph; copies in double precision are explained,
    so that rounding hides nothing.

    Args:
        method: a class that derives from `glassgraph.Explainer`.
        model: a model of yours; the room's own cases if None.
        data: its data: a graph, or a list of graphs for ``task="graph"``.
        task: the task of that model.
        index: which of its predictions are explained; three of them if None.
        target: the class that is explained there.
        call: how that model is called, ``call(model, data)``.
        laws: names of laws to ask, see `law_names`; all if None.
        settings: hyper-parameters, added to the method's ``test_settings``.
        quick: ask each law about one case only.
        on_failure: ``"raise"`` at the first law that is broken, or ``"collect"`` them all.

    Returns:
        A table with a row for each law and case: ``law``, ``case``, ``holds`` and, where it does
        not, ``message``.

    Raises:
        LawBroken: if a law is broken; the message says which, where, by how much and what it
            usually means.
        MethodDefinitionError: if the class lacks its name or traits.
        HyperParameterError: if there is no such law.
        GraphError: for data that are no graph.

    Example:
        >>> import glassgraph as gg
        >>> from glassgraph.testing import check_explainer
        >>> table = check_explainer(gg.EdgeGradients, laws=["signs_are_told", "explains"])
        >>> bool(table.holds.all())
        True
    """
    import pandas as pd

    check_class(method)
    subject = Subject(method, **(settings or {}))
    case = None if model is None else own_case(model, data, task, index, target, call)
    rows = []
    with _sums_in_order(model):
        for law, asked in _questions(subject, _chosen(laws), case, quick):
            message = ""
            try:
                law.ask(subject, asked)
            except LawBroken as broken:
                if on_failure == "raise":
                    raise
                message = str(broken)
            rows.append((law.name, str(asked), not message, message))
    return pd.DataFrame(rows, columns=["law", "case", "holds", "message"])


@contextmanager
def _sums_in_order(model: nn.Module | None) -> Iterator[None]:
    """On a GPU, let sums have an order: some laws ask for the same bits twice."""
    if model is None or all(each.device.type == "cpu" for each in model.parameters()):
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*does not have a deterministic implementation")
            warnings.filterwarnings("ignore", ".*Deterministic behavior was enabled")
            torch.use_deterministic_algorithms(True, warn_only=True)
            yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)


def law_names() -> dict[str, str]:
    """Every law, in the order in which they are asked, with the mistakes that it catches.

    Example:
        >>> from glassgraph.testing import law_names
        >>> law_names()["together_is_alone"]
        'scores that depend on the other instances of a batch'
    """
    return {law.name: law.catches for law in LAWS}


def _chosen(names: Sequence[str] | None) -> list[Law]:
    known = law_names()
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise HyperParameterError(
            f"there is no law {', '.join(map(repr, unknown))}; there are {', '.join(known)}"
        )
    return [law for law in LAWS if names is None or law.name in names]


def _questions(
    subject: Subject, laws: Sequence[Law], case: AnyCase | None, quick: bool
) -> Iterator[tuple[Law, AnyCase]]:
    """Which laws are asked about which cases."""
    for law in laws:
        if case is None:
            cases = law.cases_for(subject)
        else:
            cases = [case] if law.on_own and law.applies(subject, case) else []
        for each in cases[:1] if quick else cases:
            yield law, each
