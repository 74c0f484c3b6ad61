"""Explanations: what a method found, in terms of the user's own graph.

Scores are kept in columns, only for the edges and nodes of each receptive field; the dense masks of
PyG's ``Explanation`` are made when asked for. `Explanations` is a sequence: ``explanations[0]`` is
a ``torch_geometric.explain.Explanation`` on which PyG's own tools work.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor

from glassgraph.core.graph import TypedGraph
from glassgraph.errors import ExplanationFileError
from glassgraph.results.dense import Explanation, HeteroExplanation, set_edge_masks, set_node_masks
from glassgraph.results.drawing import plot_explanation, write_report
from glassgraph.results.records import Attribution, LocalExplanation, Part, Table
from glassgraph.results.truth import edge_truth, node_truth

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


__all__ = [
    "Attribution",
    "Explanation",
    "Explanations",
    "HeteroExplanation",
    "LocalExplanation",
    "Part",
    "Table",
]


@dataclass
class Explanations(Sequence[Explanation]):
    """Explanations of many predictions.

    Attributes:
        method: registry name of the method.
        level: level of the task.
        num_layers: number L of message-passing steps.
        provenance: method, hyper-parameters, seed, versions, model fingerprint (JSON-able).
        parts: the columns.
        is_complete: whether every instance asked for is there.
    """

    method: str
    level: str
    num_layers: int
    provenance: dict[str, Any]
    parts: list[Part]
    is_complete: bool = True
    graph: TypedGraph | None = field(default=None, repr=False)
    node_types: list[str | None] = field(default_factory=lambda: [None], repr=False)
    edge_types: list[tuple[str, str, str] | None] = field(
        default_factory=lambda: [None], repr=False
    )
    _where: list[tuple[int, int]] = field(default_factory=list, repr=False)
    _bounds: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.graph is not None:
            self.node_types, self.edge_types = self.graph.node_types, self.graph.edge_types
        if not self._where:
            where = [
                (int(position), number, row)
                for number, part in enumerate(self.parts)
                for row, position in enumerate(part.position.tolist())
            ]
            self._where = [(number, row) for _, number, row in sorted(where)]

    @property
    def threshold(self) -> float | None:
        """Score above which the method calls a message or edge kept; None if it does not decide."""
        value = self.provenance.get("threshold")
        return None if value is None else float(value)

    def __len__(self) -> int:
        return len(self._where)

    @overload
    def __getitem__(self, position: int) -> Explanation: ...

    @overload
    def __getitem__(self, position: slice) -> Explanations: ...

    def __getitem__(self, position: int | slice) -> Explanation | Explanations:
        """One explanation with dense masks, or a part of the sequence."""
        if isinstance(position, slice):
            return self._with(self._where[position])
        found: Explanation = self._dense(range(len(self))[position])
        return found

    def __iter__(self) -> Iterator[Explanation]:
        return (self._dense(position) for position in range(len(self)))

    def _with(self, where: list[tuple[int, int]]) -> Explanations:
        part = Explanations(
            self.method,
            self.level,
            self.num_layers,
            self.provenance,
            self.parts,
            self.is_complete,
            self.graph,
            self.node_types,
            self.edge_types,
            [(-1, -1)],
        )
        part._where = where
        return part

    def __repr__(self) -> str:
        ending = "" if self.is_complete else ", interrupted"
        return f"Explanations({self.method!r}, {len(self)} {self.level} predictions{ending})"

    def own_parts(self) -> list[Part]:
        """The columns of these instances alone, in their order, for a slice of a larger set."""
        rows = [part.position.numel() for part in self.parts]
        everything = [(number, row) for number, size in enumerate(rows) for row in range(size)]
        if sorted(self._where) == everything and self._is_in_order():
            return self.parts
        found: list[Part] = []
        for number, group in itertools.groupby(enumerate(self._where), key=lambda at: at[1][0]):
            places = [(position, row) for position, (_, row) in group]
            position, row = torch.tensor(places).t().contiguous().unbind(0)
            found.append(self.parts[number].take(row, position))
        return found

    def _is_in_order(self) -> bool:
        """Whether the instances stand where their parts say."""
        return all(
            int(self.parts[number].position[row]) == position
            for position, (number, row) in enumerate(self._where)
        )

    # Reading

    def _rows(self, number: int, row: int) -> tuple[slice, slice]:
        """Where an instance's nodes and edges stand in its part."""
        if number not in self._bounds:
            part, found = self.parts[number], []
            size = part.position.numel()
            for owner in (part.node_instance, part.edge_instance):
                found.append(torch.searchsorted(owner, torch.arange(size + 1)))
            self._bounds[number] = (found[0], found[1])
        nodes, edges = self._bounds[number]
        return slice(int(nodes[row]), int(nodes[row + 1])), slice(
            int(edges[row]), int(edges[row + 1])
        )

    def local(self, position: int) -> LocalExplanation:
        """One instance on its own receptive field."""
        number, row = self._where[position]
        part = self.parts[number]
        nodes, edges = self._rows(number, row)
        node, edge = part.node[nodes], part.edge[edges]
        node_type, node_id = self._typed(node, is_node=True)
        edge_type, edge_id = self._typed(edge, is_node=False)
        graph_number = int(part.graph[row])
        seeds = part.seed[row]
        truth = true_nodes = None
        if self.graph is not None:
            device = self.graph.device
            truth = edge_truth(self.graph, self.level, seeds.to(device), edge.to(device))
            true_nodes = node_truth(self.graph, self.level, node.to(device))
        contrast = int(part.contrast[row])
        target = int(part.target[row])
        feature = None if part.feature_score is None else part.feature_score[nodes]
        order = torch.argsort(node)
        locate = torch.searchsorted(
            node[order], torch.stack([part.source[edges], part.destination[edges]])
        )
        return LocalExplanation(
            index=int(part.index[row]),
            graph=graph_number,
            target=target if contrast < 0 else (target, contrast),
            prediction=part.prediction[row],
            label=None if int(part.label[row]) < 0 else int(part.label[row]),
            seeds=self._within_graph(
                seeds, graph_number, is_node=True, typed=self._typed(seeds, is_node=True)[1]
            ),
            node_id=self._within_graph(node, graph_number, is_node=True, typed=node_id),
            node_type=node_type,
            edge_id=self._within_graph(edge, graph_number, is_node=False, typed=edge_id),
            edge_type=edge_type,
            edge_index=order[locate] if node.numel() else locate,
            edge_score=None if part.edge_score is None else part.edge_score[edges],
            layer_edge_score=(
                None if part.layer_edge_score is None else part.layer_edge_score[:, edges]
            ),
            node_score=None if part.node_score is None else part.node_score[nodes],
            feature_score=feature,
            edge_truth=None if truth is None else truth.cpu(),
            node_truth=None if true_nodes is None else true_nodes.cpu(),
            total=None if part.total is None else float(part.total[row]),
            **self._walks(part, row, node[order], order),
            tables={
                name: self._table(table, row, node[order], order)
                for name, table in part.tables.items()
            },
        )

    @staticmethod
    def _table(table: Table, row: int, node: Tensor, order: Tensor) -> dict[str, Tensor]:
        """Columns of an instance's table, nodes as positions (``node`` ascending)."""
        first, last = torch.searchsorted(table.instance, torch.tensor([row, row + 1])).tolist()
        found = {}
        for name, flat in table.nodes.items():
            own = flat[first:last]
            place = torch.searchsorted(node, own).clamp_max(max(0, node.numel() - 1))
            found[name] = torch.where(own < 0, -1, order[place]) if node.numel() else own
        return found | {name: value[first:last] for name, value in table.values.items()}

    @staticmethod
    def _walks(part: Part, row: int, node: Tensor, order: Tensor) -> dict[str, Tensor]:
        """Walks of an instance, as positions among its nodes (``node`` ascending)."""
        if part.walk is None or part.walk_instance is None or part.walk_score is None:
            return {}
        first, last = torch.searchsorted(part.walk_instance, torch.tensor([row, row + 1])).tolist()
        walks = torch.searchsorted(node, part.walk[first:last].contiguous())
        walks = order[walks] if node.numel() else walks
        return {"walks": walks, "walk_scores": part.walk_score[first:last]}

    def _typed(self, flat: Tensor, *, is_node: bool) -> tuple[list[str] | None, Tensor]:
        names: Sequence[Any] = self.node_types if is_node else self.edge_types
        if list(names) == [None]:
            return None, flat
        offset = torch.tensor(self._offsets(is_node=is_node))
        kind = torch.searchsorted(offset[1:], flat, right=True)
        words = [name if is_node else "__".join(name) for name in names]
        return [words[i] for i in kind.tolist()], flat - offset[kind]

    def _offsets(self, *, is_node: bool) -> list[int]:
        if self.graph is not None:
            return self.graph.node_offset if is_node else self.graph.edge_offset
        stored: list[int] = self.provenance["graph"]["node_offset" if is_node else "edge_offset"]
        return stored

    def _within_graph(
        self, flat: Tensor, graph: int, *, is_node: bool, typed: Tensor | None = None
    ) -> Tensor:
        """Ids within the user's single graph, where a list of graphs was given."""
        if typed is not None and list(self.node_types) != [None]:
            return typed
        starts = self.provenance.get("graph", {}).get("node_start" if is_node else "edge_start")
        return flat - int(starts[graph]) if starts else flat

    # Dense masks

    def _dense(self, position: int) -> Any:
        local = self.local(position)
        if self.graph is None:
            raise ExplanationFileError(
                "the saved folder holds no graph (it was too large to store); pass it to load: "
                "Explanations.load(folder, data=data)"
            )
        data = self.graph.single(local.graph)
        if self.graph.is_heterogeneous:
            return self._dense_heterogeneous(data, local)
        explanation: Any = Explanation.from_dict(data.to_dict())
        num_nodes, num_edges = int(data.num_nodes), int(data.edge_index.size(1))
        explanation.num_nodes = num_nodes
        device = self.graph.device
        set_node_masks(explanation, local, num_nodes, slice(None), device)
        set_edge_masks(explanation, local, num_edges, slice(None), device)
        self._describe(explanation, local, num_nodes, device)
        return explanation

    def _dense_heterogeneous(self, data: Any, local: LocalExplanation) -> Any:
        explanation: Any = HeteroExplanation.from_dict(data.to_dict())
        device = self.graph.device if self.graph is not None else torch.device("cpu")
        nodes, edges = local.node_type or [], local.edge_type or []
        for name in data.node_types:
            rows = torch.tensor([i for i, kind in enumerate(nodes) if kind == name]).long()
            store = explanation[name]
            set_node_masks(store, local, int(data[name].num_nodes), rows, device)
        for name in data.edge_types:
            word = "__".join(name)
            rows = torch.tensor([i for i, kind in enumerate(edges) if kind == word]).long()
            store = explanation[name]
            set_edge_masks(store, local, int(data[name].edge_index.size(1)), rows, device)
        explanation.local = local
        explanation.index = local.index
        return explanation

    def _describe(
        self, explanation: Any, local: LocalExplanation, num_nodes: int, device: torch.device
    ) -> None:
        """Add what PyG's metrics read: index, target, prediction, names of model arguments."""
        classes = local.target if isinstance(local.target, int) else local.target[0]
        explanation.local = local
        if self.level == "node":
            # PyG keeps a target for every node; only the explained one is meaningful here.
            target = torch.full((num_nodes,), -1, dtype=torch.long, device=device)
            node = int(local.seeds[0])  # within its graph, where several were given
            target[node] = classes
            explanation.index = node
        else:
            target = torch.tensor([classes], device=device)
        explanation.target = target
        names = self.provenance.get("model_arguments", [])
        explanation._model_args = [
            name for name in names if name not in ("x", "edge_index") and name in explanation
        ]

    # Views and files

    def to_frame(self) -> pd.DataFrame:
        """One row per explained edge: instance, ids, score, one column per layer."""
        import pandas as pd

        frames = []
        for position in range(len(self)):
            local = self.local(position)
            frame = pd.DataFrame(
                {
                    "position": position,
                    "index": local.index,
                    "graph": local.graph,
                    "edge_id": local.edge_id.numpy(),
                    "source": local.node_id[local.edge_index[0]].numpy(),
                    "destination": local.node_id[local.edge_index[1]].numpy(),
                }
            )
            if local.edge_type is not None:
                frame["edge_type"] = local.edge_type
            if local.edge_score is not None:
                frame["score"] = local.edge_score.numpy()
            if local.layer_edge_score is not None:
                for layer, score in enumerate(local.layer_edge_score):
                    frame[f"layer_{layer}"] = score.numpy()
            if local.edge_truth is not None:
                frame["truth"] = local.edge_truth.numpy()
            frames.append(frame)
        columns = ["position", "index", "graph", "edge_id", "source", "destination"]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)

    def table(self, name: str) -> pd.DataFrame:
        """One row per row of a method's table: instance, and its columns; nodes by the user's ids.

        Args:
            name: a key of ``local(0).tables``.

        Raises:
            KeyError: if the method made no such table.
        """
        import pandas as pd

        tables = sorted({key for part in self.parts for key in part.tables})
        if name not in tables:
            raise KeyError(f"{self.method} made no table {name!r}; it made {tables or 'none'}")
        names = {
            key for part in self.parts if name in part.tables for key in part.tables[name].nodes
        }
        frames = []
        for position in range(len(self)):
            local = self.local(position)
            frame = pd.DataFrame({"position": position, "index": local.index}, index=[0])
            columns = {}
            for key, value in local.tables.get(name, {}).items():
                if key in names:
                    ids = local.node_id[value.clamp_min(0)] if local.node_id.numel() else value
                    value = torch.where(value < 0, -1, ids)
                columns[key] = value.numpy() if value.dim() == 1 else list(value.numpy())
            frames.append(frame.merge(pd.DataFrame(columns), how="cross"))
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def walks_frame(self) -> pd.DataFrame:
        """One row per walk: instance, rank from 0, the nodes at its positions, score."""
        import pandas as pd

        frames = []
        for position in range(len(self)):
            local = self.local(position)
            if local.walks is None or local.walk_scores is None:
                continue
            frame = pd.DataFrame(
                {
                    "position": position,
                    "index": local.index,
                    "graph": local.graph,
                    "rank": range(local.walks.size(0)),
                }
            )
            for step, place in enumerate(local.walks.unbind(1)):
                frame[f"node_{step}"] = local.node_id[place].numpy()
                if local.node_type is not None:
                    frame[f"type_{step}"] = [local.node_type[at] for at in place.tolist()]
            frame["score"] = local.walk_scores.numpy()
            frames.append(frame)
        columns = ["position", "index", "graph", "rank", "score"]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)

    def save(self, folder: str | Path, *, include_graph: bool = True) -> Path:
        """Write Parquet tables and a JSON header into a folder.

        Args:
            folder: where to; created if needed, an earlier set of explanations is replaced.
            include_graph: store the graph too, so that `load` needs no data.

        Raises:
            OutputError: if the folder cannot be written.
        """
        from glassgraph.results.store import save

        return save(self, Path(folder), include_graph=include_graph)

    @staticmethod
    def load(folder: str | Path, data: Any = None) -> Explanations:
        """Read what `save` wrote.

        Args:
            folder: the folder.
            data: the user's graph(s), if they were not stored.

        Raises:
            ExplanationFileError: if the folder is damaged, foreign, or of other data.
        """
        from glassgraph.results.store import load

        return load(Path(folder), data)

    def plot(self, position: int = 0, ax: Axes | None = None, top_k: int | None = None) -> Axes:
        """Draw one of the explanations; returns the matplotlib axes."""
        return plot_explanation(self.local(position), ax, top_k)

    def to_html(self, path: str | Path, metrics: Sequence[Mapping[str, object]] = ()) -> Path:
        """Write a self-contained interactive report.

        Raises:
            OutputError: if the file cannot be written.
        """
        title = f"{self.method}: {len(self)} {self.level} predictions"
        return write_report(Path(path), [self], metrics, title)

    def _repr_html_(self) -> str:
        """A short table for notebooks."""
        rows = []
        for position in range(min(len(self), 10)):
            local = self.local(position)
            best = ""
            if local.edge_score is not None and local.edge_score.numel():
                top = local.edge_score.abs().topk(min(3, local.edge_score.numel())).indices
                ends = local.node_id[local.edge_index[:, top]].t().tolist()
                values = local.edge_score[top].tolist()
                best = ", ".join(
                    f"{source}→{destination} ({value:.3g})"
                    for (source, destination), value in zip(ends, values, strict=True)
                )
            rows.append(
                f"<tr><td>{local.index}</td><td>{html.escape(str(local.target))}</td>"
                f"<td>{html.escape(best)}</td></tr>"
            )
        more = "" if len(self) <= 10 else f"<p>… and {len(self) - 10} more</p>"
        return (
            f"<p><b>{html.escape(repr(self))}</b></p><table><tr><th>{self.level}</th>"
            f"<th>target</th><th>top edges</th></tr>{''.join(rows)}</table>{more}"
        )
