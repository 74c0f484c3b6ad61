"""Explanations of a model instead of a prediction: generated graphs, and how they came about."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.errors import ExplanationFileError, OutputError
from glassgraph.results.drawing import plot_generated, write_generation_report

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["GeneratedGraph", "ModelExplanation", "Step"]

FORMAT = "glassgraph-model-explanation"
FORMAT_VERSION = 1
HEADER = "explanation.json"
_STEPS, _GRAPHS = "steps.parquet", "graphs.safetensors"


@dataclass(frozen=True)
class Step:
    """One move of a generator.

    Attributes:
        start: node that the edge starts from.
        end: node that it goes to; the new one's number where one was added.
        added: type of the added node, -1 for none.
        is_valid: whether the graph after it keeps all rules.
        is_accepted: whether it was kept; else it was rolled back.
        probability: of the target class on the graph after it; NaN if that breaks a rule, for then
            the model is not asked.
        reward: what the generator was paid; NaN where none was computed.
    """

    start: int
    end: int
    added: int
    is_valid: bool
    is_accepted: bool
    probability: float
    reward: float


@dataclass(frozen=True)
class GeneratedGraph:
    """A graph and its history.

    Attributes:
        data: what the model is given: ``x``, ``edge_index`` (both directions), ``node_type``.
        probabilities: ``[C]`` of all classes.
        keeps_rules: whether it keeps all rules.
        origin: the graph that growing began with: ``node_type``, ``edge_index``.
        origin_probability: of the target class there.
        steps: all moves that were tried, in order, also those after `taken`.
        taken: how many of them lead to this graph.
    """

    data: Data
    probabilities: Tensor
    keeps_rules: bool
    origin: Data
    origin_probability: float
    steps: tuple[Step, ...]
    taken: int

    @property
    def node_type(self) -> Tensor:
        """``[n]`` type of each node."""
        node_type: Tensor = self.data.node_type
        return node_type

    @property
    def edge_index(self) -> Tensor:
        """``[2, e]`` edges in both directions."""
        edge_index: Tensor = self.data.edge_index
        return edge_index

    @property
    def num_edges(self) -> int:
        """Number of undirected edges."""
        return int(self.edge_index.size(1)) // 2

    def at(self, step: int) -> Data:
        """The partial graph after so many steps: ``node_type`` and ``edge_index``.

        Raises:
            IndexError: if there are not so many steps.
        """
        if not 0 <= step <= len(self.steps):
            raise IndexError(f"step must lie in 0..{len(self.steps)}; got {step}")
        kept = [each for each in self.steps[:step] if each.is_accepted]
        origin: Any = self.origin
        types = origin.node_type.tolist() + [each.added for each in kept if each.added >= 0]
        pairs = [(each.start, each.end) for each in kept]
        added = torch.tensor(pairs + [(b, a) for a, b in pairs]).long().view(-1, 2).t()
        edges = torch.cat([origin.edge_index, added], dim=1)
        order = (edges[0] * max(1, len(types)) + edges[1]).argsort()
        return Data(node_type=torch.tensor(types), edge_index=edges[:, order], num_nodes=len(types))


@dataclass(frozen=True)
class ModelExplanation(Sequence[GeneratedGraph]):
    """Which graphs did a generator find for a class, and how did they come about?

    A sequence of n `GeneratedGraph`, the most probable first; a slice is a `ModelExplanation`
    again. Probabilities are those of the explained model. `frame` has a row for each graph, `trace`
    one for each step, `at` gives partial graphs, `plot` and `to_html` draw, `save` and `load` keep
    them in a folder.

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

        Raises:
            OutputError: if the folder cannot be written.
        """
        folder = Path(folder)
        tensors: dict[str, Tensor] = {}
        rows = []
        for number, graph in enumerate(self.graphs):
            for name, value in graph.data.to_dict().items():
                if isinstance(value, Tensor):
                    tensors[f"{number}|data|{name}"] = value
            for name, value in graph.origin.to_dict().items():
                if isinstance(value, Tensor):
                    tensors[f"{number}|origin|{name}"] = value
            tensors[f"{number}|probabilities|"] = graph.probabilities
            rows.append(
                {
                    "keeps_rules": graph.keeps_rules,
                    "origin_probability": graph.origin_probability,
                    "taken": graph.taken,
                }
            )
        header = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "method": self.method,
            "target": self.target,
            "node_types": list(self.node_types),
            "graphs": rows,
            "provenance": self.provenance,
        }
        plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / HEADER).unlink(missing_ok=True)
            save_file(plain, folder / _GRAPHS)
            self.trace().to_parquet(folder / _STEPS, index=False)
            temporary = folder / "explanation.tmp"  # the header comes last: no half folder is read
            temporary.write_text(json.dumps(header, indent=1), encoding="utf-8")
            os.replace(temporary, folder / HEADER)
        except (OSError, SafetensorError) as error:
            raise OutputError(
                f"{folder} cannot be written ({error}); choose another output folder"
            ) from error
        return folder

    @staticmethod
    def load(folder: str | Path) -> ModelExplanation:
        """Read what `save` wrote.

        Raises:
            ExplanationFileError: if the folder is foreign or damaged.
        """
        folder = Path(folder)
        path = folder / HEADER
        if not path.is_file():
            raise ExplanationFileError(
                f"{folder} holds no {HEADER}; expected a folder written by ModelExplanation.save"
            )
        try:
            header = json.loads(path.read_text(encoding="utf-8"))
            if header["format"] != FORMAT or header["format_version"] != FORMAT_VERSION:
                raise ExplanationFileError(
                    f"{path} has format {header['format']!r} {header['format_version']}; this "
                    f"version of Glassgraph reads {FORMAT!r} {FORMAT_VERSION}"
                )
            return _read(header, folder)
        except ExplanationFileError:
            raise
        except (OSError, KeyError, ValueError, TypeError, SafetensorError) as error:
            raise ExplanationFileError(
                f"{folder} is damaged ({type(error).__name__}: {error}); explain again, or restore "
                "the folder"
            ) from error

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


def _read(header: dict[str, Any], folder: Path) -> ModelExplanation:
    import pandas as pd

    tensors = load_file(folder / _GRAPHS)
    steps = pd.read_parquet(folder / _STEPS)
    own: dict[tuple[int, str], dict[str, Tensor]] = {}
    for key, value in tensors.items():
        which, part, name = key.split("|", 2)
        own.setdefault((int(which), part), {})[name] = value
    columns = list(Step.__dataclass_fields__)
    graphs = []
    for number, about in enumerate(header["graphs"]):
        trace = steps[steps["graph"] == number][columns]
        values = [trace[name].tolist() for name in columns]
        moves = tuple(Step(*row) for row in zip(*values, strict=True))
        origin = Data(**own[number, "origin"])
        origin.num_nodes = int(own[number, "origin"]["node_type"].numel())
        graphs.append(
            GeneratedGraph(
                data=Data(**own[number, "data"]),
                probabilities=own[number, "probabilities"][""],
                origin=origin,
                steps=moves,
                **about,
            )
        )
    return ModelExplanation(
        method=str(header["method"]),
        target=int(header["target"]),
        node_types=tuple(header["node_types"]),
        graphs=tuple(graphs),
        provenance=dict(header["provenance"]),
    )
