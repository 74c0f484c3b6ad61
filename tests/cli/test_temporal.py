"""``glassgraph temporal`` on a tiny stream, with a model that a file builds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from click.testing import Result

import glassgraph as gg
from tests.cli.helpers import run
from tests.temporal.streams import BATCH, NODES, WIDTH, stream

MODEL = f"""
import torch
from torch_geometric.nn.models.tgn import IdentityMessage, LastAggregator, TGNMemory

import glassgraph as gg
from glassgraph.models import LinkPredictor, TemporalAttention


def make():
    torch.manual_seed(1)
    memory = TGNMemory({NODES}, {WIDTH}, 7, 5, IdentityMessage({WIDTH}, 7, 5), LastAggregator())
    gnn = TemporalAttention(7, 6, {WIDTH}, memory.time_enc)
    return gg.temporal.TGN(memory, gnn, LinkPredictor(6), neighbors=3)


def other():
    return torch.nn.Linear(2, 2)
"""


@pytest.fixture
def case(tmp_path: Path) -> dict[str, Any]:
    """Options of a run, and the stream as a table."""
    events = stream()
    columns = {name: getattr(events, name).numpy() for name in ("src", "dst", "t")}
    columns |= {f"msg_{number}": column.numpy() for number, column in enumerate(events.msg.T)}
    pd.DataFrame(columns).to_csv(tmp_path / "events.csv", index=False)
    (tmp_path / "net.py").write_text(MODEL, encoding="utf-8")
    return {
        "--events": tmp_path / "events.csv",
        "--model": f"{tmp_path / 'net.py'}:make",
        "--index": "40,45",
        "--candidates": 9,
        "--batch-size": BATCH,
        "--out": tmp_path / "out",
    }


def temporal(case: dict[str, Any], *words: object, **changed: object) -> Result:
    """Run it with other options."""
    options = {**case, **{f"--{name}": value for name, value in changed.items()}}
    given = [word for pair in options.items() if pair[1] is not None for word in pair]
    return run("temporal", *given, *words)


def test_everything_is_written(case: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text(json.dumps({"node_names": {"3": "Ada"}}))
    result = temporal(
        case, method="perturb_one,t_gnn_explainer,random", fit="30:32", sizes="1,2",
        set="rollouts=4", names=tmp_path / "names.json", json=tmp_path / "copy.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    out = case["--out"]
    record = json.loads((out / "metrics.json").read_text())
    assert record == json.loads((tmp_path / "copy.json").read_text())
    assert [(row["method"], row["size"]) for row in record["methods"]] == [
        (name, size) for name in ("perturb_one", "t_gnn_explainer", "random") for size in (1, 2)
    ]
    assert record["num_events"] == 47
    own = gg.temporal.load(out / "perturb_one.parquet")
    assert [each.index for each in own] == [40, 45]
    assert [len(each) for each in own] == [9, 9]
    frame = pd.read_csv(out / "perturb_one.csv")
    assert frame["score"].tolist() == pytest.approx(own.to_frame()["score"].tolist())
    assert "Ada" in (out / "report.html").read_text()
    assert "perturb_one" in result.stdout
    assert str(out / "report.html") in result.stdout
    again = temporal(case)
    assert again.exit_code == 2
    assert "perturb_one.parquet exists; --overwrite replaces it" in again.stderr
    assert temporal(case, "--overwrite").exit_code == 0


def test_scores_are_those_of_python(case: dict[str, Any]) -> None:
    assert temporal(case, method="edge_gradients").exit_code == 0
    found = gg.temporal.load(case["--out"] / "edge_gradients.parquet")
    namespace: dict[str, Any] = {}
    exec(MODEL, namespace)
    expected = gg.temporal.explain(
        namespace["make"](), gg.temporal.read_events(case["--events"]), [40, 45],
        "edge_gradients", candidates=9, batch_size=BATCH, progress=False,
    )  # fmt: skip
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.score, other.score)


def test_links_that_are_asked_about(case: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "links.csv").write_text("src,dst,t\n1,2,90\n")
    result = temporal(case, index=None, links=tmp_path / "links.csv")
    assert result.exit_code == 0, result.output
    (found,) = gg.temporal.load(case["--out"] / "perturb_one.parquet")
    assert (found.index, found.link, found.time) == (-1, (1, 2), 90)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"index": None}, "give either --index or --links"),
        ({"links": "links.csv"}, "give either --index or --links"),
        ({"index": "99"}, "event 99 is out of range: there are 47"),
        ({"method": "perturb_two"}, "did you mean 'perturb_one'"),
        ({"fit": "30"}, "--fit is for t_gnn_explainer"),
        ({"set": "steps=3"}, "no such hyper-parameter; perturb_one takes none"),
        ({"method": "t_gnn_explainer", "set": "size=0"}, "size must be an integer >= 1"),
        ({"sizes": "0"}, "sizes must be an integer >= 1; got 0"),
        ({"sizes": "few"}, "--sizes takes numbers"),
        ({"events": "missing.csv"}, "no file of events at missing.csv"),
        ({"model": "net:make"}, "--model takes FILE.py:factory; got 'net:make'"),
    ],
)
def test_mistakes_are_one_line(case: dict[str, Any], changed: dict[str, Any], message: str) -> None:
    result = temporal(case, **changed)
    assert result.exit_code == 2
    assert message in result.stderr.replace("\n", " ")


def test_a_model_that_remembers_nothing_is_named(case: dict[str, Any]) -> None:
    other = case["--model"].replace(":make", ":other")
    result = temporal(case, model=other)
    assert result.exit_code == 2
    assert "returned a Linear; expected a glassgraph.temporal.TGN" in result.stderr


def test_names_of_something_else_are_named(case: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text(json.dumps({"class_names": ["no", "yes"]}))
    result = temporal(case, names=tmp_path / "names.json")
    assert result.exit_code == 2
    assert "a stream has node_names, and no class_names" in result.stderr


def test_methods_on_events_are_listed_and_described() -> None:
    listed = run("methods").stdout
    assert "9 methods on streams of events: glassgraph temporal" in listed
    about = " ".join(run("methods", "t_gnn_explainer").stdout.split())
    assert "t_gnn_explainer on past events in a stream" in about
    assert "rollouts 500" in about
    both = run("methods", "occlusion").stdout
    assert "hyper-parameters" in both
    assert "occlusion on past events in a stream" in both
    assert run("methods", "perturb_two").exit_code == 2
