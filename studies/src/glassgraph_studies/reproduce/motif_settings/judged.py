"""What is judged of methods on the motif sets: named settings, and what a search draws from."""

from __future__ import annotations

from typing import Any

from glassgraph_studies.reference.gnn_explainer import PYG

_NEAR = {"init_mean": 1.0, "edge_entropy": 0.0, "feature_mask": "attributes", "epochs": 100}
_GNN_EXPLAINER: dict[str, dict[str, Any]] = {
    "default": {},
    "pyg": dict(PYG),
    "pyg, no entropy": {**PYG, "edge_entropy": 0.0},
    "authors": {**PYG, "learning_rate": 0.1, "init_mean": 1.0, "feature_mask": "common_attributes"},
    "rate 0.03, size 0.05": {**_NEAR, "learning_rate": 0.03, "edge_size": 0.05},
    "rate 0.1, size 0.05": {**_NEAR, "learning_rate": 0.1, "edge_size": 0.05},
    "rate 0.1, size 0.05, 300": {
        **_NEAR,
        "learning_rate": 0.1,
        "edge_size": 0.05,
        "epochs": 300,
    },
    "rate 0.1, size 0.2": {**_NEAR, "learning_rate": 0.1, "edge_size": 0.2},
    "rate 0.1, size 0.2, edges": {
        **_NEAR,
        "learning_rate": 0.1,
        "edge_size": 0.2,
        "feature_mask": "none",
    },
}
#: As the survey suite has it: the default's budget takes minutes for a data set.
_SUBGRAPHX = {"rollouts": 5, "samples": 20}
_BOTTLENECK = {"steps": 500}
#: Settings that are judged, by method. Those of GNNExplainer stand beside drawn ones: what there
#: was, and steps around the best draws; those of the others are steps around the default.
NAMED: dict[str, dict[str, dict[str, Any]]] = {
    "gnn_explainer": _GNN_EXPLAINER,
    "pg_explainer": {
        "default": {},
        "size 0.005": {"size": 0.005},
        "size 0.5": {"size": 0.5},
        "start 5": {"start": 5.0},
        "start 10": {"start": 10.0},
        "rate 0.01": {"learning_rate": 0.01},
        "100 epochs": {"epochs": 100},
        "rate 0.01, start 5": {"learning_rate": 0.01, "start": 5.0},
        "rate 0.01, start 5, size 0.5": {"learning_rate": 0.01, "start": 5.0, "size": 0.5},
        "no noise": {"noise_bias": 0.5},
        "entropy 1": {"entropy": 1.0},
        "4 restarts": {"restarts": 4},
    },
    "pgm_explainer": {
        "default": {},
        "zero": {"perturbation": "zero"},
        "mean": {"perturbation": "mean"},
        "scale": {"perturbation": "scale"},
        "uniform": {"perturbation": "uniform"},
        "400 samples": {"num_samples": 400},
        "zero, 400 samples": {"perturbation": "zero", "num_samples": 400},
        "zero, 400 samples, p 0.2": {
            "perturbation": "zero",
            "num_samples": 400,
            "perturb_probability": 0.2,
        },
    },
    "relex": {
        "default": {},
        "gumbel": {"mask": "gumbel"},
        "size 0.1": {"size": 0.1},
        "keep 0.7": {"keep": 0.7},
        "size 0.1, keep 0.7": {"size": 0.1, "keep": 0.7},
        "400 subgraphs": {"num_samples": 400},
        "600 epochs": {"epochs": 600},
    },
    "subgraphx": {
        "0 and 1": _SUBGRAPHX,
        "graded": {**_SUBGRAPHX, "graded": True},
        "graded, split": {**_SUBGRAPHX, "graded": True, "subgraph_building": "split"},
    },
    "information_bottleneck": {
        "gate": _BOTTLENECK,
        "information": {**_BOTTLENECK, "score": "information"},
        "weight": {**_BOTTLENECK, "constraint": "weight"},
        "weight, information": {**_BOTTLENECK, "constraint": "weight", "score": "information"},
        "tolerance 0.1": {**_BOTTLENECK, "tolerance": 0.1},
        "rate 0.005": {**_BOTTLENECK, "learning_rate": 0.005},
    },
}
#: What the search of GNNExplainer draws from; values that stand twice are drawn twice as often.
SPACE: dict[str, tuple[Any, ...]] = {
    "init_mean": (0.0, 1.0, 3.0),
    "learning_rate": (0.01, 0.03, 0.1),
    "epochs": (100, 100, 300),
    "edge_size": (0.005, 0.02, 0.05, 0.2),
    "edge_entropy": (0.0, 0.0, 0.1, 1.0),
    "feature_mask": ("none", "none", "attributes"),
}
