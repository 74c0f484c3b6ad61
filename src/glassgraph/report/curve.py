"""The curve of sparsity against faithfulness that a fitted method brings along, as inline SVG.

GraphMask's fit ends with a list of solutions: the share of messages that each keeps, the mean
divergence of the predictions on them, and the share of predictions that change. They stand in the
provenance of its explanations (``provenance["fit"]["curve"]``), with the constraint among them. The
page shows both against the share of kept messages, and says so above everything else where no
solution satisfied the constraint: such an explanation is not faithful by its own measure.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from glassgraph.report.protocols import RunLike

__all__ = ["Curve", "Solution", "curves_html", "read_curve", "read_rows", "unmet_html"]

#: Size of one panel, and its margins: left, right, top, bottom.
_WIDTH, _HEIGHT = 380, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 26, 26, 40
#: Decades that the divergence's axis spans, at most; what lies below is drawn on its floor.
_DECADES = 6


@dataclass(frozen=True)
class Solution:
    """One point of the curve.

    Attributes:
        kept: share of messages.
        divergence: mean divergence of the predictions.
        changed: share of predictions that change.
        is_met: whether it satisfies the constraint.
        is_chosen: whether it made the explanations.
    """

    kept: float
    divergence: float
    changed: float
    is_met: bool
    is_chosen: bool


@dataclass(frozen=True)
class Curve:
    """Solutions, densest first, and the constraint.

    Attributes:
        solutions: the points.
        tolerance: bound on the divergence, None where it is not known.
        max_changed: bound on the share of changed predictions, None where it is not known.
    """

    solutions: tuple[Solution, ...]
    tolerance: float | None = None
    max_changed: float | None = None

    @property
    def chosen(self) -> Solution | None:
        """The one in use."""
        return next((each for each in self.solutions if each.is_chosen), None)


def read_curve(provenance: Mapping[str, object]) -> Curve | None:
    """The curve in the provenance of explanations, None where there is none."""
    fit = provenance.get("fit")
    rows = fit.get("curve") if isinstance(fit, Mapping) else None
    if not isinstance(fit, Mapping) or not isinstance(rows, Sequence) or isinstance(rows, str):
        return None
    return read_rows(rows, _number(fit.get("tolerance")), _number(fit.get("max_changed")))


def read_rows(
    rows: Iterable[object], tolerance: float | None = None, max_changed: float | None = None
) -> Curve | None:
    """The curve of rows with ``kept``, ``divergence`` and ``changed``; None where none is left.

    Rows with numbers that are not finite are left out: they have no place in a drawing.
    """
    found = []
    for row in rows:
        if not isinstance(row, Mapping):
            continue
        kept, divergence, changed = (
            _number(row.get(name)) for name in ("kept", "divergence", "changed")
        )
        if kept is None or divergence is None or changed is None:
            continue
        is_met, is_chosen = bool(row.get("is_met")), bool(row.get("is_chosen"))
        found.append(Solution(kept, divergence, changed, is_met, is_chosen))
    found.sort(key=lambda each: -each.kept)
    return Curve(tuple(found), tolerance, max_changed) if found else None


def unmet_html(runs: Sequence[RunLike]) -> str:
    """A notice for each method whose chosen solution breaks its own constraint; else nothing."""
    notices = []
    for run in runs:
        fit = run.provenance.get("fit")
        if not isinstance(fit, Mapping) or fit.get("is_met") is not False:
            continue
        notices.append(
            f'<p class="alert" role="alert"><b>{html.escape(run.method)}: constraint not met.</b> '
            f"{_unmet(fit)} These explanations are the nearest to it that were found: what they "
            "keep does not carry the predictions as far as was asked.</p>"
        )
    return "".join(notices)


def curves_html(runs: Sequence[RunLike]) -> str:
    """The page's section of curves, one figure for each method that has one; else nothing."""
    figures = [
        _figure(run.method, curve)
        for run in runs
        if (curve := read_curve(run.provenance)) is not None
    ]
    if not figures:
        return ""
    return (
        '<section class="below" id="curve-section" aria-label="Sparsity against '
        'faithfulness"><h2>Sparsity against faithfulness '
        '<span class="hint">solutions of the fit, measured on validation predictions</span></h2>'
        f"{''.join(figures)}</section>"
    )


def _unmet(fit: Mapping[str, object]) -> str:
    divergence, tolerance = _number(fit.get("divergence")), _number(fit.get("tolerance"))
    changed, most = _number(fit.get("changed")), _number(fit.get("max_changed"))
    parts = []
    if divergence is not None and tolerance is not None and divergence > tolerance:
        parts.append(f"The divergence is {divergence:.3g}, {tolerance:.3g} was allowed.")
    if changed is not None and most is not None and changed > most:
        parts.append(f"{_percent(changed)} of the predictions change, {_percent(most)} may.")
    return " ".join(parts)


def _figure(method: str, curve: Curve) -> str:
    name = html.escape(method)
    largest = max(each.divergence for each in curve.solutions)
    positive = [each.divergence for each in curve.solutions if each.divergence > 0]
    if curve.tolerance is not None and 0 < curve.tolerance < math.inf:
        positive.append(curve.tolerance)
    top = _decade(max([largest, *positive]), math.ceil)
    floor = max(_decade(min(positive, default=top / 10), math.floor), top - _DECADES)
    floor = min(floor, top - 1)
    decades = {10.0**power: f"{10.0**power:g}" for power in range(floor, top + 1)}
    if min(each.divergence for each in curve.solutions) < 10.0**floor:
        decades[10.0**floor] = f"≤ {10.0**floor:g}"

    def log(value: float) -> float:
        return (math.log10(max(value, 10.0**floor)) - floor) / (top - floor)

    bounds = [value for value in (curve.max_changed,) if value is not None and value < 1]
    height = _nice(max([each.changed for each in curve.solutions] + [2 * each for each in bounds]))
    shares = {height * part / 4: _percent(height * part / 4) for part in range(5)}
    panels = [
        _panel(
            curve,
            f"{name}: divergence against kept messages",
            "Mean divergence (logarithmic)",
            [each.divergence for each in curve.solutions],
            log,
            decades,
            curve.tolerance,
            "tolerance",
        ),
        _panel(
            curve,
            f"{name}: changed predictions against kept messages",
            "Predictions that change",
            [each.changed for each in curve.solutions],
            lambda value: value / height,
            shares,
            curve.max_changed,
            "allowed",
        ),
    ]
    return (
        f'<figure class="fit"><figcaption><b>{name}</b> {_told(curve)}</figcaption>'
        f'<div class="panels">{"".join(panels)}</div>'
        '<p class="fit-keys"><span><i class="fit-key met"></i>within the constraint</span>'
        '<span><i class="fit-key"></i>not within it</span>'
        '<span><i class="fit-key chosen"></i>chosen</span></p></figure>'
    )


def _told(curve: Curve) -> str:
    chosen = curve.chosen
    if chosen is None:
        return ""
    verdict = "met" if chosen.is_met else '<span class="unmet">not met</span>'
    return (
        f"keeps {_percent(chosen.kept)} of the messages at a divergence of "
        f"{chosen.divergence:.3g} and changes {_percent(chosen.changed)} of the predictions; "
        f"constraint {verdict}"
    )


def _panel(
    curve: Curve,
    label: str,
    title: str,
    values: Sequence[float],
    scale: Callable[[float], float],
    ticks: Mapping[float, str],
    bound: float | None,
    bound_name: str,
) -> str:
    """One set of axes: kept messages to the right, ``values`` upwards."""
    widest = _nice(max(each.kept for each in curve.solutions))
    right, low = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def x(kept: float) -> float:
        return _LEFT + (right - _LEFT) * kept / widest

    def y(value: float) -> float:
        return low - (low - _TOP) * min(max(scale(value), 0.0), 1.0)

    drawn = [f'<text class="title" x="{_LEFT}" y="14">{title}</text>']
    for value, text in ticks.items():
        at = y(value)
        drawn.append(f'<path class="grid" d="M{_LEFT} {at:.1f}H{right}"/>')
        drawn.append(f'<text class="up" x="{_LEFT - 7}" y="{at + 3.5:.1f}">{text}</text>')
    for part in range(5):
        kept = widest * part / 4
        drawn.append(
            f'<text class="along" x="{x(kept):.1f}" y="{low + 16}">{_percent(kept)}</text>'
        )
    drawn.append(
        f'<text class="along" x="{(_LEFT + right) / 2:.1f}" y="{_HEIGHT - 6}">messages kept</text>'
    )
    if bound is not None and 0 <= scale(bound) <= 1:
        at = y(bound)
        drawn.append(f'<path class="bound" d="M{_LEFT} {at:.1f}H{right}"/>')
        drawn.append(f'<text class="bound" x="{right}" y="{at - 4:.1f}">{bound_name}</text>')
    places = [(x(each.kept), y(value)) for each, value in zip(curve.solutions, values, strict=True)]
    way = "L".join(f"{across:.1f} {up:.1f}" for across, up in places)
    drawn.append(f'<path class="way" d="M{way}"/>')
    order = sorted(range(len(places)), key=lambda at: curve.solutions[at].is_chosen)
    for at in order:  # the chosen one on top
        each, (across, up) = curve.solutions[at], places[at]
        kind = f"dot{' met' if each.is_met else ''}{' chosen' if each.is_chosen else ''}"
        drawn.append(
            f'<circle class="{kind}" cx="{across:.1f}" cy="{up:.1f}" '
            f'r="{6 if each.is_chosen else 3.5}"><title>keeps {_percent(each.kept)}, divergence '
            f"{each.divergence:.3g}, changes {_percent(each.changed)}</title></circle>"
        )
    return (
        f'<svg class="fit-curve" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(drawn)}</svg>"
    )


def _number(value: object) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _decade(value: float, rounded: Callable[[float], int]) -> int:
    return rounded(round(math.log10(value), 9)) if value > 0 else 0


def _nice(largest: float) -> float:
    """The end of an axis of shares: the next of a few round numbers."""
    return next((end for end in (0.02, 0.04, 0.1, 0.2, 0.4, 0.6) if largest <= end), 1.0)
