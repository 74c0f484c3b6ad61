"""Time per explanation and accuracy beside peers."""
