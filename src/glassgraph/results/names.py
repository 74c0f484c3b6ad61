"""Names of nodes, edges and classes: what a user gives, or else what the data have.

Of the data the first of `NODE_ATTRIBUTES` and of `EDGE_ATTRIBUTES` counts that holds a word for
each node or edge. What a user gives stands in ``provenance["names"]``, flat, and so in files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glassgraph.errors import ExplanationFileError, GraphError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.results.aggregates.attributes import edge_attribute, flat_values, node_attribute
from glassgraph.results.contents import Contents
from glassgraph.results.type_names import edge_type_words

NODE_ATTRIBUTES = ("node_names", "words", "tokens", "text")
EDGE_ATTRIBUTES = ("edge_names", "relations")


@dataclass(frozen=True)
class Names:
    """Names of what explanations are about; None where there are none.

    Attributes:
        nodes: ``[N]`` of all nodes of the data.
        edges: ``[E]`` of all edges.
        classes: ``[C]`` of the outputs.
    """

    nodes: Sequence[str] | None = None
    edges: Sequence[str] | None = None
    classes: Sequence[str] | None = None

    @staticmethod
    def read(contents: Contents) -> Names:
        """The names of a result."""
        given = contents.provenance.get("names", {})
        graph = contents.graph
        return Names(
            nodes=given.get("nodes") or _of_data(graph, NODE_ATTRIBUTES, of_nodes=True),
            edges=given.get("edges") or _of_data(graph, EDGE_ATTRIBUTES, of_nodes=False),
            classes=given.get("classes"),
        )


def given_names(
    graph: TypedGraph | None, node_names: Any, edge_names: Any, class_names: Sequence[str] | None
) -> dict[str, list[str]]:
    """What `Explanations.named` was given, flat; only what is given.

    Raises:
        GraphError: if there is not one name for each node or edge.
        ExplanationFileError: if the graph was not stored.
    """
    found = {}
    if class_names is not None:
        found["classes"] = _words(class_names, "class_names")
    if (node_names is not None or edge_names is not None) and graph is None:
        raise ExplanationFileError(
            "names belong to the nodes and edges of the data, which were not stored; pass them to "
            "load: Explanations.load(folder, data=data)"
        )
    if node_names is not None and graph is not None:
        values = flat_values(graph, node_names, "node_names", of_nodes=True)
        found["nodes"] = _words(values, "node_names")
    if edge_names is not None and graph is not None:
        values = _edges(graph, edge_names)
        found["edges"] = _words(values, "edge_names")
    return found


def _edges(graph: TypedGraph, names: Any) -> Any:
    """One name for each edge; of a dictionary by its type."""
    if not isinstance(names, Mapping):
        return flat_values(graph, names, "edge_names")
    if graph.is_heterogeneous:
        words = edge_type_words(graph.edge_types)
        shown = [
            names.get(kind, names.get(word, names.get(kind[1] if kind else "", word)))
            for kind, word in zip(graph.edge_types, words, strict=True)
        ]
        if any(not isinstance(each, str) for each in shown):
            return flat_values(graph, names, "edge_names")
        sizes = zip(shown, graph.edge_offset, graph.edge_offset[1:], strict=False)
        return [name for name, start, stop in sizes for _ in range(stop - start)]
    types = edge_attribute(graph, "edge_type")
    if types is None:
        raise GraphError(
            "edge_names by type need data.edge_type [E], which the data lack; give one name for "
            "each edge"
        )
    lacking = sorted({str(kind) for kind in types.tolist() if kind not in names})
    if lacking:
        raise GraphError(f"edge_names has no name for the edge types {', '.join(lacking)}")
    return [names[kind] for kind in types.tolist()]


def _words(values: Any, what: str) -> list[str]:
    """Words; "" for what has none, such as the nodes of a type that is not named."""
    is_list = not isinstance(values, str | Mapping) and hasattr(values, "__len__")
    if not is_list or not all(value is None or isinstance(value, str) for value in values):
        raise GraphError(f"{what} are words, one for each; got {values!r:.80}")
    return [value or "" for value in values]


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
            return [value or "" for value in found]
    return None
