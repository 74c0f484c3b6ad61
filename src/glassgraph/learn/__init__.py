"""Differentiable pieces that methods learn with: gates, scorers, multipliers."""
