"""Methods that take a prediction apart, layer by layer, from the score down to the features."""
