"""Molecules: atoms and bonds of an instance, and where chemists would draw them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from glassgraph.report.graph_figure import positions
from glassgraph.report.protocols import LocalLike, ReportError

__all__ = ["BOND_LINES", "Bond", "Molecule", "is_molecule", "places"]

#: Lines of a bond; of an aromatic one the second is dashed.
BOND_LINES = {"single": 1, "double": 2, "triple": 3, "aromatic": 2, "unspecified": 1}


@dataclass(frozen=True)
class Bond:
    """The edges between two atoms.

    Attributes:
        ends: positions of the atoms, ascending.
        edges: positions of its edges.
        kind: ``"single"``, ... or ``"unspecified"``.
    """

    ends: tuple[int, int]
    edges: tuple[int, ...]
    kind: str


@dataclass(frozen=True)
class Molecule:
    """An instance as a molecule.

    Attributes:
        elements: ``[n]`` symbols.
        bonds: each pair of bonded atoms once.
    """

    elements: Sequence[str]
    bonds: Sequence[Bond]

    @staticmethod
    def of(local: LocalLike) -> Molecule:
        """Read it from the names of nodes and edges.

        Raises:
            ReportError: if nodes are not named by elements.
        """
        names = local.node_names
        if names is None or not set(names) <= _elements():
            raise ReportError(
                "a molecule has atoms: name the nodes by symbols of elements, for instance with "
                "glassgraph.datasets.name_atoms(graph, atoms=[...]) before explaining, or with "
                "explanations.named(node_names=...)"
            )
        kinds = local.edge_names or ["unspecified"] * local.edge_index.size(1)
        edges: dict[tuple[int, int], list[int]] = {}
        for edge, (a, b) in enumerate(local.edge_index.t().tolist()):
            if a != b:
                edges.setdefault((min(a, b), max(a, b)), []).append(edge)
        bonds = [
            Bond(ends, tuple(own), kinds[own[0]] if kinds[own[0]] in BOND_LINES else "unspecified")
            for ends, own in edges.items()
        ]
        return Molecule(list(names), bonds)

    def foldable(self, keep: Iterable[int] = ()) -> dict[int, int]:
        """Hydrogens with one neighbor, which is no hydrogen, and that neighbor.

        Args:
            keep: atoms that stay in any case.
        """
        neighbors: dict[int, list[int]] = {n: [] for n in range(len(self.elements))}
        for bond in self.bonds:
            a, b = bond.ends
            neighbors[a].append(b)
            neighbors[b].append(a)
        kept = set(keep)
        return {
            atom: own[0]
            for atom, own in neighbors.items()
            if self.elements[atom] == "H"
            and atom not in kept
            and len(own) == 1
            and self.elements[own[0]] != "H"
        }


def is_molecule(local: LocalLike) -> bool:
    """Whether nodes are named by elements, and edges by kinds of bonds."""
    nodes, edges = local.node_names, local.edge_names
    if not nodes or edges is None or not edges:
        return False
    return set(nodes) <= _elements() and set(edges) <= set(BOND_LINES)


def _elements() -> frozenset[str]:
    from glassgraph.datasets.chemistry import ELEMENTS

    return frozenset((*ELEMENTS, "*"))


def places(
    molecule: Molecule, without: Mapping[int, int] | None = None
) -> dict[int, tuple[float, float]]:
    """Where atoms stand: by RDKit where it is installed, else as nodes of any graph.

    Args:
        molecule: its atoms and bonds.
        without: atoms that are not drawn.
    """
    left_out = without or {}
    atoms = [n for n in range(len(molecule.elements)) if n not in left_out]
    bonds = [bond for bond in molecule.bonds if not set(bond.ends) & set(left_out)]
    found = _by_rdkit(molecule, atoms, bonds)
    if found is not None:
        return found
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(atoms)
    graph.add_edges_from(bond.ends for bond in bonds)
    place = positions(nx, graph)
    lengths = [math.dist(place[bond.ends[0]], place[bond.ends[1]]) for bond in bonds]
    scale = 1.5 / (sum(lengths) / len(lengths)) if lengths and sum(lengths) > 0 else 1.0
    return {atom: (float(scale * x), float(scale * y)) for atom, (x, y) in place.items()}


def _by_rdkit(
    molecule: Molecule, atoms: Sequence[int], bonds: Sequence[Bond]
) -> dict[int, tuple[float, float]] | None:
    try:
        from rdkit import Chem, rdBase
        from rdkit.Chem import rdDepictor
    except ImportError:
        return None
    kinds = {
        "single": Chem.BondType.SINGLE,
        "double": Chem.BondType.DOUBLE,
        "triple": Chem.BondType.TRIPLE,
        "aromatic": Chem.BondType.AROMATIC,
        "unspecified": Chem.BondType.SINGLE,
    }
    with rdBase.BlockLogs():
        drawn = Chem.RWMol()
        number = {atom: drawn.AddAtom(Chem.Atom(molecule.elements[atom])) for atom in atoms}
        for bond in bonds:
            drawn.AddBond(number[bond.ends[0]], number[bond.ends[1]], kinds[bond.kind])
        drawn.UpdatePropertyCache(strict=False)
        Chem.FastFindRings(drawn)
        rdDepictor.Compute2DCoords(drawn)
    points = drawn.GetConformer().GetPositions().tolist()
    return {atom: (points[number[atom]][0], points[number[atom]][1]) for atom in atoms}
