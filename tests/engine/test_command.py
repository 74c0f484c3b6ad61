"""``glassgraph explain`` as a job: what it writes and says, what is refused before it begins."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import glassgraph as gg
from glassgraph.data import GraphStore
from glassgraph.datasets import load_graphs
from tests.cli.helpers import build, explain, run, write_case

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture
def case(tmp_path: Path) -> dict[str, Any]:
    """A store of 13 nodes and 41 edges, and a model in a file."""
    options = write_case(tmp_path)
    (data,) = load_graphs(options.pop("--data"))
    GraphStore.build(data, tmp_path / "store")
    return {**options, "--store": tmp_path / "store", "--method": "saliency", "--workers": 1}


def test_a_job_explains_a_store_and_says_what_to_do_next(
    case: dict[str, Any], tmp_path: Path
) -> None:
    result = explain(case, json=tmp_path / "job.json")
    assert result.exit_code == 0, result.output
    words = result.stdout.splitlines()
    assert "saliency: 4 done, 0 failed, 0 left, of 4 node predictions" in words
    assert words[-1] == f"report: glassgraph report {case['--out']} --sample 20"
    assert "4 of 4 explained (100.0%)" in result.output
    told = json.loads((tmp_path / "job.json").read_text())
    assert (told["done"], told["failed"], told["left"]) == (4, 0, 0)
    found = gg.Explanations.scan(case["--out"])
    data = GraphStore.open(case["--store"]).to_data()
    alone = gg.Saliency(build(case), progress=False).explain(data, [0, 4, 5, 11])
    for local in (each.local for each in alone):
        assert torch.equal(found.find(local.index).edge_score, local.edge_score)


def test_the_same_command_goes_on_and_another_is_refused(case: dict[str, Any]) -> None:
    assert explain(case).exit_code == 0
    written = {path: path.stat().st_mtime_ns for path in case["--out"].glob("*/*/*.parquet")}
    assert explain(case).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in written} == written
    refused = explain(case, index="0,4")
    assert refused.exit_code == 2
    assert "it was asked for something else: instances was 4, is 2" in refused.output
    refused = explain(case, method="edge_gradients")
    assert 'method was "saliency", is "edge_gradients"' in refused.output


@pytest.mark.parametrize("write", ["text", "array", "tensor"])
def test_an_index_is_read_from_a_file(case: dict[str, Any], tmp_path: Path, write: str) -> None:
    if write == "text":
        path = tmp_path / "index.txt"
        path.write_text("# papers\n7\n\n3  # the second\n")
    elif write == "array":
        path = tmp_path / "index.npy"
        np.save(path, np.array([7, 3]))
    else:
        path = tmp_path / "index.pt"
        torch.save(torch.tensor([7, 3]), path)
    assert explain(case, index=path).exit_code == 0
    assert np.load(case["--out"] / "index.npy").tolist() == [7, 3]


BAD_INDEX = [
    ("3\nseven\n", "line 2: 'seven' is no number of a prediction"),
    ("3\n\n4\n1.5\n", "line 4: '1.5' is no number of a prediction"),
    ("3\n5\n-2\n", "line 3: -2 is negative"),
    ("3\n5\n3\n", "line 3: 3 stands there twice, first at line 1"),
    ("3\n13\n", "line 2: node 13 is out of range: there are 13"),
    ("# nothing\n", "holds no numbers"),
]


@pytest.mark.parametrize(("text", "message"), BAD_INDEX, ids=[each[1][:12] for each in BAD_INDEX])
def test_a_bad_index_is_said_with_its_line(
    case: dict[str, Any], tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "index.txt"
    path.write_text(text)
    result = explain(case, index=path)
    assert result.exit_code == 2
    (line,) = (each for each in result.output.splitlines() if each.startswith("Error"))
    assert str(path) in line
    assert message in line


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"store": "nothing"}, "holds no graph.json; expected a folder written by GraphStore.build"),
    ({"data": "graph.pt"}, "not both --data and --store"),
    ({"method": "salience"}, "saliency"),
    ({"method": "saliency,random"}, "a job is of one method; got saliency, random"),
    ({"model": None}, "--store needs a model: --model FILE.py:factory"),
    ({"index": "none.npy"}, "there is no file none.npy"),
    ({"workers": 0}, "--workers"),
    ({"engine": "spark"}, "'spark' is not one of 'local', 'ray'"),
    ({"address": "auto"}, "--address is of a Ray cluster: give --engine ray"),
    ({"sparsity": "0.5"}, "--sparsity is not for jobs: a job measures nothing"),
    ({"fitted": "f.safetensors"}, "saliency learns nothing before it explains: fitted"),
    ({"fit": "0:3"}, "saliency learns nothing before it explains: fit"),
    ({"worker-memory": "much"}, "--worker-memory takes a size such as 1GB"),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES, ids=[str(each[0]) for each in MISTAKES])
def test_mistakes_are_said(case: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    result = explain(case, **changes)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


def test_options_of_jobs_need_a_job(case: dict[str, Any], tmp_path: Path) -> None:
    result = explain(case, store=None, data=tmp_path / "graph.pt")
    assert result.exit_code == 2
    assert "--workers is for jobs: give --engine local or ray" in result.output


def test_ray_that_is_not_installed_is_said_with_how_to_get_it(
    case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    result = explain(case, engine="ray")
    assert result.exit_code == 2
    assert "pip install 'glassgraph[ray]'" in result.output


@pytest.mark.parametrize("num_nodes", [13, 20_000], ids=["run as a whole", "by fields"])
def test_a_model_of_other_features_is_refused_before_workers_begin(
    case: dict[str, Any], tmp_path: Path, num_nodes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = torch.Generator().manual_seed(0)
    ends = torch.randint(0, num_nodes, (2, 4 * num_nodes), generator=draw)
    data = importlib.import_module("torch_geometric.data").Data(
        x=torch.rand(num_nodes, 4, generator=draw), edge_index=ends
    )
    GraphStore.build(data, tmp_path / "other")
    module = importlib.import_module("glassgraph.engine.explain_all")
    monkeypatch.setattr(module, "LocalWorkers", None)
    result = explain(case, store=tmp_path / "other")
    assert result.exit_code == 2
    assert "the model failed on " in result.output
    assert "mat1 and mat2 shapes cannot be multiplied" in result.output
    assert not (case["--out"] / "explanations").exists()


def test_a_file_of_graphs_can_be_a_job_too(case: dict[str, Any], tmp_path: Path) -> None:
    result = explain(case, store=None, data=tmp_path / "graph.pt", engine="local")
    assert result.exit_code == 0, result.output
    assert len(gg.Explanations.scan(case["--out"])) == 4


def test_an_empty_folder_is_no_job(tmp_path: Path) -> None:
    result = run("jobs", tmp_path)
    assert result.exit_code == 2
    assert "holds no job.json" in result.output


# Reports of jobs


def test_a_report_shows_and_measures_a_sample(case: dict[str, Any], tmp_path: Path) -> None:
    other = {**case, "--method": "edge_gradients", "--out": tmp_path / "other"}
    assert explain({**case, "--index": "all"}).exit_code == 0
    assert explain({**other, "--index": "all"}).exit_code == 0
    page, numbers = tmp_path / "page.html", tmp_path / "numbers.json"
    words: list[object] = [case["--out"], other["--out"], "--sample", 3, "--seed", 1]
    result = run("report", *words, "--out", page, "--model", case["--model"], "--json", numbers)
    assert result.exit_code == 0, result.output
    assert f"3 of 13 explanations of {case['--out']}, drawn at random" in result.output
    assert "edge_gradients" in page.read_text(encoding="utf-8")
    drawn = gg.Explanations.scan(case["--out"]).sample(3, seed=1)
    data = GraphStore.open(case["--store"]).to_data()
    (expected,) = gg.metrics.evaluate(drawn, build(case), data)
    rows = json.loads(numbers.read_text())["methods"]
    assert [row["method"] for row in rows] == ["saliency", "edge_gradients"]
    assert {name: rows[0][name] for name in expected} == expected


def test_a_report_of_nothing_is_refused(case: dict[str, Any], tmp_path: Path) -> None:
    refused = run("report", tmp_path)
    assert "holds no explanations; give the folder of a job" in refused.output
    assert explain(case, store=None, data=tmp_path / "graph.pt", workers=None).exit_code == 0
    saved = case["--out"] / "saliency"
    assert run("report", saved, "--out", tmp_path / "page.html").exit_code == 0
    refused = run("report", saved, "--model", case["--model"])
    assert "metrics are for folders of jobs" in refused.output
    refused = run("report", saved, "--json", tmp_path / "rows.json")
    assert "--json holds metrics, which need the model" in refused.output
