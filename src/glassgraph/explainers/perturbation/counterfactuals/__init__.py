"""What methods stand on that look for the smallest deletion of edges that changes a prediction."""
