"""Graphs on disk: larger than memory, and shared by all processes of a machine."""

from glassgraph.data.store import GraphStore as GraphStore

__all__ = ["GraphStore"]
