"""Many predictions explained by many processes, which may die: of this machine, or of a cluster."""
