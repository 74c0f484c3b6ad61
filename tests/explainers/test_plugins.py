"""Methods of other people: registered by hand, found in a package that is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.nn import GCN

import glassgraph as gg
from glassgraph.errors import MethodDefinitionError, UnknownMethodError
from glassgraph.explainers import registry
from glassgraph.explainers.registry import METHODS, PluginWarning
from tests.cli.helpers import write_case

#: A whole method of a third party, in 15 lines.
SOURCE = '''
import torch
import glassgraph as gg


class Steepest(gg.Explainer):
    """Which edges does the prediction react to most, in multiples of ``unit``?"""

    name = "steepest"
    traits = gg.Traits(family="gradient", scores=("edge",), source="nobody 2026")
    unit: float = gg.setting("what scores are multiples of", default=1.0, above=0)

    def attribute(self, batch):
        gates = batch.ones().requires_grad_()
        (slope,) = torch.autograd.grad(batch.score(gates).sum(), gates)
        return gg.Attribution(edge=slope.abs() / self.unit)
'''


def graph() -> tuple[torch.nn.Module, Data]:
    data = Data(x=torch.rand(5, 3), edge_index=torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]]))
    return GCN(3, 7, 2, 2).eval(), data


def method(name: str = "mine", title: str = "Mine", **body: Any) -> type[gg.Explainer]:
    def attribute(self: Any, batch: Any) -> gg.Attribution:
        return gg.Attribution(edge=batch.ones())

    traits = gg.Traits(family="baseline", scores=("edge",))
    return type(title, (gg.Explainer,), {"name": name, "traits": traits, "attribute": attribute})


def test_a_registered_method_is_known_by_its_name() -> None:
    mine = gg.register(method())
    model, data = graph()
    assert gg.explain(model, data, "mine", index=[3])[0].edge_mask.sum() > 0
    assert METHODS["mine"] is mine
    assert gg.methods().loc["mine", "family"] == "baseline"
    assert list(METHODS)[-1] == "mine"


def test_a_class_needs_no_name() -> None:
    model, data = graph()
    assert gg.explain(model, data, method(), index=[3]).method == "mine"
    assert "mine" not in METHODS


def test_a_notebook_may_register_anew() -> None:
    gg.register(method())
    again = gg.register(method())
    assert METHODS["mine"] is again


@pytest.mark.parametrize("name", ["saliency", "xgnn"])
def test_the_name_of_another_is_refused(name: str) -> None:
    with pytest.raises(MethodDefinitionError, match=rf"Mine is named '{name}', as is glassgraph"):
        gg.register(method(name))


def test_two_methods_of_one_name() -> None:
    gg.register(method(title="One"))
    with pytest.raises(MethodDefinitionError, match=r"Two is named 'mine', as is .*One"):
        gg.register(method(title="Two"))


@pytest.mark.parametrize("value", [3, torch.nn.Linear, "saliency", lambda batch: None])
def test_only_methods_can_be_registered(value: Any) -> None:
    with pytest.raises(MethodDefinitionError, match=r"derives from glassgraph.Explainer"):
        gg.register(value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("gnnexplainr", "gnn_explainer"),
        ("GNNExplain", "gnn_explainer"),
        ("salience", "saliency"),
        ("integrated-gradient", "integrated_gradients"),
        ("GraphMasks", "graphmask"),
    ],
)
def test_a_name_that_is_nearly_right(name: str, meant: str) -> None:
    with pytest.raises(UnknownMethodError, match=f"no method '{name}'; did you mean '{meant}'"):
        gg.explain(*graph(), name)


def test_something_that_is_no_name() -> None:
    with pytest.raises(UnknownMethodError, match=r"or a class such as glassgraph.Saliency; got 3"):
        gg.explain(*graph(), 3)  # type: ignore[arg-type]


# Packages


def package(folder: Path, source: str = SOURCE, point: str = "steepest_edges:Steepest") -> Path:
    """A distribution as pip would leave it, whose method is declared as an entry point."""
    (folder / "steepest_edges.py").write_text(source)
    about = folder / "steepest_edges-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: steepest-edges\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text(f"[glassgraph.methods]\nsteepest = {point}\n")
    return folder


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(package(tmp_path)))
    monkeypatch.delitem(sys.modules, "steepest_edges", raising=False)
    return tmp_path


def test_an_installed_method_is_known_by_its_name(installed: Path) -> None:
    model, data = graph()
    assert "steepest" in METHODS
    found = gg.explain(model, data, "steepest", index=[3], unit=2.0)
    (edge,) = (gg.EdgeGradients(model, progress=False).explain(data, [3])[0].edge_mask.abs(),)
    torch.testing.assert_close(found[0].edge_mask, edge / 2)


def test_fifteen_lines_are_enough() -> None:
    lines = [line for line in SOURCE.splitlines() if line.strip()]
    assert len(lines) <= 15, len(lines)


@pytest.mark.parametrize(
    ("source", "point", "words"),
    [
        ("1 / 0", "steepest_edges:Steepest", "ZeroDivisionError: division by zero"),
        (SOURCE, "steepest_edges:Steepst", "AttributeError: .*Steepst"),
        (SOURCE, "steepest_edges:torch", "is no glassgraph.Explainer"),
        (SOURCE.replace('"steepest"', '"other"'), "steepest_edges:Steepest", "itself 'other'"),
        (SOURCE.replace('"steepest"', '"Not Good"'), "steepest_edges:Steepest", "got 'Not Good'"),
    ],
    ids=["broken", "misspelled", "no method", "another name", "a bad name"],
)
def test_a_broken_package_spoils_only_itself(
    source: str, point: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(package(tmp_path, source, point)))
    monkeypatch.delitem(sys.modules, "steepest_edges", raising=False)
    model, data = graph()
    with pytest.raises(UnknownMethodError, match=rf"'steepest' of steepest-edges .*{words}"):
        gg.explain(model, data, "steepest")
    with pytest.warns(PluginWarning, match=words):
        assert "saliency" in gg.methods().index
    assert len(gg.explain(model, data, "saliency", index=[3])) == 1


def test_the_library_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = package(tmp_path)
    points = folder / "steepest_edges-1.2.dist-info" / "entry_points.txt"
    points.write_text(points.read_text().replace("steepest =", "saliency ="))
    monkeypatch.syspath_prepend(str(folder))
    assert METHODS["saliency"] is gg.Saliency


def command(folder: Path, *words: str) -> str:
    """What ``glassgraph`` prints where the package is installed."""
    paths = os.pathsep.join([str(folder), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": paths, "COLUMNS": "120"}
    run = [sys.executable, "-c", "from glassgraph.cli import app; app()", *words]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow("the same package in one process: test_an_installed_method_is_known_by_its_name")
def test_the_command_line_knows_an_installed_method(tmp_path: Path) -> None:
    folder = package(tmp_path)
    about = command(folder, "methods", "steepest")
    assert "in multiples of" in about
    assert "a number above 0" in about
    case = write_case(tmp_path) | {"--method": "steepest,saliency", "--set": "steepest.unit=2.0"}
    words = ["explain", *(str(word) for option in case.items() for word in option)]
    command(folder, *words)
    out = tmp_path / "out"
    assert "steepest" in (out / "report.html").read_text()
    assert "steepest" in (out / "metrics.json").read_text()
    explanations = gg.Explanations.load(out / "steepest")
    assert explanations.provenance["hyper_parameters"] == {"unit": 2.0}


@pytest.mark.slow("the command's imports: tests/cli/test_plugins.py")
def test_nothing_is_imported_before_it_is_asked_for() -> None:
    code = (
        "import sys, torch, torch_geometric, glassgraph as gg\n"
        "gg.Saliency, gg.explain, gg.methods\n"
        "print(sum(name.startswith('glassgraph.explainers.') for name in sys.modules))\n"
        "print(*(name for name in ('sklearn', 'rich', 'glassgraph.report') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, others = done.stdout.splitlines()
    assert int(count) < 20
    assert others == ""


def test_every_public_name_is_there() -> None:
    for name in gg.__all__:
        assert getattr(gg, name) is not None, name
    public = {getattr(gg, name) for name in gg.__all__ if isinstance(getattr(gg, name), type)}
    found = [*METHODS.values(), *registry.MODEL_METHODS.values()]
    assert {each for each in found if each.__module__.startswith("glassgraph.")} <= public
