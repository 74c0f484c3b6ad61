"""The columns of a part as Parquet tables, and back.

The header of each table says how many rows it and its siblings have, so that a table that was cut
or exchanged is found before it is read.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import numpy as np
import torch
from torch import Tensor

from glassgraph.files import parse_json
from glassgraph.results.records import Part, Table
from glassgraph.results.saved.damage import Damage

if TYPE_CHECKING:
    import pandas as pd

_REQUIRED = ("instances", "edges", "nodes")
#: In the header of a table: numbers of rows by the names of a part's tables.
_NUM_ROWS = "num_rows"
_INTEGERS = ("position", "index", "graph", "target", "contrast", "label")


def part_tables(part: Part) -> dict[str, pd.DataFrame]:
    """The tables of a part by the names of their files."""
    import pandas as pd

    tables = {"instances": _instances(part), "edges": _edges(part), "nodes": _nodes(part)}
    if part.walk is not None and part.walk_instance is not None and part.walk_score is not None:
        walks = pd.DataFrame({"instance": part.walk_instance.numpy()})
        for position, node in enumerate(part.walk.unbind(1)):
            walks[f"node_{position}"] = node.numpy()
        walks["score"] = part.walk_score.numpy()
        tables["walks"] = walks
    for name, table in part.tables.items():
        tables[f"table-{quote(name, safe='')}"] = _frame(table)
    rows = {name: len(frame) for name, frame in tables.items()}
    for frame in tables.values():
        frame.attrs[_NUM_ROWS] = rows
    return tables


def _instances(part: Part) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame({name: getattr(part, name).numpy() for name in _INTEGERS})
    frame["prediction"] = list(part.prediction.numpy())
    frame["seed"] = list(part.seed.numpy())
    if part.total is not None:
        frame["total"] = part.total.numpy()
    if any(part.remark):
        frame["remark"] = list(part.remark)
    return frame


def _edges(part: Part) -> pd.DataFrame:
    import pandas as pd

    columns = {
        "instance": part.edge_instance,
        "edge": part.edge,
        "source": part.source,
        "destination": part.destination,
    }
    frame = pd.DataFrame({name: column.numpy() for name, column in columns.items()})
    if part.edge_score is not None:
        frame["score"] = part.edge_score.numpy()
    if part.layer_edge_score is not None:
        for layer, score in enumerate(part.layer_edge_score):
            frame[f"layer_{layer}"] = score.numpy()
    return frame


def _nodes(part: Part) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame({"instance": part.node_instance.numpy(), "node": part.node.numpy()})
    if part.node_score is not None:
        frame["score"] = part.node_score.numpy()
    if part.feature_score is not None:
        frame["features"] = list(part.feature_score.numpy())
    return frame


def _frame(table: Table) -> pd.DataFrame:
    """A method's own table; columns that name nodes say so in their names."""
    import pandas as pd

    columns = {"instance": table.instance.numpy()}
    columns |= {f"node:{key}": value.numpy() for key, value in table.nodes.items()}
    frame = pd.DataFrame(columns)
    for key, value in table.values.items():
        frame[key] = value.numpy() if value.dim() == 1 else list(value.numpy())
    return frame


def read_part(stem: Path) -> Part:
    """What `part_tables` gave, from the files whose names begin with ``stem``.

    Raises:
        Damage: if a table has lost rows.
    """
    import pandas as pd

    _check_rows(stem)
    instances, edges, nodes = (pd.read_parquet(f"{stem}.{name}.parquet") for name in _REQUIRED)
    layers = [name for name in edges.columns if name.startswith("layer_")]
    if len({edges[name].dtype for name in layers}) > 1:
        raise Damage(f"{stem.name} has scores of different types")
    return Part(
        **{name: _column(instances, name) for name in _INTEGERS},
        prediction=_matrix(instances, "prediction"),
        seed=_matrix(instances, "seed").long(),
        node_instance=_column(nodes, "instance"),
        node=_column(nodes, "node"),
        edge_instance=_column(edges, "instance"),
        edge=_column(edges, "edge"),
        source=_column(edges, "source"),
        destination=_column(edges, "destination"),
        edge_score=_column(edges, "score") if "score" in edges else None,
        layer_edge_score=(
            torch.stack([_column(edges, name) for name in layers]) if layers else None
        ),
        node_score=_column(nodes, "score") if "score" in nodes else None,
        feature_score=_matrix(nodes, "features") if "features" in nodes else None,
        total=_column(instances, "total") if "total" in instances else None,
        **_read_walks(stem),
        tables=_read_tables(stem),
        remark=tuple(map(str, instances["remark"])) if "remark" in instances else (),
    )


def _check_rows(stem: Path) -> None:
    """Compare the rows of tables with what their headers say (nothing in version 0.1.0)."""
    import pyarrow.parquet as pq

    found: dict[str, int] = {}
    told: list[Any] = []
    start, ending = f"{stem.name}.", ".parquet"
    optional = [path.name for path in sorted(stem.parent.glob(f"{start}*{ending}"))]
    for name in dict.fromkeys([*(f"{start}{each}{ending}" for each in _REQUIRED), *optional]):
        metadata = pq.read_metadata(stem.parent / name)
        found[name[len(start) : -len(ending)]] = metadata.num_rows
        attributes = parse_json((metadata.metadata or {}).get(b"PANDAS_ATTRS", b"{}").decode())
        told.append(attributes.get(_NUM_ROWS))
    for each in told:
        if each is not None and each != found:
            raise Damage(f"{stem.name} has {found} rows, and was written with {each}")


def _read_walks(stem: Path) -> dict[str, Tensor]:
    import pandas as pd

    path = Path(f"{stem}.walks.parquet")
    if not path.exists():
        return {}
    frame = pd.read_parquet(path)
    trail = [_column(frame, name) for name in frame.columns if name.startswith("node_")]
    return {
        "walk_instance": _column(frame, "instance"),
        "walk": torch.stack(trail, dim=1),
        "walk_score": _column(frame, "score"),
    }


def _read_tables(stem: Path) -> dict[str, Table]:
    """The tables of a method's own."""
    import pandas as pd

    found = {}
    start, ending = f"{stem.name}.table-", ".parquet"
    for path in sorted(stem.parent.glob(f"{start}*{ending}")):
        frame = pd.read_parquet(path)
        columns = {
            name: _matrix(frame, name) if _holds_rows(frame, name) else _column(frame, name)
            for name in frame.columns
        }
        instance = columns.pop("instance")
        nodes = {name[5:]: columns.pop(name) for name in list(columns) if name[:5] == "node:"}
        found[unquote(path.name[len(start) : -len(ending)])] = Table(instance, nodes, columns)
    return found


def _holds_rows(frame: pd.DataFrame, name: str) -> bool:
    """Whether entries are arrays, not numbers."""
    return bool(len(frame)) and isinstance(frame[name].iloc[0], np.ndarray)


def _column(frame: pd.DataFrame, name: str) -> Tensor:
    return torch.from_numpy(frame[name].to_numpy().copy())


def _matrix(frame: pd.DataFrame, name: str) -> Tensor:
    rows = frame[name].tolist()
    return torch.from_numpy(np.stack(rows)) if rows else torch.zeros(0, 0)
