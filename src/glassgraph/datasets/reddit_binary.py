"""REDDIT-BINARY: discussions, of questions and answers or of talk, by who replied to whom.

Yanardag and Vishwanathan, "Deep Graph Kernels" (KDD 2015,
https://dl.acm.org/doi/10.1145/2783258.2783417): 2,000 threads of Reddit, nodes are users, and an
undirected edge joins two of whom one replied to the other. Class 1 are the threads of IAmA and
AskReddit in one numbering and of the discussion forums in the other; the files do not say which.

Users have no features. `features` gives them some:

- ``"degree"`` (default): one-hot, how often 1 + degree can be halved, `x [N, 12]`: 0 for no
  neighbor, 1 for one or two, 2 for three to six, and so on. A GIN learns from these in a dozen
  epochs. They are computed once, from the whole thread: a method that shuts an edge does not change
  them.
- ``"constant"``: 1 for all, `x [N, 1]`, as in Xu et al., "How Powerful are Graph Neural Networks?"
  (ICLR 2019), for the data sets from Reddit. Then all that a network knows comes by messages.

Read from either form of the files, in a folder or in `REDDIT-BINARY.zip`: the one text file
`REDDIT-BINARY.txt` of https://github.com/weihua916/powerful-gnns (the number of graphs; for each
graph "nodes label", then a line "tag degree neighbor ..." for each node), or the three files of
TUDataset. The two labels, whichever numbers they are, become 0 and 1 in ascending order.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import one_hot
from torch_geometric.data import Data
from torch_geometric.utils import coalesce, degree, remove_self_loops

from glassgraph.datasets.base import ExplanationDataset, graph_labels, stratified_split
from glassgraph.datasets.locate import Files
from glassgraph.errors import DatasetError

NAME = "REDDIT-BINARY"
#: Features of a degree; 4,095 neighbors and more are in the last one.
BINS = 12
LICENSE = "none stated"
SOURCE = "Yanardag and Vishwanathan 2015, REDDIT-BINARY"
_FOLDER = "reddit_binary"
_ORIGIN = (
    "https://chrsmrrs.github.io/datasets (REDDIT-BINARY of TUDataset), or "
    "https://github.com/weihua916/powerful-gnns (dataset.zip)"
)
_TEXT = f"{NAME}.txt"
_TU = tuple(f"{NAME}_{part}.txt" for part in ("A", "graph_indicator", "graph_labels"))
#: The forms that the files may have, the usual one last: its absence is what is told.
FORMS = tuple(Files(names, _FOLDER, _ORIGIN) for names in ((_TEXT,), _TU, (f"{NAME}.zip",)))

_DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    IndexError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)

Features = Literal["degree", "constant"]
Ints = npt.NDArray[np.int64]


def reddit_binary(
    root: str | Path | None = None, seed: int = 0, *, features: Features = "degree"
) -> ExplanationDataset:
    """Threads of Reddit and what they are.

    Each graph has `x [N, 12]` (constant: `[N, 1]`) and `y`. There is no ground truth. Explained by
    default: the test part.

    Args:
        root: The folder of the files, or one above it.
        seed: Seed of the split, 80/10/10 by class.
        features: ``"degree"`` or ``"constant"``, see above.

    Raises:
        DatasetError: if a file is missing or damaged, or the features are unknown.
    """
    if features not in get_args(Features):
        raise DatasetError(f"features must be 'degree' or 'constant', got {features!r}")
    folder, names = _find(root)
    try:
        texts = _texts(folder, names)
        graphs = _from_text(texts[_TEXT]) if _TEXT in texts else _from_tu(*texts.values())
        labels = _two_classes(graph_labels(graphs))
    except _DAMAGE as error:
        raise DatasetError(f"{NAME}: {folder / names[0]} is damaged: {error}") from error
    for graph, label in zip(graphs, labels.split(1), strict=True):
        graph.y, graph.x = label, _features(graph, features)
    split = stratified_split(labels, seed)
    return ExplanationDataset(
        name="reddit-binary",
        level="graph",
        graphs=graphs,
        num_classes=2,
        num_features=1 if features == "constant" else BINS,
        explained=split["test"],
        split=split,
        license=LICENSE,
        source=SOURCE,
    )


def _find(root: str | Path | None) -> tuple[Path, tuple[str, ...]]:
    """The folder of the files, and which of them it holds."""
    for form in FORMS[:-1]:
        folders = [] if root is None else form.candidates(root)
        for folder in [*folders, *(each / NAME / "raw" for each in folders[:1])]:
            if all((folder / name).is_file() for name in form.names):
                return folder, form.names
    return FORMS[-1].find("reddit-binary", root), FORMS[-1].names


def _texts(folder: Path, names: tuple[str, ...]) -> dict[str, str]:
    """The text of each file, also of those in the archive.

    Raises:
        KeyError: if the archive holds neither form.
    """
    if names != FORMS[-1].names:
        return {name: (folder / name).read_text(encoding="ascii") for name in names}
    with (folder / names[0]).open("rb") as raw, zipfile.ZipFile(raw) as archive:
        inside = {Path(entry).name: entry for entry in archive.namelist()}
        for form in FORMS[:-1]:
            if set(form.names) <= set(inside):
                return {name: archive.read(inside[name]).decode("ascii") for name in form.names}
    raise KeyError(f"it holds neither {_TEXT} nor {', '.join(_TU)}")


def _from_text(text: str) -> list[Data]:
    """The graphs of the one text file, with its own labels.

    Raises:
        ValueError: saying what does not fit.
    """
    lines = text.splitlines()
    width = np.array([line.count(" ") + 1 for line in map(str.strip, lines)])
    token: Ints = np.array(text.split(), dtype=np.int64)
    if not lines or width[0] != 1 or width.sum() != len(token):
        raise ValueError("the first line is the number of graphs, and single spaces part numbers")
    begin = np.r_[0, np.cumsum(width)]
    graphs, line = [], 1
    for number in range(token[0]):
        if line >= len(lines) or width[line] != 2:
            raise ValueError(f"graph {number}: line {line + 1} must be its nodes and its label")
        num_nodes, label = token[begin[line] : begin[line + 1]].tolist()
        first, line = line + 1, line + 1 + num_nodes
        if num_nodes < 1 or line > len(lines):
            raise ValueError(f"graph {number} has {num_nodes} nodes, and not as many lines follow")
        graphs.append(_graph(token, begin[first : line + 1], label, f"graph {number}"))
    if line != len(lines):
        raise ValueError(f"{len(lines) - line} lines follow the last graph")
    return graphs


def _graph(token: Ints, begin: Ints, label: int, where: str) -> Data:
    """One graph from the tokens of its lines, "tag degree neighbor ..."."""
    degree = token[begin[:-1] + 1]
    if not np.array_equal(degree, np.diff(begin) - 2):
        raise ValueError(f"{where}: a node has not as many neighbors as its line says")
    is_neighbor = np.ones(begin[-1] - begin[0], dtype=bool)
    heads = begin[:-1] - begin[0]
    is_neighbor[heads] = is_neighbor[heads + 1] = False
    ends = np.stack(
        [np.repeat(np.arange(len(degree)), degree), token[begin[0] : begin[-1]][is_neighbor]]
    )
    return _undirected(torch.from_numpy(ends), len(degree), label, where)


def _from_tu(edges: str, graph_of_node: str, labels: str) -> list[Data]:
    """The graphs of TUDataset's files, with their own labels.

    Raises:
        ValueError: saying what does not fit.
    """
    ends = torch.from_numpy(np.array(edges.replace(",", " ").split(), dtype=np.int64)) - 1
    own = torch.from_numpy(np.array(graph_of_node.split(), dtype=np.int64)) - 1
    label = [int(word) for word in labels.split()]
    ends = ends.view(-1, 2).t()
    if own.unique().tolist() != list(range(len(label))) or not torch.equal(own, own.sort().values):
        raise ValueError(f"the nodes must belong to the {len(label)} graphs in order")
    if ends.numel() and not 0 <= int(ends.min()) <= int(ends.max()) < len(own):
        raise ValueError(f"ends of edges must lie in 1..{len(own)}")
    if not torch.equal(own[ends[0]], own[ends[1]]):
        raise ValueError("an edge joins two graphs")
    ends = ends[:, own[ends[0]].argsort(stable=True)]
    size, first = own.bincount(), own.bincount().cumsum(0) - own.bincount()
    parts = ends.split(own[ends[0]].bincount(minlength=len(label)).tolist(), dim=1)
    return [
        _undirected(part - start, nodes, label[i], f"graph {i}")
        for i, (part, start, nodes) in enumerate(
            zip(parts, first.tolist(), size.tolist(), strict=True)
        )
    ]


def _undirected(ends: Tensor, num_nodes: int, label: int, where: str) -> Data:
    """A graph with each edge once in both directions, which the files have too."""
    if ends.numel() and not 0 <= int(ends.min()) <= int(ends.max()) < num_nodes:
        raise ValueError(f"{where}: a neighbor is none of its {num_nodes} nodes")
    ends, _ = remove_self_loops(ends)
    edge_index = coalesce(torch.cat([ends, ends.flip(0)], dim=1), num_nodes=num_nodes)
    return Data(edge_index=edge_index, y=torch.tensor([label]), num_nodes=num_nodes)


def _two_classes(labels: Tensor) -> Tensor:
    found, classes = labels.unique(return_inverse=True)
    if len(found) != 2:
        raise ValueError(f"there must be two labels, got {found.tolist()}")
    numbered: Tensor = classes
    return numbered


def _features(graph: Data, features: Features) -> Tensor:
    if features == "constant":
        return torch.ones(int(graph.num_nodes or 0), 1)
    neighbors = degree(graph.edge_index[0], graph.num_nodes)
    halvings = (neighbors + 1).log2().floor().long().clamp(max=BINS - 1)
    return one_hot(halvings, BINS).float()
