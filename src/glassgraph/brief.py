"""Short `repr`s: what a result is about, and the sizes of its tensors, never their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from torch import Tensor

_SHOWN, _LONGEST = 3, 60


def brief_repr(result: Any) -> str:
    """As a dataclass's own, with shapes in the place of tensors, without fields that are empty.

    Example:
        >>> import torch
        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Found:
        ...     method: str
        ...     score: torch.Tensor
        ...     truth: torch.Tensor | None = None
        ...     __repr__ = brief_repr
        >>> Found("saliency", torch.ones(3, 5))
        Found(method='saliency', score=[3, 5])
    """
    said = [
        f"{each.name}={_brief(getattr(result, each.name))}"
        for each in fields(result)
        if each.repr and not _says_nothing(getattr(result, each.name))
    ]
    return f"{type(result).__name__}({', '.join(said)})"


def _says_nothing(value: Any) -> bool:
    if isinstance(value, Tensor | np.ndarray):
        return False
    return value is None or (isinstance(value, str | Sequence | Mapping) and not len(value))


def _brief(value: Any) -> str:
    if isinstance(value, Tensor | np.ndarray):
        return str(value.item()) if value.ndim == 0 else str(list(value.shape))
    if isinstance(value, str):
        return repr(value if len(value) <= _LONGEST else f"{value[: _LONGEST - 3]}...")
    if isinstance(value, Mapping):
        pairs = [f"{_brief(key)}: {_brief(value[key])}" for key in list(value)[:_SHOWN]]
        return f"{{{', '.join([*pairs, *_more(len(value))])}}}"
    if isinstance(value, list | tuple):
        parts = [_brief(each) for each in value[:_SHOWN]]
        inside = ", ".join([*parts, *_more(len(value))])
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    text = repr(value)
    return text if len(text) <= 2 * _LONGEST and "\n" not in text else f"<{type(value).__name__}>"


def _more(size: int) -> list[str]:
    return [f"... {size} in all"] if size > _SHOWN else []
