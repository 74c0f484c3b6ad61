"""The folder of a benchmark: of one suite, of one writer, and only of whole files.

::

    OUT/suite.json                        which suite it is, by its fingerprint
    OUT/rows/DATASET.SEED.METHOD.parquet  finished cells
    OUT/references/DATASET.SEED.json      which network it is, what random scores and a search get
    OUT/search/DATASET.METHOD.json        which settings were chosen, and what was tried
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from glassgraph._version import __version__
from glassgraph.benchmarks.cell import References
from glassgraph.benchmarks.rows import FOLDER, plain
from glassgraph.benchmarks.suite import Suite
from glassgraph.errors import DamagedFileError, OutputError, ResumeError
from glassgraph.files import parse_json, remove_leftovers, replace_text, writing
from glassgraph.metrics.measured import Estimate, Measured
from glassgraph.results.saved.folder_lock import locked

_HEADER = "suite.json"
_ADVICE = "give another --out, or the suite that this folder is of"


@contextmanager
def open_folder(out: Path, suite: Suite) -> Iterator[None]:
    """Be the one writer of a folder, new or of the same suite.

    Raises:
        ResumeError: if it holds rows of another suite, or of another version of the library.
        FolderInUseError: if another process writes there.
        OutputError: if it cannot be written.
    """
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    check_folder(out, suite)
    with locked(out):
        check_folder(out, suite)
        with writing(out):
            (out / FOLDER).mkdir(exist_ok=True)
        for name in ("", FOLDER, "references", "search"):
            remove_leftovers(out / name)
        if not (out / _HEADER).exists():
            _write(out / _HEADER, _header(suite))
        yield


def check_folder(out: Path, suite: Suite) -> None:
    """Refuse a folder of another suite.

    Raises:
        ResumeError: saying what differs.
        OutputError: if it is the folder of something else.
    """
    path = out / _HEADER
    if not path.exists():
        if (out / FOLDER).is_dir() and any((out / FOLDER).iterdir()):
            raise OutputError(f"{out} holds rows of an unknown benchmark; give another --out")
        return
    found, wanted = _read(path), _header(suite)
    if found.get("fingerprint") != wanted["fingerprint"]:
        raise ResumeError(
            f"{out} holds rows of another suite ({found.get('suite')!r}; {_differs(found, wanted)})"
            f", and rows of several are never mixed; {_ADVICE}"
        )
    if found.get("glassgraph") != __version__:
        raise ResumeError(
            f"{out} was measured by glassgraph {found.get('glassgraph')}, this is {__version__}: "
            "numbers of both are never mixed; give another --out"
        )


def _header(suite: Suite) -> dict[str, Any]:
    said = json.loads(json.dumps(asdict(suite), default=str))
    for dataset in said["datasets"]:
        dataset.pop("root")
    return {
        "suite": suite.name,
        "fingerprint": suite.fingerprint,
        "glassgraph": __version__,
        "said": said,
    }


def _differs(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Which keys of two suites differ."""
    before, now = found.get("said", {}), wanted["said"]
    keys = [key for key in now if key != "about" and before.get(key) != now[key]]
    return f"other {', '.join(keys)}" if keys else "made otherwise"


# Smaller files


def read_references(out: Path, dataset: str, seed: int, network: str = "") -> References | None:
    """Floors and ceilings, if they were measured.

    Args:
        out: the folder.
        dataset: the data.
        seed: of data and model.
        network: the fingerprint of the network that is measured now; empty where it has none.

    Raises:
        ResumeError: if they were measured on another network: the same seed does not give the same
            one everywhere, since machines round differently.
    """
    path = _references(out, dataset, seed)
    if not path.exists():
        return None
    said = _read(path)
    before = said.get("network", "")
    if network and before and network != before:
        raise ResumeError(
            f"{out} holds rows of another network of {dataset}, seed {seed}: training gives one "
            "network on one machine and another on the next, and rows of several are never mixed; "
            "give the --cache where that network lies, or another --out"
        )
    return References.of(*([_measured(each) for each in said[key]] for key in ("floor", "ceiling")))


def write_references(
    out: Path, dataset: str, seed: int, found: References, network: str = ""
) -> None:
    """Keep floors and ceilings, and the fingerprint of the network that they are of."""
    said = {
        "network": network,
        "floor": [asdict(each) for each in found.floor.values()],
        "ceiling": [asdict(each) for each in found.ceiling.values()],
    }
    _write(_references(out, dataset, seed), said)


def read_search(out: Path, dataset: str, method: str) -> dict[str, Any] | None:
    """What a search for settings found, if it was made."""
    path = out / "search" / f"{plain(dataset)}.{plain(method)}.json"
    return _read(path) if path.exists() else None


def write_search(out: Path, dataset: str, method: str, found: Mapping[str, Any]) -> None:
    """Keep what a search for settings found."""
    _write(out / "search" / f"{plain(dataset)}.{plain(method)}.json", found)


def _references(out: Path, dataset: str, seed: int) -> Path:
    return out / "references" / f"{plain(dataset)}.{seed}.json"


def _measured(said: Mapping[str, Any]) -> Measured:
    estimates = {
        name: None if said[name] is None else Estimate(**said[name])
        for name in ("estimate", "floor", "ceiling")
    }
    return Measured(**{**said, **estimates, "values": None})


def _write(path: Path, said: Mapping[str, Any]) -> None:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, json.dumps(said, indent=1) + "\n")


def _read(path: Path) -> dict[str, Any]:
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"{path} cannot be read ({error}); delete it") from error
    if not isinstance(found, dict):
        raise DamagedFileError(f"{path} is no file of a benchmark; delete it")
    return found
