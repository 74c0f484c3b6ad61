"""What a user gives as ``index``: numbers, masks or pairs of nodes -> numbers of predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassgraph.errors import InstanceError

_NUMPY_BOOLEANS = (bool, np.bool_)


def as_numbers(index: Any, size: int, what: str, device: torch.device) -> Tensor:
    """Numbers ``[B]`` of predictions, in the order given, with repetitions.

    Args:
        index: None for all, a number, any sequence of numbers (a list, range, array, tensor or
            pandas column), a set of numbers (in ascending order), or a mask: booleans, one for
            each of ``size``, in any of these forms.
        size: how many there are.
        what: what one of them is.
        device: where the numbers go.

    Raises:
        InstanceError: if it is none of these, or names one that does not exist.
    """
    if index is None:
        return torch.arange(size, device=device)
    chosen = _as_tensor(index, device)
    if chosen.dtype == torch.bool:
        if chosen.dim() == 0:
            raise InstanceError(
                f"index must be a number, numbers, or a mask with one entry for each of {size} "
                f"{what}s; got {index!r}"
            )
        if chosen.numel() != size:
            raise InstanceError(
                f"the index mask has {chosen.numel()} entries for {size} {what}s; a mask has one "
                "for each"
            )
        return chosen.view(-1).nonzero().view(-1)
    if chosen.numel() == 0:
        return chosen.long().view(-1)
    if chosen.is_floating_point() or chosen.is_complex():
        raise InstanceError(f"index must hold integers; got {chosen.dtype}")
    chosen = chosen.long().reshape(-1)
    low, high = int(chosen.min()), int(chosen.max())
    if low < 0 or high >= size:
        bad = low if low < 0 else high
        raise InstanceError(f"{what} {bad} is out of range: there are {size} ({what}s from 0)")
    return chosen


def of_type(index: Any, explained: Any) -> Any:
    """The index of the explained type of nodes or edges, where one is given for each type.

    Raises:
        InstanceError: if it is not.
    """
    if not isinstance(index, Mapping):
        return index
    if explained is None or explained not in index:
        kind = "edge" if isinstance(explained, tuple) else "node"
        wanted = "a graph without node types" if explained is None else f"{kind} type {explained!r}"
        names = ", ".join(map(repr, index)) or "nothing"
        raise InstanceError(
            f"index must be a number, numbers, or a mask for {wanted}; got a "
            f"{type(index).__name__} of {names}"
        )
    return index[explained]


def as_edge_numbers(index: Any, ends: Tensor, what: str) -> Tensor:
    """Numbers ``[B]`` of links or edges: see `as_numbers`; or pairs of nodes.

    Pairs come as a list ``[(source, destination), ...]``, or as a tensor ``[2, B]`` like
    ``edge_index``, or ``[B, 2]``.

    Args:
        index: what the user gave.
        ends: ``[2, size]`` the nodes of each.
        what: ``"link"`` or ``"edge"``.

    Raises:
        InstanceError: for what `as_numbers` refuses, and for pairs that are not among them, stand
            there several times, or can be read in two ways.
    """
    if index is not None:
        has_shape = hasattr(index, "shape")
        index = _as_tensor(index, ends.device)
        pairs = _pairs(index, has_shape)
        if pairs is not None:
            return _numbers_of(pairs.long(), ends, what)
    return as_numbers(index, ends.size(1), what, ends.device)


def as_pairs(index: Any, device: torch.device) -> Tensor | None:
    """Pairs ``[B, 2]`` ``(graph, row)``; None where ``index`` holds numbers or a mask, or is None.

    Raises:
        InstanceError: if pairs can be read in two ways.
    """
    if index is None:
        return None
    has_shape = hasattr(index, "shape")
    return _pairs(_as_tensor(index, device), has_shape, "(graph, row)")


def _pairs(given: Tensor, has_shape: bool, pair: str = "(source, destination)") -> Tensor | None:
    """Pairs ``[B, 2]`` from either layout; None where numbers are given.

    A tensor of one row or column holds numbers, as ``nonzero`` returns them; a list of one pair is
    a pair.
    """
    is_integer = not (given.is_floating_point() or given.is_complex() or given.dtype == torch.bool)
    if given.dim() != 2 or 2 not in given.shape or not is_integer:
        return None
    if has_shape and 1 in given.shape:
        return None
    if has_shape and given.size(0) == given.size(1):
        raise InstanceError(
            f"index {given.tolist()} of shape (2, 2) lists pairs by row or by column; give a list "
            f"[{pair}, ...], or numbers"
        )
    if given.size(1) == 2:
        return given
    return given.t() if given.size(1) > 1 else None


def _numbers_of(pairs: Tensor, ends: Tensor, what: str) -> Tensor:
    """``[B]`` where pairs ``[B, 2]`` stand among ends ``[2, size]``."""
    span = 1 + max(int(each.max()) if each.numel() else 0 for each in (pairs, ends))
    key, wanted = ends[0] * span + ends[1], pairs[:, 0] * span + pairs[:, 1]
    wanted = wanted.where((pairs >= 0).all(dim=1), -1)
    order = torch.argsort(key, stable=True)
    first = torch.searchsorted(key[order], wanted)
    count = torch.searchsorted(key[order], wanted, right=True) - first
    for position in (count != 1).nonzero().view(-1)[:1].tolist():
        source, destination = pairs[position].tolist()
        if not int(count[position]):
            raise InstanceError(f"there is no {what} from node {source} to node {destination}")
        found = order[first[position] : first[position] + count[position]].tolist()
        numbers = ", ".join(map(str, found[:5])) + (", ..." if len(found) > 5 else "")
        raise InstanceError(
            f"{len(found)} {what}s run from node {source} to node {destination}; give their "
            f"numbers instead: {numbers}"
        )
    return order[first]


def _as_tensor(index: Any, device: torch.device) -> Tensor:
    """Anything that holds numbers or booleans as a tensor.

    Raises:
        InstanceError: if it holds something else.
    """
    try:
        if isinstance(index, Tensor):
            return index.to(device)
        return torch.as_tensor(_readable(index), device=device)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise InstanceError(
            f"index must be a number, a list of numbers, or a mask; got {index!r}"
            + (", which can be read only once: give list(...)" * isinstance(index, Iterator))
        ) from error


def _readable(index: Any) -> Any:
    """What torch can read: sets in order, columns of pandas as arrays, lists without mixtures."""
    if hasattr(index, "to_numpy"):
        index = index.to_numpy()
    if isinstance(index, np.ndarray):
        return np.array(index, order="C")  # a copy: others may be read-only or reversed
    if isinstance(index, (str, bytes, Iterator)):  # what can be read once is empty the next time
        raise TypeError("no numbers")
    if isinstance(index, Set):
        return sorted(index)
    if isinstance(index, Iterable):
        items = list(index)
        if any(isinstance(item, Tensor) for item in items):
            items = [item.tolist() if isinstance(item, Tensor) else item for item in items]
        flags = [isinstance(item, _NUMPY_BOOLEANS) for item in items]
        if any(flags) and not all(flags):  # torch would read True as 1
            raise TypeError("numbers and booleans")
        return np.asarray(items) if all(flags) and items else items
    return index
