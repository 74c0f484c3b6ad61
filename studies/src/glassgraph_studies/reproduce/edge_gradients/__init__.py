"""How close explainers are to edge gradients."""
