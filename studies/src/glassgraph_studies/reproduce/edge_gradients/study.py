"""``glassgraph reproduce edge-gradients``: how close explainers are to edge gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from glassgraph_studies.reproduce.edge_gradients.bars import (
    PAIRS,
    POSITIVE,
    bars,
    cosine_of,
    value_of,
)
from glassgraph_studies.runner.options import DATASETS, count, folder, seeds, several, switch
from glassgraph_studies.runner.study import Figure, Found, Pages, Row, Rows, Study
from glassgraph_studies.runner.tables import Column, Table, number, shown

#: Networks that a figure shows at most.
_DRAWN = 12
#: Heads of columns, by the names of rows.
_SHORT = {
    "edge gradients": "grad",
    "positive gradients": "pos",
    "GNNExplainer": "GNNX",
    "occlusion": "occl",
    "attention": "att",
    "random": "rand",
    "all ones": "ones",
}
_ROOT = folder(
    "Folder of planetoid, mutag_tud, sst_trees and glove_small; without it, generated graphs "
    "alone.",
    missed="papers, molecules and sentences are left out: give --root, the folder above theirs",
)
_THREE = "{:.3f}"
_TITLE = (
    "Mean cosine of GNNExplainer (GNNX), random numbers and ones with positive\n"
    "gradients; by layer: of edge gradients with occlusion; flips: percent of\n"
    "gradients that change sign, all gates moving / one alone; n predictions"
)


def run(*, matrices: bool, **options: Any) -> Iterator[Found]:
    """Each network."""
    from glassgraph_studies.reproduce.edge_gradients.experiment import run_edge_gradients

    for outcome in run_edge_gradients(**{"layers": (1, 3), **options}):
        own = list(_matrices(outcome.row)) if matrices else []
        yield Found([outcome.row], [_line(outcome.row)], own, subject=outcome)


def _line(row: Row) -> str:
    return (
        f"{_name(row)}: GNNExplainer and positive gradients {_value(row, 'learned_positive')}, "
        f"accuracy {row['accuracy']:.3f}  "
        f"(train {row['train_seconds']:.1f} s, explain {row['explain_seconds']:.1f} s)"
    )


def _matrices(row: Row) -> Iterator[Table]:
    for level, words in (("edge", "edges"), ("layer", "edges by layer")):
        names = row[level]["names"]
        columns = [Column("", lambda pair: pair[0], is_name=True)]
        columns += [_entry(_SHORT[each], position) for position, each in enumerate(names)]
        title = f"{_name(row)}: cosine, {words}, n = {row['instances']}"
        yield Table(title, columns, list(zip(names, row[level]["cosine"], strict=True)))


def _entry(title: str, position: int) -> Column:
    return Column(title, lambda pair: shown(pair[1][position], _THREE))


def tables(rows: Rows) -> Iterator[Table]:
    """One line for each network, and everything else that has a published number beside it."""
    yield Table(_TITLE, _COLUMNS, rows)
    others = [found for row in rows for found in _published(row)]
    if others:
        yield Table("Other published numbers (~ read from a figure)", _OTHERS, others)


def _published(row: Row) -> Iterator[dict[str, Any]]:
    for key, word in row["published"].items():
        if key in PAIRS and key != "learned_positive":
            level, one, other = PAIRS[key]
            pair = f"{_SHORT[one]} and {_SHORT[other]}{' by layer' if level == 'layer' else ''}"
            yield {"row": row, "pair": pair, "published": word, "own": _value(row, key)}
        elif key == "reverse":
            own = shown(row["reverse"], _THREE)
            yield {"row": row, "pair": "GNNX - reverse and grad", "published": word, "own": own}


def verdicts(rows: Rows) -> Iterator[str]:
    """Every bar, reached or missed."""
    for bar in bars(rows):
        verdict = "reached" if bar.is_met else "MISSED"
        yield f"{verdict}: {bar.name}: {bar.found:.4g}, wanted {bar.wanted}"


def _name(row: Row) -> str:
    ending = f" ({row['seed']})" if row["seed"] else ""
    dataset = row["dataset"].replace("negative-", "neg. ")
    return f"{dataset} {row['model']} {row['layers']}{ending}"


def _value(row: Row, key: str) -> str:
    return shown(value_of(row, key), _THREE)


def _with_positive(row: Row, name: str) -> str:
    return shown(cosine_of(row, "edge", name, POSITIVE), _THREE)


def _flips(row: Row) -> str:
    return "/".join(shown(row[f"flips_{how}"], "{:.3g}", 100) for how in ("together", "alone"))


_COLUMNS = (
    Column("network", _name, is_name=True),
    Column("publ.", lambda row: row["published"].get("learned_positive", "-")),
    Column("GNNX", lambda row: _value(row, "learned_positive")),
    Column("rand", lambda row: _with_positive(row, "random")),
    Column("ones", lambda row: _with_positive(row, "all ones")),
    Column("layer", lambda row: _value(row, "layer_gradients_occlusion")),
    Column("flips", _flips),
    number("n", "instances"),
)
_OTHERS = (
    Column("network", lambda found: _name(found["row"]), is_name=True),
    Column("cosine of", lambda found: found["pair"], is_name=True),
    number("publ.", "published"),
    number("own", "own"),
)


def _save_figure(outcomes: Sequence[Any], path: Path) -> None:
    from glassgraph_studies.reproduce.edge_gradients.figure import save_figure

    save_figure(outcomes, path)


def _save_page(outcome: Any, folder: Path) -> None:
    from glassgraph_studies.reproduce.edge_gradients.figure import save_page

    save_page(outcome, folder)


EDGE_GRADIENTS = Study(
    name="edge-gradients",
    help="Edge gradients, GNNExplainer, occlusion: how alike are they, and what is that worth?",
    run=run,
    options=(
        _ROOT,
        DATASETS,
        several("model", "gcn, gat, gin or sgc", "all", to="models"),
        several("layers", "Layers of these networks", "1 and 3", kind=int, least=1),
        count(
            "nodes",
            None,
            "Most nodes or graphs to explain.",
            otherwise="the study's own",
            to="instances",
        ),
        seeds(1, "data and networks"),
        count("explainer_epochs", None, "Steps of GNNExplainer.", otherwise="100, as published"),
        switch("matrices", "Print every matrix."),
    ),
    tables=tables,
    verdicts=verdicts,
    figure=Figure(
        f"Draw the matrices of the first {_DRAWN} networks (.png, .svg, .pdf).",
        _save_figure,
        most=_DRAWN,
    ),
    pages=Pages("Folder for a page for each network.", _save_page),
)
