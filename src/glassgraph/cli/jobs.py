"""``glassgraph jobs``: what a job has done, what failed, and what is left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glassgraph.cli.console import check_file_writable, friendly, out, write_json


@friendly
def jobs(
    folder: Annotated[Path, typer.Argument(help="Folder that glassgraph.explain_all writes into.")],
    json: Annotated[Path | None, typer.Option(help="Write it to this file too.")] = None,
) -> None:
    """Say what a job has explained, what failed and why, and what is left."""
    check_file_writable(json)
    from glassgraph.results.explanation import Explanations
    from glassgraph.results.saved.folder_lock import writer_of

    scan = Explanations.scan(folder)
    failures = scan.failures()
    asked = scan.header["asked"]
    told = {
        "method": scan.method,
        "level": scan.header["level"],
        "asked": asked["instances"],
        "done": len(scan),
        "failed": len(failures),
        "left": asked["instances"] - len(scan) - len(failures),
        "writer": writer_of(folder),
        "failures": failures.to_dict("records"),
    }
    console = out()
    words = f"{told['done']:,} done, {told['failed']:,} failed, {told['left']:,} left"
    console.print(f"{scan.method}: {words}, of {told['asked']:,} {told['level']} predictions")
    if told["writer"] is not None:
        console.print(f"being written by {told['writer']}", markup=False)
    elif told["left"]:
        console.print("nobody works on it; the command that began it goes on")
    for row in told["failures"]:
        line = f"  {told['level']} {row['index']}: {row['error']}"
        console.print(line, markup=False, soft_wrap=True)
    if json is not None:
        write_json(json, told)
