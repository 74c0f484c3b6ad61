"""The predictions of a result, to be run again."""

from __future__ import annotations

from typing import Any

import torch

from glassgraph.core.prepare import Preparation
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.task import Targets
from glassgraph.results.explanation import Explanations
from glassgraph.results.instance_columns import in_order, rows_in_order


def explained_again(
    explanations: Explanations, preparation: Preparation
) -> tuple[Instances, Targets]:
    """The instances that explanations are about, and the classes that they explain.

    Args:
        explanations: the explanations.
        preparation: the model, and the data that were explained.

    Raises:
        InstanceError: if the data lack one of them.
    """
    device = preparation.graph.device
    index: Any = in_order(explanations, "index").to(device)
    if preparation.task.rows is not None:
        row = rows_in_order(explanations, "row")
        if row.numel() == index.numel():  # every instance has one: single rows were explained
            index = torch.stack([index.cpu(), row], dim=1).tolist()
    instances = preparation.instances(index)
    target, contrast = (
        rows_in_order(explanations, name).to(device) for name in ("target", "contrast")
    )
    is_contrastive = bool((contrast >= 0).any())
    return instances, Targets(target, contrast if is_contrastive else None, instances.rows)
