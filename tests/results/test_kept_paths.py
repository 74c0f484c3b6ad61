"""Kept edges on paths and in pairs, on graphs where a reader counts them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
from torch_geometric.data import Data, HeteroData

import glassgraph as gg
from glassgraph.errors import ExplanationFileError, HyperParameterError, InstanceError
from tests.results.known import known


def diamond(**more: Any) -> Data:
    """0 → 1 → 3, 0 → 2 → 3, 3 → 4, and 4 → 3 back."""
    edges = torch.tensor([[0, 1, 0, 2, 3, 4], [1, 3, 2, 3, 4, 3]])
    return Data(x=torch.rand(5, 2), edge_index=edges, **more)


def explained(**more: Any) -> gg.Explanations:
    """Kept: 0 → 1 at layer 0, 1 → 3 at layer 1, 0 → 2 at both, 3 → 4 at layer 1, never 2 → 3."""
    scores = [[[1, 0, 1, 0, 0, 0], [0, 1, 1, 0, 1, 0]]]
    return known(diamond(**more), scores, threshold=0.5)


def cells(table: pd.DataFrame) -> dict[tuple[int, int], int]:
    return {(row.length, row.kept): row["count"] for _, row in table.iterrows()}


def test_all_shortest_paths_count() -> None:
    table = explained().kept_on_paths(source=0, target=[3, 4])
    # 0-1-3 has both steps kept, 0-2-3 one; each goes on to 4 by a kept step.
    assert cells(table) == {
        (2, 0): 0, (2, 1): 1, (2, 2): 1, (3, 0): 0, (3, 1): 0, (3, 2): 1, (3, 3): 1,
    }  # fmt: skip
    assert table.paths.tolist() == [2, 2, 2, 2, 2, 2, 2]
    assert table.share.tolist() == [0, 0.5, 0.5, 0, 0, 0.5, 0.5]
    assert table.instances.tolist() == [1] * 7
    assert table.share_low.isna().all()
    assert table.attrs["unconnected"] == 0


def test_at_one_layer() -> None:
    first = explained().kept_on_paths(source=0, target=3, layer=0)
    assert cells(first) == {(2, 0): 0, (2, 1): 2, (2, 2): 0}
    second = explained().kept_on_paths(source=0, target=3, layer=1)
    assert cells(second) == {(2, 0): 0, (2, 1): 2, (2, 2): 0}


def test_paths_of_a_length_visit_no_node_twice() -> None:
    longer = explained().kept_on_paths(source=3, target=None, length=1)
    assert cells(longer) == {(1, 0): 0, (1, 1): 1}
    assert len(explained().kept_on_paths(source=3, target=3, length=2)) == 0
    both_ways = explained().kept_on_paths(source=1, target=2, length=2, directed=False)
    assert cells(both_ways) == {(2, 0): 0, (2, 1): 1, (2, 2): 1}  # by 3: 1 kept; by 0: 2 kept


def test_against_the_edges_there_is_no_path_unless_both_ways_are_taken() -> None:
    table = explained().kept_on_paths(source=3, target=0)
    assert len(table) == 0
    assert table.attrs["unconnected"] == 1
    table = explained().kept_on_paths(source=3, target=0, directed=False)
    assert cells(table) == {(2, 0): 0, (2, 1): 1, (2, 2): 1}


@pytest.mark.parametrize(
    "nodes",
    [
        [0, 2],
        torch.tensor([0, 2]),
        np.array([0, 2]),
        torch.tensor([True, False, True, False, False]),
        "is_start",
        "start_index",
        lambda local: torch.tensor([0, 2]),
        lambda local: torch.isin(local.node_id, torch.tensor([0, 2])),
        [[0, 2]],
    ],
)
def test_every_way_to_name_nodes(nodes: Any) -> None:
    found = explained(is_start=torch.tensor([1, 0, 1, 0, 0]), start_index=torch.tensor([0, 2]))
    assert cells(found.kept_on_paths(source=nodes, target=3)) == {
        (1, 0): 1, (1, 1): 0, (2, 0): 0, (2, 1): 1, (2, 2): 1,
    }  # fmt: skip


def test_nodes_that_each_graph_numbers_and_intervals_over_graphs() -> None:
    """Two chains: of one all is kept, of the other nothing."""

    def chain(size: int, first: int) -> Data:
        edges = torch.stack([torch.arange(size - 1), torch.arange(1, size)])
        return Data(
            x=torch.rand(size, 1), edge_index=edges, predicate_index=torch.tensor([first]),
            role=[node == size - 1 for node in range(size)],
        )  # fmt: skip

    found = known([chain(4, 1), chain(3, 0)], [[[1, 1, 1]], [[0, 0]]], threshold=0.5)
    table = found.kept_on_paths("predicate_index", "role")
    assert cells(table) == {(2, 0): 1, (2, 1): 0, (2, 2): 1}
    assert table.instances.tolist() == [2, 2, 2]
    assert table.share_low.tolist() == [0, 0, 0]
    assert table.share_high.tolist() == [1, 0, 1]


def test_the_explained_node_is_where_paths_end() -> None:
    data = Data(x=torch.rand(4, 2), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
    found = known(data, [[[0, 1, 0], [0, 0, 1]]], seeds=[3], threshold=0.5)
    assert cells(found.kept_on_paths(source=1)) == {(2, 0): 0, (2, 1): 0, (2, 2): 1}


def test_random_graphs_against_networkx() -> None:
    generator = torch.Generator().manual_seed(3)
    graph = nx.gnp_random_graph(11, 0.25, seed=5, directed=True)
    edges = torch.tensor(list(graph.edges)).t()
    kept = torch.rand(edges.size(1), generator=generator) > 0.5
    found = known(Data(x=torch.rand(11, 1), edge_index=edges), [kept.float().tolist()])
    is_kept = {pair: bool(k) for pair, k in zip(graph.edges, kept.tolist(), strict=True)}
    sources, targets = [0, 1, 2], [7, 8]
    expected: dict[tuple[int, int], int] = {}
    lost = 0
    for s, t in itertools.product(sources, targets):
        if not nx.has_path(graph, s, t):
            lost += 1
            continue
        for path in nx.all_shortest_paths(graph, s, t):
            steps = list(itertools.pairwise(path))
            cell = len(steps), sum(is_kept[step] for step in steps)
            expected[cell] = expected.get(cell, 0) + 1
    table = found.kept_on_paths(sources, targets, threshold=0.5)
    assert {cell: n for cell, n in cells(table).items() if n} == expected
    assert table.attrs["unconnected"] == lost
    of_three = 0
    for s, t in itertools.product(sources, targets):
        paths = nx.all_simple_paths(graph, s, t, cutoff=3)
        of_three += sum(len(path) == 4 for path in paths)
    table = found.kept_on_paths(sources, targets, threshold=0.5, length=3)
    assert table["count"].sum() == of_three > 0


def test_heterogeneous_nodes_need_their_type() -> None:
    data = HeteroData(author={"x": torch.rand(2, 3)}, paper={"x": torch.rand(3, 3)})
    data["author", "writes", "paper"].edge_index = torch.tensor([[0, 1], [0, 1]])
    data["paper", "cites", "paper"].edge_index = torch.tensor([[0, 1], [1, 2]])
    data["paper"].is_new = torch.tensor([False, False, True])
    found = known(data, [[1, 1, 1, 0]], threshold=0.5)
    table = found.kept_on_paths({"author": [0, 1]}, {"paper": 2})
    assert cells(table) == {
        (2, 0): 0, (2, 1): 1, (2, 2): 0, (3, 0): 0, (3, 1): 0, (3, 2): 1, (3, 3): 0,
    }  # fmt: skip
    by_name = found.kept_on_paths({"author": [0, 1]}, "is_new")
    pd.testing.assert_frame_equal(by_name, table)
    with pytest.raises(InstanceError, match="type"):
        found.kept_on_paths([0], {"paper": 2})


def test_inverse_pairs_by_layer() -> None:
    edges = torch.tensor([[0, 1, 1, 2, 2, 0], [1, 0, 2, 1, 2, 2]])  # 0⇄1, 1⇄2, a loop, 0→2
    data = Data(x=torch.rand(3, 2), edge_index=edges)
    scores = [[[1, 1, 1, 0, 1, 1], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 0]]]
    table = known(data, scores, threshold=0.5).inverse_pairs()
    assert table.layer.tolist() == [0, 1, 2]
    assert table["count"].tolist() == [4, 2, 0]
    assert table.has_inverse.tolist()[:2] == [0.75, 1.0]
    assert table.inverse_kept.tolist()[:2] == [0.5, 1.0]
    assert np.isnan(table.inverse_kept[2])
    once = known(data, [[1, 1, 1, 0, 1, 1]], threshold=0.5).inverse_pairs()
    assert "layer" not in once
    assert once.inverse_kept.tolist() == [0.5]


def test_pairs_never_join_two_instances() -> None:
    data = Data(x=torch.rand(2, 2), edge_index=torch.tensor([[0, 1], [1, 0]]))
    table = known(data, [[[1, 0]], [[0, 1]]], threshold=0.5).inverse_pairs()
    assert table["count"].tolist() == [2]
    assert table.inverse_kept.tolist() == [0.0]
    assert table[["inverse_kept_low", "inverse_kept_high"]].values.tolist() == [[0.0, 0.0]]
    assert table.instances.tolist() == [2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"source": 9}, "no explanation has a node"),
        ({"source": [-1]}, "from 0"),
        ({"source": [0.5]}, "whole numbers"),
        ({"source": [True, False]}, "mask of 2"),
        ({"source": "nothing"}, "no such attribute"),
        ({"source": "tag"}, "which nodes are meant"),
        ({"source": {"paper": [0]}}, "no node types"),
        ({"source": lambda local: torch.tensor([True])}, "mask of 1"),
        ({"source": [[0], [1], [2]]}, "lists for 3 instances"),
        ({"source": ["word"]}, "ids"),
        ({"length": 0}, "length"),
        ({"layer": 2}, "layer must be"),
        ({"threshold": 0.1, "top_share": 0.3}, "not both"),
    ],
)
def test_what_names_no_nodes_is_refused(arguments: dict[str, Any], words: str) -> None:
    found = explained(tag=torch.tensor([7, 8, 9, 7, 8]))
    with pytest.raises((InstanceError, HyperParameterError), match=words):
        found.kept_on_paths(**arguments)


def test_nothing_says_what_is_kept() -> None:
    found = known(diamond(), [[1, 0, 1, 0, 0, 0]])
    for ask in (found.kept_on_paths, found.inverse_pairs):
        with pytest.raises(HyperParameterError, match="top_share"):
            ask()


def test_without_the_data_ids_still_do(tmp_path: Path) -> None:
    found = explained(is_start=torch.tensor([1, 0, 1, 0, 0]))
    bare = gg.Explanations.load(found.save(tmp_path, include_graph=False))
    assert cells(bare.kept_on_paths(0, 3)) == {(2, 0): 0, (2, 1): 1, (2, 2): 1}
    with pytest.raises(ExplanationFileError, match="load"):
        bare.kept_on_paths("is_start", 3)
