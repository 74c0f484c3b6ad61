"""GraphMask: its parts against literal versions, its promises, and what users do wrong."""

from __future__ import annotations

import json
import math
import warnings
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GCNConv, MessagePassing, SimpleConv, global_add_pool

import glassgraph as gg
from glassgraph.calling.protect import protected
from glassgraph.errors import (
    ExplainerFileError,
    FitError,
    GlassgraphError,
    HyperParameterError,
    InstanceError,
    Interrupted,
    NotFittedError,
)
from glassgraph.explainers.amortized import HindsightWarning
from glassgraph.explainers.perturbation.graphmask import CollapsedWarning
from glassgraph.explainers.perturbation.graphmask_fit import pruning
from glassgraph.explainers.perturbation.graphmask_fit.mask_network import MaskNetwork
from glassgraph.explainers.perturbation.graphmask_fit.regularization_path import RegularizationPath
from glassgraph.explainers.perturbation.message_gates.gated_batch import GatedBatch
from glassgraph.explainers.perturbation.message_gates.tolerance import UnmetConstraintWarning
from glassgraph.learn.bilinear_scorer import BilinearScorer

NUM_NODES, FEATURES, SEEN = 120, 3, 80


class Sender(nn.Module):
    """Feature 0 of the neighbors decides the class; feature 1 is noise that a head ignores."""

    def __init__(self, layers: int = 1) -> None:
        super().__init__()
        self.passes = nn.ModuleList(SimpleConv(aggr="sum") for _ in range(layers))
        self.head = nn.Linear(FEATURES, 2).double()
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.weight[1, 0] = 6.0
            self.head.bias.copy_(torch.tensor([3.0, 0.0]))

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for each in self.passes:
            x = each(x, edge_index)
        return self.head(x)


def scene() -> Data:
    """Each node hears three others; a quarter of all nodes carries evidence."""
    generator = torch.Generator().manual_seed(3)
    source = torch.stack([torch.randperm(NUM_NODES, generator=generator) for _ in range(3)])
    edge_index = torch.stack([source.flatten(), torch.arange(NUM_NODES).repeat(3)])
    x = torch.randn(NUM_NODES, FEATURES, generator=generator).double()
    x *= 0.3
    x[:, 0] = 0.0
    x[::4, 0] = 1.0
    return Data(x=x, edge_index=edge_index)


class Counter(nn.Module):
    """Counts the neighbors that carry evidence: every one of them matters, nothing else does."""

    def __init__(self) -> None:
        super().__init__()
        self.add = SimpleConv(aggr="sum")

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.add(x, edge_index)[:, :1]


COUNT = gg.Task("node", "regression")
#: A regression's divergence is small beside the default push of the penalty.
SLOW_PUSH = {"learning_rate": 0.01, "sparsity_weight": 0.3}


def graph_mask(model: nn.Module, **settings: Any) -> gg.GraphMask:
    return gg.GraphMask(model, **{"steps": 200, "progress": False, **settings})


@pytest.fixture(scope="module")
def fitted() -> gg.GraphMask:
    return graph_mask(Sender()).fit(scene(), index=list(range(SEEN)))


def is_evidence(data: Data) -> Tensor:
    return data.x[data.edge_index[0], 0] == 1


# What it finds


@pytest.mark.parametrize(
    "settings",
    [{"steps": 400}, {"solver": "lagrangian", "steps": 600, **SLOW_PUSH}],
    ids=["path", "lagrangian"],
)
def test_it_keeps_the_evidence_and_nothing_else_on_nodes_it_has_not_seen(settings) -> None:
    data = scene()
    explainer = graph_mask(Counter(), task=COUNT, **settings).fit(data, index=list(range(SEEN)))
    assert explainer.outcome["is_met"]
    found = explainer.explain(data, index=list(range(SEEN, NUM_NODES)))
    for explanation in found:
        edges = explanation.local.edge_id
        kept = explanation.edge_mask[edges] > found.threshold
        assert torch.equal(kept, is_evidence(data)[edges])


def test_gates_do_not_depend_on_the_answer_that_is_asked_for(fitted: gg.GraphMask) -> None:
    data = scene()
    masks = [fitted.explain(data, index=[25], target=target)[0].edge_mask for target in (0, 1)]
    assert torch.equal(*masks)


def test_the_edge_score_is_the_highest_of_its_layers() -> None:
    data = scene()
    (explanation,) = (
        graph_mask(Sender(layers=2), steps=40, tolerance=1e9, max_changed=1.0)
        .fit(data)
        .explain(data, index=[7])
    )
    assert explanation.layer_edge_mask.shape == (2, data.num_edges)
    assert torch.equal(explanation.edge_mask, explanation.layer_edge_mask.amax(dim=0))


def test_kept_messages_with_baselines_give_the_prediction_back(fitted: gg.GraphMask) -> None:
    frame = gg.diagnose.drop_retained(
        fitted, scene(), index=list(range(SEEN, NUM_NODES)), shares=(1.0,)
    )
    masked = frame[(frame["base"] == "masked")]
    assert float(masked["changed"].max()) == 0


def test_a_location_against_the_paper_written_out(fitted: gg.GraphMask) -> None:
    data = scene()
    network = fitted._network
    assert network is not None
    (scorer,) = network.gates.scorers.values()
    preparation = fitted.prepare(data)
    with protected(fitted.model):
        ((_, batch),) = preparation.batches(preparation.instances([31]), None, 1 << 30)
        found = network(GatedBatch.read(batch, network.gates.groups))
    for number, edge in enumerate(batch.fields.edge.tolist()):
        u, v = data.edge_index[:, edge].tolist()
        q = torch.cat([data.x[u], data.x[v], data.x[u]])  # the message of this layer is h_u
        hidden = scorer.inner.weight @ q + scorer.inner.bias
        hidden = (hidden - hidden.mean()) / (hidden.var(unbiased=False) + 1e-5).sqrt()
        hidden = (hidden * scorer.norm.weight + scorer.norm.bias).clamp_min(0)
        score = scorer.outer.weight[0] @ hidden + scorer.outer.bias[0]
        expected = network.location_scale * (score - network.mean) / network.std + network.offset
        torch.testing.assert_close(found[number], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("solver", ["path", "lagrangian"])
def test_every_parameter_is_trained(solver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Tensor]] = []

    def add(path: RegularizationPath, network: MaskNetwork, point: Any) -> None:
        seen.append({name: p.detach().clone() for name, p in network.gates.named_parameters()})
        original(path, network, point)

    original = RegularizationPath.add
    monkeypatch.setattr(RegularizationPath, "add", add)
    graph_mask(Sender(layers=2), solver=solver, tolerance=1e9, max_changed=1.0).fit(scene())
    assert len(seen[0]) == 2 * (
        6 + 1
    )  # two layers: three linear maps with bias or norm, a baseline
    for name, start in seen[0].items():
        assert not torch.equal(start, seen[-1][name]), f"{name} never moved"


@pytest.mark.slow("its steps: tests/learn/test_multiplier.py")
def test_the_multiplier_moves_both_ways() -> None:
    history = (
        graph_mask(Counter(), task=COUNT, solver="lagrangian", steps=600, **SLOW_PUSH)
        .fit(scene())
        .history
    )
    moves = history["multiplier"].diff().dropna()
    assert (moves > 0).any()
    assert (moves < 0).any()


def test_the_lagrangian_gates_the_last_layer_first() -> None:
    history = graph_mask(Sender(layers=2), solver="lagrangian", steps=100).fit(scene()).history
    first = history[history["lowest_layer"] == 1]
    assert list(history["lowest_layer"].unique()) == [1, 0]
    assert (first["layer_0"] == 1).all()


# The curve


def test_another_tolerance_needs_no_other_fit(fitted: gg.GraphMask) -> None:
    curve = fitted.curve
    assert curve["kept"].is_monotonic_decreasing
    assert curve["is_chosen"].sum() == 1
    other = graph_mask(fitted.model).adopt(fitted)
    loose = other.choose(tolerance=1e9, max_changed=1.0).outcome
    assert loose["kept"] == curve["kept"].min()
    with pytest.warns(CollapsedWarning, match="all messages are kept"):
        dense = other.choose(tolerance=0.0, max_changed=0.0).outcome
    assert dense["divergence"] == 0
    assert dense["kept"] > loose["kept"]


def test_the_explanations_carry_the_outcome_and_the_curve(fitted: gg.GraphMask) -> None:
    fit = fitted.explain(scene(), index=[22]).provenance["fit"]
    assert fit["is_met"] is True
    assert len(fit["curve"]) == len(fitted.curve)
    json.dumps(fit)


def test_an_unmet_constraint_is_told_and_shown() -> None:
    def never(output: Tensor, reference: Tensor) -> Tensor:
        return (output - reference).square().sum(dim=1) + 1.0

    with pytest.warns(UnmetConstraintWarning, match=r"divergence within 0\.5.*divergence 1"):
        explainer = graph_mask(Sender(), divergence=never, tolerance=0.5, steps=20).fit(scene())
    assert not explainer.outcome["is_met"]
    assert explainer.explain(scene(), index=[1]).provenance["fit"]["is_met"] is False


def test_keeping_everything_is_told() -> None:
    def any_change(output: Tensor, reference: Tensor) -> Tensor:
        return ((output - reference).abs().amax(dim=1) > 0).double() + 0 * output.sum(dim=1)

    model = Sender()
    with torch.no_grad():
        model.head.weight.copy_(
            torch.randn(2, FEATURES, generator=torch.Generator().manual_seed(1))
        )
    with pytest.warns(CollapsedWarning, match="all messages are kept"):
        graph_mask(model, divergence=any_change, tolerance=0.0, steps=20, sweep=60.0).fit(scene())


def test_a_regression_measures_its_tolerance_in_its_own_units() -> None:
    data, model = scene(), Sender()
    small = graph_mask(model, task=gg.Task("node", "regression"), steps=60).fit(data)
    with torch.no_grad():
        variance = model(data.x, data.edge_index)[:, :].var(dim=0, unbiased=False).sum()
    # A quarter of the predictions is held back: the variance is that of the others.
    assert small.outcome["tolerance"] == pytest.approx(0.03 * float(variance), rel=0.5)


# Many graphs, loaders, links


class Pooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.sender = Sender()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        return global_add_pool(self.sender(x, edge_index), batch)


def graphs(number: int = 24) -> list[Data]:
    generator = torch.Generator().manual_seed(5)
    found = []
    for _ in range(number):
        size = int(torch.randint(3, 6, (1,), generator=generator))
        source = torch.arange(1, size)
        x = torch.randn(size, FEATURES, generator=generator).double()
        x[:, 0] = (torch.rand(size, generator=generator) < 0.3).double()
        found.append(Data(x=x, edge_index=torch.stack([source, torch.zeros_like(source)])))
    return found


def test_a_loader_is_a_list_in_batches() -> None:
    data = graphs()
    explainer = graph_mask(Pooled(), task="graph", steps=60, tolerance=1.0, max_changed=1.0)
    explainer.fit(DataLoader(data, batch_size=6))
    assert len(explainer.explain(data, index=[0, 5])) == 2
    with pytest.raises(InstanceError, match="loader yields nothing"):
        explainer.fit(DataLoader([], batch_size=6))
    with pytest.raises(InstanceError, match="give no index"):
        explainer.fit(DataLoader(data, batch_size=6), index=[1])
    with pytest.raises(InstanceError, match="validation is a loader too"):
        explainer.fit(DataLoader(data, batch_size=6), validation=[1])


def test_batches_beyond_the_memory_budget_are_made_anew() -> None:
    model = Pooled()
    explainer = graph_mask(model, task="graph", batch_size=4)
    with protected(model):
        train, _ = explainer._training_batches(graphs(), None, None)
        train._kept[2:] = [None] * (len(train) - 2)
        assert len(train) == 4
        for number, gated in enumerate(train):
            size = gated.batch.num_predictions
            fresh = train._source[number][1]
            assert torch.equal(gated.batch.key, fresh.index)
            assert size == len(fresh)
            assert gated.groups == train[0].groups


# Dense adjacency matrices


class DenseCounter(nn.Module):
    """`Counter` with a matrix of edges instead of a list."""

    def __init__(self) -> None:
        super().__init__()
        self.tap = gg.AdjacencyTap()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        adjacency = x.new_zeros(x.size(0), x.size(0))
        adjacency[edge_index[1], edge_index[0]] = 1.0
        return self.tap(adjacency, x)[:, :1]


@pytest.mark.slow("their scores: tests/learn/test_bilinear_scorer.py")
def test_bilinear_gates_on_a_dense_matrix_learn_what_sparse_ones_do(tmp_path) -> None:
    data = scene()
    data.edge_index = data.edge_index.unique(dim=1)  # one entry of the matrix is one edge
    model = DenseCounter()
    explainer = graph_mask(model, task=COUNT, steps=400).fit(data, index=list(range(SEEN)))
    assert explainer.outcome["is_met"]
    assert explainer.outcome["kept"] < 0.5
    (scorer,) = explainer._network.gates.scorers.values()  # type: ignore[union-attr]
    assert isinstance(scorer, BilinearScorer)
    found = explainer.explain(data, index=list(range(SEEN, NUM_NODES)))
    edges = torch.cat([each.local.edge_id for each in found])
    kept = torch.cat([each.local.edge_score for each in found]) > 0.5
    truth = is_evidence(data)[edges]
    assert float((kept & truth).sum() / truth.sum()) > 0.9
    path = explainer.save(tmp_path / "dense.safetensors")
    loaded = gg.GraphMask.load(path, model, progress=False)
    again = loaded.explain(data, index=[SEEN])[0]
    assert torch.equal(again.edge_mask, found[0].edge_mask)


class Tapped(nn.Module):
    """Two sums like those of `Sender`, in a layer that is not PyG's and cannot be trimmed."""

    def __init__(self, like: Sender) -> None:
        super().__init__()
        self.taps = nn.ModuleList(gg.MessageTap() for _ in like.passes)
        self.head = like.head

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for tap in self.taps:
            messages = tap(x[edge_index[0]], edge_index, x)
            x = torch.zeros_like(x).index_add(0, edge_index[1], messages)
        return self.head(x)


def test_a_layer_with_a_tap_is_fitted_like_one_of_pyg() -> None:
    """The tap also sends messages that come too late to matter; gates must not see them."""
    data, sender = scene(), Sender(layers=2)
    masks = []
    for model in (sender, Tapped(sender)):
        explainer = graph_mask(model, steps=30, tolerance=1e9, max_changed=1.0)
        explainer.fit(data, index=[1, 5, 8, 13, 21])
        masks.append(explainer.explain(data, index=[8])[0].layer_edge_mask)
    torch.testing.assert_close(masks[0], masks[1], rtol=1e-6, atol=1e-9)


# Free gates


@pytest.mark.parametrize("solver", ["path", "lagrangian"])
def test_free_gates_of_an_instance_do_not_depend_on_the_others(solver: str) -> None:
    data = scene()
    explainer = graph_mask(Sender(2), amortized=False, solver=solver, steps=30)
    together = explainer.explain(data, index=[4, 21, 9])
    for position, index in enumerate((4, 21, 9)):
        alone = explainer.explain(data, index=[index])[0]
        torch.testing.assert_close(
            together[position].layer_edge_mask, alone.layer_edge_mask, rtol=1e-9, atol=1e-12
        )


def test_free_gates_that_miss_the_tolerance_are_counted() -> None:
    def never(output: Tensor, reference: Tensor) -> Tensor:
        return (output - reference).square().sum(dim=1) + 1.0

    explainer = graph_mask(Sender(), amortized=False, divergence=never, tolerance=0.5, steps=3)
    with pytest.warns(UnmetConstraintWarning, match="for 2 of 2 predictions no gates"):
        explainer.explain(scene(), index=[4, 9])


def test_free_gates_keep_the_prediction() -> None:
    data = scene()
    explainer = graph_mask(Sender(), amortized=False, steps=150)
    frame = gg.diagnose.drop_retained(explainer, data, index=list(range(12)), shares=(1.0,))
    assert float(frame[frame["base"] == "masked"]["changed"].max()) == 0
    with pytest.raises(HyperParameterError, match="call explain"):
        explainer.fit(data)


# Files


def test_saved_and_loaded_it_explains_the_same(fitted: gg.GraphMask, tmp_path) -> None:
    path = fitted.save(tmp_path / "mask.safetensors")
    loaded = gg.GraphMask.load(path, fitted.model, progress=False)
    data = scene()
    one, other = (each.explain(data, index=[30, 33]) for each in (fitted, loaded))
    for first, second in zip(one, other, strict=True):
        assert torch.equal(first.layer_edge_mask, second.layer_edge_mask)
    assert loaded.outcome == fitted.outcome
    assert loaded.curve.equals(fitted.curve)
    assert loaded.history.equals(fitted.history)
    assert one.provenance == other.provenance


def test_a_file_with_older_names_explains_the_same(fitted: gg.GraphMask, tmp_path) -> None:
    older = {"location_scale": "grip", "groups": "kinds"}
    path = fitted.save(tmp_path / "mask.safetensors")
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["glassgraph_explainer"])
        tensors = {
            ".".join(older.get(part, part) for part in name.split(".")): file.get_tensor(name)
            for name in file.keys()  # noqa: SIM118
        }
    for part in ("hyper_parameters", "about"):
        header[part] = {older.get(name, name): value for name, value in header[part].items()}
    assert "grip" in header["hyper_parameters"]
    assert "kinds" in header["about"]
    assert any(name.endswith(".grip") for name in tensors)
    save_file(tensors, path, metadata={"glassgraph_explainer": json.dumps(header)})
    loaded = gg.GraphMask.load(path, fitted.model, progress=False)
    assert loaded.hyper_parameters == fitted.hyper_parameters
    one, other = (each.explain(scene(), index=[30])[0] for each in (fitted, loaded))
    assert torch.equal(one.layer_edge_mask, other.layer_edge_mask)


def test_a_file_is_refused_by_another_model(fitted: gg.GraphMask, tmp_path) -> None:
    path = fitted.save(tmp_path / "mask.safetensors")
    other = Sender()
    with torch.no_grad():
        other.head.bias += 1
    for model in (other, Sender(layers=2)):
        if model is not other:
            model.head.bias.data[0] += 2
        with pytest.raises(ExplainerFileError, match=r"fingerprint.*fit again"):
            gg.GraphMask.load(path, model)
        with pytest.raises(ExplainerFileError, match="another model"):
            graph_mask(model).adopt(fitted)


def test_files_of_other_versions_and_damaged_files(fitted: gg.GraphMask, tmp_path) -> None:
    path = fitted.save(tmp_path / "mask.safetensors")
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["glassgraph_explainer"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118

    def write(**changes: Any) -> None:
        text = json.dumps({**header, **changes})
        save_file(tensors, path, metadata={"glassgraph_explainer": text})

    write(glassgraph="0.0.1")
    with pytest.warns(UserWarning, match=r"written by glassgraph 0\.0\.1"):
        gg.GraphMask.load(path, fitted.model)
    write(format=99)
    with pytest.raises(ExplainerFileError, match="format 99"):
        gg.GraphMask.load(path, fitted.model)
    write(method="pg_explainer")
    with pytest.raises(ExplainerFileError, match="pg_explainer"):
        gg.GraphMask.load(path, fitted.model)
    save_file(tensors, path)
    with pytest.raises(ExplainerFileError, match="no fitted explainer"):
        gg.GraphMask.load(path, fitted.model)
    path.write_bytes(b"not a file of tensors")
    with pytest.raises(ExplainerFileError, match="damaged"):
        gg.GraphMask.load(path, fitted.model)
    with pytest.raises(ExplainerFileError, match="no file"):
        gg.GraphMask.load(tmp_path / "nothing", fitted.model)


# Mistakes


def test_explaining_before_fitting() -> None:
    explainer = graph_mask(Sender())
    with pytest.raises(NotFittedError, match="fit"):
        explainer.explain(scene(), index=[0])
    with pytest.raises(NotFittedError, match="fit"):
        explainer.save("nowhere.safetensors")
    with pytest.raises(NotFittedError, match="fit"):
        _ = explainer.curve


def test_one_instance_is_hindsight() -> None:
    with pytest.warns(HindsightWarning, match=r"single prediction.*hindsight"):
        graph_mask(Sender(), steps=5, tolerance=1e9, max_changed=1.0).fit(scene(), index=[3])


def test_nothing_to_learn_from() -> None:
    data = scene()
    with pytest.raises(InstanceError, match="nothing to learn"):
        graph_mask(Sender()).fit(data, index=[])
    with pytest.raises(InstanceError, match="nothing to validate"):
        graph_mask(Sender()).fit(data, validation=[])
    lonely = Data(x=data.x, edge_index=torch.zeros(2, 0, dtype=torch.long))
    with pytest.raises(GlassgraphError):
        graph_mask(Sender()).fit(lonely)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"solver": "magic"}, "solver must be 'path' or 'lagrangian'; got 'magic'"),
        ({"steps": 0}, "graphmask: steps must be an integer of at least 1; got 0"),
        ({"location_scale": -1.0}, "location_scale must be a number above 0; got -1.0"),
        ({"grip": 3.0}, "no hyper-parameter 'grip'"),
        ({"tolerance": -0.1}, "tolerance must be a number of at least 0 or None; got -0.1"),
        ({"max_changed": 2.0}, "max_changed must be a number from 0 to 1; got 2.0"),
        ({"polish": 1.0}, "polish must be a number of at least 0 and below 1; got 1.0"),
        ({"divergence": "earth_mover"}, "divergence must be"),
        ({"divergence": "kl", "task": gg.Task("node", "regression")}, "regression"),
    ],
)
def test_hyper_parameters_out_of_range(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(HyperParameterError, match=match):
        graph_mask(Sender(), **settings)


def test_a_loss_that_is_not_finite_names_its_layer_and_keeps_what_was_learned() -> None:
    calls = [0]

    def breaks(output: Tensor, reference: Tensor) -> Tensor:
        calls[0] += 1
        value = (output - reference).square().sum(dim=1)
        return value * float("nan") if calls[0] > 50 else value

    explainer = graph_mask(Sender(), divergence=breaks, tolerance=1e9, max_changed=1.0)
    with pytest.raises(FitError, match=r"nan.*all gates and baselines are finite.*kept"):
        explainer.fit(scene())
    assert explainer.is_fitted
    assert explainer.explain(scene(), index=[2])[0].edge_mask.isfinite().all()

    class Overflow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = GCNConv(FEATURES, 4), GCNConv(4, 2)

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            hidden = self.first(x, edge_index)
            return self.second(torch.where(hidden > 0, hidden, torch.inf), edge_index).nan_to_num(0)

    with pytest.raises(FitError, match=r"layer 1 \(second\), whose messages or states"):
        graph_mask(Overflow().double()).fit(scene())


def test_an_interrupt_keeps_the_state_reached_so_far() -> None:
    calls = [0]

    def presses(output: Tensor, reference: Tensor) -> Tensor:
        calls[0] += 1
        if calls[0] > 60:
            raise KeyboardInterrupt
        return (output - reference).square().sum(dim=1)

    model = Sender()
    explainer = graph_mask(model, divergence=presses, tolerance=1e9, max_changed=1.0)
    with pytest.raises(Interrupted, match="works with what it had learned"):
        explainer.fit(scene())
    assert explainer.explain(scene(), index=[2])[0].edge_mask.isfinite().all()
    assert len(explainer.history) > 0


def test_the_one_liner_says_that_it_is_hindsight() -> None:
    data = scene()
    with pytest.warns(HindsightWarning, match="very predictions it explains"):
        found = gg.explain(
            Sender(), data, "graphmask", index=list(range(9)), steps=20, tolerance=9, max_changed=1
        )
    assert len(found) == 9


def test_outputs_are_bitwise_the_same_after_fit_and_explain() -> None:
    data, model = scene(), Sender(2).train()
    before = model(data.x, data.edge_index)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmetConstraintWarning)
        graph_mask(model, steps=30).fit(data).explain(data, index=[1, 2])
    assert torch.equal(before, model(data.x, data.edge_index))
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model.training


class TwoRelations(nn.Module):
    """Two kinds of edges; what arrives along the second is added and read by nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = SimpleConv(aggr="sum"), SimpleConv(aggr="sum")
        self.head = Sender(0)

    def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor) -> Tensor:
        heard = self.first(x, edge_index[:, edge_type == 0])
        noise = self.second(x, edge_index[:, edge_type == 1])
        return self.head(heard * torch.tensor([1.0, 0.0, 0.0]) + noise * 0.0, edge_index)


class InOneSite(MessagePassing):
    """The same in one call, which is told the type of each edge."""

    def __init__(self) -> None:
        super().__init__(aggr="sum")
        self.head = Sender(0)

    def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor) -> Tensor:
        return self.head(self.propagate(edge_index, x=x, edge_type=edge_type), edge_index)

    def message(self, x_j: Tensor, edge_type: Tensor) -> Tensor:
        return x_j * torch.tensor([1.0, 0.0, 0.0]) * (edge_type == 0).view(-1, 1)


def two_relations() -> Data:
    """The scene, and twice as many edges that say nothing."""
    data = scene()
    silent = torch.cat([data.edge_index.flip(1), data.edge_index.roll(7, 1)], dim=1)
    edge_type = torch.arange(3).clamp_max(1).repeat_interleave(data.num_edges)
    edge_index = torch.cat([data.edge_index, silent], dim=1)
    return Data(x=data.x, edge_index=edge_index, edge_type=edge_type)


@pytest.mark.parametrize("model", [TwoRelations(), InOneSite()], ids=["sites", "edge types"])
def test_a_relation_that_nobody_needs_is_shut_as_a_whole(model: nn.Module, tmp_path) -> None:
    data, seen = two_relations(), list(range(SEEN))
    kept = {}
    for prune in (False, True):
        explainer = graph_mask(model, steps=60, sweep=0.5, prune=prune).fit(data, seen)
        assert explainer.outcome["is_met"]
        found = explainer.explain(data, index=list(range(SEEN, NUM_NODES)))
        (part,) = found.own_parts()
        is_kept, is_silent = part.edge_score > 0.5, data.edge_type[part.edge] == 1
        kept[prune] = int((is_kept & is_silent).sum())
        assert bool((is_kept & ~is_silent).any())
    assert kept[False] > 0  # else there is nothing to mend
    assert kept[True] == 0
    path = explainer.save(tmp_path / "gates.safetensors")
    loaded = gg.GraphMask.load(path, explainer.model, progress=False)
    again = loaded.explain(data, index=list(range(SEEN, NUM_NODES)))
    assert all(
        torch.equal(one.edge_mask, other.edge_mask) for one, other in zip(again, found, strict=True)
    )


def test_a_relation_is_not_shut_that_predictions_need_where_all_else_is_open(monkeypatch) -> None:
    network = MaskNetwork([], None)
    network.register_buffer("shut", torch.zeros(3, dtype=torch.bool))
    tried = []

    class Path:
        constraint = SimpleNamespace(is_met=lambda point: point)
        best = staticmethod(lambda: SimpleNamespace(step=0, divergence=0.0, __bool__=True))
        restart = staticmethod(lambda network, point: None)

    def measure_alone() -> bool:
        assert math.isinf(float(network.offset))
        return network.shut.tolist() != [False, True, False]  # site 1 is needed

    def measure(look, loss, shut) -> bool:
        tried.append((shut, network.shut.tolist()))
        return shut == 0

    fitting = SimpleNamespace(
        path=Path, network=network, measure=measure,
        look=lambda step: SimpleNamespace(measure=measure_alone),
    )  # fmt: skip
    monkeypatch.setattr(pruning, "_by_number_kept", lambda fitting: [2, 1, 0])
    pruning.shut_relations(fitting)
    assert tried == [(2, [False, False, True]), (0, [True, False, False])]
    assert network.shut.tolist() == [True, False, False]
    assert float(network.offset) == 0.0


def test_a_file_from_before_relations_were_shut_explains_the_same(
    fitted: gg.GraphMask, tmp_path
) -> None:
    path = fitted.save(tmp_path / "gates.safetensors")
    with safe_open(path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        about = file.metadata()
    older = {key: value for key, value in tensors.items() if not key.endswith(".shut")}
    assert len(older) < len(tensors)
    save_file(older, path, about)
    loaded = gg.GraphMask.load(path, Sender(), progress=False)
    expected = fitted.explain(scene(), index=[85])[0].edge_mask
    assert torch.equal(loaded.explain(scene(), index=[85])[0].edge_mask, expected)
