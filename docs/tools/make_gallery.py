"""Takes the pictures of docs/gallery: reports of small examples, in a headless Chromium.

Reports are those of the notebooks, whose cells are run here, and of a few more methods on tiny
graphs. ``make gallery`` runs it; ``python docs/tools/make_gallery.py NAME...`` takes some of them.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from notebook import read_cells
from PIL import Image
from torch_geometric.data import Data
from torch_geometric.nn import GCN

import glassgraph as gg
from glassgraph.models import default_cache, reference_model
from glassgraph.report import write_report

ROOT = Path(__file__).resolve().parents[2]
GALLERY = ROOT / "docs" / "gallery"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LARGEST = 80_000  # bytes of a picture
Scene = Callable[[Path], Path]


@dataclass(frozen=True)
class Shot:
    """One picture: what is opened, how large, and light or dark."""

    scene: Scene
    width: int = 1440
    height: int = 900
    is_dark: bool = False


def main(names: list[str]) -> None:
    """Take the pictures of these names; all of them without names."""
    GALLERY.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        for name in names or SHOTS:
            size = take(browser, SHOTS[name], GALLERY / f"{name}.webp", Path(folder))
            print(f"{name}: {size / 1000:.0f} kB")


def take(browser: Any, shot: Shot, picture: Path, folder: Path) -> int:
    """Open a page, take its picture, and say how many bytes it has."""
    page = browser.new_page(
        viewport={"width": shot.width, "height": shot.height},
        color_scheme="dark" if shot.is_dark else "light",
    )
    page.goto(shot.scene(folder).as_uri())
    page.wait_for_timeout(1500)  # until the layout has come to rest
    image = Image.open(io.BytesIO(page.screenshot()))
    page.close()
    for quality in (85, 70, 55, 40):
        image.save(picture, quality=quality, method=6)
        if picture.stat().st_size <= LARGEST:
            break
    return picture.stat().st_size


@contextmanager
def chromium() -> Iterator[Any]:
    """The Chromium that is installed on this machine."""
    from playwright.sync_api import sync_playwright

    found = [path for path in map(shutil.which, BROWSERS) if path]
    if not found:
        sys.exit(f"no browser on the path: none of {', '.join(BROWSERS)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found[0], args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


def of_notebook(name: str, until: str = "explanations") -> Scene:
    """The report of what a notebook explains."""

    def scene(folder: Path) -> Path:
        names: dict[str, Any] = {"__name__": "__main__"}
        path = ROOT / "notebooks" / f"{name}.py"
        for cell in read_cells(path.read_text(encoding="utf-8")):
            if not cell.is_text:
                exec(compile(cell.source, str(path), "exec", dont_inherit=True), names)
            if until in names:
                break
        return names[until].to_html(folder / f"{name}.html")

    return scene


def first_minute(folder: Path) -> Path:
    """The README's example, with a few methods and their numbers."""
    dataset = gg.datasets.load_dataset("ba-shapes")
    model = reference_model(dataset, progress=False, cache=default_cache()).model
    data, nodes = dataset.graphs[0], dataset.explained[:20]
    methods = ("saliency", "occlusion", "gnn_explainer")
    runs = [gg.explain(model, data, name, index=nodes, progress=False) for name in methods]
    metrics = gg.metrics.evaluate(runs, model, data)
    likeness = gg.compare_all(dict(zip(methods, runs, strict=True)))
    title = "BA-Shapes: which edges do predictions rest on?"
    return write_report(folder / "report.html", runs, metrics, title, similarities=[likeness])


def counterfactuals(folder: Path) -> Path:
    """Nodes of motifs before and after the edges go that decide their class."""
    dataset = gg.datasets.load_dataset("ba-shapes")
    model = reference_model(dataset, progress=False, cache=default_cache()).model
    data, nodes = dataset.graphs[0], dataset.explained[40:60]
    explainer = gg.CFGNNExplainer(model, task="node", max_size=5, progress=False)
    return explainer.explain(data, nodes).to_html(folder / "counterfactuals.html")


def sentence(folder: Path) -> Path:
    """Words in a row, dependencies as arcs."""
    words = ["the", "old", "cat", "chases", "the", "quick", "gray", "mice"]
    head = [2, 2, 3, 3, 7, 7, 7, 3]
    kinds = ["det", "amod", "nsubj", "root", "det", "amod", "amod", "obj"]
    pairs = [(word, to) for word, to in enumerate(head) if word != to]
    ends = torch.tensor(pairs).T
    names = [kinds[word] for word, _ in pairs]
    torch.manual_seed(0)  # noqa: TID251 - a program of its own
    data = Data(
        x=torch.randn(len(words), 4),
        edge_index=torch.cat([ends, ends.flip(0)], dim=1),
        relations=names + [f"{name} (back)" for name in names],
        words=words,
    )
    model = GCN(4, 16, num_layers=2, out_channels=3).eval()
    found = gg.explain(model, data, "edge_gradients", index=[3, 7], progress=False)
    return found.to_html(folder / "sentence.html", layout="sentence")


def walks(folder: Path) -> Path:
    """Walks through the layers, of a small graph."""
    torch.manual_seed(0)  # noqa: TID251 - a program of its own
    ends = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 1, 2], [1, 2, 3, 4, 5, 6, 7, 5, 6]])
    data = Data(x=torch.rand(8, 4), edge_index=torch.cat([ends, ends.flip(0)], dim=1))
    model = GCN(4, 16, num_layers=3, out_channels=3).eval()
    found = gg.GNNLRP(model, task="node", walks=8, progress=False).explain(data, index=[6, 3])
    return found.to_html(folder / "walks.html")


def generation(folder: Path) -> Path:
    """Graphs that a counter of rings takes for rings."""

    def rings(x: torch.Tensor, edge_index: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
        del x  # rings are made of edges
        nodes = torch.bincount(batch)
        edges = torch.bincount(batch[edge_index[0]], minlength=len(nodes)) / 2
        return torch.stack([nodes - edges, edges - nodes + 1], dim=1)

    rules = [gg.graph_rules.Valence()]
    xgnn = gg.XGNN(rings, ["C", "N", "O"], max_nodes=6, rules=rules, iterations=30, progress=False)
    return xgnn.fit(target_class=1).explain(n=12).to_html(folder / "generation.html")


SHOTS = {
    "report": Shot(first_minute),
    "report-dark": Shot(first_minute, is_dark=True),
    "molecules": Shot(of_notebook("molecules")),
    "heterogeneous": Shot(of_notebook("heterogeneous")),
    "link": Shot(of_notebook("link_prediction")),
    "black-box": Shot(of_notebook("black_box", "enough")),
    "counterfactuals": Shot(counterfactuals),
    "sentence": Shot(sentence),
    "walks": Shot(walks),
    "generation": Shot(generation),
    "phone": Shot(of_notebook("molecules"), width=390, height=844),
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
