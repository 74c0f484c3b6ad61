"""Every convolution of PyG, explained by six methods and held against a literal version.

What further methods make of it is held against `tests.coverage.limits`.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import torch_geometric.nn as pyg
from torch import nn
from torch_geometric.data import Data
from torch_geometric.nn import conv as convs

from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.gradient.edge_gradients import EdgeGradients
from glassgraph.results.explanation import Attribution
from tests import coverage_matrix
from tests.coverage import checks, limits, literal
from tests.coverage.models import WIDTH, without_edges
from tests.coverage.outside import HETEROGENEOUS, NOT_BUILDABLE, REFUSED, NotBuildable, Refused
from tests.coverage.scene import Scene, scene
from tests.coverage.set_up import SetUp, row
from tests.coverage.set_ups import SET_UPS
from tests.turns import by_turns


def is_expected(set_up: SetUp, check: Callable[[Scene], None]) -> bool:
    return not set_up.defect or bool(set_up.fails and check.__name__ not in set_up.fails)


LITERAL = [check for check in checks.CHECKS if check not in checks.OF_MANY]
PAIRS = [
    *by_turns(SET_UPS, LITERAL, is_expected),
    *by_turns(SET_UPS, checks.OF_MANY, is_expected),
]


@pytest.mark.parametrize(("set_up", "check"), PAIRS)
def test_set_up(set_up: SetUp, check: Callable[[Scene], None]) -> None:
    check(scene(set_up.name))


def test_known_defects() -> None:
    """A defect that is mended must lose its note, so that every check holds from then on."""
    for set_up in SET_UPS:
        if not set_up.defect:
            continue
        failed = []
        for check in checks.CHECKS:
            try:
                check(scene(set_up.name))
            except Exception:  # noqa: BLE001
                failed.append(check.__name__)
        assert failed, f"{set_up.name} works now: take its defect out of the list"
        assert not set_up.fails or failed == list(set_up.fails), set_up.name


# The list


def test_enough_set_ups_with_names_of_their_own() -> None:
    assert len([set_up for set_up in SET_UPS if not set_up.is_broken]) >= 62
    assert len({set_up.name for set_up in SET_UPS}) == len(SET_UPS)


def test_every_limit_is_of_a_set_up() -> None:
    names = {set_up.name for set_up in SET_UPS}
    assert names >= set(limits.NO_RULE) | set(limits.NO_WALKS) | limits.SHOWS_ATTENTION
    assert names >= limits.NO_PARTS | set(limits.NEEDS_MESSAGES)


def test_every_layer_of_pyg_is_accounted_for() -> None:
    covered = {
        type(module).__name__ for set_up in SET_UPS for module in set_up.make_model().modules()
    }
    outside = {each.name for each in [*NOT_BUILDABLE, *REFUSED]} | set(HETEROGENEOUS)
    assert set(convs.__all__) - covered - outside == {"MessagePassing"}
    assert not covered & outside


@pytest.mark.parametrize("layer", NOT_BUILDABLE, ids=lambda layer: layer.name)
def test_layer_cannot_be_built_here(layer: NotBuildable) -> None:
    if find_spec(layer.package) is not None:
        pytest.skip(f"{layer.package} is installed")
    with pytest.raises(ImportError):
        layer.build()


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: refused.name)
def test_refused_with_a_clear_error(refused: Refused) -> None:
    with pytest.raises(refused.error):
        refused.explain()


@pytest.mark.slow("asks every layer of every method: others_keep_to_their_limits")
def test_page_is_up_to_date() -> None:
    page = Path(coverage_matrix.__file__).parents[1] / "docs" / "coverage.md"
    assert page.read_text(encoding="utf-8") == coverage_matrix.page(), (
        "run: python -m tests.coverage_matrix"
    )


# What the checks must reject


def wrong(**changes: Any) -> Scene:
    """A set-up of the list with something wrong in it."""
    base = row("wrong", pyg.SAGEConv)
    return Scene(dataclasses.replace(base, **changes))


def test_a_mask_without_effect_is_rejected() -> None:
    scene_ = wrong(style=without_edges)
    with pytest.raises(AssertionError):
        checks.shut_gates_delete_messages(scene_)


@pytest.mark.parametrize(
    "check", [checks.occlusion_is_literal, checks.gradients_are_literal], ids=lambda c: c.__name__
)
def test_scores_on_the_wrong_edges_are_rejected(check: Callable[[Scene], None]) -> None:
    checks_out = wrong()
    check(checks_out)
    with pytest.raises(AssertionError):
        check(wrong(carries=literal.against_the_edges))

    def shifted(data: Any, name: str, call: int, rows: torch.Tensor) -> list[int]:
        edges = literal.by_endpoints(data, name, call, rows)
        return edges[1:] + edges[:1]

    with pytest.raises(AssertionError):
        check(wrong(carries=shifted))


def test_a_wrong_number_of_layers_is_rejected() -> None:
    for changes in ({"layers": 3}, {"sites": 3}, {"whole": "not so"}):
        with pytest.raises(AssertionError):
            checks.wiring_is_known(wrong(**changes))


def test_a_method_that_looks_across_instances_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    attribute = EdgeGradients.attribute

    def across(self: EdgeGradients, batch: InstanceBatch) -> Attribution:
        found = attribute(self, batch)
        return dataclasses.replace(found, edge=found.edge + 1e-6 * batch.num_instances)

    checks.together_is_one_by_one(wrong())
    monkeypatch.setattr(EdgeGradients, "attribute", across)
    with pytest.raises(AssertionError, match="edge_gradients"):
        checks.together_is_one_by_one(wrong())


@pytest.mark.parametrize(
    "table", [{"NO_RULE": {"wrong": "lstm"}}, {"SHOWS_ATTENTION": {"wrong"}}], ids=str
)
def test_a_wrong_limit_is_rejected(
    table: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    checks.others_keep_to_their_limits(wrong())
    for name, value in table.items():
        monkeypatch.setattr(limits, name, value)
    with pytest.raises(AssertionError):
        checks.others_keep_to_their_limits(wrong())


def test_a_limit_that_nobody_wrote_down_is_rejected() -> None:
    def build(n: int) -> nn.Module:
        return pyg.SAGEConv(WIDTH, WIDTH, aggr="lstm")

    with pytest.raises(AssertionError, match="no rule for 'lstm'"):
        checks.others_keep_to_their_limits(wrong(build=build, options=frozenset({"sorted"})))


def test_a_model_that_mixes_nodes_is_seen_to_need_the_full_graph() -> None:
    class Centered(nn.Module):
        def forward(self, x: torch.Tensor, batch: object) -> torch.Tensor:
            return x - x.mean(dim=0)

    scene_ = wrong(model=lambda: {"norm": Centered()})
    with pytest.raises(AssertionError):
        checks.wiring_is_known(scene_)
    checks.gradients_are_literal(scene_)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.train(not model.training),
        lambda model: model.encode.requires_grad_(False),
        lambda model: model.first.register_forward_hook(lambda *_: None),
        lambda model: model.first.register_message_forward_hook(lambda *_: None),
        lambda model: setattr(model.first, "explain", True),
        lambda model: model.decode.bias.data.mul_(1 + 1e-7),
        lambda model: torch.rand(1),
    ],
)
def test_a_changed_model_is_noticed(change: Callable[[Any], object]) -> None:
    model = copy.deepcopy(row("wrong", pyg.SAGEConv).make_model())
    with literal.unchanged(model):
        pass
    with pytest.raises(AssertionError), literal.unchanged(model):
        change(model)


def test_the_literal_model_deletes_messages() -> None:
    """A sum over two edges, by hand."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = pyg.SimpleConv(aggr="sum")

        def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
            return self.conv(x, edge_index)

    data = Data(x=torch.tensor([[2.0], [3.0], [5.0]]), edge_index=torch.tensor([[0, 1], [2, 2]]))
    gated = literal.Gated(Net(), data, (), literal.by_endpoints)
    for gates, total in (([1, 1], 5.0), ([0, 1], 3.0), ([1, 0.5], 3.5), ([0, 0], 0.0)):
        assert gated(torch.tensor(gates).float())[2].item() == total
