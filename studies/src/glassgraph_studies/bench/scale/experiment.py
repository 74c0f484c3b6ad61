"""Large graphs: the cost of an explanation does not depend on the graph around it.

Four measurements, each against the literal way in the same process:

- ``hub``: a Barabasi-Albert graph (N = 10^5, average degree 10), where the ball around a node is
  most of the graph; one forward and backward pass on the trimmed field against one that computes
  every message of the exact 4-hop ball, with identical output.
- ``growth``: one node explained by GNNExplainer on random graphs of average degree 10, N = 10^4 to
  10^6; the index is built once and reported apart; PyG's time per epoch on the largest.
- ``occlusion``: all edges of a receptive field at once against one forward pass per edge on the
  same receptive field.
- ``many``: 1,000 nodes of the 10^6-node graph in one call.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import networkx as nx
import torch
from torch import Tensor
from torch_geometric import explain as pyg
from torch_geometric.data import Data
from torch_geometric.explain.algorithm.utils import set_masks
from torch_geometric.nn import GCN
from torch_geometric.utils import k_hop_subgraph

from glassgraph.calling.protect import protected
from glassgraph.core.batch import InstanceBatch
from glassgraph.datasets import load_dataset
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.gradient.edge_gradients import EdgeGradients
from glassgraph.explainers.perturbation.gnn_explainer import GNNExplainer
from glassgraph.explainers.perturbation.occlusion import Occlusion
from glassgraph.models import reference_model
from glassgraph_studies.timing import peak_megabytes, seconds

STUDIES = ("hub", "growth", "occlusion", "many")
_CHANNELS, _CLASSES, _LAYERS = 16, 4, 3
_BUDGET = 1 << 30


def run_scale_bench(
    studies: Sequence[str] = STUDIES,
    *,
    largest: int = 10**6,
    repeats: int = 5,
    seed: int = 0,
    with_peer: bool = True,
) -> Iterator[dict[str, Any]]:
    """Run some of the studies.

    Args:
        studies: names from `STUDIES`.
        largest: nodes of the largest random graph (the smallest has a hundredth of them).
        repeats: timed calls.
        seed: of graphs and models.
        with_peer: also time PyG's GNNExplainer on the largest graph (minutes, gigabytes).

    Yields:
        One row for each measurement.
    """
    runs: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "hub": lambda: hub(largest // 10, repeats, seed),
        "growth": lambda: growth(largest, repeats, seed, with_peer=with_peer),
        "occlusion": lambda: occlusion(repeats, seed),
        "many": lambda: many(largest, 1000, seed),
    }
    for name in studies:
        for row in runs[name]():
            yield {"study": name, **row, "threads": torch.get_num_threads()}


def random_graph(num_nodes: int, seed: int) -> Data:
    """A directed random graph of average in-degree 10 with Gaussian features."""
    generator = torch.Generator().manual_seed(seed)
    edge_index = torch.randint(0, num_nodes, (2, 10 * num_nodes), generator=generator)
    x = torch.randn(num_nodes, _CHANNELS, generator=generator)
    return Data(x=x, edge_index=edge_index[:, edge_index[0] != edge_index[1]])


def hub_graph(num_nodes: int, seed: int) -> Data:
    """A Barabasi-Albert graph of average degree 10 with Gaussian features."""
    edges = torch.tensor(list(nx.barabasi_albert_graph(num_nodes, 5, seed=seed).edges())).t()
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(num_nodes, _CHANNELS, generator=generator)
    return Data(x=x, edge_index=torch.cat([edges, edges.flip(0)], dim=1))


def _model(seed: int) -> GCN:
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # noqa: TID251 - inside fork_rng
        return GCN(_CHANNELS, _CHANNELS, _LAYERS, _CLASSES).eval()


def _batch(explainer: Explainer, data: Data, node: int) -> InstanceBatch:
    preparation = explainer.prepare(data)
    batches = preparation.batches(preparation.instances([node]), None, _BUDGET)
    return next(batch for _, batch in batches)


def hub(num_nodes: int, repeats: int, seed: int) -> list[dict[str, Any]]:
    """Trimmed fields against every message of the ball, on a graph of hubs."""
    data, model = hub_graph(num_nodes, seed), _model(seed)
    explainer = EdgeGradients(model, progress=False)
    rows = []
    for node in (num_nodes // 20, num_nodes // 2, num_nodes - 1):
        with protected(model):
            batch = _batch(explainer, data, node)
            gates = batch.ones().requires_grad_()
            ours_output = batch.output(gates)

            def ours(batch: InstanceBatch = batch, gates: Tensor = gates) -> None:
                batch.gradients(batch.loss(gates), [gates])

            ball, edge_index, position, _ = k_hop_subgraph(
                node, _LAYERS + 1, data.edge_index, relabel_nodes=True
            )
            literal, literal_output = _every_message(
                model, data.x[ball], edge_index, int(position), int(batch.targets.chosen)
            )
            ours_s = seconds(ours, repeats)
            literal_s = seconds(literal, repeats)
        rows.append(
            {
                "node": node,
                "ball_nodes": ball.numel(),
                "ball_edges": edge_index.size(1),
                "field_nodes": batch.num_nodes,
                "field_edges": batch.num_edges,
                "ours_s_per_epoch": ours_s,
                "literal_s_per_epoch": literal_s,
                "ratio": literal_s / ours_s,
                "max_difference": float((ours_output - literal_output).detach().abs().max()),
            }
        )
    return rows


def _every_message(
    model: GCN, x: Tensor, edge_index: Tensor, position: int, target: int
) -> tuple[Callable[[], None], Tensor]:
    """A pass that masks and computes every message of a ball, by PyG's own means."""
    mask = torch.ones(edge_index.size(1), requires_grad=True)
    model = copy.deepcopy(model)
    set_masks(model, mask, edge_index, apply_sigmoid=False)

    def forward() -> Tensor:
        output: Tensor = model(x, edge_index)
        return output[position : position + 1]

    def run() -> None:
        loss = -forward().log_softmax(dim=-1)[0, target]
        torch.autograd.grad(loss, mask)

    return run, forward()


def growth(
    largest: int, repeats: int, seed: int, *, with_peer: bool, epochs: int = 100
) -> list[dict[str, Any]]:
    """Time and memory of one GNNExplainer explanation as the graph grows."""
    rows: list[dict[str, Any]] = []
    model = _model(seed)
    for num_nodes in (largest // 100, largest // 10, largest):
        data = random_graph(num_nodes, seed)
        explainer = GNNExplainer(model, epochs=epochs, seed=seed, progress=False)
        start = time.perf_counter()
        explainer.prepare(data)
        prepare_s = time.perf_counter() - start
        before = peak_megabytes()
        times, edges = [], []
        for node in range(1 + repeats):
            start = time.perf_counter()
            explanations = explainer.explain(data, index=[node])
            times.append(time.perf_counter() - start)
            edges.append(explanations.local(0).edge_id.numel())
        row = {
            "nodes": num_nodes,
            "edges": data.num_edges,
            "prepare_s": prepare_s,
            "ours_s": statistics.median(times[1:]),
            "ours_s_per_epoch": statistics.median(times[1:]) / epochs,
            "field_edges": statistics.median(edges[1:]),
            "peak_mb_beyond_index": peak_megabytes() - before,
        }
        row["growth"] = row["ours_s"] / rows[0]["ours_s"] if rows else 1.0
        if with_peer and num_nodes == largest:
            row["peer_s_per_epoch"] = _peer_epoch(copy.deepcopy(model), data)
            row["ratio"] = row["peer_s_per_epoch"] / row["ours_s_per_epoch"]
        rows.append(row)
    return rows


def _peer_epoch(model: GCN, data: Data) -> float:
    """Seconds per epoch of PyG's GNNExplainer: three epochs less one, halved."""
    times = []
    for epochs in (1, 3):
        peer = pyg.Explainer(
            copy.deepcopy(model),
            pyg.GNNExplainer(epochs=epochs),
            explanation_type="model",
            node_mask_type="attributes",
            edge_mask_type="object",
            model_config={
                "mode": "multiclass_classification",
                "task_level": "node",
                "return_type": "raw",
            },
        )
        start = time.perf_counter()
        peer(data.x, data.edge_index, index=0)
        times.append(time.perf_counter() - start)
    return (times[1] - times[0]) / 2


def occlusion(repeats: int, seed: int, instances: int = 20) -> list[dict[str, Any]]:
    """All edges at once against one forward pass per edge, on the same receptive fields."""
    rows = []
    for name in ("tree-cycles", "tree-grid", "ba-shapes"):
        dataset = load_dataset(name, seed=seed)
        model = reference_model(dataset, seed=seed, progress=False).model
        data, index = dataset.graphs[0], dataset.explained[:instances]
        explainer = Occlusion(model, "node", progress=False)
        explainer.prepare(data)
        scores = explainer.explain(data, index=index)

        def ours(
            explainer: Explainer = explainer, data: Data = data, index: Tensor = index
        ) -> None:
            explainer.explain(data, index=index)

        literal_s, worst = 0.0, 0.0
        for position, node in enumerate(index.tolist()):
            with protected(model), torch.no_grad():
                batch = _batch(explainer, data, node)
                start = time.perf_counter()
                literal = _edge_by_edge(batch)
                literal_s += time.perf_counter() - start
            ours_scores = scores.local(position).edge_score
            if ours_scores is not None and literal.numel():
                worst = max(worst, float((ours_scores - literal).abs().max()))
        ours_s = seconds(ours, repeats)
        rows.append(
            {
                "dataset": name,
                "instances": index.numel(),
                "ours_s_per_instance": ours_s / index.numel(),
                "literal_s_per_instance": literal_s / index.numel(),
                "ratio": literal_s / ours_s,
                "max_difference": worst,
            }
        )
    return rows


def _edge_by_edge(batch: InstanceBatch) -> Tensor:
    full = batch.score(batch.ones())
    scores = []
    for edge in range(batch.num_edges):
        gates = batch.ones()
        gates[edge] = 0
        scores.append(full - batch.score(gates))
    return torch.cat(scores) if scores else full.new_zeros(0)


def many(num_nodes: int, instances: int, seed: int, epochs: int = 100) -> list[dict[str, Any]]:
    """Many nodes of one large graph in one call, within a memory budget."""
    data, model = random_graph(num_nodes, seed), _model(seed)
    budget = 256 << 20
    explainer = GNNExplainer(model, epochs=epochs, seed=seed, memory_budget=budget, progress=True)
    explainer.prepare(data)
    before = peak_megabytes()
    start = time.perf_counter()
    explanations = explainer.explain(data, index=torch.arange(instances))
    taken = time.perf_counter() - start
    return [
        {
            "nodes": num_nodes,
            "instances": len(explanations),
            "ours_s": taken,
            "ours_s_per_instance": taken / len(explanations),
            "memory_budget_mb": budget / (1 << 20),
            "peak_mb_beyond_index": peak_megabytes() - before,
            "results_mb": sum(part.num_bytes for part in explanations.parts) / (1 << 20),
            "batches": len(explanations.parts),
        }
    ]
