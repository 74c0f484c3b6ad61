"""Searches for sets of edges, subgraphs, and masks: what they evaluate, and how they go on."""
