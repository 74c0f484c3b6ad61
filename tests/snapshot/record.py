"""Runs a method on every case, and lays out what it says as a flat record.

A record maps paths such as ``node/1/edge_mask`` to tensors and plain values. It is filled with
whatever a result holds, not with a list of known fields: a kind of score that is new, or gone, is
seen. Where a method refuses a case, its record has the name of the error; warnings of Glassgraph
are caught, and their names recorded too.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import pandas as pd
import torch
from torch import Tensor
from torch_geometric.data import Data

import glassgraph as gg
from glassgraph.errors import GlassgraphError
from tests.snapshot.scenes import CASES, Case, summed
from tests.snapshot.settings import METHODS, MODEL_METHODS, registry_name

#: By path: tensors (numbers with a fraction among them), and integers, words and lists of them.
Record: TypeAlias = dict[str, Any]

#: The case of methods that explain a model.
MODEL_CASE = "model"
#: What an explanation and its nodes are called: no result of a method; see
#: ``tests/results/test_titles.py`` and ``tests/hetero/test_links.py``.
IN_WORDS = ("title", "target_name", "seed_type")


def record(name: str) -> Record:
    """What a method of the snapshot says on all cases."""
    if name in MODEL_METHODS:
        return dict(_flat(MODEL_CASE, _of_model(name)))
    found: Record = {}
    for title, case in CASES.items():
        found |= _flat(title, _of_case(name, case))
    return found


def _of_case(name: str, case: Case) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with _warnings_of_glassgraph() as caught:
        try:
            found |= _explained(name, case)
        except GlassgraphError as error:
            found["error"] = type(error).__name__
    return found | {"warnings": caught}


def _explained(name: str, case: Case) -> dict[str, Any]:
    method, data = _class_of(name), case.data()
    explainer = method(case.model(), case.task, progress=False, **METHODS[name])
    found: dict[str, Any] = {}
    if explainer.needs_fit:
        explainer.fit(data, index=case.learn_from)
        found["history"] = explainer.history
    explanations = explainer.explain(data, index=case.index, target=case.target)
    found |= {"num_layers": explanations.num_layers, "threshold": explanations.threshold}
    for position in range(len(explanations)):
        found[str(position)] = _explanation(explanations, position, data)
    return found


def _class_of(name: str) -> Any:
    return getattr(gg, gg.methods().loc[registry_name(name), "class"])


def _explanation(explanations: gg.Explanations, position: int, data: Any) -> dict[str, Any]:
    """Scores on the user's graph and on the receptive field, and what the threshold decides."""
    local, dense = explanations.local(position), explanations[position]
    shown = {key: value for key, value in vars(local).items() if key not in IN_WORDS}
    found: dict[str, Any] = {"local": shown, "walks": dense.walks}
    given = {key for each in _stores(data) for key in each}
    for number, store in enumerate(dense.stores):
        own = {key: store[key] for key in store if key not in given}
        own.pop("local", None)
        found[f"store_{number}"] = own
    if explanations.threshold is not None:
        found["kept"] = {
            name: score > explanations.threshold
            for name, score in vars(local).items()
            if name in ("edge_score", "layer_edge_score") and score is not None
        }
    return found


def _stores(data: Any) -> list[Any]:
    return [store for each in (data if isinstance(data, list) else [data]) for store in each.stores]


def _of_model(name: str) -> dict[str, Any]:
    method: Any = _class_of(name)
    types = ("A", "B", "C")
    with _warnings_of_glassgraph() as caught:
        explainer = method(
            summed(len(types)),
            types,
            max_nodes=5,
            rules=[gg.graph_rules.MaxDegree(3)],
            progress=False,
            **MODEL_METHODS[name],
        )
        graphs = explainer.fit(target_class=1).explain(n=3)
    found: dict[str, Any] = {
        "history": explainer.history,
        "frame": graphs.frame(),
        "trace": graphs.trace(),
        "warnings": caught,
    }
    for number, graph in enumerate(graphs):
        found[str(number)] = {**vars(graph), "data": graph.data, "origin": graph.origin}
        del found[str(number)]["steps"]  # the trace has them
    return found


@contextmanager
def _warnings_of_glassgraph() -> Iterator[list[str]]:
    """Collects the names of Glassgraph's warnings, once each; others are passed on."""
    names: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield names
    for each in caught:
        if each.category.__module__.startswith("glassgraph."):
            names.append(each.category.__name__)
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    names[:] = sorted(set(names))


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of nested results by path; what is None is left out."""
    if value is None:
        return
    if isinstance(value, pd.DataFrame):
        value = {column: _column(value[column]) for column in value}
    if isinstance(value, Data):
        value = value.to_dict()
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(f"{path}/{key}", each)
    elif isinstance(value, Tensor):
        yield path, value.detach().clone()
    elif isinstance(value, float):
        yield path, torch.tensor(value, dtype=torch.float64)
    elif isinstance(value, tuple):
        yield path, list(value)
    elif isinstance(value, (bool, int, str, list)):
        yield path, value
    else:
        raise TypeError(f"{path}: the snapshot cannot hold a {type(value).__name__}")


def _column(column: pd.Series) -> Any:
    values = column.tolist()
    if all(isinstance(value, (bool, int, float)) for value in values):
        return torch.tensor(values, dtype=torch.float64)
    return values
