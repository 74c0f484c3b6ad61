"""Walks of a `WalkGraph` by relevance: listed, searched for, and summed over sets of nodes."""
