"""Models that write into their data: ``data.x = conv(data.x, ...)``, ``x -= x.mean(0)``.

Every call gets a shallow copy of the data, so that attributes can be replaced without anybody
noticing. Writing *into* a tensor is found by its version: the first call gets copies of all
tensors, and those that it wrote into are copied for every later call. Copies carry gradients, so a
model that overwrites its features is explained like one that does not.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from glassgraph.errors import ModelCallError

#: Store and name of an attribute.
_Key = tuple[Any, str]


class Shield:
    """What one model is known to write into."""

    def __init__(self) -> None:
        self._written: set[_Key] | None = None  # None before the first call

    @property
    def is_clear(self) -> bool:
        """Whether a first call has shown that the model writes into nothing."""
        return self._written is not None and not self._written

    @contextmanager
    def watching(self, arguments: dict[str, Any]) -> Iterator[None]:
        """Make sure that a call goes on writing into nothing.

        Raises:
            ModelCallError: if it does after all.
        """
        tensors = [
            (name, each)
            for name, value in arguments.items()
            for each in (value.values() if isinstance(value, dict) else (value,))
            if _has_version(each)
        ]
        versions = [each._version for _, each in tensors]
        yield
        for (name, each), version in zip(tensors, versions, strict=True):
            if each._version != version:
                raise _writes_at_times(name)

    @contextmanager
    def over(self, data: Any) -> Iterator[Any]:
        """A copy of the data for one call.

        Raises:
            ModelCallError: if the call writes into a tensor that no earlier call wrote into.
        """
        if not hasattr(data, "stores"):  # not a graph of PyG's: the user's own way to call
            yield data
            return
        own = copy.copy(data)
        is_first = self._written is None
        known = self._written or set()
        versions: list[tuple[_Key, Tensor, int]] = []
        for key, store, name, value in _tensors(own):
            if is_first or key in known:
                store[name] = value = value.clone()
            versions.append((key, value, value._version))
        yield own
        written = {key for key, value, version in versions if value._version != version}
        if not is_first and not written <= known:
            raise _writes_at_times(next(iter(written - known))[1])
        self._written = known | written


def _writes_at_times(name: str) -> ModelCallError:
    return ModelCallError(
        f"the model wrote into data.{name} in this call and not in its first: a forward that "
        f"overwrites its data only at times cannot be explained; let it work on data.{name}.clone()"
    )


def _tensors(data: Any) -> Iterator[tuple[_Key, Any, str, Tensor]]:
    """The dense tensors of a graph whose versions can be read."""
    for store in data.stores:
        for name, value in list(store.items()):
            if _has_version(value):
                yield (store._key, name), store, name, value


def _has_version(value: Any) -> bool:
    is_dense = isinstance(value, Tensor) and value.layout == torch.strided
    return is_dense and not value.is_inference()
