"""Figures and the self-contained HTML report; reads explanations and records only."""

from glassgraph.report.figures import plot_curve, plot_explanation
from glassgraph.report.generated import plot_generated
from glassgraph.report.generation_page import write_generation_report
from glassgraph.report.heat_map import plot_similarity
from glassgraph.report.html import render_report, write_report
from glassgraph.report.payload import ReportError
from glassgraph.report.protocols import LocalLike, RunLike

__all__ = [
    "LocalLike",
    "ReportError",
    "RunLike",
    "plot_curve",
    "plot_explanation",
    "plot_generated",
    "plot_similarity",
    "render_report",
    "write_generation_report",
    "write_report",
]
