"""Methods that learn first: fitted once by the driver, and read by every worker from one file."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from glassgraph.errors import HyperParameterError
from glassgraph.explainers.amortized import AmortizedExplainer, HindsightWarning
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.registry import make_explainer
from glassgraph.files import replacing, writing
from glassgraph.inputs.task import Task

#: In the job's folder.
FITTED = "fitted.safetensors"
#: What `AmortizedExplainer.load` takes besides what stands in its file.
_SHARED = ("memory_budget", "check", "on_unseen", "call")
_OF_THE_TASK = ("level", "mode", "return_type")


def ready_explainer(
    folder: Path,
    method: str | type[Explainer],
    model: nn.Module,
    task: Task,
    settings: Mapping[str, Any],
    data: Any,
    index: Any,
    fit: Any,
    fitted: str | Path | None,
) -> Explainer:
    """The explainer; of an amortized method, fitted, with what it learned in the job's folder.

    Args:
        folder: the job's.
        method: name or class.
        model: the model.
        task: the task.
        settings: its own and shared settings.
        data: what is explained.
        index: which predictions are.
        fit: which predictions it learns from; ``index`` if None.
        fitted: what `AmortizedExplainer.save` wrote, in the place of fitting.

    Raises:
        HyperParameterError: if it learns nothing, and ``fit`` or ``fitted`` is given; or if what
            was learned has other settings than those that are asked for.
        GlassgraphError: see `AmortizedExplainer.fit` and `AmortizedExplainer.load`.
    """
    explainer = make_explainer(method, model, task, **{**settings, "progress": False})
    if fit is not None and fitted is not None:
        raise HyperParameterError(
            "give fit, predictions to learn from, or fitted, a file; not both"
        )
    if not explainer.needs_fit:
        if fit is not None or fitted is not None:
            name = "fitted" if fit is None else "fit"
            raise HyperParameterError(f"{explainer.name} learns nothing before it explains: {name}")
        return explainer
    assert isinstance(explainer, AmortizedExplainer)
    kept = folder / FITTED
    if fitted is not None:
        found = read_fitted_file(Path(fitted), type(explainer), model, task, settings)
        if not kept.exists():  # else what is kept belongs to the job, which may not be this one
            with writing(folder), replacing(kept) as temporary:
                shutil.copyfile(fitted, temporary)
        return found
    if not kept.exists():
        if fit is None:
            warnings.warn(
                f"{explainer.name} is fitted on the very predictions it explains (hindsight); for "
                "an explainer that has not seen them, give others as fit=, or what it learned from "
                "others as fitted=",
                HindsightWarning,
                stacklevel=4,
            )
        explainer.fit(data, index=index if fit is None else fit).save(kept)
    return read_fitted_file(kept, type(explainer), model, task, settings)


def read_fitted_file(
    path: Path,
    method: type[AmortizedExplainer[Any]],
    model: nn.Module,
    task: Task,
    settings: Mapping[str, Any],
) -> Explainer:
    """The explainer that a file holds, with shared settings and functions from elsewhere.

    Raises:
        HyperParameterError: if a setting is asked for that it was not fitted with.
        GlassgraphError: see `AmortizedExplainer.load`.
    """
    given = {name: value for name, value in settings.items() if name in _SHARED or callable(value)}
    found = method.load(path, model, progress=False, **{"call": None, **given})
    asked = {name: value for name, value in settings.items() if name not in given}
    asked |= {name: getattr(task, name) for name in _OF_THE_TASK}
    if asked.get("seed") == 0:
        del asked["seed"]  # nobody asked for it
    has = {**found.hyper_parameters, "seed": found.seed}
    has |= {name: getattr(found.task, name) for name in _OF_THE_TASK}
    for name in sorted(asked.keys() & has.keys()):
        if asked[name] != has[name]:
            raise HyperParameterError(
                f"{path} was fitted with {name}={has[name]!r}, and {asked[name]!r} is asked for; "
                "leave it out, or fit again: into another folder, or without fitted="
            )
    return found
