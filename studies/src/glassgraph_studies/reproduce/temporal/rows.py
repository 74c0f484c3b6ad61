"""Rows of the study: methods, and the navigators of one of them."""

from __future__ import annotations

#: In the order of the table; behind a comma stands the navigator, where it is not the fitted one.
ROWS = (
    *("perturb_one", "occlusion", "edge_gradients", "integrated_gradients", "saliency"),
    *("input_x_gradient", "t_gnn_explainer", "t_gnn_explainer, edge_gradients"),
    *("t_gnn_explainer, no navigator", "recency", "random"),
)
