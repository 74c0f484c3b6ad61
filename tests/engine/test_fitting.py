"""Learning from a graph on disk: the numbers of the same graph in memory, within the budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.nn import GCN

import glassgraph as gg
from glassgraph.data import GraphStore
from glassgraph.errors import ExplainerFileError, HyperParameterError, ResumeError
from glassgraph.explainers.registry import make_explainer

LEARNED = {"pg_explainer": "epochs", "graphmask": "steps", "information_bottleneck": "steps"}


def graph(num_nodes: int, num_edges: int) -> Data:
    draw = torch.Generator().manual_seed(0)
    ends = torch.randint(0, num_nodes, (2, num_edges), generator=draw)
    return Data(x=torch.rand(num_nodes, 3, generator=draw), edge_index=ends)


def network() -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GCN(3, 4, 2, 2).eval()


def fitted(method: str, source: Any, index: Any, **settings: Any) -> Any:
    few = {LEARNED[method]: 3}
    explainer: Any = make_explainer(method, network(), "node", progress=False, **few, **settings)
    return explainer.fit(source, index=index)


@pytest.mark.parametrize("method", LEARNED)
def test_chunks_of_a_store_are_those_of_the_graph(tmp_path: Path, method: str) -> None:
    """Many chunks, of which the budget keeps a few; the others are cut anew at each visit."""
    data, seen = graph(150, 450), []
    store = GraphStore.build(data, tmp_path / "graph")
    budget = 60_000
    ours = make_explainer(
        method, network(), "node", progress=False, memory_budget=budget, **{LEARNED[method]: 3}
    )
    learn = ours._learn  # type: ignore[attr-defined]
    ours._learn = lambda train, held: (seen.append(train), learn(train, held))  # type: ignore[attr-defined]
    ours.fit(store)  # type: ignore[attr-defined]
    (train,) = seen
    kept = [each for each in train._kept if each is not None]
    assert len(train) > len(kept) > 0
    assert sum(2 * each.num_bytes for each in kept[1:]) <= budget
    theirs = fitted(method, data, None, memory_budget=budget)
    learned, expected = ours.learned(), theirs.learned()
    assert learned.keys() == expected.keys()
    assert all(torch.equal(learned[name], expected[name]) for name in expected)


def test_a_store_that_is_never_run_as_a_whole(tmp_path: Path) -> None:
    data = graph(20_000, 60_000)
    store = GraphStore.build(data, tmp_path / "graph")
    index = list(range(0, 20_000, 500))
    learned = fitted("pg_explainer", store, index).learned()
    expected = fitted("pg_explainer", data, index).learned()
    assert all(torch.equal(learned[name], expected[name]) for name in expected)


# What was learned, in a job


@pytest.fixture
def asked(tmp_path: Path, in_process: None) -> dict[str, Any]:
    return {
        "model": network(),
        "data": graph(9, 24),
        "method": "pg_explainer",
        "index": [7, 1],
        "out": tmp_path / "job",
        "workers": 1,
        "progress": False,
    }


def test_a_file_of_what_was_learned_is_taken(asked: dict[str, Any], tmp_path: Path) -> None:
    explainer = fitted("pg_explainer", asked["data"], [0, 2, 3])
    file = explainer.save(tmp_path / "f.safetensors")
    found = gg.explain_all(**asked, fitted=file)
    alone = explainer.explain(asked["data"], [7, 1])
    assert torch.equal(found.find(1).edge_score, alone.local(1).edge_score)
    other = fitted("pg_explainer", asked["data"], [4, 5, 6]).save(tmp_path / "g.safetensors")
    kept = (tmp_path / "job" / "fitted.safetensors").read_bytes()
    with pytest.raises(ResumeError, match="learned"):
        gg.explain_all(**asked, fitted=other)
    assert (tmp_path / "job" / "fitted.safetensors").read_bytes() == kept
    with pytest.raises(HyperParameterError, match=r"fitted with epochs=3, and 9 is asked for"):
        gg.explain_all(**asked, fitted=file, epochs=9)
    with pytest.raises(HyperParameterError, match="not both"):
        gg.explain_all(**asked, fitted=file, fit=[0])


def test_a_job_that_is_resumed_learns_nothing_else(asked: dict[str, Any]) -> None:
    gg.explain_all(**asked, fit=[0, 2, 3], epochs=3)
    with pytest.raises(HyperParameterError, match=r"fitted with epochs=3, and 4 is asked for"):
        gg.explain_all(**asked, fit=[0, 2, 3], epochs=4)
    with pytest.raises(ResumeError, match="fit was"):
        gg.explain_all(**asked, fit=[0, 2, 4], epochs=3)
    assert len(gg.explain_all(**asked, fit=[0, 2, 3], epochs=3)) == 2


def test_what_was_learned_of_another_model_is_refused(
    asked: dict[str, Any], tmp_path: Path
) -> None:
    file = fitted("pg_explainer", asked["data"], [0, 2]).save(tmp_path / "f.safetensors")
    other = network()
    with torch.no_grad():
        next(other.parameters()).add_(1)
    with pytest.raises(ExplainerFileError, match="fitted for"):
        gg.explain_all(**{**asked, "model": other}, fitted=file)
