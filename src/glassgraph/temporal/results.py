"""What comes out: scores of past events, one explanation for each link."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor

from glassgraph.brief import brief_repr
from glassgraph.errors import ExplanationFileError, HyperParameterError
from glassgraph.files import replacing, writing
from glassgraph.results.drawing import write_event_report

if TYPE_CHECKING:
    import pandas as pd

_FORMAT = "glassgraph-event-explanations"
_HEADER = ("method", "index", "source", "destination", "time", "prediction")
_COLUMNS = ("event_id", "src", "dst", "t", "score")


@dataclass(frozen=True)
class EventExplanation:
    """Which past events count for one link?

    Attributes:
        method: name of the method.
        index: number of the link's event in the stream; -1 for a link that was asked about.
        link: its two nodes, from and to.
        time: when.
        prediction: the model's score of the link.
        event_id: ``[n]`` numbers of the past events in the stream, ascending.
        src: ``[n]`` nodes they start from.
        dst: ``[n]`` nodes they go to.
        t: ``[n]`` when they happened.
        score: ``[n]`` how much each speaks for the link, in the unit of the prediction where the
            method has one.

    Example:
        >>> import torch
        >>> past = torch.tensor([0, 3])
        >>> found = EventExplanation(
        ...     "perturb_one",
        ...     7,
        ...     (1, 4),
        ...     90,
        ...     2.5,
        ...     past,
        ...     past,
        ...     past + 1,
        ...     past * 10,
        ...     torch.tensor([0.25, 1.5]),
        ... )
        >>> found.top(1)
           event_id  src  dst   t  score
        0         3    3    4  30    1.5
    """

    method: str
    index: int
    link: tuple[int, int]
    time: int | float
    prediction: float
    event_id: Tensor
    src: Tensor
    dst: Tensor
    t: Tensor
    score: Tensor

    __repr__ = brief_repr

    def __len__(self) -> int:
        """Number n of past events."""
        return self.event_id.numel()

    def to_frame(self) -> pd.DataFrame:
        """A row for each past event, in the order of time."""
        import pandas as pd

        return pd.DataFrame({name: getattr(self, name).numpy() for name in _COLUMNS})

    def top(self, k: int = 10) -> pd.DataFrame:
        """The ``k`` past events that speak most for the link, the later ones first among equals.

        Raises:
            HyperParameterError: if ``k`` is no positive integer.
        """
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise HyperParameterError(f"k must be an integer >= 1; got {k!r}")
        order = torch.argsort(self.score.flip(0), descending=True, stable=True)
        order = len(self) - 1 - order[:k]
        return self.to_frame().iloc[order.tolist()].reset_index(drop=True)


class EventExplanations(Sequence[EventExplanation]):
    """Which past events count for several links?

    Args:
        explained: one explanation for each.

    Example:
        >>> import torch
        >>> past = torch.tensor([0, 3])
        >>> one = EventExplanation(
        ...     "perturb_one",
        ...     7,
        ...     (1, 4),
        ...     90,
        ...     2.5,
        ...     past,
        ...     past,
        ...     past + 1,
        ...     past * 10,
        ...     torch.tensor([0.25, 1.5]),
        ... )
        >>> EventExplanations([one]).to_frame()[["position", "event_id", "score"]]
           position  event_id  score
        0         0         0   0.25
        1         0         3   1.50
    """

    def __init__(self, explained: Sequence[EventExplanation]) -> None:
        self._explained = list(explained)

    @overload
    def __getitem__(self, place: int) -> EventExplanation: ...

    @overload
    def __getitem__(self, place: slice) -> EventExplanations: ...

    def __getitem__(self, place: int | slice) -> EventExplanation | EventExplanations:
        """One of them, or a part."""
        if isinstance(place, slice):
            return EventExplanations(self._explained[place])
        return self._explained[place]

    def __len__(self) -> int:
        """Number of links."""
        return len(self._explained)

    def __iter__(self) -> Iterator[EventExplanation]:
        """One after the other."""
        return iter(self._explained)

    def __repr__(self) -> str:
        """Their number, and the method."""
        methods = ", ".join(sorted({each.method for each in self}))
        return (
            f"EventExplanations({len(self)} links, {methods})"
            if methods
            else ("EventExplanations(0 links)")
        )

    def to_frame(self) -> pd.DataFrame:
        """A row for each link and past event."""
        import pandas as pd

        frames = []
        for position, each in enumerate(self):
            frame = each.to_frame()
            values = (each.method, each.index, *each.link, each.time, each.prediction)
            for place, value in enumerate([position, *values]):
                frame.insert(place, ("position", *_HEADER)[place], value)
            frames.append(frame)
        names = ["position", *_HEADER, *_COLUMNS]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=names)

    def to_html(
        self,
        path: str | Path,
        *,
        others: Iterable[EventExplanation] = (),
        metrics: Sequence[Mapping[str, object]] = (),
        node_names: Sequence[str] | Mapping[int, str] = (),
        title: str = "Glassgraph: past events",
    ) -> Path:
        """Write a page that opens offline: a timeline of past events for each link.

        Args:
            path: the HTML file, or a folder that gets ``report.html``.
            others: explanations of the same links by other methods, to choose between.
            metrics: rows of a table below: ``gg.temporal.fidelity_table(...).to_dict("records")``.
            node_names: what nodes are called, in their order or by number.
            title: of the page.

        Returns:
            The path.

        Raises:
            ReportError: if there is no explanation, or one method explains a link twice.
            OutputError: if it cannot be written.
        """
        every = [*self, *others]
        options: dict[str, Any] = {"metrics": metrics, "node_names": node_names, "title": title}
        return write_event_report(Path(path), every, **options)

    def save(self, path: str | Path) -> None:
        """Write them into one Parquet file, which `glassgraph.temporal.load` reads.

        Raises:
            OutputError: if it cannot be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = [_row(each) for each in self]
        schema = pa.schema([], metadata={"format": _FORMAT})
        table = pa.Table.from_pylist(rows) if rows else pa.table({})
        table = table.replace_schema_metadata(schema.metadata)
        target = Path(path)
        with writing(target), replacing(target) as temporary:
            pq.write_table(table, temporary)


def load(path: str | Path) -> EventExplanations:
    """Explanations that `EventExplanations.save` wrote.

    Raises:
        ExplanationFileError: if the file is none of them, or is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        if (table.schema.metadata or {}).get(b"format") != _FORMAT.encode():
            raise ExplanationFileError(f"{path} does not hold explanations of events")
        return EventExplanations([_read(row) for row in table.to_pylist()])
    except (OSError, pa.ArrowException, KeyError, TypeError) as error:
        raise ExplanationFileError(f"{path} cannot be read as explanations: {error}") from error


def _row(each: EventExplanation) -> dict[str, Any]:
    values = (each.method, each.index, *each.link, each.time, each.prediction)
    columns = {name: getattr(each, name).tolist() for name in _COLUMNS}
    return {**dict(zip(_HEADER, values, strict=True)), **columns}


def _read(row: dict[str, Any]) -> EventExplanation:
    link = (row["source"], row["destination"])
    columns = {name: torch.tensor(row[name]) for name in _COLUMNS}
    return EventExplanation(
        method=row["method"],
        index=row["index"],
        link=link,
        time=row["time"],
        prediction=row["prediction"],
        **columns,
    )
