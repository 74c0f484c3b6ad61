"""Molecules with benzene rings."""
