"""Blocks that a model computes again in the backward pass, to save memory.

A checkpointed or reversible block runs a second time while gradients are taken, when the gates of
the first run are gone: its gradients would be those of an ungated model, or none. While a model is
explained nothing is computed again: `keeping_intermediates` has what a function saves for the
backward pass kept where it is, below the hooks with which ``torch.utils.checkpoint`` drops it, and
`without_recomputation` switches off the blocks of PyG that recompute by themselves. Outputs and
gradients are the same, and memory is what it is without checkpoints.

Checkpoints with ``use_reentrant=True`` run their block without gradients and cannot be helped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.autograd.graph import disable_saved_tensors_hooks, saved_tensors_hooks
from torch.overrides import TorchFunctionMode
from torch_geometric.nn import DeepGCNLayer
from torch_geometric.nn.models.rev_gnn import InvertibleModule

from glassgraph.errors import GlassgraphError, NoGradientError

#: What to do about the one kind of checkpoint that stands in the way of gradients.
REENTRANT_ADVICE = (
    "a block under torch.utils.checkpoint needs use_reentrant=False, or no checkpoint at all, "
    "while the model is explained"
)
#: Modules of PyG, and the attribute and value with which they compute nothing again.
_SWITCHES: tuple[tuple[type[nn.Module], str, bool], ...] = (
    (InvertibleModule, "disable", True),
    (DeepGCNLayer, "ckpt_grad", False),
)
_REFUSED = "glassgraph: intermediate results are not saved as usual"


class RecomputationFound(Exception):
    """The model drops intermediate results, or moves them elsewhere."""


@contextmanager
def refusing_recomputation() -> Iterator[None]:
    """Find out whether a run drops what its backward pass needs.

    Raises:
        RecomputationFound: if it does, in the midst of the run.
    """
    try:
        with disable_saved_tensors_hooks(_REFUSED):
            yield
    except RuntimeError as error:
        if _REFUSED in str(error):
            raise RecomputationFound from None
        raise


@contextmanager
def naming_backward_errors() -> Iterator[None]:
    """Say what failed, and why as a rule, where torch raises in a backward pass.

    Raises:
        NoGradientError: in the place of torch's own error.
    """
    try:
        yield
    except GlassgraphError:
        raise
    except RuntimeError as error:
        raise NoGradientError(
            f"the backward pass of the model failed: {error} ({REENTRANT_ADVICE})"
        ) from error


class keeping_intermediates(TorchFunctionMode):  # noqa: N801 - used as a context manager
    """Every function in the ``with`` block saves for the backward pass as if nobody listened."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with saved_tensors_hooks(_itself, _itself):
            return func(*args, **(kwargs or {}))


def _itself(saved: Tensor) -> Tensor:
    return saved


@contextmanager
def without_recomputation(modules: Sequence[nn.Module]) -> Iterator[None]:
    """PyG's modules that recompute by themselves keep what they need, by their own switches."""
    saved = [
        (module, name, getattr(module, name), value)
        for module in modules
        for kind, name, value in _SWITCHES
        if isinstance(module, kind)
    ]
    try:
        for module, name, _, value in saved:
            setattr(module, name, value)
        yield
    finally:
        for module, name, before, _ in saved:
            setattr(module, name, before)
