"""What does a role labeler read off the dependency tree? The first study of the GraphMask paper.

Schlichtkrull, De Cao and Titov, "Interpreting Graph Neural Networks for NLP With Differentiable
Edge Masking" (ICLR 2021, https://arxiv.org/abs/2010.00577), section 6 and appendices I to L, on
English PropBank over Universal Dependencies trees (`propbank`) instead of CoNLL-2009. For each of
two labelers (`models`), in this order:

``labeler``
    F1 on the test part, and how long training took.
``tolerance``
    GraphMask is fitted once for each seed, which gives solutions for many tolerances. With the
    first seed the largest is taken with which F1 falls by no more than the labeler's margin on
    predicates of the validation part; the smallest if it always falls by more.
``graphmask``
    for each seed: F1 on the test part with the messages that GraphMask keeps, the others replaced
    by its baselines, and the share that is kept.
``shares`` (Table 5)
    F1 with a random share of the kept messages. Beside it the original labeler without as many of
    the kept messages, and without as many of those that were shut (of each sentence as many).
``kappa``
    Fleiss' kappa over seeds, by layer.
``relation`` (Figure 8), ``path`` (Table 3), ``distance`` (Figure 4)
    which dependency types are kept, and how much of the way from a predicate to its roles; seed 0.
``soft``
    the network's own gates as an explanation: F1 without the messages whose gate lies below mean
    minus standard deviation, and with the most open ones, as many as GraphMask keeps.
``method``
    other methods on some test predicates: their best messages, in each sentence as many as
    GraphMask keeps there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.diagnose import fleiss_kappa
from glassgraph.errors import UnknownMethodError, WeightsError
from glassgraph.explainers.perturbation.graphmask import GraphMask
from glassgraph.explainers.registry import make_explainer
from glassgraph.results.explanation import Explanations
from glassgraph_studies.reproduce.srl import paths
from glassgraph_studies.reproduce.srl.masked import MaskedRuns
from glassgraph_studies.reproduce.srl.messages import (
    best_as_many,
    layer_scores,
    random_as_many,
    random_part,
    shares_by_relation,
)
from glassgraph_studies.reproduce.srl.propbank import Corpus
from glassgraph_studies.reproduce.srl.scene import TASK, Parts, Scene
from glassgraph_studies.reproduce.srl.settings import LABELERS, METHODS, SHARES, SMALL, Settings
from glassgraph_studies.reproduce.srl.training import count_roles, pack

#: Seeds for which Table 5 is made; kappa takes all of them.
_SHOWN = 3


@dataclass(frozen=True)
class Outcome:
    """What one step found.

    Attributes:
        rows: measurements; ``row["table"]`` says of what.
        scene: the labeler.
        explanations: GraphMask's of the test sentences with the first seed, where the step made
            them.
    """

    rows: list[dict[str, Any]]
    scene: Scene
    explanations: Explanations | None = None


@dataclass(frozen=True)
class Masked:
    """What a fitted GraphMask keeps of some graphs.

    Attributes:
        explainer: GraphMask.
        runs: the labeler on these graphs with messages shut.
        explanations: of these graphs.
        kept: ``[L, E]`` which messages are kept.
    """

    explainer: GraphMask
    runs: MaskedRuns
    explanations: Explanations
    kept: Tensor

    @staticmethod
    def of(explainer: GraphMask, graphs: Sequence[Data]) -> Masked:
        """Explain graphs."""
        explanations = explainer.explain(graphs)
        num_edges = sum(graph.num_edges for graph in graphs)
        score = layer_scores(explanations, num_edges, explanations.num_layers)
        kept = score > (explanations.threshold or 0.0)
        return Masked(explainer, MaskedRuns(explainer, graphs, explanations), explanations, kept)

    @property
    def share(self) -> float:
        """Of all messages, how many are kept."""
        return float(self.kept.double().mean())

    def as_row(self, before: float) -> dict[str, Any]:
        """Faithfulness and sparsity, beside the F1 before."""
        (f1,) = self.runs.f1([self.kept])
        return {
            "f1": f1,
            "before": before,
            "change": f1 - before,
            "kept": self.share,
            "by_layer": self.kept.double().mean(dim=1).tolist(),
            "divergence": self.explainer.outcome["divergence"],
        }


def run_srl(
    root: Path | str,
    models: Sequence[str] | None = None,
    seeds: Sequence[int] = range(5),
    cache: Path | None = None,
    small: bool = False,
    settings: Settings | None = None,
    progress: bool = True,
) -> Iterator[Outcome]:
    """Run everything; see above.

    Args:
        root: the folder that holds ``srl_ewt_propbank`` and ``glove_small``.
        models: names of `LABELERS`; all if None.
        seeds: of GraphMask.
        cache: a folder for trained labelers and fitted GraphMasks, read where they are there.
        small: everything tiny, to see that it runs.
        settings: how large everything is, instead of `Settings` or `SMALL`.
        progress: show progress bars.

    Yields:
        An outcome for each step.

    Raises:
        DatasetError: if a file is missing or malformed.
        WeightsError: if the cache holds another labeler, or another fit.
        UnknownMethodError: if a model has no such name.
    """
    chosen = list(LABELERS) if models is None else list(models)
    for name in chosen:
        if name not in LABELERS:
            raise UnknownMethodError(f"there is no {name!r}; there are {', '.join(LABELERS)}")
    settings = settings or (SMALL if small else Settings())
    parts = Parts.of(Corpus.read(root, settings.sentences), settings)
    for name in chosen:
        scene = Scene.make(name, parts, settings, cache, progress=progress)
        for outcome in _steps(scene, list(seeds), progress=progress):
            for row in outcome.rows:
                row["model"] = name
            yield outcome


def _steps(scene: Scene, seeds: Sequence[int], *, progress: bool) -> Iterator[Outcome]:
    before = count_roles(scene.model, scene.parts.test).f1
    yield Outcome([_labeler_row(scene, before)], scene)
    tolerance, masks = None, []
    shown: dict[int, Masked] = {}
    for seed in seeds:
        explainer, times = fit(scene, seed, progress=progress)
        if tolerance is None:
            rows, tolerance = choose_tolerance(scene, explainer)
            yield Outcome(rows, scene)
        masked = Masked.of(explainer.choose(tolerance), scene.parts.test)
        masks.append(masked.kept)
        if len(shown) < _SHOWN:
            shown[seed] = masked
        about = {"table": "graphmask", "seed": seed, "tolerance": tolerance}
        yield Outcome([{**about, **times, **masked.as_row(before)}], scene, masked.explanations)
    if len(masks) > 1:
        yield Outcome(list(kappa_rows(masks)), scene)
    for place, (seed, masked) in enumerate(shown.items()):
        if place == 0:
            yield Outcome(list(relation_rows(scene, masked.explanations)), scene)
            yield Outcome(list(path_rows(scene, masked.kept, seed)), scene)
            yield Outcome(list(share_rows(scene, masked, seed)), scene)
            yield Outcome(list(soft_rows(scene, masked, before)), scene)
            yield Outcome(list(method_rows(scene, masked, progress=progress)), scene)
        else:
            yield Outcome(list(share_rows(scene, masked, seed)), scene)


def fit(scene: Scene, seed: int, *, progress: bool) -> tuple[GraphMask, dict[str, float]]:
    """GraphMask, fitted on training predicates or read from the cache, and the seconds of a fit.

    Raises:
        WeightsError: if the cache holds one that was fitted with other settings.
        ExplainerFileError: if it holds one of another labeler.
    """
    settings, parts = scene.settings, scene.parts
    explainer = GraphMask(
        scene.model,
        TASK,
        tolerance=settings.fit_tolerance,
        steps=settings.steps,
        batch_size=settings.batch_size,
        seed=seed,
        progress=progress,
    )
    path = scene.cached(f"graphmask-{seed}")
    if path is not None and path.is_file():
        found = GraphMask.load(path, scene.model, progress=progress)
        if (found.hyper_parameters, found.seed) != (explainer.hyper_parameters, seed):
            raise WeightsError(
                f"{path} was fitted with {found.hyper_parameters}, which is not "
                f"{explainer.hyper_parameters}; remove it, or give another folder"
            )
        return found, {}
    start, cpu_start = time.perf_counter(), time.process_time()
    first = len(parts.fitted)
    explainer.fit(
        [*parts.fitted, *parts.held_back],
        range(first),
        validation=range(first, first + len(parts.held_back)),
    )
    times = {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu_start,
    }
    if path is not None:
        explainer.save(path)
    return explainer, times


def _labeler_row(scene: Scene, f1: float) -> dict[str, Any]:
    parts = scene.parts
    return {
        "table": "labeler",
        "f1": f1,
        "validation_f1": count_roles(scene.model, parts.validation).f1,
        "train_seconds": scene.trained.seconds,
        "train_cpu_seconds": scene.trained.cpu_seconds,
        "history": scene.trained.history,
        "predicates": [len(part) for part in (parts.train, parts.validation, parts.test)],
        "left_out": dict(parts.corpus.left_out),
    }


def choose_tolerance(scene: Scene, fitted: GraphMask) -> tuple[list[dict[str, Any]], float]:
    """Which point of a fitted GraphMask's curve to take, chosen on the validation part.

    Returns:
        A row for each tolerance that was tried, and the one that is chosen.
    """
    graphs = scene.parts.choosing
    before = count_roles(scene.model, graphs).f1
    rows: list[dict[str, Any]] = []
    for tolerance in sorted(scene.settings.tolerances, reverse=True):
        found = Masked.of(fitted.choose(tolerance), graphs).as_row(before)
        rows.append({"table": "tolerance", "tolerance": tolerance, **found})
        if found["change"] >= -scene.labeler.margin:
            break  # a smaller one keeps more
    rows = [
        {**row, "predicates": len(graphs), "is_chosen": row["tolerance"] == tolerance}
        for row in rows
    ]
    return rows, tolerance


def share_rows(scene: Scene, masked: Masked, seed: int) -> Iterator[dict[str, Any]]:
    """Table 5: F1 with random shares of what is kept, and the original without as many."""
    generator = torch.Generator().manual_seed(seed)
    masks = []
    for share in SHARES:
        left = random_part(masked.kept, share, generator)
        dropped = masked.kept & ~left
        shut = random_as_many(~masked.kept, dropped, scene.table.graph, generator)
        masks += [left, ~dropped, ~shut]
    found = iter(masked.runs.f1(masks))
    for share in SHARES:
        yield {
            "table": "shares",
            "seed": seed,
            "share": share,
            "open": share * masked.share,
            "masked": next(found),
            "without_kept": next(found),
            "without_shut": next(found),
        }


def kappa_rows(masks: Sequence[Tensor]) -> Iterator[dict[str, Any]]:
    """Agreement of seeds ``[L, E]``, by layer and over all."""
    found = torch.stack(list(masks))
    layers = [*enumerate(found.unbind(dim=1)), ("all", found.flatten(1))]
    for layer, each in layers:
        yield {
            "table": "kappa",
            "layer": layer,
            "kappa": fleiss_kappa(each),
            "seeds": len(masks),
            "kept": float(each.double().mean()),
        }


def relation_rows(scene: Scene, explanations: Explanations) -> Iterator[dict[str, Any]]:
    """Figure 8."""
    for row in shares_by_relation(scene.table, explanations):
        yield {"table": "relation", **row}


def path_rows(scene: Scene, kept: Tensor, seed: int) -> Iterator[dict[str, Any]]:
    """Table 3 and Figure 4, and what they were if as many messages of a sentence were random."""
    generator = torch.Generator().manual_seed(seed)
    by_chance = random_as_many(torch.ones_like(kept), kept, scene.table.graph, generator)
    found, drawn = (list(paths.role_paths(scene.parts.test, each)) for each in (kept, by_chance))
    for table, count in (("path", paths.by_length), ("distance", paths.by_distance)):
        groups = zip(count(found, scene.table.kind), count(drawn, scene.table.kind), strict=True)
        for row, other in groups:
            random = {f"random_{key}": other[key] for key in row if key.startswith("kept")}
            yield {"table": table, **row, **random}


def soft_rows(scene: Scene, masked: Masked, before: float) -> Iterator[dict[str, Any]]:
    """The network's own gates as an explanation."""
    gates = _all_gates(scene)
    mean, std = float(gates.mean()), float(gates.std())
    number = int(masked.kept.sum())
    most_open = torch.zeros(gates.numel(), dtype=torch.bool)
    most_open[gates.flatten().argsort(descending=True)[:number]] = True
    masks = {
        "above mean - sd": gates >= mean - std,
        "as many as GraphMask": most_open.view_as(gates),
        "GraphMask": masked.kept,
    }
    f1 = _both(masked.runs, masks)
    for name, mask in masks.items():
        yield {
            "table": "soft",
            "what": name,
            "mean": mean,
            "std": std,
            "kept": float(mask.double().mean()),
            "before": before,
            **f1[name],
        }


def _both(runs: MaskedRuns, masks: Mapping[str, Tensor]) -> dict[str, dict[str, float]]:
    """F1 with what is shut replaced by zeros, and by GraphMask's baselines."""
    given = list(masks.values())
    zero, baseline = runs.f1(given, baselines=False), runs.f1(given)
    return {
        name: {"f1_zero": zero[place], "f1_baseline": baseline[place]}
        for place, name in enumerate(masks)
    }


def _all_gates(scene: Scene) -> Tensor:
    """``[L, E]`` of all test sentences."""
    found = []
    for first in range(0, len(scene.parts.test), 100):
        given = pack(scene.parts.test[first : first + 100])
        found.append(scene.model.soft_gates(**given))
    return torch.cat(found, dim=1)


def method_rows(scene: Scene, masked: Masked, *, progress: bool) -> Iterator[dict[str, Any]]:
    """Other methods at the share that GraphMask keeps, on some test predicates."""
    number = len(scene.parts.test)
    some = min(scene.settings.compared, number)
    chosen = torch.linspace(0, number - 1, some).round().long().unique().tolist()
    graphs = [scene.parts.test[each] for each in chosen]
    own = Masked.of(masked.explainer, graphs)
    everything = torch.ones_like(own.kept)
    graph = torch.repeat_interleave(torch.tensor([each.num_edges for each in graphs]))
    kept, seconds = {"graphmask": own.kept}, {"graphmask": 0.0}
    for name, method in METHODS.items():
        explainer = make_explainer(name, scene.model, TASK, progress=progress, **method.settings)
        start = time.perf_counter()
        score = layer_scores(explainer.explain(graphs), graph.numel(), len(own.kept))
        seconds[name] = time.perf_counter() - start
        kept[name] = best_as_many(score, everything, own.kept, graph)
    masks = {"everything": everything, **kept, "nothing": ~everything}
    f1 = _both(own.runs, masks)
    for name, mask in masks.items():
        yield {
            "table": "method",
            "method": name,
            "predicates": len(graphs),
            "kept": float(mask.double().mean()),
            **f1[name],
            "seconds": seconds.get(name),
        }
