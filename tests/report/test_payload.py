"""The page's data: exact numbers, each thing once, never a number that is not finite."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from glassgraph.errors import GlassgraphError
from glassgraph.report.payload import MAX_DRAWN_EDGES, ReportError, build_payload
from tests.report.fakes import Local, Run, is_finite_everywhere, star, two_methods, walked


def test_numbers_and_structure_are_those_of_the_explanation() -> None:
    payload = build_payload(two_methods(), [], "Title")
    first = payload["instances"][0]
    assert (first["index"], first["graph"], first["label"]) == (10, 0, 0)
    assert first["structures"] == [
        {
            "nodes": [10, 11, 12, 13],
            "seeds": [0],
            "node_types": None,
            "node_type": None,
            "edge_id": [7, 2, 19, 5, 11],
            "source": [1, 2, 3, 0, 2],
            "destination": [0, 0, 0, 1, 3],
            "edge_types": None,
            "edge_type": None,
            "truth": [1, 0, 1, 0, 1],
            "num_true": 3,
            "drawn_of": None,
        }
    ]
    plain, layered = first["runs"]
    assert plain["edges"] == [0.5, 0.123457, 0, 0.25, 1]
    assert plain["nodes"] == [0.9, 0.1, 0.2, 0.3]
    assert plain["layers"] is None
    assert plain["prediction"] == [0.75, 0.25]
    assert layered["edges"] == [-0.75, 0.5, 0, 0.25, 0.125]
    assert layered["layers"] == [[0, -3, 2, 0, 1], [0.5, 0, 0, -0.5, 4]]
    assert [method["signed"] for method in payload["methods"]] == [False, True]
    assert [method["num_layers"] for method in payload["methods"]] == [3, 2]


def test_methods_share_a_structure_only_where_it_is_equal() -> None:
    other = star(edge_id=torch.tensor([7, 2, 19, 5, 12]))
    payload = build_payload([Run("a", [star()]), Run("b", [star()]), Run("c", [other])], [], "")
    instance = payload["instances"][0]
    assert len(instance["structures"]) == 2
    assert [run["structure"] for run in instance["runs"]] == [0, 0, 1]


def test_what_is_not_finite_becomes_null() -> None:
    wild = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.5, 0.0])
    run = Run("a", [star(edge_score=wild)], {"cutoff": float("inf"), "path": object})
    payload = build_payload([run], [{"method": "a", "auc": float("nan")}], "")
    assert payload["instances"][0]["runs"][0]["edges"] == [None, None, None, 0.5, 0]
    assert payload["metrics"] == {"columns": ["method", "auc"], "rows": [["a", None]]}
    assert payload["methods"][0]["provenance"]["cutoff"] == "inf"
    assert is_finite_everywhere(payload)
    json.dumps(payload, allow_nan=False)


def test_metrics_may_have_different_columns() -> None:
    rows = [{"method": "a", "auc": torch.tensor(0.5)}, {"method": "b", "is_best": True, "n": 3}]
    metrics = build_payload([Run("a", [star()])], rows, "")["metrics"]
    assert metrics["columns"] == ["method", "auc", "is_best", "n"]
    assert metrics["rows"] == [["a", 0.5, None, None], ["b", None, True, 3]]


def test_features_are_summed_without_their_padding() -> None:
    nan = float("nan")
    scores = torch.tensor([[1.0, -4.0, 0.0], [2.0, 1.0, 0.0], [0.5, nan, nan], [0.0, nan, nan]])
    local = star(edge_score=None, feature_score=scores)
    run = build_payload([Run("a", [local])], [], "")["instances"][0]["runs"][0]
    assert (run["nodes"], run["nodes_from"]) == ([-3, 3, 0.5, 0], "features")
    assert run["features"]["total"] == [["0", 3.5], ["1", -3]]
    assert run["features"]["per_node"] == [[[1, -4], [0, 1]], [[0, 2], [1, 1]], [[0, 0.5]], []]
    typed = replace(local, node_type=["p", "p", "q", "q"])
    run = build_payload([Run("a", [typed])], [], "")["instances"][0]["runs"][0]
    assert run["features"]["total"] == [["p 0", 3], ["p 1", -3], ["q 0", 0.5]]


def test_a_typed_seed_is_found_by_its_type_and_never_guessed() -> None:
    local = star(
        index=4,
        node_id=torch.tensor([4, 3, 4, 5]),
        node_type=["author", "author", "paper", "paper"],
        seeds=torch.tensor([4]),
    )
    known = Run("a", [local], {"task": {"node_type": "paper"}})
    for run, seeds in ((known, [2]), (Run("a", [local]), [])):
        assert build_payload([run], [], "")["instances"][0]["structures"][0]["seeds"] == seeds


def test_long_lists_of_the_provenance_are_shortened() -> None:
    provenance = {"starts": list(range(1000)), "sizes": (3, 5)}
    method = build_payload([Run("a", [star()], provenance)], [], "")["methods"][0]
    assert method["provenance"]["starts"] == "0, 1, 2, 3, 4, 5, 6, 7, … (1000 in all)"
    assert method["provenance"]["sizes"] == [3, 5]


def test_walks_are_positions_with_their_scores_and_the_sum_is_told() -> None:
    payload = build_payload([Run("a", [walked()]), Run("b", [star()])], [], "")
    with_walks, without = payload["instances"][0]["runs"]
    assert with_walks["walks"] == {
        "count": 3, "nodes": [[2, 3, 3], [2, 0, 1], [1, 0, 1]], "scores": [2, -1, 0.5]
    }  # fmt: skip
    assert with_walks["handed"] == {"total": 2, "received": 1.5, "absorbed": 0.25}
    assert (without["walks"], without["handed"]) == (None, None)
    wild = build_payload([Run("a", [walked(absorbed=float("nan"))])], [], "")
    assert wild["instances"][0]["runs"][0]["handed"] is None
    # The edges' scores are positive; one walk's is not.
    assert [method["signed"] for method in payload["methods"]] == [True, False]


def network(*pairs: tuple[int, int]) -> dict[str, dict[str, torch.Tensor]]:
    parent, child = torch.tensor(pairs).long().view(-1, 2).t()
    return {"network": {"parent": parent, "child": child}}


def test_networks_stand_in_rows_above_what_is_explained() -> None:
    local = star(tables=network((1, 2), (1, 0), (2, 0), (3, 0)), seeds=torch.tensor([10]))
    payload = build_payload([Run("a", [local]), Run("b", [star()])], [], "")
    found, without = (run["network"] for run in payload["instances"][0]["runs"])
    assert without is None
    assert [(each["name"], each["row"], each["x"]) for each in found["nodes"]] == [
        ("11", 0, 0.5), ("12", 1, 0.25), ("13", 1, 0.75), ("10", 2, 0.5)
    ]  # fmt: skip
    assert [each["explained"] for each in found["nodes"]] == [False, False, False, True]
    assert found["edges"] == [[0, 1], [0, 3], [1, 3], [2, 3]]


def test_a_network_of_a_graph_ends_in_the_prediction_and_may_be_empty() -> None:
    typed = {"node_type": ["a", "b", "b", "b"], "seeds": torch.tensor([], dtype=torch.long)}
    local = star(tables=network((1, -1)), **typed)
    (run,) = build_payload([Run("a", [local])], [], "")["instances"][0]["runs"]
    assert [each["name"] for each in run["network"]["nodes"]] == ["b 11", "prediction"]
    assert [each["explained"] for each in run["network"]["nodes"]] == [False, True]
    (run,) = build_payload([Run("a", [star(tables=network())])], [], "")["instances"][0]["runs"]
    assert run["network"] == {"nodes": [], "edges": []}


def test_of_many_walks_the_first_are_listed_and_none_is_no_list() -> None:
    many = walked(walks=torch.tensor([[2, 3, 3]] * 99), walk_scores=torch.arange(99.0, 0.0, -1.0))
    none = walked(walks=torch.empty(0, 3, dtype=torch.long), walk_scores=torch.empty(0))
    payload = build_payload([Run("a", [many]), Run("b", [none])], [], "")
    listed, nothing = (run["walks"] for run in payload["instances"][0]["runs"])
    assert (listed["count"], listed["scores"]) == (99, list(range(99, 79, -1)))
    assert nothing is None


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ([], "at least one method"),
        ([Run("a", [star()]), Run("b", [])], r"\[1, 0\]"),
        ([Run("a", [star()]), Run("b", [star(index=11)])], "index 10 .* 'a' .* index 11 .* 'b'"),
    ],
)
def test_runs_that_do_not_belong_together_are_refused(runs: list[Run], words: str) -> None:
    with pytest.raises(ReportError, match=words) as caught:
        build_payload(runs, [], "")
    assert isinstance(caught.value, GlassgraphError)
    assert isinstance(caught.value, ValueError)


def wheel(num_edges: int, score: torch.Tensor) -> Local:
    """Edges from 1, 2, 3, … into the explained node 0."""
    source = torch.arange(1, num_edges + 1)
    return Local(
        index=0,
        edge_index=torch.stack([source, torch.zeros_like(source)]),
        node_id=torch.arange(num_edges + 1),
        edge_id=torch.arange(num_edges),
        seeds=torch.tensor([0]),
        edge_score=score,
        node_score=torch.arange(num_edges + 1.0),
    )


def test_a_large_instance_keeps_its_strongest_edges_with_their_true_ranks() -> None:
    num_edges = 1009
    rising = torch.arange(1.0, num_edges + 1)
    runs = [Run("up", [wheel(num_edges, rising)]), Run("down", [wheel(num_edges, rising.flip(0))])]
    instance = build_payload(runs, [], "")["instances"][0]
    structure = instance["structures"][0]
    assert structure["drawn_of"] == [num_edges + 1, num_edges]
    assert len(structure["edge_id"]) == MAX_DRAWN_EDGES
    assert set(structure["edge_id"]) >= {0, 1, 2, 1006, 1007, 1008}
    assert structure["nodes"][structure["seeds"][0]] == 0
    for own, sign in zip(instance["runs"], (1, -1), strict=True):
        for edge, score, rank in zip(
            structure["edge_id"], own["edges"], own["edge_ranks"], strict=True
        ):
            assert score == (edge + 1 if sign > 0 else num_edges - edge)
            assert rank == num_edges + 1 - score
        assert own["nodes"] == structure["nodes"]
    sources = [structure["nodes"][s] for s in structure["source"]]
    assert sources == [edge + 1 for edge in structure["edge_id"]]


def test_the_walks_of_a_large_instance_are_drawn_whatever_their_edges_scores() -> None:
    num_edges = 1009
    weakest = torch.tensor([[3, 3, 0], [2, 0, 0]])
    local = replace(
        wheel(num_edges, torch.arange(1.0, num_edges + 1)),
        walks=weakest,
        walk_scores=torch.tensor([1.0, 0.5]),
    )
    instance = build_payload([Run("a", [local])], [], "")["instances"][0]
    structure, listed = instance["structures"][0], instance["runs"][0]["walks"]
    assert len(structure["edge_id"]) == MAX_DRAWN_EDGES
    assert {1, 2} <= set(structure["edge_id"])
    named = [[structure["nodes"][at] for at in walk] for walk in listed["nodes"]]
    assert named == weakest.tolist()


def test_a_node_that_only_stays_is_drawn_too() -> None:
    local = replace(
        wheel(1009, torch.arange(1.0, 1010)),
        walks=torch.tensor([[1, 1, 1]]),
        walk_scores=torch.tensor([1.0]),
    )
    instance = build_payload([Run("a", [local])], [], "")["instances"][0]
    (walk,) = instance["runs"][0]["walks"]["nodes"]
    assert [instance["structures"][0]["nodes"][at] for at in walk] == [1, 1, 1]


def test_true_edges_that_are_not_drawn_are_counted() -> None:
    local = replace(wheel(1009, torch.rand(1009)), edge_truth=torch.ones(1009, dtype=torch.bool))
    structure = build_payload([Run("a", [local])], [], "")["instances"][0]["structures"][0]
    assert (sum(structure["truth"]), structure["num_true"]) == (MAX_DRAWN_EDGES, 1009)


def test_an_instance_at_the_limit_is_drawn_whole() -> None:
    local = wheel(MAX_DRAWN_EDGES, torch.rand(MAX_DRAWN_EDGES))
    structure = build_payload([Run("a", [local])], [], "")["instances"][0]["structures"][0]
    assert structure["drawn_of"] is None
    assert len(structure["edge_id"]) == MAX_DRAWN_EDGES


def test_what_is_not_drawn_is_summed_for_each_kind_of_score() -> None:
    size = MAX_DRAWN_EDGES + 100
    ends = torch.stack([torch.arange(1, size + 1), torch.zeros(size, dtype=torch.long)])
    score = torch.arange(size, 0, -1).double()
    local = Local(
        index=0,
        edge_index=ends,
        node_id=torch.arange(size + 1),
        edge_id=torch.arange(size),
        seeds=torch.tensor([0]),
        edge_score=score,
        layer_edge_score=torch.stack([score, 2 * score]),
        node_score=torch.cat([torch.zeros(1), score]),
    )
    runs = [Run("a", [local]), Run("b", [star(index=0)])]
    first, second = (build_payload([run], [], "")["instances"][0]["runs"][0] for run in runs)
    rest = 100 * 101 / 2  # the strongest are drawn, those with scores 1 to 100 are not
    assert first["left_out"] == {"edges": rest, "layers": [rest, 2 * rest], "nodes": rest}
    assert second["left_out"] is None
