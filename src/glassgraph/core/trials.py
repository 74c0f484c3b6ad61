"""Which of several ways a model wants its data, found by trying.

``forward(self, batch)`` may mean the data object or the vector of graph numbers. A model that was
written for a loader's batches wants numbers as tensors and words as lists, one written for single
graphs wants them as they are; some read ``n_id``, which a ``NeighborLoader`` adds. The first way
that runs is taken. One that fails is asked once more if another runs: what fails at times is
broken, and no reason to take another way.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor

from glassgraph.calling.call import ModelCall
from glassgraph.calling.out_of_memory import let_through
from glassgraph.core.context import run_on, single_graph
from glassgraph.errors import GlassgraphError, ModelCallError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.task import Task

T = TypeVar("T")
P = TypeVar("P")


def first_way(
    model_call: ModelCall,
    graph: TypedGraph,
    task: Task,
    run: Callable[[ModelCall, TypedGraph], T],
) -> tuple[ModelCall, TypedGraph, T]:
    """The first way to call a model that runs, the data in that form, and what came of it.

    Args:
        model_call: how the model is called.
        graph: the user's graph(s).
        task: the task.
        run: calls the model on (some of) the data.

    Raises:
        GlassgraphError: what the first way raised, if none runs.
    """
    failed: list[tuple[ModelCall, TypedGraph, GlassgraphError]] = []
    ways = _ways(model_call, graph, task)
    if task.level == "graph" and len(ways) > 1:
        run = _after_a_single_graph(run, task)
    for way, give in ways:
        form = give()
        try:
            found = run(way, form)
        except ModelCallError as error:
            failed.append((way, form, error))
            continue
        for other, other_form, reason in failed:
            _refuse_chance(run, other, other_form, reason)
        return way, form, found
    raise failed[0][2]


def first_right(
    calls: Iterable[ModelCall], pack: Callable[[ModelCall], tuple[P, Tensor]]
) -> tuple[P, Tensor]:
    """What is packed with the first call that is right throughout, or else with the first.

    Args:
        calls: how the model may be called.
        pack: packs, and says which predictions are right.

    Raises:
        Exception: what the first raised, if none is right.
    """
    first: tuple[P, Tensor] | None = None
    failure: Exception | None = None
    for number, call in enumerate(calls):
        try:
            found = pack(call)
        except Exception as error:  # noqa: BLE001 - raised below
            let_through(error)
            failure = error if number == 0 else failure
            continue
        if bool(found[1].all()):
            return found
        first = found if number == 0 else first
    if first is None:
        assert failure is not None
        raise failure
    return first


def _after_a_single_graph(
    run: Callable[[ModelCall, TypedGraph], T], task: Task
) -> Callable[[ModelCall, TypedGraph], T]:
    """The same, once the model has run on a graph by itself, as it will later."""

    def both(model_call: ModelCall, graph: TypedGraph) -> T:
        with torch.no_grad():
            run_on(model_call, single_graph(graph, 0, model_call, task))
        return run(model_call, graph)

    return both


def _refuse_chance(
    run: Callable[[ModelCall, TypedGraph], Any],
    model_call: ModelCall,
    graph: TypedGraph,
    error: GlassgraphError,
) -> None:
    try:
        run(model_call, graph)
    except ModelCallError:
        return
    raise ModelCallError(
        f"the model failed once and succeeded when it was called again on the same data: {error}"
    ) from error


def _ways(
    model_call: ModelCall, graph: TypedGraph, task: Task
) -> list[tuple[ModelCall, Callable[[], TypedGraph]]]:
    """Ways to call the model, each with what gives the data in the form that it takes."""
    ways = model_call.ways(graph.data)
    found: list[tuple[ModelCall, Callable[[], TypedGraph]]] = [(way, lambda: graph) for way in ways]
    if graph.node_graph is None:
        found += [(way.with_ids(), lambda: graph) for way in ways if way.gives_object]
    if graph.is_split and task.level == "graph":
        form = lambda: graph  # noqa: E731
    elif not graph.is_split and graph.node_graph is None:  # a single graph, as a batch of one
        form = functools.cache(lambda: TypedGraph.read([graph.data]))
    else:
        return found
    return found + [(way.collating(), form) for way in ways if _wants_collating(way, graph)]


def _wants_collating(model_call: ModelCall, graph: TypedGraph) -> bool:
    """Whether the model may read what a loader adds or changes: numbers and words of graphs."""
    return model_call.wants_batch(graph.data, if_optional=True) or any(
        model_call.needs(key) and not (isinstance(value, Tensor) and value.dim())
        for key, value in graph.single(0).stores[0].items()
    )
