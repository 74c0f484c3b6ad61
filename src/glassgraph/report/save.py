"""Figures as files, as journals want them: text as text, in fonts that may be embedded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glassgraph.errors import OutputError
from glassgraph.files import replacing
from glassgraph.report.payload import ReportError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["save_figure"]

#: Text stays text in SVG; PDF embeds TrueType, since many publishers refuse Type 3 fonts.
_FONTS: Any = {"svg.fonttype": "none", "pdf.fonttype": 42, "ps.fonttype": 42, "svg.hashsalt": "gg"}
#: What would make the same figure another file tomorrow.
_DATES: dict[str, dict[str, None]] = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None, "ModDate": None},
}


def save_figure(figure: Figure | Axes, path: str | os.PathLike[str], *, dpi: float = 200) -> Path:
    """Write a figure for a paper: SVG and PDF with text as text, or PNG.

    The file appears complete or not at all, is cut to what is drawn, and the same plot gives the
    same bytes. Nothing of matplotlib's settings changes.

    Args:
        figure: what a plot returned.
        path: the file; its ending says the format: ``.svg``, ``.pdf``, ``.png``, and others that
            matplotlib knows.
        dpi: dots per inch, of pictures that are made of dots.

    Returns:
        The path.

    Raises:
        ReportError: if the figure is none, or the format is unknown.
        OutputError: if the file cannot be written.

    Example:
        >>> import tempfile
        >>> import matplotlib.pyplot as plt
        >>> import glassgraph as gg
        >>> figure, axes = plt.subplots()
        >>> gg.save_figure(axes, f"{tempfile.mkdtemp()}/figure.svg").name
        'figure.svg'
    """
    import matplotlib as mpl

    whole: Any = figure if hasattr(figure, "savefig") else getattr(figure, "figure", None)
    if not hasattr(whole, "savefig"):
        raise ReportError(
            f"a figure is what plot() or plot_grid() returns; got {type(figure).__name__}"
        )
    target = Path(path)
    kind = target.suffix.lower().removeprefix(".")
    known = whole.canvas.get_supported_filetypes()
    if kind not in known:
        raise ReportError(
            f"{target.name!r} does not end like a picture; endings are {', '.join(sorted(known))}"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context(_FONTS), replacing(target) as temporary:
            whole.savefig(
                temporary, format=kind, dpi=dpi, bbox_inches="tight", metadata=_DATES.get(kind)
            )
    except OSError as error:
        raise OutputError(
            f"the figure cannot be written to {str(target)!r} ({error.strerror or error}): give a "
            "folder that exists and that you may write to"
        ) from error
    return target
