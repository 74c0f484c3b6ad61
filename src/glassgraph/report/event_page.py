"""Past events that count for links, as one self-contained HTML page: a timeline for each link.

What the page draws stands in its data: for each link its candidates, each once, with the score that
every method gives it. Of many candidates the strongest of each method are drawn.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from glassgraph.report.html import render_page, write_page
from glassgraph.report.payload import ReportError
from glassgraph.temporal.methods import UNSIGNED
from glassgraph.temporal.results import EventExplanation

__all__ = ["build_event_payload", "render_event_report", "write_event_report"]

SCRIPTS = ("palette.json", "format.js", "timeline.js", "events.js")
DEFAULT_TITLE = "Glassgraph: past events"
#: Events of a link that are drawn, at most; each method's strongest come first.
MOST_DRAWN = 400

Key = tuple[int, tuple[int, int], float]


def write_event_report(
    path: str | os.PathLike[str],
    explanations: Iterable[EventExplanation],
    metrics: Sequence[Mapping[str, object]] = (),
    title: str = DEFAULT_TITLE,
    node_names: Sequence[str] | Mapping[int, str] = (),
) -> Path:
    """Write the page and return its path.

    The file appears complete or not at all, and the same explanations give the same bytes.

    Args:
        path: the HTML file, or a folder that gets ``report.html``.
        explanations: of one link or several, by one method or several.
        metrics: rows of a table below, as ``fidelity_table(...).to_dict("records")`` gives them.
        title: shown on the page and in the browser's tab.
        node_names: what nodes are called, in their order or by number; others have their number.

    Raises:
        OutputError: if the file cannot be written.
        ReportError: if there is no explanation, or one method explains a link twice.

    Example:
        >>> import tempfile
        >>> import torch
        >>> from torch_geometric.data import TemporalData
        >>> import glassgraph as gg
        >>> from glassgraph.report import write_event_report
        >>> class Seen:
        ...     def reset(self):
        ...         self.pairs = []
        ...
        ...     def replay(self, events):
        ...         self.pairs += list(zip(events.src.tolist(), events.dst.tolist()))
        ...
        ...     def score(self, src, dst, t):
        ...         return torch.tensor([float((int(src), int(dst)) in self.pairs)])
        >>> ends = torch.tensor([[0, 1, 0], [2, 3, 2]])
        >>> events = TemporalData(*ends, torch.tensor([1, 4, 6]), torch.zeros(3, 0))
        >>> found = gg.temporal.explain(Seen(), events, index=2, progress=False)
        >>> write_event_report(tempfile.mkdtemp(), found, node_names=["Ada"]).name
        'report.html'
    """
    return write_page(path, render_event_report(explanations, metrics, title, node_names))


def render_event_report(
    explanations: Iterable[EventExplanation],
    metrics: Sequence[Mapping[str, object]] = (),
    title: str = DEFAULT_TITLE,
    node_names: Sequence[str] | Mapping[int, str] = (),
) -> str:
    """The page as the text of an HTML document; the arguments are those of `write_event_report`."""
    payload = build_event_payload(explanations, metrics, node_names)
    return render_page("events.html", title, payload, SCRIPTS, {})


def build_event_payload(
    explanations: Iterable[EventExplanation],
    metrics: Sequence[Mapping[str, object]] = (),
    node_names: Sequence[str] | Mapping[int, str] = (),
) -> dict[str, Any]:
    """The page's data.

    Raises:
        ReportError: if there is no explanation, or one method explains a link twice.
    """
    explained = list(explanations)
    if not explained:
        raise ReportError("there is no explanation to report on")
    methods = list(dict.fromkeys(each.method for each in explained))
    links: dict[Key, dict[str, EventExplanation]] = {}
    for each in explained:
        own = links.setdefault((each.index, each.link, each.time), {})
        if each.method in own:
            raise ReportError(f"{each.method} explains the link {each.link} at {each.time} twice")
        own[each.method] = each
    shown = [_link(own, methods) for own in links.values()]
    nodes = {node for link in shown for pair in [link["ends"], *link["pairs"]] for node in pair}
    return {
        "methods": [{"name": name, "signed": name not in UNSIGNED} for name in methods],
        "links": shown,
        "names": {str(node): name for node, name in _names(node_names) if node in nodes},
        "metrics": {
            "columns": list(dict.fromkeys(str(key) for row in metrics for key in row)),
            "rows": [{str(key): _plain(value) for key, value in row.items()} for row in metrics],
        },
    }


def _link(own: Mapping[str, EventExplanation], methods: Sequence[str]) -> dict[str, Any]:
    """A link: columns of its events in the order of time, and a list of scores of each method."""
    first = next(iter(own.values()))
    events: dict[int, tuple[int, int, float]] = {}
    for each in own.values():
        columns = (each.src, each.dst, each.t)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        events.update(zip(each.event_id.tolist(), rows, strict=True))
    scores = {
        name: dict(zip(each.event_id.tolist(), each.score.tolist(), strict=True))
        for name, each in own.items()
    }
    drawn = _drawn(events, scores)
    return {
        "index": first.index,
        "ends": list(first.link),
        "time": _plain(first.time),
        "prediction": _plain(first.prediction),
        "id": drawn,
        "pairs": [list(events[number][:2]) for number in drawn],
        "t": [_plain(events[number][2]) for number in drawn],
        "scores": [
            [_plain(scores[name].get(number)) for number in drawn] if name in scores else None
            for name in methods
        ],
        "all": len(events),
    }


def _drawn(events: Mapping[int, Any], scores: Mapping[str, Mapping[int, float]]) -> list[int]:
    """Numbers of the events that are drawn, ascending."""
    if len(events) <= MOST_DRAWN:
        return sorted(events)
    share = MOST_DRAWN // len(scores)
    strongest = {
        number
        for own in scores.values()
        for number in sorted(own, key=lambda number: (-abs(own[number]), -number))[:share]
    }
    return sorted(strongest)


def _names(given: Sequence[str] | Mapping[int, str]) -> Iterable[tuple[int, str]]:
    pairs = given.items() if isinstance(given, Mapping) else enumerate(given)
    return ((int(node), str(name)) for node, name in pairs)


def _plain(value: Any) -> Any:
    """What JSON has a word for; numbers that are not finite are None."""
    if isinstance(value, bool | str) or value is None:
        return value
    number = value.item() if hasattr(value, "item") else value
    return number if math.isfinite(number) else None
