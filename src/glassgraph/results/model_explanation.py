"""Explanations of a model instead of a prediction: generated graphs, and how they came about."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.results.alike import first_alike
from glassgraph.results.drawing import plot_generated, write_generation_report
from glassgraph.results.generated_graph import GeneratedGraph, Step
from glassgraph.results.saved.stored_generation import read_generated, write_generated

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["GeneratedGraph", "ModelExplanation", "Step"]


@dataclass(frozen=True)
class ModelExplanation(Sequence[GeneratedGraph]):
    """Which graphs did a generator find for a class, and how did they come about?

    A sequence of n `GeneratedGraph`, the most probable first; a slice is a `ModelExplanation`
    again. Probabilities are those of the explained model. `duplicates` counts graphs that are
    isomorphic to an earlier one. `frame` has a row for each graph, `trace` one for each step, `at`
    gives partial graphs, `plot` and `to_html` draw, `save` and `load` keep them in a folder.

    Attributes:
        method: registry name of the method.
        target: the explained class.
        node_types: names of the node types.
        graphs: the graphs.
        provenance: method, hyper-parameters, seed, versions, model fingerprint (JSON-able).

    Raises:
        IndexError: for a graph or a step that does not exist.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> def size(x, edge_index, batch):  # the more nodes, the surer is class 1
        ...     count = torch.bincount(batch).float()
        ...     return torch.stack([3 - count, count - 3], dim=1)
        >>> xgnn = gg.XGNN(size, node_types=["A"], max_nodes=4, iterations=1, progress=False)
        >>> found = xgnn.fit(target_class=1).explain(n=2)
        >>> found.formula(0), found.validity
        ('A4', 1.0)
        >>> found.probability  # [n]
        tensor([0.8808, 0.8808])
        >>> found.at(graph=0, step=1).num_nodes
        2
        >>> found.duplicates <= 1
        True
    """

    method: str
    target: int
    node_types: tuple[str, ...]
    graphs: tuple[GeneratedGraph, ...]
    provenance: dict[str, Any]

    def __len__(self) -> int:
        return len(self.graphs)

    @overload
    def __getitem__(self, position: int) -> GeneratedGraph: ...

    @overload
    def __getitem__(self, position: slice) -> ModelExplanation: ...

    def __getitem__(self, position: int | slice) -> GeneratedGraph | ModelExplanation:
        """One graph, or a part of the sequence."""
        if isinstance(position, slice):
            graphs = self.graphs[position]
            return ModelExplanation(
                self.method, self.target, self.node_types, graphs, self.provenance
            )
        return self.graphs[position]

    def __repr__(self) -> str:
        best = f", best {float(self.probability.max()):.3f}" if len(self) else ""
        return f"ModelExplanation({self.method!r}, class {self.target}, {len(self)} graphs{best})"

    @property
    def probability(self) -> Tensor:
        """``[n]`` probability of the target class."""
        return torch.stack([each.probabilities[self.target] for each in self.graphs])

    @property
    def validity(self) -> float:
        """Share of graphs that keep all rules."""
        return sum(each.keeps_rules for each in self.graphs) / max(1, len(self))

    def first_alike(self) -> list[int]:
        """For each graph the first one that it is isomorphic to, types of nodes included.

        A graph that is unlike all before it has its own position.
        """
        return first_alike(self.to_networkx(position) for position in range(len(self)))

    @property
    def duplicates(self) -> int:
        """How many graphs are isomorphic to an earlier one."""
        return len(self) - len(set(self.first_alike()))

    def at(self, graph: int, step: int) -> Data:
        """The partial graph after so many steps; see `GeneratedGraph.at`."""
        return self.graphs[graph].at(step)

    def to_data(self, position: int) -> Data:
        """A graph as the model was given it."""
        return self.graphs[position].data.clone()

    def to_networkx(self, position: int) -> Any:
        """A graph as ``networkx.Graph``; nodes carry ``type``, the name of their type."""
        import networkx as nx

        own = self.graphs[position]
        graph = nx.Graph()
        for node, kind in enumerate(own.node_type.tolist()):
            graph.add_node(node, type=self.node_types[kind])
        graph.add_edges_from(own.edge_index.t().tolist())
        return graph

    def formula(self, position: int) -> str:
        """Types and how often each occurs, such as ``C6 N1 O2``."""
        count = torch.bincount(self[position].node_type.cpu(), minlength=len(self.node_types))
        words = zip(self.node_types, count.tolist(), strict=True)
        return " ".join(f"{name}{number}" for name, number in words if number)

    def frame(self) -> pd.DataFrame:
        """One row per graph: its size, types, probabilities, steps, and whether it keeps rules."""
        import pandas as pd

        rows = []
        for position, graph in enumerate(self.graphs):
            row: dict[str, Any] = {
                "graph": position,
                "probability": float(graph.probabilities[self.target]),
                "nodes": int(graph.node_type.numel()),
                "edges": graph.num_edges,
                "types": self.formula(position),
                "keeps_rules": graph.keeps_rules,
                "taken": graph.taken,
                "steps": len(graph.steps),
            }
            for number, value in enumerate(graph.probabilities.tolist()):
                row[f"class_{number}"] = value
            rows.append(row)
        return pd.DataFrame(rows)

    def trace(self) -> pd.DataFrame:
        """One row per step of each graph."""
        import pandas as pd

        rows = [
            {"graph": number, "step": at, **asdict(step)}
            for number, graph in enumerate(self.graphs)
            for at, step in enumerate(graph.steps, start=1)
        ]
        names = ["graph", "step", *Step.__dataclass_fields__]
        return pd.DataFrame(rows, columns=names)

    # Files

    def save(self, folder: str | Path) -> Path:
        """Write graphs (safetensors), steps (Parquet) and a JSON header into a folder.

        What it held before is replaced once all is written.

        Raises:
            OutputError: if the folder cannot be written, or another process writes into it.
        """
        about = {
            "method": self.method,
            "target": self.target,
            "node_types": list(self.node_types),
            "provenance": self.provenance,
        }
        return write_generated(Path(folder), about, self.graphs, self.trace())

    @staticmethod
    def load(folder: str | Path) -> ModelExplanation:
        """Read what `save` wrote.

        Raises:
            DamagedFileError: if the folder is damaged.
            ExplanationFileError: if it is foreign.
        """
        about, graphs = read_generated(Path(folder))
        return ModelExplanation(
            method=about["method"],
            target=about["target"],
            node_types=tuple(about["node_types"]),
            graphs=graphs,
            provenance=about["provenance"],
        )

    # Figures

    def plot(self, position: int | None = None) -> Figure:
        """Draw one of the graphs, or all in a grid; returns the matplotlib figure."""
        return plot_generated(self, position)

    def to_html(self, path: str | Path) -> Path:
        """Write a self-contained page: the graphs, and their generation step by step.

        Raises:
            OutputError: if the file cannot be written.
        """
        return write_generation_report(Path(path), self)

    def _repr_html_(self) -> str:
        """A short table for notebooks."""
        table = self.frame()[["probability", "nodes", "edges", "types"]].head(10)
        return (
            f"<p><b>{html.escape(repr(self))}</b></p>{table.to_html(float_format='{:.3f}'.format)}"
        )
