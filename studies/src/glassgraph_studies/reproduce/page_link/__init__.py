"""``glassgraph reproduce page-link``."""
