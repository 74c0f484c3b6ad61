"""The command line: parse, call, print.

Nothing here imports torch before a command runs, so that ``glassgraph --help`` answers at once.
"""

from glassgraph.cli.app import app

__all__ = ["app"]
