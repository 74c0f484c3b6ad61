"""Predictions with some messages shut, and diagnoses, of instances with several output rows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data

import glassgraph as gg
from glassgraph import messages
from glassgraph.diagnose import drop_retained, hindsight, layer_knockout
from glassgraph.errors import ExplanationFileError
from tests.diagnose.scenes import Net, Votes, shut_on_whole_graph
from tests.diagnose.scenes import random_data as scene

WORDS = gg.Task("graph", rows="nodes")


def sentences() -> list[Data]:
    """A node is of class 1 where it hears more than a half.

    Nodes 1 and 2 of the first graph hear 1 and 2, node 0 of the second hears 3.
    """
    return [
        Data(
            x=torch.tensor([[1.0], [2.0], [0.0]]),
            edge_index=torch.tensor([[0, 1], [1, 2]]),
            relation=torch.tensor([0, 1]),
            y=torch.tensor([0, 1, 0]),
            word_index=torch.tensor([2]),
        ),
        Data(
            x=torch.tensor([[0.0], [3.0]]),
            edge_index=torch.tensor([[1], [0]]),
            relation=torch.tensor([0]),
            y=torch.tensor([1, -1]),
            word_index=torch.tensor([0]),
        ),
    ]


def votes(task: gg.Task = WORDS) -> gg.Occlusion:
    return gg.Occlusion(Votes(), task, layerwise=True, progress=False)


def test_rows_stand_in_the_order_of_the_explanations() -> None:
    data, explainer = sentences(), votes()
    explanations = explainer.explain(data, [1, 0])
    found = explainer.predict(data, explanations, messages.edges(relation=0))
    assert found.instance.tolist() == [0, 0, 1, 1, 1]
    assert found.reference[:, 1].tolist() == [3, 0, 0, 1, 2]
    assert found.outputs[:, 1].tolist() == [3, 0, 0, 1, 0]
    assert found.num_open.tolist() == [1, 1]
    assert found.num_messages.tolist() == [1, 2]
    none = explainer.predict(data, explanations, "none")
    assert none.outputs[:, 1].tolist() == [0] * 5


def test_the_rows_that_an_index_names() -> None:
    data, explainer = sentences(), votes(gg.Task("graph", rows="word_index"))
    found = explainer.predict(data, explainer.explain(data), "all")
    assert found.instance.tolist() == [0, 1]
    assert found.outputs[:, 1].tolist() == [2, 3]
    single = explainer.explain(data, [(1, 0), (0, 0)])
    found = explainer.predict(data, single, messages.edges(relation=0))
    assert found.outputs[:, 1].tolist() == [3, 0]


def test_shares_of_rows_by_hand() -> None:
    """Of the first graph's three rows one changes with each relation, of the second's two one."""
    table = layer_knockout(votes(), sentences(), by="relation")
    assert table.relation.tolist() == [0, 1]
    assert table.changed.tolist() == pytest.approx([(1 / 3 + 1 / 2) / 2, (1 / 3 + 0) / 2])
    # Labels: 0, 1, 0 and 1, none; predicted are 0, 1, 1 and 1, 0.
    assert table.accuracy_before.tolist() == pytest.approx([(2 / 3 + 1) / 2] * 2)
    assert table.accuracy.tolist() == pytest.approx([(1 / 3 + 0) / 2, (1 + 1) / 2])
    logits = torch.tensor([[0.5, 1.0], [0.5, 0.0], [0.5, 2.0], [0.5, 3.0]]).double()
    log = logits.log_softmax(1)

    def kl(p: int, q: int) -> float:
        return float((log[p].exp() * (log[p] - log[q])).sum())

    expected = [(kl(0, 1) / 3 + kl(3, 1) / 2) / 2, kl(2, 1) / 3 / 2]
    assert table.divergence.tolist() == pytest.approx(expected, rel=1e-6)
    assert table.score_change.tolist() == pytest.approx([(-1 - 3) / 2, -2 / 2])


def test_a_metric_is_given_every_row() -> None:
    def accuracy(outputs: Tensor, graphs: list[Data], index: Tensor) -> Tensor:
        labels = torch.cat([graphs[number].y for number in index.tolist()])
        return (outputs.argmax(1) == labels)[labels >= 0].double().mean()

    table = layer_knockout(votes(), sentences(), [1, 0], by="relation", metric=accuracy)
    assert table.metric_before.tolist() == [3 / 4] * 2
    assert table.metric.tolist() == [1 / 4, 1]


class Tagger(Net):
    """A class for each node of a sentence."""

    def __init__(self) -> None:
        super().__init__("node")


def test_against_plain_hooks() -> None:
    data, model = scene("graph"), Tagger()
    explainer = gg.Occlusion(model, WORDS, layerwise=True, progress=False)
    explanations = explainer.explain(data)
    found = explainer.predict(data, explanations, threshold=0.01)
    for place, graph in enumerate(data):
        gates = (explanations[place].layer_edge_mask > 0.01).double()
        expected = shut_on_whole_graph(model, graph, gates)
        torch.testing.assert_close(found.outputs[found.instance == place], expected)
    table = drop_retained(
        explainer, data, explanations=explanations, threshold=0.01, shares=[1.0], repeats=1
    )
    changed = (found.outputs.argmax(1) != found.reference.argmax(1)).double()
    mean = [changed[found.instance == place].mean() for place in range(3)]
    masked = table.query("base == 'masked'").changed.item()
    assert masked == pytest.approx(float(torch.stack(mean).mean()))


def test_batches_do_not_matter() -> None:
    data, found = scene("graph"), []
    for budget in (1, 1 << 30):
        explainer = gg.Saliency(Tagger(), WORDS, memory_budget=budget, progress=False)
        explanations = explainer.explain(data, [2, 0, 1])
        found.append(explainer.predict(data, explanations, 0.5, top_share=0.5))
    torch.testing.assert_close(found[0].outputs, found[1].outputs)
    assert torch.equal(found[0].instance, found[1].instance)


def test_hindsight_row_by_row() -> None:
    result = hindsight(votes(), sentences(), threshold=0.0)
    assert 0 <= result.bias <= 1
    assert result.table.reached[0] == 1  # what votes for a row's own class keeps it
    alone = gg.Random(Tagger(), WORDS, progress=False)
    assert hindsight(alone, scene("graph"), top_share=0.5).similarity == 1
    opposite = torch.tensor([1, 0, 0, 0, 1])
    given = hindsight(votes(), sentences(), opposite=opposite, threshold=0.0)
    assert given.table.equals(result.table)


def test_explanations_of_another_task() -> None:
    data = sentences()
    explanations = votes().explain(data)
    other = votes(gg.Task("graph", rows="word_index"))
    with pytest.raises(ExplanationFileError, match="rows='nodes', the explainer's has rows='word"):
        other.predict(data, explanations, "all")
    moved = sentences()
    moved[1].x[1] = 9.0
    with pytest.raises(ExplanationFileError, match=r"other values for 1 of 5 rows .* index 1\)"):
        votes().predict(moved, explanations, "all")
