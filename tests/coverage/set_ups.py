"""Every convolution of PyG that can be built here, with its usual options, as two-layer models.

One list, read by the tests and by the table in ``docs/coverage.md``. ``layers`` and ``sites`` are
written by hand from the layers' own formulas: how many message-passing steps the model takes, and
how many message calls it makes on the way.
"""

from __future__ import annotations

import torch_geometric.nn as pyg
from torch import nn

from tests.coverage import literal
from tests.coverage.models import (
    EDGE_FEATURES,
    NODE_TYPES,
    RELATIONS,
    SPACE,
    WIDTH,
    TappedBackwards,
    TappedSum,
    with_batch,
    with_history,
    with_normal,
    with_position,
    with_signs,
    with_start,
)
from tests.coverage.set_up import NodeNorm, gps, mlp, pna, row, used_twice

W, D, HALF = WIDTH, EDGE_FEATURES, WIDTH // 2

_STEPS = "its recurrence takes a step for every message, of zeros too"
_DENSE = "the aggregation pads every neighborhood to the longest one of the graph"
_GLOBAL = "every node attends to every other"

SPECTRAL = [
    row("GCNConv", pyg.GCNConv),
    row("GCNConv, self-loops in the input", pyg.GCNConv, options="loops"),
    row("GCNConv, edge weights", pyg.GCNConv, "edge_weight"),
    row("GCNConv, edge weights and self-loops", pyg.GCNConv, "edge_weight", "loops"),
    row("GCNConv, improved", lambda: pyg.GCNConv(W, W, improved=True)),
    row("GCNConv, not normalized", lambda: pyg.GCNConv(W, W, normalize=False), options="loops"),
    row("GCNConv, cached", lambda: pyg.GCNConv(W, W, cached=True)),
    row("GCNConv, target_to_source", lambda: pyg.GCNConv(W, W, flow="target_to_source")),
    row("GCNConv, decomposed_layers=2", lambda: pyg.GCNConv(W, W, decomposed_layers=2)),
    row("GCNConv, EdgeIndex input", pyg.GCNConv, options="edge_index"),
    row(
        "ChebConv, K=3",
        lambda: pyg.ChebConv(W, W, K=3),
        layers=4,
        sites=4,
    ),
    row(
        "ChebConv, edge weights and self-loops",
        lambda: pyg.ChebConv(W, W, K=2, normalization="rw"),
        "edge_weight",
        "loops",
    ),
    row("TAGConv, K=2", lambda: pyg.TAGConv(W, W, K=2), layers=4, sites=4),
    row(
        "ARMAConv, 2 stacks of 2 layers",
        lambda: pyg.ARMAConv(W, W, num_stacks=2, num_layers=2),
        layers=4,
        sites=4,
    ),
    row("SGConv, K=2", lambda: pyg.SGConv(W, W, K=2), layers=4, sites=4),
    row("SGConv, cached", lambda: pyg.SGConv(W, W, K=2, cached=True), layers=4, sites=4),
    row("SSGConv, K=2", lambda: pyg.SSGConv(W, W, alpha=0.2, K=2), layers=4, sites=4),
    row("SSGConv, cached", lambda: pyg.SSGConv(W, W, alpha=0.2, cached=True)),
    row("APPNP, K=3", lambda: pyg.APPNP(K=3, alpha=0.1), layers=6, sites=6),
    row("APPNP, dropout", lambda: pyg.APPNP(K=2, alpha=0.1, dropout=0.5), layers=4, sites=4),
    row("APPNP, cached", lambda: pyg.APPNP(K=2, alpha=0.1, cached=True), layers=4, sites=4),
    row(
        "APPNP, decomposed_layers=3",
        lambda: pyg.APPNP(K=2, alpha=0.1, decomposed_layers=3),
        layers=4,
        sites=4,
    ),
    row("GCN2Conv", lambda n: pyg.GCN2Conv(W, 0.3, 0.5, n + 1), style=with_start),
    row(
        "GCN2Conv, cached, two weights",
        lambda: pyg.GCN2Conv(W, 0.3, shared_weights=False, cached=True),
        style=with_start,
    ),
    row("ClusterGCNConv", lambda: pyg.ClusterGCNConv(W, W, diag_lambda=0.3)),
    row("ClusterGCNConv, self-loops in the input", pyg.ClusterGCNConv, options="loops"),
    row("LEConv", pyg.LEConv, "edge_weight"),
    row("LGConv", lambda: pyg.LGConv(), "edge_weight"),
    row("EGConv", lambda: pyg.EGConv(W, W, num_heads=2, num_bases=2)),
    row(
        "EGConv, sum, max, std",
        lambda: pyg.EGConv(W, W, ["sum", "max", "std"], num_heads=2, num_bases=2),
        options="loops",
    ),
    row("EGConv, cached", lambda: pyg.EGConv(W, W, num_heads=2, num_bases=2, cached=True)),
    row("PDNConv", lambda: pyg.PDNConv(W, W, edge_dim=D, hidden_channels=7), "edge_attr"),
    row("MixHopConv", lambda: pyg.MixHopConv(W, 2, [0, 1, 2]), layers=4, sites=4),
    row(
        "MixHopConv, edge weights and self-loops",
        lambda: pyg.MixHopConv(W, 3, [1, 3]),
        "edge_weight",
        "loops",
        layers=6,
        sites=6,
    ),
]

AGGREGATING = [
    row("SimpleConv", lambda: pyg.SimpleConv(aggr="mean", combine_root="sum")),
    row(
        "SimpleConv, edge weights, appended loops",
        lambda: pyg.SimpleConv(aggr="sum", combine_root="self_loop"),
        "edge_weight",
        "loops",
    ),
    row("SAGEConv", pyg.SAGEConv),
    row("SAGEConv, normalized, projected", lambda: pyg.SAGEConv(W, W, "sum", True, project=True)),
    row("SAGEConv, max", lambda: pyg.SAGEConv(W, W, aggr="max")),
    row(
        "SAGEConv, lstm",
        lambda: pyg.SAGEConv(W, W, aggr="lstm"),
        options="sorted",
        whole=_DENSE,
        counts=_STEPS,
    ),
    row(
        "SAGEConv, gru",
        lambda: pyg.SAGEConv(W, W, aggr=pyg.aggr.GRUAggregation(W, W)),
        options="sorted",
        whole=_DENSE,
        counts=_STEPS,
        is_bitwise=False,  # on some processors the recurrence differs in the last bit
    ),
    row("SAGEConv, mean, max and std", lambda: pyg.SAGEConv(W, W, aggr=["mean", "max", "std"])),
    row(
        "SAGEConv, median",
        lambda: pyg.SAGEConv(W, W, aggr="median"),
        whole="PyG's quantiles fail where the first node receives nothing",
    ),
    row("SAGEConv, softmax", lambda: pyg.SAGEConv(W, W, aggr="softmax"), options="loops"),
    row("SAGEConv, target_to_source", lambda: pyg.SAGEConv(W, W, flow="target_to_source")),
    row("SAGEConv, EdgeIndex input", pyg.SAGEConv, options="edge_index"),
    row("GraphConv", pyg.GraphConv),
    row("GraphConv, edge weights, max", lambda: pyg.GraphConv(W, W, "max"), "edge_weight"),
    row("GINConv", lambda: pyg.GINConv(mlp(W), train_eps=True)),
    row("GINEConv", lambda: pyg.GINEConv(mlp(W), edge_dim=D), "edge_attr"),
    row("MFConv", lambda: pyg.MFConv(W, W, max_degree=3), counts="weights are chosen by degree"),
    row("PNAConv", lambda: pna()),
    row("PNAConv, edge features, 2 towers", lambda: pna(edge_dim=D, towers=2), "edge_attr"),
    row("GENConv", lambda: pyg.GENConv(W, W, learn_t=True)),
    row(
        "GENConv, edge features, powermean",
        lambda: pyg.GENConv(W, W, "powermean", learn_p=True, num_layers=1, edge_dim=D),
        "edge_attr",
    ),
    row("EdgeConv", lambda: pyg.EdgeConv(mlp(2 * W))),
    row("EdgeConv, self-loops in the input", lambda: pyg.EdgeConv(mlp(2 * W)), options="loops"),
    row("GatedGraphConv", lambda: pyg.GatedGraphConv(W, num_layers=2), layers=4, sites=4),
    row(
        "GatedGraphConv, edge weights",
        lambda: pyg.GatedGraphConv(W, num_layers=1),
        "edge_weight",
    ),
    row("ResGatedGraphConv", pyg.ResGatedGraphConv),
    row(
        "ResGatedGraphConv, edge features",
        lambda: pyg.ResGatedGraphConv(W, W, edge_dim=D),
        "edge_attr",
    ),
    row("NNConv", lambda: pyg.NNConv(W, W, nn.Linear(D, W * W), "mean"), "edge_attr"),
    row("CGConv", lambda: pyg.CGConv(W)),
    row("CGConv, edge features", lambda: pyg.CGConv(W, D, batch_norm=True), "edge_attr"),
    row("WLConvContinuous", lambda: pyg.WLConvContinuous(), "edge_weight"),
]

ATTENTION = [
    row("GATConv", lambda: pyg.GATConv(W, HALF, heads=2)),
    row("GATConv, self-loops in the input", lambda: pyg.GATConv(W, HALF, 2), options="loops"),
    row("GATConv, edge features", lambda: pyg.GATConv(W, HALF, 2, edge_dim=D), "edge_attr"),
    row(
        "GATConv, edge features and self-loops",
        lambda: pyg.GATConv(W, HALF, 2, edge_dim=D, residual=True),
        "edge_attr",
        "loops",
    ),
    row("GATConv, averaged heads", lambda: pyg.GATConv(W, W, 3, False, add_self_loops=False)),
    row("GATv2Conv", lambda: pyg.GATv2Conv(W, HALF, heads=2)),
    row(
        "GATv2Conv, edge features and self-loops",
        lambda: pyg.GATv2Conv(W, HALF, 2, edge_dim=D, share_weights=True),
        "edge_attr",
        "loops",
    ),
    row("TransformerConv", lambda: pyg.TransformerConv(W, HALF, heads=2)),
    row(
        "TransformerConv, edge features, beta",
        lambda: pyg.TransformerConv(W, HALF, 2, beta=True, edge_dim=D),
        "edge_attr",
    ),
    row("AGNNConv", lambda: pyg.AGNNConv()),
    row("SuperGATConv, MX", lambda: pyg.SuperGATConv(W, HALF, heads=2)),
    row("SuperGATConv, SD", lambda: pyg.SuperGATConv(W, HALF, 2, attention_type="SD")),
    row("FAConv", lambda: pyg.FAConv(W), style=with_start),
    row("FAConv, cached", lambda: pyg.FAConv(W, cached=True), options="loops", style=with_start),
    row("FeaStConv", lambda: pyg.FeaStConv(W, W, heads=2)),
    row("FeaStConv, self-loops in the input", lambda: pyg.FeaStConv(W, W, 2), options="loops"),
    row("DNAConv", lambda: pyg.DNAConv(W, heads=2, groups=1), style=with_history),
    row(
        "DNAConv, cached",
        lambda: pyg.DNAConv(W, heads=1, groups=2, cached=True),
        style=with_history,
    ),
    row("GeneralConv", lambda: pyg.GeneralConv(W, W)),
    row(
        "GeneralConv, attention, edge features",
        lambda: pyg.GeneralConv(W, W, D, heads=2, attention=True, l2_normalize=True),
        "edge_attr",
    ),
]

RELATIONAL = [
    row(
        "RGCNConv",
        lambda: pyg.RGCNConv(W, W, RELATIONS),
        "edge_type",
        sites=2 * RELATIONS,
        carries=literal.by_relation,
    ),
    row(
        "RGCNConv, bases",
        lambda: pyg.RGCNConv(W, W, RELATIONS, num_bases=2),
        "edge_type",
        sites=2 * RELATIONS,
        carries=literal.by_relation,
    ),
    row(
        "RGCNConv, blocks, self-loops",
        lambda: pyg.RGCNConv(W, W, RELATIONS, num_blocks=2, aggr="max"),
        "edge_type",
        "loops",
        sites=2 * RELATIONS,
        carries=literal.by_relation,
    ),
    row(
        "FastRGCNConv",
        lambda: pyg.FastRGCNConv(W, W, RELATIONS),
        "edge_type",
        carries=literal.by_position,
    ),
    row(
        "FastRGCNConv, bases, add, self-loops",
        lambda: pyg.FastRGCNConv(W, W, RELATIONS, num_bases=2, aggr="add"),
        "edge_type",
        "loops",
        carries=literal.by_position,
    ),
    row(
        "RGATConv",
        lambda: pyg.RGATConv(W, HALF, RELATIONS, heads=2),
        "edge_type",
        carries=literal.by_position,
    ),
    row(
        "RGATConv, edge features, within relations",
        lambda: pyg.RGATConv(
            W,
            HALF,
            RELATIONS,
            num_bases=2,
            heads=2,
            mod="additive",
            attention_mechanism="within-relation",
            edge_dim=D,
        ),
        "edge_type edge_attr",
        carries=literal.by_position,
    ),
    row("FiLMConv", pyg.FiLMConv),
    row(
        "FiLMConv, several relations",
        lambda: pyg.FiLMConv(W, W, RELATIONS),
        "edge_type",
        sites=2 * RELATIONS,
        carries=literal.by_relation,
    ),
    row(
        "HEATConv",
        lambda: pyg.HEATConv(W, HALF, NODE_TYPES, RELATIONS, 3, D, 5, heads=2),
        "node_type edge_type edge_attr",
        carries=literal.by_position,
    ),
    row(
        "SignedConv",
        lambda n: pyg.SignedConv(HALF if n else W, HALF, first_aggr=n == 0),
        "sign",
        "simple",
        style=with_signs,
        sites=2 + 4,
        carries=literal.by_sign,
    ),
    row(
        "SignedConv, parallel edges",
        lambda n: pyg.SignedConv(HALF if n else W, HALF, first_aggr=n == 0),
        "sign",
        style=with_signs,
        sites=2 + 4,
        carries=literal.by_sign,
    ),
]

GEOMETRIC = [
    row(
        "PointNetConv",
        lambda: pyg.PointNetConv(mlp(W + SPACE, 7), mlp(7)),
        "pos",
        style=with_position,
    ),
    row(
        "PointNetConv, self-loops in the input",
        lambda: pyg.PointNetConv(mlp(W + SPACE), add_self_loops=False),
        "pos",
        "loops",
        style=with_position,
    ),
    row("PPFConv", lambda: pyg.PPFConv(mlp(W + 4)), "pos normal", style=with_normal),
    row(
        "PointTransformerConv",
        lambda: pyg.PointTransformerConv(W, W),
        "pos",
        "loops",
        style=with_position,
    ),
    row(
        "PointGNNConv",
        lambda: pyg.PointGNNConv(mlp(W, SPACE), mlp(W + SPACE), mlp(W)),
        "pos",
        style=with_position,
    ),
    row("GMMConv", lambda: pyg.GMMConv(W, W, D, kernel_size=2), "edge_attr"),
    row(
        "GMMConv, separate Gaussians",
        lambda: pyg.GMMConv(W, W, D, 2, separate_gaussians=True),
        "edge_attr",
        "loops",
    ),
    row(
        "HypergraphConv",
        lambda: pyg.HypergraphConv(W, W),
        options="hyper",
        carries=literal.there_and_back,
        layers=4,
        sites=4,
    ),
    row(
        "HypergraphConv, attention",
        lambda: pyg.HypergraphConv(W, HALF, use_attention=True, heads=2),
        "hyperedge_attr",
        "hyper",
        carries=literal.there_and_back,
        layers=4,
        sites=4,
        whole="the features of hyperedges cannot be cut along with nodes",
    ),
    row(
        "MeshCNNConv",
        lambda: pyg.MeshCNNConv(W, W),
        options="mesh",
        carries=literal.by_position,
        whole="every node needs its four neighbors in order",
        rounding=1e-4,  # the layer itself works in float32
    ),
]

WRAPPERS = [
    row(
        "DirGNNConv of SAGEConv",
        lambda: pyg.DirGNNConv(pyg.SAGEConv(W, W)),
        carries=literal.out_is_backwards,
        sites=4,
    ),
    row(
        "DirGNNConv of GATConv",
        lambda: pyg.DirGNNConv(pyg.GATConv(W, W, 2, False, add_self_loops=False), alpha=0.3),
        carries=literal.out_is_backwards,
        sites=4,
    ),
    row(
        "DirGNNConv of GCNConv",
        lambda: pyg.DirGNNConv(pyg.GCNConv(W, W), root_weight=False),
        options="loops",
        carries=literal.out_is_backwards,
        sites=4,
    ),
    row("AntiSymmetricConv", lambda: pyg.AntiSymmetricConv(W, num_iters=2), layers=4, sites=4),
    row(
        "AntiSymmetricConv of GATConv",
        lambda: pyg.AntiSymmetricConv(W, pyg.GATConv(W, W, edge_dim=D)),
        "edge_attr",
    ),
    row("GPSConv of GCNConv", lambda: gps(pyg.GCNConv(W, W)), whole=_GLOBAL),
    row(
        "GPSConv of GINEConv, graphs side by side",
        lambda: gps(pyg.GINEConv(mlp(W), edge_dim=D)),
        "edge_attr batch",
        "batch",
        style=with_batch,
        whole=_GLOBAL,
    ),
]

MIXED = [
    row(
        "GCNConv, then GATConv",
        lambda n: (pyg.GATConv if n else pyg.GCNConv)(W, W),
        options="loops",
    ),
    row("GINConv, then SAGEConv", lambda n: pyg.SAGEConv(W, W) if n else pyg.GINConv(mlp(W))),
    row("one GCNConv used twice", used_twice(pyg.GCNConv)),
    row(
        "GCNConv, graphs side by side",
        pyg.GCNConv,
        options="batch",
    ),
    row(
        "GCNConv and GraphNorm, graphs side by side",
        pyg.GCNConv,
        options="batch",
        model=lambda: {"norm": pyg.GraphNorm(W)},
        whole="the normalization runs over whole graphs",
    ),
    row(
        "GCNConv and LayerNorm",
        pyg.GCNConv,
        model=lambda: {"norm": NodeNorm()},
    ),
    row(
        "GINConv, graph task",
        lambda: pyg.GINConv(mlp(W)),
        options="graphs",
        model=lambda: {"pools": True},
        level="graph",
    ),
    row(
        "GATConv and GraphNorm, graph task",
        lambda: pyg.GATConv(W, HALF, 2),
        options="graphs",
        model=lambda: {"pools": True, "norm": pyg.GraphNorm(W)},
        level="graph",
    ),
    row(
        "GPSConv, graph task",
        lambda: gps(pyg.GCNConv(W, W)),
        "batch",
        "graphs",
        style=with_batch,
        model=lambda: {"pools": True},
        level="graph",
    ),
    row("own layer with a MessageTap", lambda: TappedSum(), "edge_weight"),
    row("own layer with a MessageTap, loops", lambda: TappedSum(), options="loops"),
    row(
        "own layer, two heads, backwards",
        lambda: TappedBackwards(),
        carries=literal.against_the_edges,
    ),
    row("own layer, then GCNConv", lambda n: pyg.GCNConv(W, W) if n else TappedSum()),
]

SET_UPS = [
    *SPECTRAL,
    *AGGREGATING,
    *ATTENTION,
    *RELATIONAL,
    *GEOMETRIC,
    *WRAPPERS,
    *MIXED,
]
