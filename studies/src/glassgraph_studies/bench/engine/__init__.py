"""``glassgraph bench engine``."""
