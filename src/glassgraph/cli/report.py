"""``glassgraph report``: a page about explanations in folders, of a job about a sample of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassgraph.cli.console import check_file_writable, friendly, out, say, write_json
from glassgraph.cli.explain import Ranking, Removal
from glassgraph.cli.metrics_table import metrics_tables
from glassgraph.cli.model import check_choice, choose_model
from glassgraph.cli.parse import parse_shares
from glassgraph.cli.table import print_table
from glassgraph.errors import CommandError

if TYPE_CHECKING:
    from glassgraph.results.explanation import Explanations
    from glassgraph.results.scan import Scan

    AnyScan = Scan[Explanations]

_JOB, _SAVED = "job.json", "explanations.json"


@friendly
def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of jobs, or of explanations; of several methods on the same predictions."
        ),
    ],
    html: Annotated[
        Path | None, typer.Option("--out", help="The page (default: report.html in the first).")
    ] = None,
    sample: Annotated[int, typer.Option(min=1, help="Explanations that are drawn of a job.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw.")] = 0,
    model: Annotated[
        str | None,
        typer.Option(help="Measure fidelity, too: FILE.py:factory, the model that was explained."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Its weights, or a model saved by glassgraph.")
    ] = None,
    removal: Annotated[
        Removal,
        typer.Option(help="Fidelity without an edge: its messages shut, or the edge deleted."),
    ] = Removal.shut,
    ranking: Annotated[
        Ranking, typer.Option(help="Rank edges by signed or absolute score.")
    ] = Ranking.signed,
    sparsity: Annotated[
        str, typer.Option(help="Shares of edges left out when fidelity is measured.")
    ] = "0.5,0.7,0.9",
    json: Annotated[Path | None, typer.Option(help="Write the metrics to this file.")] = None,
) -> None:
    """Show explanations in one HTML file; of a job a sample, with metrics if the model is given."""
    is_measured = model is not None or weights is not None
    page = runs[0] / "report.html" if html is None else html
    for path in (html, json):
        check_file_writable(path)
    if json is not None and not is_measured:
        raise CommandError("--json holds metrics, which need the model: --model FILE.py:factory")
    if is_measured:
        check_choice(model, weights, "a sample of a job")
    levels = tuple(parse_shares(sparsity))
    found, data = _read(runs, sample, seed)
    rows: list[dict[str, object]] = []
    if is_measured:
        if data is None:
            raise CommandError("metrics are for folders of jobs, which say where their data are")
        from glassgraph.metrics import evaluate

        chosen = choose_model(model, weights, None, seed=seed, progress=False)
        rows = evaluate(
            found,
            chosen.model,
            data,
            removal=removal.value,
            ranking=ranking.value,
            sparsity=levels,
        )
        for table in metrics_tables(rows, str(runs[0]), removal.value):
            print_table(table, out(), style="bold")
    from glassgraph.report import write_report

    title = f"Glassgraph: {len(found[0])} {found[0].level} predictions of {runs[0]}"
    path = write_report(page, found, rows, title)
    if json is not None:
        write_json(json, {"runs": [str(run) for run in runs], "seed": seed, "methods": rows})
    out().print(f"report: {path}", markup=False, soft_wrap=True)


def _read(folders: list[Path], sample: int, seed: int) -> tuple[list[Explanations], Any]:
    """Explanations of each folder, and the data of the jobs among them.

    Raises:
        CommandError: if a folder holds neither a job nor explanations, or a job none so far.
    """
    from glassgraph.results.explanation import Explanations

    found: list[Explanations] = []
    data, drawn = None, None
    for folder in folders:
        if (folder / _JOB).is_file():
            scan = Explanations.scan(folder)
            if not len(scan):
                raise CommandError(f"{folder} has explained nothing so far; see glassgraph jobs")
            if drawn is None:
                found.append(scan.sample(sample, seed))
                drawn = [each.local.index for each in found[-1]]
                if len(scan) > len(drawn):
                    say(f"{len(drawn)} of {len(scan):,} explanations of {folder}, drawn at random")
                data = scan.open_data()
            else:
                found.append(scan.explanations(drawn))
        elif (folder / _SAVED).is_file():
            found.append(Explanations.load(folder))
        else:
            raise CommandError(
                f"{folder} holds no explanations; give the folder of a job, or one that "
                "'glassgraph explain --out' or Explanations.save has written"
            )
    return found, data
