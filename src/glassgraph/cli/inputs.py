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
    """

    name: str
    data: Any
    level: str
    dataset: ExplanationDataset | None

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


def check_source(dataset: str | None, file: Path | None, root: Path | None) -> None:
    """Refuse none or two sources of graphs.

    Raises:
        CommandError: see above.
    """
    if (dataset is None) == (file is None):
        raise CommandError(
            "give either --dataset NAME or --data FILE" + ("" if file is None else ", not both")
        )
    if root is not None and dataset is None:
        raise CommandError("--root is the folder of a built-in data set's files; --data needs none")


def read_input(
    dataset: str | None, file: Path | None, root: Path | None, level: str | None, seed: int
) -> Input:
    """Read the graphs.

    Raises:
        CommandError: if the level does not fit.
        DatasetError: if there are no such data.
    """
    check_source(dataset, file, root)
    if dataset is not None:
        return _built_in(dataset, root, level, seed)
    from glassgraph.datasets import load_graphs

    if level is None:
        raise CommandError("--data needs --task node, graph or edge")
    graphs = load_graphs(str(file))
    if level != "graph" and len(graphs) != 1:
        raise CommandError(f"--task {level} needs one graph, {file} holds {len(graphs)}")
    return Input(str(file), graphs if level == "graph" else graphs[0], level, None)


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
