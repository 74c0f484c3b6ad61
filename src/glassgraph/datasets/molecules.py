"""MUTAG and Mutagenicity: molecules whose mutagenic class is tied to NO2 and NH2 groups.

Raw text files of the TUDataset collection (Morris et al., "TUDataset", 2020,
https://arxiv.org/abs/2007.08663), read from a folder that holds them itself or in `mutag_tud` and
`mutagenicity_tud`, or has PyG's layout `root/NAME/raw`. Every graph gets `x` (one-hot atom),
`edge_attr` (one-hot bond), `edge_type` (bond number) and `y`.

- MUTAG (Debnath et al. 1991): 188 graphs, class 1 mutagenic. The truth is *nominal*: the N-O bonds
  of nitro groups, which every graph of both classes has, and hydrogens (so NH2) are left out of
  the files. Good models have 0.8 to 0.9 test accuracy. Explained: the class-1 graphs with a nitro
  group, all 125 of them.
- Mutagenicity (Kazius et al. 2005): 4337 graphs, class 0 mutagenic. The truth is the file
  `Mutagenicity_edge_gt.txt` of Luo et al. ("Parameterized Explainer for Graph Neural Network",
  2020, https://github.com/flyingdoog/PGExplainer), NO2 and NH2 groups. Explained, as there: the
  class-0 graphs with such a group, 1015 of them; another 341 graphs with a group are not mutagenic.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch_geometric
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.datasets import TUDataset
from torch_geometric.io import read_tu_data, read_txt_array
from torch_geometric.utils import coalesce, degree, remove_self_loops

from glassgraph.datasets.base import (
    ExplanationDataset,
    graph_labels,
    motif_components,
    stratified_split,
)
from glassgraph.errors import DatasetError

LICENSE = "none stated"
TRUTH_ORIGIN = "https://github.com/flyingdoog/PGExplainer (dataset/Mutagenicity.zip)"
ORIGIN = "https://chrsmrrs.github.io/datasets (TUDataset)"
MUTAG_ATOMS = ("C", "N", "O", "F", "I", "Cl", "Br")
MUTAG_BONDS = ("aromatic", "single", "double", "triple")
MUTAGENICITY_ATOMS = ("C", "O", "Cl", "H", "N", "F", "Br", "S", "P", "I", "Na", "K", "Li", "Ca")
MUTAGENICITY_BONDS = ("single", "double", "triple")

FILES = ("A", "graph_indicator", "graph_labels", "node_labels", "edge_labels")


def mutag(
    root: str | Path | None = None, seed: int = 0, download: bool = False
) -> ExplanationDataset:
    """MUTAG with the N-O bonds of nitro groups as nominal truth.

    Args:
        root: The folder with the raw files, or one above `mutag_tud` or PyG's `MUTAG/raw`; None
            takes PyG's home.
        seed: Seed of the split.
        download: Let PyG's `TUDataset` fetch the files if they are missing.

    Raises:
        DatasetError: if a file is missing or damaged.
    """
    folder = _folder(root, "MUTAG", FILES, download)
    graphs = _read(folder, "MUTAG", MUTAG_ATOMS, MUTAG_BONDS)
    for graph in graphs:
        _add_truth(graph, _nitro_bonds(graph))
    return _dataset("mutag", graphs, 1, seed, "TUDataset MUTAG, Debnath et al. 1991")


def mutagenicity(
    root: str | Path | None = None, seed: int = 0, download: bool = False
) -> ExplanationDataset:
    """Mutagenicity with the NO2 and NH2 groups of `Mutagenicity_edge_gt.txt` as truth.

    Args:
        root: The folder with the raw files, or one above `mutagenicity_tud` or PyG's
            `Mutagenicity/raw`; None takes PyG's home. `Mutagenicity_edge_gt.txt` is not part of
            TUDataset and never downloaded.
        seed: Seed of the split.
        download: Let PyG's `TUDataset` fetch its files if they are missing.

    Raises:
        DatasetError: if a file is missing or damaged.
    """
    folder = _folder(root, "Mutagenicity", (*FILES, "edge_gt"), download)
    graphs = _read(folder, "Mutagenicity", MUTAGENICITY_ATOMS, MUTAGENICITY_BONDS)
    masks = _edge_truth(folder, "Mutagenicity", graphs)
    for graph, mask in zip(graphs, masks, strict=True):
        _add_truth(graph, mask)
    source = "TUDataset Mutagenicity, Kazius et al. 2005; truth of Luo et al. 2020"
    return _dataset("mutagenicity", graphs, 0, seed, source)


def _dataset(
    name: str, graphs: list[Data], explained_class: int, seed: int, source: str
) -> ExplanationDataset:
    labels = graph_labels(graphs)
    has_motif = torch.tensor([bool(graph.ground_truth_edge_mask.any()) for graph in graphs])
    return ExplanationDataset(
        name=name,
        level="graph",
        graphs=graphs,
        num_classes=2,
        num_features=int(graphs[0].x.shape[1]),
        explained=((labels == explained_class) & has_motif).nonzero().view(-1),
        split=stratified_split(labels, seed),
        license=LICENSE,
        source=source,
    )


def _folder(root: str | Path | None, prefix: str, files: tuple[str, ...], download: bool) -> Path:
    """Where the raw files lie; downloaded first, if asked and needed."""
    base = Path(torch_geometric.get_home_dir()) / "TUDataset" if root is None else Path(root)
    layout = base / prefix / "raw"
    own = (base, base / usual_folder(prefix))
    has_files = any((folder / f"{prefix}_A.txt").is_file() for folder in own)
    if download and not has_files and not layout.is_dir():
        try:
            TUDataset(str(base), prefix)
        except (OSError, RuntimeError) as error:
            raise DatasetError(
                f"PyG could not download {prefix} to {base}: {error}; "
                "fetch the raw files elsewhere and pass their folder as root"
            ) from error
    folders = [*(folder for folder in own if (folder / f"{prefix}_A.txt").is_file()), layout]
    folder = folders[0]
    missing = [f"{prefix}_{f}.txt" for f in files if not (folder / f"{prefix}_{f}.txt").is_file()]
    if not missing:
        return folder
    if len(missing) == len(files):
        advice = "pass root=<the folder with these files>" + (
            "" if download else ", or download=True to let PyG fetch what TUDataset has"
        )
        raise DatasetError(
            f"{prefix}: none of {', '.join(missing)} in {base}, {own[1]} nor in {layout}; "
            f"{advice}. The files are from {ORIGIN}"
        )
    advice = f"; it comes with {TRUTH_ORIGIN}" if missing == [f"{prefix}_edge_gt.txt"] else ""
    raise DatasetError(f"{prefix}: {folder} lacks {', '.join(missing)}{advice}")


def usual_folder(prefix: str) -> str:
    """The folder's name below one of many data sets, ``"mutag_tud"`` of MUTAG."""
    return f"{prefix.lower()}_tud"


def _read(folder: Path, prefix: str, atoms: Sequence[str], bonds: Sequence[str]) -> list[Data]:
    """PyG's reader drops self-loops, sorts edges by source and target, numbers from zero."""
    try:
        joint, slices, _ = read_tu_data(str(folder), prefix)
        node, edge = slices["x"].tolist(), slices["edge_index"].tolist()
        graphs = [
            Data(
                x=joint.x[node[i] : node[i + 1]],
                edge_index=joint.edge_index[:, edge[i] : edge[i + 1]],
                edge_attr=joint.edge_attr[edge[i] : edge[i + 1]],
                edge_type=joint.edge_attr[edge[i] : edge[i + 1]].argmax(dim=1),
                y=joint.y[i : i + 1],
            )
            for i in range(len(joint.y))
        ]
        atom, bond = joint.x.argmax(dim=1).tolist(), joint.edge_attr.argmax(dim=1).tolist()
    except (ValueError, IndexError, KeyError, RuntimeError, TypeError) as error:
        raise DatasetError(f"{prefix}: the files in {folder} are damaged: {error}") from error
    widths = (graphs[0].x.shape[1], graphs[0].edge_attr.shape[1])
    if widths != (len(atoms), len(bonds)):
        raise DatasetError(
            f"{prefix}: expected {len(atoms)} atom and {len(bonds)} bond types, got {widths}; "
            f"is {folder} the original {prefix}?"
        )
    for i, graph in enumerate(graphs):
        graph.node_names = [atoms[kind] for kind in atom[node[i] : node[i + 1]]]
        graph.edge_names = [bonds[kind] for kind in bond[edge[i] : edge[i + 1]]]
    return graphs


def _edge_truth(folder: Path, prefix: str, graphs: list[Data]) -> list[Tensor]:
    """The truth file is aligned with the file of edges, so it goes through the same reordering."""
    edges = read_txt_array(str(folder / f"{prefix}_A.txt"), sep=",", dtype=torch.long).t() - 1
    truth = read_txt_array(str(folder / f"{prefix}_edge_gt.txt"), sep=",", dtype=torch.long)
    if truth.shape != (edges.shape[1],) or not bool(((truth == 0) | (truth == 1)).all()):
        raise DatasetError(
            f"{prefix}_edge_gt.txt must hold 0 or 1 for each of the {edges.shape[1]} edges, "
            f"got {list(truth.shape)} values from {int(truth.min())} to {int(truth.max())}"
        )
    num_nodes = sum(int(graph.num_nodes or 0) for graph in graphs)
    edges, truth = coalesce(*remove_self_loops(edges, truth), num_nodes, reduce="max")
    return list(truth.bool().split([graph.num_edges for graph in graphs]))


def _nitro_bonds(graph: Data) -> Tensor:
    """The N-O bonds of every nitrogen with two oxygens that are bonded to nothing else, `[E]`."""
    atom = graph.x.argmax(dim=1)
    source, target = graph.edge_index
    is_terminal = degree(source, graph.num_nodes, dtype=torch.long) == 1
    is_oxygen = (atom == MUTAG_ATOMS.index("O")) & is_terminal
    is_nitrogen = atom == MUTAG_ATOMS.index("N")
    outward = is_nitrogen[source] & is_oxygen[target]
    is_nitro = degree(source[outward], graph.num_nodes, dtype=torch.long) == 2
    mask: Tensor = (outward & is_nitro[source]) | (is_oxygen[source] & is_nitro[target])
    return mask


def _add_truth(graph: Data, mask: Tensor) -> None:
    graph.edge_motif, graph.node_motif = motif_components(
        graph.edge_index, mask, int(graph.num_nodes or 0)
    )
    graph.ground_truth_edge_mask = mask
