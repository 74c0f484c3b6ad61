"""Tables of the docs, made of the rows of a benchmark that lie in `docs/results`.

    python docs/tools/result_tables.py docs/survey.md            # writes the tables anew
    python docs/tools/result_tables.py docs/survey.md --check    # fails if they differ
    python docs/tools/result_tables.py --pack OUT docs/results/survey    # keeps the rows of OUT
    python docs/tools/result_tables.py --evidence docs/results/survey    # what methods say of it

A table stands between two comments, the first of which says what it is made of: the folder of the
rows beside the page, the metric, and options of `score_table` and `ScoreTable.markdown`:

    <!-- table: results/survey fidelity_plus level=0.7 digits=2 -->
    <!-- end of table -->
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from functools import cache
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from glassgraph.benchmarks import SCHEMA, read_rows, read_suite, score_table
from glassgraph.explainers import evidence

_TABLE = re.compile(r"(<!-- table: (\S+) (\S+)([^>]*?) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def with_tables(page: Path) -> str:
    """The text of a page with all its tables made anew."""

    def table(found: re.Match[str]) -> str:
        head, folder, metric, options, end = found.groups()
        chosen = dict(option.split("=", 1) for option in options.split())
        rows = _rows(page.parent / folder)
        which = {"methods": _with_a_number(rows), "datasets": _in_order(rows)}
        made = score_table(rows, metric, chosen.get("level"), **which)
        digits, factor = int(chosen.get("digits", 2)), float(chosen.get("factor", 1))
        return f"{head}\n{made.markdown(digits, factor=factor)}\n\n{end}"

    return _TABLE.sub(table, page.read_text())


def _in_order(rows: pd.DataFrame) -> list[str]:
    """The data sets that there are, in the order of the suite."""
    suite = read_suite(str(rows["suite"].iloc[0]))
    there = set(rows["dataset"])
    return [dataset.name for dataset in suite.datasets if dataset.name in there]


def _with_a_number(rows: pd.DataFrame) -> list[str]:
    """The methods that explain any of the models."""
    return sorted(set(rows.loc[rows["status"] == "measured", "method"]))


@cache
def _rows(folder: Path) -> pd.DataFrame:
    return read_rows(folder)


def pack(out: Path, target: Path) -> None:
    """Keep the rows of a benchmark, one file for each seed, beside those of other seeds."""
    rows = target / "rows"
    rows.mkdir(parents=True, exist_ok=True)
    frame = read_rows(out)
    table = pq.ParquetDataset(sorted((out / "rows").glob("*.parquet")), schema=SCHEMA).read()
    for seed in sorted(set(frame["seed"])):
        own = table.filter(pq.filters_to_expression([("seed", "=", int(seed))]))
        pq.write_table(own, rows / f"seed-{seed}.parquet", compression="zstd")


#: By what methods are judged: it asks the model alone, and needs no truth.
CRITERION = "robust_fidelity_delta"


def evidence_text(folder: Path) -> str:
    """What `glassgraph.explainers.evidence` reads, counted from the rows in a folder."""
    rows = read_rows(folder)
    table = score_table(rows, CRITERION, datasets=_in_order(rows))
    seeds = rows["seed"].nunique()
    methods = {}
    for method in table.methods:
        own = {name: table.scores[method, name] for name in table.datasets}
        known = {name: score.standing for name, score in own.items() if score.value is not None}
        if known and method != "random":
            methods[method] = {
                "above": [name for name, standing in known.items() if standing == "above"],
                "not_above": [name for name, standing in known.items() if standing != "above"],
            }
    said = f"robust fidelity at sparsity {table.level}, survey suite, "
    said += "1 seed" if seeds == 1 else f"{seeds} seeds"
    return json.dumps({"measured": said, "methods": methods}, indent=1) + "\n"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    parser.add_argument("--pack", nargs=2, type=Path, metavar=("OUT", "TARGET"))
    parser.add_argument("--evidence", type=Path, metavar="ROWS")
    given = parser.parse_args()
    if given.evidence:
        evidence.FILE.write_text(evidence_text(given.evidence))
    if given.pack:
        pack(*given.pack)
    different = []
    for page in given.pages:
        text = with_tables(page)
        if text != page.read_text():
            different.append(page)
            if not given.check:
                page.write_text(text)
    for page in different:
        print(f"{page}: {'tables differ from their rows' if given.check else 'written'}")
    return int(given.check and bool(different))


if __name__ == "__main__":
    sys.exit(main())
