"""Rules on graphs whose verdict can be read off, and their masks against trying every move."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor

import glassgraph as gg
from glassgraph.errors import HyperParameterError, MissingExtraError
from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs
from glassgraph.explainers.graph_generation.graph_rules import (
    Judged,
    Rule,
    as_rule,
    from_json,
)

NAMES = ("C", "O", "F")
ROOM = 5
rules = gg.graph_rules


def graph(types: list[int], edges: list[tuple[int, int]]) -> DenseGraphs:
    pairs = torch.tensor(edges).long().view(-1, 2).t()
    return DenseGraphs.from_edges(torch.tensor(types), pairs, ROOM, len(NAMES))


STAR = graph([0, 1, 2, 2], [(0, 1), (0, 2), (0, 3)])
WATER = graph([1, 2, 2], [(0, 1), (0, 2)])
CROWDED = graph([1, 0, 0, 0], [(0, 1), (0, 2), (0, 3)])
APART = graph([0, 0, 1], [(0, 1)])
ALL = DenseGraphs.cat([STAR, WATER, CROWDED, APART])


@pytest.mark.parametrize(
    ("rule", "verdicts"),
    [
        (rules.MaxDegree(2), [False, True, False, True]),
        (rules.MaxDegree(3), [True, True, True, True]),
        (rules.MaxDegree({"C": 2}), [False, True, True, True]),
        (rules.Valence(), [True, True, False, True]),
        (rules.Valence({"C": 2, "O": 3, "F": 1}), [False, True, True, True]),
        (rules.Connected(), [True, True, True, False]),
        (as_rule(lambda node_type, edge_index: len(node_type) < 4), [False, True, False, True]),
    ],
    ids=repr,
)
def test_verdicts(rule: Rule, verdicts: list[bool]) -> None:
    assert rule.bind(NAMES).holds(ALL).tolist() == verdicts


@pytest.mark.parametrize(
    "rule", [rules.MaxDegree(2), rules.MaxDegree({"F": 1, "O": 2}), rules.Valence()], ids=repr
)
def test_foreseen_moves_are_those_after_which_the_rule_holds(rule: Rule) -> None:
    bound = rule.bind(NAMES)
    assert bound.masks_moves
    for row in range(len(ALL)):
        one = ALL.take(slice(row, row + 1))
        if not bool(bound.holds(one)[0]):
            continue  # what is broken cannot be mended by adding
        possible = one.moves()[0].nonzero()
        after = one.take(torch.zeros(len(possible)).long()).after(*possible.t())
        held = bound.holds(after).tolist()
        foreseen = bound.allowed_moves(one)[0][tuple(possible.t())].tolist()
        assert foreseen == held


def test_a_function_is_asked_once_for_each_graph() -> None:
    asked: list[int] = []

    def judge(node_type: Tensor, edge_index: Tensor) -> bool:
        asked.append(len(node_type))
        return True

    rule = as_rule(judge)
    rule.holds(ALL)
    rule.holds(ALL)
    assert asked == [4, 3, 4, 3]


def test_a_function_gets_both_directions() -> None:
    seen: list[list[list[int]]] = []
    Judged(lambda _, edge_index: bool(seen.append(edge_index.tolist())) or True).holds(WATER)
    assert seen == [[[0, 0, 1, 2], [1, 2, 0, 0]]]


def test_what_a_function_returns_is_a_verdict() -> None:
    assert as_rule(lambda *_: torch.tensor(False)).holds(WATER).tolist() == [False]
    with pytest.raises(HyperParameterError, match="returned str"):
        as_rule(lambda *_: "yes").holds(WATER)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, {"C": 0}])
def test_limits_are_positive_integers(limit: object) -> None:
    with pytest.raises(HyperParameterError, match="integer of at least 1"):
        rules.MaxDegree(limit)  # type: ignore[arg-type]


def test_names_that_a_rule_does_not_know() -> None:
    with pytest.raises(HyperParameterError, match="do not exist: Xe; there are C, O, F"):
        rules.MaxDegree({"Xe": 2}).bind(NAMES)
    with pytest.raises(HyperParameterError, match="knows no valence of 'Q'"):
        rules.Valence().bind(["C", "Q"])
    with pytest.raises(HyperParameterError, match="knows no valence of '0', '1'"):
        rules.Valence().bind(["0", "1"])


def test_what_is_no_rule() -> None:
    with pytest.raises(HyperParameterError, match=r"MaxDegree\(3\)"):
        as_rule(4)  # type: ignore[arg-type]
    with pytest.raises(HyperParameterError, match="functions"):
        as_rule(rules.Connected)


@pytest.mark.parametrize(
    "rule", [rules.MaxDegree(2), rules.MaxDegree({"C": 2}), rules.Valence(), rules.Connected()]
)
def test_rules_survive_json(rule: Rule) -> None:
    told = rule.to_json()
    assert told is not None
    assert repr(from_json(told)) == repr(rule)
    assert type(from_json(told)) is type(rule)


def test_without_rdkit_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(MissingExtraError, match=r"glassgraph\[rdkit\]"):
        rules.Sanitizable()


def test_rdkit_accepts_single_bonds_only_as_far_as_they_go() -> None:
    pytest.importorskip("rdkit")
    bound = rules.Sanitizable().bind(NAMES)
    assert bound.holds(ALL).tolist() == [True, True, False, True]
    assert not bound.masks_moves
    with pytest.raises(HyperParameterError, match="symbols of elements"):
        rules.Sanitizable().bind(["C", "Qq"])
