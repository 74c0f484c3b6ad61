"""How close are explainers to edge gradients, and when do edge gradients keep their sign?

He, Rafiey, Mishne and Wang, "Explaining GNN Explanations with Edge Gradients" (KDD 2025,
https://arxiv.org/abs/2508.01048). For each network of `scenes` the same predictions are explained
by several methods, and compared by the mean cosine of their scores:

``edge``
    one score for each edge: edge gradients, positive gradients (1 where the edge gradient is
    positive), GNNExplainer, occlusion, and attention for GAT;
``layer``
    one for each edge at each layer: the same without attention, GNNExplainer with a mask for each
    layer.

Scores are compared over the edges of the receptive field of each prediction, not over the whole
graph as by the authors: zeros outside leave a cosine as it is, but a mask of random numbers, or of
ones, is not zero there. Both masks are rows of every matrix, as on small fields they are close to
any mask that is mostly positive. Cosines with a vector of zeros are left out.

Settings are the published ones: GNNExplainer of PyG without a mask on features, 100 epochs; on
negative evidence no entropy, size 0.001, learning rate 0.5, and gradients count as positive above
0.001. The layerwise GNNExplainer learns all masks together in 100 epochs; the authors' takes 100
for each layer. On negative evidence GNNExplainer is also asked about the other class: its mask for
the prediction minus that for the other class is held against the signed edge gradients.

`flips` is the share of edges with a gradient other than 0 whose gradient changes its sign while
gates close, see `glassgraph.diagnose.gradient_signs`. `gap` is the largest difference between
layerwise edge gradients and layerwise occlusion of a linear network, in float64.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from glassgraph.diagnose import gradient_signs
from glassgraph.errors import DatasetError, HyperParameterError
from glassgraph.explainers.registry import make_explainer
from glassgraph.metrics.similarity import Similarity, compare_all
from glassgraph.results.explanation import Explanations
from glassgraph_studies.reproduce.edge_gradients.bars import (
    ATTENTION,
    GRADIENTS,
    LEARNED,
    OCCLUSION,
    POSITIVE,
    published,
)
from glassgraph_studies.reproduce.edge_gradients.models import Recipe
from glassgraph_studies.reproduce.edge_gradients.scenes import (
    DATASETS,
    GENERATED,
    KINDS,
    Scene,
    make_scenes,
)

LAYERS = (1, 2, 3, 4, 5)
#: Edges of one scene up to which the sign is followed for each edge alone.
_ALONE = 5_000


@dataclass(frozen=True)
class Outcome:
    """What one network's explanations say.

    Attributes:
        scene: the network and its predictions.
        row: plain numbers, see `run_edge_gradients`.
        runs: explanations with one score for each edge, by name.
        similarities: of one score for each edge, and of one for each edge and layer.
    """

    scene: Scene
    row: dict[str, Any]
    runs: Mapping[str, Explanations]
    similarities: tuple[Similarity, Similarity]

    @property
    def title(self) -> str:
        """Which network."""
        scene = self.scene
        return f"{scene.dataset}, {scene.model}, layers {scene.layers}, seed {scene.seed}"


def run_edge_gradients(
    datasets: Sequence[str] | None = None,
    models: Sequence[str] | None = None,
    layers: Sequence[int] = LAYERS,
    seeds: Sequence[int] = (0,),
    *,
    root: Path | str | None = None,
    instances: int | None = None,
    explainer_epochs: int | None = None,
    recipe: Recipe | None = None,
    progress: bool = True,
    **sizes: Any,
) -> Iterator[Outcome]:
    """Train the networks, explain some of their predictions, compare.

    Args:
        datasets: names of `scenes.DATASETS`; None for all whose files are there.
        models: ``"gcn"``, ``"gat"``, ``"gin"``, ``"sgc"``; None for all. Generated data have
            networks of their own.
        layers: numbers of layers of these networks.
        seeds: each draws data, split and instances, and trains networks anew.
        root: the folder above those of the files.
        instances: the most predictions to explain for each network.
        explainer_epochs: steps of GNNExplainer; the published 100 if None.
        recipe: how networks are trained, in the place of each data set's own.
        progress: show progress bars.
        **sizes: arguments of generated data sets.

    Yields:
        For each network ``{dataset, model, layers, seed, instances, edges, accuracy, epochs,
        gnn_explainer, edge, layer, flips_together, flips_alone, gap, reverse, published,
        train_seconds, explain_seconds}``. ``edge`` and ``layer`` hold ``names``, ``cosine``
        (means), ``std`` and ``defined`` (for how many predictions); ``flips_*`` a share, None where
        edges are too many to follow one at a time; ``gap`` and ``reverse`` None where they do not
        apply.

    Raises:
        DatasetError: if there is no such data set, or its files are missing.
        HyperParameterError: if there is no such network, or layers are not positive.
    """
    if datasets is None:
        datasets = GENERATED if root is None else DATASETS
    for name in datasets:
        if name not in DATASETS:
            raise DatasetError(f"unknown data set {name!r}; there are {', '.join(DATASETS)}")
    known = {kind for kinds in KINDS.values() for kind in kinds}
    for model in models or ():
        if model not in known:
            raise HyperParameterError(f"unknown network {model!r}; there are {sorted(known)}")
    asked = [kind for name in datasets for kind in KINDS.get(name, (None,))]
    if models and None not in asked and not set(models) & set(asked):
        raise HyperParameterError(
            f"no network to explain: {', '.join(datasets)} with {', '.join(models)}"
        )
    if not layers or min(layers) < 1:
        raise HyperParameterError(f"layers must be positive numbers; got {list(layers)}")
    for seed in seeds:
        for name in datasets:
            start = time.perf_counter()
            scenes = make_scenes(
                name,
                models,
                layers,
                seed,
                root,
                instances,
                recipe,
                progress=progress,
                **(sizes if name in GENERATED else {}),
            )
            for scene in scenes:
                if explainer_epochs is not None:
                    settings = {**scene.gnn_explainer, "epochs": explainer_epochs}
                    scene = replace(scene, gnn_explainer=settings)
                yield measure(scene, time.perf_counter() - start)
                start = time.perf_counter()


def measure(scene: Scene, train_seconds: float = 0.0) -> Outcome:
    """Explain a scene's predictions with every method and compare them."""
    start = time.perf_counter()
    runs = {
        GRADIENTS: _explain(scene, "edge_gradients"),
        POSITIVE: _explain(scene, "positive_gradients", epsilon=scene.epsilon),
        LEARNED: _explain(scene, "gnn_explainer", **scene.gnn_explainer),
        OCCLUSION: _explain(scene, "occlusion", layerwise=True),
    }
    by_layer = {
        **runs,
        LEARNED: _explain(scene, "gnn_explainer", layerwise=True, **scene.gnn_explainer),
    }
    if scene.model == "gat":
        runs[ATTENTION] = _explain(scene, "attention")
    edge = compare_all(runs, seed=scene.seed)
    layer = compare_all(by_layer, level="layer", seed=scene.seed)
    num_edges = int(edge.pair(GRADIENTS, GRADIENTS).entries.sum())
    row = {
        "dataset": scene.dataset,
        "model": scene.model,
        "layers": scene.layers,
        "seed": scene.seed,
        "instances": len(scene.index),
        "edges": num_edges,
        "accuracy": scene.network.accuracy["test"],
        "epochs": scene.network.epochs,
        "gnn_explainer": dict(scene.gnn_explainer),
        "edge": _plain(edge),
        "layer": _plain(layer),
        "flips_together": _flips(scene, "together"),
        "flips_alone": _flips(scene, "alone") if num_edges <= _ALONE else None,
        "gap": _gap(runs[GRADIENTS], runs[OCCLUSION]) if scene.is_linear else None,
        "reverse": _reverse(scene, runs) if scene.dataset == "negative-evidence" else None,
        "published": dict(published(scene.dataset, scene.model, scene.layers)),
        "train_seconds": train_seconds,
        "explain_seconds": time.perf_counter() - start,
    }
    return Outcome(scene, row, runs, (edge, layer))


def _explain(scene: Scene, method: str, target: Any = None, **settings: Any) -> Explanations:
    explainer = make_explainer(method, scene.network.model, scene.task, **scene.shared, **settings)
    return explainer.explain(scene.data, scene.index, target)


def _plain(similarity: Similarity) -> dict[str, Any]:
    """Mean cosines, their spread, and how many predictions they are over."""
    names = list(similarity.names)
    found = [[similarity.pair(a, b).moments("cosine") for b in names] for a in names]
    return {"names": names} | {
        title: [[each[key] if each["defined"] else None for each in row] for row in found]
        for title, key in (("cosine", "mean"), ("std", "std"), ("defined", "defined"))
    }


def _flips(scene: Scene, path: Any) -> float | None:
    found = gradient_signs(
        scene.network.model,
        scene.data,
        scene.task,
        scene.index,
        path=path,
        epsilon=scene.epsilon,
        **scene.shared,
    )
    return found.share if int(found.num_signed.sum()) else None


def _gap(gradients: Explanations, occlusion: Explanations) -> float:
    largest = 0.0
    for position in range(len(gradients)):
        one, other = (each.local(position).layer_edge_score for each in (gradients, occlusion))
        assert one is not None
        assert other is not None
        if one.numel():
            largest = max(largest, float((one - other).abs().max()))
    return largest


def _reverse(scene: Scene, runs: Mapping[str, Explanations]) -> float:
    """Mean cosine of GNNExplainer for the prediction, less that for the other class."""
    target = torch.tensor([runs[LEARNED].local(i).target for i in range(len(scene.index))])
    other = _explain(scene, "gnn_explainer", 1 - target, **scene.gnn_explainer)
    found = []
    for position in range(len(target)):
        plus, minus, signed = (
            run.local(position).edge_score for run in (runs[LEARNED], other, runs[GRADIENTS])
        )
        assert plus is not None
        assert minus is not None
        assert signed is not None
        found.append(float(functional.cosine_similarity(plus - minus, signed, dim=0)))
    return sum(found) / len(found)
