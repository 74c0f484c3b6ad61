"""``glassgraph explain`` from end to end on a tiny graph, and every mistake as one line."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import glassgraph as gg
from glassgraph.datasets.load import GENERATED
from glassgraph.datasets.star_graphs import star_graphs
from glassgraph.explainers.gradient.saliency import Saliency
from glassgraph.models import load_model, reference
from tests.cli.helpers import build, explain, run, write_case


@pytest.fixture
def case(tmp_path: Path) -> dict[str, Any]:
    return write_case(tmp_path)


def one_line(result: Any) -> str:
    """The one line of an error, and nothing else on standard error."""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.output
    return lines[0]


def test_a_file_and_a_model_file_from_end_to_end(case: dict[str, Any], tmp_path: Path) -> None:
    result = explain(case, "--json", tmp_path / "m.json", "--set", "feature=1", target="predicted")
    assert result.exit_code == 2  # no method takes it; see below
    result = explain(case, json=tmp_path / "m.json", removal="delete", sparsity="0.5,0.8")
    assert result.exit_code == 0, result.output
    out = case["--out"]
    record = json.loads((tmp_path / "m.json").read_text())
    assert record == {
        **json.loads((out / "metrics.json").read_text()),
    }
    assert [row["method"] for row in record["methods"]] == ["random", "saliency"]
    for row in record["methods"]:
        assert row["instances"] == 4
        assert row["complete"] is True
        assert row["seconds"] > 0
        assert {"auc", "precision_at_k", "fidelity_plus@0.5", "fidelity_minus_acc@0.8"} <= set(row)
    assert record["removal"] == "delete"
    assert record["model"]["origin"] == "file"
    assert record["model"]["accuracy_reached"] is None
    for method in ("random", "saliency"):
        loaded = gg.Explanations.load(out / method)
        assert [loaded.local(i).index for i in range(len(loaded))] == [0, 4, 5, 11]
        assert loaded.is_complete
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "saliency" in page
    assert "fid+ 0.5" in result.stdout
    assert str(out / "report.html") in result.stdout


def test_the_numbers_are_those_of_the_library(case: dict[str, Any], tmp_path: Path) -> None:
    from glassgraph.datasets import load_graphs
    from glassgraph.metrics import evaluate

    assert explain(case, "--quiet", target="1:0", seed=5).exit_code == 0
    row = json.loads((case["--out"] / "metrics.json").read_text())["methods"][0]
    (data,) = load_graphs(case["--data"])
    model = build(case)
    made = gg.Random(model, seed=5).explain(data, [0, 4, 5, 11], target=(1, 0))
    (expected,) = evaluate([made], model, data)
    assert {name: row[name] for name in expected} == expected


def test_quiet_says_nothing_on_the_way(case: dict[str, Any]) -> None:
    result = explain(case, "--quiet")
    assert result.stderr == ""
    assert "report" in result.stdout


def test_settings_reach_the_method(case: dict[str, Any]) -> None:
    result = explain(case, "--set", "epochs=3", method="saliency,gnn_explainer")
    assert result.exit_code == 0, result.output
    loaded = gg.Explanations.load(case["--out"] / "gnn_explainer")
    assert loaded.provenance["hyper_parameters"]["epochs"] == 3


def test_weights_of_both_kinds(case: dict[str, Any], tmp_path: Path) -> None:
    model = build(case)
    state = {name: value * 2 for name, value in model.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    torch.save({"state_dict": state}, tmp_path / "w.pt")
    prints = set()
    for weights in (None, tmp_path / "w.safetensors", tmp_path / "w.pt"):
        assert explain(case, "--overwrite", weights=weights, method="saliency").exit_code == 0
        loaded = gg.Explanations.load(case["--out"] / "saliency")
        prints.add(loaded.provenance["model_fingerprint"])
    assert len(prints) == 2, "both files hold the same weights, and not the initial ones"


def test_misfitting_weights_name_the_first_keys(case: dict[str, Any], tmp_path: Path) -> None:
    save_file(
        {"conv1.bias": torch.zeros(7), "conv2.bias": torch.zeros(5), "more": torch.zeros(1)},
        tmp_path / "w.safetensors",
    )
    line = one_line(explain(case, weights=tmp_path / "w.safetensors"))
    assert "does not fit Net: conv1.lin.weight is missing; conv2.lin.weight is missing" in line
    assert "more is not in the model" in line
    assert "conv2.bias is [5] in the file, [3] in the model" in line


class Surprise:
    def __reduce__(self) -> Any:
        return (os.system, ("echo ran > ran.txt",))


def test_pickles_are_not_run(case: dict[str, Any], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"x": Surprise()}, tmp_path / "w.pt")
    assert "can run code" in one_line(explain(case, weights=tmp_path / "w.pt"))
    (tmp_path / "graph2.pt").write_bytes(pickle.dumps(Surprise(), protocol=2))
    assert explain(case, data=tmp_path / "graph2.pt").exit_code == 2
    assert not (tmp_path / "ran.txt").exists()


MISTAKES = [
    ({"method": "no_such"}, "there is no method 'no_such'"),
    ({"method": ","}, "names no method"),
    ({"index": "0,13"}, "node 13 is out of range"),
    ({"index": "x"}, "--index takes numbers"),
    ({"index": "motif"}, "--index motif is for built-in data sets"),
    ({"target": "9"}, "target 9 is out of range: 3 classes"),
    ({"target": "x"}, "--target takes"),
    ({"memory": "lots"}, "--memory takes a size"),
    ({"sparsity": "1.5"}, "sparsity must lie in [0, 1]"),
    ({"set": "epochs=3"}, "no such hyper-parameter; random takes none"),
    ({"data": "nowhere.pt"}, "no file of graphs at nowhere.pt"),
    ({"data": None}, "give either --dataset NAME or --data FILE"),
    ({"dataset": "ba-shapes"}, "not both"),
    ({"root": "somewhere"}, "--root is the folder of a built-in data set"),
    ({"model": None}, "--data needs a model"),
    ({"model": "gin"}, "--model gin needs --weights"),
    ({"model": "mlp"}, "--model takes gcn, gin, gat, rgcn, sage, or FILE.py:factory; got 'mlp'"),
    ({"model": "nowhere.py:make"}, "no Python file at nowhere.py"),
    ({"weights": "nowhere.pt"}, "no weights file at nowhere.pt"),
    ({"mode": "regression", "return-type": "probs"}, "a regression model returns 'raw'"),
    ({"node-type": "paper"}, "node_type is for heterogeneous graphs"),
]


@pytest.mark.parametrize(("change", "message"), MISTAKES, ids=[str(m[0]) for m in MISTAKES])
def test_a_mistake_is_one_line_and_exit_code_2(
    case: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    result = explain(case, "--quiet", **change)
    assert result.exit_code == 2
    assert message in result.stderr
    # A mistake that only the model or the data can show is told for each method.
    lines = result.stderr.strip().splitlines()
    assert all(line.startswith("Error: ") for line in lines)
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("fail", "failed: KeyError: 'no such thing'"),
        ("wrong", "returned a dict, not a torch.nn.Module"),
        ("absent", "has no 'absent'"),
        ("number", "cannot call its 'number'"),
    ],
)
def test_factories_that_build_no_model(case: dict[str, Any], function: str, message: str) -> None:
    file = str(case["--model"]).removesuffix("make")
    assert message in one_line(explain(case, model=file + function))


def test_a_model_file_that_does_not_run(case: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("def make(:\n")
    assert "failed: SyntaxError" in one_line(explain(case, model=f"{tmp_path / 'bad.py'}:make"))


def test_hyper_parameters_are_checked_before_anything_is_written(case: dict[str, Any]) -> None:
    for setting, message in (("epochs=-1", "epochs"), ("epochs='many'", "gnn_explainer")):
        result = explain(case, "--set", setting, method="random,gnn_explainer")
        assert result.exit_code == 2
        assert message in one_line(result)
        assert not case["--out"].exists()


def test_an_output_folder_that_cannot_be_written_fails_before_training(
    case: dict[str, Any], tmp_path: Path, monkeypatch: Any
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr("glassgraph.cli.job.read_input", None)  # what comes next
    monkeypatch.setattr("glassgraph.cli.job.choose_model", None)
    for change in ({"out": tmp_path / "file"}, {"out": tmp_path / "file" / "out"}):
        result = explain(case, **change)
        assert result.exit_code == 2
        assert "cannot write into" in one_line(result)
    result = explain(case, json=tmp_path)
    assert "it is a folder" in one_line(result)


def test_a_method_that_fails_does_not_take_the_others_with_it(
    case: dict[str, Any], monkeypatch: Any
) -> None:
    def fail(*_: Any) -> Any:
        raise gg.errors.NoMessagePassingError("this model does not suit it")

    monkeypatch.setattr(Saliency, "attribute", fail)
    result = explain(case, method="saliency,random")
    assert result.exit_code == 2
    assert "Error: saliency: this model does not suit it" in result.stderr
    record = json.loads((case["--out"] / "metrics.json").read_text())
    assert record["failed"] == {"saliency": "this model does not suit it"}
    assert [row["method"] for row in record["methods"]] == ["random"]
    assert (case["--out"] / "report.html").exists()


# Ctrl-C


def interrupt_after(monkeypatch: Any, batches: int) -> None:
    """Saliency is interrupted in the batch after so many."""
    attribute, calls = Saliency.attribute, []

    def interrupted(self: Saliency, batch: Any) -> Any:
        calls.append(1)
        if len(calls) > batches:
            raise KeyboardInterrupt
        return attribute(self, batch)

    monkeypatch.setattr(Saliency, "attribute", interrupted)


def test_an_interrupt_keeps_what_is_done(case: dict[str, Any], monkeypatch: Any) -> None:
    interrupt_after(monkeypatch, 2)
    result = explain(case, memory="1kB", method="random,saliency,occlusion")
    assert result.exit_code == 130
    assert "interrupted: 2 of 4 explanations are done" in result.stderr
    record = json.loads((case["--out"] / "metrics.json").read_text())
    assert record["interrupted"] is True
    assert [(row["method"], row["instances"], row["complete"]) for row in record["methods"]] == [
        ("random", 4, True),
        ("saliency", 2, False),
    ]
    assert not gg.Explanations.load(case["--out"] / "saliency").is_complete
    page = (case["--out"] / "report.html").read_text(encoding="utf-8")
    assert '"name":"random"' in page
    assert '"name":"saliency"' not in page
    assert "saliency (partial)" in result.stdout


def test_an_interrupt_in_the_first_method_still_reports(
    case: dict[str, Any], monkeypatch: Any
) -> None:
    interrupt_after(monkeypatch, 2)
    assert explain(case, memory="1kB", method="saliency,random").exit_code == 130
    assert '"name":"saliency"' in (case["--out"] / "report.html").read_text(encoding="utf-8")


def test_an_interrupt_before_anything_is_done(case: dict[str, Any], monkeypatch: Any) -> None:
    interrupt_after(monkeypatch, 0)
    result = explain(case, method="saliency")
    assert result.exit_code == 130
    assert json.loads((case["--out"] / "metrics.json").read_text())["methods"] == []
    assert not (case["--out"] / "report.html").exists()


@pytest.mark.slow("its model: tests/models/test_star_gnn.py; other data sets stand here")
def test_star_graphs_with_their_reference_model(tmp_path: Path, monkeypatch: Any) -> None:
    """The colors decide, so a model that does not read them could not be explained."""
    recipe = reference._RECIPES["star-graphs"]
    quick = replace(recipe, training={"epochs": 5, "batch_size": 32})
    monkeypatch.setitem(reference._RECIPES, "star-graphs", quick)
    monkeypatch.setitem(GENERATED, "star-graphs", partial(star_graphs, sizes=(997, 97, 101)))
    words = ["--method", "saliency", "--index", "1100,1103,1107", "--out", tmp_path, "--quiet"]
    result = run("explain", "--dataset", "star-graphs", *words)
    assert result.exit_code == 0, result.output
    (row,) = json.loads((tmp_path / "metrics.json").read_text())["methods"]
    assert row["auc_absolute"] > 0.99
    assert load_model(tmp_path / "model.safetensors").architecture["aggr"] == "add"


def test_an_interrupt_while_training(tmp_path: Path, monkeypatch: Any) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("glassgraph.models.reference_model", interrupted)
    result = run("explain", "--dataset", "tree-cycles", "--method", "random", "--out", tmp_path)
    assert result.exit_code == 130
    assert one_line(result) == "Interrupted."


def test_a_method_is_fitted_on_what_is_named_and_kept(case: dict[str, Any]) -> None:
    settings = ["--set", "steps=4", "--set", "tolerance=1e9"]
    names = {"method": "information_bottleneck", "index": "0:2", "fit": "2:6"}
    result = explain(case, *settings, **names)
    assert result.exit_code == 0, result.output
    assert "hindsight" not in result.output
    kept = case["--out"] / "information_bottleneck.safetensors"
    with safe_open(kept, "pt") as file:
        assert json.loads(file.metadata()["glassgraph_explainer"])["method"] == names["method"]
    result = explain(case, *settings, **(names | {"fit": "a"}))
    assert result.exit_code == 2
    assert one_line(result).startswith("Error: --fit takes numbers")


def test_molecules_from_a_table_of_smiles(tmp_path):
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "from torch_geometric.nn import GCNConv, global_add_pool\n\n\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = GCNConv(9, 2)\n\n"
        "    def forward(self, x, edge_index, batch=None):\n"
        "        return global_add_pool(self.conv(x.float(), edge_index), batch)\n\n\n"
        "def make():\n"
        "    torch.manual_seed(0)\n"
        "    return Net()\n",
        encoding="utf-8",
    )
    (tmp_path / "molecules.csv").write_text("smiles\nCC=O\nc1ccccc1N\n", encoding="utf-8")
    options = {
        "--smiles": tmp_path / "molecules.csv",
        "--model": f"{tmp_path / 'net.py'}:make",
        "--method": "occlusion",
        "--out": tmp_path / "out",
    }
    result = explain(options)
    assert result.exit_code == 0, result.output
    found = gg.Explanations.load(tmp_path / "out" / "occlusion")
    assert [each.local.node_names for each in found] == [
        ["C", "C", "O"],
        ["C", "C", "C", "C", "C", "C", "N"],
    ]
    assert [each.local.title for each in found] == ["CC=O", "c1ccccc1N"]
    assert "give either" in explain(options, data=tmp_path / "x.pt").output
    assert "not --task node" in explain(options, task="node", out=tmp_path / "other").output
