"""Rows of a benchmark as a table for a page or a paper: methods by data sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from glassgraph.benchmarks.summary import Pooled, Verdict, pool, verdict_over_seeds
from glassgraph.errors import UnknownMetricError
from glassgraph.words import nearest

if TYPE_CHECKING:
    import pandas as pd

#: Columns that a cell has once, whatever was measured on it.
OF_A_CELL = ("seconds_per_instance", "fit_seconds", "model_accuracy")
#: Why there is no number, in the place of one.
WORDS = {"not_applicable": "n/a", "no_truth": "no truth", "timeout": "time", "failed": "failed"}
#: A number that is not defined, or a cell without rows.
NONE = "–"
#: A level near the middle is what tables of the field compare at.
USUAL_LEVELS = ("0.7", "top10", "top5", "0.5", "")


@dataclass(frozen=True)
class Score:
    """One method on one data set: a number over seeds with its standing, or why there is none.

    Attributes:
        value: the mean over seeds with its interval, see `glassgraph.benchmarks.summary`.
        standing: whether the intervals of the value and of random scores are apart, on every seed.
        word: instead of a value; beside one, on how many of the measured seeds there is one, where
            it is not on all.
        seeds: the value on each seed where there is one.
    """

    value: Pooled | None = None
    standing: Verdict = "unknown"
    word: str = ""
    seeds: Mapping[int, Pooled] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreTable:
    """Which method is best on which data set, in the form that a paper prints it?

    Attributes:
        metric, level: what was measured.
        methods, datasets: in the order of the rows of the table and its columns.
        scores: by method and data set.
        floor, ceiling: what random scores and a search for the metric get, by data set.
    """

    metric: str
    level: str
    methods: Sequence[str]
    datasets: Sequence[str]
    scores: Mapping[tuple[str, str], Score]
    floor: Mapping[str, Pooled]
    ceiling: Mapping[str, Pooled]

    def frame(self) -> pd.DataFrame:
        """The means as a table of numbers, one row for each method; NaN where there is none."""
        import pandas as pd

        found = [
            [_number(self.scores[method, dataset].value) for dataset in self.datasets]
            for method in self.methods
        ]
        return pd.DataFrame(found, list(self.methods), list(self.datasets), dtype=float)

    def markdown(self, digits: int = 2, *, intervals: bool = False, factor: float = 1.0) -> str:
        """The table in Markdown, what lies above random scores in bold.

        Args:
            digits: after the point.
            intervals: with the 95 % intervals.
            factor: all numbers times this, as 1000 for milliseconds.
        """
        return "\n".join(
            f"| {' | '.join(line)} |" for line in self._markdown(digits, intervals, factor)
        )

    def latex(self, digits: int = 2, *, intervals: bool = False, factor: float = 1.0) -> str:
        r"""The table as a ``tabular`` of LaTeX with rules of ``booktabs``; see `markdown`."""
        show = _writer(digits, intervals, factor, "--")
        lines = [
            [_escaped(method), *(_bold(show(s), s, r"\textbf{{{}}}") for s in self._line(method))]
            for method in self.methods
        ]
        ends = [[rf"\emph{{{name}}}", *map(show, found)] for name, found in self._ends()]
        head = " & ".join(["method", *map(_escaped, self.datasets)])
        return "\n".join(
            [
                rf"\begin{{tabular}}{{l{'r' * len(self.datasets)}}}",
                r"\toprule",
                rf"{head} \\",
                r"\midrule",
                *(rf"{' & '.join(line)} \\" for line in lines),
                *([r"\midrule"] if ends else []),
                *(rf"{' & '.join(line)} \\" for line in ends),
                r"\bottomrule",
                r"\end{tabular}",
            ]
        )

    def _markdown(self, digits: int, intervals: bool, factor: float) -> list[list[str]]:
        show = _writer(digits, intervals, factor, NONE)
        return [
            ["method", *self.datasets],
            ["---", *["---:"] * len(self.datasets)],
            *(
                [f"`{method}`", *(_bold(show(s), s, "**{}**") for s in self._line(method))]
                for method in self.methods
            ),
            *([f"*{name}*", *map(show, found)] for name, found in self._ends()),
        ]

    def _line(self, method: str) -> list[Score]:
        return [self.scores[method, dataset] for dataset in self.datasets]

    def _ends(self) -> list[tuple[str, list[Score]]]:
        """Floor and ceiling as rows, where there are any."""
        named = (("random scores", self.floor), ("search", self.ceiling))
        return [
            (name, [Score(found.get(dataset)) for dataset in self.datasets])
            for name, found in named
            if found
        ]


def score_table(
    rows: pd.DataFrame,
    metric: str,
    level: str | None = None,
    *,
    methods: Sequence[str] | None = None,
    datasets: Sequence[str] | None = None,
) -> ScoreTable:
    """One metric of a benchmark as a table, methods by data sets, means over seeds.

    Args:
        rows: of a benchmark, see `glassgraph.benchmarks.read_rows`.
        metric: a metric's name, or what a cell has once: ``"seconds_per_instance"``,
            ``"fit_seconds"``, ``"model_accuracy"``.
        level: as in the rows; None for the usual one (``"0.7"``, else ``"top10"``, …).
        methods: which, in this order; None for all. Those without rows stay empty.
        datasets: likewise.

    Raises:
        UnknownMetricError: if the rows hold no such metric, or it has no such level.

    Example:
        >>> from glassgraph.benchmarks.rows import to_frame
        >>> shared = {"suite": "mine", "seed": 0, "status": "measured", "metric": "auc"}
        >>> of = {"better": "higher", "floor": 0.5, "floor_low": 0.4, "floor_high": 0.6}
        >>> rows = [
        ...     {**shared, **of, "dataset": "cora", "method": name, "value": v, "low": v, "high": v}
        ...     for name, v in (("saliency", 0.75), ("zorro", 0.5))
        ... ]
        >>> print(score_table(to_frame(rows), "auc").markdown())
        | method | cora |
        | --- | ---: |
        | `saliency` | **0.75** |
        | `zorro` | 0.50 |
        | *random scores* | 0.50 |
    """
    own, level = _own(rows, metric, level)
    methods = sorted(set(rows["method"])) if methods is None else list(methods)
    datasets = list(dict.fromkeys(rows["dataset"])) if datasets is None else list(datasets)
    floor = _by_dataset(own, "floor") if metric not in OF_A_CELL else {}
    ceiling = _by_dataset(own, "ceiling") if metric not in OF_A_CELL else {}
    parts, refused = _by_cell(own), _by_cell(rows[rows["metric"] == ""])
    seeds = {str(name): part["seed"].nunique() for name, part in rows.groupby("dataset")}
    scores = {
        (method, dataset): _score(
            parts.get((method, dataset)),
            refused.get((method, dataset)),
            floor.get(dataset),
            seeds.get(dataset, 0),
        )
        for method in methods
        for dataset in datasets
    }
    return ScoreTable(metric, level, methods, datasets, scores, floor, ceiling)


def _by_cell(rows: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    groups = rows.groupby(["method", "dataset"], sort=False)
    return {(str(method), str(dataset)): part for (method, dataset), part in groups}


def _own(rows: pd.DataFrame, metric: str, level: str | None) -> tuple[pd.DataFrame, str]:
    """The rows of a metric at a level, with those that say why there is no number."""
    if metric in OF_A_CELL:
        once = rows.dropna(subset=[metric]).drop_duplicates(["dataset", "seed", "method"])
        ends = once.assign(value=once[metric], low=once[metric], high=once[metric])
        better = "higher" if metric == "model_accuracy" else "lower"
        return ends.assign(better=better, floor=None, status="measured"), ""
    own = rows[rows["metric"] == metric]
    if own.empty:
        known_metrics = [*dict.fromkeys(name for name in rows["metric"] if name), *OF_A_CELL]
        hint = nearest(metric, known_metrics)
        raise UnknownMetricError(f"the rows hold no metric {metric!r}{hint}")
    levels = list(dict.fromkeys(own.loc[own["status"] == "measured", "level"]))
    if level is None:
        level = next((each for each in USUAL_LEVELS if each in levels), min(levels, default=""))
    elif levels and level not in levels:
        raise UnknownMetricError(f"{metric} has the levels {', '.join(levels)}, not {level!r}")
    return own[(own["level"] == level) | (own["status"] != "measured")], level


def _score(
    own: pd.DataFrame | None, refused: pd.DataFrame | None, floor: Pooled | None, num_seeds: int
) -> Score:
    value = None if own is None else _pooled(own, "value")
    if own is not None and value is not None:
        found = {int(row["seed"]): row for row in _known(own, "value").to_dict(orient="records")}
        values = {seed: Pooled(*_ends(row, "value")) for seed, row in found.items()}
        floors = (_pooled(own[own["seed"] == seed], "floor") or floor for seed in found)
        pairs = list(zip(values.values(), floors, strict=True))
        standing = verdict_over_seeds(pairs, own["better"].iloc[0])
        word = "" if len(found) == num_seeds else f"{len(found)} of {num_seeds}"
        return Score(value, standing, word, values)
    silent = own if own is not None else refused
    if silent is None:
        return Score(word=NONE)
    status = str(silent["status"].iloc[0])
    return Score(word=WORDS.get(status, NONE))


def _by_dataset(own: pd.DataFrame, name: str) -> dict[str, Pooled]:
    """Floor or ceiling: it stands beside every method, with the same value for each seed."""
    found = {}
    for dataset, part in own.dropna(subset=[name]).groupby("dataset", sort=False):
        pooled = _pooled(part.drop_duplicates("seed"), name)
        if pooled is not None:
            found[str(dataset)] = pooled
    return found


def _pooled(own: pd.DataFrame, name: str) -> Pooled | None:
    return pool([_ends(row, name) for row in _known(own, name).to_dict(orient="records")])


def _known(own: pd.DataFrame, name: str) -> pd.DataFrame:
    return own[(own["status"] == "measured") & own[name].notna()]


def _ends(row: Mapping[Any, Any], name: str) -> tuple[float, float | None, float | None]:
    """A number with its interval."""
    names = ("low", "high") if name == "value" else (f"{name}_low", f"{name}_high")
    low, high = (None if row[end] != row[end] else row[end] for end in names)
    return float(row[name]), low, high


def _writer(digits: int, intervals: bool, factor: float, to: str) -> Callable[[Score], str]:
    def show(score: Score) -> str:
        value = score.value
        if value is None:
            return score.word or NONE
        text = _figures(factor * value.value, digits)
        if intervals and value.low is not None and value.high is not None:
            ends = (_figures(factor * end, digits) for end in (value.low, value.high))
            text += f" ({f' {to} '.join(ends)})"
        return f"{text} ({score.word})" if score.word else text

    return show


def _figures(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:,.{digits}f}"  # no minus before a zero


def _bold(text: str, score: Score, form: str) -> str:
    return form.format(text) if score.standing == "above" else text


def _number(value: Pooled | None) -> float:
    return float("nan") if value is None else value.value


def _escaped(text: str) -> str:
    return text.replace("_", r"\_")
