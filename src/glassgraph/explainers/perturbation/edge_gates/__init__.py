"""Gates on edges, scored from the hidden states at both ends."""
