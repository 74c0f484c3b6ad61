"""Trained models in a folder, so that nothing is trained twice.

One file for each model: its weights as `save_model` writes them, and a record of where they come
from in the metadata. A file is found by its name, which ends in the first digits of a key, and used
only if the whole key in its record is the one that is asked for. The key is a SHA-256 of

- the recipe: architecture, training, number of attempts and bar;
- the data set: name, level, split, and every tensor of the graphs that a model is trained on;
- the seed;
- `TRAINER`, the version of the code that trains.

So a file never stands for another recipe, for other data, or for a trainer that has changed since.
The versions of torch and of this library are recorded, not part of the key: the weights of an older
torch are as good a model as those of a newer one, and numbers that hang on them stay the same when
it is updated. The record also holds a checksum over the weights and over itself.

Folders can be moved, copied and merged; files are whole or not there at all, also where several
processes write the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from glassgraph._version import __version__
from glassgraph.errors import OutputError, WeightsError
from glassgraph.models.gnn import GNN
from glassgraph.models.training import Trainable, Training
from glassgraph.models.weights import load_model, save_model

#: Counts changes of `models.training` and `models.reference` that give other weights.
TRAINER = 1
VARIABLE = "GLASSGRAPH_CACHE"
RECORD = "glassgraph_training"
_SHOWN_DIGITS = 12
#: Attributes of a graph that models read, and their labels.
_READ = ("x", "edge_index", "edge_type", "edge_weight", "edge_attr", "y")


class ModelCacheWarning(UserWarning):
    """A file in the folder of trained models could not be used, or not be written."""


@dataclass(frozen=True)
class Made:
    """A trained model and how it went; what a file holds.

    Attributes:
        model: In evaluation mode, on the CPU.
        accuracy: Shares of correct classes under "train", "val" and "test".
        training: How the chosen attempt went.
        seconds: Time that all attempts took, on the machine that trained.
    """

    model: GNN
    accuracy: dict[str, float]
    training: Training
    seconds: float


def default_cache() -> Path:
    """`GLASSGRAPH_CACHE`, or else `glassgraph` in the folder of the platform for such files."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "glassgraph"


@dataclass(frozen=True)
class Asked:
    """Which model is asked for.

    Attributes:
        recipe: What decides about its weights, as JSON-able values.
        dataset: What it is trained on.
        seed: Of its training.
    """

    recipe: Mapping[str, object]
    dataset: Trainable
    seed: int

    def key(self) -> str:
        """SHA-256 of all of it, as hexadecimal digits."""
        return _digest({**self.record(), "trainer": TRAINER})

    def record(self) -> dict[str, object]:
        """What is asked for, in words and numbers."""
        return {
            "recipe": json.loads(json.dumps(self.recipe)),
            "dataset": self.dataset.name,
            "data": fingerprint(self.dataset),
            "seed": self.seed,
        }


def cached(folder: str | Path, asked: Asked, make: Callable[[], Made]) -> tuple[Made, Path | None]:
    """The model from its file, or else a new one, which is written.

    Args:
        folder: Where the files are; made if it is not there.
        asked: Which model.
        make: Trains it.

    Returns:
        The model, and the file it was read from; None if it was trained.

    Warns:
        ModelCacheWarning: if a file is damaged, and trained again; or if none can be written.

    Raises:
        OutputError: if the folder is a file.
    """
    folder, key = Path(folder), asked.key()
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; trained models are kept in a folder")
    path = folder / f"{_file_name(asked, key)}.safetensors"
    if path.exists():
        try:
            return _read(path, key), path
        except (WeightsError, OSError) as error:
            _warn(f"{error}; the model is trained again")
    made = make()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(path, key, asked, made)
    except (WeightsError, OSError) as error:
        _warn(f"the trained model was not kept: {error}")
    return made, None


def fingerprint(dataset: Trainable) -> str:
    """SHA-256 of what a model is trained on: labels, edges, features, split, level and name."""
    digest = hashlib.sha256(json.dumps([dataset.name, dataset.level, len(dataset.graphs)]).encode())
    for graph in dataset.graphs:
        digest.update(str(graph.num_nodes).encode())
        for name in _READ:
            if isinstance(graph.get(name), Tensor):
                _update(digest, name, graph[name])
    for part in sorted(dataset.split):
        _update(digest, part, dataset.split[part])
    return digest.hexdigest()


def _update(digest: Any, name: str, value: Tensor) -> None:
    value = value.detach().cpu().contiguous()
    digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
    digest.update(value.view(-1).view(torch.uint8).numpy() if value.numel() else b"")


def _file_name(asked: Asked, key: str) -> str:
    """A name that tells a reader what it is; the key makes it unique."""
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in asked.dataset.name)[:40]
    kind = asked.recipe.get("kind", "model")
    return f"{name}-{kind}-seed{asked.seed}-{key[:_SHOWN_DIGITS]}"


def _read(path: Path, key: str) -> Made:
    """What a file holds.

    Raises:
        WeightsError: if it is damaged, or another model's.
    """
    model = load_model(path)
    try:
        with safe_open(path, framework="pt") as file:
            record = json.loads((file.metadata() or {})[RECORD])
        sound = record.pop("sha256") == _checksum(model, record)
        made = Made(
            model=model,
            accuracy={part: float(share) for part, share in record["accuracy"].items()},
            training=Training(**record["training"]),
            seconds=float(record["seconds"]),
        )
        own = record["key"]
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} has no record of its training: {error!r}") from error
    if not sound:
        raise WeightsError(f"{path} is damaged: its checksum is another")
    if own != key:
        raise WeightsError(f"{path} holds another model than its name says")
    return made


def _write(path: Path, key: str, asked: Asked, made: Made) -> None:
    record = {
        **asked.record(),
        "key": key,
        "accuracy": made.accuracy,
        "training": asdict(made.training),
        "seconds": made.seconds,
        "torch": torch.__version__,
        "glassgraph": __version__,
    }
    record = json.loads(json.dumps(record))
    record["sha256"] = _checksum(made.model, record)
    save_model(made.model, path, {RECORD: json.dumps(record)})


def _checksum(model: nn.Module, record: Mapping[str, object]) -> str:
    digest = hashlib.sha256(_digest(record).encode())
    for name, value in sorted(model.state_dict().items()):
        _update(digest, name, value)
    return digest.hexdigest()


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _warn(text: str) -> None:
    warnings.warn(text, ModelCacheWarning, stacklevel=4)
