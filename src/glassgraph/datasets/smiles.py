"""Molecules from SMILES, as PyG reads them, with their atoms and bonds named.

Needs RDKit: ``pip install glassgraph[rdkit]``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import Data

from glassgraph.datasets.chemistry import ELEMENTS, name_atoms
from glassgraph.errors import DatasetError, MissingExtraError

__all__ = ["from_smiles", "read_smiles"]

#: Numbers that PyG gives to kinds of bonds; the others are rare, and drawn as unspecified.
_BONDS = {1: "single", 2: "double", 3: "triple", 12: "aromatic"}
_MOST_KINDS = 22


def from_smiles(smiles: str, *, hydrogens: bool = False, kekulize: bool = False) -> Data:
    """A molecule as `torch_geometric.utils.from_smiles` has it, with names.

    Args:
        smiles: the molecule.
        hydrogens: whether hydrogens are atoms of their own.
        kekulize: whether aromatic bonds become single and double ones.

    Returns:
        ``x [N, 9]`` and ``edge_attr [E, 3]`` of integers (the first column of ``x`` is the atomic
        number), ``smiles``, ``node_names`` and ``edge_names``.

    Raises:
        DatasetError: if RDKit cannot read it, or it has no atom.
        MissingExtraError: if RDKit is not installed.

    Example:
        >>> from_smiles("CC=O").edge_names
        ['single', 'single', 'double', 'double']
    """
    _need_rdkit()
    from rdkit import Chem, rdBase
    from torch_geometric.utils import from_smiles as read

    text = smiles.strip() if isinstance(smiles, str) else ""
    with rdBase.BlockLogs():
        is_read = bool(text) and Chem.MolFromSmiles(text) is not None
        if not is_read:
            raise DatasetError(f"{smiles!r:.80} is no SMILES that RDKit can read")
        graph = read(text, with_hydrogen=hydrogens, kekulize=kekulize)
    bonds = {number: _BONDS.get(number, "unspecified") for number in range(_MOST_KINDS)}
    elements = {0: "*", **dict(enumerate(ELEMENTS, start=1))}
    return name_atoms(graph, elements, bonds)


def read_smiles(
    path: str | Path,
    *,
    smiles: str = "smiles",
    label: str | None = None,
    name: str | None = None,
    **options: bool,
) -> list[Data]:
    """Molecules of a table, or of a file with one SMILES in each line.

    Args:
        path: a CSV file with a header; or a file ``.smi``: in each line a SMILES, and a name after
            it if there is one.
        smiles: the column that holds them (upper and lower case do not matter).
        label: a column of numbers for ``y``; None leaves it out.
        name: a column of names for ``graph_name``; None leaves it out.
        options: see `from_smiles`.

    Raises:
        DatasetError: if the file or a column is missing, or molecules cannot be read; the message
            says in which lines.
        MissingExtraError: if RDKit is not installed.
    """
    _need_rdkit()
    rows = _lines(Path(path)) if Path(path).suffix == ".smi" else _table(Path(path), smiles)
    found, broken = [], []
    for line, row in rows:
        try:
            graph = from_smiles(row["smiles"], **options)
        except DatasetError:
            broken.append(f"line {line} ({row['smiles']!r:.40})")
            continue
        if label is not None:
            graph.y = torch.tensor([_number(_field(row, label, path), label, line)])
        if name is not None or ("name" in row and Path(path).suffix == ".smi"):
            graph.graph_name = str(_field(row, name or "name", path))
        found.append(graph)
    if broken:
        more = f" and {len(broken) - 5} more" if len(broken) > 5 else ""
        raise DatasetError(f"{path}: no SMILES in {', '.join(broken[:5])}{more}")
    if not found:
        raise DatasetError(f"{path} holds no molecule")
    return found


def _need_rdkit() -> None:
    try:
        import rdkit  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "SMILES are read by RDKit: pip install glassgraph[rdkit]"
        ) from error


def _lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    rows = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        parts = line.split(maxsplit=1)
        if parts:
            rows.append((number, {"smiles": parts[0], "name": parts[1] if parts[1:] else ""}))
    return rows


def _table(path: Path, smiles: str) -> list[tuple[int, dict[str, Any]]]:
    import csv

    reader = csv.DictReader(_text(path).splitlines())
    columns = [str(each) for each in reader.fieldnames or ()]
    found = [each for each in columns if each.strip().lower() == smiles.strip().lower()]
    if not found:
        raise DatasetError(
            f"{path} has no column {smiles!r}; it has {', '.join(map(repr, columns)) or 'none'}"
        )
    return [(reader.line_num, row | {"smiles": row[found[0]] or ""}) for row in reader]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error


def _field(row: dict[str, Any], column: str, path: str | Path) -> Any:
    if column not in row:
        raise DatasetError(f"{path} has no column {column!r}; it has {', '.join(map(repr, row))}")
    return row[column]


def _number(value: Any, column: str, line: int) -> int | float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"line {line}: {column} is {value!r}, which is no number") from error
    return int(number) if number.is_integer() and "." not in str(value) else number
