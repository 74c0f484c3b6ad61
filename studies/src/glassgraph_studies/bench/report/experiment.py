"""How large a report of many explanations is, and how fast in a browser.

BA-Shapes (700 nodes), a GCN of three layers with fresh weights: receptive fields have up to a
thousand edges and hubs of thirty neighbors, which are the heavy part of a page. Opening is timed
by the browser itself, from the start of the navigation to the end of the load event, after which
the first explanation is drawn. Switching is timed on the page, from the choice of another
explanation until the frame after it.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

import glassgraph as gg
from glassgraph.datasets import load_dataset
from glassgraph.errors import MissingExtraError
from glassgraph.models.gnn import GCN, Body
from glassgraph.report import write_report
from glassgraph_studies.timing import now

HIDDEN, LAYERS = 16, 3
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Largest megabytes, seconds to open, milliseconds to switch (medians).
BARS = {"megabytes": 10.0, "open_s": 2.0, "switch_ms": 200.0}
_OPENED = (
    "() => { const [page] = performance.getEntriesByType('navigation'); return page.loadEventEnd; }"
)
_SWITCH = """async (numbers) => {
  const times = [];
  for (const instance of numbers) {
    const start = performance.now();
    glassgraph.set({instance});
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
    times.push(performance.now() - start);
  }
  return times;
}"""


def run_report_bench(
    methods: Sequence[str] = ("edge_gradients", "saliency"),
    instances: int = 500,
    switches: int = 100,
    repeats: int = 5,
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Measure a report for each method alone, and one of all of them.

    Args:
        methods: registry names.
        instances: explained nodes; the last ones of the graph, motifs among them.
        switches: changes to another explanation that are timed, spread over the report.
        repeats: times that the page is opened.
        seed: of the graph and the weights.

    Yields:
        Rows ``{methods, instances, megabytes, write_s, open_s, switch_ms, slowest_switch_ms}``
        with medians.

    Raises:
        MissingExtraError: without playwright or a Chromium.
    """
    runs = _explanations(methods, instances, seed)
    sets = [[name] for name in methods] + ([list(methods)] if len(methods) > 1 else [])
    with tempfile.TemporaryDirectory() as folder:
        for names in sets:
            start = now()
            path = write_report(Path(folder), [runs[name] for name in names])
            row = {
                "methods": " + ".join(names),
                "instances": instances,
                "megabytes": path.stat().st_size / 1e6,
                "write_s": now() - start,
            }
            step = max(1, instances // switches)
            yield row | _in_browser(path, list(range(0, instances, step)), repeats)


def _explanations(methods: Sequence[str], instances: int, seed: int) -> dict[str, gg.Explanations]:
    dataset = load_dataset("ba-shapes", seed=seed)
    graph = dataset.graphs[0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251 - inside the forked random state
        model = GCN(
            dataset.num_features,
            HIDDEN,
            dataset.num_classes,
            level="node",
            body=Body(num_layers=LAYERS),
        ).eval()
    index = list(range(int(graph.num_nodes) - instances, int(graph.num_nodes)))
    return {
        name: gg.explain(model, graph, name, task="node", index=index, progress=False)
        for name in methods
    }


def _in_browser(path: Path, numbers: Sequence[int], repeats: int) -> dict[str, float]:
    """Opens the page, and switches between the explanations of these numbers."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise MissingExtraError(
            "a browser is driven by playwright: pip install playwright"
        ) from error
    found = [program for program in map(shutil.which, BROWSERS) if program]
    if not found:
        raise MissingExtraError(f"no browser on the path: none of {', '.join(BROWSERS)}")
    opened: list[float] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found[0], args=["--no-sandbox"])
        for _ in range(repeats):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(path.as_uri())
            opened.append(page.evaluate(_OPENED) / 1000)
            times: list[float] = page.evaluate(_SWITCH, numbers) if len(opened) == repeats else []
            page.close()
        browser.close()
    return {
        "open_s": statistics.median(opened),
        "switch_ms": statistics.median(times),
        "slowest_switch_ms": max(times),
    }
