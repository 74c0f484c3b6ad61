"""Metrics and explanations in an experiment tracker: one small function for each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from numbers import Real
from typing import TYPE_CHECKING, Any

from glassgraph.errors import HyperParameterError, MissingExtraError, OutputError
from glassgraph.words import nearest

if TYPE_CHECKING:
    import pandas as pd

Numbers = dict[str, float]


def log_numbers(
    tracker: str, numbers: Numbers, frame: pd.DataFrame, *, step: int, name: str, writer: Any = None
) -> None:
    """Hand numbers and a table to a tracker; see `Explanations.log_to`."""
    if tracker not in TRACKERS:
        raise HyperParameterError(f"there is no tracker {tracker!r}{nearest(tracker, TRACKERS)}")
    if writer is not None and tracker != "tensorboard":
        raise HyperParameterError(f"writer is TensorBoard's; {tracker} logs to its active run")
    TRACKERS[tracker](numbers, frame, step, name, writer)


def numbers_of(rows: Sequence[Mapping[str, object]], method: str) -> Numbers:
    """The finite numbers in a method's rows of `metrics.evaluate`, under its name.

    Example:
        >>> numbers_of([{"method": "saliency", "auc": 0.9, "ap": None, "fid@0.7": 0.5}], "saliency")
        {'saliency/auc': 0.9, 'saliency/fid_at_0.7': 0.5}
    """
    return {
        f"{method}/{key.replace('@', '_at_')}": float(value)
        for row in rows
        if row.get("method", method) == method
        for key, value in row.items()
        if isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    }


def _to_wandb(numbers: Numbers, frame: pd.DataFrame, step: int, name: str, _: Any) -> None:
    wandb = _imported("wandb", "wandb")
    if wandb.run is None:
        raise OutputError("wandb has no active run: call wandb.init(project=...) before log_to")
    wandb.log({**numbers, f"{name}/edges": wandb.Table(dataframe=frame)}, step=step)


def _to_mlflow(numbers: Numbers, frame: pd.DataFrame, step: int, name: str, _: Any) -> None:
    mlflow = _imported("mlflow", "mlflow")
    mlflow.log_metrics(numbers, step=step)
    mlflow.log_table(frame, f"{name}/edges.json")


def _to_tensorboard(
    numbers: Numbers, frame: pd.DataFrame, step: int, name: str, writer: Any
) -> None:
    if writer is None:
        summary_writer = _imported("torch.utils.tensorboard", "tensorboard").SummaryWriter
        with summary_writer() as own:  # in ./runs, as is usual
            _to_tensorboard(numbers, frame, step, name, own)
        return
    for key, value in numbers.items():
        writer.add_scalar(key, value, step)
    text = "\n".join(f"    {line}" for line in frame.to_string(max_rows=50).splitlines())
    writer.add_text(f"{name}/edges", text, step)


def _imported(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(f"log_to needs {package}: pip install {package}") from error


TRACKERS: dict[str, Callable[[Numbers, Any, int, str, Any], None]] = {
    "wandb": _to_wandb,
    "mlflow": _to_mlflow,
    "tensorboard": _to_tensorboard,
}
