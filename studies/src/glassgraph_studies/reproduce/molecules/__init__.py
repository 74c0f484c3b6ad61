"""Molecules with a substructure to find, and who finds its atoms."""
