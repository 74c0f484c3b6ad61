"""The predictions of a result, to be run again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from glassgraph.core.prepare import Preparation
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.task import Targets
from glassgraph.results.records import LocalExplanation


def explained_again(
    locals_: Sequence[LocalExplanation], preparation: Preparation
) -> tuple[Instances, Targets]:
    """The instances that explanations are about, and the classes that they explain.

    Args:
        locals_: the explanations.
        preparation: the model, and the data that were explained.

    Raises:
        InstanceError: if the data lack one of them.
    """
    instances = preparation.instances(_index(locals_))
    none = torch.empty((0, 2), dtype=torch.long)
    pairs = torch.cat([none, *map(_pairs, locals_)]).to(preparation.graph.device)
    chosen, contrast = pairs.t().contiguous()
    is_contrastive = bool((contrast >= 0).any())
    return instances, Targets(chosen, contrast if is_contrastive else None, instances.rows)


def _index(locals_: Sequence[LocalExplanation]) -> list[Any]:
    """The numbers of instances; pairs ``(graph, row)`` where single rows were explained."""
    rows = [None if local.rows is None else local.rows["row"].tolist() for local in locals_]
    if not all(row is not None and len(row) == 1 for row in rows):
        return [local.index for local in locals_]
    return [(local.index, row[0]) for local, row in zip(locals_, rows, strict=True) if row]


def _pairs(local: LocalExplanation) -> Tensor:
    """The class and its contrast (-1 for none) of each row, ``[rows, 2]``."""
    if local.rows is not None:
        return torch.stack([local.rows["target"], local.rows["contrast"]], dim=1)
    assert local.target is not None
    return torch.tensor([(local.target, -1) if isinstance(local.target, int) else local.target])
