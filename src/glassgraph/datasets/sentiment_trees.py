"""Sentiment trees: sentences as constituency trees over word vectors.

Socher, Perelygin, Wu, Chuang, Manning, Ng and Potts, "Recursive Deep Models for Semantic
Compositionality Over a Sentiment Treebank" (EMNLP 2013, https://aclanthology.org/D13-1170): the
files `train.txt`, `dev.txt` and `test.txt`, one bracketed tree a line, such as
``(4 (2 A) (4 (3 lovely) (2 film)))``. A bracket is a phrase with its sentiment, from 0 (very
negative) to 4; a phrase is two phrases, or one word.

A tree becomes a graph. Its nodes are the phrases in the order in which they open, so that node 0 is
the sentence; a phrase of one word carries the word's vector, a longer one zeros, and a last feature
of 1 that tells it from a word without a vector. Edges join a phrase to its parts, in both
directions. The label is that of the whole sentence; no other sentiment is a feature. Beside `x`,
`edge_index` and `y` a graph holds

- `words`: the words, a list of S strings;
- `span [N, 2]`: the first word of each phrase and the one behind its last, see `phrase`;
- `sentiment [N]`: what the file says about each phrase;
- `is_known [S]`: whether a word has a vector.

`sst` is the binary task by name, with the words of each phrase as the names of nodes.

He, Rafiey, Mishne and Wang, "Explaining GNN Explanations with Edge Gradients" (KDD 2025), use
Graph-SST2 of Yuan, Yu, Gui and Ji, "Explainability in Graph Neural Networks: A Taxonomic Survey"
(TPAMI 2022, https://arxiv.org/abs/2012.15445) instead: dependency trees of 70,042 phrases with
contextual vectors of 768 numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch_geometric.data import Data

from glassgraph.datasets.base import SPLITS, ExplanationDataset
from glassgraph.datasets.locate import Files
from glassgraph.datasets.word_vectors import GLOVE, Vectors, WordVectors
from glassgraph.errors import DatasetError

FILES = {"train": "train.txt", "val": "dev.txt", "test": "test.txt"}
TREES = Files(
    tuple(FILES.values()),
    "sst_trees",
    "https://nlp.stanford.edu/sentiment (trainDevTestTrees_PTB.zip, the folder trees)",
)
#: How the treebank writes brackets and slashes within words.
_WRITTEN = {"-LRB-": "(", "-RRB-": ")", "\\/": "/", "\\*": "*"}
_NEUTRAL, _MOST = 2, 4
#: A word may hold a non-breaking space.
_TOKEN = re.compile(r"[()]|[^ \t\r\n()]+")


def sentiment_trees(
    root: str | Path,
    vectors: Vectors,
    num_classes: Literal[2, 5] = 2,
) -> ExplanationDataset:
    """The Stanford Sentiment Treebank as graphs, with its own split.

    Args:
        root: The folder of `train.txt`, `dev.txt` and `test.txt`.
        vectors: A vector for each word in lower case: a mapping, a JSON file that holds one, or an
            .npz file of `words [V]` and `vectors [V, F]`. Other words have zeros.
        num_classes: 5, or 2: negative (0 and 1) against positive (3 and 4), without the neutral
            sentences; 6,920 / 872 / 1,821 of them.

    Returns:
        Graphs; the instances to explain are the test part. `coverage` says how many words have a
        vector.

    Raises:
        DatasetError: if a file is missing or malformed, or vectors differ in length.
    """
    if num_classes not in (2, 5):
        raise DatasetError(f"num_classes must be 2 or 5, got {num_classes}")
    name = f"sentiment-trees-{num_classes}"
    return _treebank(Path(root), vectors, num_classes, name, with_names=False)


def _treebank(
    folder: Path, vectors: Vectors, num_classes: int, name: str, *, with_names: bool
) -> ExplanationDataset:
    known = WordVectors.read(vectors)
    graphs: list[Data] = []
    split = {}
    for part in SPLITS:
        first = len(graphs)
        for tree in _read(folder / FILES[part]):
            if num_classes == 5 or tree.sentiment[0] != _NEUTRAL:
                graphs.append(_graph(tree, known, num_classes))
                if with_names:
                    graphs[-1].node_names = [" ".join(tree.words[a:b]) for a, b in tree.span]
        split[part] = torch.arange(first, len(graphs))
    return ExplanationDataset(
        name=name,
        level="graph",
        graphs=graphs,
        num_classes=num_classes,
        num_features=known.table.size(1) + 1,
        explained=split["test"],
        split=split,
        license="none stated",
        source="Stanford Sentiment Treebank, Socher et al. 2013",
    )


def sst(root: str | Path | None = None, vectors: Vectors | None = None) -> ExplanationDataset:
    """Binary sentiment of sentences (SST-2) as graphs of words and phrases.

    As `sentiment_trees`, and `node_names` of every graph holds the words of each phrase, which
    results and reports show. There is no ground truth: nobody says which words make a sentence
    positive, the sentiment of phrases (`sentiment [N]`) comes nearest.

    Args:
        root: The folder of `train.txt`, `dev.txt` and `test.txt`, or one above it.
        vectors: See `sentiment_trees`; None takes `glove.6B.50d.subset.npz` in the same folder, or
            in `glove_small` in `root` or beside it.

    Raises:
        DatasetError: if a file is missing or malformed.
    """
    folder = TREES.find("sst", root)
    if vectors is None:
        beside = [folder, folder.parent / GLOVE.folder]
        vectors = GLOVE.find("sst", root, beside) / GLOVE.names[0]
    return _treebank(folder, vectors, 2, "sst", with_names=True)


def coverage(dataset: ExplanationDataset) -> float:
    """The share of words, as often as they occur, that have a vector; in [0, 1]."""
    return float(torch.cat([graph.is_known for graph in dataset.graphs]).double().mean())


def phrase(graph: Data, node: int) -> str:
    """The words below a node.

    >>> graph = tree_graph("(3 (2 A) (3 (3 lovely) (2 film)))", {"lovely": [1.0], "film": [2.0]})
    >>> [phrase(graph, node) for node in range(5)]
    ['A lovely film', 'A', 'lovely film', 'lovely', 'film']
    """
    first, end = graph.span[node].tolist()
    return " ".join(graph.words[first:end])


def tree_graph(text: str, vectors: Mapping[str, Sequence[float]]) -> Data:
    """The graph of one bracketed tree, labeled 0 to 4.

    Args:
        text: The tree.
        vectors: A vector for each word in lower case.

    Raises:
        DatasetError: if the tree is malformed, or vectors differ in length.
    """
    known = WordVectors.read(vectors)
    return _graph(parse_tree(text, "the tree"), known, 5)


@dataclass
class Tree:
    """A bracketed tree, its phrases in the order in which they open.

    Attributes:
        sentiment: of each phrase.
        parent: of each phrase, -1 for the first.
        span: the first word of each phrase and the one behind its last.
        words: the words.
    """

    sentiment: list[int] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    span: list[tuple[int, int]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


def parse_tree(text: str, where: str) -> Tree:
    """Read one bracketed tree.

    Args:
        text: The tree.
        where: The beginning of the error message.

    Raises:
        DatasetError: if brackets do not match, or a phrase has no sentiment, no content, or both
            words and phrases in it.
    """
    tree = Tree()
    is_open: list[int] = []
    tokens = _TOKEN.findall(text)
    position = 0
    while position < len(tokens):
        token = tokens[position]
        if token == "(":
            if not is_open and tree.parent:
                raise DatasetError(f"{where}: more than one tree")
            if is_open and _has_word(tree, is_open[-1]):
                raise DatasetError(f"{where}: a phrase holds a word beside a phrase")
            position += 1
            label = tokens[position] if position < len(tokens) else "nothing"
            if not (label.isdecimal() and int(label) <= _MOST):
                raise DatasetError(f"{where}: a phrase begins with a sentiment 0..4, got {label!r}")
            tree.sentiment.append(int(label))
            tree.parent.append(is_open[-1] if is_open else -1)
            tree.span.append((len(tree.words), -1))
            is_open.append(len(tree.parent) - 1)
        elif not is_open:
            raise DatasetError(f"{where}: {token!r} stands outside of the tree")
        elif token == ")":
            here = is_open.pop()
            first = tree.span[here][0]
            if first == len(tree.words):
                raise DatasetError(f"{where}: a phrase holds no word")
            tree.span[here] = (first, len(tree.words))
        else:
            here = is_open[-1]
            if here != len(tree.parent) - 1 or _has_word(tree, here):
                raise DatasetError(f"{where}: the word {token!r} needs a phrase of its own")
            tree.words.append(_plain(token))
        position += 1
    if is_open or not tree.words:
        missing = f"{len(is_open)} brackets are not closed" if is_open else "no tree"
        raise DatasetError(f"{where}: {missing}")
    return tree


def _has_word(tree: Tree, number: int) -> bool:
    """Whether the phrase that was opened last, if it is this one, holds a word."""
    return number == len(tree.parent) - 1 and tree.span[number][0] < len(tree.words)


def _plain(word: str) -> str:
    for written, meant in _WRITTEN.items():
        word = word.replace(written, meant)
    return word


def _read(path: Path) -> Iterable[Tree]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"cannot read {path}; the folder holds {', '.join(FILES.values())}: {error}"
        ) from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield parse_tree(line, f"{path}, line {number}")


def _graph(tree: Tree, known: WordVectors, num_classes: int) -> Data:
    row, unknown = known.rows(tree.words), len(known.row)
    parent, span = torch.tensor(tree.parent), torch.tensor(tree.span)
    num_nodes = len(tree.parent)
    is_inner = torch.zeros(num_nodes, dtype=torch.bool)
    is_inner[parent[1:]] = True
    vector = known.table[torch.where(is_inner, unknown, row[span[:, 0]])]
    up = torch.stack([torch.arange(1, num_nodes), parent[1:]])
    both = torch.cat([up, up.flip(0)], dim=1)
    label = tree.sentiment[0]
    return Data(
        x=torch.cat([vector, is_inner.float().view(-1, 1)], dim=1),
        edge_index=both[:, torch.argsort(both[0] * num_nodes + both[1])],
        y=torch.tensor([label if num_classes == 5 else int(label > _NEUTRAL)]),
        words=tree.words,
        span=span,
        sentiment=torch.tensor(tree.sentiment),
        is_known=row < unknown,
    )
