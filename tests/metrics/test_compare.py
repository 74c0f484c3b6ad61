"""Similarities by hand, held against scipy, and what cannot be compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import SAGEConv, SGConv, to_hetero

import glassgraph as gg
from glassgraph.errors import ExplanationFileError, InstanceError, UnknownMetricError
from glassgraph.metrics.compare import MEASURES
from glassgraph.metrics.likeness import Ranked, likeness
from tests.metrics.scenes import TwoLayers, random_graph, uniform, with_scores

NAN = float("nan")


def one(measure: str, a: list[float], b: list[float], top_k: int = 1) -> float:
    """A measure of two short vectors."""
    segment = torch.zeros(len(a), dtype=torch.long)
    vectors = [torch.tensor(each, dtype=torch.float64) for each in (a, b)]
    return float(measured(*vectors, segment, 1, top_k)[measure])


def measured(
    a: Tensor, b: Tensor, segment: Tensor, count: int, top_k: int = 1
) -> dict[str, Tensor]:
    vectors = (Ranked.of(each, segment, count, top_k) for each in (a, b))
    return likeness(*vectors, segment, count, top_k)


# The measures


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([3, 4], [4, 3], 24 / 25),
        ([1, 0, 0], [0, 2, 0], 0),
        ([1, -2], [-2, 4], -1),
        ([1, 1, 1, 1], [1, 0, 0, 0], 0.5),
        ([1e-200, 0], [3e-200, 4e-200], 0.6),
        ([1e200, 0], [3e200, 4e200], 0.6),
        ([0, 0], [1, 2], NAN),
        ([0, 0], [0, 0], NAN),
    ],
)
def test_cosine(a: list[float], b: list[float], expected: float) -> None:
    assert one("cosine", a, b) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1, 2, 3], [10, 20, 15], 0.5),
        ([1, 2, 3], [9, 4, 1], -1),
        # ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: 4.5 / sqrt(4.5 * 5)
        ([0, 7, 7, 9], [1, 2, 3, 4], 4.5 / (4.5 * 5) ** 0.5),
        ([5, 5, 5], [1, 2, 3], NAN),
        ([1], [1], NAN),
    ],
)
def test_spearman(a: list[float], b: list[float], expected: float) -> None:
    assert one("spearman", a, b) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("a", "b", "top_k", "expected"),
    [
        ([4, 3, 2, 1], [4, 3, 1, 2], 2, 1),
        ([4, 3, 2, 1], [4, 1, 3, 2], 2, 1 / 3),
        ([4, 3, 2, 1], [1, 2, 3, 4], 2, 0),
        # b's best two: the first surely, the other three share one place
        ([4, 3, 2, 1], [4, 0, 0, 0], 2, (1 + 1 / 3) / (1 + 1 + 2 / 3)),
        # all four share two places in either: half of each
        ([1, 1, 1, 1], [0, 0, 0, 0], 2, 1),
        ([4, 3, 2, 1], [1, 1, 1, 1], 2, (0.5 + 0.5) / (1 + 1 + 0.5 + 0.5)),
        ([4, 3], [4, 3], 2, NAN),
        ([4, 3], [3, 4], 1, 0),
    ],
)
def test_jaccard(a: list[float], b: list[float], top_k: int, expected: float) -> None:
    assert one("jaccard", a, b, top_k=top_k) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1, -2, 3], [5, -1, 2], 1),
        ([1, -2, 3], [5, 1, -2], 1 / 3),
        ([1, 0, 0, -1], [1, 0, 2, 0], 1 / 3),  # where both are 0 nothing is agreed on
        ([0, 0], [0, 0], NAN),
        ([0, 0], [0, 1], 0),
    ],
)
def test_signs(a: list[float], b: list[float], expected: float) -> None:
    assert one("signs", a, b) == pytest.approx(expected, nan_ok=True)


def test_many_pairs_at_once_are_each_alone() -> None:
    """Segments of sizes 0 to 17, entries in no order, with ties; Spearman also by scipy."""
    stats = pytest.importorskip("scipy.stats")
    generator = torch.Generator().manual_seed(2)
    sizes = [5, 0, 17, 1, 11, 2]
    segment = torch.repeat_interleave(torch.arange(6), torch.tensor(sizes))
    segment = segment[torch.randperm(len(segment), generator=generator)]
    a, b = torch.randint(-3, 4, (2, len(segment)), generator=generator).double()
    together = measured(a, b, segment, 6, 4)
    assert tuple(together) == MEASURES
    for measure in MEASURES:
        for number, value in enumerate(together[measure].tolist()):
            own = segment == number
            alone = one(measure, a[own].tolist(), b[own].tolist(), 4) if own.any() else NAN
            assert value == pytest.approx(alone, nan_ok=True)
            if measure == "spearman" and sizes[number] > 2:
                peer = stats.spearmanr(a[own].numpy(), b[own].numpy()).statistic
                assert value == pytest.approx(float(peer), abs=1e-12)


# Alignment


def path() -> tuple[torch.nn.Module, Data]:
    """Edges 0 -> 1 -> 2 -> 3, a linear model that sees two of them."""
    torch.manual_seed(1)
    ends = torch.tensor([[0, 1, 2], [1, 2, 3]])
    return SGConv(5, 3, K=2).double().eval(), Data(x=torch.randn(4, 5).double(), edge_index=ends)


def scored(scores: dict[int, list[float]], model: Any = None, data: Any = None) -> gg.Explanations:
    model, data = (model, data) if model is not None else path()
    return with_scores(model, data, list(scores), lambda local: torch.tensor(scores[local.index]))


def test_by_hand() -> None:
    a = scored({3: [3.0, 4.0], 2: [1.0, 0.0], 1: [0.0]})
    b = scored({3: [4.0, 3.0], 2: [-1.0, 2.0], 1: [1.0]})
    found = gg.compare(a, b, top_k=1)
    assert len(found) == 3
    assert found.index.tolist() == [3, 2, 1]
    assert found.entries.tolist() == [2, 2, 1]
    assert found.cosine.tolist() == pytest.approx([0.96, -(5**-0.5), NAN], nan_ok=True)
    assert found.spearman.tolist() == pytest.approx([-1, -1, NAN], nan_ok=True)
    assert found.jaccard.tolist() == pytest.approx([0, 0, NAN], nan_ok=True)
    assert found.signs.tolist() == [1, 0, 0]
    row = found.summary().loc["cosine"]
    values = torch.tensor([0.96, -(5**-0.5)])
    assert row["mean"] == pytest.approx(float(values.mean()))
    assert row["std"] == pytest.approx(float(values.std(correction=0)))
    assert (row["defined"], row["undefined"]) == (2, 1)
    assert found.frame().shape == (3, 7)
    assert found.layer_cosine is None
    text = repr(found)
    assert "3 predictions" in text
    assert "undefined for 1" in text
    assert "different models" not in text


def test_the_order_of_predictions_and_batches_is_irrelevant() -> None:
    model, data = TwoLayers("gin"), random_graph()
    one = gg.EdgeGradients(model).explain(data, [7, 2, 11, 4])
    other = gg.Occlusion(model, memory_budget=1).explain(data, [4, 11, 2, 7])
    straight = gg.Occlusion(model).explain(data, [7, 2, 11, 4])
    mixed, plain = gg.compare(one, other), gg.compare(one, straight)
    assert mixed.index.tolist() == [7, 2, 11, 4]
    assert mixed.cosine.std() > 0.001
    for measure in MEASURES:
        torch.testing.assert_close(getattr(mixed, measure), getattr(plain, measure), equal_nan=True)
    part = gg.compare(one[1:3], straight[1:3])
    torch.testing.assert_close(part.cosine, plain.cosine[1:3])


def test_ranking_by_size() -> None:
    a, b = scored({3: [1.0, -2.0]}), scored({3: [1.0, 2.0]})
    assert gg.compare(a, b).spearman.tolist() == pytest.approx([-1])
    assert gg.compare(a, b, ranking="absolute").spearman.tolist() == pytest.approx([1])
    assert gg.compare(a, b, top_k=1).jaccard.tolist() == [0]
    assert gg.compare(a, b, top_k=1, ranking="absolute").jaccard.tolist() == [1]


def test_fields_of_different_size_are_united() -> None:
    """A black box stores edges that a gradient cannot see; they count 0 for the other one."""
    model, data = path()
    inner = scored({3: [3.0, 4.0]}, model, data)
    outer = gg.Zorro(model, num_hops=3, samples=2, progress=False).explain(data, [3])
    (part,) = outer.parts
    assert part.edge.tolist() == [0, 1, 2]
    assert inner.parts[0].edge.tolist() == [1, 2]
    outer = replace(
        outer,
        parts=[replace(part, edge_score=torch.tensor([12.0, 3.0, 4.0]))],
        _where=[],
        _bounds={},
    )
    for found in (gg.compare(inner, outer), gg.compare(outer, inner)):
        assert found.entries.tolist() == [3]
        assert found.cosine.tolist() == pytest.approx([5 / 13])
    ones = gg.compare_all({"a": inner, "b": outer}).pair("b", "all ones")
    assert ones.entries.tolist() == [3]  # but the mask covers only what both have
    assert ones.cosine.tolist() == pytest.approx([7 / (13 * 2**0.5)])


def test_layers() -> None:
    """Of the path into node 3 the last edge is met at both layers, the one before at the first."""
    model, data = path()
    gradients = gg.EdgeGradients(model).explain(data, [3])
    occlusion = gg.Occlusion(model, layerwise=True).explain(data, [3])
    found = gg.compare(gradients, occlusion, level="layer")
    assert found.entries.tolist() == [3]  # of four
    assert found.cosine.tolist() == pytest.approx([1])
    assert found.layer_cosine is not None
    assert found.layer_cosine.flatten().tolist() == pytest.approx([1, 1])
    flipped = replace(
        occlusion,
        parts=[
            replace(part, layer_edge_score=part.layer_edge_score * torch.tensor([[1.0], [-1.0]]))
            for part in occlusion.parts
        ],
        _where=[],
        _bounds={},
    )
    turned = gg.compare(gradients, flipped, level="layer")
    assert turned.layer_cosine is not None
    assert turned.layer_cosine.flatten().tolist() == pytest.approx([1, -1])
    assert "cosine_layer_1" in turned.frame()


def test_methods_without_edge_scores_are_read_as_by_other_metrics() -> None:
    model, data = path()
    edges = scored({3: [1.5, 2.5]}, model, data)
    (part,) = edges.parts
    nodes = replace(
        edges,
        parts=[replace(part, edge_score=None, node_score=torch.tensor([4.0, 1.0, 2.0]))],
        _where=[],
        _bounds={},
    )
    ends = nodes.local(0).node_id.tolist()
    value = dict(zip(ends, [4.0, 1.0, 2.0], strict=True))
    expected = [(value[1] + value[2]) / 2, (value[2] + value[3]) / 2]
    direct = scored({3: expected}, model, data)
    assert gg.compare(nodes, direct).cosine.tolist() == pytest.approx([1])
    layers = gg.EdgeGradients(model).explain(data, [3])
    (part,) = layers.parts
    alone = replace(layers, parts=[replace(part, edge_score=None)], _where=[], _bounds={})
    assert part.layer_edge_score is not None
    best = scored({3: part.layer_edge_score.amax(0).tolist()}, model, data)
    assert gg.compare(alone, best).cosine.tolist() == pytest.approx([1])


def test_lists_of_graphs() -> None:
    graphs = [random_graph(seed, nodes, edges) for seed, nodes, edges in ((1, 5, 11), (2, 7, 13))]
    model = TwoLayers("gcn", "graph")
    runs = [
        gg.explain(model, graphs, name, "graph", index)
        for name, index in (("edge_gradients", [0, 1]), ("occlusion", [1, 0]))
    ]
    found = gg.compare(*runs)
    assert found.graph.tolist() == [0, 1]
    assert found.entries.tolist() == [11, 13]
    assert (found.cosine > 0.3).all()


def test_saved_and_loaded(tmp_path: Any) -> None:
    model, data = TwoLayers("gin"), random_graph()
    one = gg.EdgeGradients(model).explain(data, [7, 2, 11])
    other = gg.Occlusion(model, layerwise=True).explain(data, [7, 2, 11])
    paths = [each.save(tmp_path / each.method) for each in (one, other)]
    loaded = [gg.Explanations.load(path) for path in paths]
    for level in ("edge", "layer"):
        before, after = gg.compare(one, other, level=level), gg.compare(*loaded, level=level)
        for name, value in before.columns().items():
            torch.testing.assert_close(value, after.columns()[name], equal_nan=True)


# One at a time, and typed graphs


def test_single_explanations_are_like_sets_of_one() -> None:
    model, data = TwoLayers("gin"), random_graph()
    one = gg.EdgeGradients(model).explain(data, [7, 2])
    other = gg.Occlusion(model, layerwise=True).explain(data, [7, 2])
    for level in ("edge", "layer"):
        every = gg.compare(one, other, level=level)
        for position in (0, 1):
            alone = gg.compare(one[position], other[position], level=level)
            for name, value in alone.columns().items():
                torch.testing.assert_close(
                    value, every.columns()[name][position : position + 1], equal_nan=True
                )
    with pytest.raises(InstanceError, match=r"index 7.*index 2"):
        gg.compare(one[0], other[1])


def typed() -> tuple[torch.nn.Module, HeteroData]:
    data = HeteroData()
    generator = torch.Generator().manual_seed(3)
    data["paper"].x = torch.randn(7, 5, generator=generator).double()
    data["author"].x = torch.randn(3, 5, generator=generator).double()
    for source, destination, count in (("paper", "paper", 11), ("author", "paper", 5)):
        ends = [
            torch.randint(int(data[name].num_nodes), (count,), generator=generator)
            for name in (source, destination)
        ]
        data[source, "to", destination].edge_index = torch.stack(ends)
    data["paper", "by", "author"].edge_index = torch.tensor([[0, 1, 2], [0, 1, 2]])

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = SAGEConv((-1, -1), 5), SAGEConv((-1, -1), 3)

        def forward(self, x, edge_index):  # PyG 2.6 traces no annotations that are text
            return self.two(self.one(x, edge_index).tanh(), edge_index)

    torch.manual_seed(4)
    model = to_hetero(Net(), data.metadata()).double().eval()
    with torch.no_grad():
        model(data.x_dict, data.edge_index_dict)
    return model, data


def test_typed_graphs() -> None:
    """Edges of all types side by side; one at a time is the same as together."""
    model, data = typed()
    task = gg.Task("node", node_type="paper")
    runs = [
        gg.explain(model, data, name, task, [0, 3, 5]) for name in ("edge_gradients", "occlusion")
    ]
    found = gg.compare(*runs)
    assert found.entries.tolist() == [run.edge_id.numel() for run in map(runs[0].local, range(3))]
    for position in range(3):
        local = [run.local(position) for run in runs]
        order = [
            sorted(range(len(e.edge_id)), key=lambda i: (e.edge_type[i], e.edge_id[i]))
            for e in local
        ]
        a, b = (e.edge_score[o] for e, o in zip(local, order, strict=True))
        expected = torch.nn.functional.cosine_similarity(a, b, dim=0)
        assert float(found.cosine[position]) == pytest.approx(float(expected), nan_ok=True)
        alone = gg.compare(runs[0][position], runs[1][position])
        torch.testing.assert_close(alone.cosine, found.cosine[position : position + 1])


# What cannot be compared, or should be told


def test_different_predictions() -> None:
    model, data = TwoLayers("gin"), random_graph()
    a = gg.EdgeGradients(model).explain(data, [1, 2, 3])
    b = gg.EdgeGradients(model).explain(data, [2, 3, 4, 5])
    with pytest.raises(
        InstanceError, match=r"3 predictions.* 4; 1 of .*\(index 1\).*\(index 4, 5\)"
    ):
        gg.compare(a, b)


def test_different_graphs() -> None:
    model = TwoLayers("gin")
    data, fewer, turned = random_graph(), random_graph(edges=37), random_graph()
    turned.edge_index = turned.edge_index.flip(0)
    a = gg.EdgeGradients(model).explain(data, [1, 2])
    with pytest.raises(ExplanationFileError, match="different graphs, with 41 and 37 edges"):
        gg.compare(a, gg.EdgeGradients(model).explain(fewer, [1, 2]))
    with pytest.raises(ExplanationFileError, match=r"different graphs: edge \d+ does not join"):
        gg.compare(a, gg.EdgeGradients(model).explain(turned, [1, 2]))
    graphs = gg.EdgeGradients(TwoLayers("gin", "graph"), "graph").explain([data], [0])
    with pytest.raises(ExplanationFileError, match=r"node predictions .* graph predictions"):
        gg.compare(a, graphs)


def test_missing_or_broken_scores() -> None:
    model, data = path()
    a = scored({3: [1.0, 2.0]}, model, data)
    with pytest.raises(UnknownMetricError, match=r"no scores for each layer.*level='edge'"):
        gg.compare(a, a, level="layer")
    with pytest.raises(UnknownMetricError, match=r"1 scores of .* NaN"):
        gg.compare(a, scored({3: [1.0, NAN]}, model, data))
    with pytest.raises(UnknownMetricError, match=r"two single ones.*explanations\[:1\]"):
        gg.compare(a, a[0])
    with pytest.raises(UnknownMetricError, match="made by Glassgraph"):
        gg.compare(Data(), Data())  # type: ignore[arg-type]
    for wrong in ({"level": "node"}, {"top_k": 0}, {"top_k": True}, {"ranking": "size"}):
        (name,) = wrong
        with pytest.raises(UnknownMetricError, match=f"{name} must be.*got"):
            gg.compare(a, a, **wrong)


def test_models_of_other_depth_or_weights() -> None:
    _, data = path()
    torch.manual_seed(2)
    two, three = (SGConv(5, 3, K=K).double().eval() for K in (2, 3))
    a, b = (gg.EdgeGradients(model).explain(data, [3]) for model in (two, three))
    assert "different models" in repr(gg.compare(a, b))
    with pytest.raises(ExplanationFileError, match=r"2 layers .* 3; .*level='edge'"):
        gg.compare(a, b, level="layer")


def test_other_classes_are_told() -> None:
    model, data = path()
    one, other = (gg.EdgeGradients(model).explain(data, [2, 3], target) for target in (0, 1))
    assert gg.compare(one, one).num_other_targets == 0
    found = gg.compare(one, other)
    assert found.num_other_targets == 2
    assert "other classes of 2" in repr(found)


# All pairs


def test_a_matrix_with_references() -> None:
    model, data = TwoLayers("gin"), random_graph()
    index = [7, 2, 11, 4]
    runs = {
        "gradient": gg.EdgeGradients(model).explain(data, index),
        "occlusion": gg.Occlusion(model, layerwise=True).explain(data, index),
        "positive": gg.PositiveGradients(model).explain(data, index),
    }
    for level in ("edge", "layer"):
        found = gg.compare_all(runs, level=level)
        assert found.names == (*runs, "random", "all ones")
        assert found.references == ("random", "all ones")
        for measure in MEASURES:
            matrix = found.matrix(measure)
            assert list(matrix) == list(matrix.index) == list(found.names)
            values = torch.from_numpy(matrix.to_numpy().copy())
            torch.testing.assert_close(values, values.t().clone(), equal_nan=True)
            diagonal = values.diag()[~values.diag().isnan()]
            torch.testing.assert_close(diagonal, torch.ones_like(diagonal))
        assert found.matrix("spearman").loc["all ones"].isna().all()
        assert len(found.frame()) == 10 * (4 if level == "edge" else 6)
    edges = gg.compare_all(runs)
    pair = gg.compare(runs["occlusion"], runs["gradient"])
    torch.testing.assert_close(edges.pair("occlusion", "gradient").cosine, pair.cosine)
    positive = torch.stack([each.edge_mask.sum() for each in runs["positive"]])
    expected = (positive / edges.pair("positive", "all ones").entries).sqrt()
    torch.testing.assert_close(edges.pair("all ones", "positive").cosine, expected)
    assert "positive" in repr(edges)
    with pytest.raises(UnknownMetricError, match=r"measure must be one of cosine.*got 'angle'"):
        edges.matrix("angle")
    with pytest.raises(UnknownMetricError, match="no row 'lime'"):
        edges.pair("lime", "positive")


def test_random_references_have_addresses() -> None:
    """Neither other predictions nor the order of edges change them; parallel edges differ."""
    model, data = TwoLayers("gin"), random_graph()
    data.edge_index[:, 5] = data.edge_index[:, 3]
    order = torch.randperm(data.num_edges, generator=torch.Generator().manual_seed(4))
    shuffled = Data(x=data.x, edge_index=data.edge_index[:, order], y=data.y)

    def row(data: Data, index: list[int], seed: int = 0) -> float:
        run = with_scores(model, data, index, lambda local: torch.ones(local.edge_id.numel()))
        found = gg.compare_all({"run": run}, seed=seed).pair("run", "random")
        return float(found.cosine[index.index(7)])

    assert row(data, [7]) == pytest.approx(row(data, [2, 7, 4]), abs=1e-12)
    assert row(data, [7]) == pytest.approx(row(shuffled, [7]), abs=1e-12)
    assert row(data, [7]) != pytest.approx(row(data, [7], seed=1), abs=1e-6)
    assert 0.7 < row(data, [7]) < 0.97  # the expected cosine of ones and uniform numbers is 0.87


def test_what_a_matrix_refuses() -> None:
    model, data = path()
    a = scored({3: [1.0, 2.0]}, model, data)
    with pytest.raises(UnknownMetricError, match="at least two"):
        gg.compare_all({"a": a}, baselines=False)
    with pytest.raises(UnknownMetricError, match="at least two"):
        gg.compare_all({})
    with pytest.raises(UnknownMetricError, match="mine has no scores for each layer"):
        gg.compare_all({"mine": a}, level="layer")
    found = gg.compare_all({"random": a, "b": a})  # the name is taken
    assert found.names == ("random", "b", "all ones")
    assert found.pair("random", "b").cosine.tolist() == pytest.approx([1])


def test_ties_between_runs_with_scores_of_one_decimal() -> None:
    """The same numbers in another order of columns: Spearman 1, overlap 1."""
    model, data = TwoLayers("gin"), random_graph()
    a = with_scores(model, data, [7, 2], uniform(1))
    b = replace(
        a,
        parts=[replace(p, edge_score=3 * p.edge_score) for p in a.parts],  # type: ignore[operator]
        _where=[],
        _bounds={},
    )
    found = gg.compare(a, b, top_k=5)
    for measure in ("cosine", "spearman", "jaccard"):
        torch.testing.assert_close(getattr(found, measure), torch.ones(2).double())
