"""Times a peer: a call for each prediction, or for each walk."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.models.gnn import GNN
from glassgraph.results.explanation import LocalExplanation
from glassgraph_studies.reference.passes import LITERAL, Scores, walk_relevance
from glassgraph_studies.reference.pgm import pgm_explainer
from glassgraph_studies.reference.pyg import PYG_METHODS, PyGPeer
from glassgraph_studies.reference.relex import LiteralRelEx
from glassgraph_studies.reference.searches import SEARCHES
from glassgraph_studies.timing import now

#: Our methods, and what each is measured beside.
PEERS: dict[str, str] = {
    **dict.fromkeys(PYG_METHODS, "pyg"),
    **dict.fromkeys((*LITERAL, *SEARCHES, "gnn_lrp", "relex"), "literal"),
}
#: Literal versions whose scores of edges are those of ours.
_SAME_EDGES = {*SEARCHES, "relex"}
#: Gamma at the first layer and at the last, spread evenly between them; behind it 0.
GAMMAS = (3.0, 0.0)
#: Calls that are timed, at most; the others are made for their scores alone.
_TIMED_CALLS = 60
#: Instances that the loop of PGM-Explainer is timed on, at most.
_TIMED_LOOPS = 20
#: Walks of each instance that are timed, at most.
_TIMED_WALKS = 60

#: A graph, and the node that is explained; None for the graph.
Instance = tuple[Data, "int | None"]
#: ``peer(graph, node, key)``: the key is the user's number of the prediction, for peers that draw
#: by it.
Peer = Callable[[Data, "int | None", int], Scores]


@dataclass(frozen=True)
class Timed:
    """What a peer took.

    Attributes:
        seconds: for one instance.
        edges: scores of each instance's own edges, None if the peer has none.
        max_difference: the largest difference to our scores of any instance, in parts of the
            instance's largest score; None where both are no versions of one formula.
        columns: what else a row says.
    """

    seconds: float
    edges: list[Tensor] | None
    max_difference: float | None
    columns: dict[str, float] = field(default_factory=dict)


def time_peer(
    method: str,
    model: GNN,
    instances: Sequence[Instance],
    ours: Sequence[LocalExplanation],
    seed: int,
) -> Timed:
    """Explain instances one at a time; the time is the median.

    Args:
        method: one of `PEERS`.
        model: left as it is.
        instances: what to explain.
        ours: our explanations of the same.
        seed: of what the peer draws.
    """
    model = copy.deepcopy(model)
    if method == "gnn_lrp":
        return _time_walks(model.requires_grad_(False), instances, ours)
    peer = _peer(method, model, "graph" if instances[0][1] is None else "node", seed)
    found, times = [], []
    for position, (instance, local) in enumerate(zip(instances, ours, strict=True)):
        torch.manual_seed(seed + position)  # noqa: TID251 - the peer draws globally
        if position == 0:
            peer(*instance, local.index)  # warm up
        start = now()
        scores = peer(*instance, local.index)
        if position < _TIMED_CALLS:
            times.append(now() - start)
        found.append(Scores(**{k: _here(v) for k, v in vars(scores).items()}))
    differences = [
        _difference(method, local, scores) for local, scores in zip(ours, found, strict=True)
    ]
    known = [each for each in differences if each is not None]
    edges = [
        scores.edge[local.edge_id]
        for local, scores in zip(ours, found, strict=True)
        if scores.edge is not None
    ]
    columns = {}
    if method == "pgm_explainer":
        columns["literal_s_per_instance"] = _median_s(model, instances[:_TIMED_LOOPS], seed)
    return Timed(statistics.median(times), edges or None, max(known) if known else None, columns)


def _here(scores: Tensor | None) -> Tensor | None:
    """Scores on the CPU, where ours are."""
    return None if scores is None else scores.cpu()


def _median_s(model: GNN, instances: Sequence[Instance], seed: int) -> float:
    """What the loop of PGM-Explainer takes for an instance."""
    times = []
    torch.manual_seed(seed)  # noqa: TID251 - the loop draws globally
    for graph, node in instances:
        start = now()
        pgm_explainer(model, graph, node)
        times.append(now() - start)
    return statistics.median(times)


def _peer(method: str, model: GNN, level: str, seed: int) -> Peer:
    if PEERS[method] == "pyg":
        pyg = PyGPeer(method, model, level)
        return lambda graph, node, _: pyg(graph, node)
    model.requires_grad_(False)
    if method == "relex":
        return LiteralRelEx(model, seed)
    if method in SEARCHES:
        search = SEARCHES[method]
        return lambda graph, node, key: search(model, graph, node, key)
    literal = LITERAL[method]
    return lambda graph, node, _: literal(model, graph, node)


def _difference(method: str, ours: LocalExplanation, peer: Scores) -> float | None:
    """How far scores are apart that should be equal."""
    if method == "edge_gradients" and peer.edge is not None and ours.edge_score is not None:
        return _relative(ours.edge_score.abs(), peer.edge[ours.edge_id])  # captum's have no sign
    if method == "attention" and peer.edge is not None and ours.edge_score is not None:
        one, other = ours.edge_score, peer.edge[ours.edge_id]
        if ours.seeds.numel():
            # PyG counts weights of layers from which nothing reaches the prediction any more; into
            # the explained node something does at every layer.
            here = ours.node_id[ours.edge_index[1]] == ours.seeds[0]
            one, other = one[here], other[here]
        return _relative(one, other)
    if method in _SAME_EDGES and peer.edge is not None and ours.edge_score is not None:
        return _relative(ours.edge_score, peer.edge[ours.edge_id])
    if peer.node is None or ours.node_score is None:
        return None
    everywhere = torch.zeros_like(peer.node)
    everywhere[ours.node_id] = ours.node_score
    return _relative(everywhere, peer.node)


def _relative(one: Tensor, other: Tensor) -> float:
    if not one.numel():
        return 0.0
    largest = max(float(one.abs().max()), float(other.abs().max()))
    return float((one - other).abs().max()) / largest if largest else 0.0


def _time_walks(
    model: GNN, instances: Sequence[Instance], ours: Sequence[LocalExplanation]
) -> Timed:
    """One pass for each walk: the median of some walks, times the number of all of them."""
    gammas = [*torch.linspace(*GAMMAS, len(model.convs)).tolist(), 0.0]
    num_timed = num_walks = 0
    total = plain = 0.0
    differences = []
    for (graph, node), local in zip(instances, ours, strict=True):
        assert local.walks is not None
        assert local.walk_scores is not None
        count = local.walks.size(0)
        if not count:
            continue
        spread = torch.linspace(0, count - 1, min(count, _TIMED_WALKS)).round().long()
        walks = local.node_id[local.walks[spread]].tolist()
        if not num_timed:
            walk_relevance(model, graph, node, walks[0], gammas)  # warm up
        found, passes = _passes(model, graph, node, walks, gammas)
        total += statistics.median(passes) * count
        plain += statistics.median(_passes(model, graph, node, walks, None)[1]) * count
        num_timed, num_walks = num_timed + len(walks), num_walks + count
        scores, largest = local.walk_scores[spread], float(local.walk_scores.abs().max())
        if largest:
            difference = scores - torch.tensor(found, dtype=scores.dtype)
            differences.append(float(difference.abs().max()) / largest)
    columns = {
        "num_walks": num_walks,
        "literal_walks_timed": num_timed,
        "plain_s_per_instance": plain / len(instances),
    }
    return Timed(total / len(instances), None, max(differences, default=0.0), columns)


def _passes(
    model: GNN,
    graph: Data,
    node: int | None,
    walks: Sequence[Sequence[int]],
    gammas: Sequence[float] | None,
) -> tuple[list[float], list[float]]:
    """Relevance of walks, and the seconds that each took."""
    found, times = [], []
    for walk in walks:
        start = now()
        found.append(walk_relevance(model, graph, node, walk, gammas))
        times.append(now() - start)
    return found, times
