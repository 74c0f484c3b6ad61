"""What a user calls nodes, edges, features, classes and graphs, held against the data."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from glassgraph.errors import ExplanationFileError, GraphError, HyperParameterError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.results.aggregates.attributes import edge_attribute, flat_values
from glassgraph.results.contents import Contents
from glassgraph.results.feature_words import feature_words, with_steps
from glassgraph.results.names import num_outputs
from glassgraph.results.type_names import edge_type_words
from glassgraph.results.word_lists import listed, plain, words
from glassgraph.words import nearest


class GivenNames(TypedDict, total=False):
    """What `Explainer.explain` takes by these names, as `Explanations.named` does.

    Attributes:
        node_names: a word for each node of the data; of several graphs a list of such lists, of
            node types a dictionary; or a dictionary from numbers of nodes to words.
        edge_names: a word for each edge, likewise; or a dictionary from the values of
            ``data.edge_type``, or from edge types, to words.
        feature_names: a word for each feature, of node types a dictionary.
        class_names: a word for each class, or output.
        graph_names: a word for each graph.
    """

    node_names: Any
    edge_names: Any
    feature_names: Any
    class_names: Any
    graph_names: Any


def check_known(names: Mapping[str, Any]) -> None:
    """Refuse arguments that name nothing.

    Raises:
        HyperParameterError: with what may have been meant.
    """
    known = list(GivenNames.__annotations__)
    for name in names:
        if name not in known:
            raise HyperParameterError(f"explain takes no argument {name!r}{nearest(name, known)}")


def refuse_other_outputs(names: Mapping[str, Any], size: int) -> None:
    """Hold names of classes against the number of outputs that the model returned.

    Raises:
        GraphError: if there are others as many.
    """
    classes = names.get("classes")
    if classes is not None and len(classes) != size:
        raise GraphError(
            f"class_names has {len(classes)} entries; expected {size}, one for each output of the "
            "model (of a binary classification two)"
        )


def given_names(contents: Contents, names: GivenNames) -> dict[str, Any]:
    """What a user calls things, flat; only what is given.

    Raises:
        GraphError: if there is not one name for each, or what is given is no name of anything.
        ExplanationFileError: if the graph was not stored.
    """
    given = {name: value for name, value in names.items() if value is not None}
    graph = contents.graph
    found: dict[str, Any] = {}
    about_data = [name for name in given if name in ("node_names", "edge_names", "feature_names")]
    if about_data and graph is None:
        raise ExplanationFileError(
            f"{about_data[0]} belong to the data, which were not stored; pass them to load: "
            "Explanations.load(folder, data=data)"
        )
    if graph is not None and "node_names" in given:
        found["nodes"] = _nodes(graph, plain(given["node_names"]))
    if graph is not None and "edge_names" in given:
        found["edges"] = words(_edges(graph, plain(given["edge_names"])), "edge_names")
    if graph is not None and "feature_names" in given:
        arguments = contents.provenance.get("model_arguments")
        named = feature_words(graph, arguments, given["feature_names"])
        found["features"] = with_steps(graph, arguments, named)
    sizes = {"class_names": num_outputs(contents), "graph_names": _num_graphs(contents)}
    for name, key in (("class_names", "classes"), ("graph_names", "graphs")):
        if name in given:
            found[key] = listed(given[name], sizes[name], name)
    return found


def _nodes(graph: TypedGraph, names: Any) -> list[str]:
    """One name for each node."""
    if isinstance(names, Mapping) and not graph.is_heterogeneous:
        return listed(names, graph.num_nodes, "node_names")
    if isinstance(names, Mapping):
        _refuse_unknown(names, graph.node_types, "node_names")
        ends = itertools.pairwise(graph.node_offset)
        sizes = {
            kind: stop - start for kind, (start, stop) in zip(graph.node_types, ends, strict=True)
        }
        names = {
            kind: listed(own, sizes[kind], f"node_names of {kind!r}")
            if isinstance(own, Mapping)
            else own
            for kind, own in names.items()
        }
    return words(flat_values(graph, names, "node_names", of_nodes=True), "node_names")


def _edges(graph: TypedGraph, names: Any) -> Any:
    """One name for each edge; of a dictionary by its type."""
    if not isinstance(names, Mapping):
        return flat_values(graph, names, "edge_names")
    if graph.is_heterogeneous:
        return _typed_edges(graph, names)
    types = edge_attribute(graph, "edge_type")
    if types is None:
        raise GraphError(
            "edge_names by type need data.edge_type [E], which the data lack; give one name for "
            "each edge"
        )
    by_word = {str(kind): word for kind, word in names.items()}  # as JSON has them
    kinds = [str(kind) for kind in types.tolist()]
    lacking = sorted({kind for kind in kinds if kind not in by_word})
    if lacking:
        raise GraphError(f"edge_names has no name for the edge types {', '.join(lacking)}")
    return [by_word[kind] for kind in kinds]


def _typed_edges(graph: TypedGraph, names: Mapping[Any, Any]) -> Any:
    """One name for each edge, of a dictionary by type: a word for all of them, or one for each."""
    kinds = edge_type_words(graph.edge_types)
    keys = [
        (kind, word, kind[1] if kind else "")
        for kind, word in zip(graph.edge_types, kinds, strict=True)
    ]
    _refuse_unknown(names, [key for each in keys for key in each], "edge_names")
    own = [next((names[key] for key in each if key in names), each[1]) for each in keys]
    sizes = [stop - start for start, stop in itertools.pairwise(graph.edge_offset)]
    lists = [
        [each] * size if isinstance(each, str) else each
        for each, size in zip(own, sizes, strict=True)
    ]
    return flat_values(graph, dict(zip(graph.edge_types, lists, strict=True)), "edge_names")


def _refuse_unknown(names: Mapping[Any, Any], kinds: Sequence[Any], what: str) -> None:
    """Refuse names of types that the graph has not.

    Raises:
        GraphError: naming them.
    """
    unknown = [repr(kind) for kind in names if kind not in kinds]
    if unknown:
        raise GraphError(
            f"{what} has names of {', '.join(unknown)[:80]}; the graph has the types "
            f"{', '.join(map(repr, dict.fromkeys(kinds)))[:200]}"
        )


def _num_graphs(contents: Contents) -> int | None:
    if contents.graph is not None:
        return contents.graph.num_graphs
    known = contents.provenance.get("graph", {}).get("num_graphs")
    return None if known is None else int(known)
