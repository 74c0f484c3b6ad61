"""Scores as columns: of a batch, of a part of a result, of one instance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Protocol

import torch
from torch import Tensor

from glassgraph.brief import brief_repr
from glassgraph.results.drawing import svg_picture

#: Of instances with several rows of output: node, row, target, contrast, label, prediction.
ROWS = "rows"
#: Of methods that find paths between two nodes, a row for each step: nodes ``source`` and
#: ``destination``, ``path`` (from 0, the best first), ``step``, ``edge`` (position among the
#: instance's edges) and ``score`` of the path.
PATHS = "paths"


@dataclass(frozen=True)
class Table:
    """Whatever else a method found, as rows about instances.

    Attributes:
        instance: ``[r]`` which instance a row is about, ascending.
        nodes: columns ``[r]`` that name nodes: rows of a batch, then flat nodes, then positions in
            ``node_id``; -1 for none.
        values: the other columns, ``[r]`` or ``[r, ...]``.
    """

    instance: Tensor
    nodes: dict[str, Tensor]
    values: dict[str, Tensor]

    __repr__ = brief_repr

    def take(self, row: Tensor, instance: Tensor) -> Table:
        """Some of the rows, with new instances."""
        return Table(
            instance,
            {name: value[row] for name, value in self.nodes.items()},
            {name: value[row] for name, value in self.values.items()},
        )


@dataclass(frozen=True)
class Reason:
    """Why the scores of some instances tell nothing apart, or what else to know of them.

    Attributes:
        words: the reason, as it ends a sentence.
        holds: ``[B]`` of which instances it is true.
        is_told: whether nobody has to be warned of it: the method has, or it is a remark.
    """

    words: str
    holds: Tensor
    is_told: bool = False


@dataclass(frozen=True)
class Attribution:
    """What did a method find for a batch of predictions?

    What ``attribute`` returns: floating, finite tensors for the ``B`` instances, ``n`` nodes and
    ``e`` edges of its batch, in the batch's order. Units and signs are the method's own. Scores
    that the method's ``traits.scores`` promise have to be there; others have to be None.

    Attributes:
        edge: ``[e]`` score of each edge.
        layer_edge: ``[L, e]`` score of each edge at each layer.
        node: ``[n]`` score of each node.
        feature: for each node type ``[n_t, F_t]`` score of each feature of each node.
        total: ``[B]`` what the scores of an instance's nodes sum to if nothing is lost on the way,
            for methods that hand down a quantity.
        walk: ``[W, L + 1]`` nodes of walks, ascending by instance, the best first.
        walk_score: ``[W]`` score of each walk.
        tables: what else the method found, by name.
        reasons: why scores may tell nothing apart, such as "no sample changed the prediction"; the
            first that holds for an instance becomes its remark.

    Raises:
        AttributionError: not here, but when an explainer hands it over: for another shape, numbers
            that are not finite or not floating, and scores that were not promised.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> class Uniform(gg.Explainer):
        ...     name, traits = "uniform", gg.Traits(family="baseline", scores=("edge",))
        ...
        ...     def attribute(self, batch):
        ...         return gg.Attribution(edge=torch.ones(batch.num_edges))
        >>> data = Data(x=torch.rand(3, 4), edge_index=torch.tensor([[0, 1], [1, 2]]))
        >>> Uniform(GCN(4, 5, 2, 2), progress=False).explain(data, index=[1])[0].edge_mask
        tensor([1., 0.])
    """

    edge: Tensor | None = None
    layer_edge: Tensor | None = None
    node: Tensor | None = None
    feature: Sequence[Tensor | None] | None = None
    total: Tensor | None = None
    walk: Tensor | None = None
    walk_score: Tensor | None = None
    tables: dict[str, Table] = field(default_factory=dict)
    reasons: tuple[Reason, ...] = ()

    __repr__ = brief_repr


@dataclass(frozen=True)
class Part:
    """The columns of some instances, on the CPU.

    Attributes:
        position: ``[b]`` place of each instance in the whole, ascending.
        index: ``[b]`` the user's number of each instance.
        graph: ``[b]`` which of the user's graphs.
        target: ``[b]`` explained class; -1 where the rows of an instance have several.
        contrast: ``[b]`` class it is held against, -1 for none.
        label: ``[b]`` label, -1 for none.
        prediction: ``[b, C]`` probabilities, or values of a regression; ``[b, 0]`` where instances
            have several rows, whose predictions are in the table `ROWS`.
        seed: ``[b, S]`` flat nodes each instance is about.
        node_instance, node: ``[n]`` local instance and flat node.
        edge_instance, edge: ``[e]`` local instance and flat edge.
        source, destination: ``[e]`` flat nodes.
        edge_score, layer_edge_score, node_score, feature_score: ``[e]``, ``[L, e]``, ``[n]``,
            ``[n, F]`` (padded with NaN where node types have different widths), or None.
        total: ``[b]`` what the scores of nodes sum to if nothing is lost, or None.
        walk_instance, walk, walk_score: of walks the local instance ``[w]`` (ascending), the flat
            nodes ``[w, L + 1]`` and the score ``[w]``, or None.
        tables: what else the method found, by name.
        remark: of each instance why its scores tell nothing apart, "" where they do; none at all if
            all do.
    """

    position: Tensor
    index: Tensor
    graph: Tensor
    target: Tensor
    contrast: Tensor
    label: Tensor
    prediction: Tensor
    seed: Tensor
    node_instance: Tensor
    node: Tensor
    edge_instance: Tensor
    edge: Tensor
    source: Tensor
    destination: Tensor
    edge_score: Tensor | None = None
    layer_edge_score: Tensor | None = None
    node_score: Tensor | None = None
    feature_score: Tensor | None = None
    total: Tensor | None = None
    walk_instance: Tensor | None = None
    walk: Tensor | None = None
    walk_score: Tensor | None = None
    tables: dict[str, Table] = field(default_factory=dict)
    remark: tuple[str, ...] = ()

    __repr__ = brief_repr

    @property
    def num_bytes(self) -> int:
        """Memory that the columns take."""
        values = [getattr(self, column.name) for column in fields(self)]
        for table in self.tables.values():
            values += [table.instance, *table.nodes.values(), *table.values.values()]
        tensors = (value for value in values if isinstance(value, Tensor))
        return sum(value.numel() * value.element_size() for value in tensors)

    def take(self, row: Tensor, position: Tensor) -> Part:
        """Some of the instances, in the order given, at new positions."""
        node, node_instance = _members(self.node_instance, row)
        edge, edge_instance = _members(self.edge_instance, row)
        layers = self.layer_edge_score
        walk = walk_instance = None
        if self.walk_instance is not None:
            walk, walk_instance = _members(self.walk_instance, row)
        return Part(
            position=position,
            index=self.index[row],
            graph=self.graph[row],
            target=self.target[row],
            contrast=self.contrast[row],
            label=self.label[row],
            prediction=self.prediction[row],
            seed=self.seed[row],
            node_instance=node_instance,
            node=self.node[node],
            edge_instance=edge_instance,
            edge=self.edge[edge],
            source=self.source[edge],
            destination=self.destination[edge],
            edge_score=None if self.edge_score is None else self.edge_score[edge],
            layer_edge_score=None if layers is None else layers[:, edge],
            node_score=None if self.node_score is None else self.node_score[node],
            feature_score=None if self.feature_score is None else self.feature_score[node],
            total=None if self.total is None else self.total[row],
            walk_instance=walk_instance,
            walk=None if self.walk is None else self.walk[walk],
            walk_score=None if self.walk_score is None else self.walk_score[walk],
            tables={
                name: table.take(*_members(table.instance, row))
                for name, table in self.tables.items()
            },
            remark=tuple(self.remark[each] for each in row.tolist()) if self.remark else (),
        )


def _members(owner: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
    """Where the members of some rows stand in ``owner`` (ascending), and the new row of each."""
    start = torch.searchsorted(owner, row)
    count = torch.searchsorted(owner, row, right=True) - start
    new = torch.repeat_interleave(count)
    first = count.cumsum(0) - count
    return start[new] + torch.arange(new.numel()) - first[new], new


@dataclass(frozen=True)
class LocalExplanation:
    """What did each edge and node of its receptive field do for one prediction?

    For reading, drawing and measuring: ``n`` nodes and ``e`` edges that can reach the prediction,
    nothing else. Scores the method does not have are None; units and signs are those of the method.

    Attributes:
        index: the user's number of the instance: node, graph, or column of ``edge_label_index``.
        graph: which graph of the user's list.
        target: explained class, or the pair (a, b) "why a rather than b"; None where the rows of
            the instance have several, see `rows`.
        prediction: ``[C]`` probabilities, or values of a regression; of an instance with several
            rows ``[rows, C]``.
        label: the label, where the data have one.
        seeds: nodes the instance is about (ids within their types, where there are types).
        seed_type: names of their types, heterogeneous graphs only.
        node_id: ``[n]`` the user's node ids (within the type, on heterogeneous graphs).
        node_type: ``[n]`` names, heterogeneous graphs only.
        edge_id: ``[e]`` the user's edge ids (within the type, on heterogeneous graphs).
        edge_type: ``[e]`` names, heterogeneous graphs only.
        edge_index: ``[2, e]`` positions into ``node_id``.
        edge_score: ``[e]``.
        layer_edge_score: ``[L, e]``.
        node_score: ``[n]``.
        feature_score: ``[n, F]``; of features ``[N, F, T]`` with several steps, ``[n, F * T]``.
        edge_truth: ``[e]`` ground truth.
        node_truth: ``[n, K]`` ground truth about nodes, one column for each alternative.
        total: what the node scores sum to if nothing is lost, for methods that hand down a quantity
            (LRP: the logit).
        walks: ``[W, L + 1]`` positions into ``node_id``, the best walk first; a node that repeats
            is one where information stays.
        walk_scores: ``[W]``.
        tables: what else the method found: columns by name, with nodes as positions in ``node_id``.
        remark: why the scores tell nothing apart; None where they do.
        node_names: ``[n]`` words, see `Explanations.named`.
        edge_names: ``[e]`` words.
        class_names: ``[C]`` words.
        feature_names: of the columns of ``feature_score`` ``[F]`` words; by node type on
            heterogeneous graphs. Steps of one feature are ``"speed, step 0"``, ``"speed, step 1"``.
        graph_name: a word for the graph.
        title: what is explained, in words: ``"node 5"``, ``"paper 0 → paper 633"``, ``"graph 3"``,
            or names where there are any.
        target_name: what of it is explained, in words: ``"class 2"`` or its name, ``"value"`` of a
            regression, ``"a rather than b"``; None where rows have several.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SGConv
        >>> data = Data(x=torch.eye(3), edge_index=torch.tensor([[0, 1], [1, 2]]))
        >>> model = SGConv(3, 2, K=2, bias=False)
        >>> local = gg.Saliency(model, progress=False).explain(data, index=[1]).local(0)
        >>> local.node_id.tolist(), local.edge_id.tolist()  # the user's numbers
        ([0, 1], [0])
        >>> local.edge_index.tolist(), local.edge_score.shape  # positions in node_id; [e]
        ([[0], [1]], torch.Size([1]))
    """

    index: int
    graph: int
    target: int | tuple[int, int] | None
    prediction: Tensor
    label: int | None
    seeds: Tensor
    node_id: Tensor
    node_type: list[str] | None
    edge_id: Tensor
    edge_type: list[str] | None
    edge_index: Tensor
    edge_score: Tensor | None
    layer_edge_score: Tensor | None
    node_score: Tensor | None
    feature_score: Tensor | None
    edge_truth: Tensor | None
    node_truth: Tensor | None = None
    total: float | None = None
    walks: Tensor | None = None
    walk_scores: Tensor | None = None
    tables: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    remark: str | None = None
    node_names: list[str] | None = None
    edge_names: list[str] | None = None
    class_names: list[str] | None = None
    feature_names: list[str] | dict[str, list[str]] | None = None
    graph_name: str | None = None
    title: str = ""
    target_name: str | None = None
    seed_type: list[str] | None = None

    __repr__ = brief_repr

    def _repr_html_(self) -> str:
        """A picture, for notebooks."""
        return svg_picture(self)

    @property
    def rows(self) -> dict[str, Tensor] | None:
        """What is explained of each row, of an instance that has several (`glassgraph.Task`).

        Columns ``node`` (position in ``node_id``), ``row`` (number within the graph), ``target``,
        ``contrast`` and ``label`` (-1 for none), ``prediction [rows, C]``; None for other tasks.
        """
        return self.tables.get(ROWS)

    @property
    def absorbed(self) -> float | None:
        """Share of `total` that no node received: it stayed with biases, or was lost.

        None for methods without a total; 0 if everything arrived.
        """
        if self.total is None or self.node_score is None:
            return None
        return 1.0 - float(self.node_score.sum()) / self.total if self.total else 0.0


class _AboutNodes(Protocol):
    """What says which nodes an instance is about."""

    @property
    def seeds(self) -> Tensor: ...

    @property
    def seed_type(self) -> list[str] | None: ...

    @property
    def node_id(self) -> Tensor: ...

    @property
    def node_type(self) -> list[str] | None: ...


def explained_nodes(local: _AboutNodes) -> list[int]:
    """Positions in ``node_id`` of the nodes that an instance is about, in the order of ``seeds``.

    Nodes whose types are not known are left out, rather than taken for others of the same id.
    """
    if local.node_type is not None and local.seed_type is None:
        return []
    kinds = local.node_type or [""] * len(local.node_id)
    place = {each: at for at, each in enumerate(zip(kinds, local.node_id.tolist(), strict=True))}
    seed_kinds = local.seed_type or [""] * len(local.seeds)
    seeds = zip(seed_kinds, local.seeds.tolist(), strict=True)
    return [place[each] for each in seeds if each in place]
