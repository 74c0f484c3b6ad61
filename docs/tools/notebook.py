"""Notebooks as Python files: cells begin with ``# %%``, those of text with ``# %% [markdown]``.

The format is the percent format that editors and jupytext read. It reviews like code, and a test
runs it. Cells run here without Jupyter; what they print, return and draw becomes Markdown.
"""

from __future__ import annotations

import ast
import contextlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Cell:
    """One cell: Markdown, or Python from line `line` of the file."""

    is_text: bool
    source: str
    line: int


def read_cells(text: str) -> list[Cell]:
    """The cells of a notebook, in order."""
    cells = []
    for match in re.finditer(r"^# %%(.*)\n((?:(?!# %%).*\n?)*)", text, flags=re.MULTILINE):
        is_text = "[markdown]" in match[1]
        body = match[2].strip("\n")
        if is_text:
            body = re.sub(r"^# ?", "", body, flags=re.MULTILINE)
        cells.append(Cell(is_text, body, text.count("\n", 0, match.start(2)) + 1))
    return cells


def run_notebook(path: Path) -> tuple[str, dict[str, bytes]]:
    """Run the cells one after the other.

    Returns:
        Markdown with code and outputs, and the pictures that it shows, by name.
    """
    import matplotlib as mpl

    mpl.use("agg")
    names: dict[str, Any] = {"__name__": "__main__"}
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in read_cells(path.read_text(encoding="utf-8")):
        if cell.is_text:
            parts.append(cell.source)
            continue
        output, drawn = run_cell(cell, str(path), names)
        parts.append(f"```python\n{cell.source}\n```")
        if output:
            parts.append(output)
        for picture in drawn:
            name = f"{path.stem}-{len(pictures) + 1}.png"
            pictures[name] = picture
            parts.append(f"![What the cell above draws]({name})")
    return "\n\n".join(parts) + "\n", pictures


def show_notebook(path: Path) -> str:
    """The cells as Markdown, without running them."""
    cells = read_cells(path.read_text(encoding="utf-8"))
    shown = (c.source if c.is_text else f"```python\n{c.source}\n```" for c in cells)
    return "\n\n".join(shown) + "\n"


def run_cell(cell: Cell, file: str, names: dict[str, Any]) -> tuple[str, list[bytes]]:
    """Run one cell; what it prints and returns as Markdown, what it draws as PNG."""
    tree = ast.parse("\n" * (cell.line - 1) + cell.source, file)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, file, "exec", dont_inherit=True), names)
        if isinstance(last, ast.Expr):
            value = eval(
                compile(ast.Expression(last.value), file, "eval", dont_inherit=True), names
            )
    drawn = _drawn()
    if drawn:
        value = None  # the picture says it; the object behind it says nothing
    return _markdown(printed.getvalue(), value), drawn


def _markdown(printed: str, value: Any) -> str:
    parts = []
    if printed.strip():
        parts.append(f"```text\n{printed.rstrip()}\n```")
    if hasattr(value, "to_html") and hasattr(value, "columns"):  # a table of pandas
        table = value.to_html(border=0, float_format="{:.3f}".format)
        parts.append(f'<div class="output">{table}</div>')
    elif value is not None:
        parts.append(f"```text\n{value!r}\n```")
    return "\n\n".join(parts)


def _drawn() -> list[bytes]:
    """The open figures, which are closed."""
    import matplotlib.pyplot as plt

    pictures = []
    for number in plt.get_fignums():
        file = io.BytesIO()
        plt.figure(number).savefig(file, dpi=80, bbox_inches="tight")
        pictures.append(file.getvalue())
    plt.close("all")
    return pictures


def to_ipynb(cells: list[Cell]) -> dict[str, Any]:
    """The notebook for Jupyter, without outputs."""
    written = []
    for number, cell in enumerate(cells):
        lines = cell.source.splitlines(keepends=True)
        common = {"id": f"cell-{number}", "metadata": {}, "source": lines}
        if cell.is_text:
            written.append({"cell_type": "markdown", **common})
        else:
            written.append({"cell_type": "code", "execution_count": None, "outputs": [], **common})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": written, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
