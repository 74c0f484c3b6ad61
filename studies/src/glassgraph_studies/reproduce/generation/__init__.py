"""Two ways to generate graphs for a class, and random graphs, side by side."""
