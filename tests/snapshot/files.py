"""The files of the snapshot: for each method a layout as JSON, and its numbers as one stream.

``NAME.json`` lists the paths of all tensors with type and shape, in the order in which
``NAME.npz`` holds their numbers (one array for each type), and all plain values. One small file for
each method, so that a change on purpose touches one.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tests.snapshot.record import Record

FOLDER = Path(__file__).parent / "scores"
#: What stands beside the methods: how the machine computes that wrote them.
ARITHMETIC = "arithmetic"


def paths_of(name: str, folder: Path = FOLDER) -> tuple[Path, Path]:
    """Layout and numbers of a method."""
    stem = name.replace(", ", "-")
    return folder / f"{stem}.json", folder / f"{stem}.npz"


def write(name: str, found: Record, folder: Path = FOLDER) -> None:
    """Store a record."""
    tensors = {path: value for path, value in found.items() if isinstance(value, Tensor)}
    streams: dict[str, list[Tensor]] = {}
    for value in tensors.values():
        streams.setdefault(_type(value), []).append(value.flatten())
    layout = {
        "tensors": {path: [_type(value), *value.shape] for path, value in tensors.items()},
        "values": {path: value for path, value in found.items() if path not in tensors},
    }
    folder.mkdir(parents=True, exist_ok=True)
    text, numbers = paths_of(name, folder)
    text.write_text(_lines(layout), encoding="utf-8")
    np.savez_compressed(numbers, **{key: torch.cat(each).numpy() for key, each in streams.items()})


def read(name: str, folder: Path = FOLDER) -> Record:
    """The stored record."""
    text, numbers = paths_of(name, folder)
    layout = json.loads(text.read_text(encoding="utf-8"))
    found: Record = dict(layout["values"])
    with np.load(numbers) as streams:
        rest = {key: torch.from_numpy(streams[key]) for key in streams.files}
    for path, (kind, *shape) in layout["tensors"].items():
        size = int(np.prod(shape, dtype=int))
        found[path], rest[kind] = rest[kind][:size].view(shape), rest[kind][size:]
    assert not any(left.numel() for left in rest.values()), f"{numbers} and {text} do not fit"
    return found


def _type(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _lines(layout: dict[str, dict[str, object]]) -> str:
    """JSON with one line for each path."""
    sections = []
    for title, entries in layout.items():
        lines = [f"{json.dumps(path)}: {json.dumps(value)}" for path, value in entries.items()]
        sections.append(f"{json.dumps(title)}: {{\n" + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(sections) + "\n}\n"
