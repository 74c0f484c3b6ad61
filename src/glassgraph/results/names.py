"""Names of what explanations are about: what a user gives, or else what the data have.

Of the data the first of `NODE_ATTRIBUTES`, and so on, counts that holds a word for each node, edge,
feature, class or graph. What a user gives stands in ``provenance["names"]``, flat, and so in files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from glassgraph.errors import GraphError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.results.aggregates.attributes import edge_attribute, node_attribute
from glassgraph.results.contents import Contents
from glassgraph.results.feature_words import FeatureNames, feature_words, with_steps
from glassgraph.results.records import ROWS, Part
from glassgraph.results.word_lists import listed, plain

NODE_ATTRIBUTES = ("node_names", "words", "tokens", "text")
EDGE_ATTRIBUTES = ("edge_names", "relations")
FEATURE_ATTRIBUTES = ("feature_names",)
CLASS_ATTRIBUTES = ("class_names",)
GRAPH_ATTRIBUTES = ("graph_names", "graph_name", "name", "smiles")


@dataclass(frozen=True)
class Names:
    """Names of what explanations are about; None where there are none, "" for what has none.

    Attributes:
        nodes: ``[N]`` of all nodes of the data.
        edges: ``[E]`` of all edges.
        features: of the columns of feature scores ``[F]``, by node type where there are types.
        classes: ``[C]`` of the outputs.
        graphs: ``[G]`` of the graphs.
    """

    nodes: Sequence[str] | None = None
    edges: Sequence[str] | None = None
    features: FeatureNames | None = None
    classes: Sequence[str] | None = None
    graphs: Sequence[str] | None = None

    @staticmethod
    def read(contents: Contents) -> Names:
        """The names of a result."""
        given = contents.provenance.get("names", {})
        graph, arguments = contents.graph, contents.provenance.get("model_arguments")
        features = given.get("features")
        if graph is not None:
            features = features or _of_features(graph, arguments)
            features = with_steps(graph, arguments, features)
        return Names(
            nodes=given.get("nodes") or _of_data(graph, NODE_ATTRIBUTES, of_nodes=True),
            edges=given.get("edges") or _of_data(graph, EDGE_ATTRIBUTES, of_nodes=False),
            features=features,
            classes=given.get("classes") or _of_classes(graph, num_outputs(contents)),
            graphs=given.get("graphs") or _of_graphs(graph),
        )

    def given(self) -> dict[str, Any]:
        """As if a user had given them all, for files without the data."""
        return {name: value for name, value in vars(self).items() if value is not None}


def num_outputs(contents: Contents) -> int | None:
    """Number C of outputs that explanations have; None while there are none."""
    return next(map(outputs_of, contents.parts), None)


def outputs_of(part: Part) -> int:
    """Number C of outputs that the instances of a part have."""
    rows = part.tables.get(ROWS)
    return int((part.prediction if rows is None else rows.values["prediction"]).size(1))


def _of_data(graph: TypedGraph | None, names: Sequence[str], *, of_nodes: bool) -> list[str] | None:
    """The first attribute that holds a word for each."""
    if graph is None:
        return None
    read = node_attribute if of_nodes else edge_attribute
    for name in names:
        try:
            found = read(graph, name)
        except GraphError:  # of something else
            continue
        if found is not None and all(value is None or isinstance(value, str) for value in found):
            return [str(value or "") for value in found]
    return None


def _of_features(graph: TypedGraph, arguments: Sequence[str] | None) -> FeatureNames | None:
    """A list that the data have for all graphs, or for types of nodes."""
    for name in FEATURE_ATTRIBUTES:
        found: Any = _shared(graph, graph.data.stores[0].get(name, None))
        if graph.is_heterogeneous and found is None:
            own = {
                kind: _shared(graph, graph.data[kind].get(name, None)) for kind in graph.node_types
            }
            found = {kind: value for kind, value in own.items() if value is not None}
        if found:
            try:
                return feature_words(graph, arguments, found)
            except GraphError:  # of something else
                continue
    return None


def _of_classes(graph: TypedGraph | None, size: int | None) -> list[str] | None:
    if graph is None:
        return None
    for name in CLASS_ATTRIBUTES:
        for store in [graph.data.stores[0], *graph.node_stores(graph.data)]:
            found = _shared(graph, store.get(name, None))
            if found is not None:
                try:
                    return listed(found, size, name)
                except GraphError:  # of something else
                    continue
    return None


def _of_graphs(graph: TypedGraph | None) -> list[str] | None:
    """A word that each graph has, such as its SMILES."""
    if graph is None:
        return None
    for name in GRAPH_ATTRIBUTES:
        found = plain(graph.data.stores[0].get(name, None))
        found = [found] if isinstance(found, str) else found
        if not isinstance(found, list) or len(found) != graph.num_graphs:
            continue
        single = [each[0] if isinstance(each, list) and len(each) == 1 else each for each in found]
        if all(isinstance(each, str) for each in single) and any(single):
            return list(map(str, single))
    return None


def _shared(graph: TypedGraph, value: Any) -> Any:
    """A list of words of the data; of several graphs the one that all of them have."""
    value = plain(value)
    if graph.is_split and isinstance(value, list) and any(isinstance(v, list) for v in value):
        return value[0] if all(each == value[0] for each in value) else None
    return value
