"""What is explained: a built-in data set or the user's file of graphs, and which predictions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glassgraph.cli.parse import parse_index
from glassgraph.errors import CommandError

if TYPE_CHECKING:
    from glassgraph.datasets import ExplanationDataset


@dataclass(frozen=True)
class Input:
    """Graphs and what is asked about them.

    Attributes:
        name: name of the data set, or the file.
        data: what a method explains: one graph, or the list of a graph task.
        level: level of the task.
        dataset: the built-in data set, None for a file.
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
            return parse_index(text, option)
        if self.dataset is None:
            raise CommandError(
                f"{option} motif is for built-in data sets, which know their motifs; give numbers"
            )
        return self.dataset.explained.tolist()


@dataclass(frozen=True)
class Source:
    """Where graphs come from: one of three.

    Attributes:
        dataset: name of a built-in data set.
        file: file of graphs.
        smiles: table of molecules.
        root: folder of a built-in data set's files.
    """

    dataset: str | None
    file: Path | None
    smiles: Path | None
    root: Path | None

    def __post_init__(self) -> None:
        given = {"--dataset": self.dataset, "--data": self.file, "--smiles": self.smiles}
        options = [option for option, value in given.items() if value is not None]
        if len(options) != 1:
            got = f", not both {' and '.join(options)}" if options else ""
            raise CommandError(f"give either --dataset NAME or --data FILE or --smiles FILE{got}")
        if self.root is not None and self.dataset is None:
            raise CommandError(
                f"--root is the folder of a built-in data set's files; {options[0]} needs none"
            )


def read_input(source: Source, level: str | None, seed: int) -> Input:
    """Read the graphs.

    Raises:
        CommandError: if the level does not fit.
        DatasetError: if there are no such data.
        MissingExtraError: if molecules are to be read without RDKit.
    """
    if source.dataset is not None:
        return _built_in(source.dataset, source.root, level, seed)
    from glassgraph.datasets import load_graphs, read_smiles

    if source.smiles is not None:
        if level not in (None, "graph"):
            raise CommandError(f"--smiles holds molecules, which are graphs; not --task {level}")
        return Input(str(source.smiles), read_smiles(source.smiles), "graph", None)
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
