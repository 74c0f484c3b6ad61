"""A data set against its card."""

from __future__ import annotations

from glassgraph.datasets import ExplanationDataset, dataset_card


def check_card(data: ExplanationDataset) -> None:
    """The card says what the data are."""
    card, graphs = dataset_card(data.name), data.graphs
    assert (data.level, len(graphs)) == (card.level, card.graphs)
    assert sum(int(graph.num_nodes or 0) for graph in graphs) == card.nodes
    assert sum(graph.num_edges for graph in graphs) == card.edges
    assert (data.num_classes, data.num_features) == (card.classes, card.features)
    assert len(data.explained) == card.explained
    assert (data.license, data.source) == (card.license, card.source)
    has_edges = all("ground_truth_edge_mask" in graph for graph in graphs)
    has_nodes = all("node_truth" in graph or "node_truth_parts" in graph for graph in graphs)
    assert card.truth == ("edges" if has_edges else "nodes" if has_nodes else "none")
