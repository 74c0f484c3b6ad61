"""Cora and Citeseer: papers that cite each other, described by the words they use.

Yang, Cohen and Salakhutdinov, "Revisiting Semi-Supervised Learning with Graph Embeddings" (ICML
2016, https://arxiv.org/abs/1603.08861); the files are those of https://github.com/kimiyoung/planetoid
(MIT License). They are pickles of Python 2, and a pickle may run code when it is read: this reader
takes arrays, sparse matrices, lists and dicts from them and refuses anything else.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.utils import coalesce, remove_self_loops

from glassgraph.datasets.base import ExplanationDataset
from glassgraph.datasets.locate import Files
from glassgraph.datasets.pyg import from_pyg
from glassgraph.errors import DatasetError

NAMES = ("cora", "citeseer")
_PARTS = ("x", "y", "tx", "ty", "allx", "ally", "graph")
#: Nodes of the validation part.
_VALIDATION = 500
#: What a file may be made of, by name and the package that it is from.
_ALLOWED = {
    "defaultdict": "collections",
    "list": "builtins",
    "dict": "builtins",
    "ndarray": "numpy",
    "dtype": "numpy",
    "_reconstruct": "numpy",
    "csr_matrix": "scipy",
}


def planetoid(name: str, root: str | Path) -> ExplanationDataset:
    """A citation graph with its public split.

    Args:
        name: ``"cora"`` or ``"citeseer"``.
        root: The folder of the files ``ind.<name>.*``.

    Returns:
        One graph with binary features; the instances to explain are its test part. Test papers that
        the files leave out (15 of Citeseer) have no words and class 0, and are in no part.

    Raises:
        DatasetError: if the name is unknown, or a file is missing or damaged.
    """
    if name not in NAMES:
        raise DatasetError(f"unknown citation graph {name!r}; known are {', '.join(NAMES)}")
    folder = Path(root)
    x, _, tx, ty, allx, ally, links = (_read(folder / f"ind.{name}.{part}") for part in _PARTS)
    try:
        listed = torch.tensor(
            [int(line) for line in (folder / f"ind.{name}.test.index").read_text().split()]
        )
    except (OSError, ValueError) as error:
        raise DatasetError(f"cannot read ind.{name}.test.index in {folder}: {error}") from error
    num_nodes, first = len(links), int(listed.min())
    features = torch.zeros(num_nodes, allx.shape[1])
    labels = torch.zeros(num_nodes, dtype=torch.long)
    features[:first], labels[:first] = _dense(allx), _classes(ally)
    features[listed], labels[listed] = _dense(tx), _classes(ty)
    ends = torch.tensor([(a, b) for a, others in links.items() for b in others]).t()
    edge_index, _ = remove_self_loops(torch.cat([ends, ends.flip(0)], dim=1))
    graph = Data(x=features, edge_index=coalesce(edge_index, num_nodes=num_nodes), y=labels)
    num_train = x.shape[0]
    split = {
        "train": torch.arange(num_train),
        "val": torch.arange(num_train, num_train + _VALIDATION),
        "test": listed.sort().values,
    }
    return from_pyg(
        [graph],
        "node",
        name=name,
        split=split,
        explained=split["test"],
        license="MIT (files)",
        source="Yang, Cohen and Salakhutdinov 2016, arXiv:1603.08861",
    )


def cora(root: str | Path | None = None) -> ExplanationDataset:
    """Cora with its public split: 140 papers for training, 500 for validation, 1,000 for test.

    Args:
        root: The folder of the files ``ind.cora.*``, or one above it.

    Raises:
        DatasetError: if a file is missing or damaged.
    """
    return planetoid("cora", files("cora").find("cora", root))


def citeseer(root: str | Path | None = None) -> ExplanationDataset:
    """Citeseer with its public split: 120, 500 and 1,000 papers; as `cora`.

    Args:
        root: The folder of the files ``ind.citeseer.*``, or one above it.

    Raises:
        DatasetError: if a file is missing or damaged.
    """
    return planetoid("citeseer", files("citeseer").find("citeseer", root))


def files(name: str) -> Files:
    """The files of a citation graph."""
    names = tuple(f"ind.{name}.{part}" for part in (*_PARTS, "test.index"))
    return Files(names, "planetoid", "https://github.com/kimiyoung/planetoid (data/)")


class _Reader(pickle.Unpickler):
    """Reads plain containers and arrays."""

    def find_class(self, module: str, name: str) -> Any:
        package = module.split(".")[0].replace("__builtin__", "builtins")
        if _ALLOWED.get(name) != package:
            raise DatasetError(f"the file holds {module}.{name}, which is not read")
        if package == "scipy":
            return csr_matrix
        return super().find_class(module, name)


def _read(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return _Reader(file, encoding="latin1").load()
    except OSError as error:
        raise DatasetError(
            f"no file at {path}; the folder holds ind.cora.x and its kind: {error}"
        ) from error
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error
    except (pickle.UnpicklingError, EOFError, ValueError, AttributeError) as error:
        raise DatasetError(f"{path} is damaged: {error}") from error


def _dense(matrix: Any) -> Tensor:
    return torch.from_numpy(np.asarray(matrix.todense(), dtype=np.float32))


def _classes(one_hot: Any) -> Tensor:
    return torch.from_numpy(np.asarray(one_hot).argmax(axis=1)).long()
