"""What there is to know about each data set without loading it.

The records stand here alone: `load_dataset` asks them for names, `glassgraph datasets` prints them,
and tests hold them against the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from glassgraph.datasets import (
    infection,
    is_acyclic,
    molecules,
    motifs,
    negative_evidence,
    planetoid,
    reddit_binary,
    sentiment_trees,
    star_graphs,
    word_vectors,
    zinc_molecules,
)
from glassgraph.datasets.base import Level
from glassgraph.datasets.locate import Files

Truth = Literal["edges", "nodes", "none"]


@dataclass(frozen=True)
class DatasetCard:
    """A data set in words and numbers, as `load_dataset(name, seed=0)` gives it.

    Attributes:
        name: For `load_dataset`.
        about: What the labels say.
        level: `"node"` or `"graph"`.
        graphs: G.
        nodes: N, of all graphs.
        edges: Columns of `edge_index`, of all graphs; an undirected edge counts twice.
        classes: C.
        features: F, of each node.
        explained: Instances that are explained by default.
        truth: What the ground truth is about.
        truth_about: What is true; or why there is nothing.
        license: As the source states it.
        source: Where it is from.
        files: Names of the raw files; none where it is generated.
        folder: The folder they usually lie in.
        origin: Where to get them.
    """

    name: str
    about: str
    level: Level
    graphs: int
    nodes: int
    edges: int
    classes: int
    features: int
    explained: int
    truth: Truth
    truth_about: str
    license: str
    source: str
    files: tuple[str, ...] = ()
    folder: str = ""
    origin: str = ""

    @property
    def is_generated(self) -> bool:
        """Whether no files are needed."""
        return not self.files

    @property
    def how_to_get(self) -> str:
        """A sentence that says where the files are from."""
        if self.is_generated:
            return "generated"
        return f"{', '.join(self.files)} in {self.folder}/, from {self.origin}"


_MOTIF = {
    "level": "node",
    "truth": "edges",
    "license": motifs.LICENSE,
    "source": motifs.SOURCE,
    "features": 10,
    "explained": 60,
    "graphs": 1,
}
_TU = {
    "level": "graph",
    "classes": 2,
    "truth": "edges",
    "license": molecules.LICENSE,
}
_ZINC = {
    "level": "graph",
    "classes": 2,
    "features": len(zinc_molecules.ATOMS),
    "truth": "nodes",
    "license": zinc_molecules.LICENSE,
    "source": zinc_molecules.SOURCE,
}
_CITATIONS = {
    "level": "node",
    "graphs": 1,
    "explained": 1000,
    "truth": "none",
    "truth_about": "nobody says which citations make a topic",
    "license": "MIT (files)",
    "source": "Yang, Cohen and Salakhutdinov 2016, arXiv:1603.08861",
}


def _card(name: str, about: str, shared: Mapping[str, Any], **own: Any) -> DatasetCard:
    return DatasetCard(name=name, about=about, **{**shared, **own})


def _files(files: Files) -> dict[str, Any]:
    return {"files": files.names, "folder": files.folder, "origin": files.origin}


def _tu_files(prefix: str, *more: str) -> dict[str, Any]:
    names = tuple(f"{prefix}_{part}.txt" for part in (*molecules.FILES, *more))
    return {"files": names, "folder": molecules.usual_folder(prefix), "origin": molecules.ORIGIN}


CARDS: tuple[DatasetCard, ...] = (
    _card(
        "ba-shapes",
        "place of a node in a house, or none",
        _MOTIF,
        nodes=700,
        edges=4110,
        classes=4,
        truth_about="the edges of the node's house",
    ),
    _card(
        "ba-community",
        "place of a node in a house, in one of two communities",
        _MOTIF,
        nodes=1400,
        edges=8920,
        classes=8,
        truth_about="the edges of the node's house",
    ),
    _card(
        "tree-cycles",
        "whether a node is in a cycle",
        _MOTIF,
        nodes=871,
        edges=1928,
        classes=2,
        truth_about="the edges of the node's cycle",
    ),
    _card(
        "tree-grid",
        "whether a node is in a grid",
        _MOTIF,
        nodes=1231,
        edges=3130,
        classes=2,
        truth_about="the edges of the node's grid",
    ),
    _card(
        "ba-2motifs",
        "whether a graph holds a house or a cycle",
        _MOTIF,
        level="graph",
        graphs=1000,
        nodes=25000,
        edges=51000,
        classes=2,
        explained=100,
        truth_about="the edges of the house or the cycle",
        source=motifs.SOURCE_2MOTIFS,
    ),
    _card(
        "star-graphs",
        "whether a star has more edges of one asked color than of another",
        {},
        level="graph",
        graphs=11000,
        nodes=110082,
        edges=99082,
        classes=2,
        features=12,
        explained=500,
        truth="edges",
        truth_about="the edges of the two colors",
        license=star_graphs.LICENSE,
        source=star_graphs.SOURCE,
    ),
    _card(
        "infection",
        "steps from the nearest infected node",
        {},
        level="node",
        graphs=1,
        nodes=5000,
        edges=19713,
        classes=6,
        features=2,
        explained=472,
        truth="edges",
        truth_about="the edges of the only shortest path",
        license=infection.LICENSE,
        source=infection.SOURCE,
    ),
    _card(
        "negative-evidence",
        "the color that most of a node's colored neighbors have",
        {},
        level="node",
        graphs=1,
        nodes=10000,
        edges=316336,
        classes=2,
        features=3,
        explained=1232,
        truth="none",
        truth_about="edges to one color speak for a class, to the other against it (signs, no set)",
        license=negative_evidence.LICENSE,
        source=negative_evidence.SOURCE,
    ),
    _card(
        "is-acyclic",
        "whether a graph has a cycle",
        {},
        level="graph",
        graphs=1000,
        nodes=29347,
        edges=63764,
        classes=2,
        features=1,
        explained=50,
        truth="edges",
        truth_about="the edges on cycles",
        license=is_acyclic.LICENSE,
        source=is_acyclic.SOURCE,
    ),
    _card(
        "mutag",
        "whether a molecule is mutagenic",
        _TU,
        graphs=188,
        nodes=3371,
        edges=7442,
        features=len(molecules.MUTAG_ATOMS),
        explained=125,
        truth_about="N-O bonds of nitro groups (nominal: both classes have them)",
        source="TUDataset MUTAG, Debnath et al. 1991",
        **_tu_files("MUTAG"),
    ),
    _card(
        "mutagenicity",
        "whether a molecule is mutagenic",
        _TU,
        graphs=4337,
        nodes=131488,
        edges=266894,
        features=len(molecules.MUTAGENICITY_ATOMS),
        explained=1015,
        truth_about="bonds of NO2 and NH2 groups",
        source="TUDataset Mutagenicity, Kazius et al. 2005; truth of Luo et al. 2020",
        **{
            **_tu_files("Mutagenicity", "edge_gt"),
            "origin": f"{molecules.ORIGIN}; Mutagenicity_edge_gt.txt: {molecules.TRUTH_ORIGIN}",
        },
    ),
    _card(
        "benzene",
        "whether a molecule holds a benzene ring",
        _ZINC,
        graphs=12000,
        nodes=246993,
        edges=523842,
        explained=999,
        truth_about="atoms of the rings, any choice of rings",
        **_files(zinc_molecules.files("benzene")),
    ),
    _card(
        "logic7",
        "whether a molecule holds a fluorine and a carbonyl group",
        _ZINC,
        graphs=4326,
        nodes=91393,
        edges=194450,
        explained=47,
        truth_about="atoms of both, any choice of pairs",
        **_files(zinc_molecules.files("logic7")),
    ),
    _card(
        "logic8",
        "whether a molecule holds a chain of three atoms and a carbonyl group",
        _ZINC,
        graphs=8671,
        nodes=185198,
        edges=393368,
        explained=184,
        truth_about="atoms of both, any choice of pairs",
        **_files(zinc_molecules.files("logic8")),
    ),
    _card(
        "reddit-binary",
        "whether a thread is of questions and answers, or of talk",
        {},
        level="graph",
        graphs=2000,
        nodes=859254,
        edges=1991016,
        classes=2,
        features=reddit_binary.BINS,
        explained=200,
        truth="none",
        truth_about="nobody says which replies make a kind of thread",
        license=reddit_binary.LICENSE,
        source=reddit_binary.SOURCE,
        **_files(reddit_binary.FORMS[-1]),
    ),
    _card(
        "sst",
        "whether a sentence is positive",
        {},
        level="graph",
        graphs=9613,
        nodes=361629,
        edges=704032,
        classes=2,
        features=51,
        explained=1821,
        truth="none",
        truth_about="nobody says which words make a sentence positive",
        license="none stated",
        source="Stanford Sentiment Treebank, Socher et al. 2013",
        files=(*sentiment_trees.TREES.names, *word_vectors.GLOVE.names),
        folder=f"{sentiment_trees.TREES.folder}/ and {word_vectors.GLOVE.folder}",
        origin=f"{sentiment_trees.TREES.origin}; {word_vectors.GLOVE.origin}",
    ),
    _card(
        "cora",
        "topic of a paper",
        _CITATIONS,
        nodes=2708,
        edges=10556,
        classes=7,
        features=1433,
        **_files(planetoid.files("cora")),
    ),
    _card(
        "citeseer",
        "topic of a paper",
        _CITATIONS,
        nodes=3327,
        edges=9104,
        classes=6,
        features=3703,
        **_files(planetoid.files("citeseer")),
    ),
)
