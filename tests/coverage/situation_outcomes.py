"""What is expected of `tests.coverage.situations`: outcomes, each with its methods.

``*`` stands for all methods that are not named. To write it anew:
``python -m tests.coverage.situations`` prints what is found. What begins with ``raw``, or says
``other``, is a defect.
"""

from __future__ import annotations

OUTCOMES: dict[str, dict[str, list[str]]] = {
    "takes the data object, as `batch`": {"right": ["*"]},
    "replaces `data.x`": {"right": ["*"]},
    "writes into its features in place": {"right": ["*"]},
    "replaces a buffer": {"right": ["*"]},
    "counts its calls, and answers by them": {
        "explained, FallbackWarning, UnstableModelWarning": ["*"],
        "UnsupportedModelError": ["cf2", "cf_gnn_explainer", "smallest_counterfactual"],
    },
    "is random: dropout is always on": {
        "explained, FallbackWarning, UnstableModelWarning": ["*"],
        "UnsupportedModelError": ["cf2", "cf_gnn_explainer", "smallest_counterfactual"],
        "explained, FallbackWarning, UnreachedWarning, UnstableModelWarning": ["zorro"],
    },
    "scatters by hand, beside layers": {
        "UnseenMessagesError": ["*"],
        "right, FallbackWarning": ["attention", "random"],
        "right": [
            "causal_screening",
            "graph_lime",
            "pgm_explainer",
            "relex",
            "shapley_edges",
            "shapley_nodes",
            "smallest_counterfactual",
            "subgraphx",
            "zorro",
        ],
    },
    "checkpoints a layer": {"right": ["*"]},
    "runs under `torch.autocast`": {"explained": ["*"]},
    "is compiled (`torch.compile`)": {
        "right, CompiledModelWarning": ["*"],
        "right": [
            "causal_screening",
            "graph_lime",
            "pgm_explainer",
            "relex",
            "shapley_edges",
            "shapley_nodes",
            "smallest_counterfactual",
            "subgraphx",
            "zorro",
        ],
    },
    "is scripted (`torch.jit.script`)": {
        "NoMessagePassingError": ["*"],
        "right": [
            "causal_screening",
            "graph_lime",
            "pgm_explainer",
            "relex",
            "shapley_edges",
            "shapley_nodes",
            "smallest_counterfactual",
            "subgraphx",
        ],
        "right, ConstantScoresWarning": ["zorro"],
    },
    "is traced (`torch.jit.trace`)": {
        "NoMessagePassingError": ["*"],
        "right": [
            "causal_screening",
            "graph_lime",
            "pgm_explainer",
            "relex",
            "shapley_edges",
            "shapley_nodes",
            "smallest_counterfactual",
            "subgraphx",
            "zorro",
        ],
    },
    "detaches its output": {
        "NoGradientError": ["*"],
        "right": [
            "attention",
            "causal_screening",
            "erasure_search",
            "graph_lime",
            "occlusion",
            "pgm_explainer",
            "random",
            "relex",
            "shapley_edges",
            "shapley_nodes",
            "smallest_counterfactual",
            "subgraphx",
            "zorro",
        ],
    },
    "returns a tuple": {"ModelOutputError": ["*"]},
    "embeds integer features": {
        "explained": ["*"],
        "WalkError": ["gnn_lrp"],
        "UnsupportedModelError": ["graph_lime", "subgraphx"],
        "explained, ConstantScoresWarning": ["zorro"],
    },
    "builds edges of its own": {
        "UnsupportedModelError": ["*"],
        "explained, ConstantScoresWarning, FallbackWarning": [
            "causal_screening",
            "relex",
            "shapley_edges",
            "shapley_nodes",
            "smallest_counterfactual",
        ],
        "explained, FallbackWarning, UnseenWarning": [
            "excitation_backprop",
            "gnn_explainer",
            "grad_cam",
            "guided_backprop",
            "integrated_gradients",
            "lrp",
            "saliency",
        ],
        "WalkError": ["gnn_lrp"],
        "explained, FallbackWarning": [
            "graph_lime",
            "pgm_explainer",
            "random",
            "subgraphx",
            "zorro",
        ],
    },
    "pools nodes by what messages say": {
        "explained, PooledMessagesWarning": ["*"],
        "UnsupportedModelError": ["cam", "grad_cam", "pg_explainer", "rc_explainer"],
        "explained": [
            "causal_screening",
            "pgm_explainer",
            "relex",
            "shapley_edges",
            "shapley_nodes",
            "smallest_counterfactual",
            "subgraphx",
            "zorro",
        ],
        "WalkError": ["gnn_lrp"],
    },
    "pools all nodes": {"explained": ["*"]},
    "returns a row for each node of a graph": {
        "explained": ["*"],
        "UnsupportedModelError": ["cam"],
    },
    "the same behind a recurrent network": {
        "explained": ["*"],
        "UnsupportedModelError": ["cam"],
        "MissingRuleError": ["excitation_backprop", "gnn_lrp", "lrp"],
        "explained, ConstantScoresWarning": ["positive_gradients", "zorro"],
    },
}
