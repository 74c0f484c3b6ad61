"""Numbers in tables: whole at every width, in a terminal and where output is piped."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from typing import Any

import pandas as pd
import pytest
import torch
from rich.console import Console
from torch_geometric.data import Data
from torch_geometric.nn import GCN

import glassgraph as gg
from glassgraph.cli.compare import _matrix
from glassgraph.cli.metrics_table import metrics_tables
from glassgraph.cli.table import Column, Table, print_table
from tests.cli.helpers import run

WIDTHS = range(30, 201, 3)
LEVELS = ("0.5", "0.7", "0.9", "0.95", "0.99")
NUMBER = re.compile(r"^-?\d+(\.\d+)?(e[+-]?\d+)?$")


def lines(tables: Iterable[Table], width: int) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO())
    for table in tables:
        print_table(table, console)
    found = console.export_text().splitlines()
    assert max(len(line.rstrip()) for line in found) <= width
    return [line.replace(": ", " ") for line in found]


def cells(table: Table) -> list[str]:
    """Every number that the columns hold."""
    return [
        column.cell(row) for column in table.columns for row in table.rows if not column.is_name
    ]


def check(tables: list[Table], width: int) -> None:
    """Each number stands there as often as columns hold it, and no other does."""
    words = [word for line in lines(tables, width) for word in line.split()]
    wanted = [word for table in tables for cell in cells(table) for word in cell.split()]
    for text in {word for word in wanted if NUMBER.match(word)}:
        assert words.count(text) >= wanted.count(text), text
    known = {*wanted, *(word for t in tables for word in t.title.split())}
    known |= {word for t in tables for column in t.columns for word in column.title.split()}
    known |= {
        word
        for table in tables
        for column in table.columns
        if column.is_name
        for row in table.rows
        for word in column.cell(row).split()
    }
    assert {word for word in words if NUMBER.match(word)} <= known


def metric_rows() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for place, method in enumerate(("integrated_gradients", "information_bottleneck", "lrp")):
        row: dict[str, object] = {
            "method": method,
            "complete": place != 1,
            "instances": 123456 + place,
            "seconds_per_instance": 1234.56789 + place,
            "auc": 0.9986 - place / 1000,
            "auc_absolute": 0.9127,
            "auc_mean": 0.8127,
            "average_precision": 0.7127,
            "precision_at_k": None,
        }
        for level in LEVELS:
            row[f"fidelity_plus@{level}"] = -0.1234 - place / 100 + float(level)
            row[f"fidelity_minus@{level}"] = 12.3456 + place
        rows.append(row)
    return rows


def test_tables_of_metrics() -> None:
    tables = list(metrics_tables(metric_rows(), "bashapes", "delete"))
    for width in WIDTHS:
        check(tables, width)
        printed = " ".join(lines(tables, width)).split()
        assert printed.count("0.999") == 1  # 0.9986 never reads 0.9
        assert "123456" in printed
        assert "1234567.9" in printed


class Similar:
    """What `_matrix` reads of a comparison of eleven sets."""

    names = tuple(f"a_rather_long_name_{number}" for number in range(11))
    references = names[-2:]

    def matrix(self, measure: str) -> Any:
        place = torch.arange(121).view(11, 11).double()
        return pd.DataFrame((place / 1000 + 0.0004).numpy())


def test_a_matrix_of_similarities() -> None:
    found: Any = Similar()
    for width in WIDTHS:
        check([_matrix(found, "cosine", "cosine, edge scores: mean over 17 predictions")], width)


def test_words_and_numbers_in_one_cell() -> None:
    """No word is lost where a column that wraps is narrow."""
    about = "of at least -9223372036854775808, or 1e-05 and 0.998600001 as it was"
    rows = [{"name": f"setting_{n}", "default": "1073741824", "about": about} for n in range(3)]

    def column(key: str, **how: bool) -> Column:
        return Column(key, lambda row: str(row[key]), **how)

    columns = [
        column("name", is_name=True),
        column("default", wraps=True, is_text=True),
        column("about", wraps=True, is_text=True),
    ]
    table = Table("settings", columns, rows)
    for width in WIDTHS:
        check([table], width)
        words = [word for line in lines([table], width) for word in line.split()]
        assert all(words.count(word) == 3 for word in about.split())


@pytest.mark.parametrize("width", [30, 40, 80, 200])
def test_commands(width: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """The whole way through the command line; a pipe is as wide as ``COLUMNS``, or 80."""
    monkeypatch.setenv("COLUMNS", str(width))
    words = run("methods", "gnn_explainer").output.split()
    for number in ("1073741824", "0.2", "100"):
        assert number in words
    assert "2005.00928" not in " ".join(words)
    sources = " ".join(run("methods").output.split())
    for source in gg.methods().source:
        for word in source.split():
            assert word in sources
    data = Data(x=torch.rand(7, 3), edge_index=torch.randint(7, (2, 19)))
    model = GCN(3, 8, 2, 2)
    folders = []
    for name in ("saliency", "occlusion"):
        folders.append(gg.explain(model, data, name, progress=False).save(tmp_path / name))
    words = run("compare", *folders, "--json", tmp_path / "all.json").output.split()
    pattern = re.compile(r"^(-?\d\.\d{3}|-|\d{1,2}|,)$")
    numbers = [word for word in words if re.match(r"^-?\d", word) and "/" not in word]
    assert all(pattern.match(word) for word in numbers), numbers
    assert sum("." in word for word in numbers) > 16
