"""What a temporal model has to offer to be explained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from torch import Tensor
from torch_geometric.data import TemporalData

from glassgraph.calling.out_of_memory import is_out_of_memory
from glassgraph.calling.user_code import where_raised
from glassgraph.errors import GlassgraphError, ModelCallError


@runtime_checkable
class TemporalModel(Protocol):
    """A model that sees events one batch after another, and scores links by what it has seen.

    Any object with these three methods can be explained; `TGN` makes one from the parts of PyG's
    example. The model is copied (`copy.deepcopy`) and the copy is replayed, so what it remembers
    must be in the object itself.

    Example:
        >>> import torch
        >>> class CountedPairs:
        ...     def reset(self):
        ...         self.seen = []
        ...
        ...     def replay(self, events):
        ...         self.seen += list(zip(events.src.tolist(), events.dst.tolist()))
        ...
        ...     def score(self, src, dst, t):
        ...         pairs = zip(src.tolist(), dst.tolist())
        ...         return torch.tensor([float(self.seen.count(pair)) for pair in pairs])
        >>> isinstance(CountedPairs(), TemporalModel)
        True
    """

    def reset(self) -> None:
        """Forget every event: back to where the stream begins."""
        ...

    def replay(self, events: TemporalData) -> None:
        """See the next batch of events, in their order."""
        ...

    def score(self, src: Tensor, dst: Tensor, t: Tensor) -> Tensor:
        """Scores ``[B]`` of links ``src -> dst`` at times ``t``, by the events seen so far."""
        ...


@contextmanager
def calling(what: str) -> Iterator[None]:
    """Errors of the user's model are one named error, which says where it came from.

    Raises:
        ModelCallError: for any but the library's own, and memory that has run out.
    """
    try:
        yield
    except GlassgraphError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        kind = type(error).__name__
        raise ModelCallError(f"{what} raised {kind}: {error}{where_raised(error)}") from error
