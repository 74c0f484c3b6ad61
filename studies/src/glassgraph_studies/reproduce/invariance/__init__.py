"""Two networks that compute one function."""
