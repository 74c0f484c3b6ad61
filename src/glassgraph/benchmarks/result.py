"""What `gg.benchmark` returns: rows, a table, and what the numbers allow in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from glassgraph.benchmarks.rows import FOLDER, Row, cell_file, to_frame, write_cell
from glassgraph.benchmarks.score_table import ScoreTable, score_table
from glassgraph.benchmarks.verdict import Agreement, verdict
from glassgraph.errors import ExistingResultError, GlassgraphError
from glassgraph.metrics.compare import compare
from glassgraph.metrics.scores import Ranking
from glassgraph.results.explanation import Explanations

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class BenchmarkResult:
    """Which explanation can be trusted? What `gg.benchmark` returns.

    Attributes:
        rows: one for each method, metric and level, see `glassgraph.benchmarks.rows`.
        agreement: mean rank correlation over the explained predictions, for each two methods.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x = torch.tensor([[0.0], [1.0], [3.0], [-1.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
        >>> task = gg.Task("node", mode="regression")
        >>> methods, metric = ["occlusion", "random"], ["fidelity_plus"]
        >>> found = gg.benchmark(SimpleConv(), data, methods, metric, task=task, index=[0], top_k=1)
        >>> found.frame()[["method", "value"]].values.tolist()[0]  # without the best edge, 3 less
        ['occlusion', 3.0]
        >>> print(found.verdict())
        By fidelity plus at the best edge, occlusion is above random. All this rests on 1
        prediction: explain more before you rely on it. A search for the metric itself gets 3.00
        here.
    """

    rows: list[Row]
    agreement: Agreement = field(default_factory=dict)

    def frame(self) -> pd.DataFrame:
        """The rows as a table, with all columns of the schema."""
        return to_frame(self.rows)

    def table(self, metric: str, level: str | None = None) -> ScoreTable:
        """One metric, ready for a page or a paper; see `glassgraph.benchmarks.score_table`."""
        return score_table(self.frame(), metric, level)

    def verdict(self) -> str:
        """What the numbers allow, in sentences.

        Which methods are above chance, which is best and which cannot be told from it, which agree,
        which are stable; and what did not run. By intervals alone: where two overlap, nothing is
        said of which is better.
        """
        return verdict(self.frame(), self.agreement)

    def save(self, folder: str | Path) -> Path:
        """Write the rows, in the schema and layout of ``glassgraph benchmark --out``.

        Raises:
            ExistingResultError: if there are rows in the folder already.
            OutputError: if it cannot be written.
        """
        path = Path(folder)
        if any((path / FOLDER).glob("*.parquet")):
            raise ExistingResultError(f"{path} holds rows of a benchmark; give another folder")
        cells: dict[tuple[str, int, str], list[Row]] = {}
        for row in self.rows:
            cells.setdefault((row["dataset"], row["seed"], row["method"]), []).append(row)
        for cell, rows in cells.items():
            write_cell(cell_file(path, *cell), rows)
        return path

    def __repr__(self) -> str:
        methods = dict.fromkeys(row["method"] for row in self.rows)
        measured = [row for row in self.rows if row["status"] == "measured"]
        metrics = dict.fromkeys(row["metric"] for row in measured)
        return (
            f"BenchmarkResult({len(methods)} methods: {', '.join(methods)}; "
            f"{', '.join(metrics) or 'nothing measured'})"
        )

    def _repr_html_(self) -> str:
        shown = ["method", "metric", "level", "value", "low", "high", "floor", "ceiling", "status"]
        table = self.frame()[shown]
        return table.to_html(index=False, na_rep="-", float_format=lambda number: f"{number:.3f}")


def agreement(explanations: Mapping[str, Explanations], ranking: Ranking) -> Agreement:
    """The mean rank correlation of each two sets of explanations, where there is one."""
    names = [name for name in explanations if name != "random"]
    found: dict[tuple[str, str], float] = {}
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            try:
                pair = compare(explanations[first], explanations[second], ranking=ranking)
            except GlassgraphError:
                continue  # nothing that both score
            mean = pair.moments("spearman")["mean"]
            if not math.isnan(mean):
                found[first, second] = mean
    return found
