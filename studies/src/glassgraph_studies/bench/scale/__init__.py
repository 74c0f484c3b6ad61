"""Large graphs and many explanations."""
