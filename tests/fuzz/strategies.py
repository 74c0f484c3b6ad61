"""What is drawn: graphs, networks, tasks, and what of them is explained."""

from __future__ import annotations

from hypothesis import strategies as st

from glassgraph.explainers.base import Explainer
from glassgraph.explainers.scope import Scope
from tests.fuzz.cases import DrawnCase, Shape
from tests.fuzz.networks import (
    ACTIVATIONS,
    ATTENTIVE,
    JUMPING,
    LAYERS,
    NORMS,
    POOLING,
    Architecture,
)
from tests.fuzz.properties import PROPERTIES, applies

MOST_NODES, MOST_EDGES, MOST_LAYERS = 7, 9, 3


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Graphs of up to seven nodes: loops, parallel edges, isolated nodes, none at all."""
    num_nodes = draw(st.integers(1, MOST_NODES))
    node = st.integers(0, num_nodes - 1)
    edges = draw(st.lists(st.tuples(node, node), max_size=MOST_EDGES))
    if draw(st.booleans()):  # undirected
        edges = [pair for u, v in edges for pair in ((u, v), (v, u))]
    return Shape(num_nodes, tuple(edges))


def architectures(scope: Scope) -> st.SearchStrategy[Architecture]:
    """Networks of one to three layers, of one kind or of several."""
    kinds = st.sampled_from(ATTENTIVE if scope.needs_attention else LAYERS)
    same = st.builds(lambda kind, depth: (kind,) * depth, kinds, st.integers(1, MOST_LAYERS))
    mixed = st.lists(kinds, min_size=1, max_size=MOST_LAYERS).map(tuple)
    return st.builds(
        Architecture,
        layers=same | mixed,
        norm=st.sampled_from(NORMS),
        activation=st.sampled_from(list(ACTIVATIONS)),
        dropout=st.sampled_from([0.0, 0.5]),
        jumping=st.sampled_from(JUMPING),
        reads_edges=st.booleans(),
        pooling=st.sampled_from(list(POOLING)),
    )


@st.composite
def cases(draw: st.DrawFn, scope: Scope) -> DrawnCase:
    """Anything that a method can explain."""
    level = draw(st.sampled_from(scope.levels))
    modes = ["multiclass_classification", "binary_classification"]
    mode = draw(st.sampled_from([*modes, "regression"] if scope.regression else modes))
    return_type = "raw" if mode == "regression" else draw(st.sampled_from(scope.return_types))
    columns = 3 if mode == "multiclass_classification" else 1
    targets = [None] if mode == "regression" else [None, "label", 0]
    if columns == 3:
        targets.append((2, 0))
    graphs = draw(st.lists(shapes(), min_size=1, max_size=3 if level == "graph" else 1))
    node = st.integers(0, graphs[0].num_nodes - 1)
    links = draw(st.lists(st.tuples(node, node), min_size=1, max_size=3)) if level == "edge" else []
    count = {"node": graphs[0].num_nodes, "graph": len(graphs), "edge": len(links)}[level]
    which = st.lists(st.integers(0, count - 1), min_size=1, max_size=2, unique=True)
    return DrawnCase(
        network=draw(architectures(scope)),
        graphs=tuple(graphs),
        level=level,
        mode=mode,
        return_type=return_type,
        target=draw(st.sampled_from(targets)),
        columns=columns,
        explained=tuple(draw(which)),
        links=tuple(links),
        seed=draw(st.integers(0, 99)),
    )


@st.composite
def questions(draw: st.DrawFn, method: type[Explainer]) -> tuple[DrawnCase, str]:
    """A case, and the name of a property that is asked of the method there."""
    case = draw(cases(method.scope))
    return case, draw(st.sampled_from([name for name in PROPERTIES if applies(name, method, case)]))
