"""Writes ``docs/coverage.md`` from what the tests measure: ``python -m tests.coverage_matrix``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import torch

from tests.coverage import set_ups
from tests.coverage.called import Called
from tests.coverage.checks import others_keep_to_their_limits, scores_are_finite
from tests.coverage.limits import NEEDS_MESSAGES, NO_PARTS, OTHERS, limit
from tests.coverage.outside import HETEROGENEOUS, NOT_BUILDABLE, REFUSED
from tests.coverage.scene import SIX, scene
from tests.coverage.set_up import SetUp
from tests.coverage.situation_page import beside_layers, pyg_tests

_TITLES = {
    "Spectral and propagation layers": set_ups.SPECTRAL,
    "Aggregating layers": set_ups.AGGREGATING,
    "Attention": set_ups.ATTENTION,
    "Relations, signs and types": set_ups.RELATIONAL,
    "Points, hypergraphs and meshes": set_ups.GEOMETRIC,
    "Wrappers": set_ups.WRAPPERS,
    "Mixtures, whole-graph tasks and layers of one's own": set_ups.MIXED,
}

#: Columns of methods beside the six; excitation_backprop refuses what lrp refuses.
_SHOWN = [name for name in OTHERS if name != "excitation_backprop"]

_HEAD = """\
# Layer coverage

Written by `python -m tests.coverage_matrix`; do not edit.

Two-layer models of every convolution in `torch_geometric.nn.conv` (PyG 2.8.1) that can be built
without pyg-lib, torch-sparse, dgNN and cuGraph, with their usual options: **{working} set-ups**.
On each of them `tests/coverage` checks, in float64,

1. that {methods}
   give a finite score for each edge of the user;
2. that gates really act: open gates reproduce the model's prediction (to the last bit, or to
   rounding where instances share a batch); shut gates delete the messages, as an independent
   version does that wraps each layer's own `message` on the full graph; likewise each single
   edge, and the gradient at every layer;
3. that the target class matters;
4. that many instances at once are explained as each alone, and receptive fields as the full graph;
5. that the model is the same afterwards: parameters, buffers, `requires_grad`, modes, hooks,
   attributes, caches, output;
6. that methods which read more of a model than its messages either give finite scores or refuse,
   naming what they do not know: `lrp` (and `excitation_backprop`, whose rules meet the same
   operations), `gnn_lrp`, `grad_cam`, `guided_backprop`, `attention` and `pg_explainer` (fitted for
   two epochs). Where `lrp` and `gnn_lrp` work, the logit they share out is the model's own, and
   both give each node the same relevance, one by rules along the layers, one by summing over all
   walks;
7. that models need nothing but to be called: deleting an edge from a receptive field gives what the
   model says of the user's graph without that edge, and `zorro`, `causal_screening`, `subgraphx`,
   `shapley_edges`, `shapley_nodes`, `graph_lime` (node tasks), `relex` and `pgm_explainer` give
   finite scores.

**Calls** are message calls of the whole model by message-passing step, **steps** is how many steps
there are, **hops** how far a prediction looks. *Cut* means that predictions were explained on their
receptive fields. On the *full graph* they were explained where the receptive field gives another
prediction: the result is right, but slower, and a `FallbackWarning` says so; where the data hold
several graphs, each instance has a *copy* of its own instead, side by side.

In the last columns, *no rule* names the function of torch that `lrp` has no rule for; where it is
linear, homogeneous or elementwise, `glassgraph.rules.register` gives it one. `gnn_lrp` needs the
same rules, and walks: where nodes mix beside messages (normalization over a graph), or messages go
through a `MessageTap`, they are not defined. `attention` reads the weights that a layer passes to
`message()` as `alpha` or returns when asked; "none shown" includes layers that keep theirs to
themselves, as AGNNConv and SuperGATConv do.

*From outside* is how far a prediction looks as found by calling the model alone; where degrees
normalize messages that is a hop more. "Whole graph only" are models that hold further tensors with
one entry per edge, and cannot be called with fewer.
"""

_PEERS = """\
## For comparison: PyG's own explainers

Of 65 two-layer models of the same layers that were built for a baseline (PyG 2.8.1, same missing
packages, other options than here, so only the totals compare; section E of the project's baseline
measurements): `GNNExplainer` works on 61, `PGExplainer` on 62 (on one of them it runs while its
mask is ignored), `GraphMaskExplainer` on 33 (and leaves the model changed), captum's saliency on
61. `RGCNConv`, with and without bases, and `FastRGCNConv` fail in all four; the cached `SGConv` is
the one whose mask is ignored.
"""


def page() -> str:
    """The text of ``docs/coverage.md``."""
    working = [set_up for set_up in set_ups.SET_UPS if not set_up.is_broken]
    methods = ", ".join(f"`{name}`" for name in SIX[:-1]) + f" and `{SIX[-1]}`"
    parts = [_HEAD.format(working=len(working), methods=methods)]
    for title, rows in _TITLES.items():
        parts.append(f"## {title}\n\n{_table([each for each in rows if not each.is_broken])}")
    parts.append("## Why the full graph\n\n" + _list((s.name, s.whole) for s in working if s.whole))
    parts.append(
        "## Where no message arrives\n\n"
        "These aggregations fail on nodes, or graphs, without messages, which methods that delete "
        "edges show them:\n\n"
        + _list(
            (name, f"refused by {', '.join(f'`{each}`' for each in sorted(methods))}")
            for name, methods in NEEDS_MESSAGES.items()
        )
    )
    broken = [(set_up.name, set_up.defect) for set_up in set_ups.SET_UPS if set_up.defect]
    if broken:
        parts.append("## Known defects\n\n" + _list(broken))
    parts.append(
        "## Refused\n\n"
        + _list((each.name, f"{each.reason} (`{each.error.__name__}`)") for each in REFUSED)
    )
    parts.append(
        "## Not buildable here\n\n"
        + _list((each.name, f"needs {each.needs}") for each in NOT_BUILDABLE)
    )
    names = ", ".join(f"`{name}`" for name in HETEROGENEOUS)
    parts.append(f"## Heterogeneous layers\n\n{names} are explained in `tests/hetero`.\n")
    parts += [beside_layers(), pyg_tests(), _PEERS]
    return "\n".join(parts)


def _table(rows: list[SetUp]) -> str:
    names = ["set-up", "calls", "steps", "hops", "explained on", "six methods"]
    names += [*(f"`{name}`" for name in _SHOWN), "from outside"]
    head = f"| {' | '.join(names)} |\n{'|---' * len(names)}|\n"
    return head + "".join(_row(each) for each in rows)


def _row(set_up: SetUp) -> str:
    made = scene(set_up.name)
    scores_are_finite(made)
    others_keep_to_their_limits(made)
    wiring = made.preparation.wiring
    calls = Counter(site.layer for site in wiring.sites)
    by_step = " + ".join(str(calls[layer]) for layer in range(wiring.num_layers))
    where = "full graph" if all(made.is_whole) else "copies" if made.keeps_graphs else "cut"
    limits = [limit(name, set_up) for name in _SHOWN]
    cells = [set_up.name, by_step, wiring.num_layers, wiring.num_hops, where, "ok"]
    cells += ["ok" if each is None else each.cell for each in limits]
    cells.append(_from_outside(set_up))
    return f"| {' | '.join(map(str, cells))} |\n"


def _from_outside(set_up: SetUp) -> str:
    """How far the model looks, seen from outside."""
    if set_up.name in NO_PARTS:
        return "whole graph only"
    if set_up.level == "graph":
        return "its graph"
    called = Called(scene(set_up.name))
    return "everything" if called.is_whole else f"{called.preparation.wiring.num_hops} hops"


def _list(entries: object) -> str:
    return "".join(f"* {name}: {reason}\n" for name, reason in entries)  # type: ignore[attr-defined]


def main() -> None:
    """Write the page."""
    torch.set_num_threads(1)
    path = Path(__file__).parents[1] / "docs" / "coverage.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(page(), encoding="utf-8")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
