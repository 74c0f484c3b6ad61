"""CF-GNNExplainer on its authors' networks, beside the smallest counterfactuals."""
