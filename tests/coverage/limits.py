"""What methods beside the six cannot explain, and how they say so."""

from __future__ import annotations

from typing import Any, NamedTuple

from glassgraph import errors
from tests.coverage.set_up import SetUp

#: Methods that read more of a model than its messages, with settings under which scores tell most.
OTHERS: dict[str, dict[str, Any]] = {
    "lrp": {"rule": "zero"},
    "excitation_backprop": {"negative": "allow"},
    "gnn_lrp": {"gamma": 0.0, "walks": 3},
    "grad_cam": {"relu": False},
    "guided_backprop": {},
    "attention": {},
    "pg_explainer": {"epochs": 2},
}


class Limit(NamedTuple):
    """A refusal.

    Attributes:
        error: its class.
        says: words of its message.
        cell: what the table says.
    """

    error: type[errors.GlassgraphError]
    says: str
    cell: str


#: Operations that methods with rules do not know.
NO_RULE = {
    "SAGEConv, lstm": "lstm",
    "SAGEConv, gru": "gru",
    "CGConv": "softplus",
    "CGConv, edge features": "softplus",
    "GPSConv of GCNConv": "multi_head_attention_forward",
    "GPSConv of GINEConv, graphs side by side": "multi_head_attention_forward",
    "GPSConv, graph task": "multi_head_attention_forward",
}

_MIXED = Limit(errors.WalkError, "depends on other nodes too", "nodes mix beside messages")
_TAPPED = Limit(errors.WalkError, "is a MessageTap", "message tap")
#: Models whose walks are not defined.
NO_WALKS = {
    "MeshCNNConv": _MIXED,
    "GCNConv and GraphNorm, graphs side by side": _MIXED,
    "GATConv and GraphNorm, graph task": _MIXED,
    "own layer with a MessageTap": _TAPPED,
    "own layer with a MessageTap, loops": _TAPPED,
    "own layer, two heads, backwards": _TAPPED,
    "own layer, then GCNConv": _TAPPED,
}

#: Models with attention weights that can be read; other layers keep theirs to themselves.
SHOWS_ATTENTION = {
    "GATConv",
    "GATConv, self-loops in the input",
    "GATConv, edge features",
    "GATConv, edge features and self-loops",
    "GATConv, averaged heads",
    "GATv2Conv",
    "GATv2Conv, edge features and self-loops",
    "TransformerConv",
    "TransformerConv, edge features, beta",
    "FAConv",
    "FAConv, cached",
    "RGATConv",
    "RGATConv, edge features, within relations",
    "HypergraphConv, attention",
    "DirGNNConv of GATConv",
    "AntiSymmetricConv of GATConv",
    "GCNConv, then GATConv",
    "GATConv and GraphNorm, graph task",
}

#: Models that run on the user's graph alone: edges are counted elsewhere than in ``edge_index``.
NO_PARTS = {"HypergraphConv, attention", "MeshCNNConv"}


#: Aggregations that fail where no message arrives; methods that try small subgraphs meet that.
NEEDS_MESSAGES = {
    "SAGEConv, lstm": {"causal_screening", "relex"},
    "SAGEConv, gru": {"causal_screening", "relex"},
    "SAGEConv, median": {
        *("causal_screening", "shapley_edges", "shapley_nodes"),
        *("smallest_counterfactual", "subgraphx"),
    },
}


def called_limits(set_up: SetUp) -> set[str]:
    """Methods that only call a model, and that refuse a set-up."""
    found = {"graph_lime"} if set_up.level == "graph" else set()
    return found | NEEDS_MESSAGES.get(set_up.name, set())


def limit(method: str, set_up: SetUp) -> Limit | None:
    """How one of `OTHERS` refuses a set-up; None if it explains it."""
    name = set_up.name
    if method == "attention" and name not in SHOWS_ATTENTION:
        return Limit(errors.UnsupportedModelError, "no layer shows attention weights", "none shown")
    if method in ("lrp", "excitation_backprop", "gnn_lrp") and name in NO_RULE:
        operation = NO_RULE[name]
        words = f"no rule for {operation!r}"
        return Limit(errors.MissingRuleError, words, f"no rule for `{operation}`")
    return NO_WALKS.get(name) if method == "gnn_lrp" else None
