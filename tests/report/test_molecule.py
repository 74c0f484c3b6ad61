"""Molecules as pictures: bonds once, letters, hydrogens folded where they tell little."""

from __future__ import annotations

import builtins
import math
from collections.abc import Iterator
from typing import Any

import matplotlib
import networkx as nx
import pytest
import torch

from glassgraph.report import ReportError, plot_explanation
from glassgraph.report.molecule import bond_scores
from glassgraph.report.molecule_parts import Molecule, is_molecule
from tests.report.fakes import Local, Run, local_of

#: Formamide, all hydrogens written: C=O, C-N, C-H, N-H, N-H.
ATOMS = ["C", "O", "N", "H", "H", "H"]
BONDS = [(0, 1), (0, 2), (0, 3), (2, 4), (2, 5)]
KINDS = ["double", "single", "single", "single", "single"]


@pytest.fixture(autouse=True)
def plt() -> Iterator[Any]:
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def formamide(scores: list[float], back: list[float] | None = None, **more: Any) -> Local:
    shape = nx.Graph()
    shape.add_nodes_from(range(6))
    shape.add_edges_from(BONDS)
    return local_of(
        shape,
        0,
        [],
        node_names=ATOMS,
        edge_names=KINDS * 2,
        edge_score=torch.tensor(scores + (scores if back is None else back)),
        **more,
    )


def letters(axes: Any) -> list[str]:
    return sorted(text.get_text() for text in axes.texts if "folded" not in text.get_text())


def note(axes: Any) -> str:
    return "".join(text.get_text() for text in axes.texts if "folded" in text.get_text())


def strokes(axes: Any) -> dict[str, Any]:
    """The broad strokes of scores, by the ids of their edges."""
    return {line.get_gid(): line for line in axes.lines if str(line.get_gid()).startswith("bond-")}


def test_hydrogens_that_tell_little_are_folded_counted_and_summed() -> None:
    axes = plot_explanation(formamide([4.0, 2.0, 0.1, 0.2, 0.3]))
    assert letters(axes) == ["NH₂", "O"]
    assert note(axes) == "3 hydrogens folded, their bonds score 0.6 in all"


def test_a_hydrogen_whose_bond_matters_stays() -> None:
    axes = plot_explanation(formamide([4.0, 2.0, 0.1, 3.0, 0.3]))
    assert letters(axes) == ["H", "NH", "O"]
    assert note(axes) == "2 hydrogens folded, their bonds score 0.4 in all"
    assert "bond-103-108" in strokes(axes)


def test_a_hydrogen_whose_own_score_matters_stays() -> None:
    score = torch.tensor([0.0, 1.0, 0.0, 0.9, 0.0, 0.0])
    axes = plot_explanation(formamide([0.0] * 5, node_score=score))
    assert letters(axes).count("H") == 1


def test_both_directions_of_a_bond_are_one_line_with_their_mean() -> None:
    local = formamide([4.0, 2.0, 0.0, 0.0, 0.0], [0.0, -2.0, 0.0, 0.0, 0.0])
    molecule = Molecule.of(local)
    assert bond_scores(local, molecule) == [2.0, 0.0, 0.0, 0.0, 0.0]
    assert list(strokes(plot_explanation(local))) == ["bond-100-105"]


def test_the_stronger_bond_is_broader_and_negative_ones_are_dashed() -> None:
    found = strokes(plot_explanation(formamide([4.0, -2.0, 0.0, 0.0, 0.0])))
    one, other = found["bond-100-105"], found["bond-101-106"]
    assert one.get_linewidth() == 13.0
    assert other.get_linewidth() == 8.5
    assert one.get_linestyle() == "-"
    assert other.get_linestyle() == "--"


def test_top_k_brings_out_bonds() -> None:
    assert len(strokes(plot_explanation(formamide([4.0, 2.0, 3.0, 1.0, 1.0]), top_k=2))) == 2


def test_a_double_bond_is_two_lines() -> None:
    axes = plot_explanation(formamide([0.0] * 5))
    bonds = [line for line in axes.lines if line.get_gid() is None or "line" in line.get_gid()]
    assert len(bonds) == 2 + 1  # C=O and C-N; the hydrogens are folded


def test_the_inner_line_of_an_aromatic_bond_lies_in_its_ring() -> None:
    local = local_of(
        nx.cycle_graph(6),
        0,
        [],
        node_names=["C"] * 6,
        edge_names=["aromatic"] * 12,
        edge_score=torch.zeros(12),
    )
    axes = plot_explanation(local)
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    whole = [line for line in axes.lines if line.get_linestyle() == "-"]
    assert (len(dashed), len(whole)) == (6, 6)
    middle = [sum(float(line.get_xydata()[:, k].mean()) for line in whole) / 6 for k in (0, 1)]

    def radius(line: Any) -> float:
        return math.dist(line.get_xydata().mean(axis=0), middle)

    assert max(map(radius, dashed)) < min(map(radius, whole))
    assert letters(axes) == []  # carbon has no letter


@pytest.mark.parametrize("smallest", [["H", "H"], ["C"]])
def test_small_molecules_have_letters(smallest: list[str]) -> None:
    count = len(smallest) * (len(smallest) - 1)
    local = local_of(
        nx.complete_graph(len(smallest)),
        0,
        [],
        node_names=smallest,
        edge_names=["single"] * count,
        edge_score=torch.ones(count),
    )
    assert letters(plot_explanation(local, layout="molecule")) == smallest


def test_words_are_no_molecule_though_they_may_be_elements() -> None:
    """He, I and No are elements; without words of bonds a graph is drawn as any other."""
    shape = nx.path_graph(3)
    local = local_of(shape, 0, [], node_names=["I", "No", "He"], edge_score=torch.ones(4))
    assert not is_molecule(local)
    with pytest.raises(ReportError, match="name the nodes by symbols of elements"):
        plot_explanation(
            local_of(shape, 0, [], node_names=["I", "know", "He"], edge_score=torch.ones(4)),
            layout="molecule",
        )


def test_without_rdkit_the_usual_layout_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def refuse(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("rdkit"):
            raise ImportError(name)
        return found(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    axes = plot_explanation(formamide([4.0, 2.0, 0.1, 0.2, 0.3]))
    assert letters(axes) == ["NH₂", "O"]
    assert len(strokes(axes)) == 2


def test_ground_truth_has_a_margin() -> None:
    truth = torch.tensor([True] + [False] * 9)
    axes = plot_explanation(formamide([4.0, 2.0, 0.1, 0.2, 0.3], edge_truth=truth))
    (label,) = [text.get_text() for text in axes.get_legend().get_texts()]
    assert label == "ground truth"


def test_a_grid_folds_the_same_hydrogens_for_all_methods() -> None:
    import glassgraph as gg

    one = Run("one", [formamide([4.0, 2.0, 0.1, 3.0, 0.3])], level="graph")
    other = Run("other", [formamide([4.0, 2.0, 0.1, 0.1, 0.3])], level="graph")
    figure = gg.plot_grid({"one": one, "other": other})
    panels = [axes for axes in figure.axes if any("folded" in t.get_text() for t in axes.texts)]
    assert len(panels) == 2
    assert all(letters(axes).count("H") == 1 for axes in panels)
