"""``glassgraph temporal``: explain links in a stream of events, measure, report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassgraph.cli.console import (
    check_file_writable,
    check_writable,
    friendly,
    out,
    told_warnings,
    write_json,
)
from glassgraph.cli.inputs import index_file
from glassgraph.cli.names import read_names
from glassgraph.cli.parse import parse_index, parse_names, parse_settings
from glassgraph.cli.table import Column, Table, print_table
from glassgraph.errors import CommandError, OutputError, UnknownMethodError

if TYPE_CHECKING:
    from torch_geometric.data import TemporalData

    from glassgraph.temporal import EventExplanations

Row = Mapping[str, Any]


@friendly
def temporal(
    events: Annotated[
        Path,
        typer.Option(
            help="Stream of events, in order: .csv or .parquet with the columns src, dst, t and "
            "msg_0, msg_1, ..., or .pt of a TemporalData."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            help="FILE.py:factory, a function without arguments that returns a "
            "glassgraph.temporal.TGN, or an object with reset, replay and score."
        ),
    ],
    folder: Annotated[Path, typer.Option("--out", help="Folder for everything that is written.")],
    index: Annotated[
        str | None,
        typer.Option(
            help="Events whose links are explained: 300,301 or 300:320 or a file with a number on "
            "each line."
        ),
    ] = None,
    links: Annotated[
        Path | None,
        typer.Option(
            help="In place of --index, links to ask about, happened or not: a file like --events, "
            "without messages."
        ),
    ] = None,
    method: Annotated[
        str, typer.Option(help="Method, or several with commas; see 'glassgraph methods'.")
    ] = "perturb_one",
    candidates: Annotated[
        int, typer.Option(min=0, help="Latest events that can count that get scores; 0 for all.")
    ] = 100,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Events in a batch, as the model was trained with.")
    ] = 200,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="Setting, key=value or method.key=value; repeat for several."),
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option(
            help="Links, as --index, that the navigator of t_gnn_explainer is fitted on (default: "
            "no navigator)."
        ),
    ] = None,
    sizes: Annotated[
        str, typer.Option(help="Numbers of events that are left out, and kept alone.")
    ] = "1,3,10",
    threshold: Annotated[
        float, typer.Option(help="Score from which on the model expects a link; 0 for logits.")
    ] = 0.0,
    names: Annotated[
        Path | None,
        typer.Option(help="What nodes are called: a JSON object with node_names."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of chance levels and random methods.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write the metrics to this file too.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results in OUT.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, just results.")] = False,
) -> None:
    """Explain links in a stream of events: which past events make a model expect them?

    Writes OUT/<method>.parquet and OUT/<method>.csv for each method, OUT/metrics.json and
    OUT/report.html, a timeline of past events for each link.
    """
    methods, wanted = parse_names(method), parse_index(sizes, "--sizes")
    settings = _settings(methods, setting or [], seed, threshold)
    node_names = _node_names(names)
    if (index is None) == (links is None):
        raise CommandError("give either --index or --links, which say what is explained")
    if fit is not None and "t_gnn_explainer" not in methods:
        raise CommandError("--fit is for t_gnn_explainer, which is not among the methods")
    _check_folder(folder, json, methods, overwrite=overwrite)
    from glassgraph.temporal import explain, fidelity, fidelity_table, fit_navigator, read_events

    stream, built = read_events(events), _build(model)
    asked = _numbers(index, "--index") if links is None else read_events(links)
    how: dict[str, Any] = {"batch_size": batch_size, "progress": not quiet}
    latest = candidates or None
    found: dict[str, EventExplanations] = {}
    seconds: dict[str, float] = {}
    with told_warnings():
        if fit is not None:
            settings["t_gnn_explainer"]["navigator"] = fit_navigator(
                built,
                stream,
                _numbers(fit, "--fit"),
                candidates=latest,
                threshold=threshold,
                seed=seed,
                **how,
            )
        for name in methods:
            started = time.perf_counter()
            found[name] = explain(
                built, stream, asked, name, candidates=latest, **how, **settings[name]
            )
            seconds[name] = time.perf_counter() - started
            found[name].save(folder / f"{name}.parquet")
            _write_csv(found[name], folder / f"{name}.csv")
        every = [each for some in found.values() for each in some]
        measured = fidelity_table(
            fidelity(built, stream, every, wanted, threshold=threshold, seed=seed, **how)
        ).to_dict("records")
    for row in measured:
        row["seconds_per_link"] = seconds[row["method"]] / row["links"]
    _report(folder, every, measured, events, node_names)
    record = _record(events, model, stream, batch_size, candidates, threshold, seed, measured)
    for path in (folder / "metrics.json", json):
        if path is not None:
            write_json(path, record)
    print_table(_table(measured), out(), style="bold")
    for name in methods:
        out().print(f"{name}: {folder / name}.parquet", markup=False, soft_wrap=True)
    for name in ("report.html", "metrics.json"):
        out().print(f"{name.partition('.')[0]}: {folder / name}", markup=False, soft_wrap=True)


def _settings(
    methods: list[str], entries: list[str], seed: int, threshold: float
) -> dict[str, dict[str, Any]]:
    """Settings of each method, with the seed and the threshold where it has them."""
    from glassgraph.temporal.methods import METHODS, NAVIGATORS
    from glassgraph.temporal.settings import SETTINGS, settings_of
    from glassgraph.words import nearest

    for name in methods:
        if name not in METHODS:
            raise UnknownMethodError(
                f"no method of temporal graphs is called {name!r}{nearest(name, METHODS)}"
            )
    shared = {"seed": seed, "threshold": threshold}
    found = parse_settings(entries, {name: SETTINGS.get(name, ()) for name in methods})
    for name, own in found.items():
        known = SETTINGS.get(name, ())
        found[name] = {key: value for key, value in shared.items() if key in known} | own
        settings_of(name, 0, found[name], NAVIGATORS)
    return found


def _node_names(path: Path | None) -> Any:
    names = read_names(path)
    if unknown := [key for key in names if key != "node_names"]:
        raise CommandError(f"--names {path}: a stream has node_names, and no {unknown[0]}")
    return names.get("node_names", ())


def _check_folder(folder: Path, json: Path | None, methods: list[str], *, overwrite: bool) -> None:
    check_writable(folder)
    check_file_writable(json)
    for name in methods:
        path = folder / f"{name}.parquet"
        if path.exists() and not overwrite:
            raise OutputError(f"{path} exists; --overwrite replaces it")


def _build(choice: str) -> Any:
    """The model that a file of the user's builds."""
    from glassgraph.calling.model_file import build
    from glassgraph.cli.model import split_choice
    from glassgraph.errors import ModelFileError
    from glassgraph.temporal import TGN, TemporalModel

    path, factory = split_choice(choice, ())
    found = build(path, factory)
    if not isinstance(found, TGN | TemporalModel):
        raise ModelFileError(
            f"{choice} returned a {type(found).__name__}; expected a glassgraph.temporal.TGN, or "
            "an object with reset, replay and score"
        )
    return found


def _numbers(text: str | None, option: str) -> list[int]:
    assert text is not None
    file = index_file(text)
    return parse_index(text, option) if file is None else file.numbers.tolist()


def _write_csv(found: EventExplanations, path: Path) -> None:
    from glassgraph.files import replacing, writing

    with writing(path), replacing(path) as temporary:
        found.to_frame().to_csv(temporary, index=False)


def _report(
    folder: Path, every: list[Any], measured: list[Any], events: Path, node_names: Any
) -> None:
    from glassgraph.report import write_event_report

    write_event_report(folder, every, measured, f"Glassgraph: {events.name}", node_names)


def _record(
    events: Path,
    model: str,
    stream: TemporalData,
    batch_size: int,
    candidates: int,
    threshold: float,
    seed: int,
    measured: list[Any],
) -> dict[str, Any]:
    """For metrics.json."""
    import glassgraph

    return {
        "glassgraph": glassgraph.__version__,
        "events": str(events),
        "num_events": int(stream.src.numel()),
        "model": model,
        "batch_size": batch_size,
        "candidates": candidates or None,
        "threshold": threshold,
        "seed": seed,
        "methods": measured,
    }


def _table(rows: list[Any]) -> Table:
    def number(title: str, key: str, form: str = "{:.3f}") -> Column:
        return Column(title, lambda row: form.format(row[key]))

    columns = [
        Column("method", lambda row: str(row["method"]), is_name=True),
        number("k", "size", "{}"),
        number("links", "links", "{}"),
        number("without", "without"),
        number("chance", "without_chance"),
        number("only", "only"),
        number("chance", "only_chance"),
        number("s/link", "seconds_per_link"),
    ]
    return Table(
        "What the link's answer loses without the first k events (high: they were needed), and "
        "with those\nalone among the candidates (low: they suffice); chance: random events",
        columns,
        rows,
    )
