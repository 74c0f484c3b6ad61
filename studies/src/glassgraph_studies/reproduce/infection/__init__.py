"""Infection paths of the edge gradients paper."""
