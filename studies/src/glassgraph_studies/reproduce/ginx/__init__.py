"""GInX-Eval on planted motifs."""
