"""An iteration of GraphMask beside one of the model."""
