"""Glassgraph's methods as algorithms of ``torch_geometric.explain``."""
