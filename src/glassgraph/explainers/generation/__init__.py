"""Methods that explain a model by generating graphs for it."""
