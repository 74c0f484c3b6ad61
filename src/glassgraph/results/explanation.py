"""Explanations: what a method found, in terms of the user's own graph.

Scores are kept in columns, only for the edges and nodes of each receptive field; the dense masks of
PyG's ``Explanation`` are made when asked for. `Explanations` is a sequence: ``explanations[0]`` is
a ``torch_geometric.explain.Explanation`` on which PyG's own tools work.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor

from glassgraph.inputs.graph import TypedGraph
from glassgraph.results.aggregates.aggregate import Bootstrap, aggregate_messages
from glassgraph.results.aggregates.edge_scores import Ranking
from glassgraph.results.aggregates.feature_scores import Per
from glassgraph.results.aggregates.importance import features_frame, importance_table
from glassgraph.results.aggregates.kept_paths import inverse_table, paths_table
from glassgraph.results.aggregates.messages import Messages
from glassgraph.results.aggregates.node_sets import NodeSet
from glassgraph.results.contents import Contents
from glassgraph.results.dense import Explanation, HeteroExplanation
from glassgraph.results.drawing import plot_explanation, svg_picture, write_report
from glassgraph.results.frames import as_polars, edge_frame, table_frame, walk_frame
from glassgraph.results.given_names import GivenNames, given_names
from glassgraph.results.masks import dense_explanation
from glassgraph.results.names import Names
from glassgraph.results.notebook import NUM_ROWS, html_table
from glassgraph.results.reading import InstanceReader
from glassgraph.results.records import Attribution, LocalExplanation, Part, Table
from glassgraph.results.saved.blocks import read_job
from glassgraph.results.saved.explained_data import ExplainedData
from glassgraph.results.saved.store import read, write
from glassgraph.results.tracking import log_numbers, numbers_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from glassgraph.results.scan import Scan


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
    """What did each edge, node and feature do for each of many predictions?

    A sequence: ``explanations[i]`` is an `Explanation` with dense masks in the user's order, a
    slice is a set again, and ``len`` is the number of predictions. Scores are kept in columns, only
    for the receptive fields; their units and signs are those of the method.

    `local` reads one instance on its receptive field, `to_frame`, `walks_frame` and `table` give
    data frames, `plot` and `to_html` draw, `save` and `load` keep a set in a folder (Parquet, JSON,
    safetensors).

    Attributes:
        method: registry name of the method.
        level: level of the task.
        num_layers: number L of message-passing steps.
        provenance: method, hyper-parameters, seed, versions, model fingerprint (JSON-able).
        parts: the columns.
        is_complete: whether every instance asked for is there.
        graph: the user's graph(s), which dense masks are about; None if a folder holds none.
        node_types: names of the node types; ``[None]`` for homogeneous graphs.
        edge_types: of the edge types; ``[None]`` for homogeneous graphs.

    Raises:
        IndexError: for a position out of range.
        ExplanationFileError: if dense masks are asked for and the graph was not stored.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SGConv
        >>> data = Data(x=torch.eye(3), edge_index=torch.tensor([[0, 1], [1, 2]]))
        >>> model = SGConv(3, 2, K=2, bias=False)
        >>> explanations = gg.Saliency(model, progress=False).explain(data, index=[1, 2])
        >>> explanations
        Explanations('saliency', 2 node predictions)
        >>> explanations[1].edge_mask.shape, explanations[:1].local(0).index
        (torch.Size([2]), 1)
        >>> explanations.to_frame()[["index", "source", "destination"]].values.tolist()
        [[1, 0, 1], [2, 0, 1], [2, 1, 2]]
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
    _names: Names | None = field(default=None, repr=False)

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
        part = copy.copy(self)
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

    def local(self, position: int) -> LocalExplanation:
        """One instance on its own receptive field."""
        contents = self._all_contents()
        if self._names is None:
            self._names = Names.read(contents)
        return InstanceReader(contents, self._bounds, self._names).read(*self._where[position])

    def named(
        self,
        *,
        node_names: Any = None,
        edge_names: Any = None,
        feature_names: Any = None,
        class_names: Any = None,
        graph_names: Any = None,
    ) -> Explanations:
        """The same explanations with names, for tables, plots, reports and files.

        What is not named here has the name that the data hold, if any: the first of
        ``node_names``, ``words``, ``tokens`` and ``text``, of ``edge_names`` and ``relations``, of
        ``graph_names``, ``graph_name``, ``name`` and ``smiles``, ``feature_names``, and
        ``class_names``, that is a list with a word for each (or of a graph a word).

        Args:
            node_names: a word for each node of the data: a list, an array or a column; of several
                graphs a list of such lists, of node types a dictionary; or a dictionary from
                numbers of nodes to words, for some of them.
            edge_names: a word for each edge, likewise; or a dictionary from the values of
                ``data.edge_type``, or from edge types, to words.
            feature_names: a word for each feature; of node types a dictionary. Of features with
                steps ``[N, F, T]`` also one for each step, ``F * T`` of them.
            class_names: a word for each class, or each output.
            graph_names: a word for each graph.

        Raises:
            GraphError: if there is not one word for each.
            ExplanationFileError: if nodes, edges or features are named and the data were not
                stored.

        Example:
            >>> import torch
            >>> import glassgraph as gg
            >>> from torch_geometric.data import Data
            >>> from torch_geometric.nn import GCN
            >>> data = Data(x=torch.rand(2, 4), edge_index=torch.tensor([[0], [1]]))
            >>> found = gg.explain(GCN(4, 8, 1, 2), data, "saliency", task="node", progress=False)
            >>> found.named(node_names=["cats", "sleep"]).local(1).node_names
            ['cats', 'sleep']
        """
        given: GivenNames = {
            "node_names": node_names,
            "edge_names": edge_names,
            "feature_names": feature_names,
            "class_names": class_names,
            "graph_names": graph_names,
        }
        names = self.provenance.get("names", {}) | given_names(self._all_contents(), given)
        found = copy.copy(self)
        found.provenance = self.provenance | ({"names": names} if names else {})
        found._names = None
        return found

    def _locals(self) -> Iterator[LocalExplanation]:
        return (self.local(position) for position in range(len(self)))

    def _dense(self, position: int) -> Any:
        return dense_explanation(self._all_contents(), self.local(position))

    def _all_contents(self) -> Contents:
        """The columns that these are part of, and what they are about."""
        return Contents(
            method=self.method,
            level=self.level,
            num_layers=self.num_layers,
            provenance=self.provenance,
            parts=self.parts,
            is_complete=self.is_complete,
            graph=self.graph,
            node_types=self.node_types,
            edge_types=self.edge_types,
        )

    def contents(self) -> Contents:
        """What `save` writes: the columns of these instances alone, and what they are about."""
        return replace(self._all_contents(), parts=self.own_parts())

    def flat_nodes(self) -> list[Tensor]:
        """The flat nodes of each explanation, as they stand in its `LocalExplanation`."""
        found: dict[int, Tensor] = {}
        for part in self.own_parts():
            size = torch.bincount(part.node_instance, minlength=part.position.numel())
            pieces = part.node.split(size.tolist())
            found |= dict(zip(part.position.tolist(), pieces, strict=True))
        return [found[position] for position in sorted(found)]

    def remarks(self) -> dict[int, str]:
        """By position, why scores tell nothing apart, of the explanations where they do not."""
        found = {}
        for position, (number, row) in enumerate(self._where):
            said = self.parts[number].remark
            if said and said[row]:
                found[position] = said[row]
        return found

    # Views and files

    def to_frame(self) -> pd.DataFrame:
        """One row per explained edge: instance, ids, score, one column per layer."""
        return edge_frame(self._locals())

    def to_polars(self) -> Any:
        """The same as `to_frame`, as a data frame of polars.

        Raises:
            MissingExtraError: if polars is not installed.
        """
        return as_polars(self.to_frame())

    def log_to(
        self,
        tracker: str,
        metrics: Sequence[Mapping[str, object]] = (),
        *,
        step: int = 0,
        writer: Any = None,
    ) -> None:
        """Log metrics as numbers, and the scores of edges as a table, to an experiment tracker.

        Args:
            tracker: ``"wandb"`` or ``"mlflow"`` (their active run), or ``"tensorboard"``.
            metrics: rows of `glassgraph.metrics.evaluate`; those of other methods are left out.
            step: which step the numbers belong to.
            writer: TensorBoard's ``SummaryWriter``; by default a new one in ``./runs``.

        Raises:
            HyperParameterError: for an unknown tracker.
            MissingExtraError: if its package is not installed.
            OutputError: if wandb has no active run.
        """
        numbers = {f"{self.method}/explanations": float(len(self))}
        numbers |= numbers_of(metrics, self.method)
        log_numbers(tracker, numbers, self.to_frame(), step=step, name=self.method, writer=writer)

    def table(self, name: str) -> pd.DataFrame:
        """One row per row of a method's table: instance, and its columns; nodes by the user's ids.

        Args:
            name: a key of ``local(0).tables``.

        Raises:
            KeyError: if the method made no such table.
        """
        tables = sorted({key for part in self.parts for key in part.tables})
        if name not in tables:
            raise KeyError(f"{self.method} made no table {name!r}; it made {tables or 'none'}")
        of_parts = [part.tables[name] for part in self.parts if name in part.tables]
        return table_frame(self._locals(), name, {key for table in of_parts for key in table.nodes})

    def aggregate(
        self,
        by: str | Sequence[str],
        *,
        columns: Mapping[str, Any] | None = None,
        threshold: float | None = None,
        top_share: float | None = None,
        ranking: Ranking = "signed",
        confidence: float = 0.95,
        samples: int = 1000,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Which messages are kept, and how they score, by layer, relation, class, ...

        A message is an edge at a layer, or an edge where the method scores edges once; those that
        cannot reach their prediction do not count.

        Args:
            by: one or several of ``"layer"``; ``"edge_type"``, ``"source_type"``,
                ``"destination_type"``; ``"target"``, ``"label"``, ``"predicted"``, ``"correct"``,
                ``"graph"``, ``"index"``, ``"position"``; ``"truth"``; any attribute of the data's
                edges (numbers or words); any of its nodes after ``source_`` or ``destination_``;
                keys of ``columns``. An empty list gives one row.
            columns: columns of your own by name: a value for each edge of the data (a tensor, an
                array, a list; of several graphs a list of these, of edge types a dictionary), or a
                function of a `LocalExplanation` that returns ``[e]``.
            threshold: messages with a greater score are kept; by default the method's own.
            top_share: or: this share of each prediction's messages is kept, the best ones.
            ranking: ``"signed"`` or ``"absolute"`` scores.
            confidence: of the intervals.
            samples: draws of instances that they come from.
            seed: of the draws.

        Returns:
            One row for each group that has messages: the columns of ``by``; ``count`` of messages;
            ``kept``, the share of them that is kept; ``share_of_kept``, the group's share of
            everything kept; ``mean_score``; each of the three with the ends of its interval,
            ``_low`` and ``_high``; ``instances``, the number of predictions that have such
            messages. NaN where something does not exist: what is kept where neither method nor
            arguments say, the interval of a group within one instance.

        Raises:
            HyperParameterError: for an unknown column, or arguments out of range.
            GraphError: if a column has not one value for each edge.
            ExplanationFileError: if a column is read from data that were not stored.
            UnknownMetricError: if there are no scores, or some are not finite.

        Example:
            >>> import torch
            >>> import glassgraph as gg
            >>> from torch_geometric.data import Data
            >>> from torch_geometric.nn import GCN
            >>> edges = torch.tensor([[0, 1, 2], [1, 2, 0]])
            >>> data = Data(x=torch.rand(3, 4), edge_index=edges, relation=["has", "is", "has"])
            >>> found = gg.explain(GCN(4, 8, 2, 2), data, "saliency", task="node", progress=False)
            >>> table = found.aggregate("relation", top_share=0.5)
            >>> table[["relation", "count", "instances"]].values.tolist()
            [['has', 4, 3], ['is', 2, 2]]
        """
        return aggregate_messages(
            self,
            by,
            columns or {},
            threshold=threshold,
            top_share=top_share,
            ranking=ranking,
            bootstrap=Bootstrap(confidence, samples, seed),
        )

    def kept_on_paths(
        self,
        source: NodeSet = None,
        target: NodeSet = None,
        *,
        length: int | None = None,
        layer: int | None = None,
        directed: bool = True,
        threshold: float | None = None,
        top_share: float | None = None,
        ranking: Ranking = "signed",
        confidence: float = 0.95,
        samples: int = 1000,
        seed: int = 0,
    ) -> pd.DataFrame:
        """How many of the edges on paths from some nodes to others are kept?

        Args:
            source: where paths begin: ids of nodes (the same in every graph, or a list for each
                instance; by node type a dictionary), a mask over the nodes of the data, the name of
                an attribute that is one or that numbers nodes, or a function of a
                `LocalExplanation` that returns ids or a mask ``[n]``. Any node if None.
            target: where they end; if None at explained nodes, for graph tasks anywhere.
            length: all paths of that many edges, no node twice; by default all shortest paths.
            layer: edges count as kept at that layer alone; at any by default.
            directed: False lets paths take edges both ways; a step is kept if either edge is.
            threshold: messages with a greater score are kept; by default the method's own.
            top_share: or: this share of each prediction's messages is kept, the best ones.
            ranking: ``"signed"`` or ``"absolute"`` scores.
            confidence: of the intervals.
            samples: draws of instances that they come from.
            seed: of the draws.

        Returns:
            One row for each ``length`` of paths and number ``kept`` of kept edges on them, up to
            all: ``count`` of such paths, ``paths`` of that length in all, their ``share`` with
            ``share_low`` and ``share_high``, and ``instances`` that have paths of that length.
            ``attrs["unconnected"]`` is the number of pairs of nodes that no path joins.

        Raises:
            HyperParameterError: if nothing says what is kept, or an argument is out of range.
            InstanceError: if a set names no node of any explanation.

        Example:
            >>> import torch
            >>> import glassgraph as gg
            >>> from torch_geometric.data import Data
            >>> from torch_geometric.nn import GCN
            >>> data = Data(x=torch.rand(3, 4), edge_index=torch.tensor([[0, 1], [1, 2]]))
            >>> model = GCN(4, 8, 2, 2)
            >>> found = gg.explain(model, data, "random", task="node", index=[2], progress=False)
            >>> table = found.kept_on_paths(source=0, top_share=1.0)
            >>> table[["length", "kept", "count", "paths"]].values.tolist()
            [[2, 0, 0, 1], [2, 1, 0, 1], [2, 2, 1, 1]]
        """
        bootstrap = Bootstrap(confidence, samples, seed)
        messages = Messages.read(self, threshold, top_share, ranking, needs_decisions=True)
        return paths_table(
            self,
            messages,
            source,
            target,
            length=length,
            layer=layer,
            directed=directed,
            bootstrap=bootstrap,
        )

    def inverse_pairs(
        self,
        *,
        threshold: float | None = None,
        top_share: float | None = None,
        ranking: Ranking = "signed",
        confidence: float = 0.95,
        samples: int = 1000,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Is the inverse (v, u) of a kept edge (u, v) kept as well?

        Args:
            threshold: messages with a greater score are kept; by default the method's own.
            top_share: or: this share of each prediction's messages is kept, the best ones.
            ranking: ``"signed"`` or ``"absolute"`` scores.
            confidence: of the intervals.
            samples: draws of instances that they come from.
            seed: of the draws.

        Returns:
            One row for each ``layer`` (one without it where a method has no layers): ``count`` of
            kept edges but self-loops; ``has_inverse``, the share of them with an inverse that can
            reach the prediction; ``inverse_kept``, the share whose inverse is kept, with
            ``inverse_kept_low`` and ``inverse_kept_high``; ``instances`` with such edges.

        Raises:
            HyperParameterError: if nothing says what is kept, or an argument is out of range.
        """
        bootstrap = Bootstrap(confidence, samples, seed)
        messages = Messages.read(self, threshold, top_share, ranking, needs_decisions=True)
        return inverse_table(messages, bootstrap)

    def importance(
        self,
        by: str | Sequence[str] = "feature",
        *,
        per: Per = "node",
        ranking: Ranking = "absolute",
        confidence: float = 0.95,
        samples: int = 1000,
        seed: int = 0,
    ) -> pd.DataFrame:
        """How large are scores: of features, types, layers, classes, right and wrong predictions?

        What `glassgraph.plot_importance` draws. Scores are those of features for ``"feature"``; of
        nodes for ``"node_type"`` and attributes of nodes; else of messages, as in `aggregate`.

        Args:
            by: one or several columns: ``"feature"``; ``"node_type"`` or any attribute of the
                data's nodes; ``"layer"``, ``"edge_type"`` and what else `aggregate` takes; beside
                each of them ``"target"``, ``"label"``, ``"predicted"``, ``"correct"``, ``"index"``.
            per: of what features are averaged: ``"node"``, over the nodes of all explanations, or
                ``"prediction"``, where the scores of an explanation's nodes are summed first.
            ranking: ``"absolute"`` means magnitudes, ``"signed"`` scores with their signs.
            confidence: of the intervals.
            samples: draws of instances that they come from.
            seed: of the draws.

        Returns:
            One row for each group: the columns of ``by``; ``count`` of scores; ``mean_score`` with
            ``mean_score_low`` and ``mean_score_high`` (NaN for a group within one instance);
            ``instances`` that have such scores.

        Raises:
            HyperParameterError: for an unknown column, a model of one layer, or arguments out of
                range.
            UnknownMetricError: if there are no such scores, or some are not finite.
            ExplanationFileError: if a column is read from data that were not stored.

        Example:
            >>> import torch
            >>> import glassgraph as gg
            >>> from torch_geometric.data import Data
            >>> from torch_geometric.nn import GCN
            >>> data = Data(x=torch.rand(3, 4), edge_index=torch.tensor([[0, 1], [1, 2]]))
            >>> found = gg.explain(GCN(4, 8, 2, 2), data, "saliency", task="node", progress=False)
            >>> found.importance()["feature"].tolist()
            ['feature 0', 'feature 1', 'feature 2', 'feature 3']
        """
        bootstrap = Bootstrap(confidence, samples, seed)
        return importance_table(self, by, per=per, ranking=ranking, bootstrap=bootstrap)

    def features_frame(self, *, per: Per = "node", max_features: int | None = None) -> pd.DataFrame:
        """One row per feature of each node: instance, node, feature, its value and its score.

        Args:
            per: ``"prediction"``: one row per feature of each explanation, with the sum of its
                nodes' scores and the mean of their values.
            max_features: only the most important ones, by the mean magnitude of their scores.

        Raises:
            HyperParameterError: for arguments out of range.
            UnknownMetricError: if there are no feature scores, or some are not finite.
            ExplanationFileError: if the data were not stored.
        """
        return features_frame(self, per, max_features)

    def walks_frame(self) -> pd.DataFrame:
        """One row per walk: instance, rank from 0, the nodes at its positions, score."""
        return walk_frame(self._locals())

    def save(
        self, folder: str | Path, *, include_graph: bool = True, overwrite: bool = True
    ) -> Path:
        """Write Parquet tables and a JSON header into a folder.

        Args:
            folder: where to; created if needed, an earlier set of explanations is replaced once
                this one is whole.
            include_graph: store the graph too, so that `load` needs no data.
            overwrite: False refuses to replace an earlier set.

        Raises:
            OutputError: if the folder cannot be written, another process writes into it, or it
                holds what may not be replaced (`ExistingResultError`).
        """
        return write(
            self.contents(), Path(folder), include_graph=include_graph, overwrite=overwrite
        )

    @staticmethod
    def load(folder: str | Path, data: Any = None) -> Explanations:
        """Read what `save` wrote.

        Args:
            folder: the folder.
            data: the user's graph(s), if they were not stored.

        Raises:
            DamagedFileError: if the folder is damaged.
            ExplanationFileError: if it is foreign, or of other data.
            GraphError: if ``data`` is malformed.
        """
        return Explanations._of(read(Path(folder), data))

    @staticmethod
    def scan(folder: str | Path, data: Any = None) -> Scan[Explanations]:
        """Open what `glassgraph.explain_all` wrote, without loading it.

        Args:
            folder: the job's folder; the job may still be running.
            data: the explained graph(s), if they are not where the job found them.

        Returns:
            What is there: `Scan.find` reads one explanation, `Scan.sample` and `Scan.explanations`
            some as `Explanations`, `Scan.top_edges` and `Scan.by_edge_type` look through all.

        Raises:
            ExplanationFileError: if the folder holds no job.
            DamagedFileError: if it is damaged.
        """
        from glassgraph.results.scan import Scan

        folder = Path(folder)
        source = ExplainedData.read(read_job(folder).get("source"), folder)
        if data is not None:
            return Scan(folder, Explanations._of, lambda: data)
        is_there = source.where(folder).exists()
        return Scan(folder, Explanations._of, (lambda: source.open(folder)) if is_there else None)

    @staticmethod
    def _of(found: Contents) -> Explanations:
        return Explanations(
            method=found.method,
            level=found.level,
            num_layers=found.num_layers,
            provenance=found.provenance,
            parts=list(found.parts),
            is_complete=found.is_complete,
            graph=found.graph,
            node_types=list(found.node_types),
            edge_types=list(found.edge_types),
        )

    def plot(
        self,
        position: int = 0,
        ax: Axes | None = None,
        top_k: int | None = None,
        layout: str = "auto",
        *,
        figsize: tuple[float, float] | None = None,
        colorbar: bool = True,
        legend: bool = True,
    ) -> Axes:
        """Draw one of the explanations; returns the matplotlib axes.

        `glassgraph.plot_grid` draws several side by side, `glassgraph.save_figure` keeps a figure.

        Args:
            position: which.
            ax: where to draw; a new figure by default.
            top_k: color only the k strongest edges; all by default.
            layout: ``"organic"``; ``"molecule"``: letters, orders of bonds, hydrogens folded;
                ``"sentence"``: named nodes in a row, edges as arcs over it, a row for each layer,
                or a tree over its words where the nodes are phrases that consist of each other.
                Words with a score are highlighted. ``"auto"`` is a molecule where nodes are named
                by elements and edges by kinds of bonds, see `glassgraph.datasets.name_atoms`, and
                a sentence where nodes are a tree of phrases, as those of the data set ``sst``.
            figsize: width and height of a new figure in inches.
            colorbar: draw the scale of the scores beside the graph.
            legend: say below the graph what else is drawn: node types, ground truth, ...

        Raises:
            ReportError: if the layout is unknown, or nodes have no names that it needs; for a size
                that is none, or one beside ``ax``.
        """
        more: dict[str, Any] = {"figsize": figsize, "colorbar": colorbar, "legend": legend}
        more |= {"top_k": top_k, "layout": layout, "run": self}
        return plot_explanation(self.local(position), ax=ax, **more)

    def to_html(
        self,
        path: str | Path,
        metrics: Sequence[Mapping[str, object]] = (),
        *,
        aggregates: Mapping[str, pd.DataFrame] | Sequence[pd.DataFrame] = (),
        layout: str = "auto",
    ) -> Path:
        """Write a self-contained interactive report.

        Args:
            path: the file.
            metrics: rows of a table.
            aggregates: tables shown with bars, by title: of `aggregate`, `kept_on_paths`,
                `inverse_pairs`.
            layout: how graphs are drawn at first: ``"organic"``, ``"rings"`` around what is
                explained, or ``"sentence"``, named nodes in a row with arcs, or below their phrases
                where they are a tree of phrases; ``"auto"`` is organic unless all are such trees.

        Raises:
            OutputError: if the file cannot be written.
            ReportError: if the layout is unknown, or nodes have no names that it needs.
        """
        title = f"{self.method}: {len(self)} {self.level} predictions"
        more = {"aggregates": aggregates, "layout": layout}
        return write_report(Path(path), [self], metrics, title, **more)

    def _repr_html_(self) -> str:
        """For notebooks: a short table, and a picture where there is one explanation."""
        shown = [self.local(position) for position in range(min(len(self), NUM_ROWS))]
        table = html_table(repr(self), self.level, shown, len(self))
        return table + svg_picture(shown[0]) if len(self) == 1 else table
