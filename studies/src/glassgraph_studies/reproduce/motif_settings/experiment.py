"""Which settings of a method give scores that the model agrees with? GNNExplainer's are searched.

Named settings (`NAMED`), and of GNNExplainer drawn ones (`SPACE`), explain data sets and models of
seeds that no table reports; a method that learns first is fitted on the other half. They are judged
by the model: *robust fidelity* (Zheng et al., "Towards Robust Fidelity for
Evaluating Explainability of Graph Neural Networks", ICLR 2024), with ``S`` the best edges at a
sparsity,

    delta = E f(S + E_0.9(G - S)) - E f(G - E_0.1(S))

``E_a(H)`` keeps (removes) each undirected edge of ``H`` with probability a; means over
`SPARSITIES`. What keeps the prediction belongs into ``S``, so a high delta is good. The areas stand
beside it, and defaults are *not* chosen by them: an area says where a motif was planted, and not
whether the model looks at it.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from glassgraph.errors import DatasetError, UnknownMethodError
from glassgraph.explainers.amortized import AmortizedExplainer
from glassgraph.explainers.registry import make_explainer
from glassgraph.metrics import fidelity
from glassgraph.metrics.robust import robust_fidelity
from glassgraph.words import nearest
from glassgraph_studies.planted import DATASETS, evenly, with_files
from glassgraph_studies.reproduce.motif_settings.judged import NAMED, SPACE
from glassgraph_studies.reproduce.motifs.areas import motif_areas
from glassgraph_studies.reproduce.motifs.experiment import Scene

SPARSITIES = (0.7, 0.9)
#: What settings are compared by.
KEYS = ("robust_delta", "auc")


def drawn_settings(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Settings, each value drawn evenly from `SPACE`; more of them begin with the same ones."""
    generator = random.Random(seed)
    return [
        {name: generator.choice(values) for name, values in SPACE.items()} for _ in range(count)
    ]


def run_search(
    datasets: Sequence[str] | None = None,
    data_seeds: Sequence[int] = (100, 101),
    *,
    method: str = "gnn_explainer",
    draws: int = 24,
    instances: int = 15,
    root: Path | str | None = None,
    progress: bool = True,
) -> Iterator[dict[str, Any]]:
    """Judge settings, and methods that have none, on models of other seeds.

    Args:
        datasets: names of `DATASETS`; None for all whose files are there.
        data_seeds: of the data, the model and the halves.
        method: whose settings, a key of `NAMED`.
        draws: random settings of GNNExplainer.
        instances: predictions that are explained, of the second half.
        root: folder of the raw files of the molecules, or the folder above.
        progress: show progress bars.

    Yields:
        Rows ``{dataset, data_seed, name, method, settings, robust_delta, fidelity_plus,
        fidelity_minus, auc, auc_own, seconds}``; ``name`` is a word or the number of a draw.

    Raises:
        DatasetError: if there is no such data set, or its files are missing.
        UnknownMethodError: for a method without named settings.
    """
    if method not in NAMED:
        raise UnknownMethodError(
            f"there are no settings of {method!r} to judge{nearest(method, NAMED)}"
        )
    names = with_files(DATASETS, root) if datasets is None else datasets
    if unknown := sorted(set(names) - set(DATASETS)):
        raise DatasetError(f"{unknown[0]!r} has no motifs; there are {', '.join(DATASETS)}")
    settings = dict(NAMED[method])
    if method == "gnn_explainer":
        settings |= {str(n): each for n, each in enumerate(drawn_settings(draws))}
    entries = [(method, name, each) for name, each in settings.items()]
    entries += [(other, other, {}) for other in ("saliency", "occlusion", "random")]
    for data_seed in data_seeds:
        for dataset in names:
            scene = Scene.make(dataset, data_seed, root, progress=progress)
            for asked, name, chosen in entries:
                yield {
                    "dataset": dataset,
                    "data_seed": data_seed,
                    "name": name,
                    **judge(scene, asked, chosen, instances),
                }


def judge(scene: Scene, method: str, settings: Mapping[str, Any], instances: int) -> dict[str, Any]:
    """What the model, and the planted motifs, say of one setting."""
    model, level = scene.trained.model, scene.dataset.level
    explainer = make_explainer(method, model, level, progress=False, **settings)
    start = time.perf_counter()
    if isinstance(explainer, AmortizedExplainer) and explainer.needs_fit:
        explainer.fit(scene.data, scene.fitted)
    explanations = explainer.explain(scene.data, evenly(scene.explained, instances))
    seconds = time.perf_counter() - start
    robust = robust_fidelity(explanations, model, scene.data, sparsity=SPARSITIES)
    plain = fidelity(explanations, model, scene.data, sparsity=SPARSITIES)
    auc, own = motif_areas(explanations, scene.dataset)
    return {
        "method": method,
        "settings": dict(settings),
        "robust_delta": statistics.fmean(
            each.estimate.value for each in robust if each.metric == "robust_fidelity_delta"
        ),
        "fidelity_plus": float(plain.plus_prob.mean()),
        "fidelity_minus": float(plain.minus_prob.mean()),
        "auc": auc,
        "auc_own": own,
        "seconds": seconds,
    }


def ranked(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Settings by how far they come from random scores to the best ones, the best first.

    Deltas of data sets have different sizes. So each is read as a share of the way from `random` to
    the best of that data set and seed, and shares are averaged.
    """
    by_scene: dict[tuple[str, int], dict[str, float]] = {}
    for row in rows:
        scene = by_scene.setdefault((row["dataset"], row["data_seed"]), {})
        scene[row["name"]] = row["robust_delta"]
    first = {row["name"]: row for row in reversed(rows)}
    found = []
    for name, row in first.items():
        shares = {
            key: (scene[name] - scene["random"]) / (max(scene.values()) - scene["random"])
            for key, scene in by_scene.items()
            if name in scene and max(scene.values()) > scene["random"]
        }
        own = [each for each in rows if each["name"] == name]
        found.append(
            {
                "name": name,
                "settings": row["settings"],
                "share": statistics.fmean(shares.values()) if shares else None,
                "least": min(shares.values()) if shares else None,
                "auc": statistics.fmean(each["auc"] for each in own),
                "seconds": statistics.fmean(each["seconds"] for each in own),
            }
        )
    return sorted(found, key=lambda row: row["share"] or 0.0, reverse=True)


def best_of_each(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The settings with the highest mean over seeds, by delta and by area."""
    found: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for row in rows:
        if row["method"] in NAMED:
            found.setdefault(row["dataset"], {}).setdefault(row["name"], []).append(row)
    best = []
    for by in ("robust_delta", "auc"):
        for dataset, entries in found.items():
            means = {
                name: {key: statistics.fmean(row[key] for row in own) for key in KEYS}
                for name, own in entries.items()
            }
            name = max(means, key=lambda each: means[each][by])
            settings = entries[name][0]["settings"]
            best.append(
                {"dataset": dataset, "by": by, "name": name, "settings": settings, **means[name]}
            )
    return best
