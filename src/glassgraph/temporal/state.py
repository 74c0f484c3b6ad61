"""What a temporal model remembers, held against itself before and after.

A model keeps more than parameters and buffers: message stores, tables of neighbors, counters,
random generators. `fingerprint` walks through all of them and names each, so that a difference can
be said in words.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from glassgraph.errors import StateNotRestoredError

_PLAIN = (bool, int, float, complex, str, bytes, type(None))


def fingerprint(held: Any) -> dict[str, str]:
    """A digest of every value that an object holds, by where it lies, to the last bit.

    Tensors, arrays, numbers, texts and random generators are read, in modules, objects, dicts and
    lists at any depth; functions are not.
    """
    return dict(_digests(held, "model", set()))


def refuse_changes(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Compare two fingerprints.

    Raises:
        StateNotRestoredError: if they differ, with the places.
    """
    changed = [place for place in {**before, **after} if before.get(place) != after.get(place)]
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise StateNotRestoredError(
            f"explaining changed what the model remembers: {', '.join(changed[:3])}{more}. A copy "
            "of the model (copy.deepcopy) shares this with the original; give it a __deepcopy__ "
            "that copies its state, and restore the model before it is used again"
        )


def _digests(value: Any, place: str, seen: set[int]) -> Iterator[tuple[str, str]]:
    if isinstance(value, _PLAIN):
        yield place, repr(value)
        return
    if isinstance(value, Tensor):
        yield place, _digest_of_tensor(value)
        return
    if isinstance(value, np.ndarray):
        yield place, f"{value.dtype} {value.shape} {_digest(np.ascontiguousarray(value).tobytes())}"
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    state = _random_state(value)
    if state is not None:
        yield place, _digest(repr(state).encode())
        return
    for name, part in _parts(value):
        yield from _digests(part, f"{place}.{name}", seen)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, nn.Module):
        yield from ((name, part) for name, part in vars(value).items() if not name.startswith("_"))
        yield from value.named_parameters(recurse=False)
        yield from value.named_buffers(recurse=False)
        yield from value.named_children()
    elif isinstance(value, Mapping):
        yield from ((repr(key), part) for key, part in value.items())
    elif isinstance(value, Sequence):
        yield from ((str(number), part) for number, part in enumerate(value))
    elif isinstance(value, Set):
        yield from ((str(number), part) for number, part in enumerate(sorted(value, key=repr)))
    elif hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value):
        yield from vars(value).items()
    elif callable(value) and hasattr(value, "__self__"):  # a method bound to what it remembers
        yield "self", value.__self__
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        yield from vars(value).items()


def _random_state(value: Any) -> Any:
    if isinstance(value, torch.Generator):
        return value.get_state().tolist()
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, np.random.Generator):
        return value.bit_generator.state
    return None


def _digest_of_tensor(value: Tensor) -> str:
    flat = value.detach().cpu().contiguous().view(-1)
    content = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    return f"{value.dtype} {list(value.shape)} {value.requires_grad} {_digest(content)}"


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
