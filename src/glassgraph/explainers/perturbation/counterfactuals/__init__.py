"""What methods stand on that look for the fewest changes of a graph that change a prediction."""
