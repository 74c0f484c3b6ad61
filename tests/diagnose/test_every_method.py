"""Every diagnostic takes every method; explanations that do not belong are refused."""

from __future__ import annotations

import importlib
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import glassgraph as gg
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.reachability import near_messages
from glassgraph.core.told import FallbackWarning
from glassgraph.errors import (
    ExplanationFileError,
    HyperParameterError,
    InstanceError,
    UnknownMetricError,
)
from glassgraph.explainers.registry import METHODS
from glassgraph.explainers.scope import LEVELS
from glassgraph.masking.rerun import Rerun
from glassgraph.metrics import edge_scores
from glassgraph.results.aggregates.decisions import ScoreTable
from glassgraph.testing.cases import Case
from tests.diagnose.scenes import Chosen, Net, Votes, edges, random_data, star
from tests.laws.cases import within_scope


def make(name: str, level: str, seed: int = 0) -> Any:
    method = METHODS[name]
    return method(Net(level), level, seed=seed, progress=False, **method.test_settings)


@pytest.mark.parametrize(("name", "case"), within_scope([Case("gin", level) for level in LEVELS]))
def test_every_diagnostic_takes_every_method(name: str, case: Case) -> None:
    level = case.level
    data, runs, settings = random_data(level), [], {"top_share": 0.4}
    for seed in (0, 1):
        explainer = make(name, level, seed)
        if explainer.traits.is_amortized:
            explainer.fit(data)
        runs.append(explainer.explain(data))
    given: dict[str, Any] = {"explanations": runs[-1], **settings}
    curve = gg.diagnose.drop_retained(explainer, data, **given, shares=[0, 1], repeats=2)
    unchanged = curve.query("base == 'original' and share == 1")
    assert unchanged.divergence.max() < 1e-12
    layers = gg.diagnose.layer_knockout(explainer, data, **given)
    assert layers.attribution_share.sum() == pytest.approx(1)
    assert layers.kept_share.sum() == pytest.approx(1)
    result = gg.diagnose.hindsight(explainer, data, **settings)
    assert 0 <= result.bias <= 1
    assert 0 <= result.similarity <= 1
    agreement = gg.diagnose.seed_agreement(runs, explainer=explainer, data=data, **settings)
    assert agreement.kappa <= 1
    assert agreement.retained_share[0] == pytest.approx(agreement.retained_share[1])
    assert (agreement.kappa == 1) or explainer.traits.is_random


def test_several_graphs_of_nodes() -> None:
    data = random_data("graph")
    explainer = gg.Occlusion(Net(), "node", progress=False)
    curve = gg.diagnose.drop_retained(explainer, data, [0, 7, 20], top_share=0.4, repeats=2)
    assert (curve.instances == 3).all()


def test_nodes_are_read_as_the_metrics_read_them() -> None:
    class OnNodes(Chosen):
        def attribute(self, batch: InstanceBatch) -> gg.Attribution:
            return gg.Attribution(node=torch.rand(batch.num_nodes).double())

    explanations = OnNodes(Net(), score=edges()).explain(random_data(), [3, 8, 1])
    table = ScoreTable.read(explanations)
    for position in range(3):
        own = table.score[0, table.position == position]
        torch.testing.assert_close(own, edge_scores(explanations.local(position)))


def test_features_are_summed() -> None:
    class OnFeatures(Chosen):
        def attribute(self, batch: InstanceBatch) -> gg.Attribution:
            return gg.Attribution(feature=[torch.rand(batch.num_nodes, 5).double()])

    explanations = OnFeatures(Net(), score=edges()).explain(random_data(), [3])
    torch.testing.assert_close(
        ScoreTable.read(explanations).score[0], edge_scores(explanations.local(0))
    )


@pytest.mark.parametrize("level", ["node", "graph", "edge"])
def test_messages_that_reach_are_those_with_a_gradient(level: str) -> None:
    data, explainer = random_data(level), gg.Saliency(Net(level), level, progress=False)
    rerun = Rerun.of(explainer, data)
    with rerun.pieces() as pieces:
        for piece in pieces:
            gates = piece.batch.ones(layerwise=True).requires_grad_()
            with torch.enable_grad():
                gradient = piece.batch.gradients(piece.batch.score(gates), [gates])[0]
            assert torch.equal(near_messages(piece.batch), gradient != 0)


class Tapped(nn.Module):
    """Two layers that are not PyG's: their messages cannot be left out, however far away."""

    def __init__(self) -> None:
        super().__init__()
        self.taps = nn.ModuleList([gg.MessageTap(), gg.MessageTap()])

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for tap in self.taps:
            sent = tap(x[edge_index[0]], edge_index)
            x = torch.zeros_like(x).index_add(0, edge_index[1], sent).tanh()
        return x


def test_messages_of_taps_that_come_too_late_do_not_count() -> None:
    data, explainer = random_data(), gg.Saliency(Tapped(), progress=False)
    with Rerun.of(explainer, data, [3]).pieces() as pieces:
        (piece,) = pieces
    fields = piece.batch.fields
    assert torch.equal(piece.reach[1], data.edge_index[1, fields.edge] == 3)
    assert piece.reach[0].all()


class Typed(Net):
    """The second layer sends along edges of one type alone."""

    def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor, **_: Any) -> Tensor:
        h = self.convs[0](x, edge_index).tanh()
        return self.convs[1](h, edge_index[:, edge_type == 1])


def test_edges_that_a_layer_leaves_out_do_not_count() -> None:
    data = random_data()
    data.edge_type = torch.randint(2, (41,))
    with Rerun.of(gg.Saliency(Typed(), progress=False), data, [3, 8]).pieces() as pieces:
        (piece,) = pieces
    fields, into = piece.batch.fields, data.edge_index[1]
    is_last = into[fields.edge] == torch.tensor([3, 8])[fields.edge_instance]
    assert torch.equal(piece.reach[1], is_last & (data.edge_type[fields.edge] == 1))
    assert (data.edge_type[fields.edge][is_last] == 0).any()


class Mixed(Net):
    """The first nodes hear of every other one at the end: they cannot be cut out, others can."""

    def forward(self, x: Tensor, edge_index: Tensor, **_: Any) -> Tensor:
        h = super().forward(x, edge_index)
        return h + (x[:, :1] > 0) * h.mean(dim=0)


def test_explanations_in_parts_that_are_out_of_order() -> None:
    data, explainer = random_data(), gg.Occlusion(Mixed(), progress=False)
    index, mixed = [2, 7, 4, 1, 9], data.x[:, 0] > 0
    assert mixed[index].any()
    assert not mixed[index].all()
    with pytest.warns(FallbackWarning):
        made = explainer.explain(data, index)
    positions = torch.cat([part.position for part in made.parts])
    assert positions.tolist() != sorted(positions.tolist())
    rerun = Rerun.of(explainer, data, explanations=made)
    assert rerun.instances.index.tolist() == index
    assert rerun.targets.chosen.tolist() == [made.local(i).target for i in range(5)]
    found = gg.diagnose.layer_knockout(explainer, data, explanations=made)
    alone = [
        gg.diagnose.layer_knockout(explainer, data, explanations=made[i : i + 1]) for i in range(5)
    ]
    mean = sum(each.score_change for each in alone) / 5
    assert found.score_change.tolist() == pytest.approx(mean.tolist())


def test_scores_that_are_not_finite() -> None:
    """A method cannot return them; a file can hold them."""
    explainer, data = Chosen(Votes(), score=edges(0)), star(1, 1)
    made = explainer.explain(data, [0])
    (part,) = made.parts
    assert part.edge_score is not None
    broken = replace(part, edge_score=torch.full_like(part.edge_score, float("nan")))
    made.parts[:] = [broken]
    with pytest.raises(UnknownMetricError, match="2 scores of chosen are NaN"):
        gg.diagnose.layer_knockout(explainer, data, explanations=made)


def test_an_unknown_ranking() -> None:
    with pytest.raises(UnknownMetricError, match="'signed' or 'absolute'; got 'best'"):
        gg.diagnose.layer_knockout(
            Chosen(Votes(), score=edges()),
            star(1),
            [0],
            ranking="best",  # type: ignore[arg-type]
        )


def test_explanations_that_do_not_belong() -> None:
    data, explainer = star(1, 0), Chosen(Votes(), score=edges(0))
    explanations = explainer.explain(data, [0])
    knockout = gg.diagnose.layer_knockout
    with pytest.raises(HyperParameterError, match="give them, or index and target"):
        knockout(explainer, data, [0], explanations=explanations)
    with pytest.raises(ExplanationFileError, match="2 edges, these have 3"):
        knockout(explainer, _more_edges(data), explanations=explanations)
    with pytest.raises(ExplanationFileError, match="the explainer is saliency"):
        knockout(gg.Saliency(Votes(), progress=False), data, explanations=explanations)
    with pytest.raises(InstanceError, match="at least one prediction"):
        knockout(explainer, data, explanations=explanations[:0])
    trained, explained = Net(), random_data()
    made = gg.Saliency(trained, progress=False).explain(explained, [1])
    with torch.no_grad():
        trained.convs[0].nn.weight.mul_(2)
    with pytest.raises(ExplanationFileError, match="other weights"):
        knockout(gg.Saliency(trained, progress=False), explained, explanations=made)


def _more_edges(data: Any) -> Any:
    more = data.clone()
    more.edge_index = torch.cat([data.edge_index, torch.tensor([[1], [2]])], dim=1)
    return more


def test_the_room_is_found_without_torch() -> None:
    code = (
        "import sys, glassgraph as gg; assert 'diagnose' in dir(gg); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert gg.diagnose is importlib.import_module("glassgraph.diagnose")
