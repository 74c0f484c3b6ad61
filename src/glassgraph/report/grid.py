"""Several explanations in one figure: a row for each instance, a column for each method.

A row has one layout, so that the same node stands in the same place for all methods, and the figure
has one scale, so that the same color is the same score everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from glassgraph.errors import InstanceError
from glassgraph.report.figures import check_figsize, look_of, seeds_of, title_of
from glassgraph.report.graph_figure import GraphLook, draw_graph, positions
from glassgraph.report.molecule import draw_molecule, marked_atoms
from glassgraph.report.molecule_parts import is_molecule
from glassgraph.report.payload import ReportError, same_instance
from glassgraph.report.protocols import LocalLike, RunLike
from glassgraph.report.scale import ScoreScale, add_color_bar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_grid"]

#: Instances that are drawn unless told otherwise.
_SHOWN = 4
#: Inches of a panel, and of what stands around all of them.
_PANEL, _AROUND = (2.9, 2.6), (0.9, 0.8)


def plot_grid(
    explanations: RunLike | Sequence[RunLike] | Mapping[str, RunLike],
    instances: Sequence[int] | None = None,
    *,
    top_k: int | None = None,
    normalize: bool = False,
    figsize: tuple[float, float] | None = None,
    colorbar: bool = True,
    legend: bool = True,
) -> Figure:
    """Draw explanations as a grid, instances × methods; never shows a window.

    All panels of a row have one layout, and all panels of the figure one scale of colors and
    widths. Panels are ``figure.axes``, row by row.

    Args:
        explanations: of several methods over the same instances, by the names of their columns or
            as a list; or of one method.
        instances: positions in the explanations, a row for each; the first four by default.
        top_k: color only the k strongest edges of each panel, all by default.
        normalize: divide the scores of each method by its largest magnitude among those drawn, for
            methods whose scores have different units.
        figsize: width and height in inches; by default 2.9 × 2.6 for each panel.
        colorbar: draw the scale beside the panels.
        legend: say below them what else is drawn.

    Raises:
        ReportError: if there is nothing to draw, the methods explain different instances, or a size
            or top_k is none.
        InstanceError: if there is no such position.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(3, 4), edge_index=torch.tensor([[0, 1], [1, 2]]))
        >>> ask = {"model": GCN(4, 8, 2, 2), "data": data, "task": "node", "progress": False}
        >>> methods = {name: gg.explain(method=name, **ask) for name in ("saliency", "occlusion")}
        >>> figure = gg.plot_grid(methods, instances=[1, 2])
        >>> len(figure.axes[:4]), figure.axes[1].get_title()
        (4, 'occlusion')
    """
    import matplotlib.pyplot as plt

    check_figsize(figsize)
    runs = _named(explanations)
    rows = _rows(runs, instances)
    if normalize:
        rows = _normalized(rows)
    first = next(iter(runs.values()))
    look = look_of([local for row in rows for local in row], first, top_k)
    if normalize:
        look = replace(look, edges=_told(look.edges), nodes=_told(look.nodes))
    size = figsize or (
        _PANEL[0] * len(runs) + _AROUND[0],
        _PANEL[1] * len(rows) + _AROUND[1],
    )
    figure, panels = plt.subplots(
        len(rows), len(runs), figsize=size, layout="constrained", squeeze=False
    )
    handles: dict[str, Any] = {}
    for row, axes in zip(rows, panels, strict=True):
        handles |= _draw_row(row, list(axes), look, list(runs.values()))
    for name, axes in zip(runs, panels[0], strict=True):
        axes.set_title(name, fontsize=10)
    if colorbar:
        everything = list(panels.flat)
        has_walks = any(
            local.walks is not None and len(local.walks) for row in rows for local in row
        )
        add_color_bar(everything, look.nodes)
        add_color_bar(everything, None if has_walks else look.edges)
    if legend and handles:
        more = {"frameon": False, "fontsize": 8, "ncols": min(4, len(handles))}
        figure.legend(handles=list(handles.values()), loc="outside lower center", **more)
    return figure


def _named(
    explanations: RunLike | Sequence[RunLike] | Mapping[str, RunLike],
) -> dict[str, RunLike]:
    """The columns by name."""
    if isinstance(explanations, Mapping):
        runs = {str(name): run for name, run in explanations.items()}
    elif not isinstance(explanations, list | tuple):
        one: Any = explanations
        runs = {getattr(one, "method", "it"): one}
    else:
        runs = {}
        for run in explanations:
            name = getattr(run, "method", "")
            taken = sum(other.partition(" #")[0] == name for other in runs)
            runs[f"{name} #{taken + 1}" if taken else name] = run
    if not runs:
        raise ReportError("there is nothing to draw: give the explanations of at least one method")
    foreign = [name for name, run in runs.items() if not callable(getattr(run, "local", None))]
    if foreign:
        raise ReportError(
            f"a grid is drawn of Explanations, as gg.explain returns them; got "
            f"{type(runs[foreign[0]]).__name__} as {foreign[0]!r}"
        )
    return runs


def _rows(runs: Mapping[str, RunLike], instances: Sequence[int] | None) -> list[list[LocalLike]]:
    """The explanations, row by row."""
    sizes = {name: len(run) for name, run in runs.items()}
    least = min(sizes.values())
    chosen = range(min(least, _SHOWN)) if instances is None else instances
    if isinstance(chosen, int) or not len(chosen):
        raise ReportError(
            f"instances are positions in the explanations, such as [0, 3]; got {instances!r} of "
            f"{least} explanations"
        )
    rows = []
    for position in chosen:
        if type(position) is not int or not -least <= position < least:
            raise InstanceError(
                f"instance {position!r} is no position in the explanations: there are {least}"
            )
        row = [run.local(range(least)[position]) for run in runs.values()]
        for local, name in zip(row, runs, strict=True):
            same_instance(row[0], local, position, next(iter(runs)), name)
        rows.append(row)
    return rows


def _normalized(rows: Sequence[Sequence[LocalLike]]) -> list[list[LocalLike]]:
    """Scores of each column divided by its largest magnitude."""
    columns = [_divided(column) for column in zip(*rows, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def _divided(column: Sequence[LocalLike]) -> list[LocalLike]:
    found: list[Any] = list(column)
    for name in ("edge_score", "layer_edge_score", "node_score", "feature_score"):
        own = [getattr(local, name) for local in column]
        largest = max((_largest(score) for score in own if score is not None), default=0.0)
        if largest:
            found = [
                local if score is None else replace(local, **{name: score / largest})
                for local, score in zip(found, own, strict=True)
            ]
    return found


def _told(scale: ScoreScale | None) -> ScoreScale | None:
    """A scale that says that its scores are divided."""
    return scale and replace(scale, label=f"{scale.label} / largest of its method")


def _largest(score: Tensor) -> float:
    sized = score.nan_to_num(0.0, 0.0, 0.0).abs()
    return float(sized.max()) if sized.numel() else 0.0


def _draw_row(
    row: Sequence[LocalLike], panels: Sequence[Any], look: GraphLook, runs: Sequence[RunLike]
) -> dict[str, Any]:
    """Draw one instance by all methods; returns what the legend says, by label."""
    looks = [replace(look, seeds=seeds_of(*each)) for each in zip(row, runs, strict=True)]
    found: dict[str, Any] = {}
    if all(map(is_molecule, row)):
        keep = {n for each in zip(row, looks, strict=True) for n in marked_atoms(*each)}
        for local, axes, own in zip(row, panels, looks, strict=True):
            drawn = draw_molecule(axes, local, own, keep)
            found |= {each.get_label(): each for each in drawn}
    else:
        place = _shared_place(row)
        for local, axes, own in zip(row, panels, looks, strict=True):
            position = {n: place[key] for n, key in enumerate(_keys(local))}
            drawn = draw_graph(axes, local, position, own)
            found |= {each.get_label(): each for each in drawn}
    text = {"rotation": 90, "ha": "right", "va": "center", "fontsize": 9}
    panels[0].annotate(
        title_of(row[0], runs[0]).replace(", ", "\n", 1),
        (0, 0.5),
        xycoords="axes fraction",
        xytext=(-4, 0),
        textcoords="offset points",
        multialignment="center",
        **text,
    )
    return found


def _keys(local: LocalLike) -> list[tuple[str, int]]:
    """The nodes as the user knows them."""
    kinds = local.node_type or [""] * len(local.node_id)
    return list(zip(kinds, local.node_id.tolist(), strict=True))


def _shared_place(row: Sequence[LocalLike]) -> dict[Any, Any]:
    """Where nodes stand, by all edges that any of the methods shows."""
    import networkx as nx

    graph = nx.Graph()
    for local in row:
        keys = _keys(local)
        graph.add_nodes_from(keys)
        graph.add_edges_from(
            (keys[start], keys[stop]) for start, stop in local.edge_index.t().tolist()
        )
    return positions(nx, graph)
