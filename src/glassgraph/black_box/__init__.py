"""Models that are only called: how far they look, and what they say of changed input."""
