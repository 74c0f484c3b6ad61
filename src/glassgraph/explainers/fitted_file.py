"""What a fitted explainer learned, as one safetensors file with a JSON header.

The header says for which model it is; a file is refused by any other model.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from glassgraph._version import __version__
from glassgraph.calling.protect import fingerprint
from glassgraph.errors import (
    DamagedFileError,
    ExplainerFileError,
    GlassgraphError,
    HyperParameterError,
    TargetError,
    TaskError,
)
from glassgraph.explainers.settings import Configured, check_value, settings_of
from glassgraph.files import parse_json, replacing, writing
from glassgraph.results.saved.damage import READ_ERRORS

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
    with writing(path, "choose another file"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata={KEY: json.dumps(header)})
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
        DamagedFileError: if the file is damaged.
        ExplainerFileError: if it is of another method or format, or of another model (other
            weights, another number of layers).
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
        if part not in header:
            continue  # found by whoever reads it
        header[part] = {renamed.get(name, name): value for name, value in header[part].items()}
    for name in list(tensors):
        owner, dot, last = name.rpartition(".")
        if last in renamed:
            tensors[f"{owner}{dot}{renamed[last]}"] = tensors.pop(name)
    return tensors, header


def check_given(method: type[Configured], given: Mapping[str, Any]) -> None:
    """Check the user's own arguments, so that nothing else is said to be wrong with them.

    Raises:
        HyperParameterError: for a name that is not known, a value of another type or out of range.
    """
    method.__new__(method, **given)
    for each in settings_of(method):
        if each.name in given:
            check_value(method, each, given[each.name])


@contextmanager
def restoring(path: Path) -> Iterator[None]:
    """Whatever a file's content leads to while an explainer is made of it is the file's fault.

    Raises:
        DamagedFileError: if the content does not fit.
    """
    try:
        yield
    except (HyperParameterError, TaskError, TargetError, AssertionError, *READ_ERRORS) as error:
        is_content = isinstance(error, (HyperParameterError, TaskError, TargetError))
        if isinstance(error, GlassgraphError) and not is_content:
            raise
        lines = " ".join(str(error).split())
        raise DamagedFileError(
            f"{path} is damaged ({type(error).__name__}: {lines}); restore it, or fit again"
        ) from error


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not path.is_file():
        raise ExplainerFileError(f"there is no file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if KEY not in metadata:
                raise ExplainerFileError(f"{path} holds no fitted explainer of glassgraph")
            header = parse_json(metadata[KEY])
            if isinstance(header, dict) and header.get("format") != FORMAT:
                raise ExplainerFileError(
                    f"{path} has format {header.get('format')}, this version of glassgraph reads "
                    f"{FORMAT} (it was written by {header.get('glassgraph')}); fit again, or use "
                    "that version"
                )
            _check_header(header)
            # Copied: where numbers lie in memory decides how products of them are rounded.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        for name, value in tensors.items():
            if value.is_floating_point() and not bool(value.isfinite().all()):
                raise ValueError(f"{name} holds numbers that are not finite")
    except ExplainerFileError:
        raise
    except (*READ_ERRORS, SafetensorError) as error:
        raise DamagedFileError(f"{path} is damaged: {error}; restore it, or fit again") from error
    return tensors, header


def _check_header(header: Any) -> None:
    """Whether entries that all methods have are of their types."""
    if not isinstance(header, dict):
        raise ValueError("its header is no mapping")
    kinds = {
        "glassgraph": str,
        "method": str,
        "model": str,
        "model_fingerprint": str,
        "hyper_parameters": dict,
        "history": list,
    }
    for name, kind in kinds.items():
        if not isinstance(header.get(name), kind):
            raise ValueError(f"{name} is {header.get(name)!r}")
    if not all(isinstance(row, dict) for row in header["history"]):
        raise ValueError("history holds what is no row")
    for name, kind in (("about", dict), ("functions", list)):  # of some methods
        if name in header and not isinstance(header[name], kind):
            raise ValueError(f"{name} is {header[name]!r}")
