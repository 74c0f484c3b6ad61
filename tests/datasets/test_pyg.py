"""PyG data sets become explanation data sets; parts that do not fit together are refused."""

import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.datasets import ExplainerDataset, FakeDataset
from torch_geometric.datasets.graph_generator import BAGraph

from glassgraph.datasets import ExplanationDataset, from_pyg, load_dataset
from glassgraph.datasets.base import motif_components, stratified_split
from glassgraph.errors import DatasetError


def path_graph(num_nodes, y):
    line = torch.arange(num_nodes - 1)
    forth = torch.stack([line, line + 1])
    edge_index = torch.cat([forth, forth.flip(0)], dim=1)
    return Data(x=torch.ones(num_nodes, 2), edge_index=edge_index, y=y)


def test_any_pyg_data_set_of_graphs():
    dataset = from_pyg(FakeDataset(num_graphs=23, task="graph", num_classes=2), "graph", seed=1)
    assert (dataset.name, dataset.level, len(dataset.graphs)) == ("FakeDataset", "graph", 23)
    assert torch.equal(dataset.explained, dataset.split["test"])
    with pytest.raises(DatasetError, match="no ground truth"):
        dataset.truth(0)


def test_masks_of_the_graph_become_the_split():
    graph = path_graph(7, torch.tensor([0, 1, 0, 1, 2, 0, 1]))
    graph.train_mask = torch.tensor([1, 1, 1, 0, 0, 0, 0]).bool()
    graph.val_mask = torch.tensor([0, 0, 0, 1, 0, 0, 0]).bool()
    graph.test_mask = torch.tensor([0, 0, 0, 0, 0, 1, 1]).bool()
    dataset = from_pyg([graph], "node", name="line")
    assert {part: ids.tolist() for part, ids in dataset.split.items()} == {
        "train": [0, 1, 2],
        "val": [3],
        "test": [5, 6],
    }
    assert dataset.num_classes == 3


def test_explainer_data_sets_keep_their_truth():
    original = ExplainerDataset(BAGraph(19, 2), motif_generator="house", num_motifs=3)
    dataset = from_pyg(original, "node")
    graph = dataset.graphs[0]
    assert torch.equal(graph.ground_truth_edge_mask, original[0].edge_mask > 0)
    assert torch.equal(graph.node_motif >= 0, original[0].node_mask > 0)
    assert int(graph.node_motif.max()) + 1 == 3
    assert all(int(dataset.truth(i).sum()) == 12 for i in dataset.explained.tolist())
    assert "edge_motif" not in original[0]


def test_components_are_numbered_by_their_smallest_node():
    edges = torch.tensor([[5, 3, 0, 1, 3, 4, 2], [3, 5, 1, 0, 4, 3, 0]])
    mask = torch.tensor([1, 1, 1, 1, 1, 1, 0]).bool()
    edge_motif, node_motif = motif_components(edges, mask, 7)
    assert node_motif.tolist() == [0, 0, -1, 1, 1, 1, -1]
    assert edge_motif.tolist() == [1, 1, 0, 0, 1, 1, -1]


def test_split_keeps_the_share_of_every_class():
    labels = torch.tensor([0] * 500 + [1] * 100 + [2] * 30)
    split = stratified_split(labels, seed=4)
    counts = {part: torch.bincount(labels[ids]).tolist() for part, ids in split.items()}
    assert [len(split[part]) for part in ("train", "val", "test")] == [504, 63, 63]
    for counted, exact in zip(counts["train"], (400, 80, 24), strict=True):
        assert abs(counted - exact) <= 2
    assert torch.cat(list(split.values())).unique().numel() == len(labels)


@pytest.mark.parametrize(
    ("graphs", "level", "message"),
    [
        ([], "node", "empty"),
        ([path_graph(3, torch.tensor([0, 1, 0]))], "edge", "level must be"),
        ([path_graph(3, torch.tensor([0, 1]))], "node", "one class number"),
        ([path_graph(3, torch.tensor([0.5, 1.0, 2.0]))], "node", "one class number"),
        ([path_graph(3, torch.tensor([0, 1]))], "graph", "graph 0: y must hold"),
        (["text"], "graph", "graph 0 is a str"),
        ([path_graph(n, torch.zeros(n, dtype=torch.long)) for n in (3, 5)], "node", "one graph"),
    ],
)
def test_unfit_data_sets_are_refused(graphs, level, message):
    with pytest.raises(DatasetError, match=message):
        from_pyg(graphs, level)


def part(**changes):
    graph = path_graph(5, torch.tensor([0, 1, 0, 1, 1]))
    ids = {"train": torch.tensor([0, 1]), "val": torch.tensor([2]), "test": torch.tensor([4])}
    fields = {
        "name": "small",
        "level": "node",
        "graphs": [graph],
        "num_classes": 2,
        "num_features": 2,
        "explained": torch.tensor([4]),
        "split": ids,
        "license": "CC0",
        "source": "here",
    }
    return {**fields, **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"graphs": []}, "empty"),
        ({"explained": torch.tensor([5])}, r"explained: ids must lie in \[0, 5\)"),
        ({"explained": torch.tensor([0.0])}, "ids must be int64"),
        ({"split": {"train": torch.tensor([0])}}, "split needs"),
        ({"split": dict.fromkeys(("train", "val", "test"), torch.tensor([1]))}, "overlap"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, message):
    assert ExplanationDataset(**part()).num_items == 5
    with pytest.raises(DatasetError, match=message):
        ExplanationDataset(**part(**changes))


def test_truth_out_of_range_is_refused():
    dataset = load_dataset("tree-cycles")
    with pytest.raises(DatasetError, match=r"\[0, 871\), got 871"):
        dataset.truth(871)
