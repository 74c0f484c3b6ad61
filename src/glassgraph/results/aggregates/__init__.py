"""Tables over many explanations: what is kept, by layer, relation or class, and on which paths."""
