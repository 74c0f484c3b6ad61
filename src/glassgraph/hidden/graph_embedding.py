"""What a graph classifier knows of a graph before its last layer decides.

The embedding of a graph is what the last linear layer reads that is given one row for each graph:
the input of the head.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from glassgraph.errors import UnsupportedModelError


class EmbeddingReader:
    """Reads embeddings of graphs in runs of a model.

    Args:
        model: the model.

    Raises:
        UnsupportedModelError: when it is read, if no linear layer is given a row for each graph.
    """

    def __init__(self, model: nn.Module) -> None:
        self._layers = [each for each in model.modules() if isinstance(each, nn.Linear)]
        self._seen: list[Tensor] = []

    @contextmanager
    def watching(self) -> Iterator[EmbeddingReader]:
        """Keep what linear layers read in the one call of the model in the block."""
        self._seen = []
        with ExitStack() as stack:
            for layer in self._layers:
                stack.callback(layer.register_forward_pre_hook(self._keep).remove)
            yield self

    def read(self, num_graphs: int) -> Tensor:
        """``[B, D]`` embeddings of the last call."""
        found = [each for each in self._seen if each.dim() == 2 and each.size(0) == num_graphs]
        if not found:
            raise UnsupportedModelError(
                f"the model has no embedding of a graph: none of its {len(self._layers)} linear "
                f"layers read one row for each of {num_graphs} graphs. Leave out examples"
            )
        return found[-1]

    def _keep(self, _: nn.Module, args: Any) -> None:
        self._seen += [each for each in args[:1] if isinstance(each, Tensor)]
