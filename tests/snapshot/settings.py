"""The methods of the snapshot, and hyper-parameters that keep them short.

A name is that of the registry, or that and a variant: ``graphmask``, ``graphmask, free``. The
snapshot does not ask for good explanations; where a default would hide scores (a ReLU at the end, a
tolerance that a handful of steps cannot meet) it is set otherwise.
"""

from __future__ import annotations

from typing import Any

_GRAPHMASK: dict[str, Any] = {"steps": 5, "tolerance": 1e9, "max_changed": 1.0}
_SUBGRAPHX: dict[str, Any] = {
    "graded": True,
    "max_nodes": 2,
    "rollouts": 3,
    "expand_atoms": 5,
    "samples": 3,
    "depth": 7,
}

#: Methods that explain predictions.
METHODS: dict[str, dict[str, Any]] = {
    "random": {},
    "attention": {},
    "saliency": {},
    "guided_backprop": {},
    "edge_gradients": {},
    "positive_gradients": {},
    "integrated_gradients": {"steps": 7},
    "cam": {"relu": False},
    "grad_cam": {"relu": False},
    "occlusion": {},
    "occlusion, layerwise": {"layerwise": True},
    "erasure_search": {"exact_up_to": 5, "keep_effect": 0.8, "share": 0.5},
    "causal_screening": {"budget": 7},
    "subgraphx": _SUBGRAPHX,
    "subgraphx, split": {**_SUBGRAPHX, "subgraph_building": "split"},
    "shapley_edges": {"exact_up_to": 3, "samples": 260},
    "shapley_nodes": {"exact_up_to": 3, "samples": 260, "myerson": True},
    "gnn_explainer": {"epochs": 3},
    "gnn_explainer, layerwise": {"epochs": 3, "layerwise": True},
    "graphmask": _GRAPHMASK,
    "graphmask, free": {**_GRAPHMASK, "amortized": False},
    "information_bottleneck": {"steps": 5, "tolerance": 1e9},
    "page_link": {"epochs": 3, "k_core": 0},
    "pg_explainer": {"epochs": 3, "learning_rate": 0.01},
    "rc_explainer": {"epochs": 3, "learning_rate": 0.01},
    "lrp": {},
    "gnn_lrp": {"walks": 7},
    "excitation_backprop": {"negative": "allow"},
    "pgm_explainer": {"num_samples": 29, "min_drop": 0.01},
    "relex": {"num_samples": 13, "mask_epochs": 3, "layers": 2, "hidden": 5, "least_r2": None},
    "zorro": {"samples": 7, "tau": 1.0, "tolerance": 0.3},
    "graph_lime": {},
}

#: Methods that explain a model.
MODEL_METHODS: dict[str, dict[str, Any]] = {
    "gnn_interpreter": {"iterations": 2, "steps": 3, "restarts": 2, "samples": 2},
    "xgnn": {"iterations": 2, "episodes": 3, "num_rollouts": 2, "max_steps": 5},
}

NAMES: tuple[str, ...] = (*METHODS, *MODEL_METHODS)


def registry_name(name: str) -> str:
    """The method that a name of the snapshot stands for."""
    return name.partition(", ")[0]
