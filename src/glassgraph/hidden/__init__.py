"""Hidden states between layers: node states, what is read out of them, attention."""
