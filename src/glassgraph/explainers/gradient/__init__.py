"""Methods that follow gradients through the model."""
