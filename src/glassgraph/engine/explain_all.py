"""`explain_all`: what is asked for, checked and written down, before workers begin."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from glassgraph.calling.call import Call
from glassgraph.engine.driver import Driver, Workers
from glassgraph.engine.folder import JobFolder, open_folder
from glassgraph.engine.local import STARTING, LocalWorkers
from glassgraph.engine.progress import reporter
from glassgraph.engine.recipe import FITTED, Recipe
from glassgraph.errors import EngineError, HyperParameterError, InstanceError, Interrupted
from glassgraph.explainers.amortized import AmortizedExplainer, HindsightWarning
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.registry import find_method, make_explainer
from glassgraph.explainers.saved_run import asked_for, not_compared
from glassgraph.files import replacing, writing
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.task import Target, Task
from glassgraph.results.contents import Contents
from glassgraph.results.explanation import Explanations
from glassgraph.results.saved.explained_data import ExplainedData
from glassgraph.results.saved.resuming import ResumeWarning
from glassgraph.results.scan import Scan

Engine = Literal["local", "ray"]
_MOST, _LEAST = 256, 8
#: A job has at least so many blocks, if its instances allow, so that workers end together.
_BLOCKS = 64
#: Share of the machine's memory that all workers may take together, unless told otherwise.
_SHARE = 0.8


def explain_all(
    model: nn.Module,
    data: Any,
    method: str | type[Explainer],
    task: str | Task = "node",
    index: Any = "all",
    target: Target = None,
    seed: int = 0,
    call: Call | None = None,
    *,
    out: str | Path,
    node_type: str | None = None,
    fitted: str | Path | None = None,
    engine: Engine = "local",
    workers: int | None = None,
    address: str | None = None,
    block: int | None = None,
    time_limit: float | None = 300.0,
    worker_memory: int | None = None,
    progress: bool = True,
    **hyper_parameters: Any,
) -> Scan[Explanations]:
    """Explain any number of predictions with many processes, into a folder.

    Workers open model and graph by path and explain blocks of instances. What is finished is in the
    folder, whatever dies; the same call goes on where the last one ended. An instance that raises,
    hangs or takes too much memory is recorded with its error, and the others go on. Explanations
    are those of ``Explainer.explain(data, index=block)``, bit for bit, whoever makes them.

    Args:
        model: a trained model. Its class stands in a module or a script, not in a notebook.
        data: a `glassgraph.data.GraphStore` or its path (best for large graphs: all workers share
            one copy), a file of graphs, or graphs in memory, which are written into the folder.
        method: its name, or its class.
        task: ``"node"``, ``"graph"``, ``"edge"`` or a `Task`.
        index: ``"all"``, anything that `Explainer.explain` takes, or a file of numbers: ``.npy``,
            ``.pt``, or text with a number on each line.
        target: the explained class, see `Explainer.explain`.
        seed: seed of everything random; an instance's numbers do not depend on its block.
        call: how to call the model; a function at the top of a module.
        out: the folder.
        node_type: the type of the explained nodes, in a graph with types.
        fitted: of an amortized method, what `AmortizedExplainer.save` wrote; without it the method
            is fitted on what it explains, and a `HindsightWarning` says so.
        engine: ``"local"``, processes of this machine; ``"ray"``, actors of a Ray cluster, which
            has to see ``out`` and the data under the same paths.
        workers: how many; as many as there are processors if None.
        address: of the Ray cluster; one is started on this machine if None.
        block: instances handed out at once; by default up to 256.
        time_limit: seconds that one instance may take; None for no limit. A block may take a few
            limits, or ten times what its instances took so far.
        worker_memory: bytes of its own that a worker may take; its share of the machine if None.
        progress: say on standard error how it gets on.
        **hyper_parameters: the method's own, and those of `Explainer`.

    Returns:
        The folder, opened as `Explanations.scan` opens it.

    Raises:
        ResumeError: if the folder holds a job with another model, method, setting, index or data.
        FolderInUseError: if another process writes into the folder.
        OutputError: if it cannot be written, a full disk included.
        EngineError: if workers cannot be started or given the model, or all instances fail.
        MissingExtraError: if Ray is asked for and not installed.
        Interrupted: on Ctrl-C; what is finished stays.
        GlassgraphError: see `glassgraph.errors`.

    Example:
        >>> import tempfile, torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> folder = tempfile.TemporaryDirectory()
        >>> found = gg.explain_all(
        ...     GCN(3, 8, 2, 2), data, "saliency", out=folder.name, workers=1, progress=False
        ... )
        >>> found, found.find(2).edge_id
        (Scan('saliency', 4 of 4 node predictions), tensor([0, 1]))
        >>> folder.cleanup()
    """
    if STARTING in os.environ:
        raise EngineError(
            "explain_all was called while a worker was starting: a worker runs the script once "
            "more; put the call under if __name__ == '__main__':"
        )
    number = _checked(workers, block, time_limit, engine)
    path, task = Path(out).resolve(), Task.of(task, node_type=node_type)
    settings = {"seed": seed, "call": call, **hyper_parameters}
    find_method(method)
    index = None if isinstance(index, str) and index == "all" else _read_index(index)
    with open_folder(path):
        source = ExplainedData.of(data, path, is_list=task.level == "graph")
        opened = source.open(path)
        explainer = _explainer(path, model, method, task, settings, fitted, opened, index)
        preparation = explainer.prepare(opened)
        instances = preparation.instances(index)
        empty = explainer._collect(preparation, explainer._provenance(preparation), [], False)
        header = _header(explainer, empty, instances, target, source, block)
        is_begun = (path / "job.json").exists()
        folder = JobFolder(path, header, instances.index, instances.graph)
        if is_begun:
            _tell_of_doubt(explainer)
        recipe = Recipe(type(explainer), model, task, settings, target, source, explainer.needs_fit)
        recipe.write(path)
        memory = _memory(number) if worker_memory is None else worker_memory
        pool: Workers
        if engine == "ray":
            from glassgraph.engine.ray_workers import RayWorkers

            pool = RayWorkers(path, memory, number, address)
        else:
            pool = LocalWorkers(path, memory)
        tell = reporter() if progress else lambda _: None
        try:
            Driver(folder, pool, number, time_limit, tell).run()
        except KeyboardInterrupt as interrupt:
            raise Interrupted(
                f"interrupted: {folder.num_done} of {folder.total} explanations are in {path}; the "
                "same command goes on from here"
            ) from interrupt
    return Explanations.scan(path)


def _checked(workers: int | None, block: int | None, time_limit: float | None, engine: str) -> int:
    """The number of workers.

    Raises:
        HyperParameterError: for a number that is out of range, or an unknown engine.
    """
    if engine not in ("local", "ray"):
        raise HyperParameterError(f"engine is 'local' or 'ray'; got {engine!r}")
    for name, value in (("workers", workers), ("block", block), ("time_limit", time_limit)):
        if value is not None and not value > 0:
            raise HyperParameterError(f"{name} must be above 0; got {value!r}")
    return workers if workers is not None else os.cpu_count() or 1


def _read_index(index: Any) -> Any:
    """What to explain; of a path the numbers in that file.

    Raises:
        InstanceError: if the file is missing, or holds no whole numbers.
    """
    if not isinstance(index, (str, Path)):
        return index
    path = Path(index)
    try:
        if path.suffix == ".npy":
            found = np.load(path)
        elif path.suffix == ".pt":
            return torch.as_tensor(torch.load(path, weights_only=True))
        else:
            found = np.loadtxt(path, dtype=np.int64, ndmin=1)
        return torch.from_numpy(found)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise InstanceError(
            f"index: {path} cannot be read ({error}); expected 'all', or a file of numbers: .npy, "
            ".pt, or text with a number on each line"
        ) from error


def _explainer(
    path: Path,
    model: nn.Module,
    method: str | type[Explainer],
    task: Task,
    settings: dict[str, Any],
    fitted: str | Path | None,
    data: Any,
    index: Any,
) -> Explainer:
    """The explainer; of an amortized method, fitted, with what it learned in the job's folder."""
    explainer = make_explainer(method, model, task, **{**settings, "progress": False})
    if not explainer.needs_fit:
        if fitted is not None:
            raise HyperParameterError(f"{explainer.name} learns nothing before it explains: fitted")
        return explainer
    assert isinstance(explainer, AmortizedExplainer)
    kept = path / FITTED
    shared = {"call": settings["call"], "progress": False}
    if fitted is not None:
        type(explainer).load(fitted, model, **shared)  # before a file of the job is replaced
        with writing(path), replacing(kept) as temporary:
            shutil.copyfile(fitted, temporary)
    elif not kept.exists():
        warnings.warn(
            f"{explainer.name} is fitted on the very predictions it explains (hindsight); for an "
            "explainer that has not seen them, fit it on others, and give fitted=",
            HindsightWarning,
            stacklevel=3,
        )
        explainer.fit(data, index=index).save(kept)
    return type(explainer).load(kept, model, **shared)


def _header(
    explainer: Explainer,
    empty: Explanations,
    instances: Instances,
    target: Target,
    source: ExplainedData,
    block: int | None,
) -> dict[str, Any]:
    """What is asked for, and what reading needs besides."""
    contents: Contents = empty.contents()
    size = min(_MOST, max(_LEAST, len(instances) // _BLOCKS)) if block is None else block
    asked = {**asked_for(explainer, empty, instances, target), "block": size}
    if isinstance(target, Tensor) and target.numel() not in (1, len(instances)):
        raise HyperParameterError(
            f"target holds {target.numel()} classes for {len(instances)} instances; expected one "
            "for each"
        )
    return {
        "method": contents.method,
        "level": contents.level,
        "num_layers": contents.num_layers,
        "node_types": list(contents.node_types),
        "edge_types": list(contents.edge_types),
        "provenance": contents.provenance,
        "source": vars(source),
        "asked": asked,
    }


def _tell_of_doubt(explainer: Explainer) -> None:
    unchecked = not_compared(explainer)
    if unchecked:
        warnings.warn(
            f"what is resumed cannot be compared in full: {', '.join(unchecked)}; resume only if "
            "nothing of it has changed",
            ResumeWarning,
            stacklevel=3,
        )


def _memory(workers: int) -> int | None:
    """A worker's share of the machine."""
    try:
        return int(_SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / workers)
    except (AttributeError, OSError, ValueError):
        return None
