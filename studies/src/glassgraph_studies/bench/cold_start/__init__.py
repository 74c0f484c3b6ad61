"""Import and first explanation in a process that has just begun."""
