"""A model in one safetensors file: its weights, and its architecture as JSON in the metadata."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from glassgraph.errors import HyperParameterError, WeightsError
from glassgraph.files import replacing
from glassgraph.models.gnn import GNN, MODELS, Body

METADATA_KEY = "glassgraph_model"


def build_model(architecture: Mapping[str, object]) -> GNN:
    """A fresh model from its description.

    Args:
        architecture: `kind` ("gcn", "gin", "gat", "rgcn" or "sage") and the arguments of that
            class, with `body` as a mapping; what `GNN.architecture` holds.

    Raises:
        HyperParameterError: if the kind or an argument is unknown, missing or out of range.

    >>> build_model({"kind": "gin", "in_channels": 5, "hidden_channels": 7, "out_channels": 2}).kind
    'gin'
    """
    arguments = dict(architecture)
    kind, body = arguments.pop("kind", None), arguments.pop("body", {})
    if kind not in MODELS or not isinstance(kind, str):
        raise HyperParameterError(f"kind must be one of {sorted(MODELS)}, got {kind!r}")
    if not isinstance(body, Mapping):
        raise HyperParameterError(f"body must be a mapping, got {body!r}")
    try:
        pool = {"pool": tuple(body["pool"])} if "pool" in body else {}
        model: GNN = MODELS[kind](**arguments, body=Body(**{**body, **pool}))  # type: ignore[arg-type]
    except TypeError as error:
        raise HyperParameterError(f"{kind}: {error}; got {dict(architecture)}") from error
    return model


def save_model(model: GNN, path: str | Path, metadata: Mapping[str, str] | None = None) -> Path:
    """Write a model's weights and architecture.

    Args:
        model: Any model of this package, on any device.
        path: Where to write; ".safetensors" by custom.
        metadata: Further entries of the file's metadata.

    Returns:
        The path.

    Raises:
        WeightsError: if the file cannot be written.
    """
    path = Path(path)
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
    }
    entries = {**(metadata or {}), METADATA_KEY: json.dumps(model.architecture)}
    try:
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata=entries)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot write {path}: {error}") from error
    return path


def load_model(path: str | Path) -> GNN:
    """The model that `save_model` wrote, on the CPU, in evaluation mode and in its own precision.

    Args:
        path: The file.

    Raises:
        WeightsError: if the file is missing, no safetensors file, not written by `save_model`, or
            its tensors do not fit its architecture.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"no weights file at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} is no readable safetensors file: {error}") from error
    if METADATA_KEY not in metadata:
        raise WeightsError(
            f"{path} has no entry {METADATA_KEY!r} in its metadata, so it was not written by "
            "glassgraph.models.save_model; build the model yourself and use load_state_dict"
        )
    try:
        model = build_model(json.loads(metadata[METADATA_KEY]))
        # The precision follows the file: a float64 model comes back as float64.
        for name, value in model.state_dict().items():
            if name in tensors and tensors[name].is_floating_point() and value.is_floating_point():
                model = model.to(tensors[name].dtype)
                break
        model.load_state_dict(tensors)
    except (HyperParameterError, RuntimeError, TypeError, ValueError) as error:
        raise WeightsError(
            f"the weights in {path} do not fit their architecture: {error}"
        ) from error
    return model.eval()
