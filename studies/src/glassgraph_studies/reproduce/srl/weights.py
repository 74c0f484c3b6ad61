"""Trained labelers in files, so that a study that is run again does not train again.

One safetensors file for each labeler: its weights, and in the metadata its sizes, how it was
trained and on how much. A file that says something else than what is asked for is refused: it would
be another labeler.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from glassgraph.errors import WeightsError
from glassgraph.files import replacing
from glassgraph_studies.reproduce.srl.models import RoleLabeler, Sizes
from glassgraph_studies.reproduce.srl.training import Trained

METADATA_KEY = "glassgraph_role_labeler"


def trained_or_read(
    path: Path | None, about: dict[str, Any], sizes: Sizes, train: Callable[[], Trained]
) -> Trained:
    """The labeler of a file, or a new one that is written there.

    Args:
        path: the file; None to train without one.
        about: how it is trained, as JSON can say it.
        sizes: what it is made of.
        train: makes a new one.

    Raises:
        WeightsError: if the file cannot be read or written, or is of another labeler.
    """
    if path is None:
        return train()
    if path.is_file():
        return read_labeler(path, about, sizes)
    path.parent.mkdir(parents=True, exist_ok=True)
    trained = train()
    save_labeler(path, about, trained)
    return trained


def save_labeler(path: Path, about: dict[str, Any], trained: Trained) -> None:
    """Write a labeler.

    Raises:
        WeightsError: if the file cannot be written.
    """
    metadata = {
        "sizes": trained.model.sizes.as_dict(),
        "about": about,
        "seconds": trained.seconds,
        "cpu_seconds": trained.cpu_seconds,
        "history": trained.history,
    }
    tensors = {name: value.contiguous() for name, value in trained.model.state_dict().items()}
    try:
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata={METADATA_KEY: json.dumps(metadata)})
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot write {path}: {error}") from error


def read_labeler(path: Path, about: dict[str, Any], sizes: Sizes) -> Trained:
    """The labeler of a file, in evaluation mode.

    Raises:
        WeightsError: if the file cannot be read, or is of another labeler.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get(METADATA_KEY, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, SafetensorError) as error:
        raise WeightsError(f"{path} is no readable safetensors file: {error}") from error
    wanted = {"sizes": sizes.as_dict(), "about": about}
    found = {name: (metadata or {}).get(name) for name in wanted}
    if found != wanted:
        raise WeightsError(
            f"{path} holds another labeler ({found}) than the one that is asked for ({wanted}); "
            "remove it, or give another folder"
        )
    model = RoleLabeler(sizes)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsError(f"the weights in {path} do not fit: {error}") from error
    seconds = metadata["seconds"], metadata["cpu_seconds"]
    return Trained(model.eval(), *seconds, metadata["history"])
