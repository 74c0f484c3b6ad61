"""The curve of a fit: what is read of it, where points stand, the notice where it failed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from glassgraph.report import ReportError, plot_curve, render_report, write_report
from glassgraph.report.curve import curves_html, read_curve, unmet_html
from tests.report.fakes import Run, star

# kept, divergence, changed; the constraint: divergence 0.03, changed 0.02
POINTS = [(0.9, 0.0, 0.0), (0.5, 0.001, 0.0), (0.3, 0.02, 0.01), (0.1, 0.8, 0.25)]


def provenance(chosen: int = 2) -> dict[str, Any]:
    rows = [
        {
            "kept": kept, "divergence": divergence, "changed": changed, "layer_0": None,
            "is_met": divergence <= 0.03 and changed <= 0.02, "is_chosen": at == chosen,
        }
        for at, (kept, divergence, changed) in enumerate(POINTS)
    ]  # fmt: skip
    own = {name: rows[chosen][name] for name in ("kept", "divergence", "changed", "is_met")}
    return {"fit": {**own, "tolerance": 0.03, "max_changed": 0.02, "curve": rows}}


def fitted(chosen: int = 2, method: str = "graphmask") -> Run:
    return Run(method, [star()], provenance(chosen))


def circles(text: str) -> list[tuple[str, float, float]]:
    found = re.findall(r'<circle class="([\w ]+)" cx="([\d.]+)" cy="([\d.]+)"', text)
    return [(kind, float(x), float(y)) for kind, x, y in found]


def test_the_curve_is_read_densest_first() -> None:
    rows = provenance()["fit"]
    rows["curve"].reverse()
    curve = read_curve({"fit": rows})
    assert curve is not None
    assert [(each.kept, each.divergence, each.changed) for each in curve.solutions] == POINTS
    assert (curve.tolerance, curve.max_changed) == (0.03, 0.02)
    assert curve.chosen == curve.solutions[2]


@pytest.mark.parametrize(
    "value", [{}, {"fit": None}, {"fit": {}}, {"fit": {"curve": []}}, {"fit": {"curve": "a, b"}}]
)
def test_other_explanations_have_no_curve(value: dict[str, object]) -> None:
    assert read_curve(value) is None
    assert curves_html([Run("a", [star()], value)]) == ""
    with pytest.raises(ReportError, match=r"give GraphMask\.curve"):
        plot_curve(Run("a", [star()], value))


def test_points_without_finite_numbers_are_left_out() -> None:
    found = provenance()
    found["fit"]["curve"][3]["divergence"] = math.inf
    found["fit"]["curve"][0]["changed"] = None
    curve = read_curve(found)
    assert curve is not None
    assert [each.kept for each in curve.solutions] == [0.5, 0.3]
    assert "inf" not in curves_html([Run("a", [star()], found)])


def test_points_stand_where_the_axes_say() -> None:
    text = curves_html([fitted()])
    left, right = text.split("</svg>")[:2]
    # Axis of the divergence: floor(log10 .001) = -3 to ceil(log10 .8) = 0, three decades.
    by_place = {x: (kind, y) for kind, x, y in circles(left)}
    assert len(by_place) == len(POINTS)
    xs = sorted(by_place)  # axis to the right: 0 to 1
    per_share = (xs[-1] - xs[0]) / (0.9 - 0.1)
    for x, (kept, _, _) in zip(reversed(xs), POINTS, strict=True):
        assert x == pytest.approx(xs[0] + per_share * (kept - 0.1), abs=0.11)
    heights = [by_place[x][1] for x in reversed(xs)]
    assert heights[0] == heights[1]  # zero, and the floor of the axis
    decades = [math.log10(0.02 / 0.001), math.log10(0.8 / 0.001)]
    per_decade = (heights[1] - heights[3]) / decades[1]
    assert heights[1] - heights[2] == pytest.approx(per_decade * decades[0], abs=0.2)
    assert [by_place[x][0] for x in reversed(xs)] == ["dot met", "dot met", "dot met chosen", "dot"]
    assert circles(right)[-1][0] == "dot met chosen"
    assert 'class="bound"' in left
    assert "tolerance" in left


def test_a_curve_without_any_divergence_can_be_drawn() -> None:
    found = provenance()
    for row in found["fit"]["curve"]:
        row["divergence"] = row["changed"] = 0.0
    found["fit"]["tolerance"] = None
    assert "nan" not in curves_html([Run("a", [star()], found)])


def test_a_constraint_that_is_not_met_is_told_with_its_numbers() -> None:
    notice = unmet_html([fitted(chosen=3)])
    assert "graphmask: constraint not met." in notice
    assert "The divergence is 0.8, 0.03 was allowed." in notice
    assert "25 % of the predictions change, 2 % may." in notice
    assert 'class="unmet"' in curves_html([fitted(chosen=3)])


def test_a_constraint_that_is_met_is_no_news() -> None:
    assert unmet_html([fitted(), Run("plain", [star()])]) == ""


def test_the_users_names_stay_text() -> None:
    name = '<b onclick="x">'
    text = unmet_html([fitted(3, name)]) + curves_html([fitted(3, name)])
    assert name not in text
    assert "&lt;b onclick=&quot;x&quot;&gt;" in text


def test_the_report_has_both_and_a_report_without_a_fit_has_neither() -> None:
    text = render_report([fitted(chosen=3), Run("plain", [star()])])
    assert text.index('role="alert"') < text.index('<main class="viewer">')
    assert text.count('id="curve-section"') == 1
    plain = render_report([Run("plain", [star()])])
    assert 'role="alert"' not in plain
    assert 'id="curve-section"' not in plain
    assert "@@" not in plain.split("<script")[0]


def test_the_notice_and_the_curve_are_seen(browser: Any, tmp_path: Path) -> None:
    path = write_report(tmp_path, [fitted(chosen=3)])
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(path.as_uri())
    alert = page.locator(".alert").bounding_box()
    assert alert["y"] + alert["height"] < 200
    assert page.locator("#curve-section svg").count() == 2
    assert page.locator("#curve-section svg").first.bounding_box()["width"] > 300
    page.close()


@pytest.fixture
def closed() -> Iterator[None]:
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.mark.usefixtures("closed")
def test_the_figure_draws_the_same_curve() -> None:
    import matplotlib

    matplotlib.use("Agg")
    axes = plot_curve(fitted())
    line, tolerance = axes.get_lines()
    assert list(zip(*line.get_data(), strict=True)) == [(k, d) for k, d, _ in POINTS]
    assert set(tolerance.get_ydata()) == {0.03}
    assert axes.get_title() == "constraint met"
    sizes = axes.collections[0].get_sizes()
    assert sizes.argmax() == 2
    other = axes.figure.axes[1]
    assert other.get_lines()[0].get_ydata().tolist() == [c for _, _, c in POINTS]


@pytest.mark.usefixtures("closed")
def test_the_figure_takes_the_frame_of_a_fit() -> None:
    import matplotlib

    matplotlib.use("Agg")
    axes = plot_curve(pd.DataFrame(provenance(3)["fit"]["curve"]))
    assert len(axes.get_lines()) == 1  # a frame does not know the tolerance
    assert axes.get_title() == "constraint not met"
