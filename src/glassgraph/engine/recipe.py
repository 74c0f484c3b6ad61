"""What a worker needs to explain: the model, the method and its settings, in a file of the job.

The driver writes the file anew whenever it starts, and its workers read it: nobody unpickles what
somebody else wrote. A model may be a file that workers run themselves (`ModelFile`). Of any other
object the class is looked up by name; where it lies in a script, workers run the script under
another name; where it has no such place (a notebook, a function), it is sent as code.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from glassgraph.calling.model_file import ModelFile
from glassgraph.calling.protect import fingerprint
from glassgraph.engine.fitting import FITTED, read_fitted_file
from glassgraph.engine.sent_code import importable, pickled_with_code, provide, script_of
from glassgraph.errors import EngineError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.registry import make_explainer
from glassgraph.files import replacing, writing
from glassgraph.inputs.task import Target, Task
from glassgraph.results.saved.explained_data import ExplainedData

_NAME = "recipe.pt"


@dataclass(frozen=True)
class Recipe:
    """How to build the explainer, and what it explains.

    Attributes:
        method: the class.
        model: the model, a function that is only called, or the file that builds a model.
        task: the task.
        settings: its own and shared settings.
        target: the explained class.
        data: where the data are.
        is_fitted: whether what the method learned lies in the job's folder.
    """

    method: type[Explainer]
    model: Any
    task: Task
    settings: Mapping[str, Any]
    target: Target
    data: ExplainedData
    is_fitted: bool

    def explainer(self, folder: Path) -> Explainer:
        """The explainer, with what it has learned."""
        assert not isinstance(self.model, ModelFile)  # `read` has built it
        if self.is_fitted:
            method: Any = self.method
            return read_fitted_file(folder / FITTED, method, self.model, self.task, self.settings)
        settings = {**self.settings, "progress": False}
        return make_explainer(self.method, self.model, self.task, **settings)

    def write(self, folder: Path, built: Any) -> None:
        """Write it for the workers.

        Args:
            folder: the job's.
            built: the model as the driver has it.

        Raises:
            EngineError: if something of it cannot be sent.
            MissingExtraError: if code has to be sent, and cloudpickle is not installed.
            OutputError: if the folder cannot be written.
        """
        scripts, recipe = self._sent()
        content: dict[str, Any] = {"scripts": scripts, "recipe": recipe}
        if isinstance(self.model, ModelFile):
            content["state"] = built.state_dict()
            content["checksums"] = self.model.checksums(built)
            content["fingerprint"] = fingerprint(built)
        with writing(folder), replacing(folder / _NAME) as temporary:
            torch.save(content, temporary)

    def _sent(self) -> tuple[dict[str, str], bytes]:
        """Scripts that workers run first, by module, and the pickled recipe."""
        names = {name for name in self._modules() if not importable(name)}
        scripts = {name: script_of(name) for name in names}
        if all(scripts.values()):
            try:
                return {name: str(script) for name, script in scripts.items()}, pickle.dumps(self)
            except (pickle.PicklingError, AttributeError, TypeError):
                pass  # a class inside a function, or a lambda
        return {}, pickled_with_code(self, names)

    def _modules(self) -> set[str]:
        """Where the classes lie that the file names."""
        named: list[Any] = [self.method, self.model]
        if isinstance(self.model, nn.Module):
            named += map(type, self.model.modules())
        named += [value for value in self.settings.values() if callable(value)]
        return {getattr(each, "__module__", "") or "" for each in named}

    @staticmethod
    def read(folder: Path) -> Recipe:
        """What `write` wrote, with its model built; only for the workers of who wrote it.

        Raises:
            GlassgraphError: if the model is not the one that the driver has.
        """
        content = torch.load(folder / _NAME, weights_only=True)
        for name, script in content["scripts"].items():
            provide(name, Path(script))
        recipe = pickle.loads(content["recipe"])
        assert isinstance(recipe, Recipe)
        if isinstance(recipe.model, ModelFile):
            return replace(recipe, model=_built(recipe.model, content))
        return recipe


def _built(file: ModelFile, content: Mapping[str, Any]) -> nn.Module:
    """The driver's model, built here.

    Raises:
        EngineError: if the file has changed since, or builds another model each time.
        GlassgraphError: see `ModelFile.load`.
    """
    model = file.load()
    if file.checksums(model) != content["checksums"]:
        raise EngineError(f"{file.path}, or a file beside it, was changed while the job ran")
    if fingerprint(model) != content["fingerprint"]:
        try:
            model.load_state_dict(content["state"])
        except RuntimeError as error:
            raise EngineError(f"{file} builds another model each time: {error}") from error
        if fingerprint(model) != content["fingerprint"]:
            raise EngineError(f"{file} builds another model each time, of other types of numbers")
    return model
