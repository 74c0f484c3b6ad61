"""What is explained: a built-in data set or the user's file of graphs, and which predictions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glassgraph.cli.parse import parse_index
from glassgraph.errors import CommandError

if TYPE_CHECKING:
    from glassgraph.datasets import ExplanationDataset
    from glassgraph.inputs.index_file import IndexFile

#: What the name of a file of numbers ends in, as `IndexFile` reads it.
_FILES = (".npy", ".pt", ".txt", ".csv")


@dataclass(frozen=True)
class Input:
    """Graphs and what is asked about them.

    Attributes:
        name: name of the data set, or the file.
        data: what a method explains: one graph, or the list of a graph task.
        level: level of the task.
        dataset: the built-in data set, None for a file or a store.
        note: what was told by the data instead of an option.
    """

    name: str
    data: Any
    level: str
    dataset: ExplanationDataset | None
    note: str | None = None

    def index(self, text: str | None, option: str = "--index") -> Any:
        """The instances that ``--index`` (or another option) asks for; None for all.

        Without it a data set's default instances are explained, and all of a file.

        Raises:
            CommandError: if the text is not understood.
        """
        if text is None:
            text = "all" if self.dataset is None else "motif"
        if text == "all":
            return None
        if text != "motif":
            file = index_file(text)
            return parse_index(text, option) if file is None else file.numbers.tolist()
        if self.dataset is None:
            raise CommandError(
                f"{option} motif is for built-in data sets, which know their motifs; give numbers"
            )
        return self.dataset.explained.tolist()


def index_file(text: str) -> IndexFile | None:
    """The file of numbers that ``--index`` (or another option) names, if it names one.

    Raises:
        InstanceError: if it cannot be read, with the line.
    """
    if text in ("all", "motif") or not (text.endswith(_FILES) or Path(text).is_file()):
        return None
    from glassgraph.inputs.index_file import IndexFile

    return IndexFile.read(text)


def check_index(text: str | None, option: str) -> None:
    """Refuse what does not say which predictions are meant, before anything takes time.

    Raises:
        CommandError: if it is not understood.
        InstanceError: if it names a file that cannot be read.
    """
    if text is None or text in ("motif", "all"):
        return
    if index_file(text) is None:
        parse_index(text, option)


@dataclass(frozen=True)
class Source:
    """Where graphs come from: one of four.

    Attributes:
        dataset: name of a built-in data set.
        file: file of graphs.
        smiles: table of molecules.
        store: folder of a graph on disk.
        root: folder of a built-in data set's files.
    """

    dataset: str | None
    file: Path | None
    smiles: Path | None
    store: Path | None
    root: Path | None

    def __post_init__(self) -> None:
        options = list(self._given)
        if len(options) != 1:
            got = f", not both {' and '.join(options)}" if options else ""
            raise CommandError(
                "give either --dataset NAME or --data FILE or --smiles FILE or --store FOLDER" + got
            )
        if self.root is not None and self.dataset is None:
            raise CommandError(
                f"--root is the folder of a built-in data set's files; {options[0]} needs none"
            )

    @property
    def option(self) -> str:
        """The one that is given."""
        return next(iter(self._given))

    @property
    def _given(self) -> dict[str, str | Path]:
        every = {
            "--dataset": self.dataset,
            "--data": self.file,
            "--smiles": self.smiles,
            "--store": self.store,
        }
        return {option: value for option, value in every.items() if value is not None}


def read_input(source: Source, level: str | None, seed: int) -> Input:
    """Read the graphs.

    Raises:
        CommandError: if the level does not fit.
        DatasetError: if there are no such data.
        StoreError: if there is no graph in the folder.
        MissingExtraError: if molecules are to be read without RDKit.
    """
    if source.dataset is not None:
        return _built_in(source.dataset, source.root, level, seed)
    from glassgraph.datasets import load_graphs, read_smiles

    if source.smiles is not None:
        if level not in (None, "graph"):
            raise CommandError(f"--smiles holds molecules, which are graphs; not --task {level}")
        return Input(str(source.smiles), read_smiles(source.smiles), "graph", None)
    if source.store is not None:
        from glassgraph.data import GraphStore

        return Input(str(source.store), GraphStore.open(source.store), level or "node", None)
    graphs, note = load_graphs(str(source.file)), None
    if level is None:
        from glassgraph.cli.told_level import told_level

        level, why = told_level(graphs, str(source.file))
        note = f"--task {level}, since {source.file} holds {why}"
    if level != "graph" and len(graphs) != 1:
        raise CommandError(f"--task {level} needs one graph, {source.file} holds {len(graphs)}")
    return Input(str(source.file), graphs if level == "graph" else graphs[0], level, None, note)


def _built_in(name: str, root: Path | None, level: str | None, seed: int) -> Input:
    from glassgraph.datasets import load_dataset

    dataset = load_dataset(name, root=root, seed=seed)
    if level not in (None, dataset.level):
        raise CommandError(
            f"--task {level} does not fit {dataset.name}, whose labels are of the {dataset.level} "
            f"level; leave --task out or give --task {dataset.level}"
        )
    data = dataset.graphs[0] if dataset.level == "node" else dataset.graphs
    return Input(dataset.name, data, dataset.level, dataset)
