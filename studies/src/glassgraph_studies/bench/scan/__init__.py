"""``glassgraph bench scan``."""
