"""`explain_all`: what is asked for, checked and written down, before workers begin."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from glassgraph.calling.call import Call
from glassgraph.calling.model_file import ModelFile
from glassgraph.core.prepare import Preparation
from glassgraph.engine.driver import Driver, Workers
from glassgraph.engine.fitting import ready_explainer
from glassgraph.engine.folder import JobFolder, open_folder
from glassgraph.engine.local import STARTING, LocalWorkers
from glassgraph.engine.progress import reporter
from glassgraph.engine.ray_workers import RayWorkers, require_ray
from glassgraph.engine.recipe import Recipe
from glassgraph.engine.worker import UNFINISHED
from glassgraph.errors import EngineError, HyperParameterError, InstanceError, Interrupted
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.registry import find_method
from glassgraph.explainers.saved_run import asked_for, digest, not_compared
from glassgraph.inputs.index_file import IndexFile
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.task import EdgeTypeLike, Target, Task
from glassgraph.results.contents import Contents
from glassgraph.results.explanation import Explanations
from glassgraph.results.saved.blocks import HEADER
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
    model: nn.Module | Callable[..., Any] | ModelFile,
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
    edge_type: EdgeTypeLike | None = None,
    fit: Any = None,
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
        model: as the method takes it, or a `ModelFile`, which every worker builds itself. A class
            or function that no worker can import, as in a notebook, is sent as code
            (``glassgraph[notebook]``).
        data: a `glassgraph.data.GraphStore` or its path (best for large graphs: all workers share
            one copy), a file of graphs, or graphs in memory, which are written into the folder.
        method: its name, or its class.
        task: ``"node"``, ``"graph"``, ``"edge"`` or a `Task`.
        index: ``"all"``, anything that `Explainer.explain` takes, or a file of numbers: ``.npy``,
            ``.pt``, or text with a number on each line, none of them twice.
        target: the explained class, see `Explainer.explain`.
        seed: seed of everything random; an instance's numbers do not depend on its block.
        call: how to call the model; a function at the top of a module.
        out: the folder.
        node_type: the type of the explained nodes, in a graph with types.
        edge_type: that of the explained links or edges, see `Task`.
        fit: what an amortized method learns from, before workers begin, as ``index``. Without it,
            and without ``fitted``, it is what it explains, and a `HindsightWarning` says so.
        fitted: or: what `AmortizedExplainer.save` wrote.
        engine: ``"local"``, processes of this machine; ``"ray"``, actors of a Ray cluster, which
            has to see ``out`` and the data under the same paths.
        workers: how many; as many as there are processors if None.
        address: of the Ray cluster; one is started on this machine if None.
        block: instances handed out at once; by default up to 256.
        time_limit: seconds that one instance may take; None for no limit. A block may take a few
            limits, or ten times what its instances took so far. Seconds in which a worker of the
            local engine waits for a processor do not count, where the system tells them.
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
    number = _checked(workers, block, time_limit, worker_memory, engine, address)
    path, task = Path(out).resolve(), Task.of(task, node_type=node_type, edge_type=edge_type)
    settings = {"seed": seed, "call": call, **hyper_parameters}
    find_method(method)
    index, file = _given_index(index)
    fit, fit_file = _given_index(fit)
    network: Any = model.load() if isinstance(model, ModelFile) else model
    with open_folder(path):
        is_begun = (path / HEADER).exists()
        place = path / UNFINISHED if is_begun else path  # what is there may be another job's
        source = ExplainedData.of(data, place, is_list=task.level == "graph")
        opened = source.open(place)
        explainer = ready_explainer(
            path, method, network, task, settings, opened, index, fit, fitted
        )
        preparation = explainer.prepare(opened)
        instances = _instances(preparation, index, file)
        empty = explainer._collect(preparation, explainer._provenance(preparation), [], False)
        header = _header(explainer, empty, instances, target, source, block)
        if isinstance(model, ModelFile):
            header["asked"]["model_file"] = model.checksums(network)
        if fit is not None:
            header["asked"]["fit"] = digest(vars(_instances(preparation, fit, fit_file)))
        folder = JobFolder(path, header, instances.index, instances.graph)
        if is_begun:
            _tell_of_doubt(explainer)
        recipe = Recipe(type(explainer), model, task, settings, target, source, explainer.needs_fit)
        recipe.write(path, network)
        memory = _memory(number) if worker_memory is None else worker_memory
        pool: Workers
        if engine == "ray":
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


def _checked(
    workers: int | None,
    block: int | None,
    time_limit: float | None,
    worker_memory: int | None,
    engine: str,
    address: str | None,
) -> int:
    """The number of workers.

    Raises:
        HyperParameterError: for a number that is out of range, or an unknown engine.
        MissingExtraError: if Ray is asked for and not installed.
    """
    if engine not in ("local", "ray"):
        raise HyperParameterError(f"engine is 'local' or 'ray'; got {engine!r}")
    numbers = {
        "workers": workers,
        "block": block,
        "time_limit": time_limit,
        "worker_memory": worker_memory,
    }
    for name, value in numbers.items():
        if value is not None and not value > 0:
            raise HyperParameterError(f"{name} must be above 0; got {value!r}")
    if engine == "ray":
        require_ray()
    elif address is not None:
        raise HyperParameterError("address is of a Ray cluster: for engine='ray'")
    return workers if workers is not None else os.cpu_count() or 1


def _given_index(index: Any) -> tuple[Any, IndexFile | None]:
    """What to explain; None for all, of a path the numbers in that file.

    Raises:
        InstanceError: if the file is missing, or holds something else.
    """
    if isinstance(index, str) and index == "all":
        return None, None
    if not isinstance(index, (str, Path)):
        return index, None
    file = IndexFile.read(index)
    return file.numbers, file


def _instances(preparation: Preparation, index: Any, file: IndexFile | None) -> Instances:
    try:
        return preparation.instances(index)
    except InstanceError as error:
        raise error if file is None else file.told(error) from None


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
