"""Heat maps of similarities: every number in its place, text inert, colors on one scale."""

from __future__ import annotations

import re
from typing import Any

import pytest

import glassgraph as gg
from glassgraph.errors import UnknownMetricError
from glassgraph.metrics import MEASURES, similarities
from glassgraph.report import render_report
from glassgraph.report.heat_map import _color, similarities_html
from tests.metrics.scenes import TwoLayers, random_graph, uniform, with_scores

NASTY = "<img src=x onerror=1>"


def runs() -> dict[str, gg.Explanations]:
    model, data = TwoLayers("gin"), random_graph()
    return {
        "gradients": gg.EdgeGradients(model).explain(data, [7, 2, 11]),
        "occlusion": gg.Occlusion(model, layerwise=True).explain(data, [7, 2, 11]),
        NASTY: with_scores(model, data, [7, 2, 11], uniform()),
    }


def cells(figure: str) -> list[list[str]]:
    body = re.search(r"<tbody>(.*)</tbody>", figure)
    assert body is not None
    rows = re.findall(r"<tr.*?</tr>", body[1])
    return [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in rows]


def test_the_page_shows_every_matrix() -> None:
    found = similarities(runs())
    assert [each.level for each in found] == ["edge", "layer"]
    assert [each.names[:-2] for each in found] == [tuple(runs()), ("gradients", "occlusion")]
    figures = re.findall(r"<figure.*?</figure>", similarities_html(found))
    assert len(figures) == 2 * len(MEASURES)
    for number, (each, measure) in enumerate((e, m) for e in found for m in MEASURES):
        matrix = each.matrix(measure).to_numpy()
        for row, values in zip(cells(figures[number]), matrix, strict=True):
            for text, value in zip(row, values, strict=True):
                assert text == "–" if value != value else abs(float(text) - value) < 0.0051


def test_a_report_of_several_methods_has_the_section() -> None:
    every = runs()
    text = render_report(list(every.values()), similarities=similarities(every))
    assert text.count('id="similarity-section"') == 1
    assert 'href="#similarity-section"' in text
    assert "Every edge at every layer" in text
    assert "<i>random</i> and <i>all ones</i> are no methods" in text
    assert NASTY not in text
    plain = render_report(list(every.values()))
    assert "similarity-section" not in plain.replace("#similarity-section h3", "")


def test_one_method_is_like_nothing() -> None:
    (name, run), *_ = runs().items()
    assert similarities({name: run}) == []
    assert similarities_html([]) == ""


def test_colors_have_one_scale() -> None:
    assert _color(1) != _color(0.5) != _color(0)
    assert _color(-1).split(",")[:3] != _color(1).split(",")[:3]
    assert _color(0).endswith("0.00)")


@pytest.mark.parametrize("measure", MEASURES)
def test_a_figure(measure: str) -> None:
    matplotlib: Any = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    (found, _) = similarities(runs())
    axes = found.plot(measure)
    matrix = found.matrix(measure).to_numpy()
    (image,) = axes.get_images()
    assert image.get_clim() == (-1, 1)
    assert [tick.get_text() for tick in axes.get_yticklabels()] == list(found.names)
    texts = [text.get_text() for text in axes.texts]
    assert len(texts) == matrix.size
    assert texts[1] == ("–" if matrix[0, 1] != matrix[0, 1] else f"{matrix[0, 1]:.2f}")
    given = plt.subplots()[1]
    assert found.plot(measure, ax=given) is given
    plt.close("all")
    with pytest.raises(UnknownMetricError, match="measure must be one of"):
        found.plot("angle")
