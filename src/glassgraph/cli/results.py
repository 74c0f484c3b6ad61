"""What a run of ``glassgraph explain`` leaves behind: numbers, a report, a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glassgraph.cli.console import out, say, write_json
from glassgraph.cli.inputs import Input
from glassgraph.cli.metrics_table import metrics_tables
from glassgraph.cli.model import ChosenModel
from glassgraph.cli.table import print_table
from glassgraph.errors import GlassgraphError

if TYPE_CHECKING:
    from glassgraph.metrics import Similarity
    from glassgraph.results.explanation import Explanations

Row = dict[str, object]


@dataclass
class Done:
    """What has come out so far.

    Attributes:
        runs: explanations of the methods that finished.
        partial: those of an interrupted one.
        seconds: time that each method took; of one that was resumed nothing is known.
        failed: methods that could not run, and why.
        is_interrupted: whether the user stopped it.
    """

    runs: list[Explanations] = field(default_factory=list)
    partial: Explanations | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    is_interrupted: bool = False

    @property
    def measured(self) -> list[Explanations]:
        """Everything that holds at least one explanation."""
        every = [*self.runs, *([] if self.partial is None else [self.partial])]
        return [run for run in every if len(run)]


def measure(
    done: Done,
    chosen: ChosenModel,
    source: Input,
    how: Mapping[str, Any],
    tell: Callable[[str], None],
) -> list[Row]:
    """One row for each method that explained anything; ``how`` goes to `metrics.evaluate`."""
    from glassgraph.metrics import evaluate

    rows: list[Row] = []
    is_stopped = False
    for run in done.measured:
        seconds = done.seconds.get(run.method)
        row: Row = {
            "method": run.method,
            "instances": len(run),
            "complete": run.is_complete,
            "seconds": seconds,
            "seconds_per_instance": None if seconds is None else seconds / len(run),
        }
        rows.append(row)
        if is_stopped:
            continue
        tell(f"measuring {run.method}")
        try:
            row.update(evaluate([run], chosen.model, source.data, **how)[0])
        except KeyboardInterrupt:
            is_stopped = done.is_interrupted = True
            say("Interrupted: not everything was measured.", style="bold red")
        except GlassgraphError as error:
            say(f"Warning: {run.method} could not be measured: {error}", style="yellow")
    return rows


def write(
    done: Done,
    rows: list[Row],
    chosen: ChosenModel,
    source: Input,
    asked: Mapping[str, Any],
    folder: Path,
    json: Path | None,
) -> None:
    """Write ``metrics.json`` and ``report.html``; print the table and the paths.

    Raises:
        OutputError: if a file cannot be written.
    """
    import glassgraph
    from glassgraph.report import write_report

    files = {run.method: folder / run.method for run in done.measured}
    if chosen.origin == "trained":
        files["model"] = folder / "model.safetensors"
    # A report compares methods on the same instances: a partial run is shown where it is all.
    reported = [run for run in done.runs if len(run)] or done.measured
    if reported:
        names = {run.method for run in reported}
        shown = [_without(row, "complete") for row in rows if row["method"] in names]
        title = f"Glassgraph: {source.name}"
        heat_maps = _similarities(reported)
        files["report"] = write_report(folder / "report.html", reported, shown, title, heat_maps)
    files["metrics"] = folder / "metrics.json"
    record = {
        "glassgraph": glassgraph.__version__,
        "data": source.name,
        "level": source.level,
        **asked,
        "model": chosen.record(),
        "interrupted": done.is_interrupted,
        "failed": done.failed,
        "methods": rows,
        "files": {name: str(path) for name, path in files.items()},
    }
    for path in (files["metrics"], json):
        if path is not None:
            write_json(path, record)
    if json is not None:
        files["json"] = json
    if rows:
        for table in metrics_tables(rows, source.name, str(asked["removal"])):
            print_table(table, out(), style="bold")
    for name, path in files.items():
        out().print(f"{name}: {path}", markup=False, soft_wrap=True)


def _similarities(runs: list[Explanations]) -> list[Similarity]:
    """How alike the methods are; without the matrices if they cannot be compared."""
    from glassgraph.metrics import similarities

    try:
        return similarities({run.method: run for run in runs})
    except GlassgraphError as error:
        say(f"Warning: the methods could not be compared: {error}", style="yellow")
        return []


def _without(row: Row, key: str) -> Row:
    return {name: value for name, value in row.items() if name != key}
