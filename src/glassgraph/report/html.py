"""One self-contained HTML file that opens offline: scores drawn on the graphs, numbers beside them.

Everything is inlined: the style, Cytoscape.js, the page's own scripts and the data as JSON. A
content security policy that allows exactly these scripts (by hash) and no connection at all is part
of the file, so that neither a name in the data nor a later edit can load or run anything else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from glassgraph.errors import OutputError
from glassgraph.files import replace_text
from glassgraph.metrics.similarity import Similarity
from glassgraph.report.aggregates import Aggregates, aggregates_html
from glassgraph.report.curve import curves_html, unmet_html
from glassgraph.report.heat_map import similarities_html
from glassgraph.report.payload import build_payload
from glassgraph.report.protocols import RunLike

__all__ = ["render_report", "write_report"]

SCRIPTS = (
    "cytoscape.min.js",
    "palette.json",
    "format.js",
    "layout.js",
    "spacing.js",
    "fold.js",
    "view.js",
    "boxes.js",
    "placing.js",
    "canvas_style.js",
    "canvas.js",
    "panels.js",
    "legend.js",
    "tooltip.js",
    "folded.js",
    "find.js",
    "walks.js",
    "network.js",
    "changes.js",
    "metrics.js",
    "export.js",
    "app.js",
)
DEFAULT_TITLE = "Glassgraph report"


def write_report(
    path: str | os.PathLike[str],
    runs: Sequence[RunLike],
    metrics: Sequence[Mapping[str, object]] = (),
    title: str = DEFAULT_TITLE,
    similarities: Sequence[Similarity] = (),
    aggregates: Aggregates = (),
    layout: str = "auto",
) -> Path:
    """Write the report and return its path.

    The file appears complete or not at all, and the same explanations give the same bytes.

    Args:
        path: the HTML file, or a folder (any path not ending in .html) that gets ``report.html``.
        runs: one collection of explanations per method, all over the same instances in the same
            order.
        metrics: one flat row per method, its keys being the columns.
        title: shown on the page and in the browser's tab.
        similarities: heat maps of how alike the methods are, see `glassgraph.compare_all`.
        aggregates: tables to show with bars, by title: `Explanations.aggregate`, `kept_on_paths`
            and `inverse_pairs`.
        layout: how graphs are drawn at first: ``"organic"``, ``"rings"`` around what is explained,
            or ``"sentence"``, named nodes in a row with arcs, or below their phrases where they are
            a tree of phrases; ``"auto"`` is organic unless all graphs are such trees.

    Raises:
        OutputError: if the file cannot be written.
        ReportError: if there is no run, the runs do not belong together, the layout does not fit,
            or an aggregate is no table.
    """
    return write_page(path, render_report(runs, metrics, title, similarities, aggregates, layout))


def write_page(path: str | os.PathLike[str], text: str) -> Path:
    """Write a page, complete or not at all; path and errors are those of `write_report`."""
    target = Path(path)
    if target.is_dir() or target.suffix.lower() not in {".html", ".htm"}:
        target = target / "report.html"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_text(target, text)
    except OSError as error:
        raise OutputError(
            f"The report cannot be written to {str(target)!r} ({error.strerror or error}): "
            "give a folder that exists and that you may write to."
        ) from error
    return target


def render_report(
    runs: Sequence[RunLike],
    metrics: Sequence[Mapping[str, object]] = (),
    title: str = DEFAULT_TITLE,
    similarities: Sequence[Similarity] = (),
    aggregates: Aggregates = (),
    layout: str = "auto",
) -> str:
    """The report as the text of an HTML document; the arguments are those of `write_report`."""
    payload = build_payload(runs, metrics, title, layout)
    payload["vendor"] = json.loads(_asset("vendor.json"))
    links = '<a href="#aggregates-section">Aggregates</a>' if len(aggregates) else ""
    links += '<a href="#similarity-section">Similarity</a>' if similarities else ""
    more = {
        "ALERTS": unmet_html(runs),
        "CURVES": curves_html(runs),
        "LINKS": links,
        "AGGREGATES": aggregates_html(aggregates),
        "SIMILARITIES": similarities_html(similarities),
    }
    return render_page("page.html", title, payload, SCRIPTS, more)


def render_page(
    template: str,
    title: str,
    payload: Mapping[str, object],
    names: Sequence[str],
    more: Mapping[str, str],
) -> str:
    """Fill a page: title, policy, style, data and scripts, and further parts by name.

    Args:
        template: the page's asset, with ``@@NAME@@`` where a part goes.
        title: of the page.
        payload: data for the scripts.
        names: assets of the scripts, in order; ``name.json`` becomes the constant ``NAME``.
        more: HTML of further parts.
    """
    scripts = [_script(name) for name in names]
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    parts = {
        "TITLE": html.escape(title),
        "POLICY": f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:",
        "STYLE": _asset("style.css"),
        "DATA": embed_json(payload),
        "SCRIPTS": "\n".join(f"<script>{script}</script>" for script in scripts),
        **more,
    }
    pieces = _asset(template).split("@@")
    return "".join(parts[p] if odd % 2 else p for odd, p in enumerate(pieces))


def embed_json(value: object) -> str:
    r"""JSON that is inert inside a script element: no ``<``, ``>`` or ``&`` is left as itself.

    Example:
        >>> print(embed_json("</script>"))
        "\u003c/script\u003e"
    """
    text = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _script(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    if kind != "json":
        return _asset(name)
    return f"const {stem.upper()} = {embed_json(json.loads(_asset(name)))};"


def _asset(name: str) -> str:
    return files("glassgraph.report").joinpath("assets", name).read_text(encoding="utf-8")


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
