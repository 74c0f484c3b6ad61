"""A run that is saved as it goes, and resumed where it died.

A run is the same run if method, settings, seed, task, target, index, data, model and (for methods
that learn first) what was learned are the same. Whatever is not a number is compared by a digest.
It goes on with the batches that the other would have made: numbers of an instance do not depend
on its batch but for rounding, and rounding is the same in the same batch.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import Self

from glassgraph.black_box.callable_module import CallableModule
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.prepare import Preparation, Schedule
from glassgraph.errors import HyperParameterError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.task import Target
from glassgraph.results.explanation import Explanations, Part
from glassgraph.results.saved.resuming import Asked, ResumeWarning
from glassgraph.results.saved.store import Writer


class Saved(Protocol):
    """What is read of an explainer here."""

    model: Any
    call: Any
    memory_budget: int

    @property
    def hyper_parameters(self) -> dict[str, Any]:
        """The method's own."""

    def learned(self) -> Mapping[str, Tensor]:
        """What it learned before it explains."""


class SavedRun:
    """The parts of a run, and their folder if it has one.

    Args:
        explainer: what explains.
        empty: the result without parts.
        instances: what is explained.
        target: the explained class.
        folder: where to; None for nowhere.
        resume: go on with the run that is there.

    Raises:
        HyperParameterError: if nothing says from which folder to resume.
        GlassgraphError: see `Writer`.
    """

    def __init__(
        self,
        explainer: Saved,
        empty: Explanations,
        instances: Instances,
        target: Target,
        folder: str | Path | None,
        *,
        resume: bool = False,
    ) -> None:
        self._instances, self._target = instances, target
        self._budget = explainer.memory_budget
        self._schedule = Schedule()
        self._writer: Writer | None = None
        self.parts: list[Part] = []
        self.provenance = empty.provenance
        if folder is None:
            if resume:
                raise HyperParameterError("resume=True needs save_to=, the folder to go on with")
            return
        asked = asked_for(explainer, empty, instances, target)
        self._writer = Writer(Path(folder), empty.contents(), asked=asked, resume=resume)
        self.parts = self._writer.finished
        try:
            if self.parts:
                self._take_over(explainer)
        except BaseException:  # a warning that is an error, for one
            self._writer.close()
            raise

    @property
    def num_done(self) -> int:
        """How many instances are finished."""
        return sum(int(part.position.numel()) for part in self.parts)

    @property
    def where(self) -> str:
        """Where unfinished parts are, for a message."""
        if self._writer is None:
            return ""
        return ", and saved: resume=True goes on with them" + (
            "; until they are whole the folder holds the earlier result"
            if self._writer.is_replacing
            else ""
        )

    def batches(
        self, preparation: Preparation, budget: int
    ) -> Iterator[tuple[Tensor, InstanceBatch]]:
        """What is left to explain, each batch with the positions it covers."""
        if self.num_done == len(self._instances):
            return
        is_done = torch.zeros(len(self._instances), dtype=torch.bool)
        for part in self.parts:
            is_done[part.position] = True
        is_done = is_done.to(self._instances.index.device)
        found = preparation.batches(self._instances, self._target, budget, self._schedule)
        for position, batch in found:
            is_left = ~is_done[position]
            if bool(is_left.all()):
                yield position, batch
            elif bool(is_left.any()):
                yield position[is_left], batch.take(is_left.nonzero().view(-1))

    def add(self, part: Part) -> None:
        """A part is finished."""
        self.parts.append(part)
        if self._writer is not None:
            self._writer.append(part, {**vars(self._schedule), "memory_budget": self._budget})

    def finish(self) -> None:
        """Everything is explained."""
        if self._writer is not None:
            self._writer.commit(is_complete=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def _take_over(self, explainer: Saved) -> None:
        """Go on where the other run was."""
        assert self._writer is not None
        self.provenance = self._writer.provenance
        told = self._writer.schedule
        start, group = told.get("start"), told.get("group")
        if isinstance(start, int) and 0 <= start <= len(self._instances):
            self._schedule.start = start
            is_mixed = told.get("is_mixed")
            self._schedule.is_mixed = is_mixed if isinstance(is_mixed, bool) else None
            self._schedule.keeps_graphs = told.get("keeps_graphs") is True
            if isinstance(group, int) and told.get("memory_budget") == self._budget:
                self._schedule.group = group
        unchecked = not_compared(explainer)
        if unchecked:
            warnings.warn(
                f"what is resumed cannot be compared in full: {', '.join(unchecked)}; resume only "
                "if nothing of it has changed",
                ResumeWarning,
                stacklevel=4,
            )


def not_compared(explainer: Saved) -> list[str]:
    """What a digest says nothing about."""
    found = []
    if isinstance(explainer.model, CallableModule):
        found.append("the model is a plain function")
    elif isinstance(explainer.model, nn.Module) and not explainer.model.state_dict():
        found.append("the model has no parameters or buffers")
    if explainer.call is not None:
        found.append("call is a function")
    settings = explainer.hyper_parameters.items()
    return found + [f"{name} is a function" for name, value in settings if callable(value)]


def asked_for(
    explainer: Saved, empty: Explanations, instances: Instances, target: Target
) -> dict[str, Any]:
    """What makes a run this one, besides its provenance."""
    assert empty.graph is not None
    asked: Asked = {
        "instances": len(instances),
        "index": digest(vars(instances)),
        "target": digest({"target": target}) if isinstance(target, Tensor) else target,
        "data": digest(_contents(empty.graph)),
    }
    if isinstance(target, tuple):
        asked["target"] = list(target)
    learned = explainer.learned()
    if learned:
        asked["learned"] = digest(learned)
    return asked


def _contents(graph: TypedGraph) -> dict[str, Any]:
    """Everything that the data hold, by name, in their order; of a graph on disk its checksums."""
    if graph.store is not None:
        return {"store": graph.store.fingerprint}
    return {
        f"{number} {key}": value
        for number, store in enumerate(graph.data.stores)
        for key, value in sorted(store.to_dict().items())
    } | {"types": repr((graph.node_types, graph.edge_types))}


def digest(values: Mapping[str, Any]) -> str:
    """A short hash; what is neither a tensor, an array nor plain counts by its type alone."""
    found = hashlib.sha256()
    for name, value in values.items():
        found.update(repr(name).encode())
        if isinstance(value, Tensor) and value.layout == torch.strided:
            value = value.detach().cpu().contiguous()
            found.update(str((value.dtype, tuple(value.shape))).encode())
            flat = value.view(-1)
            found.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
        elif isinstance(value, np.ndarray) and value.dtype != object:
            found.update(str((value.dtype, value.shape)).encode() + value.tobytes())
        else:
            is_plain = isinstance(value, (str, int, float, bool, list, tuple, type(None)))
            found.update((repr(value) if is_plain else type(value).__qualname__).encode())
    return found.hexdigest()[:16]
