"""Networks of the edge gradients study: PyG's own where it has them, and what training means."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch_geometric.data import Batch, Data
from torch_geometric.datasets import InfectionDataset
from torch_geometric.datasets.graph_generator import ERGraph
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GAT, GCN, GIN, GraphSAGE, SGConv

from glassgraph.datasets.infection import infection
from glassgraph.datasets.negative_evidence import negative_evidence
from glassgraph.errors import DatasetError
from glassgraph_studies.reference.gnn_explainer import PYG
from glassgraph_studies.reproduce.edge_gradients import infection as infected
from glassgraph_studies.reproduce.edge_gradients import models, scenes
from glassgraph_studies.reproduce.edge_gradients.models import (
    HIDDEN,
    Kind,
    LayeredNetwork,
    Recipe,
    TwoClasses,
    negative_evidence_network,
)
from studies.tests.citations import citations

SMALL = {"num_graphs": 2, "num_nodes": 113, "edge_probability": 0.02}
QUICK = Recipe(1e-5, epochs=3, patience=3, batch_size=4)


@pytest.fixture(autouse=True)
def few_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "EPOCHS", 200)


def graph(seed: int = 0) -> Data:
    generator = torch.Generator().manual_seed(seed)
    return Data(
        x=torch.randn(7, 5, generator=generator),
        edge_index=torch.randint(7, (2, 17), generator=generator),
        edge_attr=torch.randn(17, 3, generator=generator),
    )


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize(
    ("kind", "theirs", "options"),
    [("gcn", GCN, {}), ("gat", GAT, {"v2": True, "heads": 4}), ("gin", GIN, {})],
)
def test_node_networks_are_those_of_pyg(
    kind: Kind, theirs: Any, options: dict[str, Any], num_layers: int
) -> None:
    torch.manual_seed(1)
    their = theirs(5, HIDDEN, num_layers, 8, dropout=0.5, **options).eval()
    ours = LayeredNetwork(kind, 5, 8, num_layers).eval()
    with torch.no_grad():
        for mine, other in zip(ours.parameters(), their.parameters(), strict=True):
            mine.copy_(other)
    data = graph()
    torch.testing.assert_close(ours(data.x, data.edge_index), their(data.x, data.edge_index))


def test_sgc_is_pygs_and_affine_in_its_features() -> None:
    model = LayeredNetwork("sgc", 5, 4, 3).eval().double()
    one, other = graph(0), graph(1)
    run = lambda x: model(x.double(), one.edge_index)  # noqa: E731
    middle = run(0.3 * one.x.double() + 0.7 * other.x.double())
    torch.testing.assert_close(middle, 0.3 * run(one.x) + 0.7 * run(other.x))
    x = one.x.double()
    for conv in model.convs:
        layer = SGConv(conv.in_channels, conv.out_channels).double()
        layer.lin.weight, layer.lin.bias = conv.lin.weight, conv.bias
        x = layer(x, one.edge_index)
    torch.testing.assert_close(run(one.x), x)


@pytest.mark.parametrize("kind", ["gcn", "gat", "gin"])
def test_graphs_side_by_side_do_not_mix(kind: Kind) -> None:
    torch.manual_seed(0)
    model = LayeredNetwork(kind, 5, 1, 3, edge_channels=3, is_pooled=True).eval()
    parts = [graph(0), graph(1)]
    both: Any = Batch.from_data_list(parts)
    together = model(both.x, both.edge_index, both.edge_attr, both.batch)
    alone = [model(each.x, each.edge_index, each.edge_attr) for each in parts]
    torch.testing.assert_close(together, torch.cat(alone))
    other = model(parts[0].x, parts[0].edge_index, 2 * parts[0].edge_attr)
    assert bool((other == alone[0]).all()) == (kind == "gcn")
    if kind == "gin":  # not one unit, as the output has
        assert model.convs[-1].nn[0].out_features == HIDDEN


def test_two_classes_have_the_loss_of_one_logit() -> None:
    class Fixed(torch.nn.Module):
        def forward(self, x: Tensor, edge_index: Tensor, **_: Any) -> Tensor:
            return x

    logit = torch.tensor([[-3.0], [0.2], [5.0]])
    label = torch.tensor([0, 1, 0])
    output = TwoClasses(Fixed())(logit, torch.zeros(2, 0, dtype=torch.long))
    expected = functional.binary_cross_entropy_with_logits(logit[:, 0], label.float())
    torch.testing.assert_close(functional.cross_entropy(output, label), expected)


@pytest.mark.parametrize("num_colors", [2, 3])
def test_colors_weigh_and_white_does_not(num_colors: int) -> None:
    sizes = SMALL if num_colors == 2 else {**SMALL, "num_nodes": 397}
    dataset = negative_evidence(0, num_colors=num_colors, **sizes)
    network = negative_evidence_network(dataset, 0, progress=False)
    assert network.accuracy["test"] > 0.98
    (weight,) = (each.detach() for each in network.model.parameters())
    assert weight.shape == (1 if num_colors == 2 else 3, num_colors + 1)
    assert weight[:, 0].abs().max() < 0.2 * weight[:, 1:].abs().max()
    if num_colors == 2:  # class 1 is "more of the first color"
        assert weight[0, 1] > 1
        assert weight[0, 1] == pytest.approx(-float(weight[0, 2]), rel=0.3)
    else:
        assert (weight[:, 1:].argmax(dim=1) == torch.arange(3)).all()


def test_infection_is_trained_graph_by_graph() -> None:
    dataset = infection(
        1, num_graphs=3, num_nodes=60, edge_probability=0.05, num_infected=5, directed=False
    )
    one, same = (infected.infection_network(dataset, 2, epochs=20) for _ in range(2))
    untrained = infected.infection_network(dataset, 2, epochs=0)
    assert one.accuracy == same.accuracy
    assert one.accuracy["train"] > untrained.accuracy["train"]
    before = torch.random.get_rng_state()
    infected.infection_network(dataset, 3, epochs=1)
    assert torch.equal(before, torch.random.get_rng_state())


def test_infection_drawn_by_pyg_is_that_of_the_authors_script() -> None:
    """Written out in the order of the script, which clips gradients before there are any."""
    state = torch.random.get_rng_state()
    graph, network = infected.infection_of_pyg(3, 3, 40, 0.1, 4, epochs=2)
    assert torch.equal(state, torch.random.get_rng_state())
    with torch.random.fork_rng():
        torch.manual_seed(3)
        drawn = InfectionDataset(
            graph_generator=ERGraph(num_nodes=40, edge_prob=0.1),
            num_graphs=3,
            num_infected_nodes=4,
            max_path_length=4,
        )
        loader = DataLoader(drawn[:2], shuffle=True)
        model = GraphSAGE(2, hidden_channels=20, num_layers=4, out_channels=6, aggr="sum")
        optimizer = torch.optim.Adam(model.parameters(), lr=0.005, weight_decay=3e-4)
        for _ in range(2):
            model.train()
            for data in loader:
                optimizer.zero_grad()
                loss = functional.cross_entropy(model(data.x, data.edge_index), data.y)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
                loss.backward()
                optimizer.step()
    assert torch.equal(graph.edge_index, drawn[-1].edge_index)
    pairs = zip(network.model.parameters(), model.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_masks_start_as_in_pyg_and_settings_are_the_published_ones() -> None:
    scene = next(
        scenes.make_scenes("negative-evidence", None, (), 0, None, 9, progress=False, **SMALL)
    )
    gain = torch.nn.init.calculate_gain("relu")
    assert scene.gnn_explainer == {
        **PYG,
        "feature_mask": "none",
        "init_scale": pytest.approx(gain * math.sqrt(2 / (2 * 113))),
        "edge_entropy": 0.0,
        "edge_size": 0.001,
        "learning_rate": 0.5,
    }
    assert scene.epsilon == 0.001
    assert scene.shared["mode"] == "binary_classification"
    assert len(scene.index) == 9
    assert scene.data.is_asked[scene.index].all()
    assert (scene.data.node_graph[scene.index] == 1).all()


def write_trees(root: Path) -> Path:
    folder = root / "sst_trees"
    folder.mkdir()
    good, bad = "(4 (2 a) (4 (4 fine) (2 film)))", "(0 (1 (0 bad) (2 film)) (2 !))"
    for name in ("train", "dev", "test"):
        (folder / f"{name}.txt").write_text(f"{good}\n{bad}\n(3 fine)\n(1 bad)\n" * 2)
    (root / "glove_small").mkdir()
    vectors = root / "glove_small" / "glove-50d-5k.json"
    vectors.write_text('{"fine": [1.0, 0.5], "bad": [-1.0, 0.2], "film": [0.1, 0.1]}')
    return root


def test_sentences_of_one_word_are_not_explained(tmp_path: Path) -> None:
    (scene,) = scenes.make_scenes(
        "sentiment", ["gin"], (2,), 0, write_trees(tmp_path), None, QUICK, progress=False
    )
    assert scene.index.tolist() == [16, 17, 20, 21]
    assert scene.shared["mode"] == "binary_classification"
    assert "init_scale" not in scene.gnn_explainer
    assert (scene.model, scene.layers, scene.task) == ("gin", 2, "graph")


def test_papers_are_split_as_by_the_authors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(scenes, "planetoid", lambda name, root: citations())
    (tmp_path / "planetoid").mkdir()
    data = scenes._from_files("cora", 3, tmp_path)
    assert [len(data.split[part]) for part in ("train", "val", "test")] == [28, 19, 13]
    ends = set(data.graphs[0].edge_index[1].tolist())
    assert data.explained.tolist() == [v for v in data.split["test"].tolist() if v in ends]
    (scene,) = scenes.make_scenes("cora", ["sgc"], (1,), 3, tmp_path, 5, QUICK, progress=False)
    assert scene.data.x.dtype == torch.float64
    assert scene.is_linear
    assert len(scene.index) == 5


def test_molecules_are_those_of_class_1(shared: Path) -> None:
    data = scenes._from_files("mutag", 1, shared / "data")
    assert [len(data.split[part]) for part in ("train", "val", "test")] == [112, 37, 39]
    assert all(int(data.graphs[i].y) == 1 for i in data.explained.tolist())
    assert set(data.explained.tolist()) <= set(data.split["test"].tolist())


def test_nothing_to_explain_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cora is read from files: root must be a folder that"):
        next(scenes.make_scenes("cora", None, (1,), 0, tmp_path, None, progress=False))
    lonely = {"num_graphs": 2, "num_nodes": 20, "num_infected": 2, "edge_probability": 0.0}
    with pytest.raises(DatasetError, match="infection: there is nothing to explain"):
        next(scenes.make_scenes("infection", None, (), 0, None, None, progress=False, **lonely))
