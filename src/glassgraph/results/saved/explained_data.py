"""The data that a job explains, by path: what many processes open, and read results with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch_geometric.data import Batch
from torch_geometric.data.data import BaseData

from glassgraph.data.store import GraphStore
from glassgraph.datasets.files import load_graphs, save_graphs
from glassgraph.errors import DamagedFileError, DatasetError
from glassgraph.files import writing

_NAME = "data.pt"


@dataclass(frozen=True)
class ExplainedData:
    """Where data are, and what.

    Attributes:
        kind: a `GraphStore`, or a file of one graph, or of a list of graphs.
        path: absolute, or relative to the job's folder.
    """

    kind: Literal["store", "graph", "graphs"]
    path: str

    @staticmethod
    def of(data: Any, folder: Path, *, is_list: bool) -> ExplainedData:
        """Where data are; what is in memory is written into the job's folder.

        Args:
            data: a `GraphStore`; a path of one, or of a file of graphs; or graphs in memory.
            folder: the job's.
            is_list: whether the task is about several graphs.

        Raises:
            DatasetError: if there is nothing at the path, or graphs cannot be written.
            OutputError: if the folder cannot be written.
        """
        if isinstance(data, GraphStore):
            return ExplainedData("store", str(data.path))
        if isinstance(data, (str, Path)):
            path = Path(data).resolve()
            if path.is_dir():
                return ExplainedData("store", str(path))
            if not path.is_file():
                raise DatasetError(f"there is neither a file of graphs nor a store at {path}")
            return ExplainedData("graphs" if is_list else "graph", str(path))
        if isinstance(data, Batch):
            data = data.to_data_list()
        is_one = isinstance(data, BaseData)
        with writing(folder):
            save_graphs([data] if is_one else [data[i] for i in range(len(data))], folder / _NAME)
        return ExplainedData("graph" if is_one else "graphs", _NAME)

    def where(self, folder: Path) -> Path:
        """The path, of a job in this folder."""
        return folder / self.path

    def open(self, folder: Path) -> Any:
        """The data.

        Raises:
            GlassgraphError: if they are gone, or are none.
        """
        path = self.where(folder)
        if self.kind == "store":
            return GraphStore.open(path)
        graphs = load_graphs(path)
        if self.kind == "graphs":
            return graphs
        if len(graphs) != 1:
            raise DatasetError(
                f"{path} holds {len(graphs)} graphs; a task about nodes or edges needs one"
            )
        return graphs[0]

    @staticmethod
    def read(said: Any, folder: Path) -> ExplainedData:
        """What a job's header says.

        Raises:
            DamagedFileError: if it does not say.
        """
        if isinstance(said, dict) and said.get("kind") in ("store", "graph", "graphs"):
            return ExplainedData(said["kind"], str(said.get("path")))
        raise DamagedFileError(f"{folder} does not say which data it explains; restore job.json")
