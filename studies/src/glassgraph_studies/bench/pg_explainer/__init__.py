"""PGExplainer beside PyG's."""
