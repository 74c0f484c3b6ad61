"""The PaGE-Link study in small: the authors' network, both measures, and the bars."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import glassgraph as gg
from glassgraph.errors import DatasetError, HyperParameterError
from glassgraph_studies.reproduce.page_link import experiment as study
from glassgraph_studies.reproduce.page_link.network import LIKES, load
from glassgraph_studies.reproduce.page_link.study import tables, verdicts
from tests.cli.helpers import run

PARTS = Path("data") / "pagelink_synthetic"


def test_the_network_is_the_authors(shared: Path) -> None:
    """By hand, with matrices: what it says of all links, most of which it predicts."""
    scene = load(shared / PARTS)
    stored = dict(np.load(shared / PARTS / "rgcn_weights.npz"))
    data = scene.data

    def weight(layer: int, name: str, part: str = "weight") -> torch.Tensor:
        own = "weight0" if name == "own" else f"weight__{name}"
        return torch.from_numpy(stored[f"encoder__layer{layer}__{own}__{part}"])

    h = dict(data.x_dict)
    for layer in (1, 2):
        new = {k: x @ weight(layer, "own").T + weight(layer, "own", "bias") for k, x in h.items()}
        for kind, edge_index in data.edge_index_dict.items():
            sent = h[kind[0]] @ weight(layer, kind[1]).T + weight(layer, kind[1], "bias")
            matrix = torch.zeros(h[kind[2]].size(0), h[kind[0]].size(0))
            matrix[edge_index[1], edge_index[0]] = 1
            new[kind[2]] += matrix / matrix.sum(1, keepdim=True).clamp_min(1) @ sent
        h = {k: torch.nn.functional.leaky_relu(x) for k, x in new.items()} if layer == 1 else new
    links = data[LIKES].edge_label_index
    logit = (h["user"][links[0]] * h["item"][links[1]]).sum(1)
    with torch.no_grad():
        found = scene.model(data.x_dict, data.edge_index_dict, links)
    torch.testing.assert_close(found, logit, rtol=1e-4, atol=1e-4)
    assert study.predicted_links(scene) == (logit > 0).nonzero().view(-1).tolist()
    assert float((logit > 0).float().mean()) == pytest.approx(0.948, abs=1e-3)
    assert len(scene.paths) == links.size(1) == 714
    assert sum(map(len, scene.paths)) == 1164
    first = [("user", 1), ("item", 54), ("user", 4), ("item", 35)]
    assert first in scene.paths[0]


@pytest.mark.slow("one link by hand: test_measures_of_one_link_by_hand")
def test_paths_are_found_and_controls_are_told(shared: Path) -> None:
    names = ["page_link", "degrees", "saliency", "occlusion", "random"]
    rows = list(study.run_page_link(shared / PARTS, 6, names, progress=False))
    best, degrees, saliency, occlusion, noise = rows
    assert best["links"] == 6
    assert best["auc"] > 0.95
    assert best["hits_5"] >= 0.9
    assert best["auc"] > max(row["auc"] for row in rows[1:])
    assert degrees["hits_5"] >= 0.9  # true paths are short ones through nodes of few neighbors
    assert saliency["pair_auc"] > noise["pair_auc"]
    assert occlusion["pair_auc"] > noise["pair_auc"]
    for row in rows:
        assert row["hits_3"] <= row["hits_5"] <= row["hits_10"]
        assert row["pair_hits_3"] <= row["pair_hits_5"] <= row["pair_hits_10"]
    json.dumps(rows)
    (line,) = verdicts(rows)
    assert "are reached: page_link has" in line
    (line,) = verdicts([row for row in rows if row["row"] != "page_link"])
    assert "are NOT reached" in line
    assert list(verdicts([noise])) == []
    (table,) = tables(rows)
    assert [table.columns[0].cell(row) for row in rows][-1] == "random (control)"


def test_measures_of_one_link_by_hand(shared: Path) -> None:
    scene = load(shared / PARTS)
    task = gg.Task("edge", mode="binary_classification")
    explanation = gg.Random(scene.model, task, progress=False).explain(scene.data, [1])[0]
    local = explanation.local
    truth = {("user__buys__item", 1, 11), ("item__bought_by__user", 11, 3)}
    truth.add(("user__buys__item", 3, 80))
    assert scene.edges[1] == truth
    right = [
        (kind, int(local.node_id[u]), int(local.node_id[v])) in truth
        for kind, (u, v) in zip(local.edge_type, local.edge_index.t().tolist(), strict=True)
    ]
    assert sum(right) == 3
    wins = [
        float(local.edge_score[i] > local.edge_score[j])
        for i, is_true in enumerate(right)
        if is_true
        for j, is_other in enumerate(right)
        if not is_other
    ]
    found = study._of_one(explanation, scene.edges[1], scene.paths[1])
    assert found["auc"] == pytest.approx(sum(wins) / len(wins))
    assert found["paths"] == len(scene.paths[1]) == 1


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(HyperParameterError, match="no row 'pgm'"):
        list(study.run_page_link(tmp_path, rows=["pgm"]))
    with pytest.raises(DatasetError, match=r"graph\.npz is missing"):
        list(study.run_page_link(tmp_path, progress=False))
    result = run("reproduce", "page-link", "--root", tmp_path, "--quiet")
    assert result.exit_code == 2
    assert "is missing" in result.stderr
