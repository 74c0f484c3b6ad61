"""Links between nodes of two types: every model by hand, every method, what is given wrongly."""

import copy

import pytest
import torch
from torch import nn
from torch_geometric.data import Batch, HeteroData
from torch_geometric.explain import Explainer

import glassgraph as gg
from glassgraph.errors import GlassgraphError, InstanceError, TaskError
from glassgraph.explainers.registry import METHODS, make_explainer
from tests.cli.helpers import run
from tests.hetero.link_models import (
    BUYS,
    LIKES,
    LINKS,
    MODELS,
    RELATIONS,
    SUMS,
    HeteroLayers,
    ScoresByType,
    gated,
    link_data,
    link_set_up,
    open_gates,
    scores,
)
from tests.hetero.test_heterogeneous import short

TASK = gg.Task("edge", mode="binary_classification")
#: What these methods explain are nodes, graphs, or graphs with one type of nodes.
OTHERS = {"cam", "grad_cam", "graph_lime", "zorro"}


def masks(explanation: gg.HeteroExplanation) -> dict[tuple[str, str, str], torch.Tensor]:
    return {kind: explanation[kind].edge_mask for kind in RELATIONS}


@pytest.mark.parametrize("name", SUMS)
def test_occlusion_is_what_deleting_an_edge_does(name: str) -> None:
    model, data = link_set_up(name)
    found = gg.explain(model, data, "occlusion", TASK, target=1, progress=False)
    with torch.no_grad():
        full = scores(model, data, LINKS)
        for kind in RELATIONS:
            for edge in range(data[kind].num_edges):
                edges = dict(data.edge_index_dict)
                is_kept = torch.arange(data[kind].num_edges) != edge
                edges[kind] = edges[kind][:, is_kept]
                fall = full - scores(model, data, LINKS, edges)
                own = torch.stack([masks(each)[kind][edge] for each in found])
                torch.testing.assert_close(own, fall)


@pytest.mark.parametrize("name", MODELS)
def test_occlusion_is_what_shutting_an_edge_does(name: str) -> None:
    model, data = link_set_up(name)
    found = gg.explain(model, data, "occlusion", TASK, target=1, progress=False)
    with torch.no_grad():
        full = scores(model, data, LINKS)
        for kind in RELATIONS:
            for edge in range(data[kind].num_edges):
                gates = open_gates(data)
                gates[kind][edge] = 0
                with gated(model, data, gates):
                    fall = full - scores(model, data, LINKS)
                own = torch.stack([masks(each)[kind][edge] for each in found])
                torch.testing.assert_close(own, fall)


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_those_of_autograd(name: str) -> None:
    model, data = link_set_up(name)
    found = gg.explain(model, data, "edge_gradients", TASK, target=1, progress=False)
    for link, explanation in enumerate(found):
        gates = {kind: each.requires_grad_() for kind, each in open_gates(data).items()}
        with gated(model, data, gates):
            score = scores(model, data, LINKS)[link]
        by_hand = torch.autograd.grad(score, list(gates.values()))
        for kind, gradient in zip(gates, by_hand, strict=True):
            torch.testing.assert_close(masks(explanation)[kind], gradient)


@pytest.mark.parametrize("name", MODELS)
def test_saliency_is_that_of_the_features(name: str) -> None:
    model, data = link_set_up(name)
    found = gg.explain(model, data, "saliency", TASK, target=1, progress=False)
    for link, explanation in enumerate(found):
        own = copy.copy(data)
        leaves = [data[kind].x.clone().requires_grad_() for kind in data.node_types]
        for kind, x in zip(data.node_types, leaves, strict=True):
            own[kind].x = x
        by_hand = torch.autograd.grad(scores(model, own, LINKS)[link], leaves, allow_unused=True)
        for kind, x, gradient in zip(data.node_types, leaves, by_hand, strict=True):
            expected = torch.zeros_like(x) if gradient is None else gradient.square()
            torch.testing.assert_close(explanation[kind].node_mask, expected)


def explain(method: str, model: nn.Module, data: HeteroData, task: gg.Task = TASK, **more):
    explainer = make_explainer(method, model, task, progress=False, **short(method))
    if explainer.needs_fit:
        explainer.fit(data)  # type: ignore[attr-defined]
    return explainer.explain(data, **more)


def is_refused(method: str, name: str) -> bool:
    return method in OTHERS or (method == "attention" and name != "gat")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_explains_links(method: str, name: str) -> None:
    model, data = link_set_up(name)
    if is_refused(method, name):
        with pytest.raises(GlassgraphError, match=r"explains|graphs with one type|no layer shows"):
            explain(method, model, data)
        return
    together = explain(method, model, data, index=[0, 3])
    assert [each.local.title for each in together] == ["user 0 → item 1", "user 2 → item 4"]
    for each in together:
        found = torch.cat(list(masks(each).values()))
        assert found.isfinite().all()
        assert found.abs().sum() > 0
        assert each.local.seed_type == ["user", "item"]


@pytest.mark.parametrize("method", ["occlusion", "edge_gradients", "causal_screening", "random"])
def test_many_links_at_once_equal_one_by_one(method: str) -> None:
    model, data = link_set_up("rgcn_distmult")
    together = explain(method, model, data)
    for number in range(LINKS.size(1)):
        alone = explain(method, model, data, index=[number])
        for kind in RELATIONS:
            torch.testing.assert_close(masks(together[number])[kind], masks(alone[0])[kind])


def test_a_function_of_dictionaries_is_explained() -> None:
    model, data = link_set_up("sage")

    def service(x_dict, edge_index_dict, edge_label_index):
        with torch.no_grad():
            return model(x_dict, edge_index_dict, edge_label_index)

    by_call = gg.CausalScreening(service, TASK, progress=False).explain(data, index=[0, 3])
    inside = gg.CausalScreening(model, TASK, progress=False).explain(data, index=[0, 3])
    for one, other in zip(by_call, inside, strict=True):
        for kind in RELATIONS:
            assert torch.equal(masks(one)[kind], masks(other)[kind])


class ByType(nn.Module):
    """One of the types that `ScoresByType` scores, by itself."""

    def __init__(self, model: ScoresByType, kind: tuple[str, str, str]) -> None:
        super().__init__()
        self.model, self.kind = model, kind

    def forward(self, x_dict, edge_index_dict, edge_label_index):
        links = {self.kind: edge_label_index}
        return self.model(x_dict, edge_index_dict, links)[self.kind]


@pytest.mark.parametrize("kind", [LIKES, BUYS])
def test_of_several_types_of_links_one_is_explained(kind: tuple[str, str, str]) -> None:
    torch.manual_seed(2)
    model, data = ScoresByType().double().eval(), link_data()
    data[BUYS].edge_label_index = torch.tensor([[1, 2], [3, 5]])
    together = gg.explain(model, data, "occlusion", TASK, edge_type=kind, progress=False)
    alone = gg.explain(
        ByType(model, kind), data, "occlusion", TASK, edge_type=kind[1], progress=False
    )
    assert len(together) == len(alone) == data[kind].edge_label_index.size(1)
    for one, other in zip(together, alone, strict=True):
        for each in RELATIONS:
            torch.testing.assert_close(masks(one)[each], masks(other)[each])


class OfTheData(nn.Module):
    """A model that is handed the data."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, data):
        z = self.encoder(data.x_dict, data.edge_index_dict)
        source, target = data[LIKES].edge_label_index
        return (z["user"][source] * z["item"][target]).sum(-1)


def test_models_read_the_data_or_are_called_by_hand() -> None:
    model, data = link_set_up("hetero_conv")
    expected = gg.explain(model, data, "occlusion", TASK, progress=False)
    by_hand = {"call": lambda m, d: m(d.x_dict, d.edge_index_dict, d[LIKES].edge_label_index)}
    ways = [(OfTheData(model.encoder), {}), (model, by_hand)]
    for way, more in ways:
        found = gg.explain(way, data, "occlusion", TASK, progress=False, **more)
        for one, other in zip(found, expected, strict=True):
            assert all(torch.equal(masks(one)[kind], masks(other)[kind]) for kind in RELATIONS)


class ClassifiesEdges(nn.Module):
    """A row for each edge of ``buys``, of its ends and its own features."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = HeteroLayers()
        self.own = nn.Linear(2, 6)

    def forward(self, x_dict, edge_index_dict, edge_attr_dict):
        z = self.encoder(x_dict, edge_index_dict)
        source, target = edge_index_dict[BUYS]
        h = z["user"][source] * z["item"][target] * self.own(edge_attr_dict[BUYS])
        return h[:, :3]


def edges_set_up() -> tuple[nn.Module, HeteroData]:
    torch.manual_seed(3)
    data = link_data()
    del data[LIKES]
    data[BUYS].edge_attr = torch.randn(data[BUYS].num_edges, 2).double()
    data[BUYS].edge_label = torch.arange(data[BUYS].num_edges) % 3
    return ClassifiesEdges().double().eval(), data


def test_edges_are_classified_by_their_ends_and_their_own_features() -> None:
    model, data = edges_set_up()
    task = gg.Task("edge", edge_type="buys")
    chosen = [2, 7, 16]
    found = gg.explain(model, data, "occlusion", task, chosen, target=1, progress=False)
    arguments = data.x_dict, data.edge_index_dict, data.edge_attr_dict
    with torch.no_grad():
        full = model(*arguments)[chosen, 1]
        for kind in RELATIONS:
            for edge in range(data[kind].num_edges):
                gates = open_gates(data)
                gates[kind][edge] = 0
                with gated(model, data, gates):
                    fall = full - model(*arguments)[chosen, 1]
                own = torch.stack([masks(each)[kind][edge] for each in found])
                torch.testing.assert_close(own, fall)


def test_where_edges_are_deleted_the_explained_one_stays() -> None:
    model, data = edges_set_up()
    chosen, task = [2, 7, 16], gg.Task("edge", edge_type=BUYS)
    found = gg.explain(model, data, "occlusion", task, chosen, progress=False)
    fidelity = gg.metrics.fidelity(found, model, data, top_k=1, removal="delete")
    arguments = data.x_dict, data.edge_index_dict, data.edge_attr_dict
    with torch.no_grad():
        full = model(*arguments).softmax(dim=1)
        for number, (index, explanation) in enumerate(zip(chosen, found, strict=True)):
            target, own = explanation.local.target, masks(explanation)
            kind = max(own, key=lambda each: float(own[each].max()))
            best = int(own[kind].argmax())
            assert (kind, best) != (BUYS, index)
            is_kept = torch.arange(data[kind].num_edges) != best
            edges, features = dict(data.edge_index_dict), dict(data.edge_attr_dict)
            edges[kind] = edges[kind][:, is_kept]
            row = index
            if kind == BUYS:
                features[kind], row = features[kind][is_kept], index - int(best < index)
            rest = model(data.x_dict, edges, features).softmax(dim=1)[row]
            fall = full[index, target] - rest[target]
            torch.testing.assert_close(fidelity.plus_prob[0, number].double(), fall)


@pytest.mark.parametrize("method", [each for each in METHODS if each not in (*OTHERS, "attention")])
def test_every_method_explains_edges_of_a_type(method: str) -> None:
    model, data = edges_set_up()
    task = gg.Task("edge", edge_type=("user", "item"))
    (found,) = explain(method, model, data, task, index=[5], target="label")
    assert found.local.target == 5 % 3
    assert torch.cat(list(masks(found).values())).isfinite().all()


@pytest.mark.parametrize("name", MODELS)
def test_links_of_large_graphs_are_checked_around_their_fields(name: str, monkeypatch) -> None:
    model, data = link_set_up(name)
    expected = gg.explain(model, data, "edge_gradients", TASK, progress=False)
    monkeypatch.setattr("glassgraph.core.tracing._SMALL_GRAPH_EDGES", 5)
    how = {"progress": False, "check": "local", "memory_budget": 1 << 20}
    found = gg.explain(model, data, "edge_gradients", TASK, **how)
    for one, other in zip(found, expected, strict=True):
        for kind in RELATIONS:
            torch.testing.assert_close(masks(one)[kind], masks(other)[kind])


def test_edges_of_large_graphs_are_checked_around_their_fields(monkeypatch) -> None:
    model, data = edges_set_up()
    task = gg.Task("edge", edge_type=BUYS)
    expected = gg.explain(model, data, "edge_gradients", task, [2, 7, 16], progress=False)
    monkeypatch.setattr("glassgraph.core.tracing._SMALL_GRAPH_EDGES", 5)
    how = {"progress": False, "check": "local"}
    found = gg.explain(model, data, "edge_gradients", task, [2, 7, 16], **how)
    for one, other in zip(found, expected, strict=True):
        for kind in RELATIONS:
            torch.testing.assert_close(masks(one)[kind], masks(other)[kind])


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
def test_links_that_depend_on_all_nodes_fall_back_to_the_whole_graph() -> None:
    class Centered(nn.Module):
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, x_dict, edge_index_dict, edge_label_index):
            z = self.model.encoder(x_dict, edge_index_dict)
            source, target = edge_label_index
            user, item = (z[kind] - z[kind].mean(0) for kind in ("user", "item"))
            return (user[source] * item[target]).sum(-1)

    inner, data = link_set_up("hetero_conv")
    model = Centered(inner)
    found = gg.explain(model, data, "edge_gradients", TASK, [0, 3], 1, progress=False)
    for explanation in found:
        gates = {kind: each.requires_grad_() for kind, each in open_gates(data).items()}
        with gated(model, data, gates):
            score = model(data.x_dict, data.edge_index_dict, LINKS)[explanation.index]
        by_hand = torch.autograd.grad(score, list(gates.values()))
        for kind, gradient in zip(gates, by_hand, strict=True):
            torch.testing.assert_close(masks(explanation)[kind], gradient)


def test_pairs_labels_and_types_name_links() -> None:
    model, data = link_set_up("sage")
    by_pair = gg.explain(model, data, "saliency", TASK, [(5, 0)], "label", progress=False)
    assert (by_pair.local(0).index, by_pair.local(0).target) == (2, 1)
    by_type = gg.explain(model, data, "saliency", TASK, {LIKES: [2]}, progress=False)
    assert by_type.local(0).seeds.tolist() == [5, 0]
    with pytest.raises(InstanceError, match="no link from node 5 to node 1"):
        gg.explain(model, data, "saliency", TASK, [(5, 1)], progress=False)


def test_links_of_several_graphs() -> None:
    model, data = link_set_up("hetero_conv")
    alone = gg.explain(model, data, "occlusion", TASK, index=[3], progress=False)
    together = Batch.from_data_list([data, data])
    found = gg.explain(model, together, "occlusion", TASK, index=[3, 8], progress=False)
    for each in found:
        assert each.local.title.startswith("user 2 → item 4 of graph")
    for kind in RELATIONS:
        mask = torch.cat([masks(each)[kind] for each in alone] * 1)
        size = data[kind].num_edges
        torch.testing.assert_close(masks(found[0])[kind][:size], mask)
        torch.testing.assert_close(masks(found[1])[kind][-size:], mask)


def test_saved_links_are_read_again(tmp_path) -> None:
    model, data = link_set_up("hgt")
    before = gg.explain(model, data, "edge_gradients", TASK, progress=False)
    before.save(tmp_path)
    after = gg.Explanations.load(tmp_path)
    assert after.provenance["task"]["edge_type"] == list(LIKES)
    for one, other in zip(before, after, strict=True):
        assert one.local.title == other.local.title
        assert all(torch.equal(masks(one)[kind], masks(other)[kind]) for kind in RELATIONS)
    assert torch.equal(after.graph.data[LIKES].edge_label_index, LINKS)


def test_reports_and_pictures_mark_both_ends(tmp_path) -> None:
    from glassgraph.report.payload import seed_positions

    model, data = link_set_up("sage")
    found = gg.explain(model, data, "edge_gradients", TASK, progress=False)
    local = found.local(1)
    marked = seed_positions(local, found)
    names = [(local.node_type[at], int(local.node_id[at])) for at in marked]
    assert names == [("user", 3), ("item", 8)]
    page = found.to_html(tmp_path / "links.html").read_text()
    assert "user 3 → item 8" in page or "user 3 \\u2192 item 8" in page
    found.plot(1)


def test_metrics_of_links() -> None:
    model, data = link_set_up("sage")
    found = gg.explain(model, data, "occlusion", TASK, progress=False)
    again = gg.metrics.fidelity(found, model, data, top_k=1, removal="delete")
    with torch.no_grad():
        full = scores(model, data, LINKS).sigmoid()
        for number, explanation in enumerate(found):
            own = masks(explanation)
            kind = max(own, key=lambda each: float(own[each].max()))
            if own[kind].max() <= 0:
                continue
            edges = dict(data.edge_index_dict)
            is_kept = torch.arange(data[kind].num_edges) != own[kind].argmax()
            edges[kind] = edges[kind][:, is_kept]
            fall = full - scores(model, data, LINKS, edges).sigmoid()
            fall = fall if explanation.local.target else -fall
            torch.testing.assert_close(again.plus_prob[0, number].double(), fall[number])


def test_a_link_whose_ends_receive_nothing_is_explained_by_nothing() -> None:
    model, data = link_set_up("sage")
    found = gg.explain(model, data, "occlusion", TASK, index=[4], progress=False)
    local = found.local(0)
    assert local.title == "user 6 → item 0"
    assert not local.edge_id.numel()


class Renamed(nn.Module):
    """The same with other names of arguments."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x, edges, pairs, edge_label_type=None, extra=None):
        more = [] if edge_label_type is None else [edge_label_type]
        return self.model(x, edges, pairs, *more)


@pytest.mark.parametrize("name", ["sage", "rgcn_distmult"])
@pytest.mark.parametrize("is_renamed", [False, True])
def test_links_of_types_in_the_explainer_of_pyg(name: str, is_renamed: bool) -> None:
    model, data = link_set_up(name)
    expected = gg.explain(model, data, "occlusion", TASK, index=[3], progress=False)[0]
    explainer = Explainer(
        Renamed(model) if is_renamed else model,
        algorithm=gg.as_pyg("occlusion", edge_type=LIKES),
        explanation_type="model",
        edge_mask_type="object",
        model_config={"mode": "binary_classification", "task_level": "edge", "return_type": "raw"},
    )
    links = {"pairs" if is_renamed else "edge_label_index": LINKS}
    if name == "rgcn_distmult":
        links["edge_label_type"] = data[LIKES].edge_label_type
    if is_renamed:
        links["extra"] = None
    found = explainer(data.x_dict, data.edge_index_dict, index=3, **links)
    for kind in RELATIONS:
        torch.testing.assert_close(found[kind].edge_mask, expected[kind].edge_mask)
    if not is_renamed and name == "sage":
        explainer.algorithm._edge_type = None
        with pytest.raises(TaskError, match="say which links or edges the model predicts"):
            explainer(data.x_dict, data.edge_index_dict, index=3, **links)


FILE = """
import torch
from tests.hetero.link_models import link_set_up

def make():
    return link_set_up("sage")[0]
"""


def test_the_command_explains_links_of_a_type(tmp_path) -> None:
    from glassgraph.datasets import save_graphs

    model, data = link_set_up("sage")
    (tmp_path / "net.py").write_text(FILE)
    options = {
        "--data": save_graphs(data, tmp_path / "graph.pt"),
        "--model": f"{tmp_path / 'net.py'}:make",
        "--mode": "binary_classification",
        "--method": "occlusion",
        "--index": "2:4",
        "--out": tmp_path / "out",
    }
    words = [word for pair in options.items() for word in pair]
    result = run("explain", *words, "--edge-type", "user__likes__item", "--quiet")
    assert result.exit_code == 0, result.output
    expected = gg.explain(model, data, "occlusion", TASK, index=[2, 3], progress=False)
    (folder,) = {path.parent for path in (tmp_path / "out").rglob("*.json")} & {
        path.parent for path in (tmp_path / "out").rglob("*.parquet")
    }
    found = gg.Explanations.load(folder)
    assert [each.local.title for each in found] == ["user 5 → item 0", "user 2 → item 4"]
    for one, other in zip(found, expected, strict=True):
        assert all(torch.equal(masks(one)[kind], masks(other)[kind]) for kind in RELATIONS)
    wrong = run("explain", *words, "--edge-type", "like", "--overwrite", "--quiet")
    assert wrong.exit_code == 2
    assert "did you mean ('user', 'likes', 'item')?" in wrong.stderr


# What is given wrongly


def test_an_unknown_edge_type_is_named() -> None:
    model, data = link_set_up("sage")
    for given in (("user", "like", "item"), "like"):
        with pytest.raises(TaskError, match=r"no edge type .*did you mean .*likes"):
            gg.explain(model, data, "saliency", TASK, edge_type=given)
    with pytest.raises(TaskError, match=r"may be any of .*buys.*likes"):
        gg.explain(model, data, "saliency", TASK, edge_type=("user", "item"))


def test_several_types_with_links_need_a_name() -> None:
    model, data = link_set_up("sage")
    data[BUYS].edge_label_index = LINKS[:, :2]
    with pytest.raises(TaskError, match=r"say which one is predicted: edge_type=\('user', "):
        gg.explain(model, data, "saliency", TASK)


def test_a_type_without_links_is_refused() -> None:
    model, data = link_set_up("sage")
    with pytest.raises(InstanceError, match=r"\('user', 'likes', 'item'\) have one"):
        gg.explain(model, data, "saliency", TASK, edge_type="buys")
    del data[LIKES]
    with pytest.raises(InstanceError, match="of one of the edge types"):
        gg.explain(model, data, "saliency", TASK)


@pytest.mark.parametrize(
    ("links", "match"),
    [
        ([[0], [9]], r"destination item 9, but there are 9 nodes of type 'item' \(0 to 8\)"),
        ([[7], [8]], r"source user 7, but there are 7 nodes of type 'user'"),
        ([[-1], [0]], r"source user -1"),
        ([[0.0], [1.0]], r"of \('user', 'likes', 'item'\) is torch.float32"),
        ([0, 1], r"has shape \(2,\)"),
    ],
)
def test_links_out_of_range_are_named(links, match: str) -> None:
    model, data = link_set_up("sage")
    data[LIKES].edge_label_index = torch.tensor(links)
    with pytest.raises(InstanceError, match=match):
        gg.explain(model, data, "saliency", TASK)


def test_attributes_of_links_need_a_row_for_each() -> None:
    model, data = link_set_up("rgcn_distmult")
    data[LIKES].edge_label_type = torch.zeros(3, dtype=torch.long)
    with pytest.raises(InstanceError, match="edge_label_type has 3 rows for 5 links"):
        gg.explain(model, data, "saliency", TASK)


def test_types_are_for_what_has_them() -> None:
    model, data = link_set_up("sage")
    with pytest.raises(TaskError, match="node_type is for tasks about nodes"):
        gg.explain(model, data, "saliency", gg.Task("edge", node_type="user"))
    with pytest.raises(TaskError, match="edge_type is for level 'edge'"):
        gg.Task("node", edge_type="likes")
    plain = data.to_homogeneous()
    plain.x = torch.randn(plain.num_nodes, 3)
    with pytest.raises(TaskError, match="edge_type is for heterogeneous graphs"):
        gg.explain(model, plain, "saliency", TASK, edge_type="likes")
    edges_model, edges = edges_set_up()
    with pytest.raises(TaskError, match=r"have edges; say which one is predicted"):
        gg.explain(edges_model, edges, "saliency", "edge")
