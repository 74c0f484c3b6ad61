"""One explanation of a molecule: bonds in black over their scores, letters, hydrogens folded.

The two directions of a bond are one line, whose score is their mean. Carbon has no letter, as
chemists draw it. A hydrogen is written beside its atom ("NH2"), unless its bond is true or among
the edges that are brought out; how many were folded, and the sum of what their bonds score, is said
below.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from glassgraph.report.change_figure import draw_changes
from glassgraph.report.changes import ShownChanges
from glassgraph.report.graph_figure import (
    TRUTH,
    GraphLook,
    edge_scores,
    node_scores,
)
from glassgraph.report.molecule_parts import BOND_LINES, Bond, Molecule, places
from glassgraph.report.palette import element_color
from glassgraph.report.protocols import LocalLike
from glassgraph.report.scale import NEGATIVE_DASHES, ScoreScale

__all__ = ["bond_scores", "draw_molecule", "marked_atoms"]

_INK = "#171b26"
#: Hydrogens whose bond has at least this share of the largest score stay.
_STRONG = 0.25


def bond_scores(local: LocalLike, molecule: Molecule) -> list[float]:
    """The mean score of the edges of each bond; 0 without scores of edges."""
    found = edge_scores(local)[0]
    if found is None:
        return [0.0] * len(molecule.bonds)
    scores = found.nan_to_num(0.0, 0.0, 0.0)
    return [float(scores[list(bond.edges)].mean()) for bond in molecule.bonds]


def draw_molecule(
    axes: Any, local: LocalLike, look: GraphLook, keep: Iterable[int] = ()
) -> list[Any]:
    """Draw into axes.

    Args:
        axes: of matplotlib.
        local: the explanation.
        look: scales of the scores, and how many bonds are brought out.
        keep: atoms that are not folded in any case.

    Returns:
        Entries of a legend.

    Raises:
        ReportError: if nodes are not named by elements.
    """
    molecule = Molecule.of(local)
    values, atom_scores = bond_scores(local, molecule), _atom_scores(local)
    strong = _strong(values, look.top_k)
    folded = molecule.foldable([*look.seeds, *keep, *marked_atoms(local, look)])
    place = places(molecule, folded)
    shown = [n for n, bond in enumerate(molecule.bonds) if not set(bond.ends) & set(folded)]
    handles = _draw_truth(axes, local, molecule, place, shown)
    for number in sorted(set(strong) & set(shown), key=lambda n: abs(values[n])):
        _underline(axes, local, molecule.bonds[number], place, values[number], look.edges)
    if atom_scores is not None and look.nodes is not None:
        _spot(axes, place, atom_scores, look.nodes)
    neighbors: dict[int, list[int]] = {atom: [] for atom in place}
    for a, b in (molecule.bonds[number].ends for number in shown):
        neighbors[a].append(b)
        neighbors[b].append(a)
    for bond in (molecule.bonds[number] for number in shown):
        _draw_bond(axes, bond, place, _inner_side(bond, place, neighbors))
    _write_atoms(axes, molecule, folded, place)
    handles += draw_changes(axes, local, place)
    if folded:
        hidden = [values[n] for n in range(len(molecule.bonds)) if n not in shown]
        _note(axes, len(folded), None if look.edges is None else sum(hidden))
    axes.set_aspect("equal")
    axes.margins(0.12)
    axes.autoscale_view()
    axes.set_axis_off()
    return handles


def _atom_scores(local: LocalLike) -> list[float] | None:
    found = node_scores(local)[0]
    return None if found is None else found.nan_to_num(0.0, 0.0, 0.0).tolist()


def marked_atoms(local: LocalLike, look: GraphLook) -> list[int]:
    """Atoms that are not folded: what scores much, at a bond or alone, is true, or changes."""
    molecule, atoms = Molecule.of(local), _atom_scores(local)
    changes = ShownChanges.of(local)
    values, found = bond_scores(local, molecule), [] if changes is None else list(changes.nodes)
    if local.edge_truth is not None:
        true = [bond for bond in molecule.bonds if bool(local.edge_truth[list(bond.edges)].any())]
        found += [atom for bond in true for atom in bond.ends]
    if look.edges is not None:
        strong = _strong(values, look.top_k)
        bonds = [molecule.bonds[n] for n in strong if look.edges.share(values[n]) >= _STRONG]
        found += [atom for bond in bonds for atom in bond.ends]
    if look.nodes is not None and atoms is not None:
        found += [n for n, score in enumerate(atoms) if look.nodes.share(score) >= _STRONG]
    return found


def _strong(values: Sequence[float], top_k: int | None) -> list[int]:
    """Bonds that are brought out."""
    order = sorted(range(len(values)), key=lambda n: (-abs(values[n]), n))
    return [n for n in order[: len(order) if top_k is None else top_k] if values[n] != 0.0]


# Strokes


def _segment(bond: Bond, place: Mapping[int, tuple[float, float]]) -> tuple[list[float], ...]:
    (x, y), (u, v) = (place[end] for end in bond.ends)
    return [x, u], [y, v]


def _draw_bond(
    axes: Any, bond: Bond, place: Mapping[int, tuple[float, float]], toward: float
) -> None:
    """One to three lines side by side.

    Args:
        axes: of matplotlib.
        bond: which.
        place: of each atom.
        toward: on which side the second line of two lies, -1 or 1; 0 for one on either side.
    """
    (x, u), (y, v) = _segment(bond, place)
    length = math.hypot(u - x, v - y) or 1.0
    aside = (-(v - y) / length, (u - x) / length)
    count = BOND_LINES[bond.kind]
    for line in range(count):
        shift = 0.2 * toward * line if toward and count == 2 else 0.17 * (line - (count - 1) / 2)
        inset = 0.12 if toward and line else 0.0
        style = (0, (2.2, 1.6)) if bond.kind == "aromatic" and line else "-"
        start, stop = (
            (x + at * (u - x) + shift * aside[0], y + at * (v - y) + shift * aside[1])
            for at in (inset, 1 - inset)
        )
        axes.plot(
            [start[0], stop[0]],
            [start[1], stop[1]],
            color=_INK,
            linewidth=1.3,
            linestyle=style,
            solid_capstyle="round",
            zorder=3,
        )


def _inner_side(
    bond: Bond, place: Mapping[int, tuple[float, float]], neighbors: Mapping[int, Sequence[int]]
) -> float:
    """On which side of a bond the others of its ring lie; 0 if it is in none."""
    a, b = bond.ends
    others = _on_the_way(a, b, neighbors)
    if not others:
        return 0.0
    (x, y), (u, v) = place[a], place[b]
    middle = [sum(place[n][axis] for n in others) / len(others) for axis in (0, 1)]
    cross = (u - x) * (middle[1] - y) - (v - y) * (middle[0] - x)
    return math.copysign(1.0, cross) if cross else 0.0


def _on_the_way(start: int, stop: int, neighbors: Mapping[int, Sequence[int]]) -> list[int]:
    """Atoms of the shortest way around a bond; none if there is none."""
    came, edge = {start: start}, [start]
    while edge and stop not in came:
        following = []
        for atom in edge:
            for other in neighbors[atom]:
                if other not in came and {atom, other} != {start, stop}:
                    came[other] = atom
                    following.append(other)
        edge = following
    found, atom = [], came.get(stop, start)
    while atom != start:
        found.append(atom)
        atom = came[atom]
    return found


def _underline(
    axes: Any,
    local: LocalLike,
    bond: Bond,
    place: Mapping[int, tuple[float, float]],
    value: float,
    scale: ScoreScale | None,
) -> None:
    """The score of a bond as a broad stroke below it."""
    if scale is None:
        return
    x, y = _segment(bond, place)
    (line,) = axes.plot(
        x,
        y,
        color=scale.color(value),
        linewidth=4.0 + 9.0 * scale.share(value),
        linestyle=NEGATIVE_DASHES if value < 0 else "-",
        solid_capstyle="round",
        dash_capstyle="butt",
        zorder=1,
    )
    line.set_gid("bond-" + "-".join(str(int(local.edge_id[edge])) for edge in bond.edges))


def _spot(
    axes: Any,
    place: Mapping[int, tuple[float, float]],
    values: Sequence[float],
    scale: ScoreScale,
) -> None:
    atoms = list(place)
    axes.scatter(
        [place[atom][0] for atom in atoms],
        [place[atom][1] for atom in atoms],
        s=[40.0 + 300.0 * scale.share(values[atom]) for atom in atoms],
        c=[scale.color(values[atom]) for atom in atoms],
        linewidths=0,
        zorder=2,
    ).set_gid("atoms")


def _draw_truth(
    axes: Any,
    local: LocalLike,
    molecule: Molecule,
    place: Mapping[int, tuple[float, float]],
    shown: Sequence[int],
) -> list[Any]:
    """A margin around bonds that are known to matter."""
    from matplotlib.lines import Line2D

    truth = local.edge_truth
    if truth is None:
        return []
    style: dict[str, Any] = {"color": TRUTH, "alpha": 0.4, "solid_capstyle": "round"}
    true = [n for n in shown if bool(truth[list(molecule.bonds[n].edges)].any())]
    for number in true:
        axes.plot(*_segment(molecule.bonds[number], place), linewidth=17.0, zorder=0.9, **style)
    return [Line2D([], [], label="ground truth", linewidth=6.0, **style)] if true else []


def _write_atoms(
    axes: Any,
    molecule: Molecule,
    folded: Mapping[int, int],
    place: Mapping[int, tuple[float, float]],
) -> None:
    """Letters of all atoms but bonded carbons, with what is folded into them."""
    from matplotlib import patheffects

    count = dict.fromkeys(place, 0)
    for atom in folded.values():
        count[atom] += 1
    bonded = {
        end for bond in molecule.bonds for end in bond.ends if not set(bond.ends) & set(folded)
    }
    for atom, (x, y) in place.items():
        element, hydrogens = molecule.elements[atom], count[atom]
        if element == "C" and atom in bonded:
            continue
        text = element + ("H" * bool(hydrogens)) + _subscript(hydrogens)
        letter = axes.text(
            x,
            y,
            text,
            ha="center",
            va="center",
            fontsize=10,
            color=element_color(element) or _INK,
            zorder=4,
        )
        letter.set_path_effects([patheffects.withStroke(linewidth=4.0, foreground="white")])


def _subscript(number: int) -> str:
    return "" if number < 2 else str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def _note(axes: Any, count: int, total: float | None) -> None:
    """Say below the molecule what is folded."""
    word = "hydrogen" if count == 1 else "hydrogens"
    scored = "" if total is None else f", their bonds score {total:.3g} in all"
    axes.annotate(
        f"{count} {word} folded{scored}",
        (0.5, 0.0),
        xytext=(0, -2),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=6.5,
        color="#5b6472",
    )
