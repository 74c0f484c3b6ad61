"""Streams of events from files: tables with a row for each event, or tensors."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch_geometric.data import TemporalData
from torch_geometric.data.storage import BaseStorage, GlobalStorage

from glassgraph.errors import EventError

if TYPE_CHECKING:
    import pandas as pd

_SUFFIXES = (".csv", ".parquet", ".pt")
_COLUMNS = ("src", "dst", "t")
WHAT_IS_READ = (
    "Events are read from .csv and .parquet with the columns src, dst, t and msg (a list of "
    "numbers, in Parquet) or msg_0, msg_1, ..., and from .pt (torch.save of a TemporalData, or of "
    "a dict of tensors src, dst, t and msg)"
)


def read_events(path: str | Path) -> TemporalData:
    r"""A stream of events from a file.

    Columns ``src`` and ``dst`` are node numbers from 0, ``t`` times (whole numbers as int64, others
    as float64), ``msg`` or ``msg_0``, ``msg_1``, ... the messages, as float32; without them events
    have none, ``[E, 0]``. Other columns become attributes of the events where they are numbers.
    Whether the events are in order is checked where they are explained.

    Args:
        path: ``.csv``, ``.parquet`` or ``.pt``; the last is read without running code in it.

    Raises:
        EventError: if the file is missing or unreadable, a column is missing, or holds no numbers.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "events.csv"
        >>> _ = path.write_text("src,dst,t,msg_0,msg_1\n0,2,5,0.5,1\n1,2,7,0.25,0\n")
        >>> read_events(path)
        TemporalData(src=[2], dst=[2], t=[2], msg=[2, 2])
    """
    path = Path(path)
    if path.suffix not in _SUFFIXES:
        raise EventError(f"{path} must end in {', '.join(_SUFFIXES)}. {WHAT_IS_READ}")
    if not path.is_file():
        raise EventError(f"no file of events at {path}")
    columns = _tensors(path) if path.suffix == ".pt" else _table(path)
    for name in _COLUMNS:
        if name not in columns:
            has = ", ".join(columns) or "nothing"
            raise EventError(f"{path} has no {name!r}; it has {has}. {WHAT_IS_READ}")
    if "msg" not in columns:
        columns["msg"] = torch.zeros(columns["src"].size(0), 0)
    order = [*_COLUMNS, "msg", *(name for name in columns if name not in (*_COLUMNS, "msg"))]
    return TemporalData(**{name: columns[name] for name in order})


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():  # torch's remark on a pickle that it then refuses
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            with torch.serialization.safe_globals([TemporalData, BaseStorage, GlobalStorage]):
                content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a foreign file makes of torch's reader
        raise EventError(
            f"{path} is no readable file of tensors ({type(error).__name__}); save plain ones: "
            f"torch.save(events.to_dict(), path). {WHAT_IS_READ}"
        ) from error
    if isinstance(content, TemporalData):
        content = content.to_dict()
    if not isinstance(content, Mapping):
        raise EventError(f"{path} holds a {type(content).__name__}. {WHAT_IS_READ}")
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _table(path: Path) -> dict[str, Tensor]:
    import pandas as pd

    try:
        frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except Exception as error:  # pandas and pyarrow raise classes of their own
        raise EventError(f"{path} cannot be read: {error}. {WHAT_IS_READ}") from error
    columns: dict[str, Tensor] = {}
    messages = sorted(
        (name for name in frame if re.fullmatch(r"msg_\d+", str(name))),
        key=lambda name: int(str(name)[4:]),
    )
    for name in map(str, frame):
        if name == "msg":
            columns["msg"] = _lists(frame["msg"], path)
        elif name not in messages and (name in _COLUMNS or _is_number(frame[name])):
            columns[name] = _numbers(frame[name], path)
    if messages:
        if "msg" in columns:
            raise EventError(f"{path} has both 'msg' and {str(messages[0])!r}; messages are one")
        parts = [_numbers(frame[name], path).float() for name in messages]
        columns["msg"] = torch.stack(parts, dim=1)
    return columns


def _is_number(column: pd.Series[Any]) -> bool:
    return column.dtype.kind in "iufb"


def _numbers(column: pd.Series[Any], path: Path) -> Tensor:
    if not _is_number(column):
        raise EventError(
            f"{path}: column {str(column.name)!r} must hold numbers; got {column.dtype}, beginning "
            f"with {column.iloc[0] if len(column) else 'nothing'!r}"
        )
    if column.dtype.kind == "f" and bool(column.isna().any()) and column.name in ("src", "dst"):
        raise EventError(f"{path}: column {str(column.name)!r} has empty cells")
    values = torch.from_numpy(column.to_numpy(copy=True))
    return values if values.is_floating_point() else values.long()


def _lists(column: pd.Series[Any], path: Path) -> Tensor:
    """Messages as lists in a column, or plain numbers."""
    if _is_number(column):
        return _numbers(column, path).float().view(-1, 1)
    rows: Sequence[Any] = column.tolist()
    try:
        widths = {len(row) for row in rows}
        if len(widths) == 1 and not isinstance(rows[0], str):
            return torch.tensor([[float(value) for value in row] for row in rows])
    except (TypeError, ValueError):
        widths = set()
    lengths = f", of lengths {sorted(widths)[:4]}" if len(widths) > 1 else ""
    raise EventError(
        f"{path}: column 'msg' must hold lists of equally many numbers{lengths}; in CSV use "
        "columns msg_0, msg_1, ..."
    )
