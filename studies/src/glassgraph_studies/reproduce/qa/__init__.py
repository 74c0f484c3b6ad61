"""Question answering over several documents."""
