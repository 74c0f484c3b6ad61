"""Simple models that stand in for the explained one near a prediction."""
