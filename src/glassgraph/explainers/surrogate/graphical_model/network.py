"""Bayesian networks over the Markov blanket of a prediction, learned with pgmpy."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import MissingExtraError
from glassgraph.inputs.receptive import expand, pointer_of
from glassgraph.results.records import Table


def learn_networks(batch: InstanceBatch, code: Tensor, is_in: Tensor, rank: Tensor) -> list[Tensor]:
    """For each instance its edges ``[2, k]``: rows of nodes counted from its first; -1 for it.

    Args:
        batch: the instances.
        code: ``[n, R]`` samples of the nodes.
        is_in: ``[n]`` which nodes are in the Markov blanket; all of them are its parents.
        rank: ``[n]`` place of each node in its instance by p.
    """
    count, is_node = batch.nodes_per_instance, batch.task.level == "node"
    pointer = pointer_of(count)
    found = []
    for instance in range(batch.num_instances):
        own, _ = expand(pointer, torch.tensor([instance], device=batch.device))
        members = own[is_in[own]]
        members = members[rank[members].argsort()]
        pairs = torch.tensor(learn_edges(code[members]), device=own.device).long().view(-1, 2).t()
        first = pointer[instance]
        child = batch.fields.seed[instance] - first if is_node else own.new_full((1,), -1)
        local = members - first
        direct = torch.stack([local, child.expand_as(local)])
        found.append(torch.cat([local[pairs], direct], dim=1))
    return found


def network_table(batch: InstanceBatch, edges: list[Tensor]) -> Table:
    """The edges of all networks, from those of each instance."""
    count = batch.nodes_per_instance
    first = count.cumsum(0) - count
    size = torch.tensor([each.size(1) for each in edges], device=batch.device)
    instance = torch.repeat_interleave(size)
    flat = torch.cat(edges, dim=1)
    flat = torch.where(flat < 0, flat, flat + first[instance])
    return Table(instance, {"parent": flat[0], "child": flat[1]}, {})


def learn_edges(code: Tensor) -> list[tuple[int, int]]:
    """Pairs (parent, child) of a network that hill climbing with BIC finds.

    Args:
        code: ``[k, R]`` samples of k variables. Where both directions of an edge score the same,
            the order of the variables decides.

    Raises:
        MissingExtraError: if pgmpy is not installed.
    """
    if code.size(0) < 2:
        return []
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the names that pgmpy is about to drop
        try:
            from pgmpy.causal_discovery import HillClimbSearch
        except ImportError as error:
            raise MissingExtraError(
                "networks are learned with pgmpy: pip install glassgraph[bayes]"
            ) from error
        # Names are numbers: pgmpy walks through sets of names, and those of words have any order.
        samples = pd.DataFrame({n: pd.Categorical(row) for n, row in enumerate(code.tolist())})
        search = HillClimbSearch(scoring_method="bic-d", return_type="dag", show_progress=False)
        found = search.fit(samples).causal_graph_.edges()
    return sorted((int(parent), int(child)) for parent, child in found)
