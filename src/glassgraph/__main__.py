"""``python -m glassgraph``: the command, where scripts are not on the path."""

from glassgraph.cli import app

__all__: list[str] = []

if __name__ == "__main__":
    app(prog_name="glassgraph")
