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

from torch import Tensor

from glassgraph.errors import ModelCallError

#: Store and name of an attribute.
_Key = tuple[Any, str]


class Shield:
    """What one model is known to write into."""

    def __init__(self) -> None:
        self._written: set[_Key] | None = None  # None before the first call

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
            _, name = next(iter(written - known))
            raise ModelCallError(
                f"the model wrote into data.{name} in this call and not in its first: a forward "
                f"that overwrites its data only at times cannot be explained; let it work on "
                f"data.{name}.clone()"
            )
        self._written = known | written


def _tensors(data: Any) -> Iterator[tuple[_Key, Any, str, Tensor]]:
    """The dense tensors of a graph whose versions can be read."""
    for store in data.stores:
        for name, value in list(store.items()):
            if isinstance(value, Tensor) and not value.is_inference() and not value.is_sparse:
                yield (store._key, name), store, name, value
