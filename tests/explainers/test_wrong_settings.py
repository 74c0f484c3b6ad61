"""Every setting of every method: unknown, of a wrong type, out of range, by position."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from torch_geometric.nn import GCN

import glassgraph as gg
from glassgraph.errors import GlassgraphError, HyperParameterError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.registry import any_method, methods
from glassgraph.explainers.settings import settings_of

METHODS = [str(name) for name in methods().index]


class Foreign:
    """No setting takes it."""


def make(method: Any, **settings: Any) -> Any:
    if issubclass(method, Explainer):
        return method(GCN(3, 8, 2, 2), **settings)
    return method(GCN(3, 8, 2, 2), node_types=3, max_nodes=4, **settings)


@pytest.mark.parametrize("name", METHODS)
def test_wrong_values_raise_a_named_error(name: str) -> None:
    method = any_method(name)
    for each in settings_of(method):
        wrong: list[Any] = [Foreign(), "five", -1e400]
        for bound, step in ((each.bounds.at_least, -1), (each.bounds.at_most, 1)):
            wrong += [] if bound is None else [bound + step]
        wrong += [x for x in (each.bounds.above, each.bounds.below) if x is not None]
        for value in wrong:
            if each.accepts(value):
                continue
            with pytest.raises(GlassgraphError, match=each.name):
                make(method, **{each.name: value})


@pytest.mark.parametrize("name", METHODS)
def test_unknown_missing_and_too_many_arguments_are_named(name: str) -> None:
    method: Any = any_method(name)
    with pytest.raises(HyperParameterError, match=f"{name} has no hyper-parameter 'target7'"):
        make(method, target7=7)
    with pytest.raises(HyperParameterError, match="missing a required argument: 'model'"):
        method()
    with pytest.raises(HyperParameterError, match=f"{name}.*too many positional"):
        method(GCN(3, 8, 2, 2), "node", 1, 2, 3, 4, 5, 6, 7, 8)


def test_an_explainer_is_copied_and_pickled_as_before() -> None:
    explainer = gg.GNNExplainer(GCN(3, 8, 2, 2), epochs=7)
    assert copy.deepcopy(explainer).epochs == 7
    assert pickle.loads(pickle.dumps(explainer)).epochs == 7
