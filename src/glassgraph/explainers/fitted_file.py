"""What a fitted explainer learned, as one safetensors file with a JSON header.

The header says for which model it is; a file is refused by any other model.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from glassgraph._version import __version__
from glassgraph.core.protect import fingerprint
from glassgraph.errors import ExplainerFileError, OutputError

#: Changes whenever older files can no longer be read.
FORMAT = 1
KEY = "glassgraph_explainer"


def write_fitted(
    path: Path, method: str, model: nn.Module, tensors: dict[str, Tensor], about: dict[str, Any]
) -> Path:
    """Write a file.

    Args:
        path: where to.
        method: registry name.
        model: the model that it was fitted for.
        tensors: what was learned.
        about: everything else, JSON-able.

    Raises:
        OutputError: if the file cannot be written.
    """
    header = {
        "format": FORMAT,
        "glassgraph": __version__,
        "method": method,
        "model": type(model).__name__,
        "model_fingerprint": fingerprint(model),
        **about,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path, metadata={KEY: json.dumps(header)})
    except (OSError, SafetensorError) as error:
        raise OutputError(f"cannot write {path}: {error}") from error
    return path


def read_fitted(
    path: Path,
    method: str,
    model: nn.Module,
    renamed: Mapping[str, str] | None = None,
    stacklevel: int = 3,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a file.

    Args:
        path: the file.
        method: registry name.
        model: the model that it should be for.
        renamed: today's names of hyper-parameters and of learned numbers that older files have
            under other names.
        stacklevel: of the warning about another version.

    Raises:
        ExplainerFileError: if the file is damaged, of another method or format, or of another
            model (other weights, another number of layers).
    """
    tensors, header = _read(path)
    if header["method"] != method:
        raise ExplainerFileError(
            f"{path} holds {header['method']!r}, not {method!r}; load it with its own class"
        )
    found = fingerprint(model)
    if header["model_fingerprint"] != found:
        raise ExplainerFileError(
            f"{path} was fitted for a {header['model']} with fingerprint "
            f"{header['model_fingerprint']}; this {type(model).__name__} has {found}: other "
            "weights, or other layers. What was learned about one model says nothing of "
            "another; fit again"
        )
    if header["glassgraph"] != __version__:
        warnings.warn(
            f"{path} was written by glassgraph {header['glassgraph']}, this is {__version__}; "
            "results may differ slightly",
            UserWarning,
            stacklevel=stacklevel,
        )
    return _rename(tensors, header, renamed) if renamed else (tensors, header)


def _rename(
    tensors: dict[str, Tensor], header: dict[str, Any], renamed: Mapping[str, str]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Today's names in the place of older ones: of hyper-parameters, facts and numbers."""
    for part in ("hyper_parameters", "about"):
        header[part] = {renamed.get(name, name): value for name, value in header[part].items()}
    for name in list(tensors):
        owner, dot, last = name.rpartition(".")
        if last in renamed:
            tensors[f"{owner}{dot}{renamed[last]}"] = tensors.pop(name)
    return tensors, header


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not path.is_file():
        raise ExplainerFileError(f"there is no file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if KEY not in metadata:
                raise ExplainerFileError(f"{path} holds no fitted explainer of glassgraph")
            header = json.loads(metadata[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise ExplainerFileError(f"{path} is damaged: {error}") from error
    if header.get("format") != FORMAT:
        raise ExplainerFileError(
            f"{path} has format {header.get('format')}, this version of glassgraph reads {FORMAT} "
            f"(it was written by {header.get('glassgraph')}); fit again, or use that version"
        )
    return tensors, header
