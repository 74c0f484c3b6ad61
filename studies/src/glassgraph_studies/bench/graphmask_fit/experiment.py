"""How much faster is a fit of GraphMask than one whose gates and measuring are written out?

Both fit the same network on the same graphs, of the size and shape of questions over several
documents (`chains`), with the same seed. The written-out version (`reference.graphmask`) multiplies
by the gates' first weights once for each message and measures each of sixty solutions in full; ours
once for each state and each message that differs, and measures fewer solutions, in fewer runs.

The fits take everything in: tracing, packing, checking, learning, measuring. Times are seconds of
the processor, not of the clock, on one thread; the sides take turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch

from glassgraph.explainers.perturbation.graphmask import GraphMask
from glassgraph_studies.bench.graphmask_fit.chains import draw_chains, train_reader
from glassgraph_studies.reference.graphmask import written_out

#: What the ratio is to reach.
BAR = 2.0
#: Width of the network's states.
CHANNELS = 96
#: Graphs that the network learns from, beside those of the fit.
LEARNED_FROM = 2000


def run_fit_bench(
    graphs: int = 380,
    steps: int = 500,
    tolerance: float = 0.03,
    repeats: int = 1,
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Fit both versions.

    Args:
        graphs: in a fit.
        steps: of a fit.
        tolerance: bound on the mean divergence.
        repeats: fits of each side.
        seed: of the graphs, the network and the fits.

    Yields:
        One row ``{graphs, messages, steps, accuracy, fit_s, written_out_s, ratio, is_met, kept,
        written_out_kept, divergence, written_out_divergence}``: median seconds, the accuracy of
        the network on the graphs, and what both sides keep of the messages.
    """
    model, _ = train_reader(draw_chains(LEARNED_FROM, seed), CHANNELS, seed=seed)
    data = draw_chains(graphs, seed + 1)
    with torch.no_grad():
        right = [model(each.x, each.edge_index, each.edge_type).argmax() == each.y for each in data]
    times: dict[bool, list[float]] = {True: [], False: []}
    outcome = {}
    for _ in range(repeats):
        for is_written_out in times:
            explainer = GraphMask(
                model, "graph", steps=steps, tolerance=tolerance, seed=seed, progress=False
            )
            start = time.process_time()
            with written_out() if is_written_out else nullcontext():
                explainer.fit(data)
            times[is_written_out].append(time.process_time() - start)
            outcome[is_written_out] = explainer.outcome
    fit_s, written_out_s = (statistics.median(times[each]) for each in (False, True))
    yield {
        "graphs": graphs,
        "messages": sum(each.num_edges for each in data) * model.layers,
        "steps": steps,
        "accuracy": float(torch.cat(right).double().mean()),
        "fit_s": fit_s,
        "written_out_s": written_out_s,
        "ratio": written_out_s / fit_s,
        "is_met": written_out_s >= BAR * fit_s,
        "kept": outcome[False]["kept"],
        "written_out_kept": outcome[True]["kept"],
        "divergence": outcome[False]["divergence"],
        "written_out_divergence": outcome[True]["divergence"],
    }
