"""Molecules of ZINC12 with a substructure to find, and the atoms that are it.

The labels, the split and the atom-level truth of Sanchez-Lengeling et al., "Evaluating Attribution
for Graph Neural Networks" (NeurIPS 2020, https://github.com/google-research/graph-attribution).
Label 1 means that the substructure is there:

| data set | substructure | molecules | of label 1 |
| --- | --- | --- | --- |
| benzene | a benzene ring | 12,000 | 6,001 |
| logic7 | a fluorine and a carbonyl group | 4,326 | 375 |
| logic8 | a chain of three atoms and a carbonyl group | 8,671 | 1,527 |

What the substructures of logic7 and logic8 are is read off their true atoms: always one C, F and O,
and five atoms with C and O among them. (The files that GraphXAI, Agarwal et al. 2023, calls
Alkane-Carbonyl and Fluoride-Carbonyl are those of logic7 and logic8; these names are the other way
round.) Where a molecule has several such substructures, one
is reason enough, and any choice of them is an explanation of its own. See `datasets.alternatives`:
benzene holds each choice as a column of `node_truth [N, K]`, where K is the most of any molecule;
logic7 and logic8, with up to 2,047 of them, hold the substructures as `node_truth_parts [N, P]`.

Read from one file, such as `benzene_graphs.npz`, with the arrays of the repository above as plain
numbers (no pickled objects) and E bonds in both directions:

| array | shape | what |
| --- | --- | --- |
| `node_type` | N | index into `ATOMS` |
| `edge_type` | E | index into `BONDS` |
| `senders`, `receivers` | E | ends of each bond, counted from 0 in each molecule |
| `node_ptr`, `edge_ptr` | M + 1 | where each molecule begins |
| `label` | M | 0 or 1 |
| `train_index`, `test_index` | 10,000 and 2,000 of benzene | the official split |
| `num_explanations` | M | alternatives of each molecule |
| `attribution` | sum of atoms * alternatives | 0 or 1: for each molecule, one row per alternative |

A tenth of the training part, the same share of both classes, is for validation. Explained by
default: the test molecules of label 1.
"""

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad
from torch_geometric.data import Data

from glassgraph.datasets.alternatives import substructures
from glassgraph.datasets.base import ExplanationDataset, Split, graph_labels, stratified_split
from glassgraph.datasets.locate import Files
from glassgraph.errors import DatasetError

LICENSE = "Apache-2.0; molecules from ZINC12, distributed with permission of its authors"
SOURCE = "Sanchez-Lengeling et al. 2020, https://github.com/google-research/graph-attribution"
ORIGIN = (
    "https://github.com/google-research/graph-attribution (data/), rewritten as plain arrays: see "
    "glassgraph.datasets.zinc_molecules"
)
ATOMS = ("C", "N", "O", "S", "F", "P", "Cl", "Br", "Na", "Ca", "I", "B", "H", "*")
BONDS = ("single", "double", "triple", "aromatic", "unspecified")

_PER_NODE = ("node_type",)
_PER_EDGE = ("edge_type", "senders", "receivers")
_PER_MOLECULE = ("label", "num_explanations")
_OTHER = ("node_ptr", "edge_ptr", "train_index", "test_index", "attribution")

_MOST_ALTERNATIVES = 2**15
Arrays = dict[str, npt.NDArray[np.int64]]


def zinc_molecules(
    name: str, root: str | Path | None, seed: int, *, as_parts: bool
) -> ExplanationDataset:
    """Read one of these data sets.

    Args:
        name: Of the data set.
        root: The folder that holds its file, or one above it.
        seed: Seed of the validation part.
        as_parts: Hold substructures in the place of all their unions.

    Raises:
        DatasetError: if the file is missing or damaged.
    """
    path = files(name).find(name, root) / files(name).names[0]
    graphs, (official, test) = _read(path, as_parts=as_parts)
    return ExplanationDataset(
        name=name,
        level="graph",
        graphs=graphs,
        num_classes=2,
        num_features=len(ATOMS),
        explained=test[graph_labels([graphs[i] for i in test.tolist()]) == 1],
        split=_split(graphs, official, test, seed),
        license=LICENSE,
        source=SOURCE,
    )


def logic7(root: str | Path | None = None, seed: int = 0) -> ExplanationDataset:
    """Molecules with and without both a fluorine and a carbonyl group.

    Each graph has `x [N, 14]` (one-hot atom), `edge_attr [E, 5]` (one-hot bond), `edge_type [E]`,
    `y` and `node_truth_parts [N, P]`.

    Args:
        root: The folder that holds `logic7_graphs.npz`, or one above it.
        seed: Seed of the validation part.

    Raises:
        DatasetError: if the file is missing or damaged.
    """
    return zinc_molecules("logic7", root, seed, as_parts=True)


def logic8(root: str | Path | None = None, seed: int = 0) -> ExplanationDataset:
    """Molecules with and without both a chain of three atoms and a carbonyl group; as `logic7`.

    Args:
        root: The folder that holds `logic8_graphs.npz`, or one above it.
        seed: Seed of the validation part.

    Raises:
        DatasetError: if the file is missing or damaged.
    """
    return zinc_molecules("logic8", root, seed, as_parts=True)


def files(name: str) -> Files:
    """The file of a data set."""
    return Files((f"{name}_graphs.npz",), f"graph_attribution_molecules/{name}", ORIGIN)


def _read(path: Path, *, as_parts: bool) -> tuple[list[Data], tuple[Tensor, Tensor]]:
    """The molecules, and the official training and test parts."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {key: file[key].astype(np.int64) for key in file.files}
        _check(arrays)
        truths = _truths(arrays)
        if as_parts:
            truths = [substructures(truth) for truth in truths]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, DatasetError) as error:
        raise DatasetError(f"{path} is damaged: {error}") from error
    column = {key: torch.from_numpy(value) for key, value in arrays.items()}
    nodes, edges = column["node_ptr"].diff().tolist(), column["edge_ptr"].diff().tolist()
    bonds = column["edge_type"]
    atom_words = [ATOMS[kind] for kind in arrays["node_type"].tolist()]
    bond_words = [BONDS[kind] for kind in arrays["edge_type"].tolist()]
    pieces = zip(
        one_hot(column["node_type"], len(ATOMS)).float().split(nodes),
        torch.stack([column["senders"], column["receivers"]]).split(edges, dim=1),
        one_hot(bonds, len(BONDS)).float().split(edges),
        bonds.split(edges),
        column["label"].split(1),
        _side_by_side(truths),
        strict=True,
    )
    key = "node_truth_parts" if as_parts else "node_truth"
    graphs = [
        Data(x=x, edge_index=ends, edge_attr=attr, edge_type=kind, y=y, **{key: truth})
        for x, ends, attr, kind, y, truth in pieces
    ]
    node, edge = arrays["node_ptr"].tolist(), arrays["edge_ptr"].tolist()
    for i, graph in enumerate(graphs):
        graph.node_names = atom_words[node[i] : node[i + 1]]
        graph.edge_names = bond_words[edge[i] : edge[i + 1]]
    return graphs, (column["train_index"], column["test_index"])


def _check(arrays: Arrays) -> None:
    """Refuse arrays that contradict each other.

    Raises:
        KeyError: if one is missing.
        ValueError: saying what does not fit.
    """
    missing = {*_PER_NODE, *_PER_EDGE, *_PER_MOLECULE, *_OTHER} - set(arrays)
    if missing:
        raise KeyError(f"it lacks {', '.join(sorted(missing))}")
    nodes, edges = np.diff(arrays["node_ptr"]), np.diff(arrays["edge_ptr"])
    for names, size in (
        (_PER_NODE, arrays["node_ptr"][-1]),
        (_PER_EDGE, arrays["edge_ptr"][-1]),
        (_PER_MOLECULE, len(nodes)),
        (("attribution",), (nodes * arrays["num_explanations"]).sum()),
    ):
        for name in names:
            if arrays[name].shape != (size,):
                raise ValueError(f"{name} must have {size} entries, got {arrays[name].shape}")
    if len(edges) != len(nodes):
        raise ValueError(f"node_ptr has {len(nodes)} molecules, edge_ptr {len(edges)}")
    if (nodes < 0).any() or (edges < 0).any() or len(nodes) == 0:
        raise ValueError("node_ptr and edge_ptr must begin at 0 and not fall")
    size_of_own = np.repeat(nodes, edges)
    for name, below in (
        ("node_type", len(ATOMS)),
        ("edge_type", len(BONDS)),
        ("senders", size_of_own),
        ("receivers", size_of_own),
        ("label", 2),
        ("attribution", 2),
        ("num_explanations", _MOST_ALTERNATIVES),
        ("train_index", len(nodes)),
        ("test_index", len(nodes)),
    ):
        if bool(((arrays[name] < 0) | (arrays[name] >= below)).any()):
            raise ValueError(f"{name} holds numbers out of range")


def _truths(arrays: Arrays) -> list[Tensor]:
    """The alternatives of each molecule as columns, `[n, k]`; `[n, 0]` where no atom is true."""
    nodes, count = np.diff(arrays["node_ptr"]), arrays["num_explanations"]
    flags = torch.from_numpy(arrays["attribution"] > 0).split((nodes * count).tolist())
    rows = [
        flag.view(k, n) if k else flag.new_zeros(0, n)
        for flag, k, n in zip(flags, count.tolist(), nodes.tolist(), strict=True)
    ]
    return [row[row.any(dim=1)].t() for row in rows]


def _side_by_side(truths: list[Tensor]) -> list[Tensor]:
    """Filled up with empty columns to the same number, as graphs of a batch need it."""
    most = max(truth.size(1) for truth in truths)
    return [pad(truth, (0, most - truth.size(1))).contiguous() for truth in truths]


def _split(graphs: list[Data], official: Tensor, test: Tensor, seed: int) -> Split:
    labels = graph_labels([graphs[i] for i in official.tolist()])
    part = stratified_split(labels, seed, (0.9, 0.1))
    # What rounding leaves over is trained on.
    train = torch.cat([part["train"], part["test"]])
    return {
        "train": official[train].sort().values,
        "val": official[part["val"]].sort().values,
        "test": test.sort().values,
    }
