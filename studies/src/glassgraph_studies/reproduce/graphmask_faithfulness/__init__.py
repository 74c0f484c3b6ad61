"""GraphMask on held-out predictions."""
