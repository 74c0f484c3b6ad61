"""Figures as files: what a saved SVG holds, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest
import torch

import glassgraph as gg
from glassgraph.errors import OutputError
from glassgraph.report import ReportError, plot_explanation, save_figure
from tests.report.fakes import star, two_methods

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def plt() -> Iterator[Any]:
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def drawn(path: Path) -> tuple[list[str], list[str]]:
    """The texts of an SVG, and the identities of its edges."""
    root = ElementTree.parse(path).getroot()
    texts = ["".join(each.itertext()).strip() for each in root.iter(f"{SVG}text")]
    names = [each.get("id", "") for each in root.iter(f"{SVG}g")]
    return texts, [name for name in names if name.startswith("edge-")]


def test_a_saved_svg_holds_text_as_text_and_every_edge_once(tmp_path: Path) -> None:
    named = star(node_names=["hub", "gene 1", "gene 2", "x"])
    texts, edges = drawn(save_figure(plot_explanation(named), tmp_path / "a.svg"))
    for text in ("node 10, class 0", "hub", "gene 1", "edge score", "explained node", "0.0"):
        assert text in texts
    assert sorted(edges) == sorted(f"edge-{each}" for each in named.edge_id.tolist())


def test_edges_of_types_bear_their_type(tmp_path: Path) -> None:
    typed = star(
        node_type=["a"] * 4,
        edge_type=["a__to__a", "a__of__a", "a__to__a", "a__of__a", "a__to__a"],
        edge_id=torch.tensor([0, 0, 1, 1, 2]),
    )
    edges = drawn(save_figure(plot_explanation(typed), tmp_path / "a.svg"))[1]
    assert len(edges) == len(set(edges)) == 5
    assert "edge-a__of__a-1" in edges


def test_edges_of_a_grid_are_those_of_its_panels(tmp_path: Path) -> None:
    figure = gg.plot_grid(two_methods(), instances=[0, 1])
    edges = drawn(save_figure(figure, tmp_path / "a.svg"))[1]
    assert len(edges) == 4 * 5


def test_a_pdf_embeds_fonts_that_publishers_take(tmp_path: Path) -> None:
    content = save_figure(plot_explanation(star()), tmp_path / "a.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert b"/Type3" not in content
    assert b"/CIDFontType2" in content


@pytest.mark.parametrize("ending", ["svg", "pdf", "png"])
def test_the_same_plot_is_the_same_file(tmp_path: Path, ending: str) -> None:
    paths = [save_figure(plot_explanation(star()), tmp_path / f"{n}.{ending}") for n in "ab"]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_settings_stay_as_they_were(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    save_figure(plot_explanation(star()), tmp_path / "new" / "a.SVG")
    assert dict(matplotlib.rcParams) == before


def test_what_is_no_figure_or_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="got Explanation"):
        save_figure(type("Explanation", (), {})(), tmp_path / "a.svg")  # type: ignore[arg-type]
    for name in ("a", "a.docx"):
        with pytest.raises(ReportError, match=re.escape(f"{name!r} does not end like a picture")):
            save_figure(plot_explanation(star()), tmp_path / name)


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written to"):
        save_figure(plot_explanation(star()), tmp_path / "file" / "a.svg")
    (tmp_path / "b.svg").mkdir()
    with pytest.raises(OutputError, match="cannot be written to"):
        save_figure(plot_explanation(star()), tmp_path / "b.svg")
