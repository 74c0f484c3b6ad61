"""What the numbers of a benchmark allow one to say, by rules on intervals.

* *above random*: the method's interval and that of random scores on the same predictions do not
  overlap, on the good side; *worse than random* likewise; otherwise *not above random here*.
* *leads*: no other method's interval lies above its lower end; those whose intervals overlap with
  the best one's *cannot be told from it*.
* *agree*: a mean rank correlation of at least `AGREES` over the explained predictions.
* *stable*: the interval over seeds (or edges, noise) lies above chance, and the value is at least
  `STABLE`.

The rules go by one criterion, the first of `CRITERIA` that was measured: what asks the model comes
before what asks the planted truth, since a model need not use it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glassgraph.benchmarks.score_table import USUAL_LEVELS

if TYPE_CHECKING:
    import pandas as pd

Agreement = Mapping[tuple[str, str], float]

CRITERIA = (
    *("robust_fidelity_delta", "deletion_area", "fidelity_plus", "sufficiency", "necessity"),
    *("fidelity_minus", "unfaithfulness", "gef", "characterization"),
    *("auc", "node_auc", "gea", "average_precision"),
)
AGREES = 0.7
STABLE = 0.7
#: Fewer instances than this, and intervals are wide.
FEW = 10


@dataclass(frozen=True)
class _Number:
    """One row, turned so that more is better."""

    method: str
    row: Mapping[str, Any]
    sign: float

    @property
    def value(self) -> float:
        return self.sign * float(self.row["value"])

    def ends(self, of: str = "") -> tuple[float, float]:
        """The interval of the value (or the floor), from the bad end to the good one."""
        names = (f"{of}_low", f"{of}_high") if of else ("low", "high")
        center = self.row[of or "value"]
        low, high = (center if _missing(self.row[name]) else self.row[name] for name in names)
        ends = sorted((self.sign * float(low), self.sign * float(high)))
        return ends[0], ends[1]

    @property
    def standing(self) -> str:
        """``"above"``, ``"below"``, ``"at"`` chance; ``"unknown"`` without a floor."""
        if _missing(self.row["floor"]):
            return "unknown"
        (low, high), (floor_low, floor_high) = self.ends(), self.ends("floor")
        if low > floor_high:
            return "above"
        return "below" if high < floor_low else "at"


def verdict(frame: pd.DataFrame, agreement: Agreement) -> str:
    """Sentences about the methods of one data set and seed; see the module.

    Args:
        frame: rows of a benchmark.
        agreement: the mean rank correlation of pairs of methods.
    """
    rows: list[dict[str, Any]] = frame.to_dict(orient="records")  # type: ignore[assignment]
    numbers = _criterion(rows)
    said = []
    if numbers:
        said += _about_chance(numbers) + _about_the_best(numbers)
    said += _about_agreement(rows, agreement) + _about_stability(rows)
    said += _about_the_rest(rows, numbers)
    return " ".join(said) or "Nothing was measured."


def _criterion(rows: Sequence[Mapping[str, Any]]) -> list[_Number]:
    """One number for each method, by the first criterion there is, at the most usual level."""
    measured = [row for row in rows if row["status"] == "measured" and row["method"] != "random"]
    for metric in CRITERIA:
        own = [row for row in measured if row["metric"] == metric]
        levels = {row["level"] for row in own}
        if own:
            level = next((each for each in USUAL_LEVELS if each in levels), min(levels))
            sign = 1.0 if own[0]["better"] == "higher" else -1.0
            return [_Number(row["method"], row, sign) for row in own if row["level"] == level]
    return []


def _about_chance(numbers: Sequence[_Number]) -> list[str]:
    said = []
    by = {name: [each for each in numbers if each.standing == name] for name in ("above", "below")}
    above = [each.method for each in by["above"]]
    if above:
        said.append(f"By {_words(numbers[0])}, {_join(above)} {_is(above)} above random.")
    for each in numbers:
        if each.standing == "at":
            said.append(f"{each.method} is not above random here ({_figures(each)}).")
    for each in by["below"]:
        said.append(f"{each.method} is worse than random here ({_figures(each)}).")
    return said


def _about_the_best(numbers: Sequence[_Number]) -> list[str]:
    """Which leads, and what cannot be told from it; nothing where none is above random."""
    known = [each for each in numbers if each.standing in ("above", "unknown")]
    if len(known) < 2:
        return []
    best = max(known, key=lambda each: each.value)
    tied = [o.method for o in known if o is not best and o.ends()[1] >= best.ends()[0]]
    own = f"{best.method} has the best value ({_interval(best.row)})"
    if not tied:
        return [f"{own}, and its interval lies apart from all others."]
    return [f"{own}; {_join(tied)} cannot be told from it, as intervals overlap."]


def _about_agreement(rows: Sequence[Mapping[str, Any]], agreement: Agreement) -> list[str]:
    if not agreement:
        return []
    stable = _stable(rows)
    said = []
    pairs = sorted(agreement.items(), key=lambda entry: -entry[1])
    for (first, second), value in [pair for pair in pairs if pair[1] >= AGREES][:3]:
        both = " and are stable" if stable.get(first) and stable.get(second) else ""
        said.append(f"{first} and {second} agree (rank correlation {_short(value)}){both}.")
    if not said:
        (first, second), value = pairs[0]
        said.append(
            f"No two methods agree: the most alike are {first} and {second} (rank correlation "
            f"{_short(value)})."
        )
    return said


def _about_stability(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    unstable = [method for method, is_stable in _stable(rows).items() if not is_stable]
    if not unstable:
        return []
    return [f"{_join(unstable)} {_is(unstable)} not stable: other seeds or edges, other scores."]


def _stable(rows: Sequence[Mapping[str, Any]]) -> dict[str, bool]:
    """Whether rank correlations under every disturbance that was measured hold."""
    found: dict[str, bool] = {}
    for row in rows:
        is_about = str(row["metric"]).startswith("stability_") and row["metric"].endswith("_rank")
        if not is_about or row["status"] != "measured" or row["method"] == "random":
            continue
        number = _Number(row["method"], row, 1.0)
        holds = number.value >= STABLE and number.standing in ("above", "unknown")
        found[row["method"]] = found.get(row["method"], True) and holds
    return found


def _about_the_rest(rows: Sequence[Mapping[str, Any]], numbers: Sequence[_Number]) -> list[str]:
    said = []
    hindsight = dict.fromkeys(row["method"] for row in rows if "hindsight" in row["reason"])
    if hindsight:
        said.append(
            f"{_join(list(hindsight))} {_was(hindsight)} fitted on what {_it(hindsight)} explain"
            f"{'s' if len(hindsight) == 1 else ''} (hindsight): on predictions that "
            f"{_it(hindsight)} {'has' if len(hindsight) == 1 else 'have'} not seen the numbers may "
            "be lower."
        )
    few = min((int(each.row["n"]) for each in numbers), default=FEW)
    if few < FEW:
        word = "prediction" if few == 1 else "predictions"
        said.append(f"All this rests on {few} {word}: explain more before you rely on it.")
    gamed = [each for each in numbers if not _missing(each.row["ceiling"])]
    if gamed:
        said.append(f"A search for the metric itself gets {_short(gamed[0].row['ceiling'])} here.")
    for row in rows:
        if row["metric"] == "" and row["status"] in ("timeout", "failed"):
            said.append(f"{row['method']} has no numbers ({row['status']}: {row['reason']}).")
    return said


# Words


def _words(number: _Number) -> str:
    metric, level = str(number.row["metric"]).replace("_", " "), number.row["level"]
    if not level:
        return metric
    best = "the best edge" if level == "top1" else f"the {level[3:]} best edges"
    at = best if level.startswith("top") else f"sparsity {level}"
    return f"{metric} at {at}"


def _figures(number: _Number) -> str:
    return (
        f"{str(number.row['metric']).replace('_', ' ')} {_interval(number.row)}, random "
        f"{_interval(number.row, 'floor')}"
    )


def _interval(row: Mapping[str, Any], of: str = "") -> str:
    names = (f"{of}_low", f"{of}_high") if of else ("low", "high")
    value = _short(row[of or "value"])
    if any(_missing(row[name]) for name in names):
        return value
    return f"{value} [{_short(row[names[0]])}, {_short(row[names[1]])}]"


def _short(value: float) -> str:
    """``.02``, as tables of the field have it.

    Example:
        >>> _short(0.021), _short(-0.5), _short(1.25)
        ('.02', '-.50', '1.25')
    """
    rounded = round(float(value), 2) + 0.0  # no minus before a zero
    text = f"{rounded:.2f}"
    return text.replace("0.", ".", 1) if abs(rounded) < 1 else text


def _join(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _was(names: Mapping[str, Any]) -> str:
    return "was" if len(names) == 1 else "were"


def _it(names: Mapping[str, Any]) -> str:
    return "it" if len(names) == 1 else "they"


def _missing(value: Any) -> bool:
    return value is None or value != value
