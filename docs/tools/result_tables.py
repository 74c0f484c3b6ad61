"""Tables of the docs, made of the rows of a benchmark that lie in `docs/results`.

    python docs/tools/result_tables.py docs/survey.md            # writes the tables anew
    python docs/tools/result_tables.py docs/survey.md --check    # fails if they differ
    python docs/tools/result_tables.py --pack OUT docs/results/survey    # keeps what OUT has whole
    python docs/tools/result_tables.py --evidence docs/results/survey

A table stands between two comments, the first of which says what it is made of: the folder of the
rows beside the page, the metric, and options of `score_table` and `ScoreTable.markdown`:

    <!-- table: results/survey fidelity_plus level=0.7 digits=2 -->
    <!-- end of table -->

Ranks are given on each network (data set and seed) by itself, ties as in
`glassgraph.benchmarks.summary`, and averaged:

    <!-- ranks: results/survey fidelity_plus level=0.7 -->
    <!-- end of ranks -->

Whether a method lies above random scores on all networks of a data set, on some, or on none:

    <!-- seeds: results/survey fidelity_plus level=0.7 -->
    <!-- end of seeds -->

Of a list of methods the columns "time", "fidelity" and "truth" are filled in, from the first
folder that has rows of a method; `--evidence`, which writes what methods say of it, goes by the
same order:

    <!-- methods: results/survey -->
    | [`saliency`](...) | ... | 1 to 9 | 7 of 10 | 7 of 7 | ... |
    <!-- end of methods -->

Beside the rows, `references` holds the networks that they are of (a folder for `--cache`), and
`networks.json` the fingerprint of each; rows of another network are refused.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from safetensors import safe_open

from glassgraph.benchmarks import SCHEMA, read_rows, read_suite, score_table
from glassgraph.benchmarks.rows import read_cell
from glassgraph.benchmarks.score_table import NONE
from glassgraph.benchmarks.summary import places, ranks
from glassgraph.calling.protect import fingerprint
from glassgraph.explainers import evidence
from glassgraph.models import load_model
from glassgraph.models.cache import RECORD

#: By what methods are judged: it asks the model alone, and needs no truth.
CRITERION = "robust_fidelity_delta"
#: Of commands that repeat a cell.
ROOT = "--root data"
#: Beside rows, the networks that they are of, and which these are.
WEIGHTS, NETWORKS = "references", "networks.json"
_TABLE = re.compile(r"(<!-- table: (\S+) (\S+)([^>]*?) -->\n).*?(<!-- end of table -->)", re.DOTALL)
_RANKS = re.compile(r"(<!-- ranks: (\S+) (\S+)([^>]*?) -->\n).*?(<!-- end of ranks -->)", re.DOTALL)
_SEEDS = re.compile(r"(<!-- seeds: (\S+) (\S+)([^>]*?) -->\n).*?(<!-- end of seeds -->)", re.DOTALL)
_METHODS = re.compile(r"<!-- methods: ([^>]*?) -->\n.*?<!-- end of methods -->", re.DOTALL)


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

    def made_by(make: Callable[[pd.DataFrame, str, str | None], str]) -> Callable[..., str]:
        def made(found: re.Match[str]) -> str:
            head, folder, metric, options, end = found.groups()
            chosen = dict(option.split("=", 1) for option in options.split())
            rows = _rows(page.parent / folder)
            return f"{head}\n{make(rows, metric, chosen.get('level'))}\n\n{end}"

        return made

    def methods(found: re.Match[str]) -> str:
        folders = found.group(1).split()
        return _with_counts(found.group(0), [_rows(page.parent / each) for each in folders])

    text = _RANKS.sub(made_by(ranks_table), _TABLE.sub(table, page.read_text()))
    text = _SEEDS.sub(made_by(seeds_table), text)
    return _METHODS.sub(methods, text)


def ranks_table(rows: pd.DataFrame, metric: str, level: str | None) -> str:
    """Methods by their mean rank over networks, and what it is on those of each seed."""
    table = score_table(rows, metric, level, methods=_with_a_number(rows))
    better = str(rows.loc[rows["metric"] == metric, "better"].iloc[0])
    seeds = sorted(set(rows["seed"]))
    by_seed = {
        seed: [
            ranks(
                {
                    method: table.scores[method, dataset].seeds[seed]
                    for method in table.methods
                    if seed in table.scores[method, dataset].seeds
                },
                better,
            )
            for dataset in table.datasets
        ]
        for seed in seeds
    }
    of_each = {
        seed: {place.method: place.mean_rank for place in places(found)}
        for seed, found in by_seed.items()
    }
    names = [f"seed {seed}" for seed in seeds] if len(seeds) > 1 else []
    lines = [
        ["place", "method", "mean rank", *names, "networks"],
        ["---:", "---", "---:", *["---:"] * len(names), "---:"],
    ]
    for place in places([found for each in by_seed.values() for found in each]):
        own = [of_each[seed].get(place.method) for seed in seeds] if names else []
        shown = [NONE if rank is None else f"{rank:.1f}" for rank in own]
        head = [str(place.place), f"`{place.method}`", f"{place.mean_rank:.1f}"]
        lines.append([*head, *shown, str(place.num_networks)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def seeds_table(rows: pd.DataFrame, metric: str, level: str | None) -> str:
    """On how many data sets methods lie above random scores on all seeds, on some, on none."""
    methods = _with_a_number(rows)
    tables = [score_table(part, metric, level, methods=methods) for _, part in rows.groupby("seed")]
    lines = []
    for method in methods:
        counts = [0, 0, 0]
        for dataset in sorted(set(rows["dataset"])):
            found = [table.scores.get((method, dataset)) for table in tables]
            above = [score.standing == "above" for score in found if score and score.value]
            if len(above) > 1:
                counts[0 if all(above) else 1 if any(above) else 2] += 1
        lines.append((f"`{method}`", counts))
    lines.sort(key=lambda line: (line[1][1], -line[1][0]))
    lines.append(
        ("*all*", [sum(column) for column in zip(*(own for _, own in lines), strict=True)])
    )
    head = ["| method | on all | on some | on none |", "| --- | ---: | ---: | ---: |"]
    return "\n".join(head + [f"| {name} | {' | '.join(map(str, own))} |" for name, own in lines])


def _with_counts(text: str, sources: Sequence[pd.DataFrame]) -> str:
    """A list of methods with what was measured of each."""
    lines = text.split("\n")
    heads = [line for line in lines if line.startswith("| method")]
    names = [cell.strip() for cell in heads[0].split("|")]
    columns: dict[str, dict[str, str]] = {"time": {}, "fidelity": {}, "truth": {}}
    for rows in reversed(sources):
        columns["time"] |= _times(rows)
        columns["fidelity"] |= _counts(rows, CRITERION)
        columns["truth"] |= _counts(rows, "auc")
    for place, line in enumerate(lines):
        named = re.match(r"\| \[?`(\w+)`", line)
        if named:
            cells = line.split("|")
            for name, found in columns.items():
                at = names.index(name)
                if cells[at].strip() != NONE:
                    cells[at] = f" {found.get(named.group(1), 'not measured')} "
            lines[place] = "|".join(cells)
    return "\n".join(lines)


def _times(rows: pd.DataFrame) -> dict[str, str]:
    """From the fastest to the slowest data set, in milliseconds."""
    frame = 1000 * score_table(rows, "seconds_per_instance").frame()
    ends = frame.agg(["min", "max"], axis=1).dropna()
    return {
        str(name): f"{low:.1f} to {high:,.0f}"
        for name, (low, high) in zip(ends.index, ends.to_numpy(), strict=True)
    }


def _counts(rows: pd.DataFrame, metric: str) -> dict[str, str]:
    """On how many data sets a method lies above random scores, of those where it has a number."""
    table = score_table(rows, metric)
    found = {}
    for method in table.methods:
        own = [table.scores[method, dataset] for dataset in table.datasets]
        standing = [score.standing for score in own if score.value is not None]
        if standing:
            found[method] = f"{standing.count('above')} of {len(standing)}"
    return found


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
    """Keep what a benchmark has whole, one file for each seed, beside what is there.

    Whole is a data set on a seed with a cell of each method. Commands name the folders as the page
    does, and not where these lay.

    Raises:
        ValueError: if rows are of another network than those that are kept there, or no data set is
            whole.
    """
    networks = _networks(out, target)
    found = _with_folders(_table(out), {"--root": ROOT, "--cache": f"--cache {target / WEIGHTS}"})
    methods = {method.name for method in read_suite(str(found["suite"][0])).methods}
    for (dataset, seed), part in found.to_pandas().groupby(["dataset", "seed"]):
        here = (pc.field("dataset") == dataset) & (pc.field("seed") == seed)
        missing = len(methods - set(part["method"]))
        if missing:
            print(f"{dataset}, seed {seed} is left out: {missing} methods are missing")
            found = found.filter(~here)
    if not len(found):
        raise ValueError(f"{out} holds no data set with all methods of its suite")
    blocks = found.select(["dataset", "seed"]).group_by(["dataset", "seed"]).aggregate([])
    rows = target / "rows"
    rows.mkdir(parents=True, exist_ok=True)
    for seed in sorted(set(found["seed"].to_pylist())):
        own = found.filter(pc.field("seed") == seed)
        path = rows / f"seed-{seed}.parquet"
        if path.exists():
            kept = read_cell(path).join(blocks, ["dataset", "seed"], join_type="left anti")
            columns = [kept[name] for name in SCHEMA.names]
            own = pa.concat_tables([own, pa.Table.from_arrays(columns, schema=SCHEMA)])
        own = own.sort_by([(name, "ascending") for name in ("dataset", "method")])
        pq.write_table(own, path, compression="zstd")
    (target / NETWORKS).write_text(json.dumps(networks, indent=1, sort_keys=True) + "\n")


def _table(out: Path) -> pa.Table:
    return pq.ParquetDataset(sorted((out / "rows").glob("*.parquet")), schema=SCHEMA).read()


def _networks(out: Path, target: Path) -> dict[str, str]:
    """The fingerprint of the network of each data set and seed: those kept there, and OUT's."""
    path = target / NETWORKS
    known = networks_of(target / WEIGHTS)
    known |= json.loads(path.read_text()) if path.exists() else {}
    for file in sorted((out / "references").glob("*.json")):
        network = json.loads(file.read_text())["network"]
        if known.setdefault(file.stem, network) != network:
            raise ValueError(
                f"{out} holds rows of another network of {file.stem} than {target}; measure with "
                f"--cache {target / WEIGHTS}"
            )
    return known


def networks_of(weights: Path) -> dict[str, str]:
    """The fingerprints of the trained models in a folder, by data set and seed."""
    found = {}
    for file in sorted(weights.glob("*.safetensors")):
        with safe_open(file, framework="pt") as opened:
            record = json.loads(opened.metadata()[RECORD])
        found[f"{record['dataset']}.{record['seed']}"] = fingerprint(load_model(file))
    return found


def _with_folders(table: pa.Table, options: dict[str, str]) -> pa.Table:
    """Rows whose commands name other folders."""
    place = SCHEMA.get_field_index("command")
    commands = table["command"]
    for option, said in options.items():
        commands = pc.replace_substring_regex(commands, rf"{option} \S+", said)
    return table.set_column(place, SCHEMA.field(place), commands)


def evidence_text(*folders: Path) -> str:
    """What `glassgraph.explainers.evidence` reads, counted from the rows in folders."""
    methods: dict[str, dict[str, Any]] = {}
    for folder in folders:
        for method, found in _evidence(read_rows(folder)).items():
            methods.setdefault(method, found)
    return json.dumps({"methods": methods}, indent=1) + "\n"


def _evidence(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By method: by what it was measured, and where it was better than random."""
    table = score_table(rows, CRITERION, datasets=_in_order(rows))
    said = f"robust fidelity at sparsity {table.level}, survey suite, "
    said += _on_seeds(rows.groupby("dataset")["seed"].nunique().tolist())
    methods = {}
    for method in table.methods:
        own = {name: table.scores[method, name] for name in table.datasets}
        known = {name: score.standing for name, score in own.items() if score.value is not None}
        if known and method != "random":
            methods[method] = {
                "measured": said,
                "above": [name for name, standing in known.items() if standing == "above"],
                "not_above": [name for name, standing in known.items() if standing != "above"],
            }
    return methods


def _on_seeds(counts: Sequence[int]) -> str:
    """On how many seeds a method was better, in words, from those of each data set."""
    least, most = min(counts), max(counts)
    if most == 1:
        return "1 seed"
    return f"each of {most} seeds" if least == most else f"each of {least} to {most} seeds"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    parser.add_argument("--pack", nargs=2, type=Path, metavar=("OUT", "TARGET"))
    parser.add_argument("--evidence", nargs="+", type=Path, metavar="ROWS")
    given = parser.parse_args()
    if given.evidence:
        evidence.FILE.write_text(evidence_text(*given.evidence))
    if given.pack:
        try:
            pack(*given.pack)
        except ValueError as error:
            parser.error(str(error))
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
