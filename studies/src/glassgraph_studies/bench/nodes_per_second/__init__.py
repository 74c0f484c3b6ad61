"""Nodes of a graph of the size of ogbn-arxiv, explained."""
