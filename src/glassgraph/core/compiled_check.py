"""Does a compiled model return what the modules return that it was made of?"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch

from glassgraph.calling.call import ModelCall
from glassgraph.calling.compiled import CompiledModelWarning
from glassgraph.core.context import outputs_agree, run_on
from glassgraph.errors import UnsupportedModelError


def check_compiled(
    parts: Sequence[str],
    compiled: ModelCall,
    plain: ModelCall,
    data: Any,
    is_unstable: Callable[[], bool],
) -> None:
    """Say that compiled parts run uncompiled, if that makes no difference.

    Args:
        parts: names of what is compiled.
        compiled: the model as it was given.
        plain: the model that is looked into.
        data: what both are called on.
        is_unstable: asked where they differ: whether the model does not even repeat itself.

    Raises:
        UnsupportedModelError: if they differ, in a model that repeats itself.
        ModelCallError: if one of them fails.
    """
    with torch.no_grad():
        is_same = outputs_agree(run_on(compiled, data), run_on(plain, data), plain)
    names = ", ".join(parts)
    if not is_same and not is_unstable():
        raise UnsupportedModelError(
            f"{names}: compiled by torch.compile, returns something else than the module that it "
            "was made of, so looking into that module would explain another model; mend the "
            "compilation, explain the module itself, or take a method that only calls the model"
        )
    warnings.warn(
        f"{names}: compiled by torch.compile, and nothing can look into compiled code; explained "
        "is the module that it was made of"
        + (", which returns the same on these data" if is_same else ""),
        CompiledModelWarning,
        stacklevel=2,
    )
