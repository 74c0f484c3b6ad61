"""``glassgraph jobs``: what a job has done, what failed, what is left, and what to do next."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from glassgraph.cli.console import check_file_writable, friendly, out, write_json

#: Failures that are listed one by one.
_SHOWN = 20


@friendly
def jobs(
    folder: Annotated[
        Path, typer.Argument(help="Folder of a job ('glassgraph explain --engine').")
    ],
    json: Annotated[Path | None, typer.Option(help="Write it to this file too.")] = None,
) -> None:
    """Say what a job has explained, what failed and why, what it warned of, and what is left."""
    check_file_writable(json)
    record = job_record(folder)
    show_job(record, folder)
    if json is not None:
        write_json(json, record)


def job_record(folder: Path) -> dict[str, Any]:
    """How a job stands.

    Raises:
        ExplanationFileError: if the folder holds none.
        DamagedFileError: if it is damaged.
    """
    from glassgraph.results.explanation import Explanations
    from glassgraph.results.saved.blocks import recent_rate
    from glassgraph.results.saved.folder_lock import writer_of

    scan = Explanations.scan(folder)
    failures = scan.failures()
    asked = scan.header["asked"]
    left = asked["instances"] - len(scan) - len(failures)
    writer = writer_of(folder)
    rate = recent_rate(folder) if writer is not None and left else None
    return {
        "method": scan.method,
        "level": scan.header["level"],
        "asked": asked["instances"],
        "done": len(scan),
        "failed": len(failures),
        "left": left,
        "writer": writer,
        "rate": rate,
        "seconds_left": left / rate if rate else None,
        "failures": failures.to_dict("records"),
        "warnings": scan.warnings().to_dict("records"),
    }


def show_job(record: dict[str, Any], folder: Path) -> None:
    """Print how a job stands, and what to do next."""
    from glassgraph.engine.progress import duration

    lines = [
        f"{record['method']}: {record['done']:,} done, {record['failed']:,} failed, "
        f"{record['left']:,} left, of {record['asked']:,} {record['level']} predictions"
    ]
    lines += [
        f"  {record['level']} {row['index']}: {row['error']}" for row in record["failures"][:_SHOWN]
    ]
    if record["failed"] > _SHOWN:
        lines.append(f"  and {record['failed'] - _SHOWN:,} more: --json FILE writes them all")
    lines += [f"  warned: {row['category']}: {row['text']}" for row in record["warnings"]]
    if record["left"] and record["writer"] is not None:
        lines.append(f"being written by {record['writer']}")
        if record["rate"]:
            left = duration(record["seconds_left"])
            lines.append(f"{record['rate']:.3g}/s of late, {left} left")
    elif record["left"]:
        lines.append("nobody works on it; the command that began it goes on: give it again")
    if record["done"]:
        lines.append(f"read:   glassgraph.Explanations.scan({str(folder)!r})")
        lines.append(f"report: glassgraph report {shlex.quote(str(folder))} --sample 20")
    for line in lines:
        out().print(line, markup=False, soft_wrap=True)
