"""PGM-Explainer's experiments: trust networks and motif nodes."""
