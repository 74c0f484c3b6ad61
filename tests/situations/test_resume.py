"""Runs that died go on: what is resumed equals a run without interruption, or is refused."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.nn import GCN, GCNConv, global_mean_pool

import glassgraph as gg
from glassgraph import errors
from glassgraph.core.told import FallbackWarning
from glassgraph.explainers.registry import find_method
from glassgraph.results.saved.resuming import ResumeWarning

INDEX = [4, 1, 7, 0, 8, 2, 6, 3, 5, 9, 10, 11]
#: With it the methods that look inside explain 1, 2, 5, 3 and 1 of them at once.
BUDGET = 20_000
#: In moments, and in several batches of different sizes.
METHODS: dict[str, dict[str, Any]] = {
    "edge_gradients": {},
    "integrated_gradients": {"steps": 24},
    "gnn_explainer": {"epochs": 3},
    "occlusion": {},
    "random": {},
    "lrp": {},
    "gnn_lrp": {"walks": 4},
    "causal_screening": {"candidates": 3},
    "pgm_explainer": {"num_samples": 24, "min_drop": 0.01},
}
ONE_BY_ONE = ("causal_screening", "pgm_explainer")
FITTED: dict[str, dict[str, Any]] = {
    "pg_explainer": {"epochs": 2},
    "graphmask": {"steps": 4, "tolerance": 1e9},
    "information_bottleneck": {"steps": 4, "tolerance": 1e9},
}
pytestmark = pytest.mark.filterwarnings("ignore::glassgraph.explainers.amortized.HindsightWarning")


def model(shift: float = 0.0) -> GCN:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        made = GCN(3, 5, 2, 2).eval()
    with torch.no_grad():
        made.convs[0].bias += shift
    return made


def graph() -> Data:
    generator = torch.Generator().manual_seed(1)
    ends = torch.randint(12, (2, 31), generator=generator)
    x = torch.randn(12, 3, generator=generator)
    return Data(x=x, edge_index=ends, y=torch.arange(12) % 2)


class Dies(Exception):
    """What no library catches."""


def build(method: str | type[gg.Explainer], budget: int, **settings: Any) -> gg.Explainer:
    kind = find_method(method) if isinstance(method, str) else method
    return kind(model(), memory_budget=budget, progress=False, **settings)


def die_after(explainer: gg.Explainer, batches: int) -> list[int]:
    """The explainer dies in the batch after so many; sizes of those that it explained."""
    attribute, sizes = explainer.attribute, []

    def dying(batch: Any) -> gg.Attribution:
        if len(sizes) == batches:
            raise Dies
        sizes.append(batch.num_instances)
        return attribute(batch)

    explainer.attribute = dying  # type: ignore[method-assign]
    return sizes


def count_batches(explainer: gg.Explainer) -> list[int]:
    return die_after(explainer, 10**9)


def expect_equal(found: gg.Explanations, whole: gg.Explanations) -> None:
    """To the last bit, everything that a method can give."""
    assert found.is_complete
    assert len(found) == len(whole)
    assert found.provenance == whole.provenance
    for position in range(len(whole)):
        one, other = vars(found.local(position)), vars(whole.local(position))
        for name, value in other.items():
            if isinstance(value, Tensor):
                assert torch.equal(torch.nan_to_num(one[name]), torch.nan_to_num(value)), name
            elif name == "tables":
                for key, table in value.items():
                    for column, cells in table.items():
                        same = torch.equal(
                            torch.nan_to_num(one[name][key][column]), torch.nan_to_num(cells)
                        )
                        assert same, (key, column)
            else:
                assert one[name] == value, name


@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_run_equals_one_without_interruption(method: str, tmp_path: Path) -> None:
    """In batches that grow, so that their borders depend on those before."""
    settings, budget = METHODS[method], BUDGET
    index = INDEX[:4] if method in ONE_BY_ONE else INDEX
    first = build(method, budget, **settings)
    sizes = count_batches(first)
    whole = first.explain(graph(), index)
    middle = len(sizes) // 2
    for died_after in {0, 1, middle, len(sizes) - 1} if method == "edge_gradients" else {middle}:
        folder = tmp_path / f"{died_after}"
        dying = build(method, budget, **settings)
        die_after(dying, died_after)
        with pytest.raises(Dies):
            dying.explain(graph(), index, save_to=folder)
        going_on = build(method, budget, **settings)
        left = count_batches(going_on)
        found = going_on.explain(graph(), index, save_to=folder, resume=True)
        assert left == sizes[died_after:], "what was finished is not explained again"
        expect_equal(found, whole)
        expect_equal(gg.Explanations.load(folder), whole)


@pytest.mark.parametrize("method", FITTED)
def test_a_fitted_method_is_fitted_again_or_loaded(method: str, tmp_path: Path) -> None:
    """The same seed learns the same numbers; others are refused."""

    def fitted(**changes: Any) -> Any:
        explainer: Any = build(method, BUDGET, **{**FITTED[method], **changes})
        return explainer.fit(graph(), index=list(range(8)))

    whole = fitted().explain(graph(), INDEX)
    dying = fitted()
    file = dying.save(tmp_path / "fitted.safetensors")
    die_after(dying, 1)
    with pytest.raises(Dies):
        dying.explain(graph(), INDEX, save_to=tmp_path / "run")
    other = build(method, BUDGET, **FITTED[method])
    other.fit(graph(), index=[0, 1, 2, 3])  # type: ignore[attr-defined]
    with pytest.raises(errors.ResumeError, match=r'learned was "[0-9a-f]{16}", is "'):
        other.explain(graph(), INDEX, save_to=tmp_path / "run", resume=True)
    loaded = find_method(method).load(file, model(), memory_budget=BUDGET, progress=False)
    left = count_batches(loaded)
    expect_equal(loaded.explain(graph(), INDEX, save_to=tmp_path / "run", resume=True), whole)
    assert sum(left) < len(INDEX)
    again = fitted().explain(graph(), INDEX, save_to=tmp_path / "run", resume=True)
    expect_equal(again, whole)


def test_instances_that_fall_back_are_not_explained_again(tmp_path: Path) -> None:
    """A group of which some are on the user's graph, one by one, and died between them."""

    class Mixed(GCN):
        """Where the last feature says so, a prediction depends on all nodes."""

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            out: Tensor = super().forward(x, edge_index)
            return out + x[:, 2:].clamp_min(0).round() * x.mean(0)[:2]

    with torch.random.fork_rng():
        torch.manual_seed(4)
        mixed = Mixed(3, 5, 2, 2).eval()
    data = graph()
    data.x[:, 2] = (torch.arange(12) % 3 == 0).float()

    def run(died_after: int, **how: Any) -> Any:
        explainer = gg.EdgeGradients(mixed, memory_budget=BUDGET, progress=False)
        sizes = die_after(explainer, died_after)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FallbackWarning)
            return explainer.explain(data, INDEX, **how), sizes

    whole, sizes = run(10**9)
    assert sizes[-1] < 5 < len(sizes), "some in groups, some alone"
    for died_after in range(1, len(sizes), 2):
        folder = tmp_path / f"{died_after}"
        with pytest.raises(Dies):
            run(died_after, save_to=folder)
        found, left = run(10**9, save_to=folder, resume=True)
        expect_equal(found, whole)
        assert left == sizes[died_after:]


def test_graphs_and_links_are_resumed_too(tmp_path: Path) -> None:
    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = GCNConv(3, 2)

        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
            return global_mean_pool(self.conv(x, edge_index), batch)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        pooled = Pooled().eval()
    graphs = [graph() for _ in range(5)]
    for number, each in enumerate(graphs):
        each.x += number

    def explainer() -> gg.Explainer:
        return gg.Saliency(pooled, task="graph", memory_budget=1, progress=False)

    whole = explainer().explain(graphs)
    dying = explainer()
    die_after(dying, 2)
    with pytest.raises(Dies):
        dying.explain(graphs, save_to=tmp_path)
    expect_equal(explainer().explain(graphs, save_to=tmp_path, resume=True), whole)
    graphs[4].x[0, 0] += 1
    with pytest.raises(errors.ResumeError, match="data was"):
        explainer().explain(graphs, save_to=tmp_path, resume=True)


def test_a_run_that_died_of_memory_goes_on_with_less(tmp_path: Path) -> None:
    """Other batches: equal but for rounding, and what is finished stays."""
    whole = build("edge_gradients", 1 << 30).explain(graph(), INDEX)
    dying = build("edge_gradients", BUDGET)
    sizes = die_after(dying, 2)
    with pytest.raises(Dies):
        dying.explain(graph(), INDEX, save_to=tmp_path)
    smaller = build("edge_gradients", 1)
    left = count_batches(smaller)
    found = smaller.explain(graph(), INDEX, save_to=tmp_path, resume=True)
    assert left == [1] * (len(INDEX) - sum(sizes))
    for one, other in zip(found, whole, strict=True):
        torch.testing.assert_close(one.layer_edge_mask, other.layer_edge_mask)


def test_what_is_whole_is_not_explained_again(tmp_path: Path) -> None:
    whole = build("edge_gradients", BUDGET).explain(graph(), INDEX, save_to=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = build("edge_gradients", BUDGET)
    batches = count_batches(again)
    expect_equal(again.explain(graph(), INDEX, save_to=tmp_path, resume=True), whole)
    assert batches == []
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_interrupt_says_how_to_go_on_and_keeps_the_earlier_result(tmp_path: Path) -> None:
    old = build("edge_gradients", BUDGET).explain(graph(), [3, 5], save_to=tmp_path)
    stopped = build("edge_gradients", BUDGET)
    attribute, sizes = stopped.attribute, []

    def stopping(batch: Any) -> gg.Attribution:
        if len(sizes) == 2:
            raise KeyboardInterrupt
        sizes.append(batch.num_instances)
        return attribute(batch)

    stopped.attribute = stopping  # type: ignore[method-assign]
    with pytest.raises(
        errors.Interrupted, match=r"resume=True goes on.*the earlier result"
    ) as told:
        stopped.explain(graph(), INDEX, save_to=tmp_path)
    assert len(told.value.explanations) == sum(sizes)
    expect_equal(gg.Explanations.load(tmp_path), old)
    going_on = build("edge_gradients", BUDGET)
    left = count_batches(going_on)
    found = going_on.explain(graph(), INDEX, save_to=tmp_path, resume=True)
    assert sum(left) == len(INDEX) - sum(sizes)
    expect_equal(found, build("edge_gradients", BUDGET).explain(graph(), INDEX))
    expect_equal(gg.Explanations.load(tmp_path), found)


# Refused


class Died:
    """A folder with a half of a run of GNNExplainer."""

    settings: ClassVar[dict[str, Any]] = {"epochs": 3, "seed": 1}

    @staticmethod
    def make(folder: Path) -> Path:
        dying = build("gnn_explainer", 1, **Died.settings)
        die_after(dying, 3)
        with pytest.raises(Dies):
            dying.explain(graph(), INDEX, target=1, save_to=folder)
        return folder


def other_data(change: Callable[[Data], None]) -> Data:
    data = graph()
    change(data)
    return data


def swap_two_edges(data: Data) -> None:
    data.edge_index[:, [0, 1]] = data.edge_index[:, [1, 0]]


DIFFERENCES: dict[str, tuple[dict[str, Any], str]] = {
    "method": ({"method": "edge_gradients"}, 'method was "gnn_explainer", is "edge_gradients"'),
    "setting": ({"epochs": 4}, "hyper_parameters.epochs was 3, is 4"),
    "seed": ({"seed": 2}, "seed was 1, is 2"),
    "target": ({"target": 0}, "target was 1, is 0"),
    "contrast": ({"target": (1, 0)}, r"target was 1, is \[1, 0\]"),
    "classes": ({"target": torch.ones(len(INDEX)).long()}, "target was 1, is"),
    "order": ({"index": INDEX[::-1]}, 'index was "[0-9a-f]{16}", is'),
    "fewer": ({"index": INDEX[:-1]}, "instances was 12, is 11"),
    "mode": ({"mode": "regression"}, 'task.mode was "multiclass_classification"'),
    "returns": ({"return_type": "log_probs"}, 'task.return_type was "raw", is "log_probs"'),
    "features": ({"data": lambda data: data.x.mul_(2)}, 'data was "[0-9a-f]{16}", is "'),
    "labels": ({"data": lambda data: data.y.add_(1)}, "data was"),
    "edges": ({"data": swap_two_edges}, "data was"),
    "attribute": ({"data": lambda data: setattr(data, "more", torch.ones(3))}, "data was"),
    "weights": ({"model": model(0.5)}, "model_fingerprint was"),
    "class": ({"model": GCNConv(3, 2)}, 'model was "GCN", is "GCNConv"'),
}


@pytest.mark.parametrize("what", DIFFERENCES)
def test_another_run_is_refused_and_the_difference_named(what: str, tmp_path: Path) -> None:
    changes, message = DIFFERENCES[what]
    folder = Died.make(tmp_path)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    known = {"epochs": 3, "seed": 1, "method": "gnn_explainer", "target": 1, "index": INDEX}
    chosen = {**known, **changes}
    method, index, target = (chosen.pop(name) for name in ("method", "index", "target"))
    data, own = chosen.pop("data", None), chosen.pop("model", None)
    if method != "gnn_explainer":
        del chosen["epochs"]
    explainer = find_method(method)(
        model() if own is None else own, memory_budget=1, progress=False, **chosen
    )
    with pytest.raises(errors.ResumeError, match=f"asked for something else.*{message}"):
        explainer.explain(
            graph() if data is None else other_data(data),
            index,
            target,
            save_to=folder,
            resume=True,
        )
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_all_differences_are_listed(tmp_path: Path) -> None:
    folder = Died.make(tmp_path)
    explainer = build("gnn_explainer", 1, epochs=5, seed=9)
    words = "seed was 1, is 9.*hyper_parameters.epochs|hyper_parameters.epochs.*seed was 1, is 9"
    with pytest.raises(errors.ResumeError, match=words) as told:
        explainer.explain(graph(), INDEX[:3], save_to=folder, resume=True)
    assert "instances was 12, is 3" in str(told.value)
    assert "model" not in str(told.value).replace("Ask", "")


def test_what_says_not_what_it_was_asked_for_is_not_resumed(tmp_path: Path) -> None:
    build("saliency", 1).explain(graph(), INDEX).save(tmp_path)
    with pytest.raises(errors.ResumeError, match="does not say what it was asked for"):
        build("saliency", 1).explain(graph(), INDEX, save_to=tmp_path, resume=True)


def test_a_damaged_run_is_not_resumed(tmp_path: Path) -> None:
    folder = Died.make(tmp_path)
    (folder / "part-00001.edges.parquet").write_bytes(b"PAR1")
    explainer = build("gnn_explainer", 1, **Died.settings)
    with pytest.raises(errors.DamagedFileError, match="explain again, or restore"):
        explainer.explain(graph(), INDEX, target=1, save_to=folder, resume=True)


def test_resuming_needs_a_folder() -> None:
    with pytest.raises(errors.HyperParameterError, match="resume=True needs save_to="):
        build("saliency", 1).explain(graph(), INDEX, resume=True)


# What cannot be compared


def test_a_plain_function_cannot_be_compared_and_that_is_said(tmp_path: Path) -> None:
    own = model()

    def predict(x: Tensor, edge_index: Tensor) -> Tensor:
        return own(x, edge_index)

    def run(**how: Any) -> gg.Explanations:
        return gg.explain(
            predict, graph(), "causal_screening", index=INDEX[:4], progress=False, **how
        )

    whole = run(save_to=tmp_path)
    with pytest.warns(ResumeWarning, match=r"the model is a plain function; resume only if"):
        expect_equal(run(save_to=tmp_path, resume=True), whole)


def test_settings_that_are_functions_are_named(tmp_path: Path) -> None:
    def distance(found: Tensor, own: Tensor) -> Tensor:
        return (found - own).square().sum(1)

    explainer = build("pg_explainer", 1, epochs=1)
    names = [name for name in explainer.hyper_parameters if name == "divergence"]
    if not names:
        explainer = build("graphmask", BUDGET, divergence=distance, **FITTED["graphmask"])
    explainer.fit(graph(), index=INDEX[:4])  # type: ignore[attr-defined]
    explainer.explain(graph(), INDEX[:4], save_to=tmp_path)
    with pytest.warns(ResumeWarning, match="divergence is a function"):
        explainer.explain(graph(), INDEX[:4], save_to=tmp_path, resume=True)


def test_another_version_is_said(tmp_path: Path) -> None:
    folder = Died.make(tmp_path)
    path = folder / "explanations.json"
    header = json.loads(path.read_text())
    header["provenance"]["versions"]["torch"] = "1.0"
    path.write_text(json.dumps(header))
    explainer = build("gnn_explainer", 1, **Died.settings)
    with pytest.warns(ResumeWarning, match=r"begun with .*torch 1.0.*may differ slightly"):
        explainer.explain(graph(), INDEX, target=1, save_to=folder, resume=True)
