"""PyG's settings of GNNExplainer, for studies beside PyG's, or beside papers that took it.

They are `GNNExplainer.pyg_settings`, in a module that imports nothing: declarations read it.
"""

from __future__ import annotations

PYG: dict[str, float] = {
    "epochs": 100,
    "learning_rate": 0.01,
    "edge_size": 0.005,
    "edge_entropy": 1.0,
    "init_mean": 0.0,
}
