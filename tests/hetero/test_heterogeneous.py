"""Heterogeneous graphs: masks keyed by edge type, on every kind of heterogeneous model."""

import warnings
from typing import Any

import pytest
import torch
from torch import nn
from torch_geometric.data import HeteroData
from torch_geometric.nn import (
    GATConv,
    HANConv,
    HeteroConv,
    HGTConv,
    SAGEConv,
    to_hetero,
)
from torch_geometric.nn.conv import MessagePassing

import glassgraph as gg
from glassgraph.calling.protect import protected
from glassgraph.explainers.registry import METHODS, make_explainer
from tests.laws.cases import HETERO, hetero_models, scope

AUTHORS, PAPERS, VENUES = 11, 13, 5
#: Settings in the place of a method's ``test_settings``.
OWN: dict[str, dict[str, Any]] = {
    "graphmask": {"steps": 20, "tolerance": 1e9, "max_changed": 1.0},
    "information_bottleneck": {"steps": 20, "tolerance": 1e9},
    "erasure_search": {"exact_up_to": 5, "keep_effect": 0.8, "share": 0.5},
    "pgm_explainer": {"min_drop": 0.0},
    "relex": {"least_r2": None},
    "causal_screening": {"budget": 5},
    "shapley_edges": {"exact_up_to": 3, "samples": 600},
    "shapley_nodes": {"exact_up_to": 3, "samples": 600},
    "subgraphx": {"subgraph_building": "split", "rollouts": 2, "samples": 4, "depth": 4},
}


def short(method: str) -> dict[str, Any]:
    """Settings that keep a method short."""
    return OWN.get(method, dict(METHODS[method].test_settings))


def make_data() -> HeteroData:
    generator = torch.Generator().manual_seed(7)

    def edges(num_source: int, num_destination: int, count: int) -> torch.Tensor:
        key = torch.randperm(num_source * num_destination, generator=generator)[:count]
        return torch.stack([key // num_destination, key % num_destination])

    data = HeteroData()
    data["author"].x = torch.randn(AUTHORS, 3, generator=generator).double()
    data["paper"].x = torch.randn(PAPERS, 4, generator=generator).double()
    data["venue"].x = torch.randn(VENUES, 2, generator=generator).double()
    data["author", "writes", "paper"].edge_index = edges(AUTHORS, PAPERS, 29)
    # The same pairs in part: only the relation tells these edges from those that write.
    writes = data["author", "writes", "paper"].edge_index
    data["author", "reviews", "paper"].edge_index = writes[:, torch.arange(3, 20)]
    data["paper", "cites", "paper"].edge_index = edges(PAPERS, PAPERS, 31)
    data["paper", "in", "venue"].edge_index = edges(PAPERS, VENUES, 17)
    data["venue", "hosts", "paper"].edge_index = edges(VENUES, PAPERS, 19)
    data["paper", "by", "author"].edge_index = edges(PAPERS, AUTHORS, 23)
    data["paper"].y = torch.randint(0, 3, (PAPERS,), generator=generator)
    return data


DIMS = {"author": 3, "paper": 4, "venue": 2}


class WithHeteroConv(nn.Module):
    def __init__(self, metadata) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        for layer in range(2):
            self.convs.append(
                HeteroConv(
                    {
                        kind: SAGEConv((DIMS[kind[0]], DIMS[kind[2]]) if layer == 0 else (6, 6), 6)
                        if kind[1] != "writes"
                        else GATConv(
                            (DIMS[kind[0]], DIMS[kind[2]]) if layer == 0 else (6, 6),
                            6,
                            add_self_loops=False,
                        )
                        for kind in metadata[1]
                    }
                )
            )
        self.out = nn.Linear(6, 3)

    def forward(self, x_dict, edge_index_dict):
        for conv in self.convs:
            x_dict = {kind: x.tanh() for kind, x in conv(x_dict, edge_index_dict).items()}
        return self.out(x_dict["paper"])


class Homogeneous(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = SAGEConv((-1, -1), 6)
        self.conv2 = SAGEConv((-1, -1), 3)

    def forward(self, x, edge_index):
        return self.conv2(self.conv1(x, edge_index).tanh(), edge_index)


class WithHGT(nn.Module):
    def __init__(self, metadata) -> None:
        super().__init__()
        self.conv1 = HGTConv(DIMS, 6, metadata, heads=2)
        self.conv2 = HGTConv(6, 6, metadata, heads=1)
        self.out = nn.Linear(6, 3)

    def forward(self, x_dict, edge_index_dict):
        x_dict = self.conv1(x_dict, edge_index_dict)
        return self.out(self.conv2(x_dict, edge_index_dict)["paper"])


class WithHAN(nn.Module):
    def __init__(self, metadata) -> None:
        super().__init__()
        self.conv = HANConv(DIMS, 6, metadata, heads=2)
        self.out = nn.Linear(6, 3)

    def forward(self, x_dict, edge_index_dict):
        return self.out(self.conv(x_dict, edge_index_dict)["paper"])


MODELS = HETERO
each_method = pytest.mark.parametrize(
    ("method", "name"), [(each, name) for each in METHODS for name in hetero_models(scope(each))]
)


def make_model(name: str, data: HeteroData) -> nn.Module:
    torch.manual_seed(3)
    metadata = data.metadata()
    if name == "hetero_conv":
        model: nn.Module = WithHeteroConv(metadata)
    elif name == "to_hetero":
        model = to_hetero(Homogeneous(), metadata).double()
        with torch.no_grad():
            model(data.x_dict, data.edge_index_dict)
    elif name == "hgt":
        model = WithHGT(metadata)
    else:
        model = WithHAN(metadata)
    return model.double().eval()


def predict(model: nn.Module, data: HeteroData) -> torch.Tensor:
    out = model(data.x_dict, data.edge_index_dict)
    return out["paper"] if isinstance(out, dict) else out


def task() -> gg.Task:
    return gg.Task("node", node_type="paper")


def fitted(method: str, model: nn.Module, data: HeteroData) -> gg.Explainer:
    explainer = make_explainer(method, model, task(), progress=False, **short(method))
    if explainer.needs_fit:
        explainer.fit(data, index=[1, 2, 4, 5, 9])  # type: ignore[attr-defined]
    return explainer


@pytest.fixture(scope="module")
def data() -> HeteroData:
    return make_data()


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
@each_method
@pytest.mark.slow("the same methods: test_many_at_once_equal_one_by_one")
def test_every_method_gives_finite_masks_for_each_edge_type(name, method, data) -> None:
    model = make_model(name, data)
    explanations = fitted(method, model, data).explain(data, index=[2, 5])
    for explanation in explanations:
        for kind in data.edge_types:
            mask = explanation[kind].edge_mask
            assert mask.shape == (data[kind].num_edges,)
            assert torch.isfinite(mask).all()
        assert sum(float(explanation[kind].edge_mask.abs().sum()) for kind in data.edge_types) > 0


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
@pytest.mark.parametrize("name", ["hetero_conv", "to_hetero", "hgt"])
def test_shutting_an_edge_type_equals_deleting_it_where_sums_allow(name, data) -> None:
    """With zero messages a sum does not see the edge; attention and means keep their weights.

    For HGT and SAGE's mean the weights of other edges change on deletion, so the literal reference
    is a message hook that zeroes the rows of one relation, found by running the relation alone.
    """
    model = make_model(name, data)
    explainer = gg.Occlusion(model, task(), progress=False)
    preparation = explainer.prepare(data)
    graph = preparation.graph
    with protected(model):
        ((_, batch),) = preparation.batches(preparation.instances([4]), None, 1 << 30)
        full = predict(model, data)[4]
        torch.testing.assert_close(batch.output(batch.ones())[0], full)
        for number, kind in enumerate(data.edge_types):
            start, stop = graph.edge_offset[number], graph.edge_offset[number + 1]
            edge = batch.fields.edge
            gates = batch.ones()
            gates[(edge >= start) & (edge < stop)] = 0
            shut = batch.output(gates)[0]
            torch.testing.assert_close(shut, literal_shut(model, data, kind)[4])


def literal_shut(model: nn.Module, data: HeteroData, kind: tuple[str, str, str]) -> torch.Tensor:
    """Zero all messages of one relation, on the full graph, with own hooks."""
    handles = []
    word = "__".join(kind)
    for module_name, module in model.named_modules():
        if isinstance(module, HGTConv):
            sizes = [data[k].num_edges for k in data.edge_types]
            start = sum(sizes[: data.edge_types.index(kind)])
            rows = slice(start, start + data[kind].num_edges)

            def zero_rows(_, __, out, rows=rows):
                out = out.clone()
                out[rows] = 0
                return out

            handles.append(module.register_message_forward_hook(zero_rows))
        elif isinstance(module, MessagePassing) and word in module_name.replace("<", "").replace(
            ">", ""
        ).replace("___", "__"):
            handles.append(module.register_message_forward_hook(lambda _, __, out: out * 0))
    assert handles, f"the reference found no layer for {word}"
    with torch.no_grad():
        out = predict(model, data)
    for handle in handles:
        handle.remove()
    return out


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
@pytest.mark.parametrize("name", MODELS)
def test_edge_gradients_agree_with_finite_differences(name, data) -> None:
    model = make_model(name, data)
    explainer = gg.EdgeGradients(model, task(), progress=False)
    with protected(model):
        preparation = explainer.prepare(data)
        ((_, batch),) = preparation.batches(preparation.instances([6]), 1, 1 << 30)
        score = explainer.attribute(batch).edge
        assert score is not None
        step = 1e-6
        for edge in torch.linspace(0, batch.num_edges - 1, 7).long().tolist():
            low, high = batch.ones(), batch.ones()
            low[edge] -= step
            high[edge] += step
            slope = (batch.score(high) - batch.score(low)) / (2 * step)
            torch.testing.assert_close(slope[0], score[edge], rtol=1e-5, atol=1e-8)


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
@each_method
def test_many_at_once_equal_one_by_one(name, method, data) -> None:
    model = make_model(name, data)
    explainer = fitted(method, model, data)
    together = explainer.explain(data, index=[1, 4, 9])
    for position, index in enumerate([1, 4, 9]):
        alone = explainer.explain(data, index=[index])
        for kind in data.edge_types:
            torch.testing.assert_close(
                together[position][kind].edge_mask, alone[0][kind].edge_mask, rtol=1e-8, atol=1e-10
            )


@pytest.mark.parametrize("name", ["hetero_conv", "to_hetero", "hgt"])
def test_only_local_models_are_cut(name, data) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gg.explain(make_model(name, data), data, "saliency", task(), index=[0, 3])


def test_another_explained_type_needs_its_name(data) -> None:
    data = data.clone()
    data["author"].y = torch.zeros(AUTHORS, dtype=torch.long)
    with pytest.raises(gg.errors.TaskError, match="node_type"):
        gg.explain(make_model("hgt", data), data, "random", "node", index=[0])


def test_save_and_load_keep_types(data, tmp_path) -> None:
    model = make_model("hgt", data)
    before = gg.explain(model, data, "saliency", task(), index=[2, 7])
    before.save(tmp_path)
    after = gg.Explanations.load(tmp_path)
    for kind in data.edge_types:
        assert torch.equal(before[1][kind].edge_mask, after[1][kind].edge_mask)
    for kind in data.node_types:
        assert torch.equal(before[1][kind].node_mask, after[1][kind].node_mask)
