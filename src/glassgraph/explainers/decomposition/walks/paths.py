"""Fast searches for walks, by dynamic programming from the score downwards.

All are approximations for nodes (the relevance of a walk is a product of matrices, and the best
beginning of a product is not the beginning of the best one):

* ``"longest"`` keeps for each node and layer the ends of walks that carry most of what arrives at
  the node, with their exact vectors; its scores are exact relevances of the walks it finds. He,
  Rafiey, Mishne and Wang, "Explaining GNN Explanations with Edge Gradients" (KDD 2025,
  https://arxiv.org/abs/2508.01048) keep one.
* ``"amp_ave"`` gives each step what arrives at its sender times the block of the message, averaged
  over what it turns into, and a path the *sum* of its steps. As in the code of He et al., after
  AMP-ave of Xiong et al. (ICML 2023, https://proceedings.mlr.press/v202/xiong23b.html).
* ``"emp_neu"`` takes walks apart into products of numbers, for which the search is exact, and
  forgets which numbers they were (`neurons`).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from glassgraph.explainers.decomposition.walks.halves import last_halves, prepend
from glassgraph.explainers.decomposition.walks.lists import Walks, ranked
from glassgraph.explainers.decomposition.walks.neurons import best_neuron_walks
from glassgraph.relevance.walks import WalkGraph
from glassgraph.results import paths
from glassgraph.results.paths import Moves, best_of_each

FastSearch = Literal["longest", "amp_ave", "emp_neu"]


def promising_walks(walks: WalkGraph, search: FastSearch, k: int) -> Tensor:
    """Walks ``[W, L + 1]`` of large relevance that a fast search finds, each once.

    Args:
        walks: the walk graph.
        search: see the module.
        k: how many are searched for in each instance.
    """
    if search == "longest":
        return longest_paths(walks, k, by_size=False).node
    if search == "amp_ave":
        return average_paths(walks, k).node
    found: Tensor = torch.unique(best_neuron_walks(walks, k).node, dim=0)
    return found


def longest_paths(walks: WalkGraph, k: int, *, by_size: bool) -> Walks:
    """The ``"longest"`` search.

    Args:
        walks: the walk graph.
        k: how many, of each instance and of each node on the way.
        by_size: the largest absolute scores; otherwise the largest scores.
    """
    arriving = walks.arriving()
    ends = last_halves(walks)
    for position in reversed(range(walks.num_layers)):
        ends = prepend(walks, ends, position)
        score = (arriving[position][ends.node] * ends.vector).sum(1)
        value = score.abs() if by_size else score
        last = position == 0
        group = walks.node_instance[ends.node] if last else ends.node
        kept = best_of_each(group, value, k)
        if last:
            return ranked(walks, ends.trail[kept], score[kept], by_size=by_size)
        ends = ends.take(kept)
    raise AssertionError("a walk graph has layers")  # pragma: no cover


def average_paths(walks: WalkGraph, k: int) -> Walks:
    """The ``"amp_ave"`` search; scores are sums of steps.

    Args:
        walks: the walk graph.
        k: how many, of each instance.
    """
    everywhere = torch.ones_like(walks.is_end)
    moves = average_moves(walks)
    found = paths.best_paths(moves, walks.node_instance, everywhere, walks.is_end, k)
    return Walks(walks.node_instance[found.node[:, 0]], found.node, found.score)


def average_moves(walks: WalkGraph) -> list[Moves]:
    """Score of each step of a walk for ``"amp_ave"``."""
    arriving, found = walks.arriving(), []
    for position, layer in enumerate(walks.layers):
        source, destination = walks.pairs[position]
        key = destination * walks.num_nodes + source
        score = walks.start.new_zeros(source.numel())
        into = _own_columns(walks, position + 1)
        for step in layer.steps:
            taken = arriving[position][:, step.columns][step.sender]
            mean = step.block[:, :, into].mean(2)
            pair = torch.searchsorted(key, step.receiver * walks.num_nodes + step.sender)
            score.index_add_(0, pair, (taken * mean).sum(1))
        kept = torch.isin(layer.stay[1], into)
        staying = arriving[position][:, layer.stay[0][kept]].sum(1) / max(1, into.numel())
        score += torch.where(source == destination, staying[source], 0.0)
        found.append(Moves(source, destination, score))
    return found


def _own_columns(walks: WalkGraph, position: int) -> Tensor:
    """The columns that the next layer sends; behind the last one, the score."""
    columns = torch.arange(walks.widths[position], device=walks.start.device)
    if position == walks.num_layers:
        return columns
    return torch.cat([columns[step.columns] for step in walks.layers[position].steps])
