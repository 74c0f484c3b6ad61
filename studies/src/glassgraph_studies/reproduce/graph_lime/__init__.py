"""Features of noise on Cora, as in GraphLIME's paper."""
