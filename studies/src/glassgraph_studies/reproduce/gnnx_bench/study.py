"""``glassgraph reproduce gnnx-bench``: sufficiency and necessity of bonds, beside chance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

from glassgraph_studies.runner.options import Option, count, folder, several
from glassgraph_studies.runner.options import seeds as seeds_option
from glassgraph_studies.runner.study import Found, Row, Rows, Study
from glassgraph_studies.runner.tables import Column, Table, name, number, shown

_THREE = "{:.3f}"
_LEVELS = ("top5", "top10", "top15", "top20", "top25")
#: Sufficiency at 5 and at 25 bonds, computed from the scores that the authors published.
PUBLISHED = {
    "gnn_explainer": (0.643, 0.868),
    "pg_explainer": (0.413, 0.729),
    "subgraphx": (0.634, 0.926),
    "tage (not here)": (0.680, 0.865),
    "rc_explainer": (0.639, 0.861),
}
ONE_PASS = (
    *("saliency", "edge_gradients", "occlusion", "occlusion_isolated"),
    *("integrated_gradients", "grad_cam"),
)
SEARCHES = (
    "causal_screening_isolated",
    "erasure_search_isolated",
    "erasure_search_isolated_greedy",
)
_STABILITY = "stability_seeds_overlap"


def run(**options: Any) -> Iterator[Found]:
    """Each seed and method."""
    from glassgraph.models.cache import default_cache
    from glassgraph_studies.reproduce.gnnx_bench.experiment import run_gnnx_bench

    cache = Path(options.pop("cache", None) or default_cache())
    for scene, rows in run_gnnx_bench(cache=cache, **options):
        accuracy, first = scene.network.accuracy, rows[0]
        values = {level: _find(rows, "sufficiency", level) for level in ("top5", "top25")}
        line = (
            f"seed {scene.seed}, test accuracy {accuracy['test']:.3f}, {first['method']}: "
            f"sufficiency {shown(values['top5'], _THREE)} / {shown(values['top25'], _THREE)}, "
            f"{1000 * first['seconds_per_molecule']:.1f} ms a molecule"
        )
        yield Found(rows, [line])


def tables(rows: Rows) -> Iterator[Table]:
    """Each metric, published values beside it, and what seeds agree on."""
    for metric, asks in (
        ("sufficiency", "share of molecules of the same class with the k best bonds alone"),
        ("necessity", "share of molecules of another class without the k best bonds"),
    ):
        title = f"{metric.capitalize()}: {asks}\nmeans over seeds; intervals: the widest of theirs"
        columns = _COLUMNS + (_PUBLISHED if metric == "sufficiency" else ())
        yield Table(title, columns, summarize(rows, metric))
    stable = [row for row in rows if row["metric"] == _STABILITY]
    if stable:
        yield Table(
            "Seeds: share of the best ten edges in common, and less that of random scores",
            (
                name("method", "method"),
                number("overlap", "value", _THREE),
                number("low", "low", _THREE),
                number("high", "high", _THREE),
                number("chance", "floor", _THREE),
                Column("less chance", lambda row: _THREE.format(row["value"] - row["floor"])),
                number("n", "n"),
            ),
            stable,
        )


def summarize(rows: Rows, metric: str) -> Rows:
    """For each method its values, chance and search in the first two lines."""
    own = [row for row in rows if row["metric"] == metric]
    if not own:
        return []
    found: list[dict[str, Any]] = [
        _entry("chance (floor)", own, "floor"),
        _entry("search (ceiling)", own, "ceiling"),
    ]
    for method in dict.fromkeys(row["method"] for row in own):
        of_method = [row for row in own if row["method"] == method]
        entry = _entry(method, of_method, "value")
        entry["ms"] = 1000 * fmean(row["seconds_per_molecule"] for row in of_method)
        found.append(entry)
    if metric == "sufficiency":
        known = [entry["method"] for entry in found]
        found += [{"method": each} for each in PUBLISHED if each not in known and "(" in each]
        for entry in found:
            entry["published"] = PUBLISHED.get(entry["method"])
    return found


def verdicts(rows: Rows) -> Iterator[str]:
    """The bars."""
    first = [row for row in rows if row["metric"] == "sufficiency"]
    for level, bar in (("top5", 0.85), ("top25", 0.95)):
        values = {
            method: _find([row for row in first if row["method"] == method], "sufficiency", level)
            for method in ONE_PASS
        }
        measured = {method: value for method, value in values.items() if value is not None}
        if measured:
            best = max(measured, key=measured.__getitem__)
            yield _verdict(f"best one-pass method {level}: {best}", measured[best], bar)
    for method in SEARCHES:
        value = _find([row for row in first if row["method"] == method], "sufficiency", "top5")
        if value is not None:
            yield _verdict(f"{method} top5", value, 0.97)


def _verdict(what: str, value: float, bar: float) -> str:
    return f"{what}: {value:.3f}, bar {bar}: {'reached' if value >= bar else 'missed'}"


def _find(rows: Rows, metric: str, level: str) -> float | None:
    found = [row["value"] for row in rows if (row["metric"], row["level"]) == (metric, level)]
    return fmean(found) if found else None


def _entry(method: str, rows: Rows, key: str) -> dict[str, Any]:
    prefix = "" if key == "value" else f"{key}_"
    entry: dict[str, Any] = {"method": method, "n": max(row["n"] for row in rows)}
    for level in _LEVELS:
        own = [row for row in rows if row["level"] == level and row[key] is not None]
        if own:
            entry[level] = fmean(row[key] for row in own)
            entry[f"{level}_low"] = min(row[f"{prefix}low"] for row in own)
            entry[f"{level}_high"] = max(row[f"{prefix}high"] for row in own)
    return entry


def _at(level: str) -> Column:
    def text(row: Row) -> str:
        if level not in row:
            return "-"
        low, high = (f"{row[f'{level}_{end}']:.2f}" for end in ("low", "high"))
        return f"{row[level]:.3f} ({low}-{high})"

    return Column(level.replace("top", "k = "), text)


def _published(row: Row) -> str:
    return " / ".join(_THREE.format(each) for each in row["published"] or ()) or "-"


_COLUMNS = (
    name("method", "method"),
    *(_at(level) for level in _LEVELS),
    number("ms", "ms", "{:.1f}"),
    number("n", "n"),
)
_PUBLISHED = (Column("published 5 / 25", _published),)

GNNX_BENCH = Study(
    name="gnnx-bench",
    help="Do few bonds suffice for a molecule's class? Mutagenicity as in GNNX-Bench, with chance.",
    run=run,
    options=(
        folder("Folder of Mutagenicity's raw files, or above.", is_required=True),
        seeds_option(1, "split, network and sample"),
        several(
            "method",
            "Row of the table",
            "all but subgraphx",
            to="methods",
            choices=(
                "random",
                *ONE_PASS,
                "gnn_explainer",
                "pg_explainer",
                "rc_explainer",
                "subgraphx",
                "causal_screening",
                "causal_screening_isolated",
                "erasure_search",
                "erasure_search_isolated",
                "erasure_search_isolated_greedy",
            ),
        ),
        count("molecules", 150, "Molecules explained for each seed."),
        count("fitted", 500, "Molecules of the training part that methods learn from."),
        count("stable", 50, "Molecules on which seeds are compared; 0 for none.", least=0),
        count("epochs", None, "Epochs of training, for a network that need not be good."),
        Option("cache", Path, "Folder of trained networks.", otherwise="that of the commands"),
    ),
    tables=tables,
    verdicts=verdicts,
)
