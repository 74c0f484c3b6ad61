"""Models that workers build themselves from files, and what is compared when a job is resumed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch

import glassgraph as gg
from glassgraph.engine.recipe import Recipe
from glassgraph.errors import (
    EngineError,
    HyperParameterError,
    MissingExtraError,
    ModelFileError,
    ResumeError,
    WeightsError,
)
from tests.engine.models import loops, model

pytestmark = pytest.mark.usefixtures("in_process")

NET = """
from layers import Layer
from torch_geometric.nn import GCN

def make():
    return Layer(GCN(3, 5, 1, 2))
"""
LAYERS = """
from torch import nn

class Layer(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net
    def forward(self, x, edge_index):
        return self.net(x, edge_index)
"""
QUIET: dict[str, Any] = {"workers": 1, "progress": False, "index": [1, 5]}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> gg.ModelFile:
    """A factory of random weights, with a class in a file beside it."""
    monkeypatch.delitem(__import__("sys").modules, "layers", raising=False)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "layers.py").write_text(LAYERS)
    return gg.ModelFile(tmp_path / "net.py", "make")


def with_weights(file: gg.ModelFile, seed: int = 0) -> gg.ModelFile:
    torch.manual_seed(seed)
    state = {f"net.{name}": value for name, value in model().state_dict().items()}
    torch.save({name: value + seed for name, value in state.items()}, file.path.parent / "w.pt")
    return gg.ModelFile(file.path, "make", file.path.parent / "w.pt")


def test_explanations_are_those_of_the_model_that_it_loads(
    file: gg.ModelFile, tmp_path: Path
) -> None:
    file = with_weights(file)
    found = gg.explain_all(file, loops(8), "saliency", out=tmp_path / "job", **QUIET)
    alone = gg.Saliency(file.load(), progress=False).explain(loops(8), QUIET["index"])
    for place, number in enumerate(QUIET["index"]):
        assert torch.equal(found.find(number).edge_score, alone.local(place).edge_score)
    expected = gg.Saliency(model(), progress=False).explain(loops(8), QUIET["index"])
    assert torch.equal(alone.local(0).edge_score, expected.local(0).edge_score)


def test_workers_have_the_driver_s_weights_where_a_factory_draws_them(
    file: gg.ModelFile, tmp_path: Path
) -> None:
    found = gg.explain_all(file, loops(8), "saliency", out=tmp_path / "job", **QUIET)
    built = Recipe.read(tmp_path / "job").model
    assert isinstance(built, torch.nn.Module)
    alone = gg.Saliency(built, progress=False).explain(loops(8), QUIET["index"])
    assert torch.equal(found.find(5).edge_score, alone.local(1).edge_score)
    assert found.header["provenance"]["model_fingerprint"] == alone.provenance["model_fingerprint"]


@pytest.mark.parametrize("changed", ["net.py", "layers.py"])
def test_another_file_is_refused_by_its_name(
    file: gg.ModelFile, tmp_path: Path, changed: str
) -> None:
    file = with_weights(file)
    gg.explain_all(file, loops(8), "saliency", out=tmp_path / "job", **QUIET)
    path = tmp_path / changed
    path.write_text(path.read_text() + "\n# changed\n")
    with pytest.raises(ResumeError, match=rf"model_file\.{changed}"):
        gg.explain_all(file, loops(8), "saliency", out=tmp_path / "job", **QUIET)
    with pytest.raises(EngineError, match="changed while the job ran"):
        Recipe.read(tmp_path / "job")


def test_other_weights_are_refused(file: gg.ModelFile, tmp_path: Path) -> None:
    asked = (loops(8), "saliency")
    gg.explain_all(with_weights(file), *asked, out=tmp_path / "job", **QUIET)
    with pytest.raises(ResumeError, match="model_fingerprint"):
        gg.explain_all(with_weights(file, seed=1), *asked, out=tmp_path / "job", **QUIET)


def test_what_is_missing_is_named(file: gg.ModelFile, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"no Python file at .*none\.py"):
        gg.ModelFile(tmp_path / "none.py", "make")
    with pytest.raises(WeightsError, match=r"no weights file at .*none\.pt"):
        gg.ModelFile(file.path, "make", tmp_path / "none.pt")
    with pytest.raises(ModelFileError, match="has no 'build'"):
        gg.ModelFile(file.path, "build").load()


class Holding(torch.nn.Module):
    """A model with something that belongs to one process."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.lock = model(), threading.Lock()

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.net(x, edge_index)
        return found


def test_a_model_that_cannot_be_sent_is_refused_by_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"lock.*ModelFile"):
        gg.explain_all(Holding().eval(), loops(8), "saliency", out=tmp_path, **QUIET)


def test_without_cloudpickle_it_is_said_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cloudpickle", None)
    with pytest.raises(MissingExtraError, match=r"glassgraph\[notebook\]"):
        gg.explain_all(Holding().eval(), loops(8), "saliency", out=tmp_path, **QUIET)


def test_other_data_leave_those_of_the_job_alone(tmp_path: Path) -> None:
    first, second = loops(8), loops(8)
    second.x = second.x + 1
    found = gg.explain_all(model(), first, "saliency", out=tmp_path, **QUIET)
    with pytest.raises(ResumeError, match="data was"):
        gg.explain_all(model(), second, "saliency", out=tmp_path, **QUIET)
    graph = gg.Explanations.scan(tmp_path).graph
    assert graph is not None
    assert torch.equal(graph.data.x, first.x)
    assert len(found) == 2


def test_ray_s_address_is_for_ray(tmp_path: Path) -> None:
    with pytest.raises(HyperParameterError, match="engine='ray'"):
        gg.explain_all(model(), loops(8), "saliency", out=tmp_path, address="auto", **QUIET)
