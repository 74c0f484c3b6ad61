"""Explanations as data frames: edges, walks, and the tables that some methods make."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glassgraph.errors import MissingExtraError
from glassgraph.results.records import LocalExplanation

if TYPE_CHECKING:
    import pandas as pd


def edge_frame(instances: Iterable[LocalExplanation]) -> pd.DataFrame:
    """One row per explained edge; see `Explanations.to_frame`."""
    import pandas as pd

    frames = []
    for position, local in enumerate(instances):
        columns: dict[str, Any] = {
            "position": position,
            "index": local.index,
            "graph": local.graph,
            **({} if local.graph_name is None else {"graph_name": local.graph_name}),
            "edge_id": local.edge_id.numpy(),
            "source": local.node_id[local.edge_index[0]].numpy(),
            "destination": local.node_id[local.edge_index[1]].numpy(),
        }
        if local.node_names is not None:
            for name, end in zip(
                ("source_name", "destination_name"), local.edge_index, strict=True
            ):
                columns[name] = [local.node_names[node] for node in end.tolist()]
        if local.edge_type is not None:
            columns["edge_type"] = local.edge_type
        if local.edge_names is not None:
            columns["edge_name"] = local.edge_names
        if local.edge_score is not None:
            columns["score"] = local.edge_score.numpy()
        if local.layer_edge_score is not None:
            for layer, score in enumerate(local.layer_edge_score):
                columns[f"layer_{layer}"] = score.numpy()
        if local.edge_truth is not None:
            columns["truth"] = local.edge_truth.numpy()
        frames.append(pd.DataFrame(columns))
    names = ["position", "index", "graph", "edge_id", "source", "destination"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=names)


def as_polars(frame: pd.DataFrame) -> Any:
    """A data frame of polars.

    Raises:
        MissingExtraError: if polars is not installed.
    """
    try:
        polars: Any = import_module("polars")
    except ImportError as error:
        raise MissingExtraError("to_polars needs polars: pip install polars") from error
    return polars.DataFrame({str(name): frame[name].tolist() for name in frame})


def table_frame(
    instances: Iterable[LocalExplanation], name: str, node_columns: set[str]
) -> pd.DataFrame:
    """One row per row of a method's table; see `Explanations.table`.

    Args:
        instances: the explanations.
        name: of the table.
        node_columns: its columns that name nodes.
    """
    import pandas as pd

    frames = []
    for position, local in enumerate(instances):
        columns: dict[str, Any] = {}
        for key, value in local.tables.get(name, {}).items():
            shown = _user_nodes(local, value) if key in node_columns else value
            columns[key] = shown.numpy() if shown.dim() == 1 else list(shown.numpy())
            if key in node_columns and local.node_names is not None:
                columns[f"{key}_name"] = _node_words(local, value)
        frame = pd.DataFrame({"position": position, "index": local.index}, index=[0])
        frames.append(frame.merge(pd.DataFrame(columns), how="cross"))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _user_nodes(local: LocalExplanation, place: Tensor) -> Tensor:
    """The user's ids of nodes given by position, -1 for none."""
    ids = local.node_id[place.clamp_min(0)] if local.node_id.numel() else place
    return torch.where(place < 0, -1, ids)


def _node_words(local: LocalExplanation, place: Tensor) -> list[str]:
    """The names of nodes given by position, "" for none."""
    names = local.node_names or []
    return [names[at] if at >= 0 else "" for at in place.tolist()]


def walk_frame(instances: Iterable[LocalExplanation]) -> pd.DataFrame:
    """One row per walk; see `Explanations.walks_frame`."""
    import pandas as pd

    frames = []
    for position, local in enumerate(instances):
        if local.walks is None or local.walk_scores is None:
            continue
        columns: dict[str, Any] = {
            "position": position,
            "index": local.index,
            "graph": local.graph,
            "rank": range(local.walks.size(0)),
        }
        for step, place in enumerate(local.walks.unbind(1)):
            columns[f"node_{step}"] = local.node_id[place].numpy()
            if local.node_type is not None:
                columns[f"type_{step}"] = [local.node_type[at] for at in place.tolist()]
            if local.node_names is not None:
                columns[f"name_{step}"] = _node_words(local, place)
        columns["score"] = local.walk_scores.numpy()
        frames.append(pd.DataFrame(columns))
    names = ["position", "index", "graph", "rank", "score"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=names)
