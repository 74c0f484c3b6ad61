"""Stories whose supporting facts are known."""
