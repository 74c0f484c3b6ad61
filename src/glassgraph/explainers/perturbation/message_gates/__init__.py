"""Gates on single messages: what they read, what they decide, what a shut message becomes."""
