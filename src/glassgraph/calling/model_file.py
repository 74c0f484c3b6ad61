"""A model as the function in a Python file that builds it, and the file of its weights.

What a process cannot be sent, it can build: a command line and every worker of a job make the model
from the same two files.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import itertools
import pickle
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from glassgraph.calling.user_code import where_raised
from glassgraph.errors import ModelFileError, WeightsError

_SHOWN_KEYS = 4
_numbers = itertools.count()
#: Where packages are installed; the versions of those that matter stand in every result.
_INSTALLED = tuple(
    dict.fromkeys(
        [
            str(Path(__file__).parents[1]),
            *(sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib")),
        ]
    )
)


@dataclass(frozen=True)
class ModelFile:
    """A model that is built anew wherever it is needed: by a function in a Python file.

    For `glassgraph.explain_all`, whose workers build the model themselves. A job that is resumed
    is refused if the file, a file beside it with a class of the model, or a weight has changed.

    Args:
        path: the Python file. It is run, with its folder on ``sys.path`` meanwhile.
        factory: name of the function in it that returns the model, called without arguments.
        weights: ``.safetensors``, or ``.pt`` with a ``state_dict``; None if the function loads
            weights itself.

    Raises:
        ModelFileError: if there is no such Python file.
        WeightsError: if there is no such file of weights.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import glassgraph as gg
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = Path(folder.name) / "net.py"
        >>> code = "from torch_geometric.nn import GCN; make = lambda: GCN(3, 8, 2, 2)"
        >>> _ = path.write_text(code)
        >>> type(gg.ModelFile(path, "make").load()).__name__
        'GCN'
        >>> folder.cleanup()
    """

    path: Path
    factory: str
    weights: Path | None = None

    def __post_init__(self) -> None:
        path = Path(self.path).resolve()
        if not path.is_file():
            raise ModelFileError(f"no Python file at {self.path}")
        weights = None if self.weights is None else Path(self.weights).resolve()
        if weights is not None and not weights.is_file():
            raise WeightsError(f"no weights file at {self.weights}")
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "weights", weights)

    def load(self) -> nn.Module:
        """The model in evaluation mode, with its weights.

        Raises:
            ModelFileError: if the function is missing, fails, or builds something else.
            WeightsError: if the weights do not fit.
        """
        model = self._build()
        if self.weights is not None:
            load_weights(model, self.weights)
        return model.eval()

    def checksums(self, model: nn.Module) -> dict[str, str]:
        """What the model is made of, by name: the file, and those of classes of its modules.

        Args:
            model: what `load` returned. Weights are not among them: a model has its own digest.
        """
        files = {self.path}
        for kind in map(type, model.modules()):
            try:
                file = inspect.getfile(kind)
            except (OSError, TypeError):
                continue
            if not file.startswith((*_INSTALLED, "<")):
                files.add(Path(file).resolve())
        digests = {path.name: _checksum(path) for path in sorted(files) if path.is_file()}
        return {"factory": self.factory, **digests}

    def _build(self) -> nn.Module:
        model = build(self.path, self.factory)
        if not isinstance(model, nn.Module):
            raise ModelFileError(f"{self} returned a {type(model).__name__}, not a torch.nn.Module")
        return model

    def __str__(self) -> str:
        return f"{self.path}:{self.factory}"


def build(path: Path, factory: str) -> Any:
    """What a function in a Python file returns; the file is run.

    Raises:
        ModelFileError: if the file or the function fails, or there is no such function.
    """
    function = getattr(_run_file(path), factory, None)
    if not callable(function):
        problem = "has no" if function is None else "cannot call its"
        raise ModelFileError(
            f"{path} {problem} {factory!r}; a function returning a model is expected"
        )
    try:
        return function()
    except Exception as error:
        raise ModelFileError(f"{path}:{factory} failed: {_words(error)}") from error


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}{where_raised(error)}"


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _run_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"_glassgraph_user_{next(_numbers)}", path)
    if spec is None or spec.loader is None:
        raise ModelFileError(f"{path} is not importable")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look their module up
    sys.path.insert(0, str(path.parent))  # for files beside it
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ModelFileError(f"{path} failed: {_words(error)}") from error
    finally:
        sys.path.remove(str(path.parent))
    return module


# Weights


def load_weights(model: nn.Module, path: Path) -> None:
    """Load tensors into a model, all of them and no others.

    Raises:
        WeightsError: if the file is unreadable or does not fit, naming the first misfits.
    """
    tensors = _read_tensors(path)
    own = model.state_dict()
    problems = [f"{key} is missing" for key in own if key not in tensors]
    problems += [f"{key} is not in the model" for key in tensors if key not in own]
    for key in own:
        if key in tensors and tuple(own[key].shape) != tuple(tensors[key].shape):
            sizes = f"{list(tensors[key].shape)} in the file, {list(own[key].shape)} in the model"
            problems.append(f"{key} is {sizes}")
    if problems:
        shown = "; ".join(problems[:_SHOWN_KEYS])
        more = f"; and {len(problems) - _SHOWN_KEYS} more" if len(problems) > _SHOWN_KEYS else ""
        raise WeightsError(f"{path} does not fit {type(model).__name__}: {shown}{more}")
    for value in tensors.values():
        if value.is_floating_point():
            model.to(value.dtype)  # the precision follows the file
            break
    model.load_state_dict(tensors)


def _read_tensors(path: Path) -> dict[str, Any]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds pickled objects, which can run code; save the tensors alone: "
            "torch.save(model.state_dict(), path)"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, SafetensorError) as error:
        raise WeightsError(f"{path} is no readable weights file: {error}") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise WeightsError(f"{path} holds no state_dict: a dict from names to tensors is expected")
    return content
