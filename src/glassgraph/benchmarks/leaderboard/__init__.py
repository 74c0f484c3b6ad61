"""The leaderboard: rows of a benchmark as one HTML file that opens offline."""

from glassgraph.benchmarks.leaderboard.page import render_leaderboard, write_leaderboard

__all__ = ["render_leaderboard", "write_leaderboard"]
