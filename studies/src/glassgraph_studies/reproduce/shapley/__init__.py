"""Shapley values of edges on Cora, by GNNShap's protocol."""
