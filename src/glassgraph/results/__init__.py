"""What comes out: explanations, in memory and in files."""
