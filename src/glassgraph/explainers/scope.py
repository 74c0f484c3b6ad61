"""What a method can explain, and what its scores cannot promise: read by `glassgraph.testing`."""

from __future__ import annotations

from dataclasses import dataclass

LEVELS = ("node", "graph", "edge")
RETURN_TYPES = ("raw", "probs", "log_probs")


@dataclass(frozen=True)
class Scope:
    """What a method can explain; everything unless it says otherwise.

    The laws of `glassgraph.testing.check_explainer` are asked within it. The last seven say which
    laws hold in a weaker form, and why.

    Attributes:
        levels: levels of the task.
        return_types: what models return.
        many_rows: whether an instance may have several rows of output.
        heterogeneous: whether graphs may have several types of nodes and edges.
        regression: whether models may return values instead of classes.
        needs_attention: whether layers have to show attention weights.
        needs_edges: its scores of nodes follow edges, so without edges there are none.
        names_receivers: its scores are those of nodes, or read off the states of nodes, so edges
            into one node look alike.
        sees_degrees: an edge counts that does nothing but change a degree, so a layer that
            normalizes by degrees looks one hop farther than it sends messages.
        finds_by_chance: what has no effect can look as if it had one; so on the full graph it also
            scores what lies outside of the field.
        samples_field: it draws parts of the field at random; on the full graph others are drawn.
        draws_from_all_nodes: its noise has the features of all nodes of the graph, near and far.
        asks_for_decisions: only what changes the predicted class is evidence; where nothing does,
            all scores are 0.
        settings_in_words: its settings are objects, of which results keep the text alone.

    Example:
        >>> import glassgraph as gg
        >>> gg.CAM.scope.levels  # it explains nothing but graphs
        ('graph',)
    """

    levels: tuple[str, ...] = LEVELS
    return_types: tuple[str, ...] = RETURN_TYPES
    many_rows: bool = True
    heterogeneous: bool = True
    regression: bool = True
    needs_attention: bool = False
    needs_edges: bool = False
    names_receivers: bool = False
    sees_degrees: bool = False
    finds_by_chance: bool = False
    samples_field: bool = False
    draws_from_all_nodes: bool = False
    asks_for_decisions: bool = False
    settings_in_words: bool = False
