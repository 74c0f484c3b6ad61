"""Explanations in, one JSON-able dictionary out: everything that the page shows, each thing once.

Layout of the payload (n nodes and e edges drawn for an instance, L layers, C outputs)::

    level, title, layout, class_names [C], feature_names ([F], or by node type), vendor
    methods    [{name, num_layers, signed, provenance}]
    metrics    {columns, rows}
    metric_names  one for each column: {name, group, about}
    instances  [{title, index, graph, label, structures, runs}]
      structures  [{nodes [n], node_names [n], seeds, node_types, node_type [n], edge_id [e],
                   source [e], destination [e], edge_types, edge_type [e], edge_names [e],
                   truth [e], num_true, drawn_of [nodes, edges], atoms [n][x, y],
                   hydrogens [n]: the atom beside which a hydrogen may be folded,
                   tree [n]: the phrase that a node is part of}]
      runs        one per method: {structure, target, prediction [C], edges [e], layers [L][e],
                   rows [R][node, best, value, target, label], nodes [n], nodes_from, features,
                   edge_ranks [e], layer_ranks [L][e],
                   left_out {edges, layers [L], nodes}: sums of the scores that are not drawn,
                   walks {count, nodes [W][L + 1], scores [W]},
                   network {nodes, edges}, handed {total, received, absorbed},
                   changes {valid, size, before, after, new_class, undirected, deleted [edges],
                   inserted [[source, destination]], features [[node, name, before, after]]}}

What a method or a graph does not have is null, and names may be missing. Methods that agree on an
instance's structure share it. Numbers keep six significant digits; one that is not finite becomes
null.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from glassgraph.report.changes import ShownChanges
from glassgraph.report.labels import feature_label, node_label
from glassgraph.report.metric_names import readable
from glassgraph.report.molecule_parts import Molecule, is_molecule, places
from glassgraph.report.network import network_of
from glassgraph.report.phrase_tree import PhraseTree
from glassgraph.report.protocols import LocalLike, ReportError, RunLike
from glassgraph.report.trim import choose_edges, ranks, sum_of_others
from glassgraph.report.walks import first_walks, passed_edges
from glassgraph.results.records import explained_nodes

__all__ = ["LAYOUTS", "MAX_DRAWN_EDGES", "ReportError", "build_payload"]

MAX_DRAWN_EDGES = 400
#: How a page begins: as suits the graphs, by distances in them, by hops from what is explained, or
#: word by word.
LAYOUTS = ("auto", "organic", "rings", "sentence")
TOP_FEATURES = 12
TOP_FEATURES_PER_NODE = 3
LONG_LIST = 40
SHOWN_OF_LONG_LIST = 8

_NONE = torch.empty(0)

Json: TypeAlias = dict[str, Any]
Number: TypeAlias = int | float | None


def build_payload(
    runs: Sequence[RunLike],
    metrics: Sequence[Mapping[str, object]],
    title: str,
    layout: str = "auto",
) -> Json:
    """The page's data for several methods over the same instances.

    Raises:
        ReportError: if there is no run, the runs are about different instances, or the layout is
            unknown, or needs names that are not there.
    """
    if not runs:
        raise ReportError("runs is empty: a report needs the explanations of at least one method.")
    sizes = [len(run) for run in runs]
    if len(set(sizes)) > 1:
        raise ReportError(
            f"runs must explain the same instances, but they have {sizes} of them: "
            "explain the same index with every method."
        )
    _check_layout(layout, runs)
    found = [[run.local(i) for run in runs] for i in range(sizes[0])]
    types = _node_types(runs, found)
    instances = [_instance(own, i, runs, types) for i, own in enumerate(found)]
    methods = [_method(run, m, instances) for m, run in enumerate(runs)]
    return {
        "title": title,
        "level": runs[0].level,
        "layout": _first_layout(layout, instances),
        "class_names": _class_names(runs),
        "feature_names": _feature_names(runs),
        "methods": methods,
        "metrics": (table := _metrics(metrics)),
        "metric_names": [readable(column) for column in table["columns"]],
        "instances": instances,
    }


def _check_layout(layout: str, runs: Sequence[RunLike]) -> None:
    if layout not in LAYOUTS:
        raise ReportError(f"layout must be one of {', '.join(LAYOUTS)}; got {layout!r}")
    if layout == "sentence" and any(
        run.local(i).node_names is None for run in runs for i in range(len(run))
    ):
        raise ReportError(
            "a sentence is made of words: give nodes their names with "
            "explanations.named(node_names=...), or the data a list named words"
        )


def _first_layout(layout: str, instances: Sequence[Json]) -> str:
    """Trees of phrases are sentences, unless another layout was asked for."""
    if layout != "auto":
        return layout
    structures = [structure for instance in instances for structure in instance["structures"]]
    is_text = bool(structures) and all(each.get("tree") for each in structures)
    return "sentence" if is_text else "organic"


def _class_names(runs: Sequence[RunLike]) -> list[str] | None:
    """Those of the first run that has some."""
    found = (run.local(0).class_names for run in runs if len(run))
    names = next((each for each in found if each is not None), None)
    return None if names is None else list(names)


def _feature_names(runs: Sequence[RunLike]) -> list[str] | dict[str, list[str]] | None:
    """Those of the first run that scores features and has names of them."""
    for run in runs:
        local = run.local(0) if len(run) else None
        if local is None or local.feature_score is None or local.feature_names is None:
            continue
        names = local.feature_names
        if isinstance(names, Mapping):
            return {kind: list(own) for kind, own in names.items()}
        return list(names)
    return None


def _method(run: RunLike, m: int, instances: Sequence[Json]) -> Json:
    lists: list[list[Number]] = []
    for instance in instances:
        own = instance["runs"][m]
        lists += [own["edges"] or [], own["nodes"] or [], *(own["layers"] or [])]
        lists += [own["walks"]["scores"]] if own["walks"] else []
    return {
        "name": run.method,
        "num_layers": run.num_layers,
        "signed": any(value is not None and value < 0 for values in lists for value in values),
        "provenance": _jsonable({k: v for k, v in run.provenance.items() if k != "names"}),
    }


def _node_types(runs: Sequence[RunLike], found: Sequence[Sequence[LocalLike]]) -> list[str]:
    """All node types in one order, that of `plot()`: that of the data, or else of the alphabet."""
    known = [kind for run in runs for kind in getattr(run, "node_types", ()) if kind is not None]
    met = {kind for own in found for local in own for kind in local.node_type or ()}
    return list(dict.fromkeys(known)) if met <= set(known) else sorted(met)


def _instance(
    locals_: Sequence[LocalLike], i: int, runs: Sequence[RunLike], types: Sequence[str]
) -> Json:
    first = locals_[0]
    for local, run in zip(locals_, runs, strict=True):
        same_instance(first, local, i, repr(runs[0].method), repr(run.method))
    structures = [_structure(lo, run, types) for lo, run in zip(locals_, runs, strict=True)]
    unique: list[Json] = []
    for structure in structures:
        if structure not in unique:
            unique.append(structure)
    numbers = [unique.index(structure) for structure in structures]
    chosen = []
    for number, structure in enumerate(unique):
        sharing = [lo for lo, own in zip(locals_, numbers, strict=True) if own == number]
        chosen.append(_trim(structure, sharing))
    return {
        "title": first.title,
        "index": first.index,
        "graph": first.graph,
        "label": first.label,
        "structures": unique,
        "runs": [
            _run(local, number, chosen[number])
            for local, number in zip(locals_, numbers, strict=True)
        ],
    }


def same_instance(first: LocalLike, local: LocalLike, i: int, name: str, other: str) -> None:
    """Raise a `ReportError` where two methods explain something else at position ``i``."""
    if (local.index, local.graph) != (first.index, first.graph):
        raise ReportError(
            "runs must explain the same instances in the same order, but instance "
            f"{i} is index {first.index} of graph {first.graph} for {name} "
            f"and index {local.index} of graph {local.graph} for {other}."
        )


def _structure(local: LocalLike, run: RunLike, types: Sequence[str]) -> Json:
    node_types, node_type = _encoded(local.node_type, types)
    edge_types, edge_type = _encoded(local.edge_type)
    truth = local.edge_truth
    source, destination = local.edge_index.tolist() if local.edge_index.numel() else ([], [])
    molecule = Molecule.of(local) if is_molecule(local) else None
    place = {} if molecule is None else places(molecule)
    hosts = {} if molecule is None else molecule.foldable()
    tree = PhraseTree.of(local)
    some = {
        "node_names": local.node_names,
        "edge_names": local.edge_names,
        "atoms": [place[atom] for atom in sorted(place)] or None,
        "hydrogens": [hosts.get(atom) for atom in sorted(place)] if hosts else None,
        "tree": None if tree is None else tree.parent,
    }
    return {
        **{key: list(value) for key, value in some.items() if value is not None},
        "nodes": local.node_id.tolist(),
        "seeds": seed_positions(local, run),
        "node_types": node_types,
        "node_type": node_type,
        "edge_id": local.edge_id.tolist(),
        "source": source,
        "destination": destination,
        "edge_types": edge_types,
        "edge_type": edge_type,
        "truth": None if truth is None else [int(t) for t in truth.tolist()],
        "num_true": None if truth is None else int(truth.sum()),
        "drawn_of": None,
    }


def seed_positions(local: LocalLike, run: RunLike) -> list[int]:
    """Where the explained nodes stand in ``node_id``.

    Among typed nodes an id says who is meant only with the type, which a node task also has in the
    provenance (``task.node_type``). Where the type is unknown nothing is marked, rather than a
    node of another type.
    """
    if local.node_type is None or local.seed_type is not None:
        return explained_nodes(local)
    nodes = local.node_id.tolist()
    task = run.provenance.get("task")
    explained = task.get("node_type") if isinstance(task, Mapping) else None
    if run.level != "node" or explained is None:
        return []
    named = enumerate(zip(local.node_type, nodes, strict=True))
    return [n for n, name in named if name == (explained, local.index)]


def _run(local: LocalLike, structure: int, chosen: tuple[Tensor, Tensor] | None) -> Json:
    """One method's numbers; ``chosen`` are the nodes and edges that a large instance keeps."""
    nodes, features = local.node_score, local.feature_score
    nodes_from = None if nodes is None else "nodes"
    if nodes is None and features is not None:
        nodes, nodes_from = features.nansum(dim=1), "features"
    edges, layers = local.edge_score, local.layer_edge_score
    total = None if features is None else _total_features(local, features)
    edge_ranks = layer_ranks = left_out = None
    if chosen is not None:
        left_out = {
            "nodes": _sum_of_others(nodes, chosen[0]),
            "edges": _sum_of_others(edges, chosen[1]),
            "layers": None if layers is None else [_sum_of_others(s, chosen[1]) for s in layers],
        }
        kept_nodes, kept_edges = chosen
        nodes = None if nodes is None else nodes[kept_nodes]
        features = None if features is None else features[kept_nodes]
        if edges is not None:
            edge_ranks, edges = ranks(edges)[kept_edges].tolist(), edges[kept_edges]
        if layers is not None:
            layer_ranks = [ranks(layer)[kept_edges].tolist() for layer in layers]
            layers = layers[:, kept_edges]
    target = local.target
    return {
        "structure": structure,
        "target": list(target) if isinstance(target, tuple) else target,
        "prediction": [] if local.prediction.dim() > 1 else _numbers(local.prediction.reshape(-1)),
        "rows": _output_rows(local),
        "edges": _numbers(edges),
        "layers": _rows(layers),
        "nodes": _numbers(nodes),
        "nodes_from": nodes_from,
        "features": None
        if features is None
        else {
            "total": total,
            "per_node": [_strongest(row, TOP_FEATURES_PER_NODE) for row in features],
        },
        "edge_ranks": edge_ranks,
        "layer_ranks": layer_ranks,
        "left_out": left_out,
        "walks": _walks(local, chosen),
        "network": network_of(local),
        "handed": _handed(local),
        "changes": _changes(local, chosen),
    }


def _sum_of_others(scores: Tensor | None, kept: Tensor) -> Number:
    return None if scores is None else _number(sum_of_others(scores, kept))


def _output_rows(local: LocalLike) -> list[list[Any]] | None:
    """Of each row of the output: its node, the best column and its value, target, label."""
    rows = local.tables.get("rows")
    if rows is None:
        return None
    value, best = local.prediction.max(dim=1)
    names = [node_label(local, node) for node in range(len(local.node_id))]
    columns = (best, value, rows["target"], rows["label"])
    found = zip(rows["node"].tolist(), *(column.tolist() for column in columns), strict=True)
    return [[names[node], c, _number(v), target, label] for node, c, v, target, label in found]


def _walks(local: LocalLike, chosen: tuple[Tensor, Tensor] | None) -> Json | None:
    """The best walks, as positions among the nodes that are drawn, and how many there were."""
    best = first_walks(local)
    if best is None or local.walks is None:
        return None
    nodes, scores = best
    if chosen is not None:
        nodes = torch.searchsorted(chosen[0], nodes.contiguous())
    return {"count": len(local.walks), "nodes": nodes.tolist(), "scores": _numbers(scores)}


def _changes(local: LocalLike, chosen: tuple[Tensor, Tensor] | None) -> Json | None:
    """What a counterfactual changes, by positions among the nodes and edges that are drawn."""
    found = ShownChanges.of(local)
    if found is None:
        return None
    nodes, edges = (
        {old: new for new, old in enumerate(kept.tolist())} for kept in chosen or (_NONE, _NONE)
    )

    def name(node: int, column: int) -> str:
        kind = "" if local.node_type is None else local.node_type[node]
        return feature_label(local.feature_names, kind, column) or f"feature {column}"

    return {
        "valid": found.is_valid,
        "size": found.size,
        "before": _number(found.before),
        "after": _number(found.after),
        "new_class": found.new_class,
        "undirected": found.is_undirected,
        "deleted": [edges.get(e, e) for e in found.deleted if chosen is None or e in edges],
        "inserted": [[nodes.get(a, a), nodes.get(b, b)] for a, b in found.lines],
        "features": [
            [nodes.get(node, node), name(node, column), _number(before), _number(after)]
            for node, column, before, after in found.features
        ],
    }


def _handed(local: LocalLike) -> Json | None:
    """What the method handed down from the prediction, and what of it arrived at nodes."""
    if local.total is None or local.absorbed is None or local.node_score is None:
        return None
    received = float(local.node_score.sum())
    found = {"total": local.total, "received": received, "absorbed": local.absorbed}
    if not all(map(math.isfinite, found.values())):
        return None
    return {name: _number(value) for name, value in found.items()}


def _total_features(local: LocalLike, scores: Tensor) -> list[list[Any]]:
    """The strongest features ``[name, score]`` of the instance, summed over its nodes.

    Node types have features of their own, so typed nodes are summed within their type. NaN pads the
    rows of types with fewer features. A feature with a name of its own has it as a third entry.
    """
    total: list[list[Any]] = []
    node_type = local.node_type
    for name in dict.fromkeys(node_type or [""]):
        own = [n for n in range(len(scores)) if node_type is None or node_type[n] == name]
        sums = scores[own].nansum(dim=0)
        for feature, score in _strongest(sums, TOP_FEATURES):
            word = feature_label(local.feature_names, name, feature)
            total.append([f"{name} {feature}".strip(), score])
            total[-1] += [] if word is None else [f"{name}: {word}" if name else word]
    total.sort(key=lambda item: -abs(item[1]))
    return total[:TOP_FEATURES]


def _strongest(scores: Tensor, count: int) -> list[list[Any]]:
    """``[feature, score]`` of the largest magnitudes that are not zero, strongest first."""
    order = torch.argsort(ranks(scores))[:count].tolist()
    found = zip(order, _numbers(scores[order]) or [], strict=True)
    return [[feature, score] for feature, score in found if score]


def _trim(structure: Json, sharing: Sequence[LocalLike]) -> tuple[Tensor, Tensor] | None:
    """Cut a large structure in place; the nodes and edges that stay, or None where all do."""
    num_nodes, num_edges = len(structure["nodes"]), len(structure["source"])
    if num_edges <= MAX_DRAWN_EDGES:
        return None
    rankings: list[Tensor] = []
    for local in sharing:
        rankings += [] if local.edge_score is None else [local.edge_score]
        rankings += [] if local.layer_edge_score is None else list(local.layer_edge_score)
    source, destination = structure["source"], structure["destination"]
    truth, passed = structure["truth"], [e for local in sharing for e in passed_edges(local)]
    edges = choose_edges(
        source, destination, structure["seeds"], rankings, truth, MAX_DRAWN_EDGES, passed
    )
    ends = {end for e in edges for end in (source[e], destination[e])}
    walks = [best[0] for local in sharing if (best := first_walks(local)) is not None]
    ends.update(node for each in walks for node in each.flatten().tolist())
    changes = (ShownChanges.of(local) for local in sharing)
    ends.update(node for each in changes if each is not None for node in each.nodes)
    nodes = sorted(ends | set(structure["seeds"]))
    new = {old: position for position, old in enumerate(nodes)}
    structure["seeds"] = [new[node] for node in structure["seeds"]]
    structure["drawn_of"] = [num_nodes, num_edges]
    for name in ("nodes", "node_names", "node_type", "atoms", "hydrogens"):
        structure[name] = _take(structure.get(name), nodes)
    structure.pop("tree", None)  # what is left of it is none
    if structure["hydrogens"] is not None:
        structure["hydrogens"] = [new.get(atom) for atom in structure["hydrogens"]]
    for name in ("edge_id", "source", "destination", "edge_type", "edge_names", "truth"):
        structure[name] = _take(structure.get(name), edges)
    for name in ("source", "destination"):
        structure[name] = [new[node] for node in structure[name]]
    return torch.tensor(nodes), torch.tensor(edges)


def _take(values: list[Any] | None, positions: Sequence[int]) -> list[Any] | None:
    return None if values is None else [values[p] for p in positions]


def _encoded(
    names: Sequence[str] | None, known: Sequence[str] = ()
) -> tuple[list[str] | None, list[int] | None]:
    """Names as (known ones and others in order of appearance, position of each)."""
    if names is None:
        return None, None
    distinct = list(dict.fromkeys([*known, *names]))
    position = {name: p for p, name in enumerate(distinct)}
    return distinct, [position[name] for name in names]


def _metrics(rows: Sequence[Mapping[str, object]]) -> Json:
    columns = list(dict.fromkeys(str(key) for row in rows for key in row))
    table = [{str(key): value for key, value in row.items()} for row in rows]
    return {"columns": columns, "rows": [[_cell(row.get(c)) for c in columns] for row in table]}


def _cell(value: object) -> object:
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return _number(value)
    return str(value)


def _rows(values: Tensor | None) -> list[list[Number]] | None:
    return None if values is None else [_numbers(row) or [] for row in values]


def _numbers(values: Tensor | None) -> list[Number] | None:
    return None if values is None else [_number(value) for value in values.tolist()]


def _number(value: float) -> Number:
    """Six significant digits; whole numbers without a fraction; null where not finite."""
    if isinstance(value, int):
        return value
    if not math.isfinite(value):
        return None
    rounded = float(f"{value:.6g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def _jsonable(value: object) -> object:
    """A provenance value as JSON; what JSON cannot say (inf, a path) and long lists become text."""
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        if len(value) > LONG_LIST:
            return f"{', '.join(map(str, value[:SHOWN_OF_LONG_LIST]))}, … ({len(value)} in all)"
        return [_jsonable(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return str(value)
