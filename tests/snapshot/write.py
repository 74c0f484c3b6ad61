"""Writes the snapshot: ``OMP_NUM_THREADS=1 python -m tests.snapshot.write [--force] [NAME ...]``.

Without names, all methods, and how this machine computes. Stored files stay as they are unless
``--force`` is given; the commit that replaces one says which number changed, and why.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from tests.snapshot import files
from tests.snapshot.compare import arithmetic
from tests.snapshot.record import record
from tests.snapshot.settings import NAMES


def main(arguments: Sequence[str] | None = None, folder: Path = files.FOLDER) -> int:
    """Write what is asked for; 1 if a file is there already."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="methods; all if there is none")
    parser.add_argument("--force", action="store_true", help="replace stored files")
    options = parser.parse_args(arguments)
    names = options.names or list(NAMES)
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"no {unknown} in the snapshot; there are {', '.join(NAMES)}")
    stored = [name for name in names if any(path.exists() for path in files.paths_of(name, folder))]
    if stored and not options.force:
        print(f"{', '.join(stored)}: stored already, and kept; --force replaces")
        return 1
    torch.set_num_threads(1)
    for name in names:
        files.write(name, record(name), folder)
    if not options.names:
        files.write(files.ARITHMETIC, arithmetic(), folder)
    print(f"wrote {len(names)} records to {folder}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
