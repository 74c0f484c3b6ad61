"""ZORRO's greedy search on one instance, as a generator: it asks for evaluations and is told.

A search asks what the model says of some masks, each with some samples of noise, and goes on when
it is told. So any number of searches can be evaluated side by side (see `Zorro`).
"""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from glassgraph.explainers.perturbation.search.answers import Answers
from glassgraph.explainers.perturbation.search.contest import Contest
from glassgraph.explainers.perturbation.search.masked_inputs import Ask, Found, Mask, Scene

#: Asks, is told of each input whether the model says the same, and returns instance and findings.
Search = Generator[Ask, Tensor, tuple[int, list[Found]]]


def search(
    scene: Scene, tau: float, greediness: int | None, depth: int, max_size: int | None
) -> Search:
    """Find the explanations of an instance, the best-placed first; see `Zorro`.

    The first is always there, empty where noise alone reaches `tau`.
    """
    everything = Mask(scene.candidates, torch.ones_like(scene.x[0], dtype=torch.bool))
    found: list[Found] = []
    waiting, met = [(everything, depth)], list[Mask]()
    while waiting:
        possible, levels = waiting.pop(0)
        if any(possible.is_equal(other) for other in met):
            continue
        met.append(possible)
        if found and (yield from _says(scene, possible)).double().mean() < tau:
            continue
        explanation = yield from _find(scene, possible, tau, greediness, max_size)
        found.append(explanation)
        if levels > 1 and explanation.steps:
            for less in possible.without(explanation):
                waiting.append((less, levels - 1))
    return scene.instance, found


def _find(
    scene: Scene, possible: Mask, tau: float, greediness: int | None, max_size: int | None
) -> Generator[Ask, Tensor, Found]:
    """The greedy search among some nodes and features."""
    mask = Mask(torch.zeros_like(possible.nodes), torch.zeros_like(possible.features))
    says = yield from _says(scene, mask)
    lists = [
        Contest(scene, mask, possible, node, feature, says) for node, feature in possible.entries()
    ]
    best = Found(mask.nodes, mask.features, float(says.double().mean()), [])
    steps: list[tuple[int, int, float]] = []
    answers = Answers(scene)
    while best.fidelity < tau and (max_size is None or mask.size < max_size):
        contenders = yield from _contenders(lists, mask, greediness if steps else 1)
        node, feature = contenders
        if not node.numel():
            break
        across = mask.or_all_of(possible)
        contest = Contest(scene, mask, across, node, feature, says, answers)
        winner = int((yield from contest.top(1)))
        entry = int(node[winner]), int(feature[winner])
        before, mask = mask, mask.with_entry(*entry)
        answers.forget(before, mask)
        says = contest.says(winner) if steps else says  # a single entry keeps nothing
        steps.append((*entry, float(says.double().mean())))
        if steps[-1][2] > best.fidelity:
            best = Found(mask.nodes, mask.features, steps[-1][2], list(steps))
    return best


def _contenders(
    lists: list[Contest], mask: Mask, tried: int | None
) -> Generator[Ask, Tensor, Tensor]:
    """Features and nodes ``[2, k]`` that are tried next; while one side is empty, of that side.

    Args:
        lists: all nodes, and all features, in the order of what each is worth alone.
        mask: what is kept already.
        tried: how many of each; None for all.
    """
    nodes, features = lists
    has_nodes, has_features = bool(mask.nodes.any()), bool(mask.features.any())
    found = []
    if has_nodes or not has_features:
        found.append((yield from features.first(tried, mask)))
    if has_features or not has_nodes:
        found.append((yield from nodes.first(tried, mask)))
    return torch.cat(found, dim=1)


def _says(scene: Scene, mask: Mask) -> Generator[Ask, Tensor, Tensor]:
    """Of which samples ``[S]`` the model says the same under a mask."""
    everywhere = torch.arange(scene.noise.size(0), device=scene.x.device)
    none = torch.full_like(everywhere, -1)
    return (yield Ask(scene, mask, mask, none, none, everywhere))
