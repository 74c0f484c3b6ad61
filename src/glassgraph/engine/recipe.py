"""What a worker needs to explain: the model, the method and its settings, in a file of the job.

The driver writes the file anew whenever it starts, and its workers read it: nobody unpickles what
somebody else wrote. A class that lies in a script goes by the script's path, which every worker
runs under another name.
"""

from __future__ import annotations

import importlib.util
import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from glassgraph.errors import EngineError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.registry import make_explainer
from glassgraph.files import replacing, writing
from glassgraph.inputs.task import Target, Task
from glassgraph.results.saved.explained_data import ExplainedData

_NAME, FITTED = "recipe.pt", "fitted.safetensors"
#: What `AmortizedExplainer.load` takes besides what stands in its file.
_SHARED = ("memory_budget", "check", "on_unseen", "call")


@dataclass(frozen=True)
class Recipe:
    """How to build the explainer, and what it explains.

    Attributes:
        method: the class.
        model: the model.
        task: the task.
        settings: its own and shared settings.
        target: the explained class.
        data: where the data are.
        is_fitted: whether what the method learned lies in the job's folder.
    """

    method: type[Explainer]
    model: nn.Module
    task: Task
    settings: Mapping[str, Any]
    target: Target
    data: ExplainedData
    is_fitted: bool

    def explainer(self, folder: Path) -> Explainer:
        """The explainer, with what it has learned."""
        if not self.is_fitted:
            return make_explainer(
                self.method, self.model, self.task, **{**self.settings, "progress": False}
            )
        shared = {name: value for name, value in self.settings.items() if name in _SHARED}
        method: Any = self.method
        found: Explainer = method.load(folder / FITTED, self.model, progress=False, **shared)
        return found

    def write(self, folder: Path) -> None:
        """Write it for the workers.

        Raises:
            EngineError: if something of it has no place that a worker could find it at.
            OutputError: if the folder cannot be written.
        """
        try:
            recipe = pickle.dumps(self)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise EngineError(
                f"the workers cannot be given the model or a setting ({error}): classes and "
                "functions must stand at the top of a module, not inside a function or a lambda"
            ) from error
        scripts = {name: str(_script(name)) for name in self._modules() if not _importable(name)}
        with writing(folder), replacing(folder / _NAME) as temporary:
            torch.save({"scripts": scripts, "recipe": recipe}, temporary)

    def _modules(self) -> set[str]:
        """Where the classes lie that the file names."""
        named: list[Any] = [self.method, *map(type, self.model.modules())]
        named += [value for value in self.settings.values() if callable(value)]
        return {getattr(each, "__module__", "") or "" for each in named}

    @staticmethod
    def read(folder: Path) -> Recipe:
        """What `write` wrote; only for the workers of who wrote it."""
        content = torch.load(folder / _NAME, weights_only=True)
        for name, script in content["scripts"].items():
            _provide(name, Path(script))
        recipe = pickle.loads(content["recipe"])
        assert isinstance(recipe, Recipe)
        return recipe


def _importable(name: str) -> bool:
    """Whether a new process finds a module by its name."""
    if name == "__main__":
        return False
    try:
        return importlib.util.find_spec(name) is not None and name[:1] != "_"
    except (ImportError, ValueError):
        return False


def _script(name: str) -> Path:
    """The file of a module that has no name for others.

    Raises:
        EngineError: if there is none, as in a notebook.
    """
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if file is None or not Path(file).is_file():
        raise EngineError(
            "the model (or a setting) is defined where no worker can import it, as in a notebook; "
            "put its class into a file beside it, and import it from there"
        )
    return Path(file).resolve()


def _provide(name: str, script: Path) -> None:
    """Run a script under another name, so that what it defines is found where it was."""
    if name == "__main__" and getattr(sys.modules.get("__mp_main__"), "__file__", None):
        return  # a spawned process has run it already
    spec = importlib.util.spec_from_file_location(f"_glassgraph_script_{script.stem}", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(script.parent))  # for files beside it
    spec.loader.exec_module(module)
    own = sys.modules.setdefault(name, ModuleType(name))
    for key, value in vars(module).items():
        if not hasattr(own, key):
            setattr(own, key, value)
