"""Settings of methods, judged by the model."""
