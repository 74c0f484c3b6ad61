"""``glassgraph reproduce molecules``: the atoms that a molecule's class depends on."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median, median_low
from typing import Any

from glassgraph_studies.runner.options import count, folder, seeds, several
from glassgraph_studies.runner.study import Found, Row, Rows, Study
from glassgraph_studies.runner.tables import Column, Table, name, number

_THREE = "{:.3f}"
#: Medians of the paper's GCNs, as far as they are known: data set, method.
PUBLISHED = {
    ("benzene", "cam"): 0.99,
    ("benzene", "integrated_gradients"): 0.98,
    ("logic8", "cam"): 0.91,
    ("logic8", "integrated_gradients"): 0.82,
    ("logic7", "cam"): 0.73,
    ("logic7", "integrated_gradients"): 0.78,
}
#: What a GCN's median over seeds should reach.
BARS = {
    ("benzene", "cam"): 0.97,
    ("benzene", "integrated_gradients"): 0.97,
    ("logic8", "cam"): 0.91,
    ("logic7", "integrated_gradients"): 0.78,
}


def run(**options: Any) -> Iterator[Found]:
    """Each data set, network and seed."""
    from glassgraph_studies.reproduce.molecules.experiment import run_molecules

    for scene, own in run_molecules(**options):
        head = (
            f"{scene.dataset.name}, {scene.block}, seed {scene.seed}: test accuracy "
            f"{scene.test_accuracy:.3f}, AUROC {scene.test_auroc:.3f}"
        )
        lines = [f"  {row['method']}: {row['auc']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
                 for row in own]  # fmt: skip
        yield Found(own, [head, *lines])


def tables(rows: Rows) -> Iterator[Table]:
    """The networks, and the methods on them."""
    scenes = {(row["dataset"], row["network"], row["seed"]): row for row in rows}
    yield Table("Networks: as classifiers of test molecules", _NETWORKS, list(scenes.values()))
    title = (
        "Molecules: ROC-AUC of atoms, median over networks of the mean over molecules\n"
        "interval: of that network, over molecules; paper: median of its GCNs"
    )
    yield Table(title, _COLUMNS, summarize(rows))


def summarize(rows: Rows) -> list[Row]:
    """Medians over seeds: one row for each data set, network and method."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["dataset"], row["network"], row["method"]), []).append(row)
    return [_over_seeds(*key, own) for key, own in groups.items()]


def _over_seeds(dataset: str, network: str, method: str, rows: Rows) -> Row:
    areas = [row["auc"] for row in rows]
    # With an even number of seeds the interval is that of the lower of the two in the middle.
    middle = rows[areas.index(median_low(areas))]
    is_gcn = network == "gcn"
    return {
        "dataset": dataset,
        "network": network,
        "method": method,
        "published": PUBLISHED.get((dataset, method)) if is_gcn else None,
        "bar": BARS.get((dataset, method)) if is_gcn else None,
        "median": median(areas),
        "low": middle["low"],
        "high": middle["high"],
        "each": areas,
        "molecules": middle["molecules"],
        "where_right": _median([row["auc_where_right"] for row in rows]),
    }


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def verdicts(rows: Rows) -> Iterator[str]:
    """The bars, and where random scores are."""
    found = summarize(rows)
    for row in found:
        if row["bar"] is not None:
            word = "reached" if row["median"] >= row["bar"] else "missed"
            yield (
                f"{row['dataset']}, {row['network']}, {row['method']}: {row['median']:.3f}, "
                f"asked for {row['bar']:.2f}: {word}"
            )
    chance = [row["median"] for row in found if row["method"] == "random"]
    if chance:
        yield f"random scores: {min(chance):.3f} to {max(chance):.3f}"


_NETWORKS = (
    name("data set", "dataset"),
    name("network", "network"),
    number("seed", "seed"),
    number("val. accuracy", "val_accuracy", _THREE),
    number("test accuracy", "test_accuracy", _THREE),
    number("test AUROC", "test_auroc", _THREE),
)
_COLUMNS = (
    name("data set", "dataset"),
    name("network", "network"),
    name("method", "method"),
    number("paper", "published", "{:.2f}"),
    number("median", "median", _THREE),
    Column("interval", lambda row: f"{row['low']:.3f} to {row['high']:.3f}"),
    number("if right", "where_right", _THREE),
    Column("each", lambda row: " ".join(_THREE.format(x) for x in row["each"]), wraps=True),
)

MOLECULES = Study(
    name="molecules",
    help="Molecules with a substructure: who finds its atoms?",
    run=run,
    options=(
        folder("Folder of benzene, logic7 and logic8, or above.", is_required=True),
        seeds(3, "network"),
        several("dataset", "Data set", to="datasets", choices=("benzene", "logic7", "logic8")),
        several("network", "Network", "both", to="networks", choices=("gcn", "mpnn")),
        several(
            "method",
            "Row of the table",
            to="methods",
            choices=(
                "cam",
                "integrated_gradients",
                "integrated_gradients_of_atoms",
                "gradient_x_input",
                "grad_cam",
                "random",
            ),
        ),
        count("epochs", None, "Epochs of training.", otherwise="by data set"),
    ),
    tables=tables,
    verdicts=verdicts,
)
