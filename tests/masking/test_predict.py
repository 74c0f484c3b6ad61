"""`Explainer.predict`: answers by hand, by plain hooks on the whole graph, and by law."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import SimpleConv

import glassgraph as gg
from glassgraph import messages
from glassgraph.core.told import FallbackWarning
from glassgraph.errors import (
    ExplanationFileError,
    HyperParameterError,
    InstanceError,
    NotFittedError,
)
from glassgraph.explainers.divergence import divergence
from glassgraph.inputs.task import Targets
from glassgraph.masking.keep import predict_each
from glassgraph.masking.message_sets import Scene
from glassgraph.masking.rerun import Rerun
from glassgraph.testing.compare import expect_unchanged, snapshot
from tests.diagnose.scenes import (
    Chosen,
    Net,
    Relay,
    Votes,
    edges,
    random_data,
    shut_on_whole_graph,
    star,
)
from tests.diagnose.scenes import messages as scored

VALUE = gg.Task("node", mode="regression")


class Sums(nn.Module):
    """Two layers of SimpleConv: a node gets what its senders' senders have."""

    def __init__(self, layers: int = 2) -> None:
        super().__init__()
        self.convs = nn.ModuleList([SimpleConv() for _ in range(layers)])

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(x, edge_index)
        return x


def sums(layers: int = 1, **settings: Any) -> gg.Occlusion:
    return gg.Occlusion(Sums(layers), VALUE, progress=False, **settings)


def fan() -> Data:
    """Node 0 hears 2, 3, 5 and 7 along edges 0 to 3; node 1 hears -1 along edge 4."""
    x = torch.tensor([[0.0], [0.0], [2.0], [3.0], [5.0], [7.0], [-1.0]])
    edge_index = torch.tensor([[2, 3, 4, 5, 6], [0, 0, 0, 0, 1]])
    return Data(x=x, edge_index=edge_index, kind=torch.tensor([0, 1, 1, 2, 1]))


# By hand


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        ("kept", [12.0, 0.0]),  # what scores above 4: 5 + 7; of node 1 nothing
        ("dropped", [5.0, -1.0]),
        ("all", [17.0, -1.0]),
        ("none", [0.0, 0.0]),
        (1, [12.0, 0.0]),
        (0.0, [0.0, 0.0]),
        (messages.ALL - messages.edges(kind=1), [9.0, 0.0]),
        (messages.edges(kind=[0, 2]), [9.0, 0.0]),
        (messages.edges(kind=torch.tensor([0, 1])) & messages.KEPT, [5.0, 0.0]),
        (messages.KEPT | messages.edges(kind=1), [15.0, -1.0]),
        (~messages.layer(0), [0.0, 0.0]),
        (messages.DROPPED.as_many_as(messages.ALL), [5.0, -1.0]),
        (lambda local: local.edge_score < 4, [5.0, -1.0]),
        (lambda local: [local.index == 1] * len(local.edge_id), [0.0, -1.0]),
        (torch.tensor([True, False, True, False, True]), [7.0, -1.0]),
        ([1, 0, 1, 0, 0], [7.0, 0.0]),
        ([[True, True, False, False], [True]], [5.0, -1.0]),
        ([torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 0, 0, 1])], [7.0, -1.0]),
        (torch.tensor([[0, 0, 0, 1, 1]]), [7.0, -1.0]),
    ],
)
def test_sums_by_hand(keep: Any, expected: list[float]) -> None:
    data, explainer = fan(), sums()
    explanations = explainer.explain(data, [0, 1])
    found = explainer.predict(data, explanations, keep, threshold=4.0)
    assert found.outputs.view(-1).tolist() == expected
    assert found.reference.view(-1).tolist() == [17, -1]
    assert found.instance.tolist() == [0, 1]
    assert found.num_messages.tolist() == [4, 1]


def test_several_choices_at_once_are_one_after_the_other() -> None:
    data, explainer = random_data(), gg.Saliency(Net(), progress=False)
    explanations = explainer.explain(data)
    keeps = ["all", messages.layer(1), 0.5, lambda local: local.edge_score > 0, "none"]
    rerun = Rerun.of(explainer, data, explanations=explanations)
    found = predict_each(rerun, Scene.of(rerun, top_share=0.4), keeps, baselines=True)
    for keep, each in zip(keeps, found, strict=True):
        alone = explainer.predict(data, explanations, keep=keep, top_share=0.4)
        assert torch.equal(each.outputs, alone.outputs)
        assert torch.equal(each.num_open, alone.num_open)
    assert not torch.equal(found[0].outputs, found[1].outputs)


def test_the_messages_that_are_open_are_counted() -> None:
    data, explainer = fan(), sums()
    found = explainer.predict(data, explainer.explain(data, [1, 0]), threshold=4.0)
    assert found.num_open.tolist() == [0, 2]
    assert found.num_messages.tolist() == [1, 4]


def test_a_relation_that_no_explained_edge_has() -> None:
    """Node 1 hears of kind 1 alone; shutting kind 2 changes nothing there."""
    data, explainer = fan(), sums()
    explanations = explainer.explain(data, [1])
    found = explainer.predict(data, explanations, messages.ALL - messages.edges(kind=2))
    assert found.outputs.item() == -1
    with pytest.raises(HyperParameterError, match="no explained edge has kind 'two'; there are 1"):
        explainer.predict(data, explanations, messages.edges(kind="two"))


def test_as_many_pairs_as_edges() -> None:
    """One score for each edge, and a set of single layers: pairs of both are counted."""
    data, explainer = random_data(), gg.Saliency(Net(), progress=False)
    explanations = explainer.explain(data, [3, 8])
    some = messages.layer(0).as_many_as(messages.layer(1))
    found = explainer.predict(data, explanations, some)
    counted = explainer.predict(data, explanations, messages.layer(1))
    assert torch.equal(found.num_open, counted.num_open)
    mixed = messages.layer(0).as_many_as(messages.KEPT)
    found = explainer.predict(data, explanations, mixed, top_share=0.2)
    kept = explainer.predict(data, explanations, top_share=0.2)
    assert torch.equal(found.num_open, kept.num_open)


def test_layers_by_hand() -> None:
    """0 -> 1 -> 2 and 3 -> 1: node 2 hears 2 and 5 over two layers."""
    x = torch.tensor([[2.0], [0.0], [0.0], [5.0]])
    data = Data(x=x, edge_index=torch.tensor([[0, 1, 3], [1, 2, 1]]))
    explainer = sums(2, layerwise=True)
    explanations = explainer.explain(data, [2])
    for keep, expected in (
        ("all", 7),
        (messages.ALL - messages.layer(0), 0),
        (messages.ALL - messages.layer(1), 0),
        (messages.ALL - (messages.layer(0) & messages.edges(edge_id=2)), 2),
        (messages.ALL - (messages.layer(1) & messages.edges(edge_id=2)), 7),
        (torch.tensor([[False, False, True], [False, True, False]]), 5),
        ([torch.tensor([[True, False, False], [False, True, False]])], 2),
        (lambda local: local.layer_edge_score > 4, 5),
        (lambda local: local.edge_score > 4, 5),  # one row, for both layers
    ):
        assert explainer.predict(data, explanations, keep).outputs.item() == expected
    found = explainer.predict(data, explanations, "kept", threshold=4.0)
    assert found.outputs.item() == 5
    # Near enough are all three edges at layer 0, and edge 1 at layer 1.
    assert (found.num_open.item(), found.num_messages.item()) == (2, 4)


def test_what_the_method_puts_in_place_of_shut_messages() -> None:
    """Two messages of 1 and 2, the second shut: it becomes 7, or zero."""
    explainer = Chosen(Votes(), score=edges(0), shut=7.0)
    data = star(1, 2)
    explanations = explainer.explain(data, [0])
    own = explainer.predict(data, explanations, threshold=0.5)
    assert own.outputs.tolist() == [[0.5, 8.0]]
    zero = explainer.predict(data, explanations, threshold=0.5, baselines=False)
    assert zero.outputs.tolist() == [[0.5, 1.0]]
    assert explainer.predict(data, explanations, "all").outputs.tolist() == [[0.5, 3.0]]


# Laws


@pytest.mark.parametrize("layerwise", [False, True])
@pytest.mark.parametrize("level", ["node", "graph", "edge"])
def test_all_is_the_model_and_none_is_no_gate_open(level: Any, layerwise: bool) -> None:
    data, model = random_data(level), Net(level)
    explainer = gg.Occlusion(model, level, layerwise=layerwise, progress=False)
    explanations = explainer.explain(data)
    preparation = explainer.prepare(data)
    ((_, batch),) = preparation.batches(preparation.instances(None), None, None)
    full = explainer.predict(data, explanations, "all")
    torch.testing.assert_close(full.outputs, full.reference)
    torch.testing.assert_close(full.reference, batch.reference)
    none = explainer.predict(data, explanations, "none")
    torch.testing.assert_close(none.outputs, batch.output(0 * batch.ones()))
    assert none.num_open.sum() == 0
    assert torch.equal(full.num_open, full.num_messages)


def test_kept_and_dropped_are_complements() -> None:
    data, explainer = random_data(), gg.Occlusion(Net(), layerwise=True, progress=False)
    explanations = explainer.explain(data)
    kept, dropped = (
        explainer.predict(data, explanations, word, threshold=0.01) for word in ("kept", "dropped")
    )
    assert torch.equal(kept.num_open + dropped.num_open, kept.num_messages)
    assert 0 < kept.num_open.sum() < kept.num_messages.sum()


def test_without_one_edge_is_occlusion() -> None:
    data, explainer = random_data(), gg.Occlusion(Net(), layerwise=True, progress=False)
    explanations = explainer.explain(data, [3, 8])
    full = explainer.predict(data, explanations, "all").outputs
    for place, local in enumerate(map(explanations.local, range(2))):
        for edge in (0, 5):
            number = int(local.edge_id[edge])
            target = int(local.target)
            without = ~messages.edges(edge_id=number)
            found = explainer.predict(data, explanations, without).outputs
            change = (full - found)[place, target]
            torch.testing.assert_close(change, local.edge_score[edge])
            at_top = messages.ALL - (messages.edges(edge_id=number) & messages.layer(1))
            found = explainer.predict(data, explanations, at_top).outputs
            torch.testing.assert_close(
                (full - found)[place, target], local.layer_edge_score[1, edge]
            )


def test_against_plain_hooks_on_the_whole_graph() -> None:
    data, model, index = random_data(), Net(), [1, 4, 11]
    explainer = gg.Occlusion(model, layerwise=True, progress=False)
    explanations = explainer.explain(data, index)
    found = explainer.predict(data, explanations, threshold=0.02)
    for place, node in enumerate(index):
        gates = (explanations[place].layer_edge_mask > 0.02).double()
        expected = shut_on_whole_graph(model, data, gates)[node]
        torch.testing.assert_close(found.outputs[place], expected)


def test_graphmask_finds_its_own_check_again() -> None:
    """Divergence and changes of its outcome, on the predictions it checked.

    (It counts messages on the field that these share, and so another share of them.)
    """
    data = random_data()
    explainer = gg.GraphMask(
        Net(), steps=60, tolerance=1.0, max_changed=1.0, divergence="cross_entropy", progress=False
    )
    explainer.fit(data, index=range(7), validation=range(7))
    explanations = explainer.explain(data, range(7))
    found = explainer.predict(data, explanations)
    targets = Targets(torch.tensor([explanations.local(place).target for place in range(7)]))
    distance = divergence(
        explainer.task, explainer.output_divergence, found.outputs, found.reference, targets
    )
    outcome = explainer.outcome
    assert 0 < outcome["kept"] < 1
    assert float(distance.mean()) == pytest.approx(outcome["divergence"], rel=1e-9)
    changed = found.outputs.argmax(1) != found.reference.argmax(1)
    assert float(changed.double().mean()) == pytest.approx(outcome["changed"])
    mask = [explanations.local(place).layer_edge_score > 0.5 for place in range(7)]
    assert torch.equal(explainer.predict(data, explanations, mask).outputs, found.outputs)


def test_batches_and_order_do_not_matter() -> None:
    data, index = random_data(), [9, 2, 5, 0]
    found = []
    for budget in (1, 1 << 30):
        explainer = gg.Saliency(Net(), memory_budget=budget, progress=False)
        explanations = explainer.explain(data, index)
        found.append(explainer.predict(data, explanations, 0.5, top_share=0.6, seed=3).outputs)
    torch.testing.assert_close(*found)
    part = explainer.predict(data, explanations[2:3], 0.5, top_share=0.6, seed=3)
    torch.testing.assert_close(part.outputs, found[0][2:3])


def test_a_share_is_drop_retained_s() -> None:
    data, explainer = random_data(), gg.Occlusion(Net(), layerwise=True, progress=False)
    explanations = explainer.explain(data)
    table = gg.diagnose.drop_retained(
        explainer, data, explanations=explanations, top_share=0.5, shares=[0.75], repeats=1, seed=5
    )
    found = explainer.predict(data, explanations, 0.75, top_share=0.5, seed=5)
    changed = found.outputs.argmax(1) != found.reference.argmax(1)
    masked = table.query("base == 'masked'").iloc[0]
    assert float(changed.double().mean()) == pytest.approx(masked.changed)
    share = float(found.num_open.sum() / found.num_messages.sum())
    assert share == pytest.approx(masked.open_share)


def test_another_seed_draws_others_and_a_larger_share_holds_a_smaller_one() -> None:
    data, explainer = fan(), sums()
    explanations = explainer.explain(data, [0])

    def open_at(share: float, seed: int) -> set[float]:
        """Prime numbers tell from their sum which of them are open."""
        total = explainer.predict(
            data, explanations, messages.ALL.share(share), seed=seed
        ).outputs.item()
        (found,) = [
            {v for v, bit in zip((2, 3, 5, 7), f"{n:04b}", strict=True) if bit == "1"}
            for n in range(16)
            if sum(v for v, bit in zip((2, 3, 5, 7), f"{n:04b}", strict=True) if bit == "1")
            == total
            and f"{n:04b}".count("1") == round(4 * share)
        ]
        return found

    halves = [open_at(0.5, seed) for seed in range(9)]
    assert len({tuple(sorted(each)) for each in halves}) > 1
    assert open_at(0.5, 4) == halves[4]
    for seed, half in enumerate(halves):
        assert open_at(0.25, seed) < half < open_at(0.75, seed)


def test_as_many_as() -> None:
    data, explainer = fan(), sums()
    explanations = explainer.explain(data, [0, 1])
    plus = messages.KEPT | messages.DROPPED.as_many_as(messages.KEPT)
    found = explainer.predict(data, explanations, plus, threshold=6.0)  # 7 is kept
    assert found.num_open.tolist() == [2, 0]
    assert found.outputs[0].item() in (9, 10, 12)
    few = messages.ALL - messages.DROPPED.as_many_as(messages.KEPT)
    found = explainer.predict(data, explanations, few, threshold=2.5)  # three kept, one shut
    assert found.outputs[0].item() == 15


def test_a_share_of_layers_draws_pairs_of_a_layer_and_an_edge() -> None:
    data, explainer = random_data(), gg.Saliency(Net(), progress=False)  # one score for each edge
    explanations = explainer.explain(data, [3])
    both = messages.layer(0, 1)
    found = explainer.predict(data, explanations, both.share(0.5))
    assert found.num_open.item() == pytest.approx(found.num_messages.item() / 2, abs=1)


# Situations


def test_several_graphs() -> None:
    data, explainer = random_data("graph"), gg.Saliency(Net("graph"), "graph", progress=False)
    explanations = explainer.explain(data, [2, 0])
    masks = [torch.zeros(data[2].num_edges), torch.ones(data[0].num_edges)]
    found = explainer.predict(data, explanations, masks)
    assert found.num_open.tolist() == [0, data[0].num_edges * 2]
    torch.testing.assert_close(found.outputs[1], found.reference[1])
    by_graph = explainer.predict(data, explanations, lambda local: masks[local.graph == 0])
    assert torch.equal(by_graph.outputs, found.outputs)
    everything = torch.cat([torch.ones(each.num_edges) for each in data[:2]] + [masks[0]])
    assert torch.equal(explainer.predict(data, explanations, everything).outputs, found.outputs)


class Typed(nn.Module):
    """An author hears of papers over two relations."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([SimpleConv(), SimpleConv()])

    def forward(self, x_dict: Any, edge_index_dict: Any) -> Tensor:
        ends = (x_dict["paper"], x_dict["author"])
        relations = (("paper", "by", "author"), ("paper", "read", "author"))
        by, read = (
            conv(ends, edge_index_dict[name])
            for conv, name in zip(self.convs, relations, strict=True)
        )
        return by + read


def typed() -> HeteroData:
    data = HeteroData()
    data["author"].x = torch.zeros(2, 1)
    data["paper"].x = torch.tensor([[2.0], [3.0], [5.0]])
    data["paper", "by", "author"].edge_index = torch.tensor([[0, 1, 2], [0, 0, 1]])
    data["paper", "read", "author"].edge_index = torch.tensor([[2, 1], [0, 1]])
    return data


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        ("all", [10, 8]),
        (messages.ALL - messages.edges(edge_type=("paper", "by", "author")), [5, 3]),
        (messages.edges(edge_type="paper__by__author"), [5, 5]),
        (
            {
                ("paper", "by", "author"): torch.tensor([True, False, False]),
                ("paper", "read", "author"): torch.tensor([False, True]),
            },
            [2, 3],
        ),
        (lambda local: [name == "paper__read__author" for name in local.edge_type], [5, 3]),
        (torch.tensor([False, True, False, False, True]), [3, 3]),
    ],
)
def test_edge_types(keep: Any, expected: list[float]) -> None:
    data = typed()
    explainer = gg.Occlusion(Typed(), gg.Task("node", "regression", node_type="author"))
    explanations = explainer.explain(data)
    assert explainer.predict(data, explanations, keep).outputs.view(-1).tolist() == expected


def test_a_model_that_cannot_be_cut() -> None:
    data, explainer = random_data(), gg.Saliency(Net(mixes=True), progress=False)
    with pytest.warns(FallbackWarning):
        explanations = explainer.explain(data, [5, 2])
    full = explainer.predict(data, explanations, "all")
    torch.testing.assert_close(full.outputs, full.reference)
    none = explainer.predict(data, explanations, "none")
    expected = shut_on_whole_graph(explainer.model, data, torch.zeros(2, 41).double())[[5, 2]]
    torch.testing.assert_close(none.outputs, expected)


def test_a_method_that_only_calls_the_model() -> None:
    data = random_data()
    explainer = gg.CausalScreening(Net(), progress=False)
    explanations = explainer.explain(data, [3])
    found = explainer.predict(data, explanations, "all")
    torch.testing.assert_close(found.outputs, found.reference)
    expected = shut_on_whole_graph(explainer.model, data, torch.zeros(2, 41).double())[[3]]
    torch.testing.assert_close(explainer.predict(data, explanations, "none").outputs, expected)


def test_words_as_relations() -> None:
    data = fan()
    data.relation = ["is", "has", "has", "is", "has"]
    explainer = sums()
    explanations = explainer.explain(data, [0, 1])
    found = explainer.predict(data, explanations, messages.edges(relation="has"))
    assert found.outputs.view(-1).tolist() == [8, -1]


def test_explanations_from_a_folder_without_its_graph(tmp_path: Any) -> None:
    data, explainer = fan(), sums()
    explainer.explain(data, [0]).save(tmp_path, include_graph=False)
    explanations = gg.Explanations.load(tmp_path)
    found = explainer.predict(data, explanations, messages.edges(kind=1))
    assert found.outputs.item() == 8
    assert explainer.predict(data, explanations, lambda local: [1, 0, 0, 0]).outputs.item() == 2


def test_an_instance_without_messages() -> None:
    data, explainer = fan(), sums()
    explanations = explainer.explain(data, [2, 0])
    for keep in ("kept", lambda local: local.edge_score > 4, [[], [0, 0, 1, 1]], 1.0):
        found = explainer.predict(data, explanations, keep, threshold=4.0)
        assert found.outputs.view(-1).tolist() == [0, 12]
        assert found.num_messages.tolist() == [0, 4]


def test_model_and_data_stay_as_they_were() -> None:
    data, model = random_data(), Net().train()
    explainer = gg.Saliency(model, progress=False)
    explanations = explainer.explain(data)
    before, state = snapshot(model, data), torch.get_rng_state()
    found = explainer.predict(data, explanations, 0.5, top_share=0.3)
    expect_unchanged(before, snapshot(model, data))
    assert torch.equal(state, torch.get_rng_state())
    assert not found.outputs.requires_grad


# What is refused


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ("best", "keep='best' is not known; the words are 'kept', 'dropped', 'all', 'none'"),
        (1.5, r"a share is a number in \[0, 1\]; got 1.5"),
        (float("nan"), "a share is a number"),
        (True, "keep is a word .* got bool"),
        (None, "keep is a word .* got NoneType"),
        (torch.tensor([True, False]), "the mask has 2 entries a row; .* 5"),
        (torch.tensor([0.2, 0.9, 0.1, 0.0, 0.0]), "other values than 0 and 1; .* mask > 0.5"),
        (torch.ones(2, 5), "has 2 rows; .* each of the 1 layers"),
        (torch.ones(1, 1, 5), r"a Tensor of shape \(1, 1, 5\); expected booleans"),
        ([[True] * 4], "one mask for each of the 2 explanations; this one holds 1"),
        ([[True] * 4, [True] * 3], "the mask for explanation 1 has 3 entries a row"),
        ([[True] * 4, "yes"], "the mask for explanation 1 is a str"),
        (lambda local: True, "what where.* returned for explanation 0 is a bool"),
        (lambda local: None, "returned for explanation 0 is a NoneType"),
        (lambda local: local.edge_score, "other values than 0 and 1"),
        (messages.layer(1), r"layer\(1\): the model has 1 layers of messages"),
        (messages.layer(), r"layer\(\): the model has 1 layers"),
        (messages.edges(kind=9), r"edges\(kind=9\): no explained edge has kind 9; there are 0, 1"),
        (messages.edges(color=1), "there is no column 'color'"),
        ({"a": [True]}, "the mask is a dictionary of 'a'; .* no types"),
    ],
)
def test_what_cannot_be_kept(keep: Any, message: str) -> None:
    data, explainer = fan(), sums()
    explanations = explainer.explain(data, [0, 1])
    with pytest.raises(HyperParameterError, match=message):
        explainer.predict(data, explanations, keep, threshold=4.0)


def test_nothing_says_what_is_kept() -> None:
    data, explainer = fan(), sums()
    explanations = explainer.explain(data, [0])
    for keep in ("kept", "dropped", 0.5, messages.ALL - messages.KEPT.share(0.5)):
        with pytest.raises(HyperParameterError, match=r"threshold=0.5 .* or top_share=0.3"):
            explainer.predict(data, explanations, keep)
    with pytest.raises(HyperParameterError, match="not both"):
        explainer.predict(data, explanations, "all", threshold=1, top_share=0.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": "high"}, "threshold must be a number; got 'high'"),
        ({"top_share": True}, "top_share must be a number; got True"),
        ({"top_share": 2}, r"top_share must lie in \[0, 1\]"),
        ({"top_share": 0.5, "seed": 0.5}, "seed must be an integer of 64 bits; got 0.5"),
        ({"top_share": 0.5, "seed": 2**63}, "seed must be an integer"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    data, explainer = fan(), sums()
    with pytest.raises(HyperParameterError, match=message):
        explainer.predict(data, explainer.explain(data, [0]), 0.5, **settings)


def test_a_slice_that_turns_the_order_around() -> None:
    data, explainer = random_data(), gg.Saliency(Net(), progress=False)
    explanations = explainer.explain(data, [9, 2, 5])
    forwards = explainer.predict(data, explanations, 0.5, top_share=0.4)
    backwards = explainer.predict(data, explanations[::-1], 0.5, top_share=0.4)
    torch.testing.assert_close(backwards.outputs, forwards.outputs.flip(0))
    assert torch.equal(backwards.num_open, forwards.num_open.flip(0))


def test_sets_are_joined_with_sets() -> None:
    with pytest.raises(TypeError):
        messages.ALL - 3  # type: ignore[operator]
    with pytest.raises(HyperParameterError, match="as_many_as takes a set"):
        messages.ALL.as_many_as(3)  # type: ignore[arg-type]
    with pytest.raises(HyperParameterError, match="name an attribute"):
        messages.edges()


def test_explanations_of_something_else() -> None:
    data, explainer = fan(), sums()
    explanations = explainer.explain(data, [0])
    with pytest.raises(HyperParameterError, match=r"a slice of it .* got Explanation"):
        explainer.predict(data, explanations[0], "all")  # type: ignore[arg-type]
    with pytest.raises(InstanceError, match="at least one prediction"):
        explainer.predict(data, explanations[:0], "all")
    with pytest.raises(ExplanationFileError, match="the explainer is saliency"):
        gg.Saliency(Sums(1), VALUE).predict(data, explanations, "all")
    fewer = Data(x=data.x, edge_index=data.edge_index[:, :3])
    with pytest.raises(ExplanationFileError, match="5 edges, these have 3"):
        explainer.predict(fewer, explanations, "all")
    turned = Data(x=data.x, edge_index=data.edge_index.flip(1))
    with pytest.raises(ExplanationFileError, match="edge 0 does not join the same nodes"):
        explainer.predict(turned, explanations, "all")
    scaled = Data(x=2 * data.x, edge_index=data.edge_index)
    with pytest.raises(ExplanationFileError, match=r"predicts other values for 1 of 1 .* index 0"):
        explainer.predict(scaled, explanations, "all")
    other = Net()
    made = gg.Occlusion(other, progress=False).explain(random_data(), [1])
    with torch.no_grad():
        other.convs[0].nn.weight.mul_(2)
    with pytest.raises(ExplanationFileError, match="other weights"):
        gg.Occlusion(other, progress=False).predict(random_data(), made, "all")


def test_an_explainer_that_has_learned_nothing() -> None:
    """Its baselines are not known; without them it can predict."""
    data = random_data()
    fitted = gg.GraphMask(Net(), steps=3, tolerance=1e9, max_changed=1.0, progress=False)
    explanations = fitted.fit(data).explain(data, [2])
    empty = gg.GraphMask(Net(), progress=False)
    with pytest.raises(NotFittedError):
        empty.predict(data, explanations)
    found = empty.predict(data, explanations, baselines=False)
    expected = fitted.predict(data, explanations, baselines=False)
    assert torch.equal(found.outputs, expected.outputs)


def test_a_relay_with_scores_of_our_choosing() -> None:
    data = star(0, 0)
    data.edge_index = torch.tensor([[1, 0], [0, 2]])
    data.x[1] = 1
    explainer = Chosen(Relay([1, 1]), score=scored((0, 0), (1, 1)))
    explanations = explainer.explain(data, [2])
    kept = explainer.predict(data, explanations, threshold=0.5)
    assert kept.outputs.tolist() == [[0.5, 1.0]]
    assert (kept.num_open.item(), kept.num_messages.item()) == (2, 3)
