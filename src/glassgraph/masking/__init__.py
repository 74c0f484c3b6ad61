"""Predictions with some of the messages shut: which messages, and the model run without them."""
