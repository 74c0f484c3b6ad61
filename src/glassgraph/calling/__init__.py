"""How a model is called, whatever it is, and left as it was."""
