"""``glassgraph reproduce motifs``: planted motifs."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from glassgraph_studies.runner.options import (
    DATASETS,
    MOLECULES,
    Option,
    count,
    flag,
    several,
)
from glassgraph_studies.runner.study import Found, Row, Rows, Study
from glassgraph_studies.runner.tables import Column, Table, name, number, shown

#: What scores reach that know nothing.
_CHANCE = 0.5
_THREE = "{:.3f}"
_NAMES = (
    Column("dataset", lambda row: row[0][0], is_name=True),
    Column("method", lambda row: row[0][1], is_name=True),
)


def run(**options: Any) -> Iterator[Found]:
    """Each data set, method and seed."""
    from glassgraph_studies.reproduce.motifs.experiment import run_motifs

    for row in run_motifs(**options):
        yield Found([row], [_line(row)])


def _line(row: Row) -> str:
    each = 1000 * row["explain_seconds"] / row["explained"]
    return (
        f"{row['dataset']}, {row['method']}, seed {row['seed']}: AUC {row['auc']:.4f}"
        f"{' (inverted)' if row['is_inverted'] else ''}  "
        f"(fit {row['fit_seconds']:.1f} s, explain {each:.1f} ms each)"
    )


def tables(rows: Rows) -> Iterator[Table]:
    """Published beside measured, each seed, and what the models need."""
    from glassgraph_studies.reproduce.motifs.experiment import summarize

    found = list(summarize(rows).items())
    yield Table(_title(rows), _COLUMNS, found)
    yield Table(
        "Each seed; * inverted: the motif comes last",
        (*_NAMES, Column("AUC", lambda row: " ".join(map(_marked, row[1].aucs)), wraps=True)),
        found,
    )
    by_ying = [row for row in found if row[0][1] in _BY_YING]
    if by_ying:
        yield Table("Beside Ying et al.: own motif, 95 % interval over models", _PAPER, by_ying)
    title = "Does the model need the motif? P: mean probability of the predicted class"
    yield Table(title, _EVIDENCE, list(_evidence(rows)))


def _evidence(rows: Rows) -> Iterator[Row]:
    """Of each network and predicted class, means over models."""
    found: dict[Any, dict[int, Row]] = {}
    for row in rows:
        for each in row["evidence"]:
            key = row["dataset"], row["network"], each["target"]
            found.setdefault(key, {})[row["data_seed"]] = {**row, **each}
    for (dataset, network, target), by_model in found.items():
        models = list(by_model.values())
        means = {
            key: statistics.fmean(row[key] for row in models)
            for key in ("test_accuracy", "count", "p_whole", "p_motif", "p_rest")
        }
        name = dataset if network == "reference" else f"{dataset}, {network}"
        yield {**means, "dataset": name, "target": target, "count": round(means["count"])}


def _title(rows: Rows) -> str:
    title = (
        "Planted motifs: ROC-AUC of edges, mean ± std over seeds\n"
        "own: of the own motif alone; by class: of the predicted classes of graphs"
    )
    targets = sorted({row["target"] for row in rows} - {None})
    if targets:
        title += f"\nfitted on and explained: class {', '.join(map(str, targets))} alone"
    return title


def _aim(row: Any) -> str:
    aim, mean = row[1].aim, row[1].mean
    return "-" if aim is None else f"{aim:.2f} {'reached' if mean >= aim else 'missed'}"


def _marked(area: float) -> str:
    return f"{area:.3f}{'*' if area < _CHANCE else ''}"


def _beside(row: Any) -> str:
    published, interval = row[1].published, row[1].interval
    if published is None:
        return "-"
    if row[1].own >= published:
        return "reached"
    return "within" if interval is not None and interval[1] >= published else "missed"


def _interval(row: Any) -> str:
    return "-" if row[1].interval is None else "{:.3f} to {:.3f}".format(*row[1].interval)


#: What their table has: areas of the explained node's own motif.
_BY_YING = ("attention", "edge_gradients", "saliency", "gnn_explainer")
_PAPER = (
    *_NAMES,
    Column("publ.", lambda row: shown(row[1].published, _THREE)),
    Column("own", lambda row: shown(row[1].own, _THREE)),
    Column("95 %", _interval),
    Column("", _beside),
)
_COLUMNS = (
    *_NAMES,
    Column("publ.", lambda row: shown(row[1].published, _THREE)),
    Column("AUC", lambda row: f"{row[1].mean:.3f}±{row[1].std:.3f}"),
    Column("aim", _aim),
    Column("own", lambda row: shown(row[1].own, _THREE)),
    Column("by class", lambda row: "/".join(shown(x, "{:.2f}") for x in row[1].by_class) or "-"),
)
_EVIDENCE = (
    name("dataset", "dataset"),
    number("accuracy", "test_accuracy", _THREE),
    number("class", "target"),
    number("n", "count"),
    number("P all edges", "p_whole", _THREE),
    number("P motifs alone", "p_motif", _THREE),
    number("P without", "p_rest", _THREE),
)

MOTIFS = Study(
    name="motifs",
    help="Planted motifs: who finds the edges that the label depends on?",
    run=run,
    options=(
        several("method", "Method of 'glassgraph methods'", "five", to="methods"),
        DATASETS,
        Option("seeds", int, "Seeds of the explainer.", 10, 1, convert=range),
        count("data_seed", 0, "Seed of the data, the model and the halves.", least=0),
        count("models", 1, "Data sets, each with its model, from that seed on."),
        Option(
            "network",
            str,
            "What is trained: reference or attention.",
            "reference",
            choices=("reference", "attention"),
        ),
        count("instances", None, "Most predictions to explain.", otherwise="half, fewer if slow"),
        count("target", None, "Fit and explain graphs of this predicted class alone.", least=0),
        flag("published_settings", "Settings of the authors' notebooks."),
        MOLECULES,
    ),
    tables=tables,
)
