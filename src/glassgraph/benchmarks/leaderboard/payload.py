"""Rows of a benchmark as the data of the page: boards of cells, ranks, chance curves, commands.

A *board* is one metric at one level; a *view* is a choice of seeds (all of them, or one). Every
number that the page shows stands in here, so that its scripts only draw.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from glassgraph.benchmarks.summary import (
    Pooled,
    normalize,
    places,
    pool,
    ranks,
    verdict_over_seeds,
)
from glassgraph.explainers.registry import METHODS
from glassgraph.report.metric_names import readable
from glassgraph.report.payload import ReportError

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
Key = tuple[str, str]

COLUMNS = (
    *("suite", "dataset", "seed", "method", "settings", "metric", "level", "better"),
    *("value", "low", "high", "n", "floor", "floor_low", "floor_high"),
    *("ceiling", "ceiling_low", "ceiling_high", "status", "reason"),
    *("fit_seconds", "seconds_per_instance", "model_accuracy", "command"),
)
#: Metrics of accuracy, then of fidelity where there is no truth, in the order they are preferred.
ACCURACY = ("node_auc", "auc", "gea", "average_precision")
FIDELITY = ("robust_fidelity_delta", "fidelity_plus", "sufficiency")
WORDS = {
    "not_applicable": "n/a",
    "no_truth": "no truth",
    "timeout": "timeout",
    "failed": "failed",
    "measured": "undefined",
}


def build_leaderboard(rows: pd.DataFrame) -> dict[str, Any]:
    """The page's data.

    Raises:
        ReportError: if there is no row, a column is missing, a cell stands there twice, or the rows
            are of several suites.
    """
    records = _records(rows)
    boards = _boards(records)
    seeds = sorted({row["seed"] for row in records})
    methods = sorted({row["method"] for row in records})
    datasets = list(dict.fromkeys(row["dataset"] for row in records))
    betters = [_better(records, board) for board in boards]
    of_cell: dict[Key, list[Row]] = {}
    for row in records:
        of_cell.setdefault((row["method"], row["dataset"]), []).append(row)
    commands: dict[str, int] = {}
    views = [seeds] if len(seeds) == 1 else [seeds, *([seed] for seed in seeds)]
    tables = [
        _view(records, boards, betters, methods, datasets, found, commands) for found in views
    ]
    return {
        "suite": records[0]["suite"],
        "methods": [[name, _family(name)] for name in methods],
        "datasets": datasets,
        "accuracies": [_accuracy(records, name) for name in datasets],
        "views": [
            {"seeds": found, "boards": table} for found, table in zip(views, tables, strict=True)
        ],
        "boards": [[*board, better] for board, better in zip(boards, betters, strict=True)],
        "metric_names": {metric: readable(metric) for metric, _ in boards},
        "quality": [_quality(records, name, boards) for name in datasets],
        "seconds": [[_seconds(of_cell.get((m, d), [])) for d in datasets] for m in methods],
        "commands": list(commands),
    }


def _records(rows: pd.DataFrame) -> list[Row]:
    missing = [name for name in COLUMNS if name not in rows.columns]
    if missing:
        raise ReportError(f"rows of a benchmark have the columns {missing}; these rows lack them")
    if not len(rows):
        raise ReportError("there is no row to show; give the rows of a benchmark that has begun")
    suites = sorted(set(rows["suite"]))
    if len(suites) > 1:
        raise ReportError(f"a leaderboard is of one suite; these rows are of {suites}")
    keys = ["dataset", "seed", "method", "metric", "level"]
    twice = rows[rows.duplicated(keys)]
    if len(twice):
        cell = ", ".join(f"{key} {twice.iloc[0][key]!r}" for key in keys)
        raise ReportError(f"a cell stands in the rows twice: {cell}; keep one row of it")
    found = rows.loc[:, list(COLUMNS)].astype(object).to_dict("records")
    return [cast(Row, {key: _clean(value) for key, value in row.items()}) for row in found]


def _clean(value: Any) -> Any:
    """A plain value; None for whatever stands for no number (NaN, NA, infinity)."""
    if isinstance(value, str):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if not math.isfinite(number):
        return None
    return int(number) if number == int(number) and abs(number) < 2**53 else number


def _boards(records: Sequence[Row]) -> list[Key]:
    """Every metric with its levels; a level that only stands for "not measured" gives none."""
    levels: dict[str, set[str]] = {}
    for row in records:
        if row["metric"]:
            found = levels.setdefault(row["metric"], set())
            if row["status"] == "measured":
                found.add(row["level"])
    return [
        (metric, level)
        for metric, found in levels.items()
        for level in sorted(found or {""}, key=_level_order)
    ]


def _level_order(level: str) -> tuple[float, str]:
    digits = level.removeprefix("top")
    try:
        return float(digits), level
    except ValueError:
        return -1.0, level


def _view(
    records: Sequence[Row],
    boards: Sequence[Key],
    betters: Sequence[str],
    methods: Sequence[str],
    datasets: Sequence[str],
    seeds: Sequence[Any],
    commands: dict[str, int],
) -> list[dict[str, Any]]:
    index: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in records:
        if row["seed"] in seeds:
            key = (row["method"], row["dataset"], row["metric"], row["level"])
            index.setdefault(key, []).append(row)
    return [
        _board(board, index, methods, datasets, commands, better)
        for board, better in zip(boards, betters, strict=True)
    ]


def _board(
    board: Key,
    index: dict[tuple[str, str, str, str], list[Row]],
    methods: Sequence[str],
    datasets: Sequence[str],
    commands: dict[str, int],
    better: str,
) -> dict[str, Any]:
    metric, level = board
    cells: list[list[Any]] = []
    by_network: dict[tuple[str, Any], dict[str, Pooled]] = {}
    for method in methods:
        line: list[Any] = []
        for dataset in datasets:
            own = index.get((method, dataset, metric, level), [])
            value = _pooled(own, "value", "low", "high")
            if value is None:
                whole = index.get((method, dataset, metric, ""), [])
                line.append(
                    _unmeasured(own or whole or index.get((method, dataset, "", ""), []), commands)
                )
                continue
            for row in own:
                alone = _pooled([row], "value", "low", "high")
                if alone is not None:
                    by_network.setdefault((dataset, row["seed"]), {})[method] = alone
            line.append(_measured(value, own, better, commands))
        cells.append(line)
    found = {network: ranks(values, better) for network, values in by_network.items()}
    chance = [_pooled_floor(index, methods, dataset, board) for dataset in datasets]
    return {
        "cells": cells,
        "ranks": [
            [_mean_rank(found, method, dataset) for dataset in datasets] for method in methods
        ],
        "networks": len(found),
        "places": [
            [methods.index(p.method), p.place, _round(p.mean_rank), p.num_networks]
            for p in places(list(found.values()))
        ],
        "chance": chance,
    }


def _mean_rank(
    found: Mapping[tuple[str, Any], Mapping[str, int]], method: str, dataset: str
) -> float | None:
    """The mean over the networks of one data set."""
    own = [
        ranked[method]
        for (name, _), ranked in found.items()
        if name == dataset and method in ranked
    ]
    return _round(sum(own) / len(own)) if own else None


def _measured(value: Pooled, own: list[Row], better: str, commands: dict[str, int]) -> list[Any]:
    floor = _pooled(own, "floor", "floor_low", "floor_high")
    ceiling = _pooled(own, "ceiling", "ceiling_low", "ceiling_high")
    known = [row for row in own if row["value"] is not None]
    reasons = sorted({row["reason"] for row in own if row["reason"]})
    return [
        *_three(value),
        sum(row["n"] or 0 for row in known),
        *_three(floor),
        *_three(ceiling),
        _round(normalize(value, floor, ceiling)),
        verdict_over_seeds([_beside_chance(row) for row in known], better)[0],
        [row["seed"] for row in known],
        _commands(own, commands),
        "; ".join(reasons),
    ]


def _unmeasured(own: list[Row], commands: dict[str, int]) -> dict[str, Any]:
    if not own:
        return {"word": "no row", "reason": "the rows do not hold this cell", "commands": []}
    reasons = dict.fromkeys(row["reason"] or "no reason is given" for row in own)
    words = dict.fromkeys(WORDS.get(row["status"], str(row["status"])) for row in own)
    return {
        "word": " / ".join(words),
        "reason": "; ".join(reasons),
        "commands": _commands(own, commands),
    }


def _commands(own: Iterable[Row], commands: dict[str, int]) -> list[int]:
    found = dict.fromkeys(row["command"] for row in own if row["command"])
    return [commands.setdefault(command, len(commands)) for command in found]


def _pooled(own: Iterable[Row], value: str, low: str, high: str) -> Pooled | None:
    return pool(
        [
            (row[value], row[low], row[high])
            for row in own
            if row["status"] == "measured" and row[value] is not None
        ]
    )


def _beside_chance(row: Row) -> tuple[Pooled, Pooled | None]:
    """One seed's value, and its floor."""
    floor = row["floor"]
    return (
        Pooled(row["value"], row["low"], row["high"]),
        None if floor is None else Pooled(floor, row["floor_low"], row["floor_high"]),
    )


def _pooled_floor(
    index: dict[tuple[str, str, str, str], list[Row]],
    methods: Sequence[str],
    dataset: str,
    board: Key,
) -> float | None:
    """The mean of the floors of all methods: they stand on the same instances."""
    found = [
        row["floor"]
        for method in methods
        for row in index.get((method, dataset, *board), [])
        if row["floor"] is not None
    ]
    return _round(sum(found) / len(found)) if found else None


def _quality(records: Sequence[Row], dataset: str, boards: Sequence[Key]) -> int | None:
    """The board of accuracy, or of fidelity where there is no truth, by number."""
    there = {
        (row["metric"], row["level"])
        for row in records
        if row["dataset"] == dataset and row["value"] is not None
    }
    for metric in (*ACCURACY, *FIDELITY):
        fitting = [at for at, board in enumerate(boards) if board[0] == metric and board in there]
        if fitting:
            return fitting[len(fitting) // 2]
    return None


def _better(records: Sequence[Row], board: Key) -> str:
    own = {row["better"] for row in records if (row["metric"], row["level"]) == board}
    return next(iter(sorted(own & {"higher", "lower", "zero"})), "higher")


def _seconds(own: Sequence[Row]) -> float | None:
    by_seed = {
        row["seed"]: row["seconds_per_instance"]
        for row in own
        if row["seconds_per_instance"] is not None
    }
    return _round(sum(by_seed.values()) / len(by_seed)) if by_seed else None


def _accuracy(records: Sequence[Row], dataset: str) -> float | None:
    found = {
        row["seed"]: row["model_accuracy"]
        for row in records
        if row["dataset"] == dataset and row["model_accuracy"] is not None
    }
    return _round(sum(found.values()) / len(found)) if found else None


def _family(method: str) -> str:
    return str(METHODS[method].traits.family) if method in METHODS else "other"


def _three(value: Pooled | None) -> list[float | None]:
    return (
        [None] * 3 if value is None else [_round(v) for v in (value.value, value.low, value.high)]
    )


def _round(value: float | None) -> float | None:
    """Four significant digits: what the page shows, and a third of the bytes."""
    return None if value is None else float(f"{value:.4g}")
