"""Data sets by name."""

from collections.abc import Callable
from pathlib import Path

from glassgraph.datasets.base import ExplanationDataset
from glassgraph.datasets.benzene import benzene
from glassgraph.datasets.cards import CARDS, DatasetCard
from glassgraph.datasets.infection import infection
from glassgraph.datasets.is_acyclic import is_acyclic
from glassgraph.datasets.molecules import mutag, mutagenicity
from glassgraph.datasets.motifs import ba_2motifs, ba_community, ba_shapes, tree_cycles, tree_grid
from glassgraph.datasets.negative_evidence import negative_evidence
from glassgraph.datasets.planetoid import citeseer, cora
from glassgraph.datasets.reddit_binary import reddit_binary
from glassgraph.datasets.sentiment_trees import sst
from glassgraph.datasets.star_graphs import star_graphs
from glassgraph.datasets.zinc_molecules import logic7, logic8
from glassgraph.errors import DatasetError
from glassgraph.words import guess

GENERATED: dict[str, Callable[..., ExplanationDataset]] = {
    "ba-shapes": ba_shapes,
    "ba-community": ba_community,
    "tree-cycles": tree_cycles,
    "tree-grid": tree_grid,
    "ba-2motifs": ba_2motifs,
    "star-graphs": star_graphs,
    "infection": infection,
    "negative-evidence": negative_evidence,
    "is-acyclic": is_acyclic,
}
#: Why there is nothing to perturb.
WITHOUT_PERTURBATION = {
    "star-graphs": "a star has no other edges",
    "infection": "its edges are random already",
    "negative-evidence": "its edges are random already",
    "is-acyclic": "another edge would close a cycle",
}
FROM_FILES: dict[str, Callable[..., ExplanationDataset]] = {
    "mutag": mutag,
    "mutagenicity": mutagenicity,
    "benzene": benzene,
    "logic7": logic7,
    "logic8": logic8,
    "reddit-binary": reddit_binary,
    "sst": sst,
    "cora": cora,
    "citeseer": citeseer,
}
#: Their split is that of the files, so that no seed counts.
WITH_OWN_SPLIT = ("sst", "cora", "citeseer")
#: What PyG can fetch.
DOWNLOADED = ("mutag", "mutagenicity")

DATASETS: tuple[str, ...] = (*GENERATED, *FROM_FILES)
"""The names that `load_dataset` knows."""


def load_dataset(
    name: str,
    root: str | Path | None = None,
    seed: int = 0,
    *,
    perturbation: float | None = None,
    download: bool = False,
) -> ExplanationDataset:
    """A data set with its default instances and its ground truth.

    Args:
        name: One of `DATASETS`; upper case and underscores are accepted.
        root: The folder of the raw files, or one above it that holds it under its usual name (see
            `glassgraph datasets`), so that one folder serves for all.
        seed: Seed of a generated graph and of the split; "sst", "cora" and "citeseer" come with
            their split.
        perturbation: Random extra edges of a motif graph, as a share of its edges; None takes the
            published value (0.01, and 0 for "ba-2motifs"); the other generated ones take none.
        download: Let PyG fetch missing raw files of "mutag" or "mutagenicity".

    Raises:
        DatasetError: if the name is unknown, a file is missing, or an argument has no meaning for
            the data set.
    """
    key = name.lower().replace("_", "-")
    if key in GENERATED:
        if root is not None or download:
            raise DatasetError(f"{key} is generated: it takes no root and no download")
        if perturbation is not None and key in WITHOUT_PERTURBATION:
            raise DatasetError(f"{key} takes no perturbation: {WITHOUT_PERTURBATION[key]}")
        own = {} if perturbation is None else {"perturbation": perturbation}
        return GENERATED[key](seed=seed, **own)
    if key in FROM_FILES:
        if perturbation is not None:
            raise DatasetError(f"{key} is read from files: it takes no perturbation")
        if download and key not in DOWNLOADED:
            raise DatasetError(f"{key} cannot be downloaded; pass the folder of its files as root")
        options: dict[str, int] = {} if key in WITH_OWN_SPLIT else {"seed": seed}
        if key in DOWNLOADED:
            options["download"] = download
        return FROM_FILES[key](root=root, **options)
    raise DatasetError(_unknown(name))


def dataset_card(name: str) -> DatasetCard:
    """What there is to know about a data set without loading it.

    Args:
        name: One of `DATASETS`; upper case and underscores are accepted.

    Raises:
        DatasetError: if the name is unknown.

    >>> dataset_card("Tree_Cycles").nodes
    871
    """
    key = name.lower().replace("_", "-")
    for card in CARDS:
        if card.name == key:
            return card
    raise DatasetError(_unknown(name))


def _unknown(name: str) -> str:
    meant = guess(name, DATASETS)
    hint = "" if meant is None else f" (did you mean {meant!r}?)"
    return f"unknown data set {name!r}; known are {', '.join(DATASETS)}{hint}"
