"""Graphs that are generated for a class, as in XGNN's paper."""
