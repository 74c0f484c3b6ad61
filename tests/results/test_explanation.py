"""The result: PyG's own tools work on it, and its views say what it holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch_geometric import explain as pyg
from torch_geometric.data import Batch, Data
from torch_geometric.explain.metric import fidelity, unfaithfulness

import glassgraph as gg
from glassgraph.testing.cases import EDGES, NODES, Case
from glassgraph.testing.compare import scores
from glassgraph.testing.networks import FEATURES

NODE, GRAPH, LINK = Case("gin", "node"), Case("gin", "graph"), Case("gin", "edge")
LEVELS = pytest.mark.parametrize("case", [NODE, GRAPH, LINK], ids=str)


def saliency(case: Case = NODE, target: object = 1) -> gg.Explanations:
    explainer = gg.Saliency(case.model(), case.task(), progress=False)
    return explainer.explain(case.data(), case.index, target)


def one_of(case: Case, position: int) -> Data:
    data = case.data()
    return data[case.index[position]] if case.level == "graph" else data


# PyG's tools


@LEVELS
def test_it_is_a_valid_pyg_explanation(case: Case) -> None:
    for position, explanation in enumerate(saliency(case)):
        data = one_of(case, position)
        assert isinstance(explanation, pyg.Explanation)
        assert explanation.validate(raise_on_error=True)
        assert "edge_mask" in explanation.available_explanations
        assert "node_mask" in explanation.available_explanations
        assert torch.equal(explanation.x, data.x)
        assert torch.equal(explanation.edge_index, data.edge_index)
        assert explanation.edge_mask.shape == (data.num_edges,)
        assert explanation.node_mask.shape == (data.num_nodes, FEATURES)


@LEVELS
def test_subgraph_and_complement(case: Case) -> None:
    for explanation in saliency(case):
        del explanation.node_mask  # PyG would leave out nodes as well
        kept, dropped = (
            explanation.get_explanation_subgraph(),
            explanation.get_complement_subgraph(),
        )
        mask = explanation.edge_mask
        assert kept.edge_mask.numel() == int((mask > 0).sum())
        assert dropped.edge_mask.numel() == int((mask == 0).sum())
        assert kept.edge_mask.numel() + dropped.edge_mask.numel() == mask.numel()
        assert torch.equal(kept.edge_index, explanation.edge_index[:, mask > 0])


def pyg_explainer(case: Case) -> pyg.Explainer:
    return pyg.Explainer(
        case.model(),
        algorithm=pyg.DummyExplainer(),
        explanation_type="model",
        node_mask_type="attributes",
        edge_mask_type="object",
        model_config={
            "mode": "multiclass_classification",
            "task_level": case.level,
            "return_type": "raw",
        },
    )


@pytest.mark.parametrize("case", [NODE, GRAPH], ids=str)
def test_pygs_fidelity_is_what_removal_gives(case: Case) -> None:
    """PyG multiplies masks into the model; with binary masks that is deleting, here by hand."""
    model = case.model()
    for position, explanation in enumerate(saliency(case, None)):
        best = explanation.edge_mask.topk(3).indices
        explanation.edge_mask = torch.zeros_like(explanation.edge_mask)
        explanation.edge_mask[best] = 1
        del explanation.node_mask
        data = one_of(case, position)
        if case.level == "graph":
            explanation.batch = torch.zeros(data.num_nodes).long()
            explanation._model_args = ["batch"]
            row, arguments = 0, {"batch": explanation.batch}
        else:
            row, arguments = case.index[position], {}

        def predict(
            edges: Tensor, data: Data = data, row: int = row, arguments: dict = arguments
        ) -> int:
            with torch.no_grad():
                return int(model(data.x, data.edge_index[:, edges], **arguments)[row].argmax())

        plus, minus = fidelity(pyg_explainer(case), explanation)
        is_kept = explanation.edge_mask > 0
        full = predict(torch.ones_like(is_kept))
        assert int(explanation.prediction.argmax()) == full
        assert plus == float(predict(~is_kept) != full)
        assert minus == float(predict(is_kept) != full)


def test_pygs_unfaithfulness_is_that_of_an_explanation_of_its_own() -> None:
    """PyG reads an entry ``prediction`` as the model's output on all nodes; there must be none."""
    explanation = saliency()[0]
    names = ("x", "edge_index", "edge_mask", "node_mask", "index", "target")
    own = pyg.Explanation(**{name: explanation[name] for name in names})
    own._model_args = []
    for top_k in (None, 2, 5):
        found = unfaithfulness(pyg_explainer(NODE), explanation, top_k=top_k)
        assert found == unfaithfulness(pyg_explainer(NODE), own, top_k=top_k)
        assert 0 <= found <= 1


@LEVELS
def test_pygs_drawing_writes_a_file(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "graph.png"
    saliency(case)[0].visualize_graph(str(path), backend="networkx")
    assert path.stat().st_size > 1000
    path = tmp_path / "features.png"
    saliency(case)[0].visualize_feature_importance(str(path), top_k=3)
    assert path.stat().st_size > 1000


def test_it_can_be_batched_and_cloned() -> None:
    found = list(saliency(GRAPH))
    twin = found[0].clone()
    assert torch.equal(twin.edge_mask, found[0].edge_mask)
    masks = torch.cat([each.edge_mask for each in found])
    plain = [
        Data.from_dict({k: v for k, v in each.to_dict().items() if k != "local"}) for each in found
    ]
    assert torch.equal(Batch.from_data_list(plain).edge_mask, masks)


# What the masks say


@LEVELS
def test_local_and_dense_masks_agree(case: Case) -> None:
    explainer = gg.EdgeGradients(case.model(), case.task(), progress=False)
    for position, explanation in enumerate(explainer.explain(case.data(), case.index, 1)):
        local, data = explanation.local, one_of(case, position)
        ends = local.node_id[local.edge_index]
        assert torch.equal(ends, data.edge_index[:, local.edge_id])
        assert torch.equal(explanation.edge_mask[local.edge_id], local.edge_score)
        assert torch.equal(explanation.layer_edge_mask[:, local.edge_id], local.layer_edge_score)
        outside = torch.ones(data.num_edges).bool()
        outside[local.edge_id] = False
        assert not explanation.edge_mask[outside].any()


def test_an_instance_describes_itself() -> None:
    data = NODE.data()
    found = saliency()
    for position, node in enumerate(NODE.index):
        local = found.local(position)
        output = NODE.model()(data.x, data.edge_index).detach()
        assert (local.index, local.graph, local.target) == (node, 0, 1)
        assert local.label == int(data.y[node])
        assert local.seeds.tolist() == [node]
        torch.testing.assert_close(local.prediction, output[node].softmax(-1))
        assert found[position].index == node
        assert int(found[position].target[node]) == 1
    pair = saliency(LINK, (2, 0))
    assert pair.local(1).target == (2, 0)
    assert pair.local(1).seeds.tolist() == LINK.data().edge_label_index[:, 0].tolist()
    graphs = saliency(GRAPH)
    assert [graphs.local(i).graph for i in range(2)] == GRAPH.index
    assert graphs.local(0).seeds.tolist() == []
    assert graphs.local(0).node_id.tolist() == list(range(11))


def test_ground_truth_is_that_of_the_instance() -> None:
    data = NODE.data()
    data.node_motif = torch.full((NODES,), -1)
    data.node_motif[[4, 9]] = torch.tensor([0, 1])
    data.edge_motif = torch.arange(EDGES) % 3 - 1
    found = gg.Saliency(NODE.model(), progress=False).explain(data, [4, 9, 17])
    for position, motif in ((0, 0), (1, 1)):
        local = found.local(position)
        assert torch.equal(local.edge_truth, data.edge_motif[local.edge_id] == motif)
    assert found.local(2).edge_truth is None
    graphs = GRAPH.data()
    for each in graphs:
        each.ground_truth_edge_mask = torch.arange(each.num_edges) % 2 == 0
    local = gg.Saliency(GRAPH.model(), "graph", progress=False).explain(graphs, [1]).local(0)
    assert torch.equal(local.edge_truth, graphs[1].ground_truth_edge_mask[local.edge_id])


# The collection


def test_slicing() -> None:
    found = saliency()
    part = found[1:]
    assert isinstance(part, gg.Explanations)
    assert [each.local.index for each in part] == NODE.index[1:]
    assert [each.local.index for each in found[::-1]] == NODE.index[::-1]
    assert found[-1].local.index == NODE.index[-1]
    assert len(found[5:]) == 0
    assert torch.equal(part[0].edge_mask, found[1].edge_mask)
    with pytest.raises(IndexError):
        found[3]


@pytest.mark.parametrize("budget", [1, 1 << 30])
@pytest.mark.parametrize(
    "cut", [slice(1, None), slice(None, None, -1), slice(0, 1), slice(3, 9), slice(None, None, 2)]
)
def test_a_slice_is_saved_as_it_is(cut: slice, budget: int, tmp_path: Path) -> None:
    """The folder holds the slice in its order, not what it was cut from."""
    explainer = gg.EdgeGradients(NODE.model(), memory_budget=budget, progress=False)
    part = explainer.explain(NODE.data(), NODE.index, 1)[cut]
    loaded = gg.Explanations.load(part.save(tmp_path))
    assert [each.local.index for each in loaded] == NODE.index[cut]
    for one, other in zip(part, loaded, strict=True):
        assert torch.equal(one.layer_edge_mask, other.layer_edge_mask)
        assert torch.equal(one.local.edge_index, other.local.edge_index)


def test_frame() -> None:
    explainer = gg.EdgeGradients(NODE.model(), progress=False)
    found = explainer.explain(NODE.data(), NODE.index, 1)
    frame = found.to_frame()
    assert len(frame) == sum(found.local(i).edge_id.numel() for i in range(3))
    assert list(frame.columns) == [
        "position",
        "index",
        "graph",
        "edge_id",
        "source",
        "destination",
        "score",
        "layer_0",
        "layer_1",
    ]
    row = frame[frame.position == 1].iloc[0]
    edge = int(row.edge_id)
    assert row["index"] == NODE.index[1]
    assert [row.source, row.destination] == NODE.data().edge_index[:, edge].tolist()
    assert row.score == found[1].edge_mask[edge].item()
    assert row.layer_0 + row.layer_1 == pytest.approx(row.score)


def test_html_for_notebooks() -> None:
    found = saliency()
    text = found._repr_html_()
    assert "saliency" in text
    local = found.local(0)
    best = int(local.edge_score.argmax())
    source, destination = local.node_id[local.edge_index[:, best]].tolist()
    assert f"{source}→{destination}" in text
    assert text.count("<tr>") == 4
    everything = gg.Random(NODE.model(), progress=False).explain(NODE.data())
    assert f"and {NODES - 10} more" in everything._repr_html_()
    assert repr(found) == "Explanations('saliency', 3 node predictions)"


def test_networkx() -> None:
    explanation = saliency()[0]
    graph = explanation.to_networkx()
    assert set(graph.nodes) == set(explanation.local.node_id.tolist())
    assert graph.number_of_edges() == explanation.local.edge_id.numel()  # parallel ones too
    for source, destination, values in graph.edges(data=True):
        edge = values["edge_id"]
        assert [source, destination] == explanation.edge_index[:, edge].tolist()
        assert values["score"] == explanation.edge_mask[edge].item()
    node = NODE.index[0]
    assert graph.nodes[node]["score"] == explanation.node_score[node].item()


def test_masks_follow_a_batch_of_graphs() -> None:
    """A list, a Batch of it, and each graph alone are explained alike."""
    graphs, model = GRAPH.data(), GRAPH.model()
    explainer = gg.EdgeGradients(model, "graph", progress=False)
    of_list = explainer.explain(graphs, target=1)
    of_batch = explainer.explain(Batch.from_data_list(graphs), target=1)
    for number, graph in enumerate(graphs):
        (alone,) = explainer.explain(graph, target=1)
        for found in (of_list[number], of_batch[number]):
            for name, value in scores(found).items():
                torch.testing.assert_close(value, scores(alone)[name], rtol=1e-10, atol=1e-13)
