"""A check that cannot fail is a defect: every law rejects an explainer that breaks it."""

from __future__ import annotations

import pytest
import torch

from tests.laws import checks, wrong
from tests.laws.cases import Case, factory

NODE = Case("gin", "node")
GRAPH = Case("gin", "graph")
LINK = Case("gin", "edge")


@pytest.mark.parametrize("case", [NODE, GRAPH, LINK], ids=str)
@pytest.mark.parametrize(
    ("check", "explainer"),
    [
        (checks.check_model_unchanged, wrong.LeavesHook),
        (checks.check_model_unchanged, wrong.ChangesWeights),
        (checks.check_model_unchanged, wrong.SetsGradients),
        (checks.check_model_unchanged, wrong.ChangesData),
        (checks.check_model_matters, wrong.IgnoresModel),
        (checks.check_together_is_alone, wrong.DividesByBatchMaximum),
        (checks.check_budget_is_irrelevant, wrong.AveragesOverBatch),
        (checks.check_edge_order_is_irrelevant, wrong.PrefersLaterEdges),
        (checks.check_edge_order_is_irrelevant, wrong.ShiftsEdges),
        (checks.check_node_order_is_irrelevant, wrong.PrefersLaterNodes),
        (checks.check_node_order_is_irrelevant, wrong.SwapsNodes),
        (checks.check_seed_decides, wrong.IgnoresSeed),
        (checks.check_seed_decides, wrong.SecretlyRandom),
        (checks.check_global_random_state, wrong.ReadsGlobalGenerator),
        (checks.check_global_random_state, wrong.SeedsGlobalGenerator),
    ],
    ids=lambda each: each.__name__,
)
def test_law_rejects(check, explainer, case: Case) -> None:
    with pytest.raises(AssertionError):
        check(factory(explainer), case)


@pytest.mark.parametrize("case", [NODE, LINK], ids=str)
@pytest.mark.parametrize(
    ("check", "explainer"),
    [
        (checks.check_field_is_full_graph, wrong.DividesByFieldSize),
        (checks.check_far_graph_is_irrelevant, wrong.DividesByGraphSize),
        (checks.check_outside_is_zero, wrong.ShiftsEdges),
    ],
    ids=lambda each: each.__name__,
)
def test_law_of_fields_rejects(check, explainer, case: Case) -> None:
    with pytest.raises(AssertionError):
        check(factory(explainer), case)


@pytest.mark.parametrize("error", [checks.Blown, KeyboardInterrupt])
@pytest.mark.parametrize("explainer", [wrong.DetachesOnlyOnSuccess, wrong.StaysFrozen])
def test_law_of_failures_rejects(explainer, error) -> None:
    checks.check_model_unchanged(factory(explainer), NODE)  # nothing to see without a failure
    with pytest.raises(AssertionError):
        checks.check_model_unchanged_after_failure(factory(explainer), NODE, error)


@pytest.mark.parametrize("names_receivers", [False, True])
@pytest.mark.parametrize("level", ["node", "graph", "edge"])
def test_law_of_the_planted_edge_rejects_the_wrong_sign(level: str, names_receivers: bool) -> None:
    with pytest.raises(AssertionError):
        checks.check_planted_edge_is_first(factory(wrong.WrongSign), level, names_receivers)


@pytest.mark.parametrize("case", [NODE, GRAPH, LINK], ids=str)
def test_law_of_open_gates_rejects_a_last_bit(case: Case) -> None:
    with pytest.raises(AssertionError):
        checks.check_open_gates_change_no_bit(case, wrong.opens_too_far)


@pytest.mark.parametrize("output", [wrong.shuts_not_quite, wrong.shuts_neighbor])
@pytest.mark.parametrize("case", [NODE, GRAPH, LINK], ids=str)
def test_law_of_shut_gates_rejects(case: Case, output) -> None:
    with pytest.raises(AssertionError):
        checks.check_shut_gate_deletes_message(case, output)


def test_law_of_files_rejects_rounding(tmp_path) -> None:
    with pytest.raises(AssertionError):
        checks.check_save_and_load(factory(wrong.SavesRounded), NODE, tmp_path)


@pytest.mark.parametrize("name", ["no edges", "one node", "isolated"])
def test_law_of_the_world_rejects_division_by_nothing(name: str) -> None:
    with pytest.raises(AssertionError):
        checks.check_edge_of_the_world(factory(wrong.DividesByMaximum), NODE, name)


def test_law_of_the_world_rejects_the_wrong_precision() -> None:
    with pytest.raises(AssertionError):
        checks.check_edge_of_the_world(factory(wrong.AlwaysSingle), NODE, "loops", torch.float64)
