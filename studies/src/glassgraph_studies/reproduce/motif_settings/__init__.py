"""Settings of GNNExplainer, judged by the model."""
