"""Shapley values: who plays, what coalitions are worth, and estimates from some of them."""
