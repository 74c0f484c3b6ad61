"""Reports of many explanations: size, and time to open and to switch."""
