"""Figures and the self-contained HTML report; reads explanations and records only."""

from glassgraph.report.event_page import write_event_report
from glassgraph.report.figures import plot_curve, plot_explanation
from glassgraph.report.generated import plot_generated
from glassgraph.report.generation_page import write_generation_report
from glassgraph.report.grid import plot_grid
from glassgraph.report.heat_map import plot_similarity
from glassgraph.report.html import render_report, write_report
from glassgraph.report.payload import ReportError
from glassgraph.report.picture import svg_picture
from glassgraph.report.protocols import LocalLike, RunLike
from glassgraph.report.save import save_figure
from glassgraph.report.summary import plot_beeswarm, plot_importance

__all__ = [
    "LocalLike",
    "ReportError",
    "RunLike",
    "plot_beeswarm",
    "plot_curve",
    "plot_explanation",
    "plot_generated",
    "plot_grid",
    "plot_importance",
    "plot_similarity",
    "render_report",
    "save_figure",
    "svg_picture",
    "write_event_report",
    "write_generation_report",
    "write_report",
]
