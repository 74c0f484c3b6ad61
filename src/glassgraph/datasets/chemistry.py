"""Words of molecules: elements of atoms and orders of bonds, as names of nodes and edges.

A graph whose nodes are named by elements and whose edges are named by `BONDS` is drawn as a
molecule, by ``plot()`` and by the report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.errors import DatasetError

#: From the position in a one-hot row, or from the value of a column of numbers, to a word.
Alphabet: TypeAlias = "Sequence[str] | Mapping[int, str]"

#: Symbols of elements by atomic number, from 1; "*" is any atom.
ELEMENTS = (
    "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl",
    "Ar", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As",
    "Se", "Br", "Kr", "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd",
    "In", "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu",
    "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt",
    "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np",
    "Pu", "Am", "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf", "Db", "Sg", "Bh", "Hs",
    "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og",
)  # fmt: skip
#: Words of bonds.
BONDS = ("single", "double", "triple", "aromatic", "unspecified")


def name_atoms(
    graph: Data, atoms: Alphabet | None = None, bonds: Alphabet | None = None, *, column: int = 0
) -> Data:
    """The same graph with its atoms and bonds named: ``node_names`` and ``edge_names``.

    Args:
        graph: a molecule; the object itself is not changed, and tensors are shared.
        atoms: the symbol of each position of the one-hot rows ``x [N, F]``, or a dictionary from
            the values of one column of ``x``, or of ``z [N]``, to symbols; None takes ``z``, or
            that column, as atomic numbers.
        bonds: the word of each position of the one-hot rows ``edge_attr [E, D]``, or a dictionary
            from the values of ``edge_type [E]`` or of the first column of ``edge_attr`` to words,
            which are `BONDS`; None leaves bonds as they are.
        column: of ``x``, where it holds numbers.

    Raises:
        DatasetError: if a row is not one-hot, a number has no symbol, a symbol is no element, or a
            word is no bond.

    Example:
        >>> import torch
        >>> from torch_geometric.data import Data
        >>> water = Data(z=torch.tensor([8, 1, 1]), edge_index=torch.tensor([[0, 0], [1, 2]]))
        >>> name_atoms(water).node_names
        ['O', 'H', 'H']
    """
    named: Data = Data.from_dict(graph.to_dict())
    named.node_names = _known(_atoms(graph, atoms, column), (*ELEMENTS, "*"), "element")
    if bonds is not None:
        named.edge_names = _known(_bonds(graph, bonds), BONDS, "bond")
    return named


def _atoms(graph: Data, atoms: Alphabet | None, column: int) -> list[str]:
    if atoms is not None and not isinstance(atoms, Mapping):
        return _of_one_hot(_attribute(graph, "x"), atoms, "x")
    numbers = graph.z if atoms is None and "z" in graph else _column(graph, "x", column)
    by_number = atoms if atoms is not None else dict(enumerate(ELEMENTS, start=1))
    return _of_numbers(numbers, by_number, "atom")


def _bonds(graph: Data, bonds: Alphabet) -> list[str]:
    if not isinstance(bonds, Mapping):
        return _of_one_hot(_attribute(graph, "edge_attr"), bonds, "edge_attr")
    numbers = graph.edge_type if "edge_type" in graph else _column(graph, "edge_attr", 0)
    return _of_numbers(numbers, bonds, "bond")


def _attribute(graph: Data, name: str) -> Tensor:
    value = graph.get(name, None)
    if not isinstance(value, Tensor):
        raise DatasetError(f"to name atoms and bonds the graph needs a tensor {name}")
    return value


def _column(graph: Data, name: str, column: int) -> Tensor:
    value = _attribute(graph, name)
    if value.dim() == 1:
        return value
    if not 0 <= column < value.size(1):
        raise DatasetError(f"{name} has {value.size(1)} columns, so there is no column {column}")
    return value[:, column]


def _of_one_hot(value: Tensor, words: Sequence[str], name: str) -> list[str]:
    width = value.size(1) if value.dim() == 2 else 0
    if width < len(words) or not words:
        raise DatasetError(
            f"an alphabet of {len(words)} words needs one-hot rows {name} at least as wide; got "
            f"{list(value.shape)}"
        )
    row = value[:, : len(words)]
    is_one_hot = ((row == 0) | (row == 1)).all(dim=1) & (row.sum(dim=1) == 1)
    if not bool(is_one_hot.all()):
        first = int((~is_one_hot).nonzero()[0])
        raise DatasetError(
            f"row {first} of {name} is not one-hot over the first {len(words)} columns; give a "
            "dictionary from the numbers of a column to words instead"
        )
    return [words[number] for number in row.argmax(dim=1).tolist()]


def _of_numbers(numbers: Tensor, words: Mapping[int, str], what: str) -> list[str]:
    found = numbers.double().flatten()
    keys = found.round().long().tolist()
    unknown = sorted({key for key in keys if key not in words})
    if unknown or not bool(torch.equal(found, found.round())):
        shown = ", ".join(map(str, unknown[:5])) or "numbers that are no integers"
        raise DatasetError(f"no word for the {what}s {shown}; known are {list(words)[:12]}")
    return [words[key] for key in keys]


def _known(words: list[str], known: Sequence[str], what: str) -> list[str]:
    unknown = sorted({word for word in words if word not in known})
    if unknown:
        listed = "symbols of elements, or '*'" if what == "element" else ", ".join(BONDS)
        raise DatasetError(f"{', '.join(map(repr, unknown))}: no {what}; words are {listed}")
    return words
