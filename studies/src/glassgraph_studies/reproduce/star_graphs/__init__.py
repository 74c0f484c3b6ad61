"""Table 1 of the GraphMask paper: edges that decide about a star graph."""
