"""``glassgraph bench store``."""
