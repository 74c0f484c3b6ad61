"""The scale study in small: what it compares must be the same thing computed twice."""

import torch

from glassgraph_studies.bench.scale import experiment as scale


def test_trimmed_field_and_whole_ball_give_the_same_output() -> None:
    rows = scale.hub(300, repeats=1, seed=0)
    assert [row["node"] for row in rows] == [15, 150, 299]
    for row in rows:
        assert row["max_difference"] <= 1e-6
        assert row["field_edges"] < row["ball_edges"]


def test_growth_reports_each_size_and_the_peer() -> None:
    rows = scale.growth(2000, repeats=1, seed=0, with_peer=True, epochs=2)
    assert [row["nodes"] for row in rows] == [20, 200, 2000]
    assert rows[0]["growth"] == 1.0
    assert rows[2]["ratio"] == rows[2]["peer_s_per_epoch"] / rows[2]["ours_s_per_epoch"]


def test_many_explains_every_node_within_its_batches() -> None:
    (row,) = scale.many(3000, 40, seed=0, epochs=2)
    assert row["instances"] == 40
    assert row["memory_budget_mb"] == 256


def test_random_graph_has_ten_edges_for_each_node() -> None:
    data = scale.random_graph(997, seed=3)
    assert 0.98 < data.num_edges / (10 * 997) <= 1.0
    assert not bool((data.edge_index[0] == data.edge_index[1]).any())
    assert torch.equal(data.x, scale.random_graph(997, seed=3).x)
