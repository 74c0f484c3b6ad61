"""Benzene: does a molecule hold a benzene ring, and which atoms are it?

12,000 molecules of ZINC12 with the labels, the split and the atom-level truth of Sanchez-Lengeling
et al., "Evaluating Attribution for Graph Neural Networks" (NeurIPS 2020,
https://github.com/google-research/graph-attribution). Label 1 means that there is a benzene ring.

Where a molecule has several rings, one is reason enough: each non-empty choice of rings is an
explanation of its own, and the truth about a molecule with k rings are 2^k - 1 alternatives. They
are the columns of `node_truth [N, K]`, where K is the most of any molecule and columns without a
true atom are no alternatives.

Read from one file, `benzene_graphs.npz`, with the arrays of the repository above as plain numbers
(no pickled objects) and E bonds in both directions:

| array | shape | what |
| --- | --- | --- |
| `node_type` | N | index into `ATOMS` |
| `edge_type` | E | index into `BONDS` |
| `senders`, `receivers` | E | ends of each bond, counted from 0 in each molecule |
| `node_ptr`, `edge_ptr` | M + 1 | where each molecule begins |
| `label` | M | 0 or 1 |
| `train_index`, `test_index` | 10,000 and 2,000 | the official split |
| `num_explanations` | M | alternatives of each molecule |
| `attribution` | sum of atoms * alternatives | 0 or 1: for each molecule, one row per alternative |

A tenth of the training part, the same share of both classes, is for validation. Explained by
default: the test molecules with a ring.
"""

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import one_hot
from torch_geometric.data import Data

from glassgraph.datasets.base import ExplanationDataset, Split, graph_labels, stratified_split
from glassgraph.errors import DatasetError

LICENSE = "Apache-2.0; molecules from ZINC12, distributed with permission of its authors"
SOURCE = "Sanchez-Lengeling et al. 2020, https://github.com/google-research/graph-attribution"
FILE = "benzene_graphs.npz"
ATOMS = ("C", "N", "O", "S", "F", "P", "Cl", "Br", "Na", "Ca", "I", "B", "H", "*")
BONDS = ("single", "double", "triple", "aromatic", "unspecified")

_PER_NODE = ("node_type",)
_PER_EDGE = ("edge_type", "senders", "receivers")
_PER_MOLECULE = ("label", "num_explanations")
_OTHER = ("node_ptr", "edge_ptr", "train_index", "test_index", "attribution")

Arrays = dict[str, npt.NDArray[np.int64]]


def benzene(
    root: str | Path | None = None, seed: int = 0, download: bool = False
) -> ExplanationDataset:
    """Molecules with and without benzene rings, and the atoms of the rings.

    Each graph has `x [N, 14]` (one-hot atom), `edge_attr [E, 5]` (one-hot bond), `edge_type [E]`,
    `y` and `node_truth [N, K]`.

    Args:
        root: The folder that holds `benzene_graphs.npz`.
        seed: Seed of the validation part.
        download: Not supported; the file has to be there.

    Raises:
        DatasetError: if the file is missing or damaged.
    """
    if download:
        raise DatasetError(f"benzene cannot be downloaded; pass the folder of {FILE} as root")
    if root is None:
        raise DatasetError(f"benzene is read from {FILE}; pass its folder as root")
    path = Path(root) / FILE
    if not path.is_file():
        raise DatasetError(f"benzene: no {FILE} in {root}; it is made of data from {SOURCE}")
    graphs, (official, test) = _read(path)
    return ExplanationDataset(
        name="benzene",
        level="graph",
        graphs=graphs,
        num_classes=2,
        num_features=len(ATOMS),
        explained=test[graph_labels([graphs[i] for i in test.tolist()]) == 1],
        split=_split(graphs, official, test, seed),
        license=LICENSE,
        source=SOURCE,
    )


def _read(path: Path) -> tuple[list[Data], tuple[Tensor, Tensor]]:
    """The molecules, and the official training and test parts."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key].astype(np.int64) for key in file.files}
        _check(arrays)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path} is damaged: {error}") from error
    column = {key: torch.from_numpy(value) for key, value in arrays.items()}
    nodes, edges = column["node_ptr"].diff().tolist(), column["edge_ptr"].diff().tolist()
    bonds = column["edge_type"]
    pieces = zip(
        one_hot(column["node_type"], len(ATOMS)).float().split(nodes),
        torch.stack([column["senders"], column["receivers"]]).split(edges, dim=1),
        one_hot(bonds, len(BONDS)).float().split(edges),
        bonds.split(edges),
        column["label"].split(1),
        _truth(arrays).split(nodes),
        strict=True,
    )
    graphs = [
        Data(x=x, edge_index=ends, edge_attr=attr, edge_type=kind, y=y, node_truth=truth)
        for x, ends, attr, kind, y, truth in pieces
    ]
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
    size_of_own = np.repeat(nodes, edges)
    for name, below in (
        ("node_type", len(ATOMS)),
        ("edge_type", len(BONDS)),
        ("senders", size_of_own),
        ("receivers", size_of_own),
        ("label", 2),
        ("attribution", 2),
        ("train_index", len(nodes)),
        ("test_index", len(nodes)),
    ):
        if bool(((arrays[name] < 0) | (arrays[name] >= below)).any()):
            raise ValueError(f"{name} holds numbers out of range")


def _truth(arrays: Arrays) -> Tensor:
    """The alternatives of all molecules as columns, `[N, K]`."""
    nodes, count = np.diff(arrays["node_ptr"]), arrays["num_explanations"]
    truth = np.zeros((int(nodes.sum()), int(count.max(initial=0))), dtype=bool)
    # Rows of the file run over molecule, alternative and atom.
    molecule = np.repeat(np.arange(len(nodes)), nodes * count)
    within = np.arange(len(molecule)) - np.repeat(
        np.cumsum(nodes * count) - nodes * count, nodes * count
    )
    alternative, atom = np.divmod(within, nodes[molecule])
    truth[arrays["node_ptr"][molecule] + atom, alternative] = arrays["attribution"] > 0
    return torch.from_numpy(truth)


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
