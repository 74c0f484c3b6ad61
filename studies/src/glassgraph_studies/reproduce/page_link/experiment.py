"""Along which paths is a link predicted? On PaGE-Link's graph, with its authors' own network.

Zhang, Zhang, Song, Adeshina, Zheng, Faloutsos and Sun, "PaGE-Link: Path-based Graph Neural Network
Explanation for Heterogeneous Link Prediction" (WWW 2023, https://arxiv.org/abs/2302.12465): links
between users and items of a generated graph are true because of paths of three edges, and an R-GCN
learned to predict them. Explained are links that it predicts. Their two measures:

* *mask AUC*: the area under the ROC curve of the scores of edges in the field of a link, against
  those on its true paths, as they run from the user to the item; the mean over links;
* *path hit rate* at k: the share of links with a true path among the k best.

Methods that know nothing of ends find a step of a path by either of its two edges (a user buys an
item, the item is bought by the user). So both measures are taken a second time on *pairs* of nodes:
a pair has the better score of its edges, and paths go along edges either way.

Two rows are controls. ``page_link_blind`` learns without the prediction, and ``degrees`` ranks
paths by their lengths and degrees alone: what they reach is no merit of an explanation.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from glassgraph.errors import HyperParameterError
from glassgraph.explainers.amortized import AmortizedExplainer
from glassgraph.explainers.registry import METHODS, make_explainer
from glassgraph.inputs.task import Task
from glassgraph.results.dense import HeteroExplanation
from glassgraph_studies.reproduce.page_link.network import LIKES, Scene, load

#: Numbers of paths.
AT = (3, 5, 10)
#: What the best method has to reach: mask AUC, hit rate among five paths.
LEAST_AUC, LEAST_HITS = 0.95, 0.9
#: Links that methods are fitted on, where they are; others than those that are explained.
FITTED_ON = 100


@dataclass(frozen=True)
class Entry:
    """One row of the table.

    Attributes:
        title: what it is called.
        method: registry name.
        settings: hyper-parameters that differ from the method's defaults.
        is_control: whether it knows nothing of the prediction.
    """

    title: str
    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    is_control: bool = False


_ALL: dict[str, Entry] = {
    "page_link": Entry("PaGE-Link", "page_link"),
    "page_link_blind": Entry(
        "PaGE-Link without the prediction", "page_link", {"prediction": 0.0}, is_control=True
    ),
    "degrees": Entry(
        "lengths and degrees alone",
        "page_link",
        {"epochs": 1, "learning_rate": 1e-9, "init_scale": 1e-6, "prediction": 0.0},
        is_control=True,
    ),
    "saliency": Entry("gradient, squared", "saliency"),
    "edge_gradients": Entry("edge gradients", "edge_gradients"),
    "integrated_gradients": Entry("integrated gradients", "integrated_gradients"),
    "occlusion": Entry("occlusion", "occlusion"),
    "gnn_explainer": Entry("GNNExplainer", "gnn_explainer"),
    "pg_explainer": Entry("PGExplainer", "pg_explainer"),
    "shapley_edges": Entry("Shapley values of edges", "shapley_edges"),
    "random": Entry("random", "random", is_control=True),
}
#: Rows by name, of the methods that there are.
TABLE = {name: entry for name, entry in _ALL.items() if entry.method in METHODS}


def run_page_link(
    root: Path | str,
    links: int = 200,
    rows: Sequence[str] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Iterator[dict[str, Any]]:
    """Explain predicted links by every method.

    Args:
        root: folder of the authors' graph, links and weights.
        links: how many of the predicted links, evenly spread; all where there are fewer.
        rows: names of `TABLE`; all of it if None.
        seed: of the explainers.
        progress: show progress bars.

    Yields:
        Rows ``{row, links, predicted, auc, pair_auc, hits_3, hits_5, hits_10, pair_hits_3, ...,
        paths, seconds}``: of ``predicted`` links of all, ``paths`` true paths in the mean.

    Raises:
        HyperParameterError: if there is no such row.
        DatasetError: if the files are not there.
    """
    names = list(TABLE) if rows is None else list(rows)
    for name in names:
        if name not in TABLE:
            raise HyperParameterError(f"there is no row {name!r}; there are {', '.join(TABLE)}")
    scene = load(root)
    predicted = predicted_links(scene)
    place = torch.linspace(0, len(predicted) - 1, min(links, len(predicted))).long().tolist()
    chosen = [predicted[each] for each in place]
    others = [link for link in predicted if link not in set(chosen)] or predicted
    for name in names:
        found = _measure(scene, TABLE[name], chosen, others, seed, progress=progress)
        yield {"row": name, "predicted": len(predicted) / len(scene.edges), **found}


@torch.no_grad()
def predicted_links(scene: Scene) -> list[int]:
    """Numbers of the links that the network predicts."""
    data = scene.data
    logit = scene.model(data.x_dict, data.edge_index_dict, data[LIKES].edge_label_index)
    found: list[int] = (logit > 0).nonzero().view(-1).tolist()
    return found


def _measure(
    scene: Scene,
    entry: Entry,
    chosen: Sequence[int],
    others: Sequence[int],
    seed: int,
    *,
    progress: bool,
) -> dict[str, Any]:
    task = Task("edge", mode="binary_classification", edge_type=LIKES)
    explainer = make_explainer(
        entry.method, scene.model, task, seed=seed, progress=progress, **entry.settings
    )
    start = time.perf_counter()
    if isinstance(explainer, AmortizedExplainer):
        explainer.fit(scene.data, index=others[:FITTED_ON])
    found = explainer.explain(scene.data, index=list(chosen))
    seconds = time.perf_counter() - start
    each = [
        _of_one(explanation, scene.edges[link], scene.paths[link])
        for link, explanation in zip(chosen, found, strict=True)
    ]
    means = {name: float(np.nanmean([one[name] for one in each])) for name in each[0]}
    return {"links": len(chosen), **means, "seconds": seconds}


def _of_one(
    explanation: HeteroExplanation,
    edges: set[tuple[str, int, int]],
    paths: list[list[tuple[str, int]]],
) -> dict[str, float]:
    """Both measures of one link, along edges and along pairs of nodes."""
    local = explanation.local
    assert local.edge_score is not None
    assert local.node_type is not None
    nodes = list(zip(local.node_type, local.node_id.tolist(), strict=True))
    ends = [(nodes[u], nodes[v]) for u, v in local.edge_index.t().tolist()]
    score = local.edge_score.tolist()
    is_true = [
        (kind, tail[1], head[1]) in edges
        for kind, (tail, head) in zip(local.edge_type or [], ends, strict=True)
    ]
    pair_score: dict[frozenset[Any], float] = {}
    pair_truth: dict[frozenset[Any], bool] = {}
    for pair, value, truth in zip(map(frozenset, ends), score, is_true, strict=True):
        pair_score[pair] = max(value, pair_score.get(pair, value))
        pair_truth[pair] = truth or pair_truth.get(pair, False)
    found = {
        "auc": _auc(is_true, score),
        "pair_auc": _auc(list(pair_truth.values()), list(pair_score.values())),
        "paths": float(len(paths)),
    }
    user, item = zip(local.seed_type or [], local.seeds.tolist(), strict=True)
    either = explanation.paths(user, item, max(AT), directed=False)
    for prefix, best in (("hits", explanation.paths(k=max(AT))), ("pair_hits", either)):
        for k in AT:
            found[f"{prefix}_{k}"] = float(any(path in paths for path in best.nodes[:k]))
    return found


def _auc(truth: Sequence[bool], score: Sequence[float]) -> float:
    """NaN where a field holds true edges alone, or none."""
    return float(roc_auc_score(truth, score)) if len(set(truth)) == 2 else float("nan")
